use super::*;
use crate::fact::{Fact, Outcome};
use crate::partition::SliceId;
use crate::spec::SplitParts;
use crate::split::Cut;
use crate::testing::ended;

const MISSING: Choice = Choice::Submit(SubmitReason::Missing);

fn hour(of: u32, hour: u8) -> SliceId {
    slice(of).of_hour(hour)
}

/// A desk with days 1 and 2, of which day 1 has 500 bytes in hour 3 and 900 in hour 7, for a job that reads a prefix and
/// replaces any part.
fn desk(idempotent: &str) -> Desk {
    let mut desk = Desk::new(lake(&[1, 2]));
    desk.spec = spec(|parts| {
        let job = parts.job.as_mut().unwrap();
        job.idempotent = some(idempotent);
        job.environment = vec![("PREFIX".to_owned(), "{prefix}".to_owned())];
        parts.source.as_mut().unwrap().layout = some("{service}/{year}/{month}/{day}/{hour}/");
        parts.split = Some(SplitParts { max_bytes: some("1KiB"), ..SplitParts::default() });
    });
    for (of, bytes) in [(1, 1400), (2, 1300)] {
        let partition = slice(of).partition().clone();
        desk.measured.partitions.insert(partition, measure(&[(&format!("day {of}"), bytes)]));
    }
    desk.measured.parts.insert(hour(1, 3), measure(&[("three", 500)]));
    desk.measured.parts.insert(hour(1, 7), measure(&[("seven", 900)]));
    desk
}

fn planned(plan: &Plan) -> Vec<String> {
    plan.jobs.iter().map(|j| format!("{} load {}: {} of {}", j.slice, j.load, j.bytes, j.prefix)).collect()
}

/// The desk after its plan, with day 1 cut by hour, was adopted and its jobs ended so, in order.
fn after(idempotent: &str, ends: &[bool]) -> Desk {
    let mut desk = desk(idempotent);
    desk.cuts.insert(slice(1), Cut::Hours);
    let plan = desk.plan();
    let mut scene = Scene::of(plan.clone());
    scene.tell_all(plan.split_facts().into_iter().map(|s| Fact::Split(Box::new(s))).collect());
    for (name, end) in scene.submit().into_iter().zip(ends) {
        if *end {
            scene.succeed(&name);
        } else {
            // It never began, so nothing of it is loaded.
            scene.tell(ended(&name, Outcome::Failed(FailureClass::Stuck), false));
        }
    }
    scene.settle();
    desk.ledger = scene.ledger;
    desk.cuts.clear();
    desk
}

#[test]
fn what_is_too_large_is_said_until_it_is_cut_or_known_to_stay() {
    let mut desk = desk("slice");
    let too_large = |desk: &Desk| -> Vec<String> {
        desk.plan().too_large().map(|(job, most)| format!("{}: {most}", job.slice)).collect()
    };
    let both =
        ["condor/2018-10-01: split.max_bytes (1.0 KiB)", "condor/2018-10-02: split.max_bytes (1.0 KiB)"];
    assert_eq!(too_large(&desk), both);
    desk.cuts.insert(slice(1), Cut::Hours);
    assert_eq!(too_large(&desk), both[1..]);
    desk.unsplit.push(Unsplit { slice: slice(2), why: "it has a single object".to_owned() });
    assert_eq!(too_large(&desk), [""; 0]);
    let plan = desk.plan();
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    assert_eq!(
        planned(&plan),
        [
            "condor/2018-10-02 load 1: 1300 of raw/condor/2018/10/02/",
            "condor/2018-10-01/07 load 1: 900 of raw/condor/2018/10/01/07/",
            "condor/2018-10-01/03 load 1: 500 of raw/condor/2018/10/01/03/",
        ]
    );
    assert_eq!(plan.totals().all.submit, 2);
    assert_eq!(plan.totals().jobs, 3);
    let facts = plan.split_facts();
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].parts.iter().map(|j| j.slice.clone()).collect::<Vec<_>>(), [hour(1, 7), hour(1, 3)]);
}

#[test]
fn a_cut_is_kept_for_the_next_load() {
    let mut desk = after("slice", &[true, true, true]);
    assert_eq!(desk.plan().jobs, []);
    desk.measured.parts.insert(hour(1, 7), measure(&[("seven", 901)]));
    let choice = |desk: &Desk| desk.plan().partitions[0].choice;
    assert_eq!(choice(&desk), Choice::Skip(SkipReason::Changed));
    assert_eq!(desk.plan().jobs, []);
    desk.only = "changed".parse().unwrap();
    assert_eq!(choice(&desk), Choice::Submit(SubmitReason::Changed));
    // Only the part that changed.
    assert_eq!(planned(&desk.plan()), ["condor/2018-10-01/07 load 2: 901 of raw/condor/2018/10/01/07/"]);
    assert_eq!(desk.plan().splits, []);
}

