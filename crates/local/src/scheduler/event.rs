//! What goes into the scheduler and what comes out.

use super::{End, JobKey, Status, Submission};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A job was accepted.
    Submitted(JobKey, Box<Submission>),
    /// The command of an attempt runs.
    Started(JobKey, u32),
    /// An attempt is over.
    Ended(JobKey, u32, End),
    /// CancelJob, with its reason.
    Cancelled(JobKey, String),
    /// TerminateJob, with its reason.
    Terminated(JobKey, String),
    /// The host of all active attempts is gone; the text becomes their `statusReason`.
    HostLost(String),
    /// Time has passed.
    Tick,
}

/// What the runner must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an effect that is dropped leaves its job where it is for ever"]
pub enum Effect {
    /// Start this attempt.
    Start(JobKey, u32),
    /// Ask this attempt to end (SIGTERM).
    Ask(JobKey, u32),
    /// Kill this attempt (SIGKILL).
    Kill(JobKey, u32),
}

/// A job entered a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The job.
    pub job: JobKey,
    /// Its new state, or its old one where only something else about it changed.
    pub status: Status,
}
