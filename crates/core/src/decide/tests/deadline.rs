use super::*;
use crate::fact::Intended;
use crate::ledger::Standing;
use crate::plan::PlannedDeadline;

/// A plan of so many days whose deadline is this second of the scene.
fn until(days: u32, second: i64) -> Plan {
    let mut plan = plan((1..=days).map(|of| job(of, 1, 0)).collect());
    plan.job.fallback_queue = Some("on-demand".to_owned());
    plan.deadline = Some(PlannedDeadline { at: at(second), done_by: None });
    plan
}

fn runnable(scene: &mut Scene, name: &JobName) {
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Runnable, reason: None, reclaims: 0 });
}

fn queues(intents: &[Intended]) -> Vec<&str> {
    intents.iter().map(|i| i.queue.as_str()).collect()
}

/// A success that took a minute.
fn succeed(scene: &mut Scene, name: &JobName) {
    let Fact::Ended(mut end) = ended(name, Outcome::Succeeded, true) else { unreachable!() };
    (end.started_at, end.stopped_at) = (Some(at(5)), Some(at(65)));
    scene.tell(Fact::Ended(end));
}

/// A scene whose one job waits, and is being ended because the deadline has passed.
fn moving() -> (Scene, JobName) {
    let mut scene = Scene::of(until(1, 60));
    let name = scene.submit_one().name;
    runnable(&mut scene, &name);
    scene.now = at(60);
    scene.settle();
    assert!(scene.ledger.job(&name).unwrap().1.ending.is_some());
    (scene, name)
}

