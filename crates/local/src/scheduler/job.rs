//! One job: what it asks for, and how far it has come.

use serde::{Deserialize, Serialize};

use super::{Array, Capacity, Millis, Rule};

/// A job's number; jobs submitted later have higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKey(pub u64);

impl JobKey {
    /// The number of a child, where this is an array's: children follow their parent, and nobody else has their numbers.
    #[must_use]
    pub fn child(self, index: u32) -> Self {
        Self(self.0.saturating_add(1).saturating_add(u64::from(index)))
    }
}

/// The states of a job, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Accepted.
    Submitted,
    /// Waiting for the jobs that it depends on.
    Pending,
    /// Waiting for room.
    Runnable,
    /// Handed to the runner.
    Starting,
    /// Its command runs.
    Running,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

impl Status {
    /// All states, in their order.
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// Whether a runner has the job.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// The name that the service uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What a job asks of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The name of its queue.
    pub queue: String,
    /// The resources that it holds while it runs.
    pub demand: Capacity,
    /// How many attempts it has, at least 1.
    pub attempts: u32,
    /// `evaluateOnExit`.
    pub rules: Vec<Rule>,
    /// How long an attempt may run, in milliseconds from its start.
    pub timeout: Option<Millis>,
    /// The jobs that must have SUCCEEDED before this one may start.
    pub depends_on: Vec<JobKey>,
    /// Set when the job was accepted and yet cannot run: it goes straight to FAILED with this `statusReason`.
    pub doomed: Option<String>,
    /// Set where this is the submission of an array: of all its children, that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<Array>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code; none when the command never ran, or nobody saw it end.
    pub exit_code: Option<i32>,
    /// `container.reason`.
    pub reason: Option<String>,
    /// `statusReason`.
    pub status_reason: String,
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When its command began to run.
    pub started_at: Option<Millis>,
    /// When it was over.
    pub stopped_at: Millis,
    /// How it ended.
    pub end: End,
}

/// Why a running attempt is being ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It ran longer than its timeout.
    TimedOut,
    /// Somebody terminated the job, with this reason.
    Terminated(String),
    /// Its host was taken; the text becomes its `statusReason`.
    HostLost(String),
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Its state.
    pub status: Status,
    /// When it was accepted.
    pub created_at: Millis,
    /// When its latest attempt began to run.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub stopped_at: Option<Millis>,
    /// `statusReason`.
    pub status_reason: Option<String>,
    /// The attempts that are over.
    pub attempts: Vec<Attempt>,
    /// The environment that holds the current attempt, or held the latest.
    pub environment: Option<String>,
    /// Set while the current attempt is being ended; of an array, since it was terminated.
    pub ending: Option<Ending>,
    /// The reason of a cancel that waits for the job's dependencies; of an array's, that reached any of its children.
    pub cancelling: Option<String>,
    /// Whether somebody cancelled the job.
    pub cancelled: bool,
    /// Whether somebody terminated the job.
    pub terminated: bool,
}

impl JobState {
    /// The state of a job that was accepted at `created_at`.
    pub fn new(created_at: Millis) -> Self {
        Self {
            status: Status::Submitted,
            created_at,
            started_at: None,
            stopped_at: None,
            status_reason: None,
            attempts: Vec::new(),
            environment: None,
            ending: None,
            cancelling: None,
            cancelled: false,
            terminated: false,
        }
    }

    /// The number of the attempt that runs, or comes next; counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempts.len() as u32 + 1
    }
}
