//! An engine in a folder of its own, and what tests ask of it.

#![allow(dead_code, reason = "every test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it should be")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dayfill_local::{Batch, BatchConfig, LimitMeans, Runner};
use serde_json::{Value, json};

/// How long anything may take; on a busy machine everything takes long.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Rig {
    pub batch: Arc<Batch>,
    pub dir: tempfile::TempDir,
}

pub fn config(dir: &Path) -> BatchConfig {
    BatchConfig {
        dir: dir.to_owned(),
        vcpus: 4,
        memory_mib: 1024,
        region: "eu-west-1".to_owned(),
        account: "000000000000".to_owned(),
        guard: vec![env!("CARGO_BIN_EXE_dayfill-local-guard").into()],
        dispatch: true,
        runner: Runner::Process,
        limit: LimitMeans::Auto,
        record: None,
        second: Duration::from_secs(1),
        reclaims: None,
    }
}

impl Rig {
    pub async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    pub async fn open_with(change: impl FnOnce(&mut BatchConfig)) -> Self {
        Self::reopen(tempfile::tempdir().unwrap(), change).await
    }

    pub async fn reopen(dir: tempfile::TempDir, change: impl FnOnce(&mut BatchConfig)) -> Self {
        let mut config = config(dir.path());
        change(&mut config);
        let batch = Batch::open(config).unwrap();
        let env = [("AWS_ENDPOINT_URL_BATCH", "http://127.0.0.1:1"), ("AWS_REGION", "eu-west-1")];
        batch.start(env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()).await.unwrap();
        Self { batch, dir }
    }

    pub async fn close(self) -> tempfile::TempDir {
        self.batch.shutdown().await;
        self.dir
    }

    pub async fn call(&self, path: &str, request: Value) -> (u16, Value) {
        let (status, _, body) = self.batch.call("POST", path, request.to_string().as_bytes()).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub async fn ok(&self, path: &str, request: Value) -> Value {
        let (status, answer) = self.call(path, request).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Registers a definition of 10 MiB; `more` are members of its container, or of itself.
    pub async fn register(&self, name: &str, command: &[&str], more: Value) {
        let mut request = json!({
            "jobDefinitionName": name,
            "type": "container",
            "containerProperties": { "command": command, "vcpus": 1, "memory": 10 },
        });
        for (member, value) in more.as_object().unwrap() {
            match member.as_str() {
                "parameters" | "retryStrategy" => request[member] = value.clone(),
                _ => request["containerProperties"][member] = value.clone(),
            }
        }
        self.ok("/v1/registerjobdefinition", request).await;
    }

    pub async fn submit(&self, mut request: Value) -> String {
        if request.get("jobName").is_none() {
            request["jobName"] = json!("test");
        }
        request["jobQueue"] = json!("default");
        text(&self.ok("/v1/submitjob", request).await["jobId"])
    }

    pub async fn describe(&self, job: &str) -> Value {
        self.ok("/v1/describejobs", json!({ "jobs": [job] })).await["jobs"][0].clone()
    }

    pub async fn until_over(&self, job: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let detail = self.describe(job).await;
            if detail["status"] == "SUCCEEDED" || detail["status"] == "FAILED" {
                return detail;
            }
            assert!(Instant::now() < until, "the job did not end: {detail:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn until_status(&self, job: &str, status: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let detail = self.describe(job).await;
            if detail["status"] == status {
                return detail;
            }
            assert!(Instant::now() < until, "the job did not become {status}: {detail:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn until(&self, holds: impl Fn() -> bool, what: &str) {
        until(holds, what).await;
    }

    pub async fn log(&self, detail: &Value) -> Vec<String> {
        let request = json!({
            "logGroupName": "/aws/batch/job",
            "logStreamName": detail["container"]["logStreamName"],
            "startFromHead": true,
        });
        let target = "Logs_20140328.GetLogEvents";
        let (status, _, body) = self.batch.call_logs(target, request.to_string().as_bytes()).await;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["events"].as_array().unwrap().iter().map(|event| text(&event["message"])).collect()
    }
}

pub async fn until(holds: impl Fn() -> bool, what: &str) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The processes of a job that have not ended, by the mark in their environment.
pub fn processes_of(job: &str) -> Vec<i32> {
    let mark = format!("AWS_BATCH_JOB_ID={job}");
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| {
        let environ = fs::read(entry.path().join("environ")).ok()?;
        let ours = environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        ours.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    })
    .collect()
}

/// The children of a process.
pub fn children(parent: u32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
        let ours = fields.get(1)? == &parent.to_string() && fields.first()? != &"Z";
        ours.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    })
    .collect()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub fn attempts(detail: &Value) -> Vec<Value> {
    detail["attempts"].as_array().unwrap().clone()
}

/// Says, where nobody can overlook it, that something was not tried.
pub fn skip(reason: &str) {
    use std::io::Write as _;
    // Past the harness, which keeps what `eprintln!` says of a test that passes to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
