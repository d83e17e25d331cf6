//! Why a job failed, decided once from what Batch says. Past this module there are only classes.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::spec::MemorySigns;

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
    /// It is recorded as SUCCEEDED, but its host was being taken from it, and what handles SIGTERM may exit with 0 half-way;
    /// or it did not write the result that it promises.
    Suspect,
}

impl FailureClass {
    /// Every class, in the order in which tables show them.
    pub const ALL: [Self; 10] = [
        Self::OutOfMemory,
        Self::HostLost,
        Self::TimedOut,
        Self::StartFailed,
        Self::KilledUnknown,
        Self::Ended,
        Self::Stuck,
        Self::App,
        Self::Lost,
        Self::Suspect,
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
            Self::Suspect => "suspect success",
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
///
/// What the job itself said may then still make an out-of-memory of the last two: see [`memory_sign`].
pub fn classify(end: &JobEnd) -> FailureClass {
    let last = end.attempts.last();
    let says = |what: &dyn Fn(&str) -> bool| end.last.says(what) || last.is_some_and(|a| a.says(what));
    if says(&|t| t.contains("attempt duration exceeded timeout")) {
        FailureClass::TimedOut
    } else if says(&|t| t.contains("jobstatetimelimit")) {
        FailureClass::Stuck
    } else if says(&|t| t.contains("outofmemory")) {
        FailureClass::OutOfMemory
    } else if end.cancelled || end.terminated {
        FailureClass::Ended
    } else if says(&tells_of_a_lost_host) {
        FailureClass::HostLost
    } else if says(&|t| START_FAILURES.iter().any(|s| t.contains(s))) {
        FailureClass::StartFailed
    } else if end.last.exit_code.or(last.and_then(|a| a.exit_code)) == Some(137) {
        FailureClass::KilledUnknown
    } else {
        FailureClass::App
    }
}

impl AttemptEnd {
    fn says(&self, what: &dyn Fn(&str) -> bool) -> bool {
        [&self.reason, &self.status_reason].into_iter().flatten().any(|t| what(&t.to_ascii_lowercase()))
    }

    fn lost_its_host(&self) -> bool {
        let end = JobEnd { last: self.clone(), ..JobEnd::default() };
        classify(&end) == FailureClass::HostLost
    }
}

fn tells_of_a_lost_host(text: &str) -> bool {
    text.starts_with("host ec2") || text.contains("spot task was interrupted")
}

/// How many of these attempts ended with their host.
pub fn reclaims(attempts: &[AttemptEnd]) -> u32 {
    attempts.iter().filter(|a| a.lost_its_host()).count() as u32
}

/// How long the attempts that ended with their host ran, together.
pub fn reclaimed(attempts: &[AttemptEnd]) -> TimeDelta {
    let lost = attempts.iter().filter(|a| a.lost_its_host());
    let times = lost.filter_map(|a| Some((a.stopped_at? - a.started_at?).max(TimeDelta::zero())));
    times.fold(TimeDelta::zero(), |sum, time| sum + time)
}

/// Whether a SUCCEEDED job was cut short: its last attempt ended with its host, whatever its exit code says.
pub fn is_suspect(end: &JobEnd) -> bool {
    end.last.says(&tells_of_a_lost_host) || end.attempts.last().is_some_and(AttemptEnd::lost_its_host)
}

/// What a job itself said of having run out of memory: a runtime with a heap of its own, a JVM above all, gives up before
/// the container does, and Batch then knows only an exit code. `None` where nothing tells, or where Batch has named another
/// cause.
pub fn memory_sign(
    class: FailureClass,
    exit_code: Option<i32>,
    log: &[String],
    signs: &MemorySigns,
) -> Option<String> {
    if !matches!(class, FailureClass::App | FailureClass::KilledUnknown) {
        return None;
    }
    // Patterns were checked when the YAML was read.
    let patterns: Vec<Regex> = signs.log.iter().filter_map(|p| Regex::new(p).ok()).collect();
    let line = log.iter().rev().find(|line| patterns.iter().any(|p| p.is_match(line)));
    let code =
        || exit_code.filter(|code| signs.exit_codes.contains(code)).map(|code| format!("exit code {code}"));
    line.cloned().or_else(code)
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

    /// Each row against every row below it, in every place that Batch may have put the two.
    #[test]
    fn the_first_row_that_fits_decides() {
        let exited = "Essential container in task exited";
        let rows = [
            (FailureClass::TimedOut, attempt(None, "", "Job attempt duration exceeded timeout")),
            (FailureClass::Stuck, attempt(None, "", "Canceled by JobStateTimeLimit action due to reason: X")),
            (FailureClass::OutOfMemory, attempt(None, "OutOfMemoryError: Container killed", exited)),
            (FailureClass::Ended, attempt(None, "", "")),
            (FailureClass::HostLost, attempt(None, "", "Host EC2 (instance i-0abc) terminated.")),
            (FailureClass::StartFailed, attempt(None, "CannotPullContainerError: denied", "")),
            (FailureClass::KilledUnknown, attempt(Some(137), "", exited)),
            (FailureClass::App, attempt(Some(1), "", exited)),
        ];
        for (at, (higher, one)) in rows.iter().enumerate() {
            for (lower, other) in &rows[at..] {
                let terminated = [*higher, *lower].contains(&FailureClass::Ended);
                for (top, last) in [(one, other), (other, one)] {
                    // Of two exit codes the top level's counts.
                    if *higher == FailureClass::KilledUnknown && top.exit_code != Some(137) {
                        continue;
                    }
                    let end = JobEnd {
                        last: top.clone(),
                        attempts: vec![last.clone()],
                        terminated,
                        ..Default::default()
                    };
                    assert_eq!(classify(&end), *higher, "{top:?} and {last:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_job_said_makes_an_out_of_memory_of_what_batch_cannot_name() {
        use FailureClass::*;
        let signs = MemorySigns::default();
        let heap = "Caused by: java.lang.OutOfMemoryError: Java heap space".to_owned();
        let log = [heap.clone(), "\tat org.embulk.Runner".to_owned()];
        let sign = |class, exit, log: &[String]| memory_sign(class, Some(exit), log, &signs);
        assert_eq!(sign(App, 1, &log), Some(heap.clone()));
        assert_eq!(sign(KilledUnknown, 137, &log), Some(heap.clone()), "killed while it gave up");
        assert_eq!(sign(App, 134, &log), Some(heap), "CrashOnOutOfMemoryError");
        assert_eq!(sign(App, 3, &[]), Some("exit code 3".to_owned()), "ExitOnOutOfMemoryError");
        assert_eq!(sign(App, 1, &[]), None);
        let threads = ["java.lang.OutOfMemoryError: unable to create native thread".to_owned()];
        assert_eq!(sign(App, 1, &threads), None, "more memory gives no more threads");
        for class in FailureClass::ALL.into_iter().filter(|c| !matches!(c, App | KilledUnknown)) {
            assert_eq!(sign(class, 3, &log), None, "Batch has said that it is {class}");
        }
        let own = MemorySigns { exit_codes: vec![42], log: vec!["^MemoryError".to_owned()] };
        let python = ["MemoryError".to_owned()];
        assert_eq!(memory_sign(App, Some(1), &python, &own), Some("MemoryError".to_owned()));
        assert_eq!(memory_sign(App, Some(42), &[], &own), Some("exit code 42".to_owned()));
        assert_eq!(memory_sign(App, Some(3), &log, &own), None, "the defaults are replaced");
    }

    #[test]
    fn a_success_whose_host_was_taken_is_suspect() {
        let exited = attempt(Some(0), "", "Essential container in task exited");
        let lost = attempt(Some(0), "", "Host EC2 (instance i-0abc) terminated.");
        let end = |last: &AttemptEnd, attempts: &[&AttemptEnd]| JobEnd {
            last: last.clone(),
            attempts: attempts.iter().map(|a| (*a).clone()).collect(),
            ..Default::default()
        };
        assert!(is_suspect(&end(&lost, &[])));
        assert!(is_suspect(&end(&exited, &[&exited, &lost])));
        assert!(
            !is_suspect(&end(&exited, &[&lost, &exited])),
            "an earlier attempt was lost, and the last was whole"
        );
        assert_eq!(reclaims(&[lost.clone(), exited, lost]), 2);
    }

    #[test]
    fn reclaimed_time_is_that_of_attempts_that_lost_their_host() {
        let timed = |status: &str, from: i64, to: i64| AttemptEnd {
            started_at: DateTime::from_timestamp(from, 0),
            stopped_at: DateTime::from_timestamp(to, 0),
            ..attempt(None, "", status)
        };
        let host = "Host EC2 (instance i-0abc) terminated.";
        let never_started = AttemptEnd { started_at: None, ..timed(host, 0, 1_000) };
        let attempts = [
            timed(host, 100, 160),
            never_started,
            timed(host, 200, 190),
            timed(host, 300, 330),
            timed("Essential container in task exited", 400, 500),
        ];
        assert_eq!(reclaimed(&attempts), TimeDelta::seconds(90));
        assert_eq!(reclaimed(&[]), TimeDelta::zero());
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
