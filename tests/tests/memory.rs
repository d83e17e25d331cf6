//! What jobs ask for when others of their kind have finished: real processes, real kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, Utc};
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

/// A sandbox with so many days of one service, each with an object of so many bytes.
fn days(sizes: &[usize]) -> Sandbox {
    let mut sandbox = sandbox!();
    for (at, size) in sizes.iter().enumerate() {
        sandbox.object(&format!("app/condor/2018/10/{:02}/0.log", at + 1), "x".repeat(*size));
    }
    sandbox.spec["window"]["to"] = json!(format!("2018-10-{:02}", sizes.len()));
    sandbox.spec["job"]["memory"] = json!({ "start": "64MiB", "max": "1GiB" });
    sandbox.spec["job"]["environment"]["BYTES"] = json!("{bytes}");
    sandbox.save();
    sandbox
}

/// A job that holds so many bytes, a shell's expression of `$BYTES`, for long enough to be seen, and then does its work.
fn holds(bytes: &str) -> String {
    // Of a pipe `tail` keeps all that it may have to print.
    format!(
        "NEED=$(({bytes}))\n{{ head -c \"$NEED\" /dev/zero; sleep 0.3; }} | tail -c \"$NEED\" > /dev/null\n{CHECKSUM}"
    )
}

fn partitions(count: usize) -> Vec<String> {
    (1..=count).map(|day| format!("condor/2018-10-{day:02}")).collect()
}

fn failed(sandbox: &Sandbox, class: &str) -> usize {
    let facts = sandbox.facts();
    facts.of("ended").iter().filter(|e| e["outcome"]["failed"] == class).count()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

#[test]
fn where_memory_follows_bytes_the_pilots_teach_the_others_what_to_ask_for() {
    // 20 to 160 thousand bytes, a thousand times as much memory, in no order.
    let sizes: Vec<usize> = (0..16).map(|n| 20_000 + (n * 7 % 16) * 9_000).collect();
    let sandbox = days(&sizes);
    sandbox.define(&holds("BYTES * 1000"));
    let plan = sandbox.run(&["plan", "backfill.yaml"]).ended(0);
    plan.prints(&["64 MiB a job (memory.start: fewer than 3 jobs have finished)", "go first and alone"]);
    sandbox.backfill(0);
    let all = partitions(sizes.len());
    sandbox.facts().each_succeeded_once(&all);
    sandbox.outputs_are_right(&all);

    // The three pilots had ended before any other was submitted.
    let tries = |partition: &str| -> Vec<Value> {
        let explained =
            sandbox.run(&["explain", "backfill.yaml", partition, "--format", "json"]).ended(0).json();
        explained["tries"].as_array().unwrap().clone()
    };
    let every: Vec<(String, Vec<Value>)> = all.iter().map(|p| (p.clone(), tries(p))).collect();
    let mut firsts: Vec<_> = every.iter().map(|(p, t)| (time(&t[0]["intended_at"]), p.clone(), t)).collect();
    firsts.sort_by_key(|(at, ..)| *at);
    let (pilots, others) = firsts.split_at(3);
    let learned_at = others[0].0;
    let ended = pilots.iter().filter(|(.., t)| time(&t.last().unwrap()["stopped_at"]) <= learned_at).count();
    assert!(ended >= 3, "{ended} pilots had ended at {learned_at}");

    // The others ask for what their bytes need: none is killed by much, and none asks for what the largest needs.
    for (_, partition, tries) in others {
        let size = sizes[partition[partition.len() - 2..].parse::<usize>().unwrap() - 1] as u64;
        let needs = size * 1000 / (1 << 20);
        let asked = tries.last().unwrap()["memory_mib"].as_u64().unwrap();
        assert!(asked >= needs && asked <= needs + 128, "{partition} needs {needs} MiB and asks for {asked}");
    }
    assert!(failed(&sandbox, "out_of_memory") <= 8, "{} kills", failed(&sandbox, "out_of_memory"));
    let partition = &others[5].1;
    sandbox.run(&["explain", "backfill.yaml", partition]).ended(0).prints(&[": line: ", "of memory"]);

    // Tomorrow's backfill starts from today's.
    let plan = sandbox.run(&["plan", "backfill.yaml", "--only", "changed"]).ended(0);
    plan.prints(&["(line: "]);
}

#[test]
fn where_memory_follows_nothing_all_ask_for_about_the_same() {
    let sizes: Vec<usize> = (0..16).map(|n| 10_000 + (n * 7 % 16) * 9_000).collect();
    let sandbox = days(&sizes);
    sandbox.define(&holds("100000000"));
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions(sizes.len()));
    // Each pilot is killed once at 64 MiB; nobody else is.
    assert_eq!(failed(&sandbox, "out_of_memory"), 3);
}

#[test]
fn what_no_memory_can_hold_is_given_up_and_the_rest_is_loaded() {
    let mut sandbox = days(&[10_000; 5]);
    sandbox.spec["job"]["memory"] = json!({ "start": "64MiB", "max": "256MiB" });
    sandbox.save();
    sandbox.define(&format!(
        "if [ \"$DATE\" = 2018-10-03 ]; then {{ head -c 400000000 /dev/zero; sleep 0.3; }} | tail -c 400000000 >/dev/null; fi\n{CHECKSUM}"
    ));
    sandbox.backfill(3).says(&["given up: killed at 256 MiB, the most"]);
    let loaded: Vec<String> = partitions(5).into_iter().filter(|p| !p.ends_with("03")).collect();
    sandbox.facts().each_succeeded_once(&loaded);
}

#[test]
fn where_nothing_may_run_twice_nothing_is_risked() {
    let mut sandbox = days(&[10_000; 14]);
    sandbox.spec["job"]["idempotent"] = json!("no");
    sandbox.spec["job"]["memory"] = json!({ "start": "192MiB", "max": "256MiB" });
    sandbox.save();
    sandbox.backfill(0);
    let facts = sandbox.facts();
    assert!(facts.of("intended").iter().all(|i| i["memory_mib"] == 192), "{:?}", facts.of("intended"));
}

#[test]
fn what_fargate_does_not_sell_is_refused_by_the_plan() {
    let mut sandbox = days(&[10_000; 3]);
    let mut definition: Value = serde_json::from_str(&sandbox.read("job.yaml")).unwrap();
    definition["platformCapabilities"] = json!(["FARGATE"]);
    definition["containerProperties"]["executionRoleArn"] = json!("arn:aws:iam::000000000000:role/run");
    sandbox.write("job.yaml", definition.to_string());
    for (vcpus, memory, texts) in [
        (3, json!({ "start": "8GiB", "max": "16GiB" }), ["no tasks of 3 vCPUs", "1, 2, 4, 8 or 16"]),
        (
            1,
            json!({ "start": "64MiB", "max": "1GiB" }),
            ["job.memory.max: Fargate has no task of 1 GiB", "from 2 GiB to 8 GiB"],
        ),
        (
            2,
            json!({ "start": "20GiB", "max": "30GiB" }),
            ["job.memory.start: Fargate has no task of 20 GiB", "to 16 GiB"],
        ),
    ] {
        sandbox.spec["job"]["vcpus"] = json!(vcpus);
        sandbox.spec["job"]["memory"] = memory;
        sandbox.save();
        sandbox.run(&["plan", "backfill.yaml"]).ended(2).says(&texts);
    }
    sandbox.spec["job"]["vcpus"] = json!(1);
    // What is between two pairs is rounded to what is sold.
    sandbox.spec["job"]["memory"] = json!({ "start": "64MiB", "max": "5000MiB" });
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["2 GiB a job"]);
}
