use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::fact::Mark;
use crate::ledger::Ledger;
use crate::measure::{Measure, Measured, Object, Unlisted};
use crate::spec::{JobParts, MemoryParts, PricesParts, SourceParts, Spec, SpecParts, WindowParts};
use crate::split::Cuts;
use crate::testing::{Scene, at, day, fingerprint, identity, job, place, plan, slice};

mod choices;
mod splits;
mod totals;

#[expect(clippy::unnecessary_wraps, reason = "every field of the parts may be left out")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// `{service}/{year}/{month}/{day}/` in October 2018, from the 1st to the 5th, settled after six hours.
fn spec(change: impl FnOnce(&mut SpecParts)) -> Spec {
    let mut parts = SpecParts {
        name: some("sample"),
        source: Some(SourceParts {
            uri: some("s3://example-logs/raw"),
            layout: some("{service}/{year}/{month}/{day}/"),
            settle: some("6h"),
            ..SourceParts::default()
        }),
        window: Some(WindowParts { from: some("2018-10-01"), to: some("2018-10-05"), zone: None }),
        job: Some(JobParts {
            definition: some("load:1"),
            queue: some("spot"),
            memory: Some(MemoryParts { start: some("128MiB"), max: some("512MiB") }),
            timeout: some("1m"),
            idempotent: some("partition"),
            command: Some(vec!["load".to_owned(), "{prefix}".to_owned()]),
            environment: vec![("SERVICE".to_owned(), "{service}".to_owned())],
            ..JobParts::default()
        }),
        prices: Some(PricesParts { vcpu_hour: Some(0.013), gib_hour: Some(0.0015) }),
        state: some("s3://example-state/x"),
        ..SpecParts::default()
    };
    change(&mut parts);
    Spec::new(parts).unwrap()
}

/// The objects of one partition: key, size and how long before the end of October they were written.
fn measure(objects: &[(&str, u64)]) -> Measure {
    let mut measure = Measure::default();
    for (key, size) in objects {
        let modified = "2018-10-06T00:00:00Z".parse().unwrap();
        measure.add(&Object { key, size: *size, etag: "e", modified }, None);
    }
    measure
}

fn job_of(plan: &Plan, of: u32) -> Option<&PlannedJob> {
    plan.jobs.iter().find(|j| j.slice == slice(of))
}

/// A lake with `condor` on these days.
fn lake(days: &[u32]) -> Measured {
    let mut measured = Measured {
        days: Some((day(1), day(5))),
        combinations: vec![vec!["condor".to_owned()]],
        ..Measured::default()
    };
    for d in days {
        let of = measure(&[(&format!("day {d}"), 1000)]);
        measured.partitions.insert(slice(*d).partition().clone(), of);
    }
    measured
}

struct Desk {
    spec: Spec,
    ledger: Ledger,
    measured: Measured,
    cuts: Cuts,
    unsplit: Vec<Unsplit>,
    only: Only,
    now: DateTime<Utc>,
}

impl Desk {
    fn new(measured: Measured) -> Self {
        let now = "2018-11-01T00:00:00Z".parse().unwrap();
        Self {
            spec: spec(|_| {}),
            ledger: Ledger::default(),
            measured,
            cuts: Cuts::new(),
            unsplit: Vec::new(),
            only: Only::default(),
            now,
        }
    }

    fn plan(&self) -> Plan {
        make(&Inputs {
            spec: &self.spec,
            identity: identity(),
            place: place(),
            bucket: "example-logs".to_owned(),
            root: "raw/".to_owned(),
            definition: PinnedDefinition { revision: some("load:1"), fargate: false, content: None },
            ledger: &self.ledger,
            measured: &self.measured,
            cuts: &self.cuts,
            unsplit: &self.unsplit,
            only: self.only.clone(),
            now: self.now,
        })
    }

    /// The choice for one day of `condor`.
    fn choice(&self, of: u32) -> Choice {
        let plan = self.plan();
        let found = plan.partitions.iter().find(|p| p.partition == *slice(of).partition());
        let planned = job_of(&plan, of).is_some();
        let choice = found.unwrap().choice;
        assert_eq!(
            planned,
            matches!(choice, Choice::Submit(_)),
            "a job for what is submitted, and for no other"
        );
        choice
    }
}

