use FailureClass::*;

use super::*;

fn strict() -> Plan {
    let mut plan = one_day();
    plan.job.idempotent = Idempotent::No;
    plan
}

#[test]
fn any_end_after_a_start_asks_a_person() {
    for class in [OutOfMemory, HostLost, TimedOut, KilledUnknown, Ended, Stuck, App] {
        assert_eq!(played(Scene::of(strict()), &[class]), "128/60 ask", "{class}");
    }
}

#[test]
fn what_never_ran_is_decided_as_ever() {
    for (class, tale) in [
        (HostLost, "submit 128/60"),
        (StartFailed, "submit 128/60"),
        (Stuck, "give up: stuck, ended by the queue"),
        (Ended, "give up: terminated, stop"),
        // No start was seen, but these can only follow one.
        (OutOfMemory, "ask"),
        (App, "ask"),
    ] {
        let mut scene = Scene::of(strict());
        let name = scene.submit_one().name;
        scene.tell(ended(&name, Outcome::Failed(class), false));
        scene.now += TimeDelta::hours(1);
        assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>().join(", "), tale, "{class}");
    }
}

#[test]
fn a_job_that_was_seen_running_has_run_whatever_its_end_says() {
    let mut scene = Scene::of(strict());
    let name = scene.submit_one().name;
    scene.run(&name);
    scene.tell(ended(&name, Outcome::Failed(HostLost), false));
    assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>(), ["ask"]);
}

#[test]
fn a_vanished_job_asks_a_person() {
    let mut scene = Scene::of(strict());
    let name = scene.submit_one().name;
    scene.tell(Fact::Lost { name });
    assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>(), ["ask"]);
}

#[test]
fn what_never_arrived_is_sent_again() {
    let mut scene = Scene::of(strict());
    let name = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name });
    assert!(matches!(scene.about(1)[..], [Decision::Submit(_)]));
}

#[test]
fn a_person_that_says_failed_lets_the_next_plan_load_it() {
    let mut scene = Scene::of(strict());
    let name = scene.submit_one().name;
    scene.fail(&name, App);
    scene.settle();
    assert_eq!(scene.about(1), [], "nothing more until the person answers");
    scene.adopt(later(plan(Vec::new())));
    scene.mark(1, crate::fact::Mark::Failed);
    assert_eq!(scene.about(1), [], "and nothing more until a plan asks for it");
    let mut again = later(plan(vec![job(1, 1, 1)]));
    again.job.idempotent = Idempotent::No;
    scene.adopt(again);
    assert_eq!(scene.submit_one().r#try, 2);
}

#[test]
fn an_earlier_try_that_ran_late_counts() {
    let mut scene = Scene::of(strict());
    let first = scene.intend().remove(0).name;
    scene.tell(Fact::NeverArrived { name: first.clone() });
    let second = scene.intend().remove(0).name;
    scene.accept(&first);
    scene.fail(&first, App);
    scene.tell(Fact::Withdrawn { name: second, why: String::new() });
    assert_eq!(scene.about(1).iter().map(word).collect::<Vec<_>>(), ["ask"]);
}
