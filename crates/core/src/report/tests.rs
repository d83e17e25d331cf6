use super::*;
use crate::fact::Mark;
use crate::job::JobName;
use crate::plan::{Plan, PlannedPartition, SubmitReason};
use crate::testing::{Scene, at, day, job, plan, slice};

fn planned(of: u32, choice: Choice) -> PlannedPartition {
    PlannedPartition {
        partition: slice(of).partition().clone(),
        choice,
        objects: 3,
        bytes: 1000,
        largest: 500,
        newest: None,
        missing_hours: Vec::new(),
        failed: None,
        why: None,
    }
}

/// A plan for days 1 to 4; day 5 has no data, day 6 was loaded before.
fn six_days() -> Plan {
    let mut plan = plan((1..=4).map(|d| job(d, 1, 0)).collect());
    plan.partitions = (1..=4).map(|d| planned(d, Choice::Submit(SubmitReason::Missing))).collect();
    plan.partitions.push(planned(5, Choice::Skip(SkipReason::NoData)));
    plan.partitions.push(planned(6, Choice::Skip(SkipReason::Done)));
    plan.limits.in_flight = 3;
    plan
}

fn view(scene: &Scene) -> View<'_> {
    let plan = scene.plans.get(&scene.ledger.adopted().unwrap().digest);
    View { ledger: &scene.ledger, plan, now: scene.now }
}

fn state(scene: &Scene, of: u32) -> DayState {
    view(scene).partitions()[slice(of).partition()]
}

fn scene() -> (Scene, Vec<JobName>) {
    let mut scene = Scene::of(six_days());
    let names = scene.submit();
    assert_eq!(names.len(), 3);
    (scene, names)
}

#[test]
fn every_day_of_the_plan_has_a_state() {
    use DayState::{Done, NoData, Other, Planned, Running, Waiting};
    let (mut scene, names) = scene();
    scene.run(&names[0]);
    scene.succeed(&names[1]);
    let states: Vec<DayState> = view(&scene).partitions().into_values().collect();
    assert_eq!(states, [Running, Done, Waiting, Planned, NoData, Other]);
}

#[test]
fn days_that_the_newest_plan_does_not_know_are_shown_too() {
    let (mut scene, names) = scene();
    scene.succeed(&names[1]);
    scene.adopt(plan(Vec::new()));
    assert_eq!(state(&scene, 2), DayState::Done);
    assert_eq!(view(&scene).total().days, 3);
}

#[test]
fn ends_have_their_states() {
    let (mut scene, names) = scene();
    scene.fail(&names[0], FailureClass::Stuck);
    assert_eq!(state(&scene, 1), DayState::Waiting, "not decided yet");
    scene.settle();
    assert_eq!(state(&scene, 1), DayState::Failed);
    scene.cancel(2);
    scene.settle();
    assert_eq!(state(&scene, 2), DayState::Waiting, "it is being ended");
    scene.fail(&names[1], FailureClass::Ended);
    assert_eq!(state(&scene, 2), DayState::Failed);
    scene.mark(4, Mark::Done);
    assert_eq!(state(&scene, 4), DayState::Done);
    scene.mark(5, Mark::Failed);
    assert_eq!(state(&scene, 5), DayState::Failed);
}

#[test]
fn a_day_that_needs_a_person_says_so() {
    let mut strict = six_days();
    strict.job.idempotent = crate::spec::Idempotent::No;
    let mut scene = Scene::of(strict);
    let names = scene.submit();
    scene.fail(&names[0], FailureClass::App);
    scene.settle();
    assert_eq!(state(&scene, 1), DayState::NeedsPerson);
    assert_eq!(view(&scene).total().needs_person, 1);
}

#[test]
fn a_stop_leaves_nothing_waiting_for_a_try_that_never_comes() {
    let (mut scene, names) = scene();
    scene.fail(&names[0], FailureClass::App);
    scene.tell(crate::fact::Fact::Stopped { why: "the breaker".to_owned() });
    assert_eq!(state(&scene, 1), DayState::Failed);
    assert_eq!(state(&scene, 2), DayState::Waiting, "its job goes on");
}