#[test]
fn what_comes_into_an_hour_that_had_nothing_is_a_change() {
    let mut desk = after("slice", &[true, true, true]);
    desk.measured.parts.insert(hour(1, 9), measure(&[("nine", 5)]));
    assert_eq!(desk.plan().partitions[0].choice, Choice::Skip(SkipReason::Changed));
    assert_eq!(desk.plan().jobs, []);
    desk.only = "changed".parse().unwrap();
    let plan = desk.plan();
    assert_eq!(plan.partitions[0].choice, Choice::Submit(SubmitReason::Changed));
    assert_eq!(planned(&plan), ["condor/2018-10-01/09 load 1: 5 of raw/condor/2018/10/01/09/"]);
}

#[test]
fn the_parts_that_failed_are_loaded_again_and_no_other() {
    // In the order of the plan: day 2, hour 7, hour 3.
    let desk = after("slice", &[true, false, true]);
    let plan = desk.plan();
    assert_eq!(plan.partitions[0].choice, Choice::Submit(SubmitReason::Failed));
    assert_eq!(plan.partitions[0].failed, Some(FailureClass::Stuck));
    assert_eq!(planned(&plan), ["condor/2018-10-01/07 load 1: 900 of raw/condor/2018/10/01/07/"]);
    assert_eq!(plan.jobs[0].tries_before, 1);
    assert_eq!(plan.staleness(&desk.ledger), Staleness::Fresh);
}

#[test]
fn a_day_with_a_part_under_way_is_running() {
    let desk = after("slice", &[true, true]);
    assert_eq!(desk.plan().partitions[0].choice, Choice::Skip(SkipReason::Running));
}

#[test]
fn where_only_a_whole_day_replaces_itself_nothing_is_cut() {
    assert!(desk("partition").plan().stays_whole().unwrap().contains("idempotent: partition"));
    assert_eq!(desk("slice").plan().stays_whole(), None);
    assert_eq!(desk("no").plan().stays_whole(), None);
    // A day that was cut before somebody wrote so: no part of it may take the place of the day.
    for ends in [[true, true, false], [true, true, true]] {
        let mut cut = after("slice", &ends);
        cut.spec = desk("partition").spec;
        cut.measured.parts.insert(hour(1, 9), measure(&[("nine", 5)]));
        cut.only = "changed,failed".parse().unwrap();
        let plan = cut.plan();
        assert_eq!(plan.partitions[0].choice, Choice::Skip(SkipReason::NeedsPerson), "{ends:?}");
        assert!(
            plan.partitions[0].why.as_deref().unwrap().contains("dayfill mark … done"),
            "{:?}",
            plan.partitions[0]
        );
        assert_eq!(plan.jobs, []);
    }
}

#[test]
fn a_part_without_any_objects_left_asks_a_person_and_is_then_done_with() {
    let mut gone = after("slice", &[true, true, true]);
    gone.measured.parts.remove(&hour(1, 3));
    assert_eq!(
        gone.plan().partitions[0].choice,
        Choice::Skip(SkipReason::Changed),
        "told, and not asked for"
    );
    gone.only = "changed".parse().unwrap();
    let why = |desk: &Desk| desk.plan().partitions[0].why.clone().unwrap_or_default();
    assert!(why(&gone).contains("done --only condor/2018-10-01/03"), "{}", why(&gone));
    let mut failed = after("slice", &[true, true, false]);
    failed.measured.parts.remove(&hour(1, 3));
    assert_eq!(failed.plan().partitions[0].choice, Choice::Skip(SkipReason::NeedsPerson));
    assert!(why(&failed).contains("failed, and has no objects any more"), "{}", why(&failed));
    for desk in [&mut gone, &mut failed] {
        let done = Fact::Marked { slice: hour(1, 3), mark: Mark::Done, reason: "removed".to_owned() };
        desk.ledger.apply(done, crate::testing::stamp(99)).unwrap();
        assert_eq!(desk.plan().partitions[0].choice, Choice::Skip(SkipReason::Done));
    }
}

#[test]
fn a_plan_that_cuts_what_was_submitted_or_cut_since_is_stale() {
    let mut desk = desk("slice");
    let whole = desk.plan();
    desk.cuts.insert(slice(1), Cut::Hours);
    let cut = desk.plan();
    let mut scene = Scene::of(whole.clone());
    let name = scene.submit().remove(0);
    let since = |scene: &Scene| match cut.staleness(&scene.ledger) {
        Staleness::Stale(jobs) => jobs.into_iter().map(|j| format!("{}: {}", j.slice, j.since)).collect(),
        other => vec![format!("{other:?}")],
    };
    let is = |scene: &Scene, why: &str| since(scene).contains(&format!("condor/2018-10-01: {why}"));
    assert!(is(&scene, "a job of it is under way as a whole"));
    scene.fail(&name, FailureClass::Stuck);
    scene.settle();
    assert!(is(&scene, "a job of it was submitted as a whole"));
    scene.mark(1, Mark::Done);
    assert!(is(&scene, "load 1 succeeded"));
    let mut scene = Scene::of(plan(Vec::new()));
    assert_eq!(since(&scene), ["Fresh"]);
    scene.mark(1, Mark::Failed);
    assert_eq!(since(&scene), ["Fresh"], "it is still to be loaded");
    scene.tell_all(cut.split_facts().into_iter().map(|s| Fact::Split(Box::new(s))).collect());
    assert!(is(&scene, "it was cut into parts"));
    let Staleness::Stale(stale) = whole.staleness(&scene.ledger) else { panic!("{whole:?}") };
    assert_eq!(stale[0].since, "it was cut into parts");
    let mut scene = Scene::of(plan(Vec::new()));
    scene.mark(1, Mark::Done);
    assert!(is(&scene, "load 1 succeeded"), "somebody has marked it meanwhile");
    assert_eq!(desk.choice(2), MISSING);
}