mod files {
    use super::*;

    #[test]
    fn a_plan_reads_back() {
        let plan = Desk::new(lake(&[1, 2, 4])).plan();
        assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        assert_eq!(plan.digest().as_str().len(), 64);
        assert_eq!(plan.digest().short(), &plan.digest().as_str()[..12]);
    }

    #[test]
    fn white_space_is_no_edit() {
        let plan = Desk::new(lake(&[1])).plan();
        let value: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
        assert_eq!(Plan::from_json(&value.to_string()).unwrap(), plan);
    }

    #[test]
    fn an_edit_is_seen() {
        let text = Desk::new(lake(&[1])).plan().to_json();
        for (from, to) in [
            ("\"queue\": \"spot\"", "\"queue\": \"gold\""),
            ("\"memory_mib\": 128", "\"memory_mib\": 256"),
            ("\"choice\": \"submit\"", "\"choice\": \"skip\""),
            ("\"load\": 1", "\"load\": 2"),
        ] {
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text, "{from} is there");
            let error = Plan::from_json(&edited).unwrap_err();
            assert!(matches!(error, PlanFileError::Edited | PlanFileError::NotAPlan(_)), "{from}: {error}");
        }
        let anonymous = text.replacen(&Desk::new(lake(&[1])).plan().digest().to_string(), "", 1);
        assert!(matches!(Plan::from_json(&anonymous), Err(PlanFileError::Edited)));
    }

    #[test]
    fn a_newer_plan_is_named_even_if_all_else_is_strange() {
        let newer = r#"{"schema_version": 2, "what": "ever"}"#;
        assert!(matches!(Plan::from_json(newer), Err(PlanFileError::Newer(2))));
    }

    #[test]
    fn other_text_is_no_plan() {
        for text in ["", "{}", "[]", "null", "not JSON", r#"{"schema_version": 1}"#] {
            assert!(matches!(Plan::from_json(text), Err(PlanFileError::NotAPlan(_))), "{text}");
        }
    }

    #[test]
    fn hosts_are_taken_where_the_plan_says_so_and_a_plan_of_before_says_nothing() {
        let before =
            r#"{"engine":"local","folder":"/f","lake":"/l","mounts":[],"vcpus":4,"memory_mib":null}"#;
        let mut runs_on: RunsOn = serde_json::from_str(before).unwrap();
        assert_eq!(serde_json::to_string(&runs_on).unwrap(), before);
        let RunsOn::Local { reclaims, .. } = &mut runs_on else { panic!("{runs_on:?}") };
        *reclaims = Some(crate::spec::Reclaims { percent: 2.5, seed: 7, queue: "spot".to_owned() });
        let text = serde_json::to_string(&runs_on).unwrap();
        assert!(text.ends_with(r#""reclaims":{"percent":2.5,"seed":7,"queue":"spot"}}"#), "{text}");
        assert_eq!(serde_json::from_str::<RunsOn>(&text).unwrap(), runs_on);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = Desk::new(lake(&[1])).plan().to_json();
        let more = text.replacen("\"backfill\"", "\"surprise\": 1, \"backfill\"", 1);
        assert!(matches!(Plan::from_json(&more), Err(PlanFileError::NotAPlan(_))));
    }

    proptest! {
        #[test]
        fn any_price_and_share_reads_back(vcpu in 0.0f64..1e6, gib in 0.0f64..1.0, share in 0.001f64..100.0) {
            let mut plan = plan(vec![job(1, 1, 0)]);
            plan.prices = Some(Prices { vcpu_hour: vcpu, gib_hour: gib });
            plan.limits.stop_after = Some(crate::spec::StopAfter::Percent(share));
            prop_assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        }
    }
}

mod sameness {
    use super::*;

    #[test]
    fn equal_inputs_give_equal_bytes() {
        let desk = || Desk::new(lake(&[1, 2, 4]));
        assert_eq!(desk().plan().to_json(), desk().plan().to_json());
    }

    #[test]
    fn the_order_of_listing_does_not_show() {
        let objects = [("a", 1), ("b", 2), ("c", 3)];
        let turned = [("c", 3), ("a", 1), ("b", 2)];
        let plan = |objects: &[(&str, u64)]| {
            let mut desk = Desk::new(lake(&[]));
            desk.measured.partitions.insert(slice(2).partition().clone(), measure(objects));
            desk.plan().to_json()
        };
        assert_eq!(plan(&objects), plan(&turned));
    }

    #[test]
    fn whatever_differs_shows_in_the_digest() {
        let first = Desk::new(lake(&[1])).plan().digest();
        let mut later = Desk::new(lake(&[1]));
        later.now += TimeDelta::seconds(1);
        assert_ne!(later.plan().digest(), first);
        assert_ne!(Desk::new(lake(&[1, 2])).plan().digest(), first);
    }
}

mod staleness {
    use super::*;

    fn of(plan: &Plan, scene: &Scene) -> String {
        match plan.staleness(&scene.ledger) {
            Staleness::Fresh => "fresh".to_owned(),
            Staleness::AlreadyAdopted => "adopted".to_owned(),
            Staleness::Superseded => "superseded".to_owned(),
            Staleness::Stale(jobs) => {
                jobs.iter().map(|j| format!("{}: {}", j.slice, j.since)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    fn two_days() -> Plan {
        let mut two = plan(vec![job(1, 1, 0), job(2, 1, 0)]);
        two.made_at = at(-1);
        two
    }

    #[test]
    fn a_plan_is_adopted_once() {
        let mut scene = Scene::of(plan(Vec::new()));
        assert_eq!(of(&two_days(), &scene), "fresh");
        scene.adopt(two_days());
        assert_eq!(of(&two_days(), &scene), "adopted");
        scene.adopt(plan(vec![job(3, 1, 0)]));
        assert_eq!(of(&two_days(), &scene), "superseded");
    }

    #[test]
    fn what_moved_on_is_told_by_day() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        let name = scene.submit_one().name;
        assert_eq!(of(&two_days(), &scene), "condor/2018-10-01: a job of it is under way");
        scene.succeed(&name);
        assert_eq!(of(&two_days(), &scene), "condor/2018-10-01: load 1 succeeded");
    }

    #[test]
    fn tries_since_are_told() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        let name = scene.submit_one().name;
        scene.fail(&name, FailureClass::Stuck);
        scene.settle();
        assert_eq!(of(&two_days(), &scene), "condor/2018-10-01: 1 tries instead of 0");
        let mut knows = plan(vec![job(1, 1, 1)]);
        knows.made_at = at(-1);
        assert_eq!(of(&knows, &scene), "fresh");
    }

    #[test]
    fn a_day_that_was_marked_is_told() {
        let mut scene = Scene::of(plan(Vec::new()));
        scene.mark(2, Mark::Done);
        assert_eq!(of(&two_days(), &scene), "condor/2018-10-02: load 1 succeeded");
    }

    #[test]
    fn a_day_that_waits_for_a_person_is_told() {
        let mut strict = plan(vec![job(1, 1, 0)]);
        strict.job.idempotent = Idempotent::No;
        let mut scene = Scene::of(strict);
        let name = scene.submit_one().name;
        scene.fail(&name, FailureClass::App);
        scene.settle();
        assert_eq!(of(&two_days(), &scene), "condor/2018-10-01: it needs a person's decision");
    }
}

mod only {
    use super::*;

    #[test]
    fn reasons_and_partitions_read_back() {
        for text in ["missing", "missing,failed", "changed", "condor/2018-10-04", "a/2018-10-04,b/2018-10-04"]
        {
            assert_eq!(text.parse::<Only>().unwrap().to_string(), text);
        }
        assert_eq!("failed, missing,failed".parse::<Only>().unwrap().to_string(), "missing,failed");
    }

    #[test]
    fn neither_is_refused() {
        for text in ["", "done", "missing,condor/2018-10-04", "condor", ","] {
            assert!(text.parse::<Only>().is_err(), "{text:?}");
        }
    }
}
