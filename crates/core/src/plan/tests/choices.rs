//! What is chosen for a day, and why.

use super::*;
use crate::failure::FailureClass;

const SUBMIT: fn(SubmitReason) -> Choice = Choice::Submit;
const SKIP: fn(SkipReason) -> Choice = Choice::Skip;

/// A desk at which day 1 of the lake was told to have gone this way.
fn after(tell: impl FnOnce(&mut Scene, &JobName)) -> Desk {
    let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
    let name = scene.submit_one().name;
    tell(&mut scene, &name);
    scene.settle();
    let mut desk = Desk::new(lake(&[1, 2]));
    // What was loaded is what lies there.
    desk.measured.partitions.get_mut(slice(1).partition()).unwrap().fingerprint = fingerprint("day 1");
    desk.ledger = scene.ledger;
    desk
}

#[test]
fn every_day_of_the_window_has_a_choice_with_its_reason() {
    let plan = Desk::new(lake(&[1, 2, 4])).plan();
    let told: Vec<(String, Choice)> =
        plan.partitions.iter().map(|p| (p.partition.to_string(), p.choice)).collect();
    assert_eq!(
        told,
        [
            ("condor/2018-10-01".to_owned(), SUBMIT(SubmitReason::Missing)),
            ("condor/2018-10-02".to_owned(), SUBMIT(SubmitReason::Missing)),
            ("condor/2018-10-03".to_owned(), SKIP(SkipReason::NoData)),
            ("condor/2018-10-04".to_owned(), SUBMIT(SubmitReason::Missing)),
            ("condor/2018-10-05".to_owned(), SKIP(SkipReason::NoData)),
        ]
    );
    let jobs: Vec<&SliceId> = plan.jobs.iter().map(|j| &j.slice).collect();
    assert_eq!(jobs, [&slice(1), &slice(2), &slice(4)]);
    assert_eq!(plan.jobs[0].prefix, "raw/condor/2018/10/01/");
    assert_eq!((plan.jobs[0].load, plan.jobs[0].tries_before, plan.jobs[0].memory_mib), (1, 0, 128));
}

#[test]
fn a_job_under_way_is_running() {
    assert_eq!(after(|_, _| {}).choice(1), SKIP(SkipReason::Running));
    assert_eq!(after(Scene::run).choice(1), SKIP(SkipReason::Running));
    let between = after(|s, n| s.fail(n, FailureClass::App));
    assert_eq!(between.choice(1), SKIP(SkipReason::Running), "the next try is due");
}

#[test]
fn a_loaded_day_is_done() {
    assert_eq!(after(Scene::succeed).choice(1), SKIP(SkipReason::Done));
    let marked = after(|s, _| s.mark(1, Mark::Done));
    assert_eq!(marked.choice(1), SKIP(SkipReason::Done), "nobody knows what a person loaded");
}

#[test]
fn a_changed_day_is_reported_and_loaded_only_when_asked_for() {
    let mut desk = after(Scene::succeed);
    desk.measured.partitions.get_mut(slice(1).partition()).unwrap().fingerprint = fingerprint("another");
    assert_eq!(desk.choice(1), SKIP(SkipReason::Changed));
    desk.only = "changed".parse().unwrap();
    assert_eq!(desk.choice(1), SUBMIT(SubmitReason::Changed));
    assert_eq!(desk.choice(2), SKIP(SkipReason::Outside));
    let plan = desk.plan();
    let again = job_of(&plan, 1).unwrap();
    assert_eq!((again.load, again.tries_before), (2, 0));
    desk.only = "condor/2018-10-01".parse().unwrap();
    assert_eq!(desk.choice(1), SUBMIT(SubmitReason::Changed), "asked for by name");
}

#[test]
fn a_loaded_day_without_objects_is_gone() {
    let mut desk = after(Scene::succeed);
    desk.measured.partitions.remove(slice(1).partition());
    assert_eq!(desk.choice(1), SKIP(SkipReason::Gone));
}

#[test]
fn a_failed_day_is_taken_up_again() {
    let given_up = after(|s, n| s.fail(n, FailureClass::Stuck));
    assert_eq!(given_up.choice(1), SUBMIT(SubmitReason::Failed));
    let plan = given_up.plan();
    assert_eq!(plan.partitions[0].failed, Some(FailureClass::Stuck));
    assert_eq!(job_of(&plan, 1).unwrap().tries_before, 1);
    let marked = after(|s, n| {
        s.succeed(n);
        s.mark(1, Mark::Failed);
    });
    assert_eq!(marked.choice(1), SUBMIT(SubmitReason::Failed));
    assert_eq!(job_of(&marked.plan(), 1).unwrap().load, 2, "it was loaded once");
}

#[test]
fn a_failed_day_can_be_left_out() {
    let mut desk = after(|s, n| s.fail(n, FailureClass::Stuck));
    desk.only = "missing".parse().unwrap();
    assert_eq!(desk.choice(1), SKIP(SkipReason::Failed));
    assert_eq!(desk.choice(2), SUBMIT(SubmitReason::Missing));
}

#[test]
fn a_day_between_two_tries_of_a_stopped_backfill_is_taken_up() {
    let desk = after(|s, n| {
        s.fail(n, FailureClass::App);
        s.tell(crate::fact::Fact::Stopped { why: "the breaker".to_owned() });
    });
    assert_eq!(desk.choice(1), SUBMIT(SubmitReason::Failed));
}

