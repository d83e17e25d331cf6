//! The ports: what the engine asks of the world. `dayfill-aws` answers them over S3 and Batch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::fact::LiveStatus;
use dayfill_core::failure::JobEnd;
use dayfill_core::job::{JobName, Submission};

/// What kind of thing went wrong, as far as it changes what a person should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bucket, queue or definition is not there.
    NotFound,
    /// Not allowed (403, file permissions).
    Denied,
    /// No credentials, or expired ones.
    Credentials,
    /// Nobody answers at the endpoint.
    Unreachable,
    /// Too fast, after all retries.
    Throttled,
    /// No room left.
    Full,
    /// Anything else.
    Other,
}

/// An answer that is none: one line that says what was asked, what came back, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PortError {
    /// For decisions.
    pub kind: ErrorKind,
    /// What was asked of whom, and what came back.
    pub what: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl PortError {
    /// An error of this kind, without a hint.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The whole key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// As the store gave it.
    pub etag: String,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

/// What page of what listing.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Keys that begin with this, in the bucket.
    pub prefix: &'a str,
    /// Group what lies below the next `/` into prefixes.
    pub folders: bool,
    /// Where the page before ended.
    pub token: Option<&'a str>,
}

/// A page of a listing, at most 1,000 objects and prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Objects in order of key.
    pub objects: Vec<ListedObject>,
    /// Common prefixes, each ending in `/`.
    pub prefixes: Vec<String>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
}

/// The place that the objects lie in.
#[async_trait]
pub trait Source: Send + Sync {
    /// One page of a listing. Retries and back-off are the adapter's.
    async fn page(&self, request: PageRequest<'_>) -> Result<Page, PortError>;
}

/// Until when a submission may leave this machine.
///
/// Counted from before its intent was stored, by two clocks: the monotonic one stands still while a machine sleeps,
/// the wall clock may be set back; the later of the two decides.
#[derive(Clone)]
pub struct SendBy {
    clock: Arc<dyn Clock>,
    monotonic: Duration,
    wall: DateTime<Utc>,
}

impl SendBy {
    /// `within` from now on.
    pub fn starting_now(clock: Arc<dyn Clock>, within: Duration) -> Self {
        let monotonic = clock.monotonic() + within;
        let wall = clock.now() + TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX);
        Self { clock, monotonic, wall }
    }

    /// The submission may no longer be sent.
    pub fn is_past(&self) -> bool {
        self.clock.monotonic() >= self.monotonic || self.clock.now() >= self.wall
    }

    /// How long it may still be sent.
    pub fn left(&self) -> Duration {
        self.monotonic.saturating_sub(self.clock.monotonic())
    }
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Batch took it under this id.
    Accepted {
        /// Batch's id.
        job_id: String,
    },
    /// Batch said that it did nothing, and why.
    Refused {
        /// What Batch said.
        why: String,
    },
    /// Too fast (429): nothing was done, and it may be sent again.
    Throttled,
    /// It never left this machine, because its time was up.
    NotSent {
        /// In words.
        why: String,
    },
    /// The credentials are missing, expired or unknown: nothing was done, and it says nothing about the job.
    SignedOut {
        /// For the person who can sign in.
        error: PortError,
    },
    /// Anything else: it may have arrived.
    Unknown {
        /// What was heard instead of an answer.
        why: String,
    },
}

/// A job found by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundJob {
    /// Its name.
    pub name: JobName,
    /// Batch's id.
    pub job_id: String,
}

/// Where a job stands, as DescribeJobs tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenState {
    /// It has not ended.
    Live {
        /// Its status.
        status: LiveStatus,
        /// Why it waits, where Batch says so.
        reason: Option<String>,
        /// How many of its attempts have ended with their host.
        reclaims: u32,
    },
    /// SUCCEEDED.
    Succeeded(JobEnd),
    /// FAILED.
    Failed(JobEnd),
}