#[test]
fn a_failed_day_that_a_newer_plan_takes_up_is_planned() {
    let (mut scene, names) = scene();
    scene.fail(&names[0], FailureClass::Stuck);
    scene.settle();
    let mut again = six_days();
    again.made_at = at(9);
    again.jobs = vec![job(1, 1, 1)];
    again.partitions[0].choice = Choice::Submit(SubmitReason::Failed);
    scene.adopt(again);
    assert_eq!(state(&scene, 1), DayState::Planned);
}

#[test]
fn a_loaded_day_that_is_loaded_again_is_planned_first() {
    let (mut scene, names) = scene();
    scene.succeed(&names[0]);
    let mut again = six_days();
    again.made_at = at(9);
    again.jobs = vec![job(1, 2, 0)];
    scene.adopt(again);
    assert_eq!(state(&scene, 1), DayState::Planned);
}

#[test]
fn rows_are_groups_in_order_and_add_up_to_the_total() {
    let (mut scene, names) = scene();
    scene.run(&names[0]);
    scene.succeed(&names[1]);
    for (by, groups) in [
        (GroupBy::Service, vec!["condor".to_owned()]),
        (GroupBy::Month, vec!["2018-10".to_owned()]),
        (GroupBy::Day, (1..=6).map(|d| day(d).to_string()).collect()),
    ] {
        let rows = view(&scene).rows(by);
        assert_eq!(rows.iter().map(|r| r.group.clone()).collect::<Vec<_>>(), groups);
        let total = view(&scene).total();
        let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
        for (of, name) in [
            ((|r| r.days) as fn(&Row) -> u64, "days"),
            (|r| r.done, "done"),
            (|r| r.running, "running"),
            (|r| r.waiting, "waiting"),
            (|r| r.planned, "planned"),
            (|r| r.no_data, "no data"),
            (|r| r.other, "other"),
            (|r| r.bytes, "bytes"),
            (|r| r.bytes_done, "bytes done"),
            (|r| r.jobs, "jobs"),
            (|r| r.seconds, "seconds"),
        ] {
            assert_eq!(sum(of), of(&total), "{name} {by:?}");
        }
        assert_eq!(
            total.days,
            total.done + total.running + total.waiting + total.planned + total.no_data + total.other
        );
    }
}

#[test]
fn a_row_counts_jobs_kills_bytes_and_time() {
    let (mut scene, names) = scene();
    scene.fail(&names[0], FailureClass::OutOfMemory);
    let larger = scene.submit_one();
    assert_eq!(larger.slice, slice(1));
    scene.succeed(&larger.name);
    let row = &view(&scene).rows(GroupBy::Day)[0];
    assert_eq!((row.jobs, row.out_of_memory, row.done), (2, 1, 1));
    assert_eq!((row.bytes, row.bytes_done), (1000, 1000));
    assert_eq!(row.seconds, 120, "a minute for each of the two jobs");
}

#[test]
fn a_running_job_counts_the_time_it_has_run_so_far() {
    let (mut scene, names) = scene();
    scene.run(&names[0]);
    scene.now += TimeDelta::seconds(90);
    assert_eq!(view(&scene).total().seconds, 90);
}

#[test]
fn intents_that_came_to_nothing_are_no_jobs() {
    let mut scene = Scene::of(six_days());
    for intent in scene.intend() {
        scene.tell(crate::fact::Fact::NeverArrived { name: intent.name });
    }
    assert_eq!(view(&scene).total().jobs, 0);
    assert_eq!(state(&scene, 1), DayState::Planned);
}

#[test]
fn classes_count_jobs_and_what_became_of_their_days() {
    let (mut scene, names) = scene();
    // Day 1 is killed and then done, day 2 is given up, day 3 vanished once.
    scene.fail(&names[0], FailureClass::OutOfMemory);
    let larger = scene.submit_one();
    scene.succeed(&larger.name);
    scene.fail(&names[1], FailureClass::Stuck);
    scene.settle();
    scene.tell(crate::fact::Fact::Lost { name: names[2].clone() });
    let row =
        |class, days_done, days_given_up| ClassRow { class, jobs: 1, days: 1, days_done, days_given_up };
    assert_eq!(
        view(&scene).classes(),
        [row(FailureClass::OutOfMemory, 1, 0), row(FailureClass::Stuck, 0, 1), row(FailureClass::Lost, 0, 0),]
    );
}

