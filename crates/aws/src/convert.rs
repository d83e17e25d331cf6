//! Jobs as Batch tells them → jobs as the engine knows them.

use aws_sdk_batch::types::{AttemptContainerDetail, AttemptDetail, ContainerDetail, JobDetail, JobStatus};
use chrono::{DateTime, Utc};
use dayfill_core::fact::LiveStatus;
use dayfill_core::failure::{AttemptEnd, JobEnd, reclaims};
use dayfill_core::job::JobName;
use dayfill_engine::ports::{SeenJob, SeenState};

/// The tag in which the local engine tells how much memory a job held at most. AWS Batch tells no peak.
const PEAK_TAG: &str = "local:peak-memory-kib";

/// A job of DescribeJobs; `None` where the answer names none.
pub(crate) fn seen_job(job: &JobDetail) -> Option<SeenJob> {
    let name = JobName::from_text(job.job_name()?);
    let live = |status| SeenState::Live {
        status,
        reason: job.status_reason().map(ToOwned::to_owned),
        reclaims: reclaims(&attempts(job)),
    };
    let state = match job.status()? {
        JobStatus::Succeeded => SeenState::Succeeded(job_end(job)),
        JobStatus::Failed => SeenState::Failed(job_end(job)),
        JobStatus::Runnable => live(LiveStatus::Runnable),
        JobStatus::Starting => live(LiveStatus::Starting),
        JobStatus::Running => live(LiveStatus::Running),
        // A status of a later year counts as the earliest: nothing follows from it.
        _ => live(LiveStatus::Submitted),
    };
    let peak = job.tags().and_then(|tags| tags.get(PEAK_TAG)).and_then(|kib| kib.parse().ok());
    Some(SeenJob {
        job_id: job.job_id()?.to_owned(),
        name,
        state,
        log_stream: log_stream(job),
        peak_kib: peak,
    })
}

fn job_end(job: &JobDetail) -> JobEnd {
    let container = job.container();
    JobEnd {
        last: AttemptEnd {
            exit_code: container.and_then(ContainerDetail::exit_code),
            reason: container.and_then(|c| c.reason()).map(ToOwned::to_owned),
            status_reason: job.status_reason().map(ToOwned::to_owned),
            started_at: job.started_at().and_then(milliseconds),
            stopped_at: job.stopped_at().and_then(milliseconds),
        },
        attempts: attempts(job),
        cancelled: job.is_cancelled().unwrap_or_default(),
        terminated: job.is_terminated().unwrap_or_default(),
    }
}

fn attempts(job: &JobDetail) -> Vec<AttemptEnd> {
    oldest_first(job).into_iter().map(attempt_end).collect()
}

fn attempt_end(attempt: &AttemptDetail) -> AttemptEnd {
    let container = attempt.container();
    AttemptEnd {
        exit_code: container.and_then(AttemptContainerDetail::exit_code),
        reason: container.and_then(|c| c.reason()).map(ToOwned::to_owned),
        status_reason: attempt.status_reason().map(ToOwned::to_owned),
        started_at: attempt.started_at().and_then(milliseconds),
        stopped_at: attempt.stopped_at().and_then(milliseconds),
    }
}

/// The attempts by the time they stopped. The order of the answer is not documented, and which attempt was the
/// last decides what becomes of the job.
fn oldest_first(job: &JobDetail) -> Vec<&AttemptDetail> {
    let mut attempts: Vec<_> = job.attempts().iter().collect();
    if attempts.iter().all(|a| a.stopped_at().is_some()) {
        attempts.sort_by_key(|a| a.stopped_at());
    }
    attempts
}

/// The stream of the container that runs or ran last: the top level tells of it, the attempts only of ended ones.
fn log_stream(job: &JobDetail) -> Option<String> {
    let current = job.container().and_then(|c| c.log_stream_name());
    let ended = || oldest_first(job).into_iter().rev().find_map(|a| a.container()?.log_stream_name());
    current.or_else(ended).map(ToOwned::to_owned)
}

/// Batch tells times in milliseconds since the epoch; zero, which it sends for a job that never started, is no time.
fn milliseconds(at: i64) -> Option<DateTime<Utc>> {
    if at == 0 { None } else { DateTime::from_timestamp_millis(at) }
}

#[cfg(test)]
mod tests;
