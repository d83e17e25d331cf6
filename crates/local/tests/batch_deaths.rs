//! Whatever dies, and however: no process is left, and the table tells what happened.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it should be")]

mod batch_support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use batch_support::{Rig, attempts, children, config, processes_of, text, until};
use dayfill_local::{Batch, OpenError, Reclaims};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

// A job whose processes try to get away in every way that is left without privileges.
const FUGITIVES: &str =
    "setsid sleep 700 & (setsid sh -c 'sleep 700 & sleep 700' &) ; nohup sleep 700 & sleep 700";

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_leaves_nobody_and_a_table_that_says_so() {
    let rig = Rig::open().await;
    rig.register("fugitives", &["sh", "-c", FUGITIVES], json!({})).await;
    rig.register("quick", &["true"], json!({})).await;
    let quick = rig.submit(json!({ "jobDefinition": "quick" })).await;
    let over = rig.until_over(&quick).await;
    let once = rig.submit(json!({ "jobDefinition": "fugitives" })).await;
    let again = json!({ "attempts": 2, "evaluateOnExit": [
        { "onStatusReason": "Host EC2*", "action": "RETRY" }, { "onStatusReason": "*", "action": "EXIT" }] });
    let twice = rig.submit(json!({ "jobDefinition": "fugitives", "retryStrategy": again })).await;
    for job in [&once, &twice] {
        rig.until_status(job, "RUNNING").await;
        rig.until(|| processes_of(job).len() >= 6, "the job has all its processes").await;
    }
    let dir = rig.close().await;
    assert!(processes_of(&once).is_empty() && processes_of(&twice).is_empty());

    let rig = Rig::reopen(dir, |_| ()).await;
    assert_eq!(rig.describe(&quick).await, over, "what was over is as it was");
    let detail = rig.describe(&once).await;
    assert_eq!(detail["status"], "FAILED");
    let reason = text(&detail["statusReason"]);
    let instance = reason.strip_prefix("Host EC2 (instance i-").and_then(|r| r.strip_suffix(") terminated."));
    assert!(
        instance.is_some_and(|id| id.len() == 17 && id.chars().all(|c| c.is_ascii_hexdigit())),
        "{reason}"
    );
    assert!(detail["container"].get("exitCode").is_none());
    let detail = rig.until_status(&twice, "RUNNING").await;
    assert_eq!(attempts(&detail)[0]["statusReason"], json!(reason));
    rig.close().await;
    assert!(processes_of(&twice).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_taken_takes_all_processes_of_its_job_with_it() {
    // So many that a host lasts about two seconds.
    let reclaims = Reclaims::new(1.0 - 1e-13, 2);
    let rig = Rig::open_with(|config| config.reclaims = reclaims).await;
    let script = format!("if [ $AWS_BATCH_JOB_ATTEMPT -lt 3 ]; then {FUGITIVES}; fi");
    rig.register("fugitives", &["sh", "-c", &script], json!({})).await;
    let retry = json!({ "attempts": 10, "evaluateOnExit": [
        { "onStatusReason": "Host EC2*", "action": "RETRY" }, { "onReason": "*", "action": "EXIT" },
        { "onStatusReason": "*", "action": "EXIT" }, { "onExitCode": "*", "action": "EXIT" }] });
    let job = rig.submit(json!({ "jobDefinition": "fugitives", "retryStrategy": retry })).await;
    let detail = rig.until_over(&job).await;
    assert_eq!(detail["status"], "SUCCEEDED", "{detail:#}");
    assert!(processes_of(&job).is_empty());
    let attempts = attempts(&detail);
    let (success, lost) = attempts.split_last().unwrap();
    assert!(lost.len() >= 2, "{detail:#}");
    for attempt in lost {
        let reason = text(&attempt["statusReason"]);
        let arn = text(&attempt["container"]["containerInstanceArn"]);
        assert_eq!(reason, format!("Host EC2 (instance {}) terminated.", arn.rsplit_once('/').unwrap().1));
        assert!(attempt["container"].get("exitCode").is_none(), "{attempt:#}");
    }
    assert_eq!(success["container"]["exitCode"], 0);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_guard_is_killed_its_jobs_end_and_another_takes_over() {
    // Guards are told apart by who started them, so this test has its engine in a process of its own.
    let (mut engine, dir) = start_engine();
    let job = engine.submit(FUGITIVES, 2);
    let guard = engine.guard();
    until(|| processes_of(&job).len() >= 6, "the job has all its processes").await;
    let before = processes_of(&job);
    kill(guard);
    until(|| before.iter().all(|pid| !processes_of(&job).contains(pid)), "the first attempt is gone").await;
    until(|| processes_of(&job).len() >= 6, "the second attempt has started").await;
    let detail = engine.describe(&job);
    assert_eq!(detail["status"], "RUNNING");
    assert!(text(&attempts(&detail)[0]["statusReason"]).starts_with("Host EC2 (instance i-"));
    assert!(children(engine.child.id()).iter().all(|pid| *pid != guard));
    engine.child.kill().unwrap();
    engine.child.wait().unwrap();
    until(|| processes_of(&job).is_empty(), "nobody is left").await;
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_engine_is_killed_nobody_is_left_and_the_table_is_whole() {
    let (mut engine, dir) = start_engine();
    let job = engine.submit(FUGITIVES, 1);
    let guard = engine.guard();
    until(|| processes_of(&job).len() >= 6, "the job has all its processes").await;
    let accepted: Vec<String> = (0..50).map(|_| engine.submit("sleep 700", 1)).collect();
    engine.child.kill().unwrap();
    engine.child.wait().unwrap();
    until(|| processes_of(&job).is_empty(), "nobody is left").await;
    until(|| !Path::new(&format!("/proc/{guard}")).exists(), "the guard is gone").await;
    assert!(!home(&dir).is_some_and(|home| home.exists()), "nor a control group");

    let rig = Rig::reopen(dir, |config| config.dispatch = false).await;
    assert!(text(&rig.describe(&job).await["statusReason"]).starts_with("Host EC2 (instance i-"));
    for job in &accepted {
        let status = text(&rig.describe(job).await["status"]);
        assert!(["RUNNABLE", "FAILED"].contains(&status.as_str()), "accepted and forgotten: {job} {status}");
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_both_are_killed_the_next_engine_sweeps() {
    let (mut engine, dir) = start_engine();
    let job = engine.submit(FUGITIVES, 1);
    let guard = engine.guard();
    until(|| processes_of(&job).len() >= 6, "the job has all its processes").await;
    // Stopped first, so that neither can act on the other's end.
    kill_process(Pid::from_raw(guard).unwrap(), Signal::STOP).unwrap();
    engine.child.kill().unwrap();
    engine.child.wait().unwrap();
    kill(guard);
    until(|| !Path::new(&format!("/proc/{guard}")).exists(), "the guard is gone").await;
    assert!(processes_of(&job).len() >= 6, "the job outlived both");
    let home = home(&dir);
    let rig = Rig::reopen(dir, |config| config.dispatch = false).await;
    assert!(processes_of(&job).is_empty());
    assert!(!home.is_some_and(|home| home.exists()), "nor a control group");
    rig.close().await;
}

// The control group of the engine of this folder, where control groups can be made.
fn home(dir: &tempfile::TempDir) -> Option<PathBuf> {
    fs::read_to_string(dir.path().join("cgroup")).ok().map(PathBuf::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_engine() {
    let rig = Rig::open_with(|config| config.dispatch = false).await;
    assert!(matches!(Batch::open(config(rig.dir.path())), Err(OpenError::Busy { .. })));
    let dir = rig.close().await;
    let rig = Rig::reopen(dir, |config| config.dispatch = false).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_last_line_was_cut_reads_back_without_it() {
    let rig = Rig::open_with(|config| config.dispatch = false).await;
    rig.register("quick", &["true"], json!({})).await;
    let first = rig.submit(json!({ "jobDefinition": "quick" })).await;
    let second = rig.submit(json!({ "jobDefinition": "quick" })).await;
    let dir = rig.close().await;
    let path = dir.path().join("jobs.jsonl");
    let table = fs::read_to_string(&path).unwrap();
    // From the end of the second job's first line on, every cut loses at most that job's later steps.
    let safe = table.find(&second).unwrap();
    let safe = safe + table[safe..].find('\n').unwrap() + 1;
    let mut dir = dir;
    for cut in (safe..table.len()).step_by(17) {
        fs::write(&path, &table[..cut]).unwrap();
        let rig = Rig::reopen(dir, |config| config.dispatch = false).await;
        for job in [&first, &second] {
            assert_eq!(rig.describe(job).await["status"], "RUNNABLE", "cut at {cut}");
        }
        dir = rig.close().await;
    }
}

/// However often the engine is killed, every job that it accepted is run to its end, and no attempt runs twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_again_and_again_loses_and_repeats_nothing() {
    let out = tempfile::tempdir().unwrap();
    let script =
        format!("echo $AWS_BATCH_JOB_ATTEMPT >> {}/$AWS_BATCH_JOB_ID; sleep 0.02", out.path().display());
    let mut dir = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    // Any spread of moments will do, as long as it is the same at every run.
    for round in 0..8_u64 {
        let (mut engine, same) = start_engine_in(dir);
        for _ in 0..=(round * 7) % 11 {
            jobs.push(engine.submit(&script, 10));
        }
        std::thread::sleep(std::time::Duration::from_millis((round * 37) % 90));
        engine.child.kill().unwrap();
        engine.child.wait().unwrap();
        dir = same;
    }
    let rig = Rig::reopen(dir, |_| ()).await;
    for job in &jobs {
        let detail = rig.until_over(job).await;
        assert_eq!(detail["status"], "SUCCEEDED", "{detail:#}");
        let ran = fs::read_to_string(out.path().join(job)).unwrap();
        let ran: Vec<usize> = ran.lines().map(|line| line.parse().unwrap()).collect();
        let ended = attempts(&detail).len();
        assert!(ran.windows(2).all(|pair| pair[0] < pair[1]), "attempts of {job} ran twice: {ran:?}");
        assert_eq!(ran.last(), Some(&ended), "the attempt that succeeded is the last one");
        for (attempt, number) in attempts(&detail).iter().zip(1..) {
            let lost = text(&attempt["statusReason"]).starts_with("Host EC2");
            assert_eq!(lost, number < ended, "only the host was ever lost: {attempt}");
        }
        assert!(processes_of(job).is_empty());
    }
    rig.close().await;
}

const ENGINE_DIR: &str = "BATCH_DEATHS_ENGINE_DIR";

/// Not a test but the engine of the tests above, in a process that can be killed: requests come in on stdin, answers
/// go out on stderr, since stdout belongs to the test harness.
#[tokio::test(flavor = "multi_thread")]
async fn engine_process() {
    let Ok(dir) = std::env::var(ENGINE_DIR) else { return };
    let batch = Batch::open(config(Path::new(&dir))).unwrap();
    batch.start(Vec::new()).await.unwrap();
    for line in std::io::stdin().lines() {
        let call: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (_, _, body) =
            batch.call("POST", &text(&call["path"]), call["request"].to_string().as_bytes()).await;
        eprintln!("{}", String::from_utf8(body).unwrap());
    }
    batch.shutdown().await;
}

struct Engine {
    child: Child,
    answers: BufReader<ChildStderr>,
}

fn start_engine() -> (Engine, tempfile::TempDir) {
    start_engine_in(tempfile::tempdir().unwrap())
}

fn start_engine_in(dir: tempfile::TempDir) -> (Engine, tempfile::TempDir) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine_process", "--nocapture"])
        .env(ENGINE_DIR, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let answers = BufReader::new(child.stderr.take().unwrap());
    (Engine { child, answers }, dir)
}

impl Engine {
    // Its only child, once a call was answered.
    fn guard(&self) -> i32 {
        *children(self.child.id()).first().unwrap()
    }

    fn call(&mut self, path: &str, request: Value) -> Value {
        let line = json!({ "path": path, "request": request });
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| {
            // What it says at its end.
            let _ = self.answers.read_to_string(&mut answer);
            panic!("no answer but {answer}")
        })
    }

    fn submit(&mut self, script: &str, attempts: u32) -> String {
        let container = json!({ "command": ["sh", "-c", script], "vcpus": 1, "memory": 10 });
        self.call(
            "/v1/registerjobdefinition",
            json!({ "jobDefinitionName": "script", "type": "container", "containerProperties": container }),
        );
        let request = json!({ "jobName": "test", "jobQueue": "default", "jobDefinition": "script",
            "retryStrategy": { "attempts": attempts } });
        text(&self.call("/v1/submitjob", request)["jobId"])
    }

    fn describe(&mut self, job: &str) -> Value {
        self.call("/v1/describejobs", json!({ "jobs": [job] }))["jobs"][0].clone()
    }
}
