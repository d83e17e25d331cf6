//! What was written, before it means anything: texts and numbers, each of which may have been left out.
//!
//! None of these can be printed with `{:?}`: the environment of a job may hold what should never be shown.

/// What was written about a backfill.
#[derive(Clone, Default)]
pub struct SpecParts {
    /// `name`.
    pub name: Option<String>,
    /// `source`.
    pub source: Option<SourceParts>,
    /// `window`.
    pub window: Option<WindowParts>,
    /// `job`.
    pub job: Option<JobParts>,
    /// `retry`.
    pub retry: RetryParts,
    /// `limits`.
    pub limits: LimitsParts,
    /// `split`.
    pub split: Option<SplitParts>,
    /// `prices`.
    pub prices: Option<PricesParts>,
    /// `deadline`.
    pub deadline: Option<String>,
    /// `aws`.
    pub aws: AwsParts,
    /// `engine`: `aws` or `local`.
    pub engine: Option<String>,
    /// `local`.
    pub local: LocalParts,
    /// `state`: `s3://bucket/prefix` or a folder.
    pub state: Option<String>,
}

/// What was written about the source.
#[derive(Clone, Default)]
pub struct SourceParts {
    /// `s3://bucket/prefix` or a folder.
    pub uri: Option<String>,
    /// The key template.
    pub layout: Option<String>,
    /// The zone of the dates in the keys.
    pub zone: Option<String>,
    /// A regex that keys must match.
    pub include: Option<String>,
    /// A regex that keys must not match.
    pub exclude: Option<String>,
    /// The values of dimensions that are not to be discovered, in the order they were written.
    pub dimensions: Vec<(String, Vec<String>)>,
    /// How long after its end a day may still receive files.
    pub settle: Option<String>,
}

/// What was written about the days.
#[derive(Clone, Default)]
pub struct WindowParts {
    /// The first day, `2018-10-04`.
    pub from: Option<String>,
    /// The last day.
    pub to: Option<String>,
    /// The zone of the days.
    pub zone: Option<String>,
}

/// What was written about the job.
#[derive(Clone, Default)]
pub struct JobParts {
    /// A YAML file, or the name of a registered definition.
    pub definition: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// The queue for slices whose hosts are taken too often.
    pub fallback_queue: Option<String>,
    /// The share of a fair-share queue.
    pub share_identifier: Option<String>,
    /// vCPUs.
    pub vcpus: Option<u64>,
    /// Memory.
    pub memory: Option<MemoryParts>,
    /// The longest that an attempt may run.
    pub timeout: Option<String>,
    /// `slice`, `partition` or `no`.
    pub idempotent: Option<String>,
    /// `prefix` or `manifest`.
    pub reads: Option<String>,
    /// `exit` or `result`.
    pub success: Option<String>,
    /// The command, word by word.
    pub command: Option<Vec<String>>,
    /// The environment, in the order it was written.
    pub environment: Vec<(String, String)>,
    /// What tells that a job ran out of memory.
    pub out_of_memory: Option<MemorySignsParts>,
}

/// What was written about the signs of a job that ran out of memory.
#[derive(Clone, Default)]
pub struct MemorySignsParts {
    /// Exit codes.
    pub exit_codes: Option<Vec<String>>,
    /// Regular expressions on the last lines of its log.
    pub log: Option<Vec<String>>,
}

/// What was written about memory: sizes with units.
#[derive(Clone, Default)]
pub struct MemoryParts {
    /// What a first try gets.
    pub start: Option<String>,
    /// What no try goes beyond.
    pub max: Option<String>,
}

/// What was written about retries.
#[derive(Clone, Default)]
pub struct RetryParts {
    /// After the job's own failure.
    pub app: Option<u64>,
    /// After a lost host.
    pub spot: Option<u64>,
    /// After a failed start.
    pub start: Option<u64>,
    /// Lost hosts before the fallback queue.
    pub fallback_after: Option<u64>,
}

/// What was written about limits.
#[derive(Clone, Default)]
pub struct LimitsParts {
    /// Jobs at a time.
    pub in_flight: Option<u64>,
    /// A share such as `5%`, or a count.
    pub stop_after: Option<String>,
    /// Jobs in one plan.
    pub max_jobs: Option<u64>,
    /// Jobs that go first.
    pub pilots: Option<u64>,
}

/// What was written about the size of slices.
#[derive(Clone, Default)]
pub struct SplitParts {
    /// A size with a unit.
    pub max_bytes: Option<String>,
    /// A number.
    pub max_objects: Option<u64>,
    /// Nothing was written, not even what could not be read.
    pub is_empty: bool,
}

/// What was written about prices, in dollars.
#[derive(Clone, Default)]
pub struct PricesParts {
    /// One vCPU for one hour.
    pub vcpu_hour: Option<f64>,
    /// One GiB for one hour.
    pub gib_hour: Option<f64>,
}

/// What was written about AWS.
#[derive(Clone, Default)]
pub struct AwsParts {
    /// The Region.
    pub region: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// Another endpoint.
    pub endpoint_url: Option<String>,
}

/// What was written about the local engine.
#[derive(Clone, Default)]
pub struct LocalParts {
    /// The folder that stands in for S3.
    pub lake: Option<String>,
    /// vCPUs.
    pub vcpus: Option<u64>,
    /// A size with a unit.
    pub memory: Option<String>,
    /// How many hosts are taken within a minute: a percentage.
    pub reclaims: Option<String>,
    /// What decides which.
    pub seed: Option<u64>,
}