#[test]
fn without_a_plan_there_is_only_the_ledger() {
    let ledger = Ledger::default();
    let empty = View { ledger: &ledger, plan: None, now: at(0) };
    assert_eq!(empty.total().days, 0);
    assert!(empty.rows(GroupBy::Day).is_empty() && empty.classes().is_empty());
}

mod parts {
    use super::*;
    use crate::fact::{Fact, Split};
    use crate::partition::SliceId;
    use crate::plan::PlannedJob;
    use crate::spec::Idempotent;
    use crate::split::Cut;

    fn split(of: &SliceId, plan: &Plan) -> Fact {
        let cut = Cut::Ranges { starts: vec!["m".to_owned()] };
        let part = |slice| PlannedJob { slice, bytes: 500, ..job(1, 1, 0) };
        let parts = cut.parts(of).into_iter().map(part).collect();
        Fact::Split(Box::new(Split {
            slice: of.clone(),
            cut,
            why: "too large".to_owned(),
            plan: plan.digest(),
            parts,
        }))
    }

    #[test]
    fn a_day_is_what_its_parts_are_together() {
        use DayState::{Done, Failed, Planned, Running, Waiting};
        let mut days = six_days();
        days.job.idempotent = Idempotent::Slice;
        let mut scene = Scene::of(days.clone());
        let names = scene.submit();
        scene.fail(&names[0], FailureClass::OutOfMemory);
        scene.tell(split(&slice(1), &days));
        assert_eq!(state(&scene, 1), Planned);
        scene.succeed(&names[1]);
        scene.succeed(&names[2]);
        let parts = scene.submit();
        assert_eq!((state(&scene, 1), parts.len()), (Waiting, 3), "two parts, and another day");
        scene.run(&parts[0]);
        assert_eq!(state(&scene, 1), Running);
        scene.succeed(&parts[0]);
        assert_eq!(state(&scene, 1), Waiting);
        let row = view(&scene).total();
        assert_eq!((row.parts, row.parts_done, row.days), (2, 1, 6));
        scene.fail(&parts[1], FailureClass::Stuck);
        scene.settle();
        assert_eq!(state(&scene, 1), Failed);
        let classes = view(&scene).classes();
        let of = |class| classes.iter().find(|c| c.class == class).unwrap();
        assert_eq!((of(FailureClass::OutOfMemory).days, of(FailureClass::Stuck).days_given_up), (1, 1));
        scene.tell(Fact::Marked {
            slice: slice(1).of_range(2, 2),
            mark: Mark::Done,
            reason: "looked".to_owned(),
        });
        assert_eq!(state(&scene, 1), Done);
        let day = view(&scene).rows(GroupBy::Day).remove(0);
        assert_eq!((day.bytes, day.bytes_done, day.done), (1000, 1000, 1));
    }

    #[test]
    fn bytes_of_a_planned_part_that_was_cut_again_count_once() {
        let mut plan = six_days();
        let hours = [7, 8].map(|h| PlannedJob { slice: slice(1).of_hour(h), bytes: 1000, ..job(1, 1, 0) });
        plan.jobs.splice(0..1, hours);
        let mut scene = Scene::of(plan.clone());
        let parts = plan.jobs[..2].to_vec();
        let why = "too large".to_owned();
        let cut = Split { slice: slice(1), cut: Cut::Hours, why, plan: plan.digest(), parts };
        scene.tell(Fact::Split(Box::new(cut)));
        scene.tell(split(&slice(1).of_hour(7), &plan));
        let day = view(&scene).rows(GroupBy::Day).remove(0);
        assert_eq!(day.bytes, 2000);
        assert_eq!(view(&scene).slices(slice(1).partition()).len(), 3);
    }
}
