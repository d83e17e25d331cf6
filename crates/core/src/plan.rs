//! The plan: every partition in the window with a choice and its reason, and the exact jobs to submit.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fact::Identity;
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::layout::Layout;
use crate::measure::{Fingerprint, Strays};
use crate::memory::{Model, Platform, Request};
use crate::partition::{PartitionId, SliceId};
use crate::spec::{Idempotent, Limits, MemoryBounds, MemorySigns, Prices, Reads, RetryPolicy, Success};
use crate::split::{Cut, Means, Most};
use crate::spot::LengthAdvice;
use crate::template::Template;

mod divide;
mod file;
mod foresight;
mod make;
mod only;
mod place;
mod stale;
mod totals;

pub use file::{PlanDigest, PlanFileError};
pub use foresight::PlannedDeadline;
pub use make::{Inputs, make};
pub use only::{NotAnOnly, Only};
pub use place::{Place, RunsOn};
pub use stale::{StaleJob, Staleness};
pub use totals::{Estimate, Gap, Outlier, ServiceRow, Skew, Totals};

/// The version of `plan.json` that this program writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Why a partition is in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmitReason {
    /// Never loaded.
    Missing,
    /// Given up, cancelled, or marked as failed.
    Failed,
    /// Its objects are not those that were loaded.
    Changed,
}

/// Why a partition is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Loaded, and its objects are still those.
    Done,
    /// A job of it runs, or the next try is due.
    Running,
    /// It has no objects.
    NoData,
    /// It may still receive objects.
    Settling,
    /// Loaded, and its objects are others now; planned only when asked for.
    Changed,
    /// Loaded, and it has no objects any more.
    Gone,
    /// The store did not list it.
    Unlisted,
    /// A person has to decide (`dayfill mark`).
    NeedsPerson,
    /// Failed, and failed days were not asked for.
    Failed,
    /// Not among what `--only` asks for.
    Outside,
}

/// What is to be done with a partition, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "choice", content = "reason", rename_all = "snake_case")]
pub enum Choice {
    /// It is loaded by this plan.
    Submit(SubmitReason),
    /// It is not.
    Skip(SkipReason),
}

/// One partition of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPartition {
    /// Which.
    pub partition: PartitionId,
    /// What is to be done with it, and why.
    #[serde(flatten)]
    pub choice: Choice,
    /// Number of objects.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// Bytes of the largest object.
    pub largest: u64,
    /// When the newest object was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub newest: Option<DateTime<Utc>>,
    /// Hours without an object between the first and the last that have one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing_hours: Vec<u8>,
    /// The class of the failure, where it failed before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<FailureClass>,
    /// What the store said, where it did not list it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// One job of the plan, in the shape of its first try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedJob {
    /// What it reads.
    pub slice: SliceId,
    /// Which time the slice is being loaded.
    pub load: u32,
    /// Tries of this load that went before this plan.
    pub tries_before: u32,
    /// MiB of the first try.
    pub memory_mib: u64,
    /// The prefix of its keys, in the bucket.
    pub prefix: String,
    /// Number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What they are.
    pub fingerprint: Fingerprint,
}

/// Where the objects lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSource {
    /// The bucket that jobs read.
    pub bucket: String,
    /// Names of the dimensions, in the order of the layout.
    pub dimensions: Vec<String>,
    /// The prefix inside the bucket that the layout's keys are relative to.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub root: String,
    /// The regex that keys must match.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub include: Option<String>,
    /// The regex that keys must not match.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exclude: Option<String>,
}

/// A slice that the plan cuts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSplit {
    /// What is cut.
    pub slice: SliceId,
    /// Where.
    pub cut: Cut,
    /// Its tries before this plan, of all loads.
    pub tries_before: usize,
}

/// A partition that is over `split.max_bytes` or `split.max_objects` and stays, or has a part that does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsplit {
    /// What is too large.
    pub slice: SliceId,
    /// Why it stays so.
    pub why: String,
}

/// The job definition that the plan's jobs run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedDefinition {
    /// `name:revision`; none where the file differs from what is registered, and `submit` registers it.
    pub revision: Option<String>,
    /// It runs on Fargate, which sells memory in steps.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub fargate: bool,
    /// What the file says, where the YAML names a file: `submit` registers exactly this, whatever the file says then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<serde_json::Value>,
}

/// What is the same for all jobs of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTemplate {
    /// The job definition.
    pub definition: PinnedDefinition,
    /// Job queue.
    pub queue: String,
    /// The queue for slices whose hosts are taken too often.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback_queue: Option<String>,
    /// On queues that ask for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share_identifier: Option<String>,
    /// vCPUs.
    pub vcpus: u32,
    /// First request and cap.
    pub memory: MemoryBounds,
    /// Seconds an attempt may take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout_s: Option<u32>,
    /// What may run again.
    pub idempotent: Idempotent,
    /// What a job is told to read.
    #[serde(skip_serializing_if = "Reads::is_default", default)]
    pub reads: Reads,
    /// What makes a job a success.
    #[serde(skip_serializing_if = "Success::is_default", default)]
    pub success: Success,
    /// The command, with fields.
    pub command: Vec<Template>,
    /// Environment, with fields.
    pub environment: BTreeMap<String, Template>,
    /// What tells that a job ran out of memory although its container did not.
    #[serde(skip_serializing_if = "MemorySigns::is_default", default)]
    pub out_of_memory: MemorySigns,
}

