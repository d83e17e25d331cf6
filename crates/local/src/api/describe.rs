//! DescribeJobs.

use serde_json::{Value, json};

use super::check::refused;
use super::tags;
use crate::engine::{Engine, Job};
use crate::names::{log_stream, run_id};
use crate::scheduler::{Attempt, JobState, Status, Summary};
use crate::wire::answers::{ArrayDetail, AttemptContainer, AttemptDetail, ContainerDetail, JobDetail};
use crate::wire::requests::DescribeJobs;
use crate::wire::{self, ApiError};

const MOST_JOBS: usize = 100;
const MOST_TAGS: usize = 50;

/// The tag that tells the most memory, in KiB, that the latest attempt of an ended job was seen to hold. The API has
/// no member for it.
pub const PEAK_TAG: &str = "local:peak-memory-kib";

/// `DescribeJobs`. Ids that are not known are left out of the answer.
pub fn describe_jobs(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let request: DescribeJobs = wire::read(request)?;
    if request.jobs.is_empty() {
        return refused("Jobs should not be null or empty");
    }
    if request.jobs.len() > MOST_JOBS {
        return refused(format!("Maximum number of jobs supported is  {MOST_JOBS} ."));
    }
    let mut found = Vec::new();
    for text in &request.jobs {
        let job = engine.find(text);
        if let Some((job, state)) = job.and_then(|job| Some((job, engine.state(job.key)?))) {
            found.push(wire::write(&detail(engine, job, state))?);
        }
    }
    Ok(json!({ "jobs": found }))
}

fn detail(engine: &Engine, job: &Job, state: &JobState) -> JobDetail {
    let record = &job.record;
    let names = &engine.config.names;
    let id = job.id();
    // Children have the tags of their array.
    let mut tags = tags::of(engine, &names.job(&record.id));
    let peak = job.peaks.get(&(state.attempts.len() as u32));
    if let Some(peak) = peak.filter(|_| state.status.is_terminal() && tags.len() < MOST_TAGS) {
        tags.insert(PEAK_TAG.to_owned(), peak.to_string());
    }
    let attempts = state.attempts.iter().zip(1..).map(|(attempt, number)| AttemptDetail {
        container: ended_container(engine, job, attempt, number),
        started_at: attempt.started_at,
        stopped_at: attempt.stopped_at,
        status_reason: attempt.end.status_reason.clone(),
    });
    JobDetail {
        job_name: record.name.clone(),
        job_arn: names.job(&id),
        job_id: id,
        job_queue: names.queue(&record.submission.queue),
        status: state.status.name(),
        share_identifier: record.share.clone(),
        scheduling_priority: record.scheduling_priority,
        attempts: attempts.collect(),
        status_reason: state.status_reason.clone(),
        created_at: record.created_at,
        retry_strategy: record.retry.clone(),
        started_at: state.started_at.unwrap_or(0),
        stopped_at: state.stopped_at,
        depends_on: record.depends_on.clone(),
        job_definition: names.definition(&record.definition.0, record.definition.1),
        parameters: record.parameters.clone(),
        container: ContainerDetail {
            properties: record.container.clone(),
            outcome: current_container(engine, job, state),
        },
        array_properties: array(engine, job),
        timeout: record.timeout,
        tags,
        propagate_tags: record.propagate_tags,
        platform_capabilities: record.platforms.clone(),
        is_cancelled: state.cancelled,
        is_terminated: state.terminated,
    }
}

/// What an array or a child of one tells of that.
pub fn array(engine: &Engine, job: &Job) -> Option<ArrayDetail> {
    let summary = engine.summary(job.key);
    let by_status =
        |summary: Summary| Status::ALL.map(|status| (status.name(), summary.count(status))).into();
    let size = job.record.submission.array.as_ref()?.size;
    Some(ArrayDetail {
        status_summary: summary.map(by_status),
        size: summary.map(|_| size),
        index: job.index,
    })
}

fn current_container(engine: &Engine, job: &Job, state: &JobState) -> AttemptContainer {
    if state.status.is_active() {
        return container(engine, job, state.attempt(), state.status == Status::Running);
    }
    match state.attempts.last() {
        Some(attempt) => ended_container(engine, job, attempt, state.attempts.len() as u32),
        None => AttemptContainer::default(),
    }
}

fn ended_container(engine: &Engine, job: &Job, attempt: &Attempt, number: u32) -> AttemptContainer {
    AttemptContainer {
        exit_code: attempt.end.exit_code,
        reason: attempt.end.reason.clone(),
        ..container(engine, job, number, attempt.started_at.is_some())
    }
}

fn container(engine: &Engine, job: &Job, attempt: u32, has_run: bool) -> AttemptContainer {
    let names = &engine.config.names;
    let run = run_id(&job.id(), attempt);
    AttemptContainer {
        container_instance_arn: job.hosts.get(&attempt).map(|host| names.container_instance(host)),
        task_arn: Some(names.task(&run)),
        log_stream_name: has_run.then(|| log_stream(&job.record.definition.0, &run)),
        ..AttemptContainer::default()
    }
}
