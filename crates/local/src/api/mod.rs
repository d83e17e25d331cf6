//! The operations of Batch. Each takes a request and answers as the service does; the limits and the texts of its
//! errors are the service's where they are known.

mod check;
mod definitions;
mod describe;
mod environments;
mod list;
mod queues;
mod stop;
mod submit;
mod tags;
#[cfg(test)]
mod tests;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::scheduler::Millis;
use crate::wire::{self, ApiError};

/// One call and what became of it.
#[derive(Debug)]
pub struct Call {
    /// The operation's name in the service model; empty where there is none.
    pub operation: &'static str,
    /// The request, with the members that stand in the path.
    pub request: Value,
    /// The answer.
    pub outcome: Result<Value, ApiError>,
}

const TAGS: &str = "/v1/tags/";

/// Answers one call.
pub fn call(engine: &mut Engine, now: Millis, method: &str, path: &str, body: &[u8]) -> Call {
    let path = path.split('?').next().unwrap_or_default();
    let operation = operation(method, path);
    let mut request = match wire::parse(body) {
        Ok(request) => request,
        Err(error) => return Call { operation, request: Value::Null, outcome: Err(error) },
    };
    if let (Some(arn), Some(members)) = (path.strip_prefix(TAGS), request.as_object_mut()) {
        let arn = percent_decode_str(arn).decode_utf8_lossy().into_owned();
        members.insert("resourceArn".to_owned(), json!(arn));
    }
    let outcome = answer(engine, now, operation, &request, body.len());
    let outcome = outcome.map_err(|error| match error {
        ApiError::UnknownOperation(_) => {
            ApiError::UnknownOperation(format!("{method} {path} is not an operation of this engine"))
        }
        error => error,
    });
    Call { operation, request, outcome }
}

fn operation(method: &str, path: &str) -> &'static str {
    if path.starts_with(TAGS) {
        return match method {
            "GET" => "ListTagsForResource",
            "POST" => "TagResource",
            _ => "",
        };
    }
    if method != "POST" {
        return "";
    }
    match path.trim_end_matches('/') {
        "/v1/submitjob" => "SubmitJob",
        "/v1/describejobs" => "DescribeJobs",
        "/v1/listjobs" => "ListJobs",
        "/v1/canceljob" => "CancelJob",
        "/v1/terminatejob" => "TerminateJob",
        "/v1/canceljobs" => "CancelJobs",
        "/v1/terminatejobs" => "TerminateJobs",
        "/v1/registerjobdefinition" => "RegisterJobDefinition",
        "/v1/describejobdefinitions" => "DescribeJobDefinitions",
        "/v1/deregisterjobdefinition" => "DeregisterJobDefinition",
        "/v1/createcomputeenvironment" => "CreateComputeEnvironment",
        "/v1/describecomputeenvironments" => "DescribeComputeEnvironments",
        "/v1/createjobqueue" => "CreateJobQueue",
        "/v1/describejobqueues" => "DescribeJobQueues",
        _ => "",
    }
}

fn answer(
    engine: &mut Engine,
    now: Millis,
    operation: &str,
    request: &Value,
    size: usize,
) -> Result<Value, ApiError> {
    match operation {
        "SubmitJob" => submit::submit_job(engine, now, request, size),
        "DescribeJobs" => describe::describe_jobs(engine, request),
        "ListJobs" => list::list_jobs(engine, request),
        "CancelJob" => stop::stop_job(engine, now, request, stop::Verb::Cancel),
        "TerminateJob" => stop::stop_job(engine, now, request, stop::Verb::Terminate),
        "CancelJobs" => stop::stop_jobs(engine, now, request, stop::Verb::Cancel),
        "TerminateJobs" => stop::stop_jobs(engine, now, request, stop::Verb::Terminate),
        "RegisterJobDefinition" => definitions::register(engine, request, size),
        "DescribeJobDefinitions" => definitions::describe(engine, request),
        "DeregisterJobDefinition" => definitions::deregister(engine, request),
        "CreateComputeEnvironment" => environments::create(engine, request),
        "DescribeComputeEnvironments" => environments::describe(engine, request),
        "CreateJobQueue" => queues::create(engine, request),
        "DescribeJobQueues" => queues::describe(engine, request),
        "ListTagsForResource" => tags::list(engine, request),
        "TagResource" => tags::add(engine, request),
        _ => Err(ApiError::UnknownOperation(String::new())),
    }
}
