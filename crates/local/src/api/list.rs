//! ListJobs, and pages.

use std::cmp::Reverse;
use std::ops::Bound;

use serde_json::{Value, json};

use super::check::{self, client, refused};
use super::{describe, queues};
use crate::engine::{Engine, Job};
use crate::scheduler::{JobKey, JobState, Status};
use crate::wire::answers::{ContainerSummary, JobSummary};
use crate::wire::requests::{Filter, ListJobs};
use crate::wire::{self, ApiError};

const BY_STATUS: usize = 1000;
const BY_FILTER: usize = 100;

/// `ListJobs`: of one status, or by one filter and then of all statuses; the newest first.
pub fn list_jobs(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let request: ListJobs = wire::read(request)?;
    check::absent(request.multi_node_job_id.as_ref(), "Multi-node parallel jobs are")?;
    let family = match (&request.job_queue, &request.array_job_id) {
        (Some(queue), None) => Family::Queue(queues::named(engine, queue)?.name.clone()),
        (None, Some(text)) => match engine.find(text) {
            Some(job) if engine.summary(job.key).is_some() => Family::Array(job.key),
            _ => return client(format!("Job {text} not found.")),
        },
        _ => return refused("Exactly one of jobQueue, arrayJobId and multiNodeJobId should be given"),
    };
    if request.filters.len() > 1 {
        return refused("Only one filter can be used at a time");
    }
    let status = match request.job_status.as_deref() {
        None => None,
        Some(name) => match Status::parse(name) {
            Some(status) => Some(status),
            None => return refused(format!("Job status {name} is not supported")),
        },
    };
    let filter = request.filters.first().map(Choice::parse).transpose()?;
    // As the service documents it.
    let filter = filter.filter(|_| matches!(family, Family::Queue(_)));
    let most = if filter.is_some() { BY_FILTER } else { BY_STATUS };
    let most = check::max_results(request.max_results, most)?;
    let status = match &filter {
        None => Some(status.unwrap_or(Status::Running)),
        Some(Choice::Share(_)) => status,
        Some(_) => None,
    };
    let mut wanted: Vec<(&Job, &JobState)> = family
        .jobs(engine)
        .filter_map(|job| Some((job, engine.state(job.key)?)))
        .filter(|(_, state)| status.is_none_or(|status| state.status == status))
        .filter(|(job, _)| filter.as_ref().is_none_or(|filter| filter.matches(engine, job)))
        .collect();
    let by_name = matches!(filter, Some(Choice::Name(_)));
    if by_name {
        wanted.sort_by_key(|(job, _)| place(job));
    }
    let from = match &request.next_token {
        None => 0,
        Some(token) => after(engine, &wanted, token, by_name)?,
    };
    let rest = wanted.get(from..).unwrap_or_default();
    let page: Vec<JobSummary> =
        rest.iter().take(most).map(|(job, state)| summary(engine, job, state)).collect();
    let last = page.len().checked_sub(1).and_then(|last| rest.get(last));
    let next = last.filter(|_| rest.len() > most).map(|(job, _)| format!("{:016x}", job.key.0));
    Ok(with_token(json!({ "jobSummaryList": wire::write(&page)? }), next))
}

// Grouped by name and definition, the newest first within.
fn place(job: &Job) -> (String, String, (String, u32), Reverse<JobKey>) {
    let record = &job.record;
    (record.name.to_lowercase(), record.name.clone(), record.definition.clone(), Reverse(job.key))
}

// The token names the last job of the page before, so jobs that come or go in between shift nothing.
fn after(
    engine: &Engine,
    wanted: &[(&Job, &JobState)],
    token: &str,
    by_name: bool,
) -> Result<usize, ApiError> {
    let key = u64::from_str_radix(token, 16).ok().map(JobKey);
    let Some(last) = key.and_then(|key| engine.jobs.get(&key)) else {
        return client("The nextToken is not valid.");
    };
    Ok(wanted.partition_point(
        |(job, _)| {
            if by_name { place(job) <= place(last) } else { job.key >= last.key }
        },
    ))
}

enum Family {
    Queue(String),
    Array(JobKey),
}