/// What was passed over while listing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOver {
    /// Keys that do not follow the layout.
    pub unmatched: Strays,
    /// Keys left out by `include` and `exclude`.
    pub filtered: u64,
    /// Dimension values unfit to be passed to a job.
    pub unusable: Strays,
}

/// What the jobs that succeeded so far took: the ground of every estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Jobs that succeeded.
    pub jobs: u64,
    /// Seconds that their last attempts ran, together.
    pub seconds: u64,
    /// Bytes that they read, together.
    pub bytes: u64,
}

/// A plan. Equal lake, ledger, YAML and `now` give equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the backfill.
    pub backfill: String,
    /// The journal it was made against; none before the first submission.
    pub uuid: Option<Uuid>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What can never change about the backfill.
    pub identity: Identity,
    /// First day, inclusive.
    pub from: NaiveDate,
    /// Last day, inclusive.
    pub to: NaiveDate,
    /// What was asked for.
    pub only: Only,
    /// Where the journal is and where jobs run.
    pub place: Place,
    /// Where the objects lie.
    pub source: PlannedSource,
    /// What is the same for all jobs.
    pub job: JobTemplate,
    /// Who is tried again, and how often.
    pub retry: RetryPolicy,
    /// What is never exceeded.
    pub limits: Limits,
    /// Prices, where the YAML gives them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prices: Option<Prices>,
    /// What jobs took so far.
    pub history: History,
    /// Every partition of the window, in order.
    pub partitions: Vec<PlannedPartition>,
    /// What was passed over.
    pub passed_over: PassedOver,
    /// When all of it should be done, and whether that can be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline: Option<PlannedDeadline>,
    /// How long jobs should run where hosts are taken away, where a change would save time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub length: Option<LengthAdvice>,
    /// Why jobs ask for the memory that they ask for, as far as it is known by now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_why: Option<String>,
    /// How large a slice may be, where the YAML says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub split: Option<Most>,
    /// The slices that this plan cuts; those before that they are cut from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub splits: Vec<PlannedSplit>,
    /// What is over `split` and stays whole.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unsplit: Vec<Unsplit>,
    /// How many of the jobs are pilots: they go first and alone.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub pilots: usize,
    /// The jobs, in the order in which they are submitted: pilots, then the largest first.
    pub jobs: Vec<PlannedJob>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Plan {
    /// Where its jobs run, as far as memory is concerned.
    pub fn platform(&self) -> Platform {
        if self.job.definition.fargate { Platform::fargate(self.job.vcpus) } else { Platform::Ec2 }
    }

    /// Whether what jobs ask for follows what others needed. Where nothing may run twice a kill for memory is a person's
    /// matter, so nothing is risked.
    pub fn learns(&self) -> bool {
        self.job.idempotent != Idempotent::No
    }

    /// Whether a job of this slice may run again after one that may have loaded something.
    pub fn reruns(&self, slice: &SliceId) -> bool {
        self.job.idempotent.reruns(slice)
    }

    /// Whether jobs are told a prefix that keys of other days, or with other values, begin with too: a job that reads all
    /// of it loads more than its own.
    pub fn shares_prefixes(&self) -> bool {
        let mut told = self.job.command.iter().chain(self.job.environment.values());
        let is_told = self.job.reads == Reads::Prefix && told.any(|t| t.names("prefix"));
        is_told && Layout::parse(&self.identity.layout).is_ok_and(|layout| !layout.day_has_its_own_prefix())
    }

    /// What its slices may be cut into.
    pub fn means(&self) -> Means {
        let told = self.job.command.iter().chain(self.job.environment.values());
        match Layout::parse(&self.identity.layout) {
            Ok(layout) => Means::of(&layout, self.job.reads, told),
            Err(_) => Means { hours: false, ranges: false },
        }
    }

    /// Where a file of this backfill is kept, beside its journal.
    pub fn beside_journal(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.place.state.trim_end_matches('/'), self.backfill)
    }

    /// Where the manifest of a slice with these objects is.
    pub fn manifest(&self, fingerprint: Fingerprint) -> String {
        self.beside_journal(&format!("manifests/{fingerprint}.jsonl"))
    }

    /// Where the job of this name may say something of itself.
    pub fn result(&self, job: &JobName) -> String {
        self.beside_journal(&format!("results/{job}.json"))
    }

    /// What a job with this input is to ask for.
    pub fn request(&self, model: &Model, bytes: u64, objects: u64) -> Request {
        model.request(bytes, objects, self.job.memory, self.platform())
    }

    /// The jobs that go first and alone.
    pub fn pilot_jobs(&self) -> &[PlannedJob] {
        self.jobs.get(..self.pilots).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
