//! A process that is stopped between its intent and SubmitJob for longer than grace, as a laptop that sleeps.
//!
//! The bounds are those of the local engine: a submission leaves within 5 s, its signature is refused after 5 s more,
//! and after 11 s it never arrived.

use std::fs;
use std::process::Child;

use dayfill_tests::processes::until;
use dayfill_tests::wire::{Answer, Attached, Call, Fault, Gate};
use dayfill_tests::{Facts, Sandbox, sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const SUBMIT: [&str; 3] = ["submit", "plan.json", "--yes"];

/// Stops a process, and waits until none of its threads runs.
fn stop(child: &Child) {
    signal(child, Signal::STOP);
    let tasks = format!("/proc/{}/task", child.id());
    let is_stopped = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
    until("it is stopped", || {
        let threads = fs::read_dir(&tasks).unwrap().map(|t| t.unwrap().path().join("stat"));
        threads.into_iter().all(|stat| fs::read_to_string(stat).is_ok_and(is_stopped))
    });
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn stopped_before_the_request_it_sends_nothing_when_it_goes_on() {
    let mut sandbox = sandbox!();
    sandbox.spec["state"] = json!("s3://state/dayfill");
    let there = Attached::start(&mut sandbox, 2);
    let (proxy, facts) = (&there.proxy, || Facts::read(&sandbox.lake().join("state/dayfill/small")));
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    let gate = Gate::default();
    proxy.on(Call::WriteSegment, 2..=2, Fault::after(Answer::Real).held_after(&gate));
    let stopped = sandbox.spawn(&SUBMIT);
    until("the intents are stored", || gate.reached() == 1);
    stop(&stopped.0);
    gate.open();
    let intended = names(&facts());

    // Another one waits for grace to be over and loads the days.
    sandbox.run(&["watch", "backfill.yaml"]).ended(0);
    assert_eq!(facts().of("never_arrived").len(), 2);
    signal(&stopped.0, Signal::CONT);
    Sandbox::wait(&SUBMIT, stopped).ended(0);

    let submits = proxy.submits();
    assert!(intended.iter().all(|name| !submits.contains_key(name)), "{intended:?}, {submits:?}");
    assert_eq!((proxy.count(Call::SubmitJob), submits.len()), (2, 2));
    facts().each_succeeded_once(&there.partitions);
    sandbox.outputs_are_right(&there.partitions);
}

#[test]
fn stopped_with_the_request_on_its_way_the_signature_dies_of_age() {
    let mut sandbox = sandbox!();
    let there = Attached::start(&mut sandbox, 1);
    let proxy = &there.proxy;
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    let gate = Gate::default();
    proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Real).held_before(&gate));
    let stopped = sandbox.spawn(&SUBMIT);
    until("the request is on its way", || gate.reached() == 1);
    stop(&stopped.0);

    sandbox.run(&["watch", "backfill.yaml"]).ended(0);
    assert_eq!(sandbox.facts().of("never_arrived").len(), 1);
    // It arrives after all, and is refused for its age.
    gate.open();
    until("it has arrived", || proxy.submits_that_arrived().len() == 2);
    signal(&stopped.0, Signal::CONT);
    Sandbox::wait(&SUBMIT, stopped).ended(0);

    let facts = sandbox.facts();
    assert_eq!((proxy.count(Call::SubmitJob), facts.of("accepted").len()), (2, 1));
    assert!(facts.of("refused").is_empty() && facts.of("stopped").is_empty(), "{:#?}", facts.all);
    facts.each_succeeded_once(&there.partitions);
    sandbox.outputs_are_right(&there.partitions);
}

fn names(facts: &Facts) -> Vec<String> {
    facts.of("intended").iter().map(|i| i["name"].as_str().unwrap().to_owned()).collect()
}
