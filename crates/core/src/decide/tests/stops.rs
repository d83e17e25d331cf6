use super::*;

fn days(n: u32, stop_after: Option<StopAfter>) -> Plan {
    let mut plan = plan((1..=n).map(|d| job(d, 1, 0)).collect());
    plan.limits.stop_after = stop_after;
    plan.retry.app = 0;
    plan
}

/// How many days are given up before the breaker opens.
fn given_up_before_the_stop(plan: Plan) -> usize {
    let mut scene = Scene::of(plan);
    for (count, name) in scene.submit().into_iter().enumerate() {
        scene.fail(&name, FailureClass::App);
        scene.settle();
        if scene.ledger.stopped().is_some() {
            return count + 1;
        }
    }
    usize::MAX
}

#[test]
fn the_breaker_opens_at_a_count_or_a_share() {
    for (n, stop_after, opens) in [
        (10, Some(StopAfter::Count(3)), 3),
        (10, Some(StopAfter::Count(1)), 1),
        (10, Some(StopAfter::Percent(30.0)), 3),
        (10, Some(StopAfter::Percent(1.0)), 1),
        (10, Some(StopAfter::Percent(100.0)), 10),
        (10, None, usize::MAX),
    ] {
        assert_eq!(given_up_before_the_stop(days(n, stop_after)), opens, "{stop_after:?}");
    }
}

#[test]
fn an_open_breaker_sends_nothing_and_a_new_plan_closes_it() {
    let mut plan = days(5, Some(StopAfter::Count(1)));
    plan.limits.in_flight = 2;
    let mut scene = Scene::of(plan.clone());
    let names = scene.submit();
    scene.fail(&names[0], FailureClass::App);
    assert_eq!(scene.intend().len(), 0, "not even before the stop is written down");
    scene.settle();
    assert_eq!(scene.intend().len(), 0);
    assert!(!scene.is_finished(), "one job still runs");
    scene.succeed(&names[1]);
    assert!(scene.is_finished());
    scene.adopt(later(days(5, Some(StopAfter::Count(1)))));
    assert!(!scene.intend().is_empty());
    assert_eq!(scene.ledger.stopped(), None);
}

#[test]
fn what_was_given_up_before_the_adoption_does_not_count() {
    let mut scene = Scene::of(days(3, Some(StopAfter::Count(2))));
    let names = scene.submit();
    scene.fail(&names[0], FailureClass::App);
    scene.settle();
    scene.adopt(later(days(0, Some(StopAfter::Count(2)))));
    scene.fail(&names[1], FailureClass::App);
    scene.settle();
    assert_eq!(scene.ledger.stopped(), None);
    scene.fail(&names[2], FailureClass::App);
    scene.settle();
    assert!(scene.ledger.stopped().is_some());
}

#[test]
fn where_nothing_starts_the_backfill_stops() {
    let mut scene = Scene::of(days(5, None));
    let names = scene.submit();
    for name in &names[..2] {
        scene.fail(name, FailureClass::StartFailed);
        scene.settle();
    }
    assert_eq!(scene.ledger.stopped(), None);
    scene.fail(&names[2], FailureClass::StartFailed);
    scene.settle();
    assert!(scene.ledger.stopped().unwrap().why.contains("none of the first 3 jobs started"));
}

#[test]
fn where_something_started_it_does_not() {
    let mut scene = Scene::of(days(5, None));
    let names = scene.submit();
    scene.run(&names[0]);
    for name in &names[1..] {
        scene.fail(name, FailureClass::StartFailed);
        scene.settle();
    }
    assert_eq!(scene.ledger.stopped(), None);
}

#[test]
fn with_a_better_image_the_days_that_did_not_start_are_planned_and_sent_anew() {
    let mut scene = Scene::of(days(3, None));
    for name in scene.submit() {
        scene.fail(&name, FailureClass::StartFailed);
    }
    scene.settle();
    assert!(scene.ledger.stopped().is_some());
    let anew = later(plan((1..=3).map(|d| job(d, 1, 1)).collect()));
    assert_eq!(anew.staleness(&scene.ledger), crate::plan::Staleness::Fresh);
    let digest = anew.digest();
    scene.adopt(anew);
    scene.settle();
    assert_eq!(scene.ledger.stopped(), None, "old failures do not stop the new plan");
    let intents = scene.intend();
    assert_eq!(intents.len(), 3);
    assert!(intents.iter().all(|i| i.plan == digest), "under the new plan, at once");
}

#[test]
fn a_refusal_stops_and_ends() {
    let mut scene = Scene::of(plan(vec![job(1, 1, 0), job(2, 1, 0)]));
    let intents = scene.intend();
    scene.tell(Fact::Refused { name: intents[0].name.clone(), why: "no such queue".to_owned() });
    scene.tell(Fact::Withdrawn { name: intents[1].name.clone(), why: "halted".to_owned() });
    scene.settle();
    assert!(scene.ledger.stopped().unwrap().why.contains("no such queue"));
    assert_eq!(scene.intend().len(), 0);
    assert!(scene.is_finished(), "nothing is left to do until a new plan");
    scene.adopt(later(plan(vec![job(1, 1, 1), job(2, 1, 1)])));
    assert_eq!(scene.intend().len(), 2);
}

#[test]
fn a_refusal_does_not_stop_a_plan_that_leaves_its_day_out() {
    let mut scene = Scene::of(one_day());
    let name = scene.intend().remove(0).name;
    scene.tell(Fact::Refused { name, why: "no such queue".to_owned() });
    scene.settle();
    scene.adopt(later(plan(vec![job(2, 1, 0)])));
    scene.settle();
    assert_eq!(scene.ledger.stopped(), None);
    assert_eq!(scene.submit_one().slice, slice(2));
}

#[test]
fn a_plan_for_nothing_new_leaves_the_breaker_as_it_is() {
    let days = |jobs: u32| {
        let mut days = plan((1..=jobs).map(|of| job(of, 1, 0)).collect());
        days.limits.stop_after = Some(StopAfter::Percent(20.0));
        days
    };
    let mut scene = Scene::of(days(10));
    let names = scene.submit();
    // Another deadline, say, while all are under way.
    scene.adopt(later(days(0)));
    for name in &names[..8] {
        scene.succeed(name);
    }
    scene.fail(&names[8], FailureClass::Stuck);
    scene.settle();
    assert_eq!(scene.ledger.stopped(), None, "one of ten, not of two, and not of none");
    scene.fail(&names[9], FailureClass::Stuck);
    scene.settle();
    let why = scene.ledger.stopped().unwrap().why.clone();
    assert!(why.starts_with("2 of 10 days were given up"), "{why}");
}
