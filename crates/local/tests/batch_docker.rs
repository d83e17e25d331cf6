//! Jobs as containers. Where no Docker engine answers, or no image can be made, a test says so and passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it should be")]

mod batch_support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use batch_support::{Rig, attempts, config, skip, text};
use dayfill_local::{Batch, Limits, OpenError, Runner};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const IMAGE: &str = "dayfill-local-test:1";
/// The one program of the image; there is no shell and no library.
const PROGRAM: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
static void stubborn(int signal) { (void)signal; }
static void polite(int signal) { (void)signal; _exit(44); }
int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(what, "say")) {
        char folder[256];
        for (int i = 2; i < count; i++) puts(words[i]);
        for (char **variable = environ; *variable; variable++) puts(*variable);
        printf("folder=%s user=%d\n", getcwd(folder, sizeof folder), (int)getuid());
        fputs("oops\n", stderr);
        return 0;
    }
    if (!strcmp(what, "hold")) {
        size_t bytes = (size_t)atol(words[2]) << 20;
        char *held = malloc(bytes);
        for (size_t i = 0; i < bytes; i += 1024) held[i] = 1;
        sleep(1);
        return 0;
    }
    if (!strcmp(what, "wait")) {
        signal(SIGTERM, strcmp(words[2], "polite") ? stubborn : polite);
        puts("waiting");
        for (;;) pause();
    }
    return atoi(what);
}
"#;

/// The image, built from nothing; none where that cannot be done.
fn image() -> Option<&'static str> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(()) => Some(IMAGE),
        Err(why) => {
            skip(why);
            None
        }
    }
}

fn build() -> Result<(), String> {
    let run = |command: &mut Command, input: &[u8]| {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|source| format!("{command:?} does not run: {source}"))?;
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
    };
    run(Command::new("docker").arg("info"), b"")?;
    let dir = tempfile::tempdir().unwrap();
    run(
        Command::new("gcc").args(["-static", "-O1", "-xc", "-", "-o"]).arg(dir.path().join("job")),
        PROGRAM.as_bytes(),
    )?;
    let tar = dir.path().join("image.tar");
    run(Command::new("tar").arg("-C").arg(dir.path()).arg("-cf").arg(&tar).arg("job"), b"")?;
    let changes =
        ["--change", "WORKDIR /somewhere", "--change", "ENV OF_IMAGE=1 A=image", "--change", "USER 1234"];
    run(Command::new("docker").arg("import").args(changes).arg(&tar).arg(IMAGE), b"")
}

async fn rig() -> Rig {
    Rig::open_with(|config| config.runner = Runner::Docker).await
}

