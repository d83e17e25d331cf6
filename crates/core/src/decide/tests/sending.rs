use super::*;

#[test]
fn a_plan_is_sent_in_its_own_order() {
    let scene = Scene::of(plan(vec![job(3, 1, 0), job(1, 1, 0), job(2, 1, 0)]));
    let order: Vec<SliceId> = scene.decide().into_iter().map(|(s, _)| s).collect();
    assert_eq!(order, [slice(3), slice(1), slice(2)]);
}

#[test]
fn retries_go_before_what_was_never_sent() {
    let mut days = plan(vec![job(1, 1, 0), job(2, 1, 0), job(3, 1, 0)]);
    days.limits.in_flight = 1;
    let mut scene = Scene::of(days);
    let first = scene.submit_one();
    assert_eq!(first.slice, slice(1));
    scene.fail(&first.name, FailureClass::App);
    assert_eq!(scene.submit_one().slice, slice(1));
}

#[test]
fn no_more_than_in_flight_at_once() {
    let mut days = plan((1..=9).map(|d| job(d, 1, 0)).collect());
    days.limits.in_flight = 4;
    let mut scene = Scene::of(days);
    let names = scene.submit();
    assert_eq!(names.len(), 4);
    assert_eq!(scene.intend().len(), 0);
    scene.succeed(&names[2]);
    assert_eq!(scene.intend().len(), 1);
    assert!(!scene.is_finished());
}

#[test]
fn nothing_beside_a_job_of_which_nobody_heard() {
    let mut scene = Scene::of(one_day());
    let name = scene.intend().remove(0).name;
    assert_eq!(scene.about(1), [Decision::Wait]);
    scene.tell(Fact::Unknown { name: name.clone(), why: "timeout".to_owned() });
    assert_eq!(scene.about(1), [Decision::Wait]);
    scene.tell(Fact::NeverArrived { name });
    assert_eq!(scene.submit_one().r#try, 2);
}

#[test]
fn what_was_withdrawn_is_sent_again_unchanged() {
    let (mut scene, name) = scene();
    scene.fail(&name, FailureClass::OutOfMemory);
    let name = scene.intend().remove(0).name;
    scene.tell(Fact::Withdrawn { name, why: "too late".to_owned() });
    let again = scene.submit_one();
    assert_eq!((again.r#try, again.memory_mib), (3, 256));
}

#[test]
fn a_done_day_is_left_alone() {
    let (mut scene, name) = scene();
    scene.succeed(&name);
    assert_eq!(scene.decide(), []);
    assert!(scene.is_finished());
}

#[test]
fn a_changed_day_is_loaded_a_second_time() {
    let (mut scene, name) = scene();
    scene.succeed(&name);
    scene.adopt(later(plan(vec![job(1, 2, 0)])));
    let second = scene.submit_one();
    assert_eq!((second.load, second.r#try), (2, 1));
    scene.fail(&second.name, FailureClass::App);
    let third = scene.submit_one();
    assert_eq!((third.load, third.r#try), (2, 2));
    scene.succeed(&third.name);
    assert_eq!(scene.ledger.slice(&slice(1)).unwrap().next_load(), 3);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_plan_for_a_load_that_was_done_meanwhile_does_nothing() {
    let (mut scene, name) = scene();
    scene.adopt(later(one_day()));
    scene.succeed(&name);
    assert_eq!(scene.decide(), []);
}
