//! The whole engine over its one port: a job is submitted, works on S3, and its log is read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::time::{Duration, Instant};

use lake_support::{Engine, Reply, has, output};
use serde_json::{Value, json};

/// How long a job may take; on a busy machine everything takes long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Reads an object, counts, writes the result back: all that it needs is in its environment.
const JOB: &str = r#"
set -eu
s3() { curl -sSf --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"; }
s3 "$AWS_ENDPOINT_URL_S3/lake/in.txt" > in.txt
wc -l < in.txt > out.txt
s3 -T out.txt "$AWS_ENDPOINT_URL_S3/lake/out.txt"
echo "counted for $AWS_BATCH_JOB_ID"
"#;

fn engine() -> Engine {
    let engine = Engine::start_with(|config| {
        config.dispatch = true;
        config.guard = vec![env!("CARGO_BIN_EXE_dayfill-local-guard").into()];
    });
    assert_eq!(engine.put("/lake", "").status, 200);
    engine
}

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

fn batch(engine: &Engine, operation: &str, request: &Value) -> Value {
    let call = engine.call("POST", &format!("/v1/{operation}")).with(|call| call.service = "batch".into());
    json_of(&call.header("content-type", "application/json").body(request.to_string()).send())
}

fn logs(engine: &Engine, request: &Value) -> Value {
    let call = engine.call("POST", "/").with(|call| call.service = "logs".into());
    let call = call.header("x-amz-target", "Logs_20140328.GetLogEvents");
    json_of(&call.header("content-type", "application/x-amz-json-1.1").body(request.to_string()).send())
}

fn until_over(engine: &Engine, job: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let detail = batch(engine, "describejobs", &json!({ "jobs": [job] }))["jobs"][0].clone();
        if detail["status"] == "SUCCEEDED" || detail["status"] == "FAILED" {
            return detail;
        }
        assert!(Instant::now() < until, "the job did not end: {detail:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn submit(engine: &Engine) -> String {
    let container = json!({ "command": ["sh", "-c", JOB], "vcpus": 1, "memory": 64 });
    batch(
        engine,
        "registerjobdefinition",
        &json!({ "jobDefinitionName": "count", "type": "container", "containerProperties": container }),
    );
    let request = json!({ "jobName": "count-1", "jobQueue": "default", "jobDefinition": "count" });
    batch(engine, "submitjob", &request)["jobId"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_works_on_s3_and_its_log_is_read_over_the_same_port() {
    if !has("curl", &["--version"]) {
        return;
    }
    let engine = engine();
    assert_eq!(engine.put("/lake/in.txt", "1\n2\n3\n").status, 200);
    let job = submit(&engine);
    let detail = until_over(&engine, &job);
    let stream = &detail["container"]["logStreamName"];
    let log = logs(
        &engine,
        &json!({ "logGroupName": "/aws/batch/job", "logStreamName": stream, "startFromHead": true }),
    );
    assert_eq!(detail["status"], "SUCCEEDED", "{log:#}");
    assert_eq!(engine.get("/lake/out.txt").text().trim(), "3");
    let said = log["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
    assert_eq!(said.collect::<Vec<_>>(), [format!("counted for {job}")]);
}

#[test]
fn the_aws_cli_drives_batch_and_reads_logs() {
    if !has("aws", &["--version"]) || !has("curl", &["--version"]) {
        return;
    }
    let mut engine = engine();
    engine.put("/lake/in.txt", "1\n");
    let job = submit(&engine);
    let detail = until_over(&engine, &job);
    let stream = detail["container"]["logStreamName"].as_str().unwrap();
    let aws = |arguments: &[&str]| output(engine.command("aws").args(arguments).args(["--output", "json"]));
    let found = aws(&["batch", "list-jobs", "--job-queue", "default", "--job-status", "SUCCEEDED"]);
    assert!(found.contains(&job), "{found}");
    assert!(aws(&["batch", "describe-jobs", "--jobs", &job]).contains("\"exitCode\": 0"));
    let events =
        ["logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name", stream];
    assert!(aws(&events).contains(&format!("counted for {job}")));
    let mut refused = engine.command("aws");
    refused.args([
        "batch",
        "submit-job",
        "--job-name",
        "x",
        "--job-queue",
        "none",
        "--job-definition",
        "none",
    ]);
    let refused = refused.output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ClientException"));
    engine.restart();
    let gone = engine.command("aws").args(["batch", "describe-jobs", "--jobs", &job]).output().unwrap();
    assert!(String::from_utf8_lossy(&gone.stdout).contains("SUCCEEDED"), "what is over is remembered");
}
