//! What becomes of jobs that fail, and of what a person does about them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_tests::processes::until;
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Sandbox, sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A sandbox with three days of one service, whose job is this script.
fn three_days(script: &str) -> (Sandbox, Vec<String>) {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    sandbox.define(script);
    (sandbox, partitions)
}

fn tries(sandbox: &Sandbox, partition: &str) -> Vec<Value> {
    let explained = sandbox.run(&["explain", "backfill.yaml", partition, "--format", "json"]).ended(0).json();
    explained["tries"].as_array().unwrap().clone()
}

#[test]
fn a_command_that_does_not_start_is_tried_again_spaced_out_and_then_given_up() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 1);
    sandbox.spec["window"]["to"] = json!("2018-10-01");
    sandbox.spec["retry"] = json!({ "start": 1 });
    sandbox.save();
    sandbox.define_command(&["/no/such/command"]);
    sandbox.backfill(3).says(&["given up: did not start 2 times"]);
    let tries = tries(&sandbox, &partitions[0]);
    assert_eq!(tries.len(), 2, "retry.start is 1: {tries:?}");
    assert!(tries[0]["reasons"].to_string().contains("/no/such/command"), "{tries:?}");
    let at = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    // At least, not at most: a slow machine makes no failure.
    let pause = at(&tries[1]["intended_at"]) - at(&tries[0]["stopped_at"]);
    assert!(pause >= TimeDelta::seconds(1), "{pause}");
}

#[test]
fn where_nothing_starts_the_backfill_stops() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 6);
    sandbox.spec["window"]["to"] = json!("2018-10-06");
    sandbox.spec["limits"] = json!({ "in_flight": 1 });
    sandbox.save();
    sandbox.define_command(&["/no/such/command"]);
    let ran = sandbox.backfill(6);
    let ran =
        ran.says(&["none of the first 3 jobs started: look at the image, the command", "mend the cause"]);
    assert!(ran.out.contains("Stopped: none of the first 3 jobs started"), "{ran}");
    let facts = sandbox.facts();
    let ended = facts.of("ended");
    assert!(ended.iter().all(|e| e["outcome"]["failed"] == "start_failed"), "{ended:?}");
    assert!(facts.of("accepted").len() < 6, "nothing was sent once it was stopped");

    // The command is mended: the file differs now, so a new revision is registered, and a new plan takes up what is left.
    sandbox.define(CHECKSUM);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    sandbox.no_orphans();
}

#[test]
fn a_heap_that_is_full_gets_more_memory_as_a_container_does() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 2);
    sandbox.spec["window"]["to"] = json!("2018-10-02");
    sandbox.spec["job"]["environment"]["MEMORY"] = json!("{memory_mib}");
    sandbox.spec["retry"] = json!({ "app": 0 });
    sandbox.save();
    // What a JVM does whose heap is a share of its container: it gives up by itself, and says so only in its log.
    sandbox.define(&format!(
        r#"
        if [ "$DATE" = 2018-10-01 ] && [ "$MEMORY" -lt 256 ]; then
            echo 'java.lang.OutOfMemoryError: Java heap space' >&2
            for frame in $(seq 100); do echo "    at org.embulk.Frame$frame" >&2; done
            exit 1
        fi
        if [ "$DATE" = 2018-10-02 ] && [ "$MEMORY" -lt 128 ]; then exit 3; fi
        {CHECKSUM}"#
    ));
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    let explain = |day: &str| sandbox.run(&["explain", "backfill.yaml", day]).ended(0);
    explain("condor/2018-10-01").prints(&[
        "try 2 with 128 MiB: out of memory, exit code 1",
        "the job says: java.lang.OutOfMemoryError: Java heap space",
        "try 3 with 256 MiB: succeeded",
    ]);
    explain("condor/2018-10-02").prints(&["the job says: exit code 3", "try 2 with 128 MiB: succeeded"]);
}

