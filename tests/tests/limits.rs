//! Jobs that AWS Batch would fail for their length after it has taken them: a plan has none of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dayfill_tests::{Sandbox, sandbox};
use serde_json::json;

/// A kilobyte under the 8,192 characters that Batch allows.
const MOST: usize = 8192 - 1024;

/// Sets a variable of the job for all commands from here on.
fn variable(sandbox: &mut Sandbox, name: &str, value: &str) {
    sandbox.spec["job"]["environment"][name] = json!(value);
    sandbox.save();
}

/// Panics unless it is refused when planning; returns how long the job is said to be.
#[track_caller]
fn is_refused(sandbox: &Sandbox, partition: &str) -> usize {
    let mut length = 0;
    for args in [&["plan", "backfill.yaml", "-o", "plan.json"][..], &["run", "backfill.yaml", "--yes"]] {
        let ran = sandbox.run(args).ended(2);
        let texts = [&format!("error: {partition}: "), "more than 8,192", "into the job definition"];
        let ran = ran.says(&texts).is_one_clear_error();
        let (_, after) = ran.err.split_once("have about ").unwrap();
        length = after.split(' ').next().unwrap().parse().unwrap();
    }
    assert!(length > MOST, "{length}");
    assert!(!sandbox.state().exists() && !sandbox.root().join("plan.json").exists(), "nothing was written");
    length
}

#[test]
fn the_partition_whose_job_is_too_long_is_named_when_planning() {
    let mut sandbox = sandbox!();
    let long = "x".repeat(150);
    sandbox.fill(&["condor", &long], 3);
    variable(&mut sandbox, "SERVICES", &"{service} ".repeat(50));
    is_refused(&sandbox, &format!("{long}/2018-10-01"));
    // Beyond what one request may have, too: 30 KiB.
    variable(&mut sandbox, "SERVICES", &"{service} ".repeat(300));
    assert!(is_refused(&sandbox, &format!("{long}/2018-10-01")) > 30 * 1024);

    sandbox.spec["source"]["dimensions"] = json!({ "service": ["condor"] });
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["Plan: 3 jobs for 3 days."]);
}

#[test]
fn the_longest_job_that_is_planned_is_one_that_batch_runs() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    variable(&mut sandbox, "TRIES", &"{try}".repeat(100));
    variable(&mut sandbox, "MEMORY", &"{memory_mib}".repeat(100));
    variable(&mut sandbox, "FILL", &"x".repeat(MOST));
    let over = is_refused(&sandbox, "condor/2018-10-01") - MOST;
    variable(&mut sandbox, "FILL", &"x".repeat(MOST - over + 1));
    assert_eq!(is_refused(&sandbox, "condor/2018-10-01"), MOST + 1);
    // It would not be the first try that is too long, but one with all the memory that a job may get.
    sandbox.spec["job"]["memory"]["max"] = json!("64MiB");
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml"]).ended(0);

    sandbox.spec["job"]["memory"]["max"] = json!("256MiB");
    variable(&mut sandbox, "FILL", &"x".repeat(MOST - over));
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
}
