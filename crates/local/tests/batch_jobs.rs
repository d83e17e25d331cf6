//! Jobs as clients see them: submitted over the wire, run as real processes, described, listed, logged.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod batch_support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use batch_support::{Rig, attempts, processes_of, skip, text};
use dayfill_local::{Batch, LimitMeans, Limits, OpenError};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_with_its_environment_and_its_output_is_logged() {
    let rig = Rig::open().await;
    rig.register(
        "hello",
        &["sh", "-c", "echo day=Ref::day; env | sort; pwd; echo oops >&2; exit 0"],
        json!({ "parameters": { "day": "monday" }, "environment": [{ "name": "A", "value": "definition" },
            { "name": "B", "value": "kept" }] }),
    )
    .await;
    let job = rig
        .submit(json!({ "jobDefinition": "hello", "parameters": { "day": "2018-10-04" },
            "containerOverrides": { "environment": [{ "name": "A", "value": "override" }] } }))
        .await;
    let detail = rig.until_over(&job).await;
    assert_eq!(detail["status"], "SUCCEEDED", "{detail:#}");
    assert_eq!(detail["container"]["exitCode"], 0);
    assert_eq!(detail["statusReason"], "Essential container in task exited");
    assert_eq!(attempts(&detail).len(), 1);
    let lines = rig.log(&detail).await;
    for line in [
        "day=2018-10-04",
        "A=override",
        "B=kept",
        "AWS_BATCH_JOB_ATTEMPT=1",
        "AWS_BATCH_JQ_NAME=default",
        "AWS_BATCH_CE_NAME=local",
        "AWS_EXECUTION_ENV=AWS_ECS_EC2",
        "AWS_ENDPOINT_URL_BATCH=http://127.0.0.1:1",
        "oops",
        &format!("AWS_BATCH_JOB_ID={job}"),
    ] {
        assert!(lines.iter().any(|l| l == line), "{line} is missing in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("CARGO")), "the engine's own environment: {lines:#?}");
    let of = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    assert_eq!(of("HOME="), of("TMPDIR="));
    assert_eq!(of("HOME="), of("PWD="));
    rig.until(|| !Path::new(&of("HOME=")).exists(), "the scratch folder is removed").await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_signals_are_reported_and_retried() {
    let rig = Rig::open().await;
    rig.register("fails", &["sh", "-c", "exit 7"], json!({})).await;
    rig.register("dies", &["sh", "-c", "kill -9 $$"], json!({})).await;
    rig.register("second", &["sh", "-c", "test $AWS_BATCH_JOB_ATTEMPT = 2"], json!({})).await;
    let retry = json!({ "attempts": 3, "evaluateOnExit": [
        { "onExitCode": "1", "action": "RETRY" }, { "onExitCode": "*", "action": "exit" }] });
    let mut ends = Vec::new();
    for definition in ["fails", "dies", "second"] {
        let job = rig.submit(json!({ "jobDefinition": definition, "retryStrategy": retry })).await;
        let detail = rig.until_over(&job).await;
        let codes: Vec<_> = attempts(&detail).iter().map(|a| a["container"]["exitCode"].clone()).collect();
        ends.push((text(&detail["status"]), codes));
    }
    assert_eq!(
        ends,
        [
            ("FAILED".to_owned(), vec![json!(7)]),
            ("FAILED".to_owned(), vec![json!(137)]),
            ("SUCCEEDED".to_owned(), vec![json!(1), json!(0)]),
        ]
    );
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_there_fails_to_start() {
    let rig = Rig::open().await;
    rig.register("missing", &["no-such-program-here"], json!({})).await;
    rig.register("secret", &["true"], json!({ "secrets": [{ "name": "A", "valueFrom": "arn" }] })).await;
    let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": "missing" })).await).await;
    assert_eq!(detail["status"], "FAILED");
    assert_eq!(detail["statusReason"], "Task failed to start");
    let reason = text(&detail["container"]["reason"]);
    assert!(reason.starts_with("CannotStartContainerError: Error response from daemon: "), "{reason}");
    assert!(
        reason.contains("exec: \"no-such-program-here\": executable file not found in $PATH"),
        "{reason}"
    );
    assert!(detail["container"].get("exitCode").is_none());
    let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": "secret" })).await).await;
    assert!(text(&detail["container"]["reason"]).starts_with("ResourceInitializationError"));
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_its_memory_is_killed_with_its_children_by_the_supervisor() {
    let rig = Rig::open_with(|config| config.limit = LimitMeans::Supervisor).await;
    assert_eq!(rig.batch.limits(), Some(Limits::Supervisor));
    over_its_memory(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_its_memory_is_killed_with_its_children_by_the_kernel() {
    let Some(rig) = with_cgroups().await else { return };
    assert!(matches!(rig.batch.limits(), Some(Limits::CgroupV1 | Limits::CgroupV2)));
    over_its_memory(rig).await;
}

// None, visibly, where no control groups can be made.
async fn with_cgroups() -> Option<Rig> {
    let dir = tempfile::tempdir().unwrap();
    let mut config = batch_support::config(dir.path());
    config.limit = LimitMeans::Cgroup;
    match Batch::open(config) {
        Err(OpenError::Cgroup(why)) => {
            skip(&why.to_string());
            return None;
        }
        other => other.unwrap().shutdown().await,
    }
    Some(Rig::reopen(dir, |config| config.limit = LimitMeans::Cgroup).await)
}

async fn over_its_memory(rig: Rig) {
    // The memory is held by a grandchild in a session of its own, whose parent is gone.
    let hog = "(setsid sh -c 'head -c 80000000 /dev/zero | tail' &) ; sleep 60";
    rig.register("hog", &["sh", "-c", hog], json!({ "memory": 32 })).await;
    let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": "hog" })).await).await;
    assert_eq!(detail["status"], "FAILED");
    assert_eq!(detail["container"]["reason"], "OutOfMemoryError: Container killed due to memory usage");
    assert_eq!(detail["container"]["exitCode"], 137);
    let peak: u64 = text(&detail["tags"]["local:peak-memory-kib"]).parse().unwrap();
    assert!(peak >= 32 * 1024, "{peak}");
    rig.until(|| processes_of(&text(&detail["jobId"])).is_empty(), "no process of the job is left").await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_keeps_of_files_is_not_the_jobs_memory() {
    let Some(rig) = with_cgroups().await else { return };
    // Three times its memory goes through the page cache, and back again.
    let copies = "head -c 96000000 /dev/zero > file && cat file > copy && sleep 0.1";
    rig.register("copies", &["sh", "-c", copies], json!({ "memory": 32 })).await;
    let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": "copies" })).await).await;
    assert_eq!(detail["status"], "SUCCEEDED", "{detail:#}");
    let peak: u64 = text(&detail["tags"]["local:peak-memory-kib"]).parse().unwrap();
    assert!(peak < 16 * 1024, "{peak}");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_groups_go_with_their_jobs_and_their_engine() {
    let Some(rig) = with_cgroups().await else { return };
    let home = fs::read_to_string(rig.dir.path().join("cgroup")).unwrap();
    let groups = || fs::read_dir(&home).unwrap().flatten().filter(|e| e.path().is_dir()).count();
    // What is left in a group of a job that has ended would keep it from being removed.
    rig.register("leaves", &["sh", "-c", "(setsid sleep 300 &) ; sleep 0.1"], json!({})).await;
    rig.register("long", &["sleep", "600"], json!({})).await;
    rig.until_over(&rig.submit(json!({ "jobDefinition": "leaves" })).await).await;
    rig.until(|| groups() == 0, "the group of the job is gone").await;
    rig.until_status(&rig.submit(json!({ "jobDefinition": "long" })).await, "RUNNING").await;
    assert_eq!(groups(), 1);
    rig.close().await;
    assert!(!Path::new(&home).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_job_end_with_it() {
    let rig = Rig::open().await;
    let leaves = "(setsid sleep 300 &) ; sleep 300 & sleep 0.1";
    rig.register("leaves", &["sh", "-c", leaves], json!({})).await;
    let detail = rig.until_over(&rig.submit(json!({ "jobDefinition": "leaves" })).await).await;
    assert_eq!(detail["status"], "SUCCEEDED");
    assert!(processes_of(&text(&detail["jobId"])).is_empty(), "the job is over when its processes are");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_asks_and_then_kills() {
    let rig = Rig::open_with(|config| config.second = Duration::from_millis(20)).await;
    rig.register("polite", &["sleep", "600"], json!({})).await;
    rig.register("stubborn", &["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"], json!({})).await;
    let mut codes = Vec::new();
    for definition in ["polite", "stubborn"] {
        let job = rig
            .submit(json!({ "jobDefinition": definition, "timeout": { "attemptDurationSeconds": 60 },
                "retryStrategy": { "attempts": 3 } }))
            .await;
        let detail = rig.until_over(&job).await;
        assert_eq!(detail["statusReason"], "Job attempt duration exceeded timeout");
        assert_eq!(attempts(&detail).len(), 1, "timed out jobs are not retried");
        codes.push(detail["container"]["exitCode"].clone());
    }
    assert_eq!(codes, [json!(143), json!(137)]);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminate_and_cancel_do_what_their_names_say() {
    let rig = Rig::open().await;
    rig.register("long", &["sleep", "600"], json!({ "memory": 900 })).await;
    let running = rig.submit(json!({ "jobDefinition": "long", "jobName": "Running" })).await;
    let waiting = rig.submit(json!({ "jobDefinition": "long", "jobName": "waiting" })).await;
    rig.until_status(&running, "RUNNING").await;
    assert_eq!(rig.describe(&waiting).await["status"], "RUNNABLE", "the memory is taken");
    rig.ok("/v1/canceljob", json!({ "jobId": running, "reason": "no" })).await;
    rig.ok("/v1/canceljobs", json!({ "jobs": [waiting], "reason": "not needed" })).await;
    let detail = rig.until_over(&waiting).await;
    assert_eq!((&detail["statusReason"], &detail["isCancelled"]), (&json!("not needed"), &json!(true)));
    assert_eq!(rig.describe(&running).await["status"], "RUNNING", "cancel does not stop what runs");
    let answer =
        rig.ok("/v1/terminatejobs", json!({ "jobs": [running, "unknown"], "reason": "enough" })).await;
    assert_eq!(answer["successful"], json!([running]));
    assert_eq!(answer["errors"][0]["jobId"], "unknown");
    let detail = rig.until_over(&running).await;
    assert_eq!((&detail["statusReason"], &detail["isTerminated"]), (&json!("enough"), &json!(true)));
    assert_eq!(detail["container"]["exitCode"], 143);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_children_of_an_array_know_their_index() {
    let rig = Rig::open().await;
    let script =
        "echo $AWS_BATCH_JOB_ID of $AWS_BATCH_JOB_ARRAY_INDEX; test $AWS_BATCH_JOB_ARRAY_INDEX != $FAILS";
    rig.register("array", &["sh", "-c", script], json!({})).await;
    let fails = |index: &str| json!({ "environment": [{ "name": "FAILS", "value": index }] });
    let of = |index: &str| {
        json!({ "jobDefinition": "array", "arrayProperties": { "size": 4 }, "containerOverrides": fails(index),
            "retryStrategy": { "attempts": 2 } })
    };
    let (good, bad) = (rig.submit(of("none")).await, rig.submit(of("2")).await);
    let detail = rig.until_over(&good).await;
    assert_eq!(detail["status"], "SUCCEEDED", "{detail:#}");
    assert_eq!(detail["arrayProperties"]["statusSummary"]["SUCCEEDED"], 4);
    for index in 0..4 {
        let child = rig.describe(&format!("{good}:{index}")).await;
        assert_eq!(rig.log(&child).await, [format!("{good}:{index} of {index}")]);
    }
    let detail = rig.until_over(&bad).await;
    assert_eq!(detail["status"], "FAILED");
    assert_eq!(detail["statusReason"], "Array Child Job failed");
    let summary = &detail["arrayProperties"]["statusSummary"];
    assert_eq!((&summary["SUCCEEDED"], &summary["FAILED"]), (&json!(3), &json!(1)));
    let child = rig.describe(&format!("{bad}:2")).await;
    assert_eq!((attempts(&child).len(), &child["container"]["exitCode"]), (2, &json!(1)));
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_that_is_terminated_leaves_no_process() {
    let rig = Rig::open().await;
    rig.register("long", &["sleep", "600"], json!({})).await;
    let request = json!({ "jobDefinition": "long", "arrayProperties": { "size": 10 } });
    let job = rig.submit(request).await;
    let children: Vec<String> = (0..10).map(|index| format!("{job}:{index}")).collect();
    for child in &children[..4] {
        rig.until_status(child, "RUNNING").await;
    }
    rig.ok("/v1/terminatejob", json!({ "jobId": job, "reason": "enough" })).await;
    let detail = rig.until_over(&job).await;
    assert_eq!((&detail["statusReason"], &detail["isTerminated"]), (&json!("enough"), &json!(true)));
    for child in &children {
        assert_eq!(rig.describe(child).await["statusReason"], "enough");
        assert!(processes_of(child).is_empty());
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dispatch_jobs_wait() {
    let rig = Rig::open_with(|config| config.dispatch = false).await;
    rig.register("quick", &["true"], json!({})).await;
    let job = rig.submit(json!({ "jobDefinition": "quick" })).await;
    assert_eq!(rig.describe(&job).await["status"], "RUNNABLE");
    rig.ok("/v1/terminatejob", json!({ "jobId": job, "reason": "enough" })).await;
    assert_eq!(rig.describe(&job).await["status"], "FAILED");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_jobs_all_run_once() {
    let rig = Rig::open().await;
    rig.register("touch", &["sh", "-c", "echo x >> $COUNTER/$AWS_BATCH_JOB_ID"], json!({})).await;
    let counter = tempfile::tempdir().unwrap();
    let environment = json!([{ "name": "COUNTER", "value": counter.path() }]);
    let mut jobs = Vec::new();
    for _ in 0..200 {
        let overrides = json!({ "environment": environment });
        jobs.push(rig.submit(json!({ "jobDefinition": "touch", "containerOverrides": overrides })).await);
    }
    for job in &jobs {
        assert_eq!(rig.until_over(job).await["status"], "SUCCEEDED");
        assert_eq!(fs::read_to_string(counter.path().join(job)).unwrap(), "x\n");
    }
    rig.close().await;
}
