use super::*;

const TOO_LARGE: &str =
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement is too high.";
const NO_CAPACITY: &str = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - instance type m5.large";

fn waits(scene: &mut Scene, name: &JobName, reason: Option<&str>) {
    let (name, reason) = (name.clone(), reason.map(str::to_owned));
    scene.tell(Fact::Seen { name, status: LiveStatus::Runnable, reason, reclaims: 0 });
}

fn stops(scene: &Scene) -> Option<String> {
    scene.decide().into_iter().find_map(|(_, d)| match d {
        Decision::StopBackfill { why } => Some(why),
        _ => None,
    })
}

#[test]
fn what_can_never_be_placed_stops_the_backfill_once_it_has_stood_for_a_while() {
    let (mut scene, name) = scene();
    waits(&mut scene, &name, Some(TOO_LARGE));
    let since = scene.now;
    scene.now = since + Scene::pace().dwell - TimeDelta::seconds(1);
    assert_eq!(stops(&scene), None, "reasons come and go while a fleet grows");
    scene.now = since + Scene::pace().dwell;
    let why = stops(&scene).unwrap();
    assert!(why.contains(TOO_LARGE) && why.contains("lower job.memory"), "{why}");
    scene.settle();
    scene.now += Scene::pace().dwell;
    assert!(scene.is_finished(), "nobody waits for what never comes");
    // It comes after all: somebody has mended the environment.
    scene.run(&name);
    assert!(!scene.is_finished());
    scene.succeed(&name);
    assert!(scene.is_finished());
}

#[test]
fn a_plan_that_is_adopted_after_a_stop_has_its_time_too() {
    let (mut scene, name) = scene();
    waits(&mut scene, &name, Some(TOO_LARGE));
    scene.now += Scene::pace().dwell;
    scene.settle();
    assert!(scene.ledger.stopped().is_some());
    scene.adopt(later(plan(vec![job(2, 1, 0)])));
    let adopted = scene.now;
    scene.now = adopted + Scene::pace().dwell - TimeDelta::seconds(1);
    assert_eq!(stops(&scene), None);
    assert_eq!(scene.about(2).iter().map(word).collect::<Vec<_>>(), ["submit 128/60"]);
    scene.now = adopted + Scene::pace().dwell;
    assert!(stops(&scene).is_some());
}

#[test]
fn a_reason_that_changes_in_kind_or_goes_away_is_counted_anew() {
    let (mut scene, name) = scene();
    let dwell = Scene::pace().dwell;
    waits(&mut scene, &name, Some(TOO_LARGE));
    let since = scene.now;
    waits(&mut scene, &name, Some(&TOO_LARGE.replace("too high", "far too high")));
    scene.now = since + dwell;
    assert!(stops(&scene).is_some(), "the same kind in other words");
    for between in [None, Some(NO_CAPACITY)] {
        waits(&mut scene, &name, between);
        waits(&mut scene, &name, Some(TOO_LARGE));
        let since = scene.now;
        scene.now = since + dwell - TimeDelta::seconds(1);
        assert_eq!(stops(&scene), None, "{between:?}");
        scene.now = since + dwell;
        assert!(stops(&scene).is_some());
    }
}

#[test]
fn want_of_capacity_is_waited_for() {
    let (mut scene, name) = scene();
    waits(&mut scene, &name, Some(NO_CAPACITY));
    scene.now += TimeDelta::days(3);
    assert_eq!(scene.decide(), [(slice(1), Decision::Wait)]);
    waits(&mut scene, &name, None);
    scene.now += TimeDelta::days(3);
    assert_eq!(scene.decide(), [(slice(1), Decision::Wait)]);
}

#[test]
fn what_waits_behind_a_job_that_blocks_the_queue_is_not_waited_for_either() {
    let mut scene = Scene::of(plan(vec![job(1, 1, 0), job(2, 1, 0)]));
    let names = scene.submit();
    // Batch gives a reason for the head of the queue alone.
    waits(&mut scene, &names[0], Some(TOO_LARGE));
    waits(&mut scene, &names[1], None);
    scene.now += Scene::pace().dwell;
    scene.settle();
    assert!(scene.ledger.stopped().is_some());
    scene.now += Scene::pace().dwell;
    assert!(scene.is_finished());
    // One that runs is waited for.
    scene.run(&names[1]);
    assert!(!scene.is_finished());
}

#[test]
fn a_backfill_that_was_stopped_for_something_else_waits_while_a_fleet_grows() {
    let (mut scene, name) = scene();
    scene.tell(Fact::Stopped { why: "too many failures".to_owned() });
    waits(&mut scene, &name, Some(TOO_LARGE));
    scene.now += TimeDelta::seconds(1);
    assert!(!scene.is_finished(), "reasons come and go");
    scene.now += Scene::pace().dwell;
    assert!(scene.is_finished());
}

#[test]
fn invalid_environments_stop_it_too() {
    let (mut scene, name) = scene();
    waits(&mut scene, &name, Some("ACTION_REQUIRED - CE(s) associated with the job queue are invalid."));
    scene.now += Scene::pace().dwell;
    assert!(stops(&scene).unwrap().contains("dayfill doctor"));
}