#[test]
fn what_no_host_can_hold_stops_the_backfill_with_what_to_do() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    sandbox.spec["job"]["memory"] = json!({ "start": "192MiB", "max": "256MiB" });
    sandbox.spec["local"]["memory"] = json!("128MiB");
    sandbox.save();
    let ran = sandbox.backfill(6);
    let ran = ran.says(&["3 of 3 jobs never get a host", "lower job.memory"]);
    ran.prints(&["3 jobs wait for a host since", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"]);
    let waits =
        sandbox.run(&["status", "backfill.yaml", "--format", "json"]).ended(0).json()["waits"].clone();
    assert_eq!(waits[0]["jobs"], 3, "{waits}");

    // The host has grown, and the jobs that wait have their chance: nothing is submitted beside them.
    sandbox.spec["local"]["memory"] = json!("1GiB");
    sandbox.save();
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    assert_eq!(sandbox.facts().of("accepted").len(), 3);
    sandbox.outputs_are_right(&partitions);
}

#[test]
fn a_job_that_must_not_run_twice_asks_a_person() {
    let (mut sandbox, partitions) = three_days(
        r#"
        echo "$DATE" >> "$OUT/.runs"
        if [ "$DATE" = 2018-10-02 ]; then echo "half of it is loaded" >&2; exit 1; fi
        cat "$LAKE/$PREFIX"* | cksum > "$OUT/$SERVICE-$DATE"
        "#,
    );
    sandbox.spec["job"]["idempotent"] = json!("no");
    sandbox.spec["retry"] = json!({ "app": 3 });
    sandbox.save();
    sandbox.backfill(7).says(&["a person has to decide", "dayfill mark"]);
    sandbox.backfill(7);
    sandbox.run(&["run", "backfill.yaml", "--yes", "--only", "failed"]).ended(7);
    let runs = sandbox.read("out/.runs");
    assert_eq!(runs.lines().filter(|l| *l == "2018-10-02").count(), 1, "it was not run twice: {runs}");
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    explained.prints(&[
        "job failed, exit code 1",
        "half of it is loaded",
        "a person decides with `dayfill mark`",
    ]);
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["1 needs a person"]);

    let mark = ["mark", "backfill.yaml", "done", "--only", "condor/2018-10-02", "--reason", "loaded by hand"];
    let ran = sandbox.run(&mark).ended(6);
    ran.says(&["condor/2018-10-02", "pass --yes"]).is_one_clear_error();
    sandbox.run(&[&mark[..], &["--yes"]].concat()).ended(0).says(&["this day will be marked as done"]);
    sandbox.run(&[&mark[..], &["--yes"]].concat()).ended(0).says(&["nothing to mark"]);
    sandbox.backfill(0).prints(&["3 of 3 days done"]);

    // And back: the person finds that it was not loaded after all.
    let back = [
        "mark",
        "backfill.yaml",
        "failed",
        "--from",
        "2018-10-02",
        "--to",
        "2018-10-02",
        "--reason",
        "it was not",
    ];
    sandbox.run(&[&back[..], &["--yes"]].concat()).ended(0);
    sandbox.define(CHECKSUM);
    sandbox.backfill(0);
    sandbox.outputs_are_right(&partitions);
}

