//! Clients that people use, against Batch and its logs: the AWS CLI and boto3. What they sent and were answered is
//! checked against the service's own model. Where one is not installed, its test says so and passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lake_support::{Engine, has, output, skip};
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients_batch.py");
/// Names a program that compares recorded calls, read as JSON lines, with botocore's model of the service.
const CHECKER: &str = "SHAPECHECK";
/// How long a job may take; on a busy machine everything takes long.
const PATIENCE: Duration = Duration::from_mins(1);

/// An engine that runs jobs, and the file that it records calls in.
fn engine() -> (Engine, PathBuf) {
    let mut record = PathBuf::new();
    let engine = Engine::start_with(|config| {
        record = config.dir.with_file_name("calls.jsonl");
        config.vcpus = 4;
        config.dispatch = true;
        config.guard = vec![env!("CARGO_BIN_EXE_dayfill-local-guard").into()];
        config.record = Some(record.clone());
    });
    (engine, record)
}

fn aws(engine: &Engine, arguments: &[&str]) -> Value {
    let text = output(engine.command("aws").args(arguments).args(["--output", "json"]));
    // Some operations answer nothing.
    if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

fn refused(engine: &Engine, arguments: &[&str]) -> String {
    let output = engine.command("aws").args(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?} was not refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn register(engine: &Engine, name: &str, script: &str) -> Value {
    let container = json!({ "command": ["sh", "-c", script], "vcpus": 1, "memory": 16 }).to_string();
    let name = ["--job-definition-name", name, "--type", "container", "--container-properties", &container];
    aws(engine, &[&["batch", "register-job-definition"], &name[..]].concat())
}

fn submit(engine: &Engine, name: &str, definition: &str, more: &[&str]) -> String {
    let named = ["--job-name", name, "--job-queue", "default", "--job-definition", definition];
    let answer = aws(engine, &[&["batch", "submit-job"], &named[..], more].concat());
    answer["jobId"].as_str().unwrap().to_owned()
}

fn until(engine: &Engine, job: &str, statuses: &[&str]) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let detail = aws(engine, &["batch", "describe-jobs", "--jobs", job])["jobs"][0].clone();
        if statuses.contains(&detail["status"].as_str().unwrap()) {
            return detail;
        }
        assert!(Instant::now() < until, "not {statuses:?}: {detail:#}");
    }
}

/// That every recorded body has the shape that the service's model gives it.
fn shapes_are_right(record: &Path, at_least: usize) {
    let lines = std::fs::read_to_string(record).unwrap().lines().count();
    assert!(lines >= at_least, "only {lines} calls were recorded");
    let Some(checker) = std::env::var_os(CHECKER) else {
        return skip(&format!("{CHECKER} names no checker of recorded calls"));
    };
    if has("python3", &["-c", "import botocore"]) {
        let said =
            output(Command::new("python3").arg(checker).arg("batch").stdin(File::open(record).unwrap()));
        assert!(said.ends_with(" 0 findings\n"), "{said}");
    }
}

#[test]
fn boto3_finds_batch_as_it_is_on_aws() {
    if !has("python3", &["-c", "import boto3"]) {
        return;
    }
    let (engine, record) = engine();
    assert_eq!(output(engine.command("python3").arg(SCRIPT)), "all as it should be\n");
    shapes_are_right(&record, 40);
}

#[test]
fn the_aws_cli_runs_a_job_and_reads_its_log() {
    if !has("aws", &["--version"]) {
        return;
    }
    let (engine, record) = engine();
    assert_eq!(register(&engine, "say", "echo one; echo two")["revision"], 1);
    let job = submit(&engine, "say-1", "say", &["--tags", "a=1"]);
    let detail = until(&engine, &job, &["SUCCEEDED", "FAILED"]);
    assert_eq!((&detail["status"], &detail["container"]["exitCode"]), (&json!("SUCCEEDED"), &json!(0)));
    let stream = detail["container"]["logStreamName"].as_str().unwrap();
    let events =
        ["logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name", stream];
    let events = aws(&engine, &events)["events"].clone();
    let said: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["one", "two"]);
    let arn = detail["jobArn"].as_str().unwrap();
    aws(&engine, &["batch", "tag-resource", "--resource-arn", arn, "--tags", "b=2"]);
    let tags = aws(&engine, &["batch", "list-tags-for-resource", "--resource-arn", arn])["tags"].clone();
    assert_eq!(tags, json!({ "a": "1", "b": "2" }));
    aws(&engine, &["batch", "deregister-job-definition", "--job-definition", "say:1"]);
    let again = ["--job-name", "x", "--job-queue", "default", "--job-definition", "say"];
    let said = refused(&engine, &[&["batch", "submit-job"], &again[..]].concat());
    assert!(said.contains("(ClientException)") && said.contains("not in ACTIVE status"), "{said}");
    shapes_are_right(&record, 6);
}

#[test]
fn the_aws_cli_lists_in_pages_and_stops_jobs() {
    if !has("aws", &["--version"]) {
        return;
    }
    let (engine, record) = engine();
    register(&engine, "long", "sleep 600");
    let jobs: Vec<String> =
        (0..3).map(|number| submit(&engine, &format!("long-{number}"), "long", &[])).collect();
    let waiting = submit(&engine, "waiting", "long", &["--depends-on", &format!("jobId={}", jobs[0])]);
    for job in &jobs {
        until(&engine, job, &["RUNNING"]);
    }
    let by_name = ["--filters", "name=JOB_NAME,values=LONG-*", "--page-size", "1"];
    let list = ["batch", "list-jobs", "--job-queue", "default"];
    let names = |arguments: &[&str]| -> Vec<String> {
        let found = aws(&engine, &[&list[..], arguments].concat())["jobSummaryList"].clone();
        found.as_array().unwrap().iter().map(|job| job["jobName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&by_name), ["long-0", "long-1", "long-2"]);
    assert_eq!(names(&["--page-size", "2"]), ["long-2", "long-1", "long-0"], "those that run");
    assert_eq!(names(&["--job-status", "PENDING"]), ["waiting"]);
    aws(&engine, &["batch", "cancel-job", "--job-id", &waiting, "--reason", "not needed"]);
    for job in &jobs {
        aws(&engine, &["batch", "terminate-job", "--job-id", job, "--reason", "enough"]);
    }
    for job in &jobs {
        let detail = until(&engine, job, &["SUCCEEDED", "FAILED"]);
        assert_eq!((&detail["statusReason"], &detail["isTerminated"]), (&json!("enough"), &json!(true)));
    }
    let detail = until(&engine, &waiting, &["FAILED"]);
    assert_eq!(detail["isCancelled"], true);
    let said = refused(&engine, &["batch", "cancel-job", "--job-id", "none", "--reason", "x"]);
    assert!(said.contains("Job none not found."), "{said}");
    shapes_are_right(&record, 15);
}
