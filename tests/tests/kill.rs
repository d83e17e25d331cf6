//! `kill -9` at random moments: the same command again finishes, and nothing is loaded twice or forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::thread;
use std::time::Duration;

use dayfill_tests::{Sandbox, SplitMix64, sandbox};

/// How often dayfill is killed.
const KILLS: u32 = 50;
/// The longest that it runs before it is.
const LONGEST: u64 = 1500;
const RUN: [&str; 3] = ["run", "backfill.yaml", "--yes"];

fn prepared(random: &mut SplitMix64) -> (Sandbox, Vec<String>) {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor", "eagle"], 8);
    sandbox.spec["window"]["to"] = "2018-10-08".into();
    sandbox.spec["limits"] = serde_json::json!({ "in_flight": 1 + random.below(12) });
    sandbox.save();
    // A job that is ended half-way has written half of what it writes, and must not be taken for one that has not.
    sandbox.define(
        r#"
        sleep "0.$(( $(od -An -N1 -tu1 /dev/urandom) % 4 + 1 ))"
        cat "$LAKE/$PREFIX"* | cksum > "$OUT/.$AWS_BATCH_JOB_ID"
        mv "$OUT/.$AWS_BATCH_JOB_ID" "$OUT/$SERVICE-$DATE"
        sleep 0.1
        "#,
    );
    (sandbox, partitions)
}

/// Kills runs of one backfill until it is done, or until `kills` reaches [`KILLS`]; then lets one come to its end.
fn kill_until_done(sandbox: &Sandbox, random: &mut SplitMix64, kills: &mut u32) {
    while *kills < KILLS {
        let (mut child, out, err) = sandbox.spawn(&RUN);
        thread::sleep(Duration::from_millis(random.below(LONGEST)));
        if child.try_wait().unwrap().is_some() {
            Sandbox::wait(&RUN, (child, out, err)).ended(0);
            return;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        *kills += 1;
    }
    sandbox.run(&RUN).ended(0);
}

#[test]
fn an_open_breaker_stays_open_whoever_is_killed() {
    let mut random = SplitMix64::from_environment();
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor", "eagle"], 8);
    sandbox.spec["window"]["to"] = "2018-10-08".into();
    sandbox.spec["limits"] = serde_json::json!({ "in_flight": 1, "stop_after": 3 });
    sandbox.spec["retry"] = serde_json::json!({ "app": 0 });
    sandbox.save();
    sandbox.define("sleep 0.2; exit 7");
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    // Unlike `run` it does not plan anew, which would close the breaker.
    let watch = ["watch", "backfill.yaml"];
    for _ in 0..5 {
        let (mut child, out, err) = sandbox.spawn(&watch);
        thread::sleep(Duration::from_millis(random.below(LONGEST)));
        if child.try_wait().unwrap().is_some() {
            Sandbox::wait(&watch, (child, out, err)).ended(6);
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    sandbox.run(&watch).ended(6);
    let facts = sandbox.facts();
    assert_eq!((facts.of("gave_up").len(), facts.of("stopped").len()), (3, 1), "{:?}", facts.of("gave_up"));
    let intended = facts.of("intended").len();
    sandbox.run(&watch).ended(6);
    sandbox.run(&["advance", "backfill.yaml"]).ended(6);
    assert_eq!(sandbox.facts().of("intended").len(), intended, "nothing is sent any more");
}

#[test]
fn killed_at_any_moment_it_finishes_and_loads_every_day_once() {
    let mut random = SplitMix64::from_environment();
    let (mut kills, mut hit) = (0, 0);
    while kills < KILLS {
        let (sandbox, partitions) = prepared(&mut random);
        kill_until_done(&sandbox, &mut random, &mut kills);
        sandbox.no_orphans();
        let total = sandbox.status()["total"].clone();
        assert_eq!((&total["days"], &total["done"]), (&16.into(), &16.into()), "{total}");
        sandbox.outputs_are_right(&partitions);
        let facts = sandbox.facts();
        facts.each_succeeded_once(&partitions);
        let in_flight = sandbox.spec["limits"]["in_flight"].as_u64().unwrap() as usize;
        assert!(facts.most_at_once() <= in_flight, "{} at once, not {in_flight}", facts.most_at_once());
        hit += facts.reclaims();
        let segments = facts.segments;
        sandbox.run(&RUN).ended(0);
        assert_eq!(sandbox.facts().segments, segments, "a run of what is done writes nothing");
    }
    assert!(hit > 0, "of {kills} kills none hit a job that ran");
}
