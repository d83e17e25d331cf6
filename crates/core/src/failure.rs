//! Why a job failed, decided once from what Batch says. Past this module there are only classes.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The failure classes. Each leads to another decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The container went over its memory.
    OutOfMemory,
    /// The host went away: a Spot reclaim, or its death.
    HostLost,
    /// The attempt ran longer than its timeout.
    TimedOut,
    /// The container never started: image, credentials, command.
    StartFailed,
    /// Exit code 137 and no reason: perhaps memory, perhaps a kill from inside.
    KilledUnknown,
    /// Somebody cancelled or terminated it.
    Ended,
    /// Batch ended it because it could not be placed (`JobStateTimeLimit`).
    Stuck,
    /// The job's own failure.
    App,
    /// It vanished from Batch past the time that Batch keeps jobs in sight.
    Lost,
}

impl FailureClass {
    /// Every class, in the order in which tables show them.
    pub const ALL: [Self; 9] = [
        Self::OutOfMemory,
        Self::HostLost,
        Self::TimedOut,
        Self::StartFailed,
        Self::KilledUnknown,
        Self::Ended,
        Self::Stuck,
        Self::App,
        Self::Lost,
    ];
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "out of memory",
            Self::HostLost => "host lost",
            Self::TimedOut => "timed out",
            Self::StartFailed => "did not start",
            Self::KilledUnknown => "killed, cause unknown",
            Self::Ended => "terminated",
            Self::Stuck => "stuck, ended by the queue",
            Self::App => "job failed",
            Self::Lost => "lost",
        })
    }
}

/// One attempt of a job, as DescribeJobs tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptEnd {
    /// The container's exit code, where it had one.
    pub exit_code: Option<i32>,
    /// `attempts[].container.reason`.
    pub reason: Option<String>,
    /// `attempts[].statusReason`.
    pub status_reason: Option<String>,
    /// When the attempt began to run.
    pub started_at: Option<DateTime<Utc>>,
    /// When it stopped.
    pub stopped_at: Option<DateTime<Utc>>,
}

/// A FAILED job, as DescribeJobs tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobEnd {
    /// What the top level says: exit code, reason, times.
    pub last: AttemptEnd,
    /// The attempts, oldest first.
    pub attempts: Vec<AttemptEnd>,
    /// CancelJob acted on it.
    pub cancelled: bool,
    /// TerminateJob acted on it.
    pub terminated: bool,
}

const START_FAILURES: [&str; 8] = [
    "task failed to start",
    "cannotpull",
    "cannotcreate",
    "cannotstart",
    "cannotinspectcontainererror",
    "dockertimeouterror",
    "resourceinitializationerror",
    "container overrides length must be at most",
];

/// Classifies a FAILED job.
///
/// The first row that fits decides; comparison ignores case, and both the last attempt and the top level are
/// read, since Batch fills now the one and now the other:
///
/// 1. timed out: a reason says so (often beside exit code 137, so before the kills)
/// 2. stuck: ended by `JobStateTimeLimit`
/// 3. out of memory: the container's reason says so, whatever the exit code
/// 4. terminated or cancelled
/// 5. host lost: `Host EC2 …` or a Spot interruption
/// 6. did not start
/// 7. exit code 137 without a reason: killed, cause unknown
/// 8. everything else is the job's own failure
pub fn classify(end: &JobEnd) -> FailureClass {
    let last = end.attempts.last();
    let says = |what: &dyn Fn(&str) -> bool| {
        let of = |a: &AttemptEnd| {
            [&a.reason, &a.status_reason].into_iter().flatten().any(|t| what(&t.to_ascii_lowercase()))
        };
        of(&end.last) || last.is_some_and(of)
    };
    if says(&|t| t.contains("attempt duration exceeded timeout")) {
        FailureClass::TimedOut
    } else if says(&|t| t.contains("jobstatetimelimit")) {
        FailureClass::Stuck
    } else if says(&|t| t.contains("outofmemory")) {
        FailureClass::OutOfMemory
    } else if end.cancelled || end.terminated {
        FailureClass::Ended
    } else if says(&|t| t.starts_with("host ec2") || t.contains("spot task was interrupted")) {
        FailureClass::HostLost
    } else if says(&|t| START_FAILURES.iter().any(|s| t.contains(s))) {
        FailureClass::StartFailed
    } else if end.last.exit_code.or(last.and_then(|a| a.exit_code)) == Some(137) {
        FailureClass::KilledUnknown
    } else {
        FailureClass::App
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(exit: Option<i32>, reason: &str, status: &str) -> AttemptEnd {
        let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        AttemptEnd {
            exit_code: exit,
            reason: text(reason),
            status_reason: text(status),
            ..Default::default()
        }
    }

    fn class(last: AttemptEnd, attempts: Vec<AttemptEnd>) -> FailureClass {
        classify(&JobEnd { last, attempts, ..Default::default() })
    }

    #[test]
    fn every_row_of_the_table() {
        use FailureClass::*;
        let oom = "OutOfMemoryError: Container killed due to memory usage";
        let exited = "Essential container in task exited";
        for (want, exit, reason, status) in [
            (TimedOut, Some(137), "", "Job attempt duration exceeded timeout"),
            (HostLost, None, "", "Host EC2 (instance i-0abc) terminated."),
            (HostLost, Some(143), "", "Host EC2 (instance i-0abc) terminated."),
            (HostLost, None, "", "Your Spot Task was interrupted."),
            (OutOfMemory, Some(137), oom, exited),
            (OutOfMemory, Some(2), oom, exited),
            (OutOfMemory, None, oom, exited),
            (KilledUnknown, Some(137), "", exited),
            (StartFailed, None, "CannotPullContainerError: pull access denied", "Task failed to start"),
            (StartFailed, None, "DockerTimeoutError: Could not transition to started", ""),
            (Stuck, None, "", "Canceled by JobStateTimeLimit action due to reason: CAPACITY"),
            (App, Some(1), "", exited),
            (App, Some(143), "", exited),
            (App, None, "", "something nobody has seen yet"),
        ] {
            let said = attempt(exit, reason, status);
            assert_eq!(class(said.clone(), vec![]), want, "top level: {reason} {status}");
            assert_eq!(class(AttemptEnd::default(), vec![said.clone()]), want, "attempt: {reason} {status}");
            let shouted = attempt(exit, &reason.to_uppercase(), &status.to_uppercase());
            assert_eq!(class(shouted, vec![]), want, "case: {reason} {status}");
        }
    }

    #[test]
    fn only_the_last_attempt_counts() {
        let lost = attempt(None, "", "Host EC2 (instance i-0abc) terminated.");
        let failed = attempt(Some(1), "", "Essential container in task exited");
        assert_eq!(class(failed.clone(), vec![lost, failed]), FailureClass::App);
    }

    #[test]
    fn a_kill_from_outside_is_not_the_jobs_failure() {
        let end = JobEnd {
            terminated: true,
            last: attempt(Some(137), "", "no longer wanted"),
            ..Default::default()
        };
        assert_eq!(classify(&end), FailureClass::Ended);
    }
}
