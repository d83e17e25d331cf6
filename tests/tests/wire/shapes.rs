//! What is sent at all, when nothing goes wrong but jobs: all of it is compared with the services' own models.

use dayfill_tests::processes::until;
use dayfill_tests::wire::{Answer, Attached, Call, Fault, OF_BATCH};
use dayfill_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

/// Runs the backfill under another name, with these members of its job set anew, or left out where they are null.
fn run(sandbox: &mut Sandbox, name: &str, code: i32, job: &Value) {
    sandbox.spec["name"] = json!(name);
    let good = sandbox.spec["job"].clone();
    let members = sandbox.spec["job"].as_object_mut().unwrap();
    members.extend(job.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    sandbox.save();
    sandbox.backfill(code);
    sandbox.spec["job"] = good;
}

#[test]
fn every_kind_of_request_is_sent_as_the_services_model_has_it() {
    let mut sandbox = sandbox!();
    let there = Attached::start(&mut sandbox, 2);
    let proxy = &there.proxy;
    let policy = "arn:aws:batch:us-east-1:000000000000:scheduling-policy/fair";
    let order = json!([{ "order": 1, "computeEnvironment": "local" }]);
    let fair = json!({ "jobQueueName": "fair", "priority": 1, "computeEnvironmentOrder": order,
        "schedulingPolicyArn": policy });
    there.server.batch("createjobqueue", &fair);
    sandbox.define(r#"if [ "$DATE" = 2018-10-01 ]; then echo "this day is odd" >&2; exit 1; fi"#);
    let command = ["sh", "-euc", "exit 0", "{date}"];

    // Whose answer is lost is looked for.
    proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Dropped));
    run(&mut sandbox, "by-slice", 3, &json!({}));
    run(&mut sandbox, "by-partition", 0, &json!({ "idempotent": "partition", "command": command }));
    run(&mut sandbox, "never-twice", 7, &json!({ "idempotent": "no", "timeout": null }));
    run(&mut sandbox, "shared", 3, &json!({ "queue": "fair", "share_identifier": "backfill" }));
    sandbox.spec["name"] = json!("by-slice");
    sandbox.save();
    sandbox.run(&["doctor", "backfill.yaml"]).ended(0);
    sandbox.run(&["logs", "backfill.yaml", "condor/2018-10-01"]).ended(0).prints(&["this day is odd"]);

    sandbox.spec["name"] = json!("long");
    sandbox.define("sleep 600");
    sandbox.save();
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    until("both jobs run", || {
        sandbox.run(&["advance", "backfill.yaml"]).ended(0);
        sandbox.status()["total"]["running"] == 2
    });
    let days = ["--from", "2018-10-01", "--to", "2018-10-02", "--reason", "no longer wanted", "--yes"];
    sandbox.run(&[&["cancel", "backfill.yaml"][..], &days].concat()).ended(0);
    sandbox.run(&["watch", "backfill.yaml"]).ended(3);

    // The proxy compares it all when it goes; here only that it is all.
    let calls = proxy.calls();
    for operation in OF_BATCH.iter().chain(&["GetLogEvents"]) {
        assert!(!calls.requests(operation).is_empty(), "no {operation}");
    }
    let submits = calls.requests("SubmitJob");
    let some = |what: &str, is_so: fn(&Value) -> bool| {
        assert!(submits.iter().any(is_so), "no SubmitJob with {what}: {submits:#?}");
    };
    some("rules for retries", |s| {
        s["retryStrategy"]["evaluateOnExit"].as_array().is_some_and(|r| r.len() > 1)
    });
    some("one attempt", |s| s["retryStrategy"] == json!({ "attempts": 1 }));
    some("a timeout", |s| s["timeout"]["attemptDurationSeconds"] == 600);
    some("the definition's timeout", |s| s["timeout"].is_null());
    some("a command", |s| s["containerOverrides"]["command"][3] == "2018-10-01");
    some("the definition's command", |s| s["containerOverrides"]["command"].is_null());
    some("a share", |s| s["shareIdentifier"] == "backfill");
}