#[test]
fn a_part_that_never_reached_batch_is_planned_again_and_not_forgotten() {
    for why in ["refused", "withdrawn"] {
        let mut desk = desk("slice");
        desk.cuts.insert(slice(1), Cut::Hours);
        let plan = desk.plan();
        let mut scene = Scene::of(plan.clone());
        scene.tell_all(plan.split_facts().into_iter().map(|s| Fact::Split(Box::new(s))).collect());
        let mut intents = scene.intend();
        let last = intents.pop().unwrap();
        for intent in intents {
            scene.accept(&intent.name);
            scene.succeed(&intent.name);
        }
        let (name, why) = (last.name, why.to_owned());
        scene.tell(match why.as_str() {
            "refused" => Fact::Refused { name, why },
            _ => Fact::Withdrawn { name, why },
        });
        scene.tell(Fact::Stopped { why: "stopped".to_owned() });
        desk.ledger = scene.ledger.clone();
        desk.cuts.clear();
        let next = desk.plan();
        assert_eq!(next.partitions[0].choice, MISSING);
        assert_eq!(next.jobs.iter().map(|j| j.slice.clone()).collect::<Vec<_>>(), [last.slice]);
    }
}

#[test]
fn parts_that_were_never_sent_are_for_the_newest_plan() {
    let running = after("slice", &[true]);
    // Hours 7 and 3 were accepted and run; of another plan that cuts day 1 nothing was sent.
    assert_eq!(running.plan().partitions[0].choice, Choice::Skip(SkipReason::Running));
    let mut unsent = desk("slice");
    unsent.cuts.insert(slice(1), Cut::Hours);
    let plan = unsent.plan();
    let mut scene = Scene::of(plan.clone());
    scene.tell_all(plan.split_facts().into_iter().map(|s| Fact::Split(Box::new(s))).collect());
    unsent.ledger = scene.ledger.clone();
    unsent.cuts.clear();
    let next = unsent.plan();
    assert_eq!((next.partitions[0].choice, next.jobs.len(), next.splits.len()), (MISSING, 3, 0));
    assert_eq!(next.staleness(&scene.ledger), Staleness::Fresh);
    scene.adopt(next.clone());
    assert!(
        scene.intend().iter().all(|i| i.plan == next.digest()),
        "the newest plan's command is what they run"
    );
}

#[test]
fn a_cut_that_the_job_can_no_longer_read_needs_a_person() {
    let mut desk = after("slice", &[true, false, true]);
    desk.spec = spec(|parts| {
        let job = parts.job.as_mut().unwrap();
        job.idempotent = some("slice");
        job.command = None;
        job.environment = vec![("DATE".to_owned(), "{date}".to_owned())];
        parts.source.as_mut().unwrap().layout = some("{service}/{year}/{month}/{day}/{hour}/");
    });
    let plan = desk.plan();
    assert_eq!(plan.partitions[0].choice, Choice::Skip(SkipReason::NeedsPerson));
    assert!(
        plan.partitions[0].why.as_deref().unwrap().contains("condor/2018-10-01/07"),
        "{:?}",
        plan.partitions[0]
    );
    assert_eq!(plan.jobs, []);
}

#[test]
fn after_a_day_was_marked_as_failed_all_of_it_is_loaded() {
    let mut desk = desk("no");
    desk.cuts.insert(slice(1), Cut::Hours);
    let plan = desk.plan();
    let mut scene = Scene::of(plan.clone());
    scene.tell_all(plan.split_facts().into_iter().map(|s| Fact::Split(Box::new(s))).collect());
    for name in scene.submit() {
        scene.succeed(&name);
    }
    scene.mark(1, Mark::Failed);
    desk.ledger = scene.ledger;
    desk.cuts.clear();
    desk.measured.parts.insert(hour(1, 9), measure(&[("nine", 5)]));
    let plan = desk.plan();
    assert_eq!(plan.partitions[0].choice, Choice::Submit(SubmitReason::Failed));
    assert_eq!(plan.jobs.len(), 3, "hour 9, which had nothing before, among them");
}
