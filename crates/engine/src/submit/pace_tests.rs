//! How much of what a service allows is used, in virtual time.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use dayfill_core::ledger::TryState;

use super::*;
use crate::testing::{Bucket, Chance, OnCreate, World, long_plan};

/// Requests and writes take so many milliseconds.
#[derive(Debug, Clone, Copy)]
struct Takes {
    submit: u64,
    write: u64,
}

/// Loopback, and AWS with the journal in a folder.
const NEAR: [Takes; 2] = [Takes { submit: 0, write: 0 }, Takes { submit: 30, write: 10 }];
/// AWS from another continent, the journal on S3.
const FAR: Takes = Takes { submit: 200, write: 100 };

/// Submits so many jobs to a service that allows what `bucket` holds, until all are accepted.
async fn submit_all(jobs: u32, bucket: Bucket, takes: Takes) -> World {
    let world = World::new();
    world.cloud.latency(Duration::from_millis(takes.submit));
    world.journal.latency(Duration::from_millis(takes.write));
    world.cloud.allow(bucket);
    let mut engine = world.adopted(&long_plan(jobs)).await;
    engine.advance().await.unwrap();
    world
}

/// Every job was accepted once, and no intent came to nothing.
async fn assert_each_accepted_once(world: &World, jobs: u32, what: &str) {
    let ledger = world.ledger().await;
    let accepted = world.cloud.jobs();
    let mut by_name: BTreeMap<_, u32> = BTreeMap::new();
    for job in &accepted {
        *by_name.entry(&job.name).or_default() += 1;
    }
    assert_eq!((by_name.len(), accepted.len()), (jobs as usize, jobs as usize), "{what}");
    for (slice, record) in ledger.slices() {
        let [t] = &record.tries[..] else { panic!("{what}: {slice}: {record:?}") };
        assert!(matches!(t.state, TryState::Live(_)) && t.job_id.is_some(), "{what}: {slice}: {t:?}");
    }
    assert_eq!(ledger.slices().count(), jobs as usize, "{what}");
}

/// The share of what is allowed in the first `seconds` that is used. At most five in a hundred requests are refused.
async fn share(rates: &[(f64, f64)], burst: f64, takes: Takes, seconds: f64) -> f64 {
    let bucket = Bucket::new(rates, burst);
    // More than can be sent in the time, so that there is always one to send.
    let jobs = bucket.allowed(seconds) as u32 + 100;
    let world = submit_all(jobs, bucket, takes).await;
    let what = format!("{rates:?}, burst {burst}, {takes:?}");
    assert_each_accepted_once(&world, jobs, &what).await;
    let bucket = world.cloud.bucket();
    let bucket = bucket.as_ref().unwrap();
    let (used, refused) = (bucket.taken(seconds), bucket.refused(seconds));
    println!("{what}: {used:.3} of what is allowed, {refused:.3} refused");
    assert!(refused <= 0.05, "{what}: {refused:.3} refused");
    assert!(bucket.most_in_a_second() <= 51, "{what}: {} in a second", bucket.most_in_a_second());
    used
}

async fn assert_share(least: f64, rates: &[(f64, f64)], burst: f64, takes: Takes, seconds: f64) {
    let share = share(rates, burst, takes, seconds).await;
    assert!(share >= least, "{rates:?}, burst {burst}, {takes:?}: {share:.3}");
}

