use super::*;

/// Two jobs of one load: the first was taken for never arrived, and did arrive.
fn two() -> (Scene, JobName, JobName) {
    let mut scene = Scene::of(one_day());
    let first = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name: first.clone() });
    let second = scene.submit_one().name;
    (scene, first, second)
}

fn told(scene: &Scene) -> (Option<JobName>, Vec<JobName>, bool) {
    let (mut kept, mut ended, mut asked) = (None, Vec::new(), false);
    let mut doubled = 0;
    for decision in scene.about(1) {
        match decision {
            Decision::Doubled { kept: k } => (kept, doubled) = (k, doubled + 1),
            Decision::Terminate { job, .. } => ended.push(job),
            Decision::AskPerson { .. } => asked = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(doubled, 1, "counted once");
    (kept, ended, asked)
}

#[test]
fn of_two_that_wait_the_oldest_is_kept() {
    let (mut scene, first, second) = two();
    scene.accept(&first);
    assert_eq!(told(&scene), (Some(first), vec![second], false));
}

#[test]
fn the_one_that_started_is_kept() {
    let (mut scene, first, second) = two();
    scene.run(&second);
    scene.accept(&first);
    assert_eq!(told(&scene), (Some(second), vec![first], false));
}

#[test]
fn the_one_that_succeeded_is_kept_even_if_it_came_last() {
    let (mut scene, first, second) = two();
    scene.succeed(&second);
    scene.accept(&first);
    assert_eq!(told(&scene), (Some(second), vec![first.clone()], false));
    scene.settle();
    scene.fail(&first, FailureClass::Ended);
    assert_eq!(scene.ledger.standing(&slice(1)), crate::ledger::Standing::Done);
    assert!(scene.is_finished());
}

#[test]
fn two_that_started_are_a_persons_matter() {
    let (mut scene, first, second) = two();
    scene.accept(&first);
    scene.run(&first);
    scene.run(&second);
    assert_eq!(told(&scene), (None, vec![], true));
    scene.settle();
    assert_eq!(scene.ledger.standing(&slice(1)), crate::ledger::Standing::NeedsPerson);
}

#[test]
fn two_that_succeeded_are_not_hidden() {
    let (mut scene, first, second) = two();
    scene.succeed(&second);
    scene.accept(&first);
    scene.succeed(&first);
    assert_eq!(told(&scene), (Some(first), vec![], true));
    scene.settle();
    assert_eq!(scene.ledger.slice(&slice(1)).unwrap().doubled, 1);
    assert_eq!(scene.ledger.standing(&slice(1)), crate::ledger::Standing::NeedsPerson);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_late_job_beside_one_that_failed_is_counted_and_watched() {
    let (mut scene, first, second) = two();
    scene.fail(&second, FailureClass::App);
    scene.accept(&first);
    assert_eq!(told(&scene), (Some(first.clone()), vec![], false));
    scene.settle();
    assert_eq!(scene.about(1), [Decision::Wait]);
    scene.succeed(&first);
    assert_eq!(scene.ledger.standing(&slice(1)), crate::ledger::Standing::Done);
}

#[test]
fn a_late_job_alone_is_no_double() {
    let mut scene = Scene::of(one_day());
    let first = scene.submit_one().name;
    scene.fail(&first, FailureClass::App);
    let second = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name: second.clone() });
    scene.accept(&second);
    assert_eq!(scene.about(1), [Decision::Wait]);
}

#[test]
fn it_is_counted_once_and_again_for_another_load() {
    let (mut scene, first, second) = two();
    scene.accept(&first);
    scene.settle();
    assert_eq!(scene.ledger.slice(&slice(1)).unwrap().doubled, 1);
    scene.fail(&second, FailureClass::Ended);
    scene.succeed(&first);
    scene.adopt(later(plan(vec![job(1, 2, 0)])));
    let third = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name: third.clone() });
    let fourth = scene.submit_one().name;
    scene.accept(&third);
    assert_eq!(told(&scene), (Some(third), vec![fourth], false));
    scene.settle();
    assert_eq!(scene.ledger.slice(&slice(1)).unwrap().doubled, 2);
}

#[test]
fn a_job_that_we_ended_says_nothing_about_its_slice() {
    let (mut scene, first, second) = two();
    scene.accept(&first);
    scene.settle();
    scene.fail(&second, FailureClass::Ended);
    assert_eq!(scene.about(1), [Decision::Wait], "the kept one goes on");
    scene.fail(&first, FailureClass::App);
    assert!(matches!(scene.about(1)[..], [Decision::Submit(_)]), "as the kept one's failure has it");
    assert_eq!(scene.ledger.stopped(), None);
}

#[test]
fn a_late_kill_for_memory_is_not_repeated_in_the_same_shape() {
    let (mut scene, first, second) = two();
    scene.accept(&first);
    scene.run(&first);
    scene.run(&second);
    scene.fail(&first, FailureClass::OutOfMemory);
    scene.fail(&second, FailureClass::App);
    scene.settle();
    assert_eq!(scene.submit_one().memory_mib, 256);
}
