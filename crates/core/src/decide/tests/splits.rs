use super::*;
use crate::fact::Mark;
use crate::ledger::Standing;
use crate::plan::PlannedJob;
use crate::spec::Reads;
use crate::split::Means;
use crate::template::Template;

use FailureClass::{App, OutOfMemory, TimedOut};

/// One day whose job reads a manifest and replaces whatever part it is given.
fn divisible() -> Plan {
    let mut plan = one_day();
    (plan.job.idempotent, plan.job.reads) = (Idempotent::Slice, Reads::Manifest);
    plan.jobs[0].objects = 8;
    plan
}

/// The same after its job was killed with all that it may have, and cut.
fn cut() -> Scene {
    let mut scene = Scene::of(divisible());
    for _ in 0..3 {
        let name = scene.submit_one().name;
        scene.fail(&name, OutOfMemory);
    }
    scene.settle();
    scene
}

fn parts(of: u32) -> [SliceId; 2] {
    [slice(of).of_range(1, 2), slice(of).of_range(2, 2)]
}

#[test]
fn past_the_cap_a_slice_is_cut_and_not_given_up() {
    assert_eq!(
        played(Scene::of(divisible()), &[OutOfMemory; 3]),
        "128/60 256/60 512/60 split: split.max_bytes (500 B)"
    );
    let mut scene = cut();
    let intents = scene.intend();
    assert_eq!(intents.iter().map(|i| i.slice.clone()).collect::<Vec<_>>(), parts(1));
    assert!(intents.iter().all(|i| (i.load, i.r#try, i.objects, i.bytes) == (1, 1, 4, 500)), "{intents:?}");
    assert_eq!(scene.about(1), [], "its parts stand for it");
}

#[test]
fn a_day_is_done_when_all_of_its_parts_are() {
    let mut scene = cut();
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
    let names = scene.submit();
    scene.run(&names[0]);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Running);
    scene.succeed(&names[0]);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
    assert!(!scene.ledger.is_settled(&slice(1)));
    scene.succeed(&names[1]);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done);
    assert!(scene.ledger.is_settled(&slice(1)) && scene.is_finished());
}

#[test]
fn a_part_that_fails_for_good_fails_its_day_and_only_it_is_loaded_again() {
    let mut scene = cut();
    let names = scene.submit();
    scene.succeed(&names[0]);
    scene.fail(&names[1], App);
    let again = scene.submit_one();
    assert_eq!((again.slice.clone(), again.r#try), (parts(1)[1].clone(), 2));
    scene.fail(&again.name, App);
    scene.settle();
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
    assert!(scene.is_finished());
    let mut next = later(divisible());
    next.jobs = vec![PlannedJob { slice: parts(1)[1].clone(), ..job(1, 1, 2) }];
    scene.adopt(next);
    assert_eq!(scene.submit_one().slice, parts(1)[1]);
}

#[test]
fn parts_are_cut_again_until_they_cannot_be() {
    let mut scene = cut();
    let mut cuts = 0;
    while !scene.is_finished() {
        for name in scene.submit() {
            scene.fail(&name, OutOfMemory);
        }
        scene.settle();
        cuts = scene.ledger.cuts().len();
        assert!(scene.facts.len() < 500, "it never ends");
    }
    // 8 objects into 4, 2 and 1; by then it is plain that memory follows nothing, or that nothing smaller is left.
    assert!((1..=7).contains(&cuts), "{cuts} cuts");
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
}

#[test]
fn only_a_job_that_replaces_any_part_is_cut() {
    let mut plan = divisible();
    plan.job.idempotent = Idempotent::Partition;
    let mut scene = Scene::of(plan);
    for _ in 0..3 {
        let name = scene.submit_one().name;
        scene.fail(&name, OutOfMemory);
    }
    let [Decision::GiveUp { why, .. }] = &scene.about(1)[..] else { panic!("{:?}", scene.about(1)) };
    assert!(
        why.ends_with("only `idempotent: slice` lets parts replace themselves, and it is partition"),
        "{why}"
    );
}

#[test]
fn a_job_that_reads_a_prefix_is_cut_by_hour_if_it_is_told_which() {
    let mut plan = one_day();
    plan.job.idempotent = Idempotent::Slice;
    let with = |layout: &str, variable: &str| {
        let mut plan = plan.clone();
        plan.identity.layout = layout.to_owned();
        let template = Template::parse(variable, &["service".to_owned()]).unwrap();
        plan.job.environment.insert("X".to_owned(), template);
        plan.means()
    };
    let by_hour = Means { hours: true, ranges: false };
    let whole = Means { hours: false, ranges: false };
    assert_eq!(with("{service}/{year}/{month}/{day}/{hour}/", "{prefix}"), by_hour);
    assert_eq!(with("{service}/{date:%Y-%m-%d-%H}", "{slice}"), by_hour);
    assert_eq!(
        with("{service}/{year}/{month}/{day}/{hour}/", "{date}"),
        whole,
        "it would read the day 24 times"
    );
    assert_eq!(with("{service}/{year}/{month}/{day}/", "{prefix}"), whole);
    assert_eq!(
        with("{service}/{date:%Y-%m-%d-%M-%H}", "{prefix}"),
        whole,
        "the minute comes before the hour"
    );
    plan.job.reads = Reads::Manifest;
    assert_eq!(plan.means(), Means { hours: false, ranges: true });
}

#[test]
fn what_takes_too_long_is_cut_where_it_can_be() {
    assert_eq!(played(Scene::of(divisible()), &[TimedOut]), "128/60 split: split.max_bytes (500 B)");
    // A part is not cut again for it: what hangs would hang in each of them.
    let mut scene = Scene::of(divisible());
    let name = scene.submit_one().name;
    scene.fail(&name, TimedOut);
    scene.settle();
    for name in scene.submit() {
        scene.fail(&name, TimedOut);
    }
    scene.settle();
    let again = scene.intend();
    assert!(again.iter().all(|i| i.timeout_s == Some(120)) && again.len() == 2, "{again:?}");
    let mut scene = Scene::of(divisible());
    let name = scene.submit_one().name;
    scene.fail(&name, TimedOut);
    scene.tell(Fact::NotSplit { slice: slice(1), why: "all of it is of one hour".to_owned() });
    assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>(), ["submit 128/120"]);
}

#[test]
fn what_cannot_be_cut_says_so_when_it_is_given_up() {
    let mut plan = divisible();
    plan.jobs[0].objects = 1;
    let mut scene = Scene::of(plan);
    for _ in 0..3 {
        let name = scene.submit_one().name;
        scene.fail(&name, OutOfMemory);
    }
    let [Decision::GiveUp { why, .. }] = &scene.about(1)[..] else { panic!("{:?}", scene.about(1)) };
    assert!(why.contains("killed at 512 MiB, the most") && why.contains("a single object"), "{why}");
}

#[test]
fn a_job_of_the_whole_that_turns_up_late_is_ended() {
    let mut scene = Scene::of(divisible());
    let lost = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name: lost.clone() });
    for _ in 0..3 {
        let name = scene.submit_one().name;
        scene.fail(&name, OutOfMemory);
    }
    scene.settle();
    assert_eq!(scene.submit().len(), 2);
    scene.accept(&lost);
    scene.run(&lost);
    let ends = |d: &Decision| matches!(d, Decision::Terminate { job, .. } if *job == lost);
    assert!(scene.about(1).iter().any(ends), "{:?}", scene.about(1));
    assert!(!scene.is_finished());
}

