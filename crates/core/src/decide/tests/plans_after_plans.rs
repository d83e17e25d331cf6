use super::*;

#[test]
fn a_newer_plan_supersedes_what_was_not_intended() {
    let mut days = plan(vec![job(1, 1, 0), job(2, 1, 0)]);
    days.limits.in_flight = 1;
    let mut scene = Scene::of(days);
    let first = scene.submit_one();
    scene.adopt(later(plan(vec![job(3, 1, 0)])));
    scene.fail(&first.name, FailureClass::App);
    let slices: Vec<SliceId> = scene.intend().into_iter().map(|i| i.slice).collect();
    assert_eq!(slices, [slice(1), slice(3)], "day 1 is under way, day 2 was never intended");
}

#[test]
fn what_is_under_way_keeps_the_rules_it_was_sent_by() {
    let (mut scene, name) = scene();
    let mut newer = later(plan(Vec::new()));
    newer.retry.app = 0;
    scene.adopt(newer);
    scene.fail(&name, FailureClass::App);
    assert!(matches!(scene.about(1)[..], [Decision::Submit(_)]));
}

#[test]
fn a_new_plan_begins_with_new_budgets() {
    let mut scene = Scene::of(one_day());
    for _ in 0..2 {
        let name = scene.submit_one().name;
        scene.fail(&name, FailureClass::App);
    }
    scene.settle();
    assert_eq!(scene.about(1), [], "given up");
    scene.adopt(later(plan(vec![job(1, 1, 2)])));
    let third = scene.submit_one();
    assert_eq!((third.load, third.r#try), (1, 3));
    scene.fail(&third.name, FailureClass::App);
    assert!(matches!(scene.about(1)[..], [Decision::Submit(_)]), "retry.app counts from the new plan");
}

#[test]
fn a_verdict_after_the_adoption_stands() {
    let mut scene = Scene::of(one_day());
    scene.cancel(1);
    assert_eq!(scene.about(1), []);
}