#[test]
fn a_day_that_needs_a_person_waits_for_one() {
    let mut strict = plan(vec![job(1, 1, 0)]);
    strict.job.idempotent = Idempotent::No;
    let mut scene = Scene::of(strict);
    let name = scene.submit_one().name;
    scene.fail(&name, FailureClass::App);
    scene.settle();
    let mut desk = Desk::new(lake(&[1]));
    desk.ledger = scene.ledger;
    assert_eq!(desk.choice(1), SKIP(SkipReason::NeedsPerson));
    desk.only = "condor/2018-10-01".parse().unwrap();
    assert_eq!(desk.choice(1), SKIP(SkipReason::NeedsPerson), "asked for by name or not");
}

#[test]
fn a_day_settles_after_its_end_and_after_its_newest_object() {
    let mut desk = Desk::new(lake(&[5]));
    let newest: DateTime<Utc> = "2018-10-06T00:00:00Z".parse().unwrap();
    for (now, choice) in [
        (newest + TimeDelta::hours(6) - TimeDelta::seconds(1), SKIP(SkipReason::Settling)),
        (newest + TimeDelta::hours(6), SUBMIT(SubmitReason::Missing)),
    ] {
        desk.now = now;
        assert_eq!(desk.choice(5), choice, "{now}");
    }
    // A late object begins the wait anew.
    desk.measured.partitions.get_mut(slice(5).partition()).unwrap().newest =
        Some(newest + TimeDelta::hours(1));
    assert_eq!(desk.choice(5), SKIP(SkipReason::Settling));
}

#[test]
fn a_changed_day_that_still_receives_objects_is_settling() {
    let mut desk = after(Scene::succeed);
    desk.only = "changed".parse().unwrap();
    let lying = desk.measured.partitions.get_mut(slice(1).partition()).unwrap();
    (lying.fingerprint, lying.newest) = (fingerprint("another"), Some(desk.now));
    assert_eq!(desk.choice(1), SKIP(SkipReason::Settling));
}

#[test]
fn what_could_not_be_listed_is_no_day_without_data() {
    let mut desk = after(Scene::succeed);
    for of in [1, 3] {
        let values = vec!["condor".to_owned()];
        desk.measured.unlisted.push(Unlisted { values, day: day(of), why: "503 Slow Down".to_owned() });
    }
    desk.measured.partitions.remove(slice(1).partition());
    assert_eq!(desk.choice(1), SKIP(SkipReason::Unlisted), "and a loaded one is not gone");
    assert_eq!(desk.choice(3), SKIP(SkipReason::Unlisted));
    let plan = desk.plan();
    assert_eq!(plan.partitions[2].why.as_deref(), Some("503 Slow Down"));
}

#[test]
fn partitions_that_were_not_asked_for_are_outside() {
    let mut desk = Desk::new(lake(&[1, 2]));
    desk.only = "condor/2018-10-02".parse().unwrap();
    assert_eq!(desk.choice(1), SKIP(SkipReason::Outside));
    assert_eq!(desk.choice(2), SUBMIT(SubmitReason::Missing));
    assert_eq!(desk.choice(3), SKIP(SkipReason::Outside));
}

#[test]
fn where_no_day_has_settled_there_is_nothing_to_say() {
    let mut desk = Desk::new(Measured::default());
    desk.measured.combinations = vec![vec!["condor".to_owned()]];
    let plan = desk.plan();
    assert_eq!((plan.partitions.len(), plan.jobs.len()), (0, 0));
}

#[test]
fn a_heavy_day_does_not_begin_small_again() {
    // Killed at 128 MiB, given up for another reason at 256.
    let desk = after(|s, n| {
        s.run(n);
        s.fail(n, FailureClass::OutOfMemory);
        let larger = s.submit_one();
        assert_eq!(larger.memory_mib, 256);
        s.fail(&larger.name, FailureClass::Stuck);
    });
    assert_eq!(job_of(&desk.plan(), 1).unwrap().memory_mib, 256);
    // Killed at 128 and 256 MiB: the next request is more than that.
    let desk = after(|s, n| {
        s.fail(n, FailureClass::OutOfMemory);
        let larger = s.submit_one();
        s.fail(&larger.name, FailureClass::OutOfMemory);
        s.cancel(1);
    });
    assert_eq!(job_of(&desk.plan(), 1).unwrap().memory_mib, 512);
}

#[test]
fn the_cap_holds_for_a_day_that_had_more_once() {
    let mut desk = after(|s, n| {
        s.fail(n, FailureClass::OutOfMemory);
        let larger = s.submit_one();
        s.fail(&larger.name, FailureClass::Stuck);
    });
    desk.spec = spec(|parts| {
        let memory = MemoryParts { start: some("64MiB"), max: some("200MiB") };
        parts.job.as_mut().unwrap().memory = Some(memory);
    });
    assert_eq!(job_of(&desk.plan(), 1).unwrap().memory_mib, 200);
}

#[test]
fn history_counts_what_succeeded() {
    let desk = after(Scene::succeed);
    assert_eq!(desk.plan().history, History { jobs: 1, seconds: 60, bytes: 1000 });
    assert_eq!(after(|s, n| s.fail(n, FailureClass::App)).plan().history, History::default());
}

#[test]
fn a_plan_names_the_journal_it_was_made_against() {
    assert_eq!(Desk::new(lake(&[1])).plan().uuid, None);
    let desk = after(Scene::succeed);
    assert_eq!(desk.plan().uuid, desk.ledger.opened().map(|o| o.uuid));
}

#[test]
fn a_plan_that_was_just_made_is_never_stale() {
    for desk in [after(Scene::succeed), after(|_, _| {}), after(|s, n| s.fail(n, FailureClass::Stuck))] {
        assert_eq!(desk.plan().staleness(&desk.ledger), Staleness::Fresh);
    }
}