#[test]
fn marks_and_cancellations_are_of_every_part() {
    let mut scene = cut();
    scene.mark(1, Mark::Done);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done);
    assert_eq!(scene.submit().len(), 0);
    let mut scene = cut();
    scene.cancel(1);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
    assert_eq!(scene.submit().len(), 0);
    let mut next = later(divisible());
    next.jobs = parts(1).map(|slice| PlannedJob { slice, ..job(1, 1, 0) }).into();
    scene.adopt(next);
    assert_eq!(scene.submit().len(), 2, "a new plan takes them up");
}

#[test]
fn a_part_that_was_never_sent_waits_its_turn_in_the_order_of_the_plan() {
    let mut plan = divisible();
    plan.limits.in_flight = 1;
    let larger = PlannedJob { bytes: 700, ..job(2, 1, 0) };
    let part = |n: usize, bytes: u64| PlannedJob { slice: parts(1)[n].clone(), bytes, ..job(1, 1, 0) };
    plan.jobs = vec![larger, part(1, 600), part(0, 400)];
    plan.splits = vec![crate::plan::PlannedSplit {
        slice: slice(1),
        cut: crate::split::Cut::Ranges { starts: vec!["m".to_owned()] },
        tries_before: 0,
    }];
    let mut scene = Scene::of(plan.clone());
    for split in plan.split_facts() {
        scene.tell(Fact::Split(Box::new(split)));
    }
    for expected in [slice(2), parts(1)[1].clone(), parts(1)[0].clone()] {
        let one = scene.submit_one();
        assert_eq!(one.slice, expected);
        scene.succeed(&one.name);
    }
    assert!(scene.is_finished());
}

