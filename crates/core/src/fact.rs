//! Facts: what happened, in the past tense. The journal is nothing but facts, and all state is a fold over them.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::FailureClass;
use crate::job::JobName;
use crate::measure::Fingerprint;
use crate::partition::SliceId;
use crate::plan::{PlanDigest, PlannedJob};
use crate::result::JobResult;
use crate::split::Cut;

/// Where jobs run. Two backfills of one name in two clouds would not see each other's jobs, so it is part of
/// who a backfill is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cloud {
    /// An account and Region of AWS.
    Aws {
        /// The 12 digits.
        account: String,
        /// Such as `ap-northeast-1`.
        region: String,
    },
    /// The local engine on this folder (its port changes with every start).
    Local {
        /// Absolute path.
        folder: String,
    },
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { account, region } => write!(f, "AWS account {account} in {region}"),
            Self::Local { folder } => write!(f, "the local engine in {folder}"),
        }
    }
}

/// What can never change about a backfill: another layout or zone would give every day another name, another
/// cloud would make every job vanish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `source.uri`.
    pub source: String,
    /// `source.layout`.
    pub layout: String,
    /// `source.zone`.
    pub key_zone: String,
    /// `window.zone`.
    pub window_zone: String,
    /// Names of the dimensions, in the order of the layout.
    pub dimensions: Vec<String>,
    /// Where the jobs run.
    pub cloud: Cloud,
}

impl Identity {
    /// What differs from `other`, one line a member: name, ours, theirs.
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let all = [
            ("source.uri", self.source.clone(), other.source.clone()),
            ("source.layout", self.layout.clone(), other.layout.clone()),
            ("source.zone", self.key_zone.clone(), other.key_zone.clone()),
            ("window.zone", self.window_zone.clone(), other.window_zone.clone()),
            ("dimensions", self.dimensions.join(", "), other.dimensions.join(", ")),
            ("cloud", self.cloud.to_string(), other.cloud.to_string()),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).collect()
    }
}

/// What will be sent: written before any SubmitJob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intended {
    /// What it reads.
    pub slice: SliceId,
    /// Which time the slice is being loaded.
    pub load: u32,
    /// Which try of this load, from 1.
    pub r#try: u32,
    /// Unique: it ends in a nonce.
    pub name: JobName,
    /// The job queue it goes to, where it will be looked for.
    pub queue: String,
    /// Why there, where that is not the first queue, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub queue_why: Option<String>,
    /// `name:revision` of the job definition.
    pub definition: String,
    /// The adopted plan that asks for it.
    pub plan: PlanDigest,
    /// Memory asked for, MiB.
    pub memory_mib: u64,
    /// Why so much, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_why: Option<String>,
    /// vCPUs asked for.
    pub vcpus: u32,
    /// Timeout of an attempt in seconds, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout_s: Option<u32>,
    /// Objects of the slice when it was planned.
    pub objects: u64,
    /// Bytes of the slice when it was planned.
    pub bytes: u64,
    /// What the slice was when it was planned.
    pub fingerprint: Fingerprint,
}

/// Where a job that has not ended stands. The order is that of a job's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveStatus {
    /// SUBMITTED or PENDING.
    Submitted,
    /// RUNNABLE: waits for a host.
    Runnable,
    /// STARTING: has a host, its container is being made.
    Starting,
    /// RUNNING.
    Running,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// SUCCEEDED.
    Succeeded,
    /// FAILED, and why.
    Failed(FailureClass),
}

/// The end of a job, with all that Batch will have forgotten in a few days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which job.
    pub name: JobName,
    /// Success, or the class.
    pub outcome: Outcome,
    /// Exit code of the last attempt's container, where it had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// What Batch said, verbatim: container reason and status reason of the last attempt.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub reasons: BTreeSet<String>,
    /// When its last attempt began to run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped_at: Option<DateTime<Utc>>,
    /// How many attempts Batch made.
    pub attempts: u32,
    /// How many of them ended with their host.
    #[serde(default)]
    pub reclaims: u32,
    /// Milliseconds that those attempts ran, together.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub reclaimed_ms: u64,
    /// The most memory that its last attempt held at once, where somebody measured it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_kib: Option<u64>,
    /// What the job said of itself, as far as it is believed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<JobResult>,
    /// Why what the job said of itself is ignored, or a part of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result_ignored: Option<String>,
    /// Why its outcome is another than Batch says, in words of dayfill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remark: Option<String>,
    /// What the job itself said of having run out of memory, where its class rests on that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sign: Option<String>,
    /// The last lines of a failed job's log, cut to a few kilobytes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub log_tail: Vec<String>,
    /// CloudWatch Logs stream of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log_stream: Option<String>,
}

