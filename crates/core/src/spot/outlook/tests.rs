use super::*;
use crate::fact::{Fact, Outcome};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::plan::PlannedJob;
use crate::testing::{Scene, at, ended, job, plan};

/// A plan of so many jobs, the last of which reads five times as much.
fn days(jobs: u32, in_flight: u32) -> Plan {
    let mut plan = plan((1..=jobs).map(|of| job(of, 1, 0)).collect());
    plan.jobs.last_mut().unwrap().bytes = 5_000;
    plan.limits.in_flight = in_flight;
    plan
}

fn outlook(scene: &Scene, deadline: i64) -> Outlook {
    let adoption = scene.ledger.adopted().unwrap();
    let plan = scene.plans[&adoption.digest].plan();
    Outlook::of(at(deadline), plan, &scene.ledger, adoption.stamp.segment, scene.now)
}

/// A scene of this plan after three jobs that read one, two and three times what a day has, and took so many seconds for each.
fn after_three(plan: Plan, seconds: i64) -> Scene {
    let mut before = days(3, 50);
    before.made_at = at(-1);
    before.jobs =
        (1..=3).map(|of| PlannedJob { bytes: 1000 * u64::from(of), ..job(28 + of, 1, 0) }).collect();
    let mut scene = Scene::of(before);
    for name in scene.submit() {
        let bytes = scene.ledger.job(&name).unwrap().1.intended.bytes;
        succeed(&mut scene, &name, seconds * (bytes / 1000) as i64);
    }
    scene.adopt(plan);
    scene
}

/// Minutes until all is done.
fn minutes(scene: &Scene) -> Option<i64> {
    Some((outlook(scene, 0).done_by()? - scene.now).num_minutes())
}

/// A success that took so many seconds and began at once.
fn succeed(scene: &mut Scene, name: &JobName, seconds: i64) {
    let started = scene.ledger.job(name).unwrap().1.intent.stored_at;
    let Fact::Ended(mut end) = ended(name, Outcome::Succeeded, true) else { unreachable!() };
    (end.started_at, end.stopped_at) = (Some(started), Some(started + TimeDelta::seconds(seconds)));
    scene.tell(Fact::Ended(end));
}

#[test]
fn before_a_job_has_succeeded_only_a_passed_deadline_is_missed() {
    let scene = Scene::of(days(3, 1));
    assert_eq!(minutes(&scene), None);
    let later = outlook(&scene, 60);
    assert!(!later.is_missed(at(59)) && later.is_missed(at(60)));
    assert_eq!(later.sentence(at(60)), "the deadline 2018-10-20 01:47Z has passed");
}

#[test]
fn what_is_left_is_laid_on_the_places_that_there_are() {
    for (in_flight, expected) in [
        // 4 jobs of an hour, and the large one for five.
        (1, 9 * 60),
        (2, 5 * 60),
        (50, 5 * 60),
    ] {
        let scene = after_three(days(5, in_flight), 3600);
        let minutes = minutes(&scene).unwrap();
        assert!((expected..=expected + 1).contains(&minutes), "{in_flight}: {minutes}");
    }
}

#[test]
fn a_job_that_runs_has_the_rest_left() {
    let mut scene = after_three(plan(vec![job(1, 1, 0)]), 3600);
    let name = scene.submit_one().name;
    assert!((60..=61).contains(&minutes(&scene).unwrap()));
    scene.run(&name);
    let began = scene.now;
    for (ran, left) in [(20, 40), (59, 1), (300, 0)] {
        scene.now = began + TimeDelta::minutes(ran);
        assert!((left..=left + 1).contains(&minutes(&scene).unwrap()), "{ran}");
    }
    // Its host is taken between two looks, and it runs again: all of it is left.
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Running, reason: None, reclaims: 1 });
    assert!((60..=61).contains(&minutes(&scene).unwrap()));
    scene.succeed(&name);
    let nothing = outlook(&scene, 0);
    assert!(!nothing.is_missed(scene.now), "nothing is left, so nothing can be late");
}

#[test]
fn reclaims_and_starts_make_it_longer() {
    let days = plan((1..=5).map(|of| job(of, 1, 0)).collect());
    let mut scene = Scene::of(days);
    let names = scene.submit();
    for name in &names[..3] {
        succeed(&mut scene, name, 3600);
    }
    let calm = minutes(&scene).unwrap();
    assert!((60..=61).contains(&calm), "{calm}");
    // Three reclaims in two hours beside the three of the others: 0.6 an hour.
    let Fact::Ended(mut end) = ended(&names[3], Outcome::Failed(FailureClass::HostLost), true) else {
        unreachable!()
    };
    (end.attempts, end.reclaims, end.reclaimed_ms) = (3, 3, 2 * 3_600_000);
    scene.tell(Fact::Ended(end));
    let expected = (expected(1.0, 0.0, 0.6) * 60.0) as i64;
    let minutes = minutes(&scene).unwrap();
    assert!((expected..=expected + 1).contains(&minutes), "{minutes} and {expected}");
}

#[test]
fn what_is_done_or_not_of_this_plan_is_left_out() {
    let mut scene = Scene::of(plan((1..=3).map(|of| job(of, 1, 0)).collect()));
    let names = scene.submit();
    succeed(&mut scene, &names[0], 3600);
    let left = |scene: &Scene| outlook(scene, 0).left;
    assert_eq!(left(&scene), 2);
    // What an older plan has under way is left all the same, what it has given up is not.
    scene.fail(&names[1], FailureClass::Stuck);
    scene.settle();
    let mut newer = plan(vec![job(4, 1, 0), job(1, 2, 0)]);
    newer.made_at = at(99);
    scene.adopt(newer);
    assert_eq!(left(&scene), 3, "day 4, day 1 once more, and day 3, which waits");
    scene.fail(&names[2], FailureClass::App);
    assert_eq!(left(&scene), 3, "and is tried again");
}

#[test]
fn a_century_is_long_enough() {
    let scene = after_three(days(3, 1), 3600 * 24 * 365 * 90);
    assert!(outlook(&scene, 0).done_by().is_some());
}

#[test]
fn sentences() {
    let scene = after_three(days(3, 1), 60);
    let missed = outlook(&scene, 300);
    assert!(missed.is_missed(scene.now));
    assert_eq!(
        missed.sentence(scene.now),
        "the deadline 2018-10-20 01:51Z would be missed (3 jobs are left, to about 2018-10-20 01:54Z)"
    );
}

#[test]
fn of_days_unlike_any_that_was_loaded_nothing_is_said() {
    let mut large = days(3, 1);
    large.jobs[2].bytes = 1_000_000;
    let scene = after_three(large, 60);
    assert_eq!(minutes(&scene), None);
    assert!(!outlook(&scene, 300).is_missed(scene.now) && outlook(&scene, 0).is_missed(scene.now));
}
