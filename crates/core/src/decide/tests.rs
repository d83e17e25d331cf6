use std::cell::Cell;

use super::*;
use crate::fact::{Fact, Outcome};
use crate::plan::Plan;
use crate::spec::{Idempotent, StopAfter};
use crate::testing::{Scene, at, ended, intended, job, plan, slice};

mod deadline;
mod doubles;
mod endings;
mod fallback;
mod nothing_may_run_twice;
mod pilots;
mod plans_after_plans;
mod properties;
mod sending;
mod splits;
mod stops;
mod waiting;
mod what_a_failure_leads_to;

fn one_day() -> Plan {
    plan(vec![job(1, 1, 0)])
}

/// A scene with one job that was accepted.
fn scene() -> (Scene, JobName) {
    let mut scene = Scene::of(one_day());
    let name = scene.submit_one().name;
    (scene, name)
}

thread_local! {
    static PLANS: Cell<i64> = const { Cell::new(0) };
}

/// The same plan, made later: another digest.
fn later(mut plan: Plan) -> Plan {
    plan.made_at = at(1_000 + PLANS.replace(PLANS.get() + 1));
    plan
}

/// What a scene came to: `memory/timeout` of every try in order, then the end of it.
fn played(mut scene: Scene, failures: &[FailureClass]) -> String {
    let mut tale = Vec::new();
    for class in failures {
        let job = scene.submit_one();
        tale.push(format!("{}/{}", job.memory_mib, job.timeout_s.unwrap_or(0)));
        scene.run(&job.name);
        scene.fail(&job.name, *class);
        scene.now += TimeDelta::hours(1);
    }
    tale.extend(scene.about(1).iter().map(word));
    tale.join(" ")
}

fn word(decision: &Decision) -> String {
    match decision {
        Decision::Submit(next) => {
            format!("submit {}/{}", next.shape.memory_mib, next.shape.timeout_s.unwrap_or(0))
        }
        Decision::GiveUp { class, .. } => format!("give up: {class}"),
        Decision::AskPerson { .. } => "ask".to_owned(),
        Decision::StopBackfill { .. } => "stop".to_owned(),
        Decision::Split { most, .. } => format!("split: {most}"),
        Decision::Wait => "wait".to_owned(),
        Decision::Terminate { .. } => "terminate".to_owned(),
        Decision::Doubled { .. } => "doubled".to_owned(),
    }
}

#[test]
fn news_is_what_changes_a_status_or_its_reason() {
    let (mut scene, name) = scene();
    let news = |scene: &Scene, status, reason| is_news(scene.ledger.job(&name).unwrap().1, status, reason, 0);
    assert!(!news(&scene, LiveStatus::Submitted, None));
    assert!(news(&scene, LiveStatus::Runnable, None));
    let reason = Some("CAPACITY".to_owned());
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Runnable, reason, reclaims: 0 });
    assert!(!news(&scene, LiveStatus::Runnable, Some("CAPACITY")));
    assert!(news(&scene, LiveStatus::Runnable, Some("MISCONFIGURATION")));
    assert!(news(&scene, LiveStatus::Runnable, None), "the reason went away");
    assert!(
        is_news(scene.ledger.job(&name).unwrap().1, LiveStatus::Runnable, Some("CAPACITY"), 1),
        "a reclaim"
    );
}

#[test]
fn a_second_intent_for_a_slice_that_has_one_counts_towards_in_flight() {
    let mut days = plan(vec![job(1, 1, 0), job(2, 1, 0)]);
    days.limits.in_flight = 2;
    let digest = days.digest();
    let mut scene = Scene::of(days);
    scene.tell(Fact::Intended(intended(1, 1, 1, 1, &digest)));
    scene.tell(Fact::Intended(intended(1, 1, 2, 2, &digest)));
    assert_eq!(scene.intend().len(), 0);
}