/// A slice was cut. Its parts are loaded in its place, now and whenever it is loaded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// What was cut.
    pub slice: SliceId,
    /// Where.
    pub cut: Cut,
    /// Why, in words.
    pub why: String,
    /// The adopted plan that its parts are loaded for.
    pub plan: PlanDigest,
    /// The parts that have objects, as they are to be loaded.
    pub parts: Vec<PlannedJob>,
}

/// What a person said a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Loaded: it is not planned again.
    Done,
    /// Not loaded: the next plan takes it up again.
    Failed,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The backfill began. Always the first fact, and only the first.
    Opened {
        /// Distinguishes this backfill from any other of its name.
        uuid: Uuid,
        /// Its `name`.
        name: String,
        /// What can never change.
        identity: Identity,
    },
    /// A plan was submitted; it is kept beside the journal under its digest.
    Adopted {
        /// Which plan.
        digest: PlanDigest,
        /// `name:revision` that its jobs run.
        definition: String,
        /// How many jobs it has.
        jobs: u64,
    },
    /// A job will be sent.
    Intended(Intended),
    /// Batch took it.
    Accepted {
        /// Which job.
        name: JobName,
        /// Batch's id.
        job_id: String,
        /// Found by a search for its name, not told by SubmitJob.
        found: bool,
    },
    /// Batch refused it, and nothing was done.
    Refused {
        /// Which job.
        name: JobName,
        /// What Batch said.
        why: String,
    },
    /// It was sent, and nobody heard what became of it.
    Unknown {
        /// Which job.
        name: JobName,
        /// What was heard instead.
        why: String,
    },
    /// Its writer will not send it.
    Withdrawn {
        /// Which job.
        name: JobName,
        /// Why not.
        why: String,
    },
    /// It was looked for until it could no longer appear.
    NeverArrived {
        /// Which job.
        name: JobName,
    },
    /// Its status changed.
    Seen {
        /// Which job.
        name: JobName,
        /// To what.
        status: LiveStatus,
        /// What Batch says about it (a RUNNABLE job may say why it waits).
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// How many of its attempts have ended with their host.
        #[serde(skip_serializing_if = "is_zero", default)]
        reclaims: u32,
    },
    /// Batch was asked to end it.
    Ending {
        /// Which job.
        name: JobName,
        /// Why.
        why: String,
        /// The queue that its slice goes to instead, where it is ended for that.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        moves_to: Option<String>,
    },
    /// It ended.
    Ended(Box<Ended>),
    /// It vanished from Batch past its bound.
    Lost {
        /// Which job.
        name: JobName,
    },
    /// Two jobs of one load of a slice exist.
    Doubled {
        /// Of which slice.
        slice: SliceId,
        /// The job that is kept, where one could be chosen.
        kept: Option<JobName>,
    },
    /// A slice was cut into parts, before any of them is intended.
    Split(Box<Split>),
    /// It was to be cut, and cannot be.
    NotSplit {
        /// Which slice.
        slice: SliceId,
        /// Why not, in words.
        why: String,
    },
    /// No more tries.
    GaveUp {
        /// On which slice.
        slice: SliceId,
        /// The class of its last failure.
        class: FailureClass,
        /// In words.
        why: String,
    },
    /// Only a person can say what is to be done.
    AskedPerson {
        /// About which slice.
        slice: SliceId,
        /// In words.
        why: String,
    },
    /// A person said what a partition is, or a part of one.
    Marked {
        /// Which. A partition that was cut stands for all of its parts.
        #[serde(rename = "partition")]
        slice: SliceId,
        /// What it is.
        mark: Mark,
        /// Why, in the person's words.
        reason: String,
    },
    /// A person no longer wants it.
    Cancelled {
        /// Which slice.
        slice: SliceId,
        /// Why, in the person's words.
        reason: String,
    },
    /// Nothing more is submitted until a plan is adopted anew.
    Stopped {
        /// Why.
        why: String,
    },
}
