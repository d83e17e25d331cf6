//! The client killed between its intent and SubmitJob, and between SubmitJob and `Accepted`.

use std::process::Child;

use dayfill_tests::processes::until;
use dayfill_tests::wire::{Answer, Attached, Call, Cloud, Fault, Gate};
use dayfill_tests::{Facts, Sandbox, sandbox};
use serde_json::json;

const SUBMIT: [&str; 3] = ["submit", "plan.json", "--yes"];

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// `dayfill advance`, as cron would call it, until all days are done.
fn advances_until_done(sandbox: &Sandbox, days: usize) {
    until("all days are done", || {
        sandbox.run(&["advance", "backfill.yaml"]).ended(0);
        sandbox.facts().successes().len() == days
    });
}

async fn each_day_has_one_job(cloud: &Cloud) {
    let facts = cloud.sandbox.facts();
    facts.each_succeeded_once(&cloud.partitions);
    let opened = facts.of("opened")[0]["uuid"].as_str().unwrap().parse().unwrap();
    for (partition, jobs) in cloud.jobs(opened).await {
        assert_eq!(jobs.len(), 1, "jobs of {partition}: {jobs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_work_and_before_it_was_written_down() {
    let mut cloud = Cloud::start(sandbox!(), 2, &[]).await;
    let proxy = cloud.put_behind_proxy();
    let gate = Gate::default();
    proxy.on(Call::SubmitJob, 1..=2, Fault::after(Answer::Real).held_after(&gate));
    let (child, ..) = cloud.sandbox.spawn(&SUBMIT);
    until("both jobs exist, and nobody has heard of it", || gate.reached() == 2);
    kill(child);
    gate.open();
    let facts = cloud.sandbox.facts();
    assert_eq!((facts.of("intended").len(), facts.of("accepted").len()), (2, 0));

    advances_until_done(&cloud.sandbox, 2);
    let facts = cloud.sandbox.facts();
    assert!(facts.of("accepted").iter().all(|a| a["found"] == true), "{:?}", facts.of("accepted"));
    assert_eq!((facts.of("intended").len(), proxy.count(Call::SubmitJob)), (2, 2));
    each_day_has_one_job(&cloud).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_the_request_on_its_way() {
    let mut cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let proxy = cloud.put_behind_proxy();
    let gate = Gate::default();
    proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Real).held_before(&gate));
    let (child, ..) = cloud.sandbox.spawn(&SUBMIT);
    until("the request is on its way", || gate.reached() == 1);
    kill(child);
    // Whoever looks now finds nothing, and must not take that for an answer.
    cloud.sandbox.run(&["advance", "backfill.yaml"]).ended(0);
    assert_eq!(cloud.sandbox.facts().of("intended").len(), 1);
    assert_eq!(cloud.sandbox.facts().of("never_arrived").len(), 0);
    gate.open();

    advances_until_done(&cloud.sandbox, 1);
    let facts = cloud.sandbox.facts();
    assert_eq!(facts.of("accepted")[0]["found"], true);
    assert_eq!((facts.of("intended").len(), proxy.count(Call::SubmitJob)), (1, 1));
    each_day_has_one_job(&cloud).await;
}

#[test]
fn killed_between_the_intent_and_the_request() {
    let mut sandbox = sandbox!();
    sandbox.spec["state"] = json!("s3://state/dayfill");
    let there = Attached::start(&mut sandbox, 2);
    let (proxy, facts) = (&there.proxy, || Facts::read(&sandbox.lake().join("state/dayfill/small")));
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    // The second segment has the intents. They are stored; whoever wrote them is killed before it hears so.
    let gate = Gate::default();
    proxy.on(Call::WriteSegment, 2..=2, Fault::after(Answer::Real).held_after(&gate));
    let (child, ..) = sandbox.spawn(&SUBMIT);
    until("the intents are stored", || gate.reached() == 1);
    kill(child);
    gate.open();
    assert_eq!((facts().of("intended").len(), proxy.count(Call::SubmitJob)), (2, 0));

    sandbox.run(&["watch", "backfill.yaml"]).ended(0);
    let facts = facts();
    assert_eq!(facts.of("never_arrived").len(), 2);
    assert_eq!((proxy.count(Call::SubmitJob), proxy.submits().len()), (2, 2));
    facts.each_succeeded_once(&there.partitions);
    sandbox.outputs_are_right(&there.partitions);
}
