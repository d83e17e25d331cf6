use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dayfill_core::failure::{AttemptEnd, JobEnd};
use dayfill_core::ledger::Standing;
use dayfill_core::spec::{Idempotent, Reads};
use dayfill_core::template::Template;

use super::*;
use crate::ports::{ErrorKind, SeenState};
use crate::testing::{FakeSource, World, lock, plan, slice};
use crate::watch::Watched;

/// A plan for the 1st of October, whose job reads a manifest and replaces whatever part it is given.
fn divisible() -> Plan {
    let mut plan = plan([1]);
    (plan.job.idempotent, plan.job.reads) = (Idempotent::Slice, Reads::Manifest);
    let manifest = Template::parse("{manifest}", &[]).unwrap();
    plan.job.environment.insert("MANIFEST".to_owned(), manifest);
    plan.jobs[0].objects = 4;
    plan
}

/// A world whose 1st of October has four objects, and something beside it that is not of that day.
fn world() -> World {
    let world = World::new();
    let keys = ["a", "b", "c", "d"].map(|name| format!("condor/2018/10/01/{name}"));
    let source = FakeSource::of(keys.iter().map(String::as_str)).size("condor/2018/10/010/x", 7);
    *lock(&world.source) = Arc::new(source);
    world
}

/// The keys that the manifest of a job lists.
fn reads(world: &World, at: usize) -> Vec<String> {
    let variable = world.cloud.jobs()[at].submission.environment["MANIFEST"].clone();
    let name = variable.rsplit('/').next().unwrap().trim_end_matches(".jsonl").to_owned();
    assert_eq!(variable, format!("s3://example-state/sample/sample/manifests/{name}.jsonl"));
    let manifests = lock(&world.journal.manifests);
    let text = String::from_utf8(manifests[&name].clone()).unwrap();
    let key = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["size"], line["etag"].is_string()), (&serde_json::json!(10), true), "{line}");
        line["key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    text.lines().map(key).collect()
}

fn kill(world: &World, at: usize) {
    let reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    let last = AttemptEnd { exit_code: Some(137), reason, ..AttemptEnd::default() };
    let end = JobEnd { attempts: vec![last.clone()], last, ..JobEnd::default() };
    world.cloud.change(at, |j| j.state = SeenState::Failed(end));
}

