//! CancelJob, TerminateJob, and the same for many jobs.

use serde_json::{Value, json};

use super::check::{self, client, refused};
use crate::engine::Engine;
use crate::scheduler::{Event, JobKey, Millis};
use crate::wire::requests::{StopJob, StopJobs};
use crate::wire::{self, ApiError};

const MOST_JOBS: usize = 50;

/// How a job is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Verb {
    /// Only if it has not started.
    Cancel,
    /// In any state.
    Terminate,
}

impl Verb {
    fn event(self, key: JobKey, reason: &str) -> Event {
        match self {
            Self::Cancel => Event::Cancelled(key, reason.to_owned()),
            Self::Terminate => Event::Terminated(key, reason.to_owned()),
        }
    }
}

/// `CancelJob`, `TerminateJob`. They succeed even where there was nothing to stop.
pub fn stop_job(engine: &mut Engine, now: Millis, request: &Value, verb: Verb) -> Result<Value, ApiError> {
    let request: StopJob = wire::read(request)?;
    check::reason(&request.reason)?;
    let key = known(engine, &request.job_id)?;
    engine.act(now, verb.event(key, &request.reason))?;
    Ok(json!({}))
}

/// `CancelJobs`, `TerminateJobs`: jobs that are not known are reported, and do not keep the others from being stopped.
pub fn stop_jobs(engine: &mut Engine, now: Millis, request: &Value, verb: Verb) -> Result<Value, ApiError> {
    let request: StopJobs = wire::read(request)?;
    check::reason(&request.reason)?;
    if request.jobs.is_empty() || request.jobs.len() > MOST_JOBS {
        return refused(format!("The number of jobs should be between 1 and {MOST_JOBS}"));
    }
    let (mut successful, mut errors) = (Vec::new(), Vec::new());
    for job in &request.jobs {
        let stopped = known(engine, job).and_then(|key| engine.act(now, verb.event(key, &request.reason)));
        match stopped {
            Ok(()) => successful.push(job),
            Err(error) => errors.push(json!({
                "jobId": job,
                "code": error.kind(),
                "message": error.message(""),
            })),
        }
    }
    Ok(json!({ "successful": successful, "errors": errors }))
}

fn known(engine: &Engine, text: &str) -> Result<JobKey, ApiError> {
    match engine.find(text) {
        Some(job) => Ok(job.key),
        None => client(format!("Job {text} not found.")),
    }
}
