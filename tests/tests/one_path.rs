//! One path: the journal on S3 and in a folder, the local engine in the same process and at an endpoint as AWS is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use dayfill_tests::facts::segments;
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Facts, Sandbox, Server, sandbox};
use serde_json::{Value, json};

/// Where the journal on S3 lies in the lake.
fn journal_in_lake(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.lake().join("state-bucket/loads/small")
}

fn on_s3() -> (Sandbox, Vec<String>) {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor", "eagle"], 2);
    fs::create_dir(sandbox.lake().join("state-bucket")).unwrap();
    sandbox.spec["state"] = json!("s3://state-bucket/loads");
    sandbox.spec["window"]["to"] = json!("2018-10-02");
    sandbox.save();
    (sandbox, partitions)
}

/// The jobs of a plan without what no two backfills share.
fn jobs(sandbox: &Sandbox, plan: &str) -> Value {
    let mut shown = sandbox.run(&["show", plan, "--jobs", "--format", "json"]).ended(0).json();
    let root = sandbox.root().to_str().unwrap().to_owned();
    for job in shown["jobs"].as_array_mut().unwrap() {
        for value in job["environment"].as_object_mut().unwrap().values_mut() {
            *value = json!(value.as_str().unwrap().replace(&root, "ROOT"));
        }
    }
    shown
}

#[test]
fn the_journal_lies_on_s3_as_it_lies_in_a_folder() {
    let (sandbox, partitions) = on_s3();
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0).prints(&["Plan: 4 jobs for 4 days."]);
    sandbox.run(&["status", "backfill.yaml"]).ended(0).prints(&["nothing was submitted yet"]);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0).says(&["runs jobs only while somebody watches"]);
    sandbox.run(&["watch", "backfill.yaml"]).ended(0).prints(&["4 of 4 days done"]);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0).says(&["was adopted before"]);
    let facts = Facts::read(&journal_in_lake(&sandbox));
    facts.each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    assert_eq!(sandbox.status()["total"]["done"], 4);
    sandbox.backfill(0);
    assert_eq!(Facts::read(&journal_in_lake(&sandbox)).segments, facts.segments);

    // Commands that only read or write the journal reach it there as well.
    let mark = ["mark", "backfill.yaml", "failed", "--only", "eagle/2018-10-02", "--reason", "r", "--yes"];
    sandbox.run(&mark).ended(0);
    sandbox.run(&["explain", "backfill.yaml", "eagle/2018-10-02"]).ended(0).prints(&["marked as failed (r)"]);
    sandbox.backfill(0);
    assert_eq!(Facts::read(&journal_in_lake(&sandbox)).successes()["eagle/2018-10-02 load 2"], 1);

    // And a damaged one is refused there as well.
    let second = segments(&journal_in_lake(&sandbox))[1].clone();
    fs::remove_file(second).unwrap();
    let ran = sandbox.run(&["run", "backfill.yaml", "--yes"]).ended(1);
    ran.says(&["journal segment 2 is missing", "s3://state-bucket/loads"]).is_one_clear_error();
    sandbox.no_orphans();
}

#[test]
fn at_an_endpoint_the_engine_is_aws() {
    let (mut sandbox, partitions) = on_s3();
    sandbox.run(&["plan", "backfill.yaml", "-o", "local.json"]).ended(0);
    let here = jobs(&sandbox, "local.json");

    let server = Server::start(&sandbox, &["--queue", "small", "--vcpus", "4", "--record", "calls.jsonl"]);
    sandbox.spec["engine"] = json!("aws");
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": server.url() });
    sandbox.spec.as_object_mut().unwrap().remove("local");
    sandbox.save();
    for (name, value) in &server.exports {
        if name.contains("KEY") {
            sandbox.set(name, value);
        }
    }
    // The one day is larger than it may be at first.
    sandbox.define(&format!(
        "if [ $SERVICE-$DATE-$TRY = condor-2018-10-02-1 ]; then awk 'BEGIN {{ while (1) held[i++] = i \"x\" }}'; fi\n{CHECKSUM}"
    ));
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0).prints(&["Plan: 4 jobs for 4 days."]);
    assert_eq!(jobs(&sandbox, "plan.json"), here, "the same jobs, wherever they run");
    let registered = sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    assert!(!registered.err.contains("the local engine"), "jobs go on without us: {registered}");
    sandbox.run(&["watch", "backfill.yaml"]).ended(0).prints(&["4 of 4 days done", "1 kill for memory"]);
    let facts = Facts::read(&journal_in_lake(&sandbox));
    facts.each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    assert_eq!(facts.of("opened")[0]["identity"]["cloud"]["kind"], "aws");
    sandbox.run(&["run", "backfill.yaml", "--yes"]).ended(0);
    assert_eq!(Facts::read(&journal_in_lake(&sandbox)).segments, facts.segments);

    // What was said on the wire: one SubmitJob a job, none repeated.
    let calls = sandbox.read("calls.jsonl");
    let submitted = calls.lines().filter(|l| l.contains("SubmitJob") || l.contains("submitjob")).count();
    assert_eq!(submitted, facts.of("accepted").len(), "{calls}");
    drop(server);
    sandbox.no_orphans();
}
