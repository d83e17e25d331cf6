//! The calls that went through a proxy, compared with the services' own models.

use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::message::Message;
use crate::skip;

/// Names a program that compares recorded calls, read as JSON lines, with botocore's model of the service.
const CHECKER: &str = "SHAPECHECK";

/// Every operation of Batch that dayfill knows of. In a path they stand in lower case.
pub const OF_BATCH: [&str; 9] = [
    "CreateJobQueue",
    "DescribeComputeEnvironments",
    "DescribeJobDefinitions",
    "DescribeJobQueues",
    "DescribeJobs",
    "ListJobs",
    "RegisterJobDefinition",
    "SubmitJob",
    "TerminateJob",
];

/// Whose call it is, as botocore names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// AWS Batch.
    Batch,
    /// CloudWatch Logs.
    Logs,
}

/// Calls and their answers, each kept once however often it was made.
#[derive(Debug, Clone, Default)]
pub struct Calls(BTreeSet<(Service, String)>);

impl Calls {
    /// Adds a call of Batch or its logs, with the engine's own answer; others are none of ours to check.
    pub(super) fn note(&mut self, request: &Message, answer: &Message) {
        let Some((service, operation)) = operation(request) else { return };
        let mut call = json!({ "operation": operation, "request": body(request) });
        // The shape of an error is no part of an operation's.
        if answer.status() == 200 {
            call["response"] = body(answer);
        }
        self.add(service, &call);
    }

    /// Adds a call as the checker reads it.
    pub fn add(&mut self, service: Service, call: &Value) {
        self.0.insert((service, call.to_string()));
    }

    /// The requests of this operation.
    pub fn requests(&self, operation: &str) -> Vec<Value> {
        let calls = self.0.iter().map(|(_, line)| serde_json::from_str::<Value>(line).unwrap());
        calls.filter(|c| c["operation"] == operation).map(|mut c| c["request"].take()).collect()
    }

    /// What the checker has to say against them; nothing where there is no checker, which is said aloud once.
    pub fn findings(&self) -> Vec<String> {
        let Some(checker) = checker() else { return Vec::new() };
        let mut findings = Vec::new();
        for (service, name) in [(Service::Batch, "batch"), (Service::Logs, "logs")] {
            let lines: Vec<&str> = self.0.iter().filter(|c| c.0 == service).map(|c| c.1.as_str()).collect();
            if lines.is_empty() {
                continue;
            }
            let mut input = tempfile::tempfile().unwrap();
            input.write_all(lines.join("\n").as_bytes()).unwrap();
            input.rewind().unwrap();
            let ran = Command::new("python3").arg(checker).arg(name).stdin(input).output().unwrap();
            let said = [ran.stdout, ran.stderr].concat();
            if !ran.status.success() {
                findings.push(format!("{}of:\n{}", String::from_utf8_lossy(&said), lines.join("\n")));
            }
        }
        findings
    }
}

/// Service and operation of a request; none of one to S3.
fn operation(request: &Message) -> Option<(Service, String)> {
    if let Some(target) = request.header("x-amz-target") {
        return Some((Service::Logs, target.rsplit('.').next()?.to_owned()));
    }
    let path = request.start.strip_prefix("POST /v1/")?.split(' ').next()?;
    // The checker finds that there is none of another name.
    let name = OF_BATCH.into_iter().find(|name| name.eq_ignore_ascii_case(path)).unwrap_or(path);
    Some((Service::Batch, name.to_owned()))
}

fn body(message: &Message) -> Value {
    if message.body.is_empty() { json!({}) } else { message.json() }
}

/// The program that checks, where there is one.
fn checker() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(found).as_ref()
}

fn found() -> Option<PathBuf> {
    let Some(program) = std::env::var_os(CHECKER) else {
        skip(&format!("{CHECKER} names no checker of recorded calls"));
        return None;
    };
    let botocore = Command::new("python3").args(["-c", "import botocore"]).output();
    if !botocore.is_ok_and(|ran| ran.status.success()) {
        skip("recorded calls are not checked: python3 has no botocore");
        return None;
    }
    Some(program.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_model_or_its_prose_is_found() {
        let describe = json!({ "operation": "DescribeJobs", "request": { "jobs": ["a"] }, "response": {} });
        let mut calls = Calls::default();
        calls.add(Service::Batch, &describe);
        assert_eq!(calls.findings(), Vec::<String>::new());
        if checker().is_none() {
            return;
        }
        for (service, bad, text) in [
            (Service::Batch, json!({ "operation": "SubmitJob", "request": {} }), "missing jobQueue"),
            (Service::Batch, json!({ "operation": "DescribeJobs", "request": { "jobs": [] } }), "not 1..100"),
            (Service::Batch, json!({ "operation": "submitjobs", "request": {} }), "no operation submitjobs"),
            (
                Service::Batch,
                json!({ "operation": "DescribeJobs", "response": { "jobs": null } }),
                "response.jobs: null",
            ),
            (
                Service::Logs,
                json!({ "operation": "GetLogEvents", "request": { "limit": 1 } }),
                "missing logStreamName",
            ),
        ] {
            let mut calls = calls.clone();
            calls.add(service, &bad);
            let [finding] = &calls.findings()[..] else { panic!("{bad} passed") };
            assert!(finding.contains(text), "{finding}");
        }
    }
}