#[test]
fn a_failing_job_is_tried_as_often_as_the_yaml_says_and_then_given_up() {
    let (mut sandbox, partitions) = three_days(
        r#"
        echo "$DATE $TRY" >> "$OUT/.runs"
        case $DATE-$TRY in
          2018-10-01-1 | 2018-10-02-*) echo "no such table" >&2; exit 9 ;;
        esac
        cat "$LAKE/$PREFIX"* | cksum > "$OUT/$SERVICE-$DATE"
        "#,
    );
    sandbox.spec["retry"] = json!({ "app": 2 });
    sandbox.save();
    let ran =
        sandbox.backfill(3).says(&["given up: the job failed 3 times (retry.app: 2)", "some days failed"]);
    assert!(ran.out.contains("2 of 3 days done, 1 failed"), "{ran}");
    let mut runs: Vec<String> = sandbox.read("out/.runs").lines().map(str::to_owned).collect();
    runs.sort();
    let day = |d: u32, tries: u32| (1..=tries).map(move |t| format!("2018-10-0{d} {t}"));
    assert_eq!(runs, day(1, 2).chain(day(2, 3)).chain(day(3, 1)).collect::<Vec<_>>());
    sandbox.run(&["status", "backfill.yaml", "--by", "class"]).ended(0).prints(&["job failed"]);
    let classes = sandbox.status()["classes"].clone();
    assert_eq!(
        classes,
        json!([{ "class": "app", "jobs": 4, "days": 2, "days_done": 1, "days_given_up": 1 }])
    );
    sandbox
        .run(&["logs", "backfill.yaml", "condor/2018-10-02", "--try", "2"])
        .ended(0)
        .prints(&["no such table"]);
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    explained.prints(&["try 3 with 64 MiB: job failed, exit code 9", "no such table", "it was given up"]);

    // The same command takes the failed day up again; mended, it is done.
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["Plan: 1 job for 1 day. Not in plan: 2 done."]);
    sandbox.define(CHECKSUM);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
}

#[test]
fn stop_after_opens_and_a_later_run_takes_up_what_is_left() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 8);
    sandbox.spec["window"]["to"] = json!("2018-10-08");
    sandbox.spec["retry"] = json!({ "app": 0 });
    sandbox.spec["limits"] = json!({ "in_flight": 1, "stop_after": 2 });
    sandbox.save();
    sandbox.define("exit 1");
    let ran = sandbox.backfill(6);
    assert!(ran.err.contains("2 of 8 days were given up, and limits.stop_after allows fewer"), "{ran}");
    assert_eq!(sandbox.facts().of("accepted").len(), 2, "nothing is sent after the stop");
    let before = sandbox.facts().segments;
    sandbox.run(&["watch", "backfill.yaml"]).ended(6);
    sandbox.run(&["advance", "backfill.yaml"]).ended(6);
    assert_eq!(sandbox.facts().segments, before, "watching does not lift a stop");
    sandbox.define(CHECKSUM);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
}

#[test]
fn cancelled_days_are_not_loaded_until_they_are_asked_for_again() {
    let (mut sandbox, partitions) =
        three_days("until [ -e \"$OUT/.go\" ]; do sleep 0.05; done; : > \"$OUT/$DATE\"");
    sandbox.spec["limits"] = json!({ "in_flight": 2 });
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    // Sent, and held by the engine until somebody watches; the third is only planned.
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0).says(&["runs jobs only while somebody watches"]);
    let total = sandbox.status()["total"].clone();
    assert_eq!((&total["waiting"], &total["planned"]), (&2.into(), &1.into()), "{total}");
    let cancel =
        ["cancel", "backfill.yaml", "--from", "2018-10-02", "--to", "2018-10-03", "--reason", "not now"];
    sandbox
        .run(&cancel)
        .ended(6)
        .says(&["condor/2018-10-02", "condor/2018-10-03", "pass --yes"])
        .is_one_clear_error();
    sandbox
        .run(&[&cancel[..], &["--yes"]].concat())
        .ended(0)
        .says(&["these 2 days will no longer be loaded"]);
    sandbox
        .run(&["cancel", "backfill.yaml", "--only", "eagle/2018-10-02", "--yes"])
        .ended(2)
        .says(&["nothing is known"]);
    let nowhere = [
        "cancel",
        "backfill.yaml",
        "--from",
        "2018-10-01",
        "--to",
        "2018-10-03",
        "--where",
        "shop=x",
        "--yes",
    ];
    sandbox.run(&nowhere).ended(2).says(&["no dimension of this name", "it has: service"]);

    sandbox.write("out/.go", "");
    sandbox.run(&["watch", "backfill.yaml"]).ended(3).prints(&["1 of 3 days done, 2 failed"]);
    assert!(
        !sandbox.root().join("out/2018-10-02").exists() && !sandbox.root().join("out/2018-10-03").exists()
    );
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-03"]).ended(0);
    explained.prints(&["a new plan takes it up: cancelled (not now)"]);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.no_orphans();
}