/// A job as DescribeJobs tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenJob {
    /// Batch's id.
    pub job_id: String,
    /// Its name.
    pub name: JobName,
    /// Where it stands.
    pub state: SeenState,
    /// CloudWatch Logs stream of the last attempt.
    pub log_stream: Option<String>,
    /// The most memory that its last attempt held at once, where the queue tells.
    pub peak_kib: Option<u64>,
}

/// The times that hold for a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// A submission is sent within this time of its intent being stored, or not at all.
    pub send_within: Duration,
    /// How long after its intent was stored a submission may still turn up: the time to send it, the age at which
    /// the service refuses its signature, and the time until it can be seen.
    pub grace: Duration,
    /// Intents stored before this moment can no longer arrive: whoever could have taken them is gone. (The local
    /// engine takes new keys at every start.)
    pub forgotten_before: Option<DateTime<Utc>>,
    /// A job that was accepted and is not told of for so long is lost.
    pub lost_after: Duration,
    /// Before the first retry of a job that did not start.
    pub start_failure: Duration,
    /// Shortest and longest time from one look to the next.
    pub poll: (Duration, Duration),
    /// Most SubmitJob requests a second.
    pub submits_per_second: f64,
}

/// AWS Batch, or what speaks like it.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends one SubmitJob, once: no retries, a finite timeout, and nothing at all once `send_by` is past.
    async fn submit(&self, submission: &Submission, send_by: &SendBy) -> Sent;

    /// All jobs of a queue whose names begin with `prefix`, from all pages.
    async fn find(&self, queue: &str, prefix: &str) -> Result<Vec<FoundJob>, PortError>;

    /// The jobs of these ids, at most 100 at a time; ids that Batch does not know are left out.
    async fn describe(&self, ids: &[String]) -> Result<Vec<SeenJob>, PortError>;

    /// Asks Batch to end a job.
    async fn terminate(&self, job_id: &str, why: &str) -> Result<(), PortError>;

    /// The last `lines` lines of a log stream; none where there is no such stream (yet).
    async fn log_tail(&self, stream: &str, lines: usize) -> Result<Vec<String>, PortError>;

    /// The times that hold here.
    fn bounds(&self) -> Bounds;
}

/// What came of an attempt to create a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is stored, since this moment of the store's clock.
    Stored(DateTime<Utc>),
    /// The number is taken; by whom, reading it back tells.
    Taken,
}

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSegment {
    /// Its number, from 1.
    pub number: u64,
    /// All of it.
    pub bytes: Vec<u8>,
    /// When it was stored, on the store's clock.
    pub stored_at: DateTime<Utc>,
}

/// The place that segments, adopted plans, manifests, results and a snapshot are kept in.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The segments from this number on, in order.
    async fn segments(&self, from: u64) -> Result<Vec<StoredSegment>, PortError>;

    /// Stores a segment only if its number is free; a reader sees all of it or nothing.
    async fn create(&self, number: u64, bytes: &[u8]) -> Result<Created, PortError>;

    /// Keeps a plan under its digest; keeping it twice changes nothing.
    async fn keep_plan(&self, digest: &str, bytes: &[u8]) -> Result<(), PortError>;

    /// The plan of this digest.
    async fn plan(&self, digest: &str) -> Result<Option<Vec<u8>>, PortError>;

    /// Keeps a manifest under the fingerprint of what it lists; keeping it twice changes nothing.
    async fn keep_manifest(&self, fingerprint: &str, bytes: &[u8]) -> Result<(), PortError>;

    /// What the job of this name has written about itself, if it has; no more than its first `most` bytes.
    async fn result(&self, job: &str, most: u64) -> Result<Option<Vec<u8>>, PortError>;

    /// Keeps a snapshot in place of the one before. Readers see the one or the other; of two writers the later stays.
    async fn keep_snapshot(&self, bytes: &[u8]) -> Result<(), PortError>;

    /// The snapshot that was kept last.
    async fn snapshot(&self) -> Result<Option<Vec<u8>>, PortError>;

    /// The store's clock.
    async fn now(&self) -> Result<DateTime<Utc>, PortError>;

    /// Where it is, for messages.
    fn place(&self) -> String;
}

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed moment, which is never set back.
    fn monotonic(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, span: Duration);
}
