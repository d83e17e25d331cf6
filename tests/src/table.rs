//! The job table of a local engine as it lies in its folder, read without any code of the product.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// A job that the engine took.
#[derive(Debug, Clone)]
pub struct EngineJob {
    /// Its queue.
    pub queue: String,
    /// What it asked for.
    pub memory_mib: u64,
    /// Its attempts that are over.
    pub attempts: Vec<EngineAttempt>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct EngineAttempt {
    /// From its start to its end; nothing where it never started.
    pub ran: Duration,
    /// The exit code, where there is one.
    pub exit_code: Option<i64>,
    /// It was killed for its memory.
    pub out_of_memory: bool,
    /// Its host was taken, or went with the engine.
    pub host_lost: bool,
    /// The most memory that it was seen to hold.
    pub peak_kib: Option<u64>,
}

/// All jobs of the engine that keeps its things in this folder, in the order in which it took them.
pub fn engine_jobs(folder: &Path) -> Vec<EngineJob> {
    let mut jobs = BTreeMap::new();
    let table = fs::read_to_string(folder.join("jobs.jsonl")).unwrap();
    for line in table.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if let Some(job) = record.get("job") {
            let submission = &job["submission"];
            let job = EngineJob {
                queue: submission["queue"].as_str().unwrap().to_owned(),
                memory_mib: submission["demand"]["memory_mib"].as_u64().unwrap(),
                attempts: Vec::new(),
            };
            jobs.insert(record["job"]["key"].as_u64().unwrap(), job);
        } else if let Some(state) = record.get("state") {
            // A later line about a job says all that the earlier ones did.
            jobs.get_mut(&state[0].as_u64().unwrap()).unwrap().attempts = attempts(&state[1]);
        }
    }
    jobs.into_values().collect()
}

fn attempts(progress: &Value) -> Vec<EngineAttempt> {
    let attempts = progress["state"]["attempts"].as_array().unwrap();
    let attempt = |(number, attempt): (u32, &Value)| {
        let (end, stopped) = (&attempt["end"], attempt["stopped_at"].as_u64().unwrap());
        let says = |member: &str, text| end[member].as_str().is_some_and(|said| said.starts_with(text));
        EngineAttempt {
            ran: attempt["started_at"]
                .as_u64()
                .map_or(Duration::ZERO, |started| Duration::from_millis(stopped.saturating_sub(started))),
            exit_code: end["exit_code"].as_i64(),
            out_of_memory: says("reason", "OutOfMemoryError"),
            host_lost: says("status_reason", "Host EC2 (instance i-"),
            peak_kib: progress["peaks"][number.to_string()].as_u64(),
        }
    };
    (1..).zip(attempts).map(attempt).collect()
}
