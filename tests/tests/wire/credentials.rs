//! Credentials that expire while dayfill is at work: it ends, the jobs go on, and with new ones it goes on as well.

use dayfill_tests::processes::until;
use dayfill_tests::wire::{Answer, Attached, Call, Fault, Message, Proxy};
use dayfill_tests::{Facts, Ran, Sandbox, sandbox};
use serde_json::json;

const EXPIRED: &str = "The security token included in the request is expired";
const SUBMIT: [&str; 4] = ["submit", "plan.json", "--yes", "--wait"];
const WATCH: [&str; 2] = ["watch", "backfill.yaml"];
/// Waits for the file `go`, where there is to be one.
const WAITS: &str = r#"
while [ ! -e "$LAKE/../../go" ]; do sleep 0.05; done
cat "$LAKE/$PREFIX"* | cksum > "$OUT/.$AWS_BATCH_JOB_ID"
mv "$OUT/.$AWS_BATCH_JOB_ID" "$OUT/$SERVICE-$DATE"
"#;

/// Batch does not take the credentials any more once it has taken so many jobs.
fn expire(proxy: &Proxy, submits: u64) {
    let expired = Fault::instead(Answer::error(403, "ExpiredTokenException", EXPIRED));
    for call in [Call::ListJobs, Call::DescribeJobs, Call::TerminateJob] {
        proxy.on_next(call, u64::MAX, expired.clone());
    }
    proxy.on(Call::SubmitJob, submits + 1..=u64::MAX, expired);
}

/// The same in the words of S3.
fn expired_on_s3() -> Fault {
    let said = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    Fault::instead(Answer::Said(Message::answer(400, "application/xml", said)))
}

/// Panics unless it ended for want of credentials, and said how to go on.
#[track_caller]
fn is_signed_out(ran: Ran) {
    let texts = ["expired", "sign in again", "run the same command again", "jobs that were submitted go on"];
    ran.ended(1).says(&texts).is_one_clear_error();
}

fn with_state(state: &str, days: u32) -> (Sandbox, Attached, std::path::PathBuf) {
    let mut sandbox = sandbox!();
    sandbox.spec["state"] = json!(state);
    // Not one try may be wasted on it.
    sandbox.spec["retry"] = json!({ "app": 0, "start": 0 });
    let there = Attached::start(&mut sandbox, days);
    let folder = if state.starts_with("s3:") {
        sandbox.lake().join("state/dayfill")
    } else {
        sandbox.root().join(state)
    };
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    (sandbox, there, folder.join("small"))
}

#[test]
fn expired_while_submitting_nothing_is_stopped_and_no_try_is_lost() {
    for state in ["state", "s3://state/dayfill"] {
        let (mut sandbox, there, journal) = with_state(state, 3);
        sandbox.spec["job"]["idempotent"] = json!("no");
        sandbox.save();
        sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
        expire(&there.proxy, 1);
        is_signed_out(sandbox.run(&SUBMIT));
        let facts = Facts::read(&journal);
        let count = |kind: &str| facts.of(kind).len();
        assert_eq!((count("intended"), count("accepted"), count("withdrawn")), (3, 1, 2), "{:#?}", facts.all);
        assert_eq!(count("refused") + count("stopped"), 0, "{:#?}", facts.all);
        is_signed_out(sandbox.run(&WATCH));

        there.proxy.heal();
        sandbox.run(&SUBMIT).ended(0).says(&["was adopted before: going on with it"]);
        Facts::read(&journal).each_succeeded_once(&there.partitions);
        assert_eq!(there.proxy.submits_that_arrived().len(), 3);
        assert!(there.proxy.submits().values().all(|n| *n == 1), "{:?}", there.proxy.submits());
        sandbox.outputs_are_right(&there.partitions);
    }
}

#[test]
fn expired_before_what_became_of_it_is_written_down_it_is_looked_for() {
    let (sandbox, there, journal) = with_state("s3://state/dayfill", 2);
    // The third segment would say what became of the two intents of the second.
    there.proxy.on(Call::WriteSegment, 3..=u64::MAX, expired_on_s3());
    expire(&there.proxy, 1);
    is_signed_out(sandbox.run(&SUBMIT));
    let facts = Facts::read(&journal);
    assert_eq!((facts.of("intended").len(), facts.of("accepted").len()), (2, 0));

    there.proxy.heal();
    sandbox.run(&SUBMIT).ended(0);
    let facts = Facts::read(&journal);
    let found = facts.of("accepted").iter().filter(|a| a["found"] == true).count();
    assert_eq!((found, facts.of("never_arrived").len()), (1, 1), "{:#?}", facts.all);
    facts.each_succeeded_once(&there.partitions);
    assert_eq!(there.proxy.submits_that_arrived().len(), 2);
    sandbox.outputs_are_right(&there.partitions);
}

#[test]
fn expired_while_watching_the_jobs_go_on() {
    for state in ["state", "s3://state/dayfill"] {
        let (sandbox, there, journal) = with_state(state, 2);
        sandbox.define(WAITS);
        sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
        let watching = sandbox.spawn(&SUBMIT);
        until("it has looked a few times", || there.proxy.count(Call::DescribeJobs) > 3);
        // The journal is read first, at every step.
        there.proxy.on_next(Call::ListSegments, u64::MAX, expired_on_s3());
        expire(&there.proxy, 2);
        is_signed_out(Sandbox::wait(&SUBMIT, watching));
        let before = Facts::read(&journal);

        // Nobody looks, and both days are loaded.
        sandbox.write("go", "");
        until("the jobs have ended", || {
            there.partitions.iter().all(|p| sandbox.root().join("out").join(p.replace('/', "-")).exists())
        });
        is_signed_out(sandbox.run(&WATCH));
        assert_eq!(Facts::read(&journal).all, before.all);

        there.proxy.heal();
        sandbox.run(&WATCH).ended(0);
        Facts::read(&journal).each_succeeded_once(&there.partitions);
        assert_eq!(there.proxy.count(Call::SubmitJob), 2);
        sandbox.outputs_are_right(&there.partitions);
    }
}