impl Family {
    // The newest first. Of a queue only the arrays are listed, of an array its children.
    fn jobs<'a>(&self, engine: &'a Engine) -> Box<dyn Iterator<Item = &'a Job> + 'a> {
        match self {
            Self::Queue(queue) => {
                let queue = queue.clone();
                let all = engine.jobs.values().rev().filter(|job| job.index.is_none());
                Box::new(all.filter(move |job| job.record.submission.queue == queue))
            }
            Self::Array(key) => {
                let after = (Bound::Excluded(*key), Bound::Unbounded);
                let children = engine.jobs.range(after).map(|(_, job)| job);
                let children: Vec<&Job> = children.take_while(|job| job.index.is_some()).collect();
                Box::new(children.into_iter().rev())
            }
        }
    }
}

enum Choice {
    Name(Vec<String>),
    Definition(Vec<String>),
    Before(i64),
    After(i64),
    Share(Vec<String>),
}

impl Choice {
    fn parse(filter: &Filter) -> Result<Self, ApiError> {
        let values = filter.values.clone();
        if values.is_empty() {
            return refused(format!("Filter {} should have a value", filter.name));
        }
        let time = || match values.first().map(|value| value.parse()) {
            Some(Ok(time)) => Ok(time),
            _ => refused(format!("The value of filter {} should be a number of milliseconds", filter.name)),
        };
        match filter.name.as_str() {
            "JOB_NAME" => Ok(Self::Name(values.iter().map(|value| value.to_lowercase()).collect())),
            "JOB_DEFINITION" => Ok(Self::Definition(values)),
            "BEFORE_CREATED_AT" => Ok(Self::Before(time()?)),
            "AFTER_CREATED_AT" => Ok(Self::After(time()?)),
            "SHARE_IDENTIFIER" => Ok(Self::Share(values)),
            other => refused(format!("Filter {other} is not supported")),
        }
    }

    fn matches(&self, engine: &Engine, job: &Job) -> bool {
        let record = &job.record;
        match self {
            Self::Name(names) => {
                let name = record.name.to_lowercase();
                names.iter().any(|wanted| glob(wanted, &name))
            }
            Self::Definition(wanted) => {
                let arn = engine.config.names.definition(&record.definition.0, record.definition.1);
                wanted.iter().any(|wanted| *wanted == arn || glob(wanted, &record.definition.0))
            }
            Self::Before(time) => record.created_at < *time,
            Self::After(time) => record.created_at > *time,
            Self::Share(wanted) => record.share.as_ref().is_some_and(|share| wanted.contains(share)),
        }
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    }
}

fn summary(engine: &Engine, job: &Job, state: &JobState) -> JobSummary {
    let record = &job.record;
    let (names, id) = (&engine.config.names, job.id());
    let container = state.attempts.last().map(|attempt| ContainerSummary {
        exit_code: attempt.end.exit_code,
        reason: attempt.end.reason.clone(),
    });
    JobSummary {
        job_arn: names.job(&id),
        job_id: id,
        job_name: record.name.clone(),
        created_at: record.created_at,
        share_identifier: record.share.clone(),
        status: state.status.name(),
        status_reason: state.status_reason.clone(),
        started_at: state.started_at,
        stopped_at: state.stopped_at,
        container,
        array_properties: describe::array(engine, job),
        job_definition: names.definition(&record.definition.0, record.definition.1),
    }
}

/// Cuts a page out of `items`: those after the one that `token` names, at most `most`, and the token of the next page.
pub fn page<'a, T>(
    items: impl Iterator<Item = &'a T>,
    name: impl Fn(&&'a T) -> String,
    token: Option<&str>,
    most: usize,
) -> Result<(Vec<&'a T>, Option<String>), ApiError> {
    let mut items = items.peekable();
    if let Some(token) = token
        && !items.by_ref().any(|item| name(&item) == token)
    {
        return client("The nextToken is not valid.");
    }
    let page: Vec<&T> = items.by_ref().take(most).collect();
    let next = items.peek().and_then(|_| page.last().map(&name));
    Ok((page, next))
}

/// Adds the token of the next page, if there is one.
pub fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let (Some(members), Some(next)) = (answer.as_object_mut(), next) {
        members.insert("nextToken".to_owned(), json!(next));
    }
    answer
}