#[test]
fn a_running_job_is_ended_when_its_day_is_cancelled() {
    let (sandbox, _) =
        three_days("echo now at $DATE; if [ $DATE = 2018-10-02 ]; then sleep 600; fi; : > \"$OUT/$DATE\"");
    let args = ["run", "backfill.yaml", "--yes"];
    let running = sandbox.spawn(&args);
    until("two days are done and one runs", || {
        let total = sandbox.status()["total"].clone();
        total["done"] == 2 && total["running"] == 1
    });
    // The engine lives in the other process; these ask it.
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["2 done", "1 running"]);
    sandbox
        .run(&["explain", "backfill.yaml", "condor/2018-10-02"])
        .ended(0)
        .prints(&["try 1 with 64 MiB: runs"]);
    sandbox.run(&["logs", "backfill.yaml", "condor/2018-10-02"]).ended(0).prints(&["now at 2018-10-02"]);
    sandbox.run(&["cancel", "backfill.yaml", "--only", "condor/2018-10-02", "--yes"]).ended(0);
    Sandbox::wait(&args, running).ended(3).prints(&["2 of 3 days done, 1 failed"]);
    let last = tries(&sandbox, "condor/2018-10-02").pop().unwrap();
    assert_eq!(last["state"].as_str().map(|s| s.starts_with("terminated")), Some(true), "{last}");
    sandbox.no_orphans();
}

#[test]
fn guards_and_ends() {
    let (mut sandbox, partitions) =
        three_days("until [ -e \"$OUT/.go\" ]; do sleep 0.05; done; : > \"$OUT/$DATE\"");
    // Nobody can answer.
    let ran = sandbox.run(&["run", "backfill.yaml"]).ended(6);
    ran.says(&["Submit 3 jobs to small?", "standard input is not a terminal", "pass --yes"])
        .is_one_clear_error();
    // A mistake in the window.
    sandbox.spec["limits"] = json!({ "max_jobs": 2 });
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0).prints(&["Over limits.max_jobs (2)"]);
    for args in [&["run", "backfill.yaml", "--yes"][..], &["submit", "plan.json", "--yes"]] {
        let ran = sandbox.run(args).ended(6);
        ran.says(&["the plan has 3 jobs, and limits.max_jobs is 2", "raise limits.max_jobs"])
            .is_one_clear_error();
    }
    assert!(!sandbox.state().exists(), "nothing was written");
    sandbox.spec["limits"] = json!({});
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml", "--exit-code"]).ended(10);

    // The time is over before the jobs are.
    let ran = sandbox.run(&["run", "backfill.yaml", "--yes", "--timeout", "1s"]).ended(5);
    ran.says(&["still running at --timeout"]).prints(&["0 of 3 days done"]);
    sandbox.no_orphans();

    // Interrupted while jobs run: they end with the engine that ran them.
    let args = ["run", "backfill.yaml", "--yes"];
    let (child, out, err) = sandbox.spawn(&args);
    until("a job runs", || fs::read_to_string(&err).unwrap().contains("running"));
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT).unwrap();
    Sandbox::wait(&args, (child, out, err)).ended(130).says(&["interrupted: "]);
    sandbox.no_orphans();
    sandbox.write("out/.go", "");
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    // Batch itself sent what was lost with its host to another, so each day had one job.
    let facts = sandbox.facts();
    assert_eq!(facts.of("accepted").len(), 3);
    assert!(facts.reclaims() > 0, "what ran when it was interrupted was lost with its host");
}