#[tokio::test(start_paused = true)]
async fn fifty_a_second() {
    for takes in [NEAR[0], NEAR[1], FAR] {
        for burst in [1.0, 50.0] {
            assert_share(0.95, &[(0.0, 50.0)], burst, takes, 60.0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_a_second() {
    for takes in [NEAR[0], NEAR[1], FAR] {
        for burst in [2.0, 10.0, 50.0] {
            assert_share(0.95, &[(0.0, 10.0)], burst, takes, 60.0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_then_ten_then_fifty() {
    for burst in [10.0, 50.0] {
        for takes in NEAR {
            assert_share(0.95, &[(0.0, 50.0), (20.0, 10.0), (40.0, 50.0)], burst, takes, 60.0).await;
        }
        // A probe that is answered late costs several refusals, and so there are fewer of them.
        assert_share(0.95, &[(0.0, 50.0), (40.0, 10.0), (80.0, 50.0)], burst, FAR, 120.0).await;
    }
}

/// When a rise is found depends on when the next probe is due, so one of them alone says little.
#[tokio::test(start_paused = true)]
async fn ten_then_fifty() {
    let mut shares = Vec::new();
    for rises in 15..20 {
        shares.push(share(&[(0.0, 10.0), (rises.into(), 50.0)], 10.0, NEAR[1], 60.0).await);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    assert!(mean >= 0.95, "{shares:?}");
    assert!(shares.iter().all(|s| *s >= 0.9), "{shares:?}");
    assert_share(0.9, &[(0.0, 10.0), (20.0, 50.0)], 50.0, FAR, 120.0).await;
}

/// Up to 300 intents are stored when the rate falls to a tenth: they are all sent in time.
#[tokio::test(start_paused = true)]
async fn a_rate_that_falls_to_a_tenth_withdraws_nothing() {
    for falls in 20..23 {
        let world = submit_all(1_300, Bucket::new(&[(0.0, 50.0), (falls.into(), 5.0)], 10.0), NEAR[1]).await;
        assert_each_accepted_once(&world, 1_300, "50, then 5 a second").await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_service_allows_nothing_is_lost_or_doubled() {
    for seed in 0..12 {
        println!("seed {seed}");
        let chance = Chance::seeded(seed);
        let mut at = 0.0;
        let mut rates = Vec::new();
        for _ in 0..12 {
            rates.push((at, 1.0 + chance.below(70) as f64));
            at += 1.0 + chance.below(20) as f64;
        }
        let takes = Takes { submit: chance.below(500), write: chance.below(2_000) };
        let bucket = Bucket::new(&rates, 1.0 + chance.below(60) as f64);
        let world = submit_all(1_000, bucket, takes).await;
        println!("{:.3} refused", world.cloud.bucket().as_ref().unwrap().refused(f64::INFINITY));
        let ledger = world.ledger().await;
        assert_eq!(world.cloud.jobs().len(), 1_000, "seed {seed}");
        assert_eq!(world.cloud.doubles(), 0, "seed {seed}");
        for (slice, record) in ledger.slices() {
            let (last, before) = record.tries.split_last().unwrap();
            assert!(matches!(last.state, TryState::Live(_)), "seed {seed}: {slice}: {last:?}");
            assert!(before.iter().all(|t| matches!(t.state, TryState::Withdrawn(_))), "seed {seed}: {slice}");
        }
        assert_eq!(ledger.slices().count(), 1_000, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_intents_are_stored_while_the_last_jobs_are_sent() {
    let world = World::new();
    world.journal.latency(Duration::from_millis(700));
    world.cloud.allow(Bucket::new(&[(0.0, 1000.0)], 1000.0));
    world.cloud.set_bounds(|b| b.submits_per_second = 4.0);
    let mut engine = world.adopted(&long_plan(60)).await;
    engine.advance().await.unwrap();
    assert_each_accepted_once(&world, 60, "4 a second").await;
    let sent = world.cloud.sent_at();
    let pauses = sent.windows(2).filter(|pair| pair[1] - pair[0] > TimeDelta::milliseconds(260)).count();
    assert_eq!(pauses, 0, "{sent:?}");
    assert_eq!(world.journal.len(), 1 + 3 + 1, "a plan, three batches, and what became of the last");
}

#[tokio::test(start_paused = true)]
async fn where_the_next_intents_cannot_be_stored_those_before_are_sent_and_told() {
    let world = World::new();
    world.cloud.set_bounds(|b| b.submits_per_second = 4.0);
    let mut engine = world.adopted(&long_plan(60)).await;
    let advancing = tokio::spawn(async move { engine.advance().await.map(|_| ()) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.journal.script([OnCreate::Failed]);
    assert!(advancing.await.unwrap().is_err());
    let ledger = world.ledger().await;
    assert_eq!((world.cloud.jobs().len(), ledger.live().count()), (20, 20));
    assert!(ledger.live().all(|(_, t)| t.job_id.is_some()), "nobody has to look for them");
}
