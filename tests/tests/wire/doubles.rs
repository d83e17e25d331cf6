//! Two jobs of one load, brought about by force: by lists that hide a job for longer than grace allows for.

use dayfill_tests::processes::{BOUND, until};
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::wire::{Answer, Attached, Bench, Call, Cloud, Fault, Gate, short_bounds};
use dayfill_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

/// Each try says that it has started, and goes on once it is told to.
pub fn told_to_go_on(sandbox: &mut Sandbox) {
    sandbox.define(&format!(
        r#"
        touch "$OUT/.started-$TRY"
        until [ -e "$OUT/.go-$TRY" ]; do sleep 0.05; done
        {CHECKSUM}
        "#
    ));
}

fn has_started(sandbox: &Sandbox, r#try: u32) -> bool {
    sandbox.root().join(format!("out/.started-{try}")).exists()
}

/// Answers of ListJobs without the jobs whose names hold this.
fn without(part: String) -> Fault {
    Fault::after(Answer::changed(move |_, answer| {
        let mut body = answer.json();
        let jobs: Vec<Value> = body["jobSummaryList"].as_array().unwrap().clone();
        let hidden = |job: &Value| job["jobName"].as_str().unwrap().contains(&part);
        body["jobSummaryList"] = jobs.into_iter().filter(|j| !hidden(j)).collect();
        answer.set_json(&body);
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_jobs_the_one_that_has_not_started_is_ended() {
    let mut sandbox = sandbox!();
    told_to_go_on(&mut sandbox);
    // There is room for one job at a time.
    let cloud = Cloud::start(sandbox, 1, &["--vcpus", "1"]).await;
    let day = &cloud.partitions[0];
    let mut bench = Bench::new(&cloud).await;
    bench.bounds = short_bounds();
    bench.submit_timeout = BOUND;

    // One engine waits for the answer about a job that no list shows; another takes it for never arrived.
    let gate = Gate::default();
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Real).held_after(&gate));
    bench.proxy.on(Call::ListJobs, 1..=u64::MAX, without("df-".to_owned()));
    let mut slow = bench.engine().await;
    let slow = tokio::spawn(async move { slow.advance().await.map(|_| ()) });
    gate.is_reached().await;
    let mut quick = bench.engine().await;
    let second_is_there = |b: &Bench<'_>| b.story(day).iter().any(|s| s == "2 accepted");
    bench.steps_until(&mut quick, "a second job is accepted", second_is_there).await;
    assert_eq!(bench.story(day), ["1 intended", "1 never arrived", "2 intended", "2 accepted"]);
    until("the first job has started", || has_started(&cloud.sandbox, 1));

    // The answer comes after all.
    bench.proxy.heal();
    gate.open();
    slow.await.unwrap().unwrap();
    assert_eq!(bench.story(day).last().unwrap(), "1 accepted");
    let is_ended = |b: &Bench<'_>| b.story(day).iter().any(|s| s == "2 ended");
    bench.steps_until(&mut quick, "the second job is ended", is_ended).await;
    cloud.sandbox.write("out/.go-1", "");
    bench.finish(&mut quick).await;

    assert_eq!(bench.story(day)[5..], ["doubled", "2 ending", "2 ended", "1 succeeded"]);
    let facts = bench.facts();
    assert_eq!(facts.of("doubled")[0]["kept"], facts.of("intended")[0]["name"]);
    assert_eq!(facts.successes().into_values().collect::<Vec<_>>(), [1]);
    assert!(!has_started(&cloud.sandbox, 2));
    assert_eq!((bench.jobs(day).await, bench.submits()), (2, 2), "both are counted, neither was sent twice");
    assert!(bench.proxy.count(Call::TerminateJob) >= 1);
    cloud.sandbox.outputs_are_right(&cloud.partitions);
}

#[test]
fn of_two_jobs_that_both_started_a_person_decides() {
    let mut sandbox = sandbox!();
    sandbox.spec["window"]["to"] = json!("2018-10-01");
    told_to_go_on(&mut sandbox);
    let there = Attached::start(&mut sandbox, 1);
    let (sandbox, proxy) = (&sandbox, &there.proxy);
    // The first job is there, but nobody heard of it and no list shows it.
    proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Dropped));
    proxy.on(Call::ListJobs, 1..=u64::MAX, without("-1-".to_owned()));
    let run = ["run", "backfill.yaml", "--yes"];
    let running = sandbox.spawn(&run);
    until("both jobs have started", || has_started(sandbox, 1) && has_started(sandbox, 2));
    proxy.heal();
    sandbox.write("out/.go-2", "");
    until("a person is asked", || sandbox.facts().of("asked_person").len() == 1);
    sandbox.write("out/.go-1", "");
    Sandbox::wait(&run, running).ended(7).says(&["a person has to decide", "dayfill mark"]);

    let facts = sandbox.facts();
    assert_eq!((facts.of("never_arrived").len(), facts.of("doubled").len()), (1, 1));
    assert!(facts.of("ending").is_empty(), "what has started is not ended: {:?}", facts.of("ending"));
    assert_eq!(proxy.submits().into_values().collect::<Vec<_>>(), [1, 1]);
    let explain = ["explain", "backfill.yaml", "condor/2018-10-01"];
    sandbox.run(&explain).ended(0).prints(&["two jobs of it have started"]);
    sandbox.backfill(7);
    let mark =
        ["mark", "backfill.yaml", "done", "--only", "condor/2018-10-01", "--reason", "looked", "--yes"];
    sandbox.run(&mark).ended(0);
    sandbox.backfill(0);
    assert_eq!(proxy.submits().len(), 2, "nothing more was sent");
}