#[test]
fn past_the_deadline_what_waits_is_moved_and_what_runs_is_left() {
    let mut days = until(5, 60);
    days.limits.in_flight = 4;
    let mut scene = Scene::of(days);
    let names = scene.submit();
    scene.run(&names[0]);
    scene.tell(Fact::Seen {
        name: names[1].clone(),
        status: LiveStatus::Starting,
        reason: None,
        reclaims: 0,
    });
    runnable(&mut scene, &names[2]);
    assert!(scene.decide().iter().all(|(_, d)| *d == Decision::Wait), "there is time");
    scene.now = at(60);
    for left in [1, 2] {
        assert_eq!(scene.about(left), [Decision::Wait], "{left}");
    }
    for moved in [3, 4] {
        let [Decision::Terminate { why, moves_to, .. }] = &scene.about(moved)[..] else {
            panic!("{:?}", scene.about(moved))
        };
        assert_eq!(
            why,
            "dayfill: the deadline 2018-10-20 01:47Z has passed, so it goes to the queue on-demand"
        );
        assert_eq!(moves_to.as_deref(), Some("on-demand"));
    }
    scene.settle();
    assert_eq!(scene.intend().len(), 0, "no successor before the end of the predecessor is seen");
    scene.fail(&names[3], FailureClass::Ended);
    scene.now = at(60);
    let next = scene.intend();
    assert_eq!((queues(&next), next[0].r#try), (vec!["on-demand"], 2));
    assert_eq!(next[0].queue_why.as_deref(), Some("try 1 was ended for it"));
    scene.succeed(&names[0]);
    scene.now = at(60);
    let fifth = scene.intend();
    assert_eq!(queues(&fifth), ["on-demand"], "what was never sent goes there at once");
    assert_eq!(fifth[0].queue_why.as_deref(), Some("the deadline 2018-10-20 01:47Z has passed"));
}

#[test]
fn a_deadline_that_would_be_missed_moves_what_can_be_moved() {
    let mut days = until(12, 600);
    (days.limits.in_flight, days.pilots) = (1, 0);
    let mut scene = Scene::of(days);
    for _ in 0..3 {
        let first = scene.submit_one();
        assert_eq!(first.queue, "spot", "nobody knows yet how long a job takes");
        succeed(&mut scene, &first.name);
    }
    // Nine minutes are left to do, and not quite as many to do it in.
    scene.now = at(70);
    let next = scene.intend();
    assert_eq!(queues(&next), ["on-demand"]);
    let why = next[0].queue_why.clone().unwrap();
    assert!(
        why.starts_with("the deadline 2018-10-20 01:56Z would be missed (9 jobs are left, to about"),
        "{why}"
    );
}

#[test]
fn a_deadline_that_can_be_kept_moves_nothing() {
    let mut days = until(12, 900);
    days.limits.in_flight = 1;
    let mut scene = Scene::of(days);
    let first = scene.submit_one();
    succeed(&mut scene, &first.name);
    scene.now = at(70);
    assert_eq!(queues(&scene.intend()), ["spot"]);
}

#[test]
fn what_went_there_stays_there_however_the_outlook_changes() {
    let (mut scene, name) = moving();
    scene.fail(&name, FailureClass::Ended);
    // Clocks go back, or others have finished early: the deadline can be kept again.
    scene.now = at(10);
    let second = scene.submit_one();
    assert_eq!(second.queue, "on-demand", "it was ended to go there");
    scene.now = at(1_000_000);
    assert_eq!(scene.about(1), [Decision::Wait], "no job on the fallback queue is ended for it");
    scene.fail(&second.name, FailureClass::App);
    scene.now = at(10);
    let third = scene.submit_one();
    assert_eq!(
        (third.queue.as_str(), third.queue_why.as_deref()),
        ("on-demand", Some("try 1 was ended for it"))
    );
}

/// What may still come of a job that is being ended, and what follows from it: a success wins, and anything else leads to
/// one job on the fallback queue, whatever else happens before or after it.
#[test]
fn every_order_of_what_comes_while_a_job_is_being_ended() {
    use FailureClass::*;
    let failures = [Ended, HostLost, OutOfMemory, TimedOut, App, KilledUnknown, Suspect].map(Outcome::Failed);
    let events: [fn(&mut Scene, &JobName); 5] = [
        |scene, name| scene.run(name),
        runnable,
        |scene, _| scene.settle(),
        |scene, _| scene.adopt(later(plan(Vec::new()))),
        // Time that went on, or back.
        |scene, _| scene.now = at(if scene.now > at(50) { 10 } else { 70 }),
    ];
    let kinds = events.len() as u32 + 1;
    for outcome in failures.into_iter().chain([Outcome::Succeeded]) {
        for order in 0..kinds.pow(4) {
            let (mut scene, name) = moving();
            let is_live = |scene: &Scene| scene.ledger.job(&name).unwrap().1.is_live();
            for at in 0..4 {
                // The last choice is the end itself; where it was not chosen it comes after all.
                let event = order / kinds.pow(at) % kinds;
                match events.get(event as usize) {
                    None if is_live(&scene) => scene.tell(ended(&name, outcome, true)),
                    Some(event_of) if is_live(&scene) || event >= 2 => event_of(&mut scene, &name),
                    _ => {}
                }
                if is_live(&scene) {
                    assert_eq!(scene.intend().len(), 0, "a successor beside a live job: {outcome:?} {order}");
                }
            }
            if is_live(&scene) {
                scene.tell(ended(&name, outcome, true));
            }
            let next = scene.intend();
            if outcome == Outcome::Succeeded {
                assert!(next.is_empty(), "{order}");
                assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done, "{order}");
            } else {
                assert_eq!((queues(&next), next[0].r#try), (vec!["on-demand"], 2), "{outcome:?} {order}");
                assert_eq!(scene.intend().len(), 0, "only one");
            }
        }
    }
}

#[test]
fn where_nothing_may_run_twice_only_new_jobs_go_there() {
    let mut strict = until(2, 60);
    strict.job.idempotent = Idempotent::No;
    strict.limits.in_flight = 1;
    let mut scene = Scene::of(strict);
    let first = scene.submit_one();
    runnable(&mut scene, &first.name);
    scene.now = at(60);
    assert_eq!(scene.about(1), [Decision::Wait], "it may have begun since");
    scene.succeed(&first.name);
    scene.now = at(60);
    assert_eq!(queues(&scene.intend()), ["on-demand"]);
}

#[test]
fn the_deadline_of_the_newest_plan_counts_for_all_that_waits() {
    let mut before = until(1, 60);
    before.deadline = None;
    let mut scene = Scene::of(before);
    let name = scene.submit_one().name;
    scene.now = at(1_000);
    assert_eq!(scene.about(1), [Decision::Wait], "there is none");
    let mut newer = until(3, 60);
    newer.jobs.remove(0);
    scene.adopt(newer);
    scene.now = at(1_000);
    assert!(matches!(scene.about(1)[..], [Decision::Terminate { .. }]));
    scene.settle();
    scene.now = at(1_000);
    scene.fail(&name, FailureClass::Ended);
    scene.now = at(1_000);
    assert_eq!(queues(&scene.intend()), ["on-demand"; 3]);
    // A later one takes it back for what it takes up.
    let mut patient = until(5, 1_000_000);
    patient.jobs.drain(..3);
    scene.adopt(later(patient));
    assert_eq!(queues(&scene.intend()), ["spot"; 2]);
}

#[test]
fn in_a_stopped_backfill_nothing_is_moved() {
    let mut scene = Scene::of(until(1, 60));
    let name = scene.submit_one().name;
    scene.tell(Fact::Stopped { why: "too many failures".to_owned() });
    runnable(&mut scene, &name);
    scene.now = at(60);
    assert_eq!(scene.about(1), [Decision::Wait]);
}

#[test]
fn cancelled_while_it_moves_it_goes_nowhere() {
    let (mut scene, name) = moving();
    scene.cancel(1);
    scene.settle();
    scene.fail(&name, FailureClass::Ended);
    assert_eq!(scene.about(1), []);
}
