use FailureClass::*;

use super::*;

#[test]
fn every_class() {
    for (failures, tale) in [
        (&[OutOfMemory][..], "128/60 submit 256/60"),
        (&[OutOfMemory, OutOfMemory], "128/60 256/60 submit 512/60"),
        (&[OutOfMemory, OutOfMemory, OutOfMemory], "128/60 256/60 512/60 give up: out of memory"),
        (&[HostLost, HostLost, HostLost, HostLost], "128/60 128/60 128/60 128/60 submit 128/60"),
        (&[TimedOut], "128/60 submit 128/120"),
        (&[TimedOut, TimedOut], "128/60 128/120 give up: timed out"),
        (&[StartFailed, StartFailed, StartFailed], "128/60 128/60 128/60 submit 128/60"),
        (
            &[StartFailed, StartFailed, StartFailed, StartFailed],
            "128/60 128/60 128/60 128/60 give up: did not start",
        ),
        (&[KilledUnknown], "128/60 submit 128/60"),
        (&[KilledUnknown, KilledUnknown], "128/60 128/60 submit 256/60"),
        (
            &[KilledUnknown, KilledUnknown, KilledUnknown, KilledUnknown],
            "128/60 128/60 256/60 512/60 give up: killed, cause unknown",
        ),
        (&[App], "128/60 submit 128/60"),
        (&[App, App], "128/60 128/60 give up: job failed"),
        (&[Ended], "128/60 give up: terminated stop"),
        (&[Stuck], "128/60 give up: stuck, ended by the queue"),
        (&[Suspect], "128/60 submit 128/60"),
        (&[Suspect, Suspect], "128/60 128/60 give up: suspect success"),
        // Classes are counted each for itself.
        (&[App, OutOfMemory, TimedOut], "128/60 128/60 256/60 submit 256/120"),
        (&[OutOfMemory, HostLost], "128/60 256/60 submit 256/60"),
        (&[OutOfMemory, App, HostLost, App], "128/60 256/60 256/60 256/60 give up: job failed"),
    ] {
        assert_eq!(played(Scene::of(one_day()), failures), tale, "{failures:?}");
    }
}

#[test]
fn retries_are_what_the_plan_says() {
    let mut strict = one_day();
    (strict.retry.app, strict.retry.start) = (0, 0);
    assert_eq!(played(Scene::of(strict.clone()), &[App]), "128/60 give up: job failed");
    assert_eq!(played(Scene::of(strict), &[StartFailed]), "128/60 give up: did not start");
    let mut patient = one_day();
    patient.retry.app = 3;
    assert_eq!(played(Scene::of(patient), &[App; 3]), "128/60 128/60 128/60 submit 128/60");
}

#[test]
fn a_timeout_of_the_definition_is_not_ours_to_double() {
    let mut plan = one_day();
    plan.job.timeout_s = None;
    assert_eq!(played(Scene::of(plan), &[TimedOut]), "128/0 give up: timed out");
}

#[test]
fn a_lost_job_is_sent_once_more() {
    let (mut scene, name) = scene();
    scene.tell(Fact::Lost { name });
    let again = scene.submit_one();
    assert_eq!((again.r#try, again.memory_mib), (2, 128));
    scene.tell(Fact::Lost { name: again.name });
    assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>(), ["give up: lost"]);
}

#[test]
fn a_job_that_does_not_start_is_sent_again_at_longer_and_longer_intervals() {
    let mut scene = Scene::of(one_day());
    for pause in [60, 120, 240] {
        let name = scene.submit_one().name;
        scene.fail(&name, StartFailed);
        let failed = scene.now;
        scene.now = failed + TimeDelta::seconds(pause - 1);
        assert_eq!(scene.about(1), [Decision::Wait], "{pause} s are not over");
        scene.now = failed + TimeDelta::seconds(pause);
        assert!(matches!(scene.about(1)[..], [Decision::Submit(_)]), "{pause} s are over");
    }
}

#[test]
fn a_pace_beyond_all_time_waits() {
    let (mut scene, name) = scene();
    scene.fail(&name, StartFailed);
    let pace = Pace { start_failure: TimeDelta::MAX, ..Scene::pace() };
    let decisions = decide(&scene.ledger, &scene.plans, pace, scene.now);
    assert_eq!(decisions, [(slice(1), Decision::Wait)]);
}