/// Everything that waits is killed if it reads more than two objects, and succeeds otherwise.
fn go_on(world: &World) {
    for (at, job) in world.cloud.jobs().iter().enumerate() {
        if matches!(job.state, SeenState::Live { .. }) {
            if reads(world, at).len() > 2 { kill(world, at) } else { world.cloud.succeed(at) }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_that_no_memory_holds_is_cut_and_loaded_in_parts() {
    let world = world();
    let mut engine = world.adopted(&divisible()).await;
    while !engine.advance().await.unwrap().finished {
        go_on(&world);
    }
    let jobs = world.cloud.jobs();
    let memory: Vec<u64> = jobs.iter().map(|j| j.submission.memory_mib).collect();
    // Of the whole up to the most, then each half its share of that.
    assert_eq!(memory, [128, 256, 512, 256, 256]);
    let read: Vec<String> = (0..jobs.len()).map(|at| reads(&world, at).concat()).collect();
    assert_eq!(read, ["abcd", "abcd", "abcd", "ab", "cd"]);
    let ledger = world.ledger().await;
    assert_eq!(ledger.standing(&slice(1)), Standing::Done);
    assert_eq!(ledger.parts(&slice(1)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_tries_of_a_load_read_what_the_first_one_read() {
    let world = world();
    let mut engine = world.adopted(&divisible()).await;
    engine.advance().await.unwrap();
    let later = FakeSource::of(["condor/2018/10/01/z"]);
    *lock(&world.source) = Arc::new(later);
    world.cloud.fail(0, "Essential container in task exited");
    // Another process, which has listed nothing.
    world.engine().await.advance().await.unwrap();
    assert_eq!(reads(&world, 1), ["a", "b", "c", "d"]);
    let ledger = world.ledger().await;
    let (_, record) = ledger.slices().next().unwrap();
    let prints: BTreeSet<String> = record.tries.iter().map(|t| t.intended.fingerprint.to_string()).collect();
    assert_eq!(prints.len(), 1, "what was loaded is what was read, not what was planned");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_cut_is_given_up_and_says_why() {
    let world = World::new();
    *lock(&world.source) = Arc::new(FakeSource::of(["condor/2018/10/01/a"]));
    let mut engine = world.adopted(&divisible()).await;
    while !engine.advance().await.unwrap().finished {
        for at in 0..world.cloud.jobs().len() {
            kill(&world, at);
        }
    }
    assert_eq!(world.ledger().await.standing(&slice(1)), Standing::Failed);
    let heard = format!("{:?}", world.heard.all());
    assert!(
        heard.contains("given up: killed at 512 MiB, the most") && heard.contains("a single object"),
        "{heard}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_cannot_be_listed_is_cut_later() {
    let world = world();
    let mut engine = world.adopted(&divisible()).await;
    for at in 0..3 {
        engine.advance().await.unwrap();
        kill(&world, at);
    }
    let source = lock(&world.source).clone();
    let fails = |kind| *lock(&world.source) = Arc::new(FakeSource::of([]).broken("condor/", kind));
    fails(ErrorKind::Unreachable);
    world.engine().await.advance().await.unwrap_err();
    fails(ErrorKind::Throttled);
    // No reason to leave everything else alone.
    assert!(!world.engine().await.advance().await.unwrap().finished);
    assert!(format!("{:?}", world.heard.all()).contains("is not cut yet"));
    *lock(&world.source) = source;
    world.engine().await.advance().await.unwrap();
    assert_eq!(world.cloud.jobs().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_listed_is_given_up_with_the_words_of_the_store() {
    let world = world();
    let mut engine = world.adopted(&divisible()).await;
    for at in 0..3 {
        engine.advance().await.unwrap();
        kill(&world, at);
    }
    *lock(&world.source) = Arc::new(FakeSource::of([]).broken("condor/", ErrorKind::Denied));
    let mut engine = world.engine().await;
    assert_eq!(engine.watch(None, |_| ()).await.unwrap(), Watched::Finished);
    let heard = format!("{:?}", world.heard.all());
    assert!(
        heard.contains("given up: killed at 512 MiB") && heard.contains("cannot be listed: cannot list"),
        "{heard}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_day_that_cannot_be_listed_holds_up_no_other() {
    let mut days = divisible();
    days.jobs = plan([1, 2, 3]).jobs;
    let world = World::new();
    let keys = ["condor/2018/10/01/a", "condor/2018/10/03/c"];
    *lock(&world.source) = Arc::new(FakeSource::of(keys).broken("condor/2018/10/02/", ErrorKind::Denied));
    let mut engine = world.adopted(&days).await;
    assert!(!engine.advance().await.unwrap().finished);
    assert_eq!(world.cloud.jobs().len(), 2);
    assert!(format!("{:?}", world.heard.all()).contains("condor/2018-10-02 is not submitted yet"));
    *lock(&world.source) = Arc::new(FakeSource::of(["condor/2018/10/02/b"]));
    world.engine().await.advance().await.unwrap();
    assert_eq!(reads(&world, 2), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_is_kept_when_a_listing_breaks_off_in_the_middle_of_a_submission() {
    let mut days = divisible();
    days.jobs = plan(1..=31).jobs;
    let world = World::new();
    let keys: Vec<String> = (1..=31).map(|of| format!("condor/2018/10/{of:02}/a")).collect();
    // Of the second batch one day cannot be reached.
    let source = FakeSource::of(keys.iter().map(String::as_str));
    *lock(&world.source) = Arc::new(source.broken("condor/2018/10/25/", ErrorKind::Unreachable));
    world.cloud.set_bounds(|b| b.submits_per_second = 2.0);
    let mut engine = world.adopted(&days).await;
    engine.advance().await.unwrap_err();
    let ledger = world.ledger().await;
    let unheard = ledger.live().filter(|(_, t)| t.is_unheard()).count();
    let jobs = world.cloud.jobs().len();
    assert!(jobs > 0 && unheard == 0, "{unheard} of {jobs} jobs are not known to have arrived");
}

#[tokio::test(start_paused = true)]
async fn two_who_cut_at_once_cut_once() {
    let world = world();
    let mut engine = world.adopted(&divisible()).await;
    for at in 0..3 {
        engine.advance().await.unwrap();
        kill(&world, at);
    }
    world.journal.latency(Duration::from_millis(50));
    let (mut one, mut other) = (world.engine().await, world.engine().await);
    let (one, other) = futures::future::join(one.advance(), other.advance()).await;
    one.unwrap();
    other.unwrap();
    go_on(&world);
    let mut engine = world.engine().await;
    assert_eq!(engine.watch(None, |_| ()).await.unwrap(), Watched::Finished);
    assert_eq!(world.cloud.jobs().len(), 5);
    assert_eq!(world.ledger().await.standing(&slice(1)), Standing::Done);
}

/// Wherever a process dies, the next one cuts, or goes on with what was cut, and no object is read by two jobs that
/// succeed.
#[tokio::test(start_paused = true)]
async fn a_crash_anywhere_loses_and_repeats_nothing() {
    for points in 0.. {
        let world = world();
        let mut engine = world.adopted(&divisible()).await;
        world.crash.after(points);
        let run = async {
            while !engine.advance().await.unwrap().finished {
                go_on(&world);
            }
        };
        let survived = world.crash.survived(run).await.is_some();
        let unused = world.crash.disarm();
        let mut engine = world.engine().await;
        while !engine.advance().await.unwrap().finished {
            // What the dead one has sent is found, or can no longer arrive.
            tokio::time::sleep(Duration::from_mins(30)).await;
            go_on(&world);
        }
        let jobs = world.cloud.jobs();
        let loaded = jobs.iter().enumerate().filter(|(_, j)| j.succeeded());
        let mut read: Vec<String> = loaded.flat_map(|(at, _)| reads(&world, at)).collect();
        read.sort();
        assert_eq!(read, ["a", "b", "c", "d"], "after a crash at point {points}");
        assert_eq!(
            world.ledger().await.standing(&slice(1)),
            Standing::Done,
            "after a crash at point {points}"
        );
        if survived && unused {
            assert!(points > 10, "there are more places than {points} to die at");
            return;
        }
    }
}

mod plans {
    use dayfill_core::plan::PlannedPartition;

    use super::*;

    #[tokio::test]
    async fn what_is_too_large_is_cut_until_it_fits_or_cannot_be() {
        let mut plan = divisible();
        plan.identity.layout = "{service}/{year}/{month}/{day}/{hour}/".to_owned();
        plan.split = Some(Most { bytes: Some(25), objects: None });
        plan.partitions = Vec::<PlannedPartition>::new();
        plan.jobs[0].bytes = 100;
        let keys = ["03/a", "03/b", "03/c", "03/d", "07/a", "08/big"];
        let keys = keys.map(|name| format!("condor/2018/10/01/{name}"));
        let source = FakeSource::of(keys.iter().map(String::as_str)).size(&keys[5], 60);
        let (mut measured, mut division) = (Measured::default(), Division::default());
        let ledger = Ledger::default();
        for _ in 0..3 {
            if !divide(&plan, &ledger, &source, &mut measured, &mut division).await.unwrap() {
                break;
            }
            plan.unsplit = division.unsplit.clone();
            plan.jobs = measured
                .parts
                .iter()
                .filter(|(part, _)| !division.cuts.contains_key(*part))
                .map(|(part, m)| PlannedJob {
                    slice: part.clone(),
                    bytes: m.bytes,
                    objects: m.objects,
                    ..plan.jobs[0].clone()
                })
                .collect();
        }
        let jobs: Vec<String> = plan.jobs.iter().map(|j| format!("{}: {}", j.slice, j.bytes)).collect();
        let day = "condor/2018-10-01";
        let expected =
            ["/03+1of2: 20", "/03+2of2: 20", "/07: 10", "/08: 60"].map(|rest| format!("{day}{rest}"));
        assert_eq!(jobs, expected);
        assert_eq!(division.unsplit.len(), 1);
        assert!(division.unsplit[0].why.contains("a single object"), "{:?}", division.unsplit);
    }
}
