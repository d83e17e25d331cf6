//! A deadline that has passed sends what does not run yet to the fallback queue.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dayfill_tests::processes::until;
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Sandbox, sandbox};
use serde_json::json;

/// Days that wait are moved, new ones go there at once, and each is loaded once. Only one job has room at a time, and none
/// ends before it is let go: so whatever the engine does first, something waits.
#[test]
fn past_the_deadline_what_waits_and_what_is_new_goes_to_the_fallback_queue() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 4);
    sandbox.define(&format!("until [ -e \"$OUT/.go\" ]; do sleep 0.05; done\n{CHECKSUM}"));
    sandbox.spec["local"]["vcpus"] = json!(1);
    sandbox.spec["job"]["fallback_queue"] = json!("large");
    sandbox.spec["window"]["to"] = json!("2018-10-03");
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    assert_eq!(sandbox.facts().of("accepted").len(), 3);

    sandbox.spec["deadline"] = json!("2018-11-01T06:00+09:00");
    sandbox.spec["window"]["to"] = json!("2018-10-04");
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&[
        "Deadline: 2018-10-31 21:00Z has passed: jobs go to large at once",
        "Plan: 1 job for 1 day.",
    ]);
    let running = sandbox.spawn(&["run", "backfill.yaml", "--yes"]);
    until("what waits is being ended", || !sandbox.facts().of("ending").is_empty());
    sandbox.write("out/.go", "");
    Sandbox::wait(&["run"], running).ended(0).prints(&["4 of 4 days done"]);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);

    let facts = sandbox.facts();
    let why = "the deadline 2018-10-31 21:00Z has passed";
    for ending in facts.of("ending") {
        assert_eq!(ending["moves_to"], "large", "{ending}");
        assert!(ending["why"].as_str().unwrap().contains(why), "{ending}");
    }
    for intended in facts.of("intended") {
        let is_new = intended["slice"] == "condor/2018-10-04" || intended["try"] != 1;
        assert_eq!(intended["queue"], if is_new { "large" } else { "small" }, "{intended}");
    }
    sandbox
        .run(&["explain", "backfill.yaml", "condor/2018-10-04"])
        .ended(0)
        .prints(&[&format!("the queue large: {why}")]);
    let ended = facts.of("ending")[0]["name"].clone();
    let moved = facts.of("intended").into_iter().find(|i| i["name"] == ended).unwrap()["slice"].clone();
    let explained = sandbox.run(&["explain", "backfill.yaml", moved.as_str().unwrap()]).ended(0);
    explained.prints(&["try 1", why, "the queue large: try 1 was ended for it", "try 2"]);
    let status = sandbox.run(&["status", "backfill.yaml", "--by", "class"]).ended(0);
    status.prints(&["terminated"]);
    sandbox.no_orphans();
}

/// What a plan says of a deadline once three jobs have told how long one takes.
#[test]
fn a_plan_says_whether_its_deadline_can_be_kept() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 5);
    sandbox.spec["job"]["fallback_queue"] = json!("large");
    sandbox.spec["window"]["to"] = json!("2018-10-03");
    let says = |sandbox: &mut Sandbox, deadline: &str, said: &str| {
        sandbox.spec["deadline"] = json!(deadline);
        sandbox.save();
        let now = "2018-10-31T21:00:00Z";
        sandbox.run(&["plan", "backfill.yaml", "--now", now]).ended(0).prints(&[said]);
    };
    says(
        &mut sandbox,
        "2018-10-31T21:00:00Z",
        "Deadline: 2018-10-31 21:00Z has passed: jobs go to large at once",
    );
    says(
        &mut sandbox,
        "2018-10-31T21:00:01Z",
        "too little is known of how long jobs take to say whether it can be kept",
    );
    sandbox.backfill(0);
    sandbox.spec["window"]["to"] = json!("2018-10-05");
    says(&mut sandbox, "2018-11-02T21:00Z", "2018-11-02 21:00Z can be kept: done at about 2018-10-31 21:");
    says(&mut sandbox, "2018-10-31T21:00:01Z", "would be missed on small (done at about 2018-10-31 21:");
}

/// A deadline that is written into the YAML while all days are under way is taken up although nothing is left to plan.
#[test]
fn a_deadline_may_be_set_while_everything_waits() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    sandbox.spec["job"]["fallback_queue"] = json!("large");
    sandbox.spec["local"]["vcpus"] = json!(1);
    sandbox.save();
    sandbox.define(&format!("until [ -e \"$OUT/.go\" ]; do sleep 0.05; done\n{CHECKSUM}"));
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    sandbox.spec["deadline"] = json!("2018-11-01T06:00+09:00");
    sandbox.save();
    let running = sandbox.spawn(&["run", "backfill.yaml", "--yes"]);
    until("what waits is being ended", || !sandbox.facts().of("ending").is_empty());
    sandbox.write("out/.go", "");
    Sandbox::wait(&["run"], running).ended(0).prints(&["3 of 3 days done"]);
    assert_eq!(sandbox.facts().of("adopted").len(), 2);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
}
