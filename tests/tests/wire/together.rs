//! Two processes that submit one plan at the same moment and see it through.

use std::path::PathBuf;

use dayfill_tests::processes::until;
use dayfill_tests::wire::{Answer, Attached, Call, Fault, Gate};
use dayfill_tests::{Facts, Sandbox, sandbox};
use serde_json::json;

const SUBMIT: [&str; 4] = ["submit", "plan.json", "--yes", "--wait"];
const DAYS: u32 = 8;

fn two_submit(mut sandbox: Sandbox, state: &str, journal: PathBuf) {
    sandbox.spec["state"] = json!(state);
    // A few at a time, so that both of them have something to submit all along.
    sandbox.spec["limits"] = json!({ "in_flight": 2 });
    let there = Attached::start(&mut sandbox, DAYS);
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    // On S3 neither writes its first segment before the other has it ready too.
    let gate = Gate::default();
    there.proxy.on(Call::WriteSegment, 1..=2, Fault::after(Answer::Real).held_before(&gate));
    let both = [sandbox.spawn(&SUBMIT), sandbox.spawn(&SUBMIT)];
    if state.starts_with("s3:") {
        until("both are about to open the journal", || gate.reached() == 2);
        gate.open();
    }
    for one in both {
        Sandbox::wait(&SUBMIT, one).ended(0);
    }
    let facts = Facts::read(&journal);
    facts.each_succeeded_once(&there.partitions);
    // On a very slow machine an intent may be withdrawn, and sent under another name.
    let sent = facts.of("intended").len() - facts.of("withdrawn").len();
    assert_eq!((facts.of("adopted").len(), sent), (1, DAYS as usize));
    assert_eq!((there.proxy.count(Call::SubmitJob), there.proxy.submits().len()), (8, 8));
    sandbox.outputs_are_right(&there.partitions);
}

#[test]
fn two_submit_one_plan_with_the_journal_in_a_folder() {
    let sandbox = sandbox!();
    let journal = sandbox.state();
    two_submit(sandbox, "state", journal);
}

#[test]
fn two_submit_one_plan_with_the_journal_on_s3() {
    let sandbox = sandbox!();
    let journal = sandbox.lake().join("state/dayfill/small");
    two_submit(sandbox, "s3://state/dayfill", journal);
}