#[test]
fn pilots_that_were_cut_are_waited_for_in_their_parts() {
    let mut plan = plan((1..=14).map(|of| PlannedJob { objects: 8, ..job(of, 1, 0) }).collect());
    (plan.job.idempotent, plan.job.reads, plan.pilots) = (Idempotent::Slice, Reads::Manifest, 2);
    let mut scene = Scene::of(plan);
    for _ in 0..3 {
        for name in scene.submit() {
            scene.fail(&name, OutOfMemory);
        }
    }
    scene.settle();
    let names = scene.submit();
    assert_eq!(names.len(), 4, "the parts of the pilots, and nobody else");
    scene.succeed(&names[0]);
    assert_eq!(scene.submit().len(), 0);
    scene.succeed(&names[3]);
    assert_eq!(scene.submit().len(), 12, "two have succeeded, so it is known what they need");
}

#[test]
fn what_could_not_be_cut_may_be_for_another_plan() {
    let mut scene = Scene::of(divisible());
    for _ in 0..3 {
        let name = scene.submit_one().name;
        scene.fail(&name, OutOfMemory);
    }
    scene.tell(Fact::NotSplit { slice: slice(1), why: "its job reads a prefix".to_owned() });
    scene.settle();
    let mut next = later(divisible());
    next.jobs[0].tries_before = 3;
    next.jobs[0].memory_mib = 512;
    scene.adopt(next);
    let name = scene.submit_one().name;
    scene.fail(&name, OutOfMemory);
    assert!(matches!(scene.about(1)[..], [Decision::Split { .. }]), "{:?}", scene.about(1));
}

#[test]
fn one_part_can_be_marked_and_the_others_stay() {
    let mut scene = cut();
    for name in scene.submit() {
        scene.succeed(&name);
    }
    let mark =
        |slice: &SliceId, mark| Fact::Marked { slice: slice.clone(), mark, reason: "looked".to_owned() };
    scene.tell(mark(&parts(1)[1], Mark::Failed));
    assert_eq!(scene.ledger.standing(&parts(1)[0]), Standing::Done);
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
    scene.tell(mark(&parts(1)[1], Mark::Done));
    assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done);
}

#[test]
fn the_parts_of_a_slice_that_went_to_the_fallback_queue_go_there() {
    let mut plan = divisible();
    plan.job.fallback_queue = Some("on-demand".to_owned());
    let mut scene = Scene::of(plan);
    let name = scene.submit_one().name;
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Runnable, reason: None, reclaims: 3 });
    scene.settle();
    scene.fail(&name, FailureClass::Ended);
    for _ in 0..3 {
        let job = scene.submit_one();
        assert_eq!(job.queue, "on-demand");
        scene.fail(&job.name, OutOfMemory);
    }
    scene.settle();
    let parts = scene.intend();
    assert!(parts.len() == 2 && parts.iter().all(|i| i.queue == "on-demand"), "{parts:?}");
}
