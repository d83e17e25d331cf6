use super::*;
use crate::ledger::Standing;

fn with_fallback() -> Plan {
    let mut plan = one_day();
    plan.job.fallback_queue = Some("on-demand".to_owned());
    plan
}

/// The job was seen waiting again, after so many of its hosts were taken.
fn reclaimed(scene: &mut Scene, name: &JobName, reclaims: u32) {
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Runnable, reason: None, reclaims });
}

/// A scene whose one job is being ended, so that its slice can go to the fallback queue.
fn moving() -> (Scene, JobName) {
    let mut scene = Scene::of(with_fallback());
    let name = scene.submit_one().name;
    scene.run(&name);
    reclaimed(&mut scene, &name, 3);
    scene.settle();
    assert!(scene.ledger.job(&name).unwrap().1.ending.is_some());
    (scene, name)
}

#[test]
fn a_slice_whose_hosts_are_taken_too_often_goes_to_the_fallback_queue() {
    let mut scene = Scene::of(with_fallback());
    let first = scene.submit_one();
    assert_eq!(first.queue, "spot");
    for reclaims in [1, 2] {
        reclaimed(&mut scene, &first.name, reclaims);
        assert_eq!(scene.about(1), [Decision::Wait], "{reclaims}");
    }
    reclaimed(&mut scene, &first.name, 3);
    let [Decision::Terminate { why, .. }] = &scene.about(1)[..] else { panic!("{:?}", scene.about(1)) };
    assert!(why.contains("taken too often") && why.contains("on-demand"), "{why}");
    scene.settle();
    assert_eq!(scene.intend().len(), 0, "no successor before the end of the predecessor is seen");
    scene.fail(&first.name, FailureClass::Ended);
    let second = scene.submit_one();
    assert_eq!((second.queue.as_str(), second.r#try, second.memory_mib), ("on-demand", 2, 128));
    // There is nowhere else to go.
    reclaimed(&mut scene, &second.name, 7);
    assert_eq!(scene.about(1), [Decision::Wait]);
}

#[test]
fn reclaims_are_counted_over_all_tries_of_a_load() {
    let mut scene = Scene::of(with_fallback());
    for reclaims in [2, 0] {
        let job = scene.submit_one();
        assert_eq!(job.queue, "spot");
        let Fact::Ended(mut end) = ended(&job.name, Outcome::Failed(FailureClass::OutOfMemory), true) else {
            unreachable!()
        };
        end.reclaims = reclaims;
        scene.tell(Fact::Ended(end));
    }
    let third = scene.submit_one();
    reclaimed(&mut scene, &third.name, 1);
    assert!(matches!(scene.about(1)[..], [Decision::Terminate { .. }]));
    // What ends by itself with its host needs no ending.
    let Fact::Ended(mut end) = ended(&third.name, Outcome::Failed(FailureClass::HostLost), true) else {
        unreachable!()
    };
    end.reclaims = 1;
    scene.tell(Fact::Ended(end));
    let fourth = scene.submit_one();
    assert_eq!(
        (fourth.queue.as_str(), fourth.memory_mib),
        ("on-demand", 512),
        "and never the shape that was killed"
    );
}

#[test]
fn without_a_fallback_queue_a_job_is_left_to_batch() {
    let (mut scene, name) = scene();
    reclaimed(&mut scene, &name, 100);
    assert_eq!(scene.about(1), [Decision::Wait]);
    let mut patient = with_fallback();
    patient.retry.fallback_after = 5;
    let mut scene = Scene::of(patient);
    let name = scene.submit_one().name;
    reclaimed(&mut scene, &name, 4);
    assert_eq!(scene.about(1), [Decision::Wait]);
}

/// What may still come of a job that is being ended, and what follows from it: a success wins, and anything else leads to
/// one job on the fallback queue, whatever else happens before or after it.
#[test]
fn every_order_of_what_comes_while_a_job_is_being_ended() {
    use FailureClass::*;
    let failures = [Ended, HostLost, OutOfMemory, TimedOut, App, KilledUnknown, Suspect].map(Outcome::Failed);
    // What else may be seen meanwhile, in every order and any part of it.
    let events: [fn(&mut Scene, &JobName); 4] = [
        |scene, name| scene.run(name),
        |scene, name| reclaimed(scene, name, 4),
        |scene, _| scene.settle(),
        |scene, _| scene.adopt(later(plan(Vec::new()))),
    ];
    for outcome in failures.into_iter().chain([Outcome::Succeeded]) {
        for order in 0..5u32.pow(4) {
            let (mut scene, name) = moving();
            for at in 0..4 {
                // The fifth choice is the end itself; where it was not chosen it comes last.
                match order / 5u32.pow(at) % 5 {
                    4 if scene.ledger.job(&name).unwrap().1.is_live() => {
                        scene.tell(ended(&name, outcome, true));
                    }
                    4 => {}
                    event if scene.ledger.job(&name).unwrap().1.is_live() || event >= 2 => {
                        events[event as usize](&mut scene, &name);
                    }
                    _ => {}
                }
                if scene.ledger.job(&name).unwrap().1.is_live() {
                    assert_eq!(scene.intend().len(), 0, "a successor beside a live job: {outcome:?} {order}");
                }
            }
            if scene.ledger.job(&name).unwrap().1.is_live() {
                scene.tell(ended(&name, outcome, true));
            }
            let next = scene.intend();
            if outcome == Outcome::Succeeded {
                assert!(next.is_empty(), "{order}");
                assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done, "{order}");
            } else {
                assert_eq!(next.len(), 1, "{outcome:?} {order}");
                assert_eq!((next[0].queue.as_str(), next[0].r#try), ("on-demand", 2), "{outcome:?} {order}");
                assert_eq!(scene.intend().len(), 0, "only one");
            }
        }
    }
}

#[test]
fn cancelled_while_it_moves_it_goes_nowhere() {
    let (mut scene, name) = moving();
    scene.cancel(1);
    scene.settle();
    scene.fail(&name, FailureClass::Ended);
    assert_eq!(scene.about(1), []);
    let (mut scene, name) = moving();
    scene.cancel(1);
    scene.succeed(&name);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done, "success wins");
}

#[test]
fn what_vanishes_while_it_moves_is_sent_once_more_elsewhere() {
    let (mut scene, name) = moving();
    scene.tell(Fact::Lost { name });
    assert_eq!(scene.submit_one().queue, "on-demand");
}

#[test]
fn where_nothing_may_run_twice_a_started_job_that_is_ended_asks_a_person() {
    let mut strict = with_fallback();
    strict.job.idempotent = Idempotent::No;
    let mut scene = Scene::of(strict);
    let name = scene.submit_one().name;
    scene.run(&name);
    reclaimed(&mut scene, &name, 3);
    scene.settle();
    scene.fail(&name, FailureClass::Ended);
    assert!(matches!(scene.about(1)[..], [Decision::AskPerson { .. }]));
}

#[test]
fn in_a_stopped_backfill_nothing_is_ended_for_a_successor_that_will_not_come() {
    let mut scene = Scene::of(with_fallback());
    let name = scene.submit_one().name;
    scene.tell(Fact::Stopped { why: "too many failures".to_owned() });
    reclaimed(&mut scene, &name, 3);
    assert_eq!(scene.about(1), [Decision::Wait]);
}

#[test]
fn a_new_plan_begins_on_the_first_queue() {
    let (mut scene, name) = moving();
    scene.fail(&name, FailureClass::Ended);
    let second = scene.submit_one();
    scene.fail(&second.name, FailureClass::App);
    let third = scene.submit_one();
    assert_eq!(third.queue, "on-demand", "what follows under the same plan stays there");
    scene.fail(&third.name, FailureClass::App);
    scene.settle();
    let mut again = with_fallback();
    again.jobs = vec![job(1, 1, 3)];
    scene.adopt(later(again));
    assert_eq!(scene.submit_one().queue, "spot");
}
