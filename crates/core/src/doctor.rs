//! What `dayfill doctor` finds: checks with their outcome, and the decisions behind those that need no I/O.

mod hosts;
mod queue;
mod room;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

pub use self::queue::{Environment, EnvironmentKind, ShareMismatch, environments, queue, share};
pub use self::room::{memory, platform, vcpus};
use crate::spec::{Idempotent, RetryPolicy};
use crate::units::show_duration;

/// A clock that is off by no more is taken to be right.
const SKEW_NOTED: TimeDelta = TimeDelta::seconds(30);
/// AWS refuses signatures that are five to fifteen minutes off, depending on the service.
const SKEW_MOST: TimeDelta = TimeDelta::minutes(4);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warning,
    /// It cannot work.
    Failed,
    /// Not looked at, because a check that it rests on failed.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: lower case with underscores, the same in every version.
    pub id: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was seen, one line. May hold other people's text.
    pub detail: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(id: &'static str, detail: impl Into<String>) -> Self {
        Self { id, status: Status::Ok, detail: detail.into(), remedy: None }
    }

    /// It works, but somebody should know.
    pub fn warning(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, status: Status::Warning, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// It cannot work.
    pub fn failed(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, status: Status::Failed, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// Not looked at, because of this other check.
    pub fn skipped(id: &'static str, because: &str) -> Self {
        Self {
            id,
            status: Status::Skipped,
            detail: format!("not checked, because of {because}"),
            remedy: None,
        }
    }
}

/// Whether nothing failed.
pub fn passed(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.status != Status::Failed)
}

/// How far `store`'s clock is ahead of this machine's (or behind it, if negative).
///
/// Requests are signed with this machine's time, and a service refuses signatures that are too old or too new.
pub fn clock(store: &str, ahead: TimeDelta) -> Check {
    const ID: &str = "clock";
    const REMEDY: &str = "set this machine's clock, and let it follow a time server";
    let off = ahead.abs();
    let shown = show_duration(off.to_std().unwrap_or(Duration::MAX));
    let side = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
    if off <= SKEW_NOTED {
        let about =
            if off < TimeDelta::seconds(2) { "agree".to_owned() } else { format!("are {shown} apart") };
        return Check::ok(ID, format!("the clocks of {store} and of this machine {about}"));
    }
    let detail = format!("the clock of {store} is {shown} {side} this machine's");
    if off <= SKEW_MOST {
        Check::warning(ID, detail, REMEDY)
    } else {
        Check::failed(ID, format!("{detail}, and requests that are so far off are refused"), REMEDY)
    }
}

/// Whether what Batch and dayfill repeat fits the hosts that may be taken away.
pub fn retry(retry: RetryPolicy, idempotent: Idempotent, environments: &[Environment]) -> Check {
    const ID: &str = "retry";
    let spot = environments.iter().any(|e| e.kind.is_spot());
    match (spot, idempotent, retry.spot) {
        (true, Idempotent::No, _) => Check::warning(
            ID,
            "hosts are Spot and idempotent is no, so every job whose host is taken asks a person",
            "name a queue without Spot, or make the job one that may run again",
        ),
        (false, Idempotent::No, _) => {
            Check::ok(ID, "nothing runs twice (idempotent: no): a failure after the start asks a person")
        }
        (true, _, 0) => Check::warning(
            ID,
            "hosts are Spot and retry.spot is 0, so a job whose host is taken waits until somebody watches",
            "leave retry.spot out: Batch then repeats such a job by itself, up to 8 times",
        ),
        (true, _, times) => Check::ok(
            ID,
            format!(
                "Batch repeats a job whose Spot host is taken, up to {times} times; other ends come back"
            ),
        ),
        (false, ..) => Check::ok(ID, "no host is Spot, so retry.spot is not needed; other ends come back"),
    }
}

/// Whether a job that hangs comes to an end. `definition` is the timeout of the job definition, in seconds.
pub fn timeout(yaml: Option<Duration>, definition: Option<u64>) -> Check {
    const ID: &str = "timeout";
    match (yaml, definition) {
        (Some(timeout), _) => {
            Check::ok(ID, format!("an attempt may take {}, and once twice that", show_duration(timeout)))
        }
        (None, Some(seconds)) => Check::ok(
            ID,
            format!(
                "an attempt may take {} (the job definition's)",
                show_duration(Duration::from_secs(seconds))
            ),
        ),
        (None, None) => Check::warning(
            ID,
            "there is no timeout: a job that hangs keeps its host for ever",
            "write how long a day may take at most, such as job.timeout: 2h",
        ),
    }
}
