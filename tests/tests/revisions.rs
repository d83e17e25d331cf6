//! Job definitions that are deregistered while a backfill names them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::wire::Attached;
use dayfill_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

const PLAN: [&str; 4] = ["plan", "backfill.yaml", "-o", "plan.json"];
const SUBMIT: [&str; 4] = ["submit", "plan.json", "--yes", "--wait"];

/// A backfill of two days, one at a time, that names the revision of a definition that was registered by hand.
fn named(script: &str) -> (Sandbox, Attached) {
    let mut sandbox = sandbox!();
    sandbox.define(script);
    sandbox.spec["job"]["definition"] = json!("checksum:1");
    sandbox.spec["limits"] = json!({ "in_flight": 1 });
    let there = Attached::start(&mut sandbox, 2);
    register(&sandbox, &there);
    (sandbox, there)
}

fn register(sandbox: &Sandbox, there: &Attached) {
    let definition: Value = serde_json::from_str(&sandbox.read("job.yaml")).unwrap();
    there.server.batch("registerjobdefinition", &definition);
}

fn deregister(there: &Attached, id: &str) {
    there.server.batch("deregisterjobdefinition", &json!({ "jobDefinition": id }));
}

#[test]
fn deregistered_between_plan_and_submit_nothing_is_begun() {
    let (mut sandbox, there) = named(CHECKSUM);
    sandbox.run(&PLAN).ended(0);
    deregister(&there, "checksum:1");
    let inactive = "the job definition checksum:1 is inactive";
    sandbox
        .run(&SUBMIT)
        .ended(1)
        .says(&[inactive, "register it with `dayfill register`"])
        .is_one_clear_error();
    register(&sandbox, &there);
    let remedy = "active: checksum:2; name one of these in the YAML, and plan";
    for command in [&SUBMIT[..], &PLAN, &["run", "backfill.yaml", "--yes"]] {
        sandbox.run(command).ended(1).says(&[inactive, remedy]).is_one_clear_error();
    }
    assert!(!sandbox.state().exists(), "nothing was written");
    assert!(there.proxy.submits().is_empty(), "nothing was sent");

    sandbox.spec["job"]["definition"] = json!("checksum:2");
    sandbox.save();
    sandbox.run(&PLAN).ended(0);
    sandbox.run(&SUBMIT).ended(0);
    sandbox.facts().each_succeeded_once(&there.partitions);

    // It is needed no more.
    deregister(&there, "checksum:2");
    sandbox.run(&SUBMIT).ended(0).says(&["was adopted before"]);
}

#[test]
fn deregistered_before_a_later_try_the_backfill_stops_and_says_what_to_do() {
    // The first try of the first day fails.
    let script = r#"[ "$TRY" != 1 ] || exit 1; cat "$LAKE/$PREFIX"* | cksum > "$OUT/$SERVICE-$DATE""#;
    let (mut sandbox, there) = named(script);
    sandbox.run(&PLAN).ended(0);
    sandbox.run(&SUBMIT[..3]).ended(0);
    deregister(&there, "checksum:1");
    let remedy = "name an active revision in the YAML, or register it anew";
    let watched = sandbox.run(&["watch", "backfill.yaml"]).ended(6);
    watched.says(&["stopped: AWS Batch refused", "ACTIVE", remedy, "plan and submit again"]);
    // Whoever comes back to it hears the same.
    for again in [&SUBMIT[..3], &["advance", "backfill.yaml"]] {
        sandbox.run(again).ended(6).says(&["stopped: AWS Batch refused", remedy]);
    }
    assert_eq!(there.proxy.submits_that_arrived().len(), 2, "and nothing more is sent");

    register(&sandbox, &there);
    sandbox.spec["job"]["definition"] = json!("checksum:2");
    sandbox.save();
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&there.partitions);
    sandbox.outputs_are_right(&there.partitions);
}

#[test]
fn a_file_whose_revision_was_deregistered_is_registered_anew() {
    let mut sandbox = sandbox!();
    let there = Attached::start(&mut sandbox, 2);
    register(&sandbox, &there);
    sandbox.run(&PLAN).ended(0).prints(&["Job definition: checksum:1"]);
    deregister(&there, "checksum:1");
    sandbox.run(&SUBMIT).ended(0);
    let facts = sandbox.facts();
    assert_eq!(facts.of("adopted")[0]["definition"], "checksum:2");
    facts.each_succeeded_once(&there.partitions);
}

#[test]
fn a_stale_plan_registers_nothing() {
    let mut sandbox = sandbox!();
    let there = Attached::start(&mut sandbox, 2);
    sandbox.run(&PLAN).ended(0);
    sandbox.run(&["plan", "backfill.yaml", "-o", "one.json", "--only", "condor/2018-10-01"]).ended(0);
    sandbox.run(&["submit", "one.json", "--yes", "--wait"]).ended(0);
    sandbox.define("exit 1");
    sandbox.run(&["plan", "backfill.yaml", "-o", "other.json"]).ended(0);
    let before = there.proxy.calls().requests("RegisterJobDefinition").len();
    sandbox.run(&SUBMIT).ended(4).says(&["condor/2018-10-01: load 1 succeeded"]).is_one_clear_error();
    assert_eq!((before, there.proxy.calls().requests("RegisterJobDefinition").len()), (1, 1));
}
