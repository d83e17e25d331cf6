//! A validated backfill: what the YAML file says, checked once, behind one door.
//!
//! [`SpecParts`] is what was written, [`Spec`] what it means. [`Spec::new`] is the only way from the one to the
//! other, and it reports every problem it finds, not only the first.

mod deadline;
mod door;
mod job;
mod names;
mod parts;
mod policy;
mod problem;
mod source;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::day::Window;
use crate::split::Most;

pub use self::job::{Definition, JobSpec};
pub use self::names::looks_like_credential;
pub use self::parts::{
    AwsParts, JobParts, LimitsParts, LocalParts, MemoryParts, MemorySignsParts, PricesParts, RetryParts,
    SourceParts, SpecParts, SplitParts, WindowParts,
};
pub use self::policy::{
    Idempotent, Limits, MemoryBounds, MemorySigns, Prices, Reads, Reclaims, RetryPolicy, StopAfter, Success,
};
pub use self::problem::{ProblemPart, SpecProblem};
pub use self::source::{SourceSpec, SourceUri, State};

/// A validated backfill.
#[derive(Clone, Debug)]
pub struct Spec {
    name: String,
    source: SourceSpec,
    window: Window,
    job: JobSpec,
    retry: RetryPolicy,
    limits: Limits,
    split: Option<Most>,
    prices: Option<Prices>,
    deadline: Option<DateTime<Utc>>,
    aws: AwsSettings,
    engine: EngineKind,
    local: LocalSettings,
    state: State,
}

/// Where jobs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// On AWS Batch.
    #[default]
    Aws,
    /// On this machine.
    Local,
}

impl EngineKind {
    /// The name that the YAML file and the command line use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Local => "local",
        }
    }

    /// The engine of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Aws, Self::Local].into_iter().find(|engine| engine.name() == name)
    }
}

/// How to reach AWS; what is left out is found as any AWS tool finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The Region, such as `ap-northeast-1`.
    pub region: Option<String>,
    /// The profile of the shared configuration.
    pub profile: Option<String>,
    /// Another endpoint for every service, `http://…` or `https://…`.
    pub endpoint_url: Option<String>,
}

/// What the local engine may use, and what becomes of its hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalSettings {
    /// The folder that stands in for S3: its sub-folders are the buckets. Relative to the YAML file.
    pub lake: Option<String>,
    /// The most vCPUs in use at once; all of the machine if left out.
    pub vcpus: Option<u32>,
    /// The most memory in use at once, in MiB; what the machine has if left out.
    pub memory_mib: Option<u64>,
    /// Hosts that are taken away while jobs run; none if left out.
    pub reclaims: Option<Reclaims>,
}

impl Spec {
    /// Checks what was written.
    ///
    /// # Errors
    /// Every problem that was found, in the order of the sections; at least one.
    pub fn new(parts: SpecParts) -> Result<Self, Vec<SpecProblem>> {
        door::open(parts)
    }

    /// The name of the backfill: with the state, who it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the data lies and how its keys read.
    pub fn source(&self) -> &SourceSpec {
        &self.source
    }

    /// The days to load.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The job that loads one day.
    pub fn job(&self) -> &JobSpec {
        &self.job
    }

    /// How often a failure is tried again.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// What the backfill may use and when it stops.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How large a slice may be, where that was said.
    pub fn split(&self) -> Option<Most> {
        self.split
    }

    /// What an hour costs, where it was said.
    pub fn prices(&self) -> Option<Prices> {
        self.prices
    }

    /// When all should be done, where it was said; then there is a fallback queue.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        self.deadline
    }

    /// How to reach AWS.
    pub fn aws(&self) -> &AwsSettings {
        &self.aws
    }

    /// Where jobs run.
    pub fn engine(&self) -> EngineKind {
        self.engine
    }

    /// What the local engine may use.
    pub fn local(&self) -> &LocalSettings {
        &self.local
    }

    /// Where the journal is kept.
    pub fn state(&self) -> &State {
        &self.state
    }
}