async fn register(rig: &Rig, name: &str, command: &[&str], mut more: Value) {
    more["image"] = json!(IMAGE);
    more["memory"] = json!(16);
    rig.register(name, command, more).await;
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn with_label(label: &str, value: &str) -> Vec<String> {
    let filter = format!("label=local.dayfill.{label}={value}");
    docker(&["ps", "--all", "--quiet", "--filter", &filter]).lines().map(str::to_owned).collect()
}

/// All containers of an engine's folder.
fn containers(dir: &Path) -> Vec<String> {
    with_label("folder", dir.to_str().unwrap())
}

fn labelled(engine: &str) -> Vec<String> {
    with_label("engine", engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_in_its_image_and_its_output_is_logged() {
    if image().is_none() {
        return;
    }
    let rig = rig().await;
    assert_eq!(rig.batch.limits(), Some(Limits::Docker));
    let more = json!({ "parameters": { "day": "monday" },
        "environment": [{ "name": "A", "value": "definition" }, { "name": "LINES", "value": "one\ntwo" }] });
    register(&rig, "say", &["/job", "say", "day=Ref::day", "--privileged"], more).await;
    let job = rig.submit(json!({ "jobDefinition": "say" })).await;
    let detail = rig.until_over(&job).await;
    assert_eq!(
        (&detail["status"], &detail["container"]["exitCode"]),
        (&json!("SUCCEEDED"), &json!(0)),
        "{detail:#}"
    );
    let lines = rig.log(&detail).await;
    for line in [
        "day=monday",
        "--privileged",
        "A=definition",
        "OF_IMAGE=1",
        "LINES=one",
        "two",
        "AWS_BATCH_JOB_ATTEMPT=1",
        "AWS_ENDPOINT_URL_BATCH=http://127.0.0.1:1",
        "folder=/somewhere user=1234",
        "oops",
        &format!("AWS_BATCH_JOB_ID={job}"),
    ] {
        assert!(lines.iter().any(|l| l == line), "{line} is missing in {lines:#?}");
    }
    rig.until(|| containers(rig.dir.path()).is_empty(), "the container is removed").await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_as_on_aws() {
    if image().is_none() {
        return;
    }
    let rig = rig().await;
    register(&rig, "seven", &["/job", "7"], json!({})).await;
    register(&rig, "hog", &["/job", "hold", "64"], json!({})).await;
    register(&rig, "fits", &["/job", "hold", "8"], json!({})).await;
    register(&rig, "missing", &["/no-such-program"], json!({})).await;
    let jobs = ["seven", "hog", "fits", "missing"].map(|definition| {
        rig.submit(json!({ "jobDefinition": definition, "retryStrategy": { "attempts": 2,
            "evaluateOnExit": [{ "onExitCode": "7", "action": "RETRY" }, { "onStatusReason": "*", "action": "EXIT" }] } }))
    });
    let mut details = Vec::new();
    for job in jobs {
        details.push(rig.until_over(&job.await).await);
    }
    let [seven, hog, fits, missing] = &details[..] else { panic!("four") };
    assert_eq!((&seven["status"], attempts(seven).len()), (&json!("FAILED"), 2));
    assert_eq!(seven["container"]["exitCode"], 7);
    assert_eq!(hog["container"]["reason"], "OutOfMemoryError: Container killed due to memory usage");
    assert_eq!(hog["container"]["exitCode"], 137);
    assert_eq!(fits["status"], "SUCCEEDED", "{fits:#}");
    let peak = |detail: &Value| text(&detail["tags"]["local:peak-memory-kib"]).parse::<u64>().unwrap();
    assert!(peak(hog) >= 16 * 1024);
    // Not known where the containers run on another machine.
    if fits["tags"].get("local:peak-memory-kib").is_some() {
        assert!((8 * 1024..16 * 1024).contains(&peak(fits)), "{}", peak(fits));
    }
    assert_eq!(missing["statusReason"], "Task failed to start");
    assert!(missing["container"].get("exitCode").is_none());
    let reason = text(&missing["container"]["reason"]);
    assert!(reason.starts_with("CannotStartContainerError: Error response from daemon: "), "{reason}");
    assert!(reason.contains("/no-such-program"), "{reason}");
    rig.until(|| containers(rig.dir.path()).is_empty(), "the containers are removed").await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_fails_to_start() {
    if image().is_none() {
        return;
    }
    let rig = rig().await;
    // Nobody listens there, so there is no registry to be asked.
    for (name, image) in
        [("unknown", json!("127.0.0.1:1/none:1")), ("wrong", json!("A B")), ("option", json!("--help"))]
    {
        rig.register(name, &["/job"], json!({ "image": image })).await;
        let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": name })).await).await;
        assert_eq!(
            (&detail["status"], &detail["statusReason"]),
            (&json!("FAILED"), &json!("Task failed to start"))
        );
        let reason = text(&detail["container"]["reason"]);
        assert!(reason.starts_with("CannotPullContainerError: "), "{reason}");
        assert_eq!(reason.contains("Error response from daemon: "), name == "unknown", "{reason}");
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_asks_and_then_kills() {
    if image().is_none() {
        return;
    }
    let rig = Rig::open_with(|config| {
        config.runner = Runner::Docker;
        config.second = Duration::from_millis(40);
    })
    .await;
    let mut codes = Vec::new();
    for manner in ["polite", "stubborn"] {
        register(&rig, manner, &["/job", "wait", manner], json!({})).await;
        let request = json!({ "jobDefinition": manner, "timeout": { "attemptDurationSeconds": 60 } });
        let detail = rig.until_over(&rig.submit(request).await).await;
        assert_eq!(detail["statusReason"], "Job attempt duration exceeded timeout");
        codes.push(detail["container"]["exitCode"].clone());
    }
    assert_eq!(codes, [json!(44), json!(137)]);
    register(&rig, "long", &["/job", "wait", "polite"], json!({})).await;
    let job = rig.submit(json!({ "jobDefinition": "long" })).await;
    rig.until_status(&job, "RUNNING").await;
    rig.ok("/v1/terminatejob", json!({ "jobId": job, "reason": "enough" })).await;
    let detail = rig.until_over(&job).await;
    assert_eq!((&detail["status"], &detail["statusReason"]), (&json!("FAILED"), &json!("enough")));
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_go_with_the_engine_and_at_the_next_start() {
    if image().is_none() {
        return;
    }
    let rig = rig().await;
    register(&rig, "long", &["/job", "wait", "stubborn"], json!({})).await;
    let again = json!({ "jobDefinition": "long", "retryStrategy": { "attempts": 9 } });
    let job = rig.submit(again).await;
    rig.until_status(&job, "RUNNING").await;
    let found = containers(rig.dir.path());
    assert_eq!(found.len(), 1);
    let format =
        r#"{{index .Config.Labels "local.dayfill.engine"}} {{index .Config.Labels "local.dayfill.job"}}"#;
    let labels = docker(&["inspect", "--format", format, &found[0]]);
    let (engine, of) = labels.trim().split_once(' ').unwrap();
    assert_eq!(of, job);
    let engine = engine.to_owned();
    let dir = rig.close().await;
    assert!(containers(dir.path()).is_empty(), "the guard removes them");

    // As if engine and guard had both been killed: nobody removes it but the next start.
    let label = format!("--label=local.dayfill.engine={engine}");
    docker(&["run", "--detach", &label, IMAGE, "/job", "wait", "stubborn"]);
    assert_eq!(labelled(&engine).len(), 1);
    let rig = Rig::reopen(dir, |config| {
        config.runner = Runner::Docker;
        config.dispatch = false;
    })
    .await;
    assert!(labelled(&engine).is_empty());
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_guard_is_killed_its_containers_go_and_another_takes_over() {
    if image().is_none() {
        return;
    }
    let rig = rig().await;
    register(&rig, "long", &["/job", "wait", "stubborn"], json!({})).await;
    let again = json!({ "jobDefinition": "long", "retryStrategy": { "attempts": 9 } });
    let job = rig.submit(again).await;
    rig.until_status(&job, "RUNNING").await;
    let before = containers(rig.dir.path());
    rig.until(|| guard_of(&job).is_some(), "the guard follows the log").await;
    kill_process(Pid::from_raw(guard_of(&job).unwrap()).unwrap(), Signal::KILL).unwrap();
    rig.until(|| !containers(rig.dir.path()).iter().any(|id| before.contains(id)), "the first is gone").await;
    rig.until(|| containers(rig.dir.path()).len() == 1, "there is another").await;
    let detail = rig.until_status(&job, "RUNNING").await;
    assert!(text(&attempts(&detail)[0]["statusReason"]).starts_with("Host EC2 (instance i-"), "{detail:#}");
    let dir = rig.close().await;
    assert!(containers(dir.path()).is_empty());
}

// The process that started what reads the log of a job's container.
fn guard_of(job: &str) -> Option<i32> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).into_owned();
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let follows = command.contains("logs") && command.contains(&format!("dayfill-{job}-"));
        follows.then(|| stat[stat.rfind(')')? + 2..].split(' ').nth(1)?.parse().ok()).flatten()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_docker_engine_there_is_no_start() {
    if image().is_none() {
        return;
    }
    // The command line is told of an engine that is not there, in a process of its own.
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine_without_docker", "--nocapture"])
        .env(ENGINE_DIR, dir.path())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .status()
        .unwrap();
    assert!(status.success());
}

const ENGINE_DIR: &str = "BATCH_DOCKER_ENGINE_DIR";

/// Not a test but a part of the one above.
#[test]
fn engine_without_docker() {
    let Ok(dir) = std::env::var(ENGINE_DIR) else { return };
    let mut config = config(Path::new(&dir));
    config.runner = Runner::Docker;
    match Batch::open(config) {
        Err(OpenError::Docker(why)) => assert!(why.contains("/nowhere/docker.sock"), "{why}"),
        other => panic!("{other:?}"),
    }
}
