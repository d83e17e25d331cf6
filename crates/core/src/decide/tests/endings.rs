use super::*;

#[test]
fn a_cancelled_job_is_terminated_until_its_end_is_seen() {
    let (mut scene, name) = scene();
    scene.cancel(1);
    for _ in 0..2 {
        assert!(matches!(&scene.about(1)[..], [Decision::Terminate { job, .. }] if *job == name));
        scene.settle();
    }
    scene.fail(&name, FailureClass::Ended);
    assert_eq!(scene.about(1), [], "cancelled, and nobody stops the backfill for it");
    assert!(scene.is_finished());
}

#[test]
fn a_cancelled_job_of_which_nobody_heard_is_terminated_when_it_turns_up() {
    let mut scene = Scene::of(one_day());
    let name = scene.intend().remove(0).name;
    scene.cancel(1);
    assert_eq!(scene.about(1), [Decision::Wait]);
    scene.accept(&name);
    assert!(matches!(scene.about(1)[..], [Decision::Terminate { .. }]));
}

#[test]
fn a_day_marked_done_is_not_retried() {
    let (mut scene, name) = scene();
    scene.mark(1, crate::fact::Mark::Done);
    scene.fail(&name, FailureClass::App);
    assert_eq!(scene.about(1), []);
}
