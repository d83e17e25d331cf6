use super::*;
use crate::fact::Mark;
use crate::testing::{Scene, at, ended, fingerprint, identity, intended, job, plan, slice, stamp};

fn opened() -> Fact {
    Fact::Opened { uuid: Uuid::nil(), name: "sample".to_owned(), identity: identity() }
}

fn ledger(facts: impl IntoIterator<Item = Fact>) -> Ledger {
    let mut ledger = Ledger::default();
    for (segment, fact) in facts.into_iter().enumerate() {
        ledger.apply(fact, stamp(segment as u64 + 1)).unwrap();
    }
    ledger
}

fn verdict(scene: &Scene, of: u32) -> Option<&Verdict> {
    scene.ledger.slice(&slice(of)).unwrap().verdict.as_ref()
}

fn scene() -> (Scene, JobName) {
    let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
    let name = scene.submit_one().name;
    (scene, name)
}

mod errors {
    use super::*;

    #[test]
    fn the_first_fact_opens_the_journal() {
        let mut ledger = Ledger::default();
        let stopped = Fact::Stopped { why: "why".to_owned() };
        assert_eq!(ledger.apply(stopped, stamp(7)), Err(FoldError::NotOpened(7)));
    }

    #[test]
    fn a_journal_is_opened_once() {
        let mut ledger = ledger([opened()]);
        assert_eq!(ledger.apply(opened(), stamp(2)), Err(FoldError::OpenedTwice(2)));
    }

    #[test]
    fn a_job_is_intended_once() {
        let digest = plan(Vec::new()).digest();
        let first = intended(1, 1, 1, 1, &digest);
        let mut ledger = ledger([opened(), Fact::Intended(first.clone())]);
        let again = ledger.apply(Fact::Intended(first.clone()), stamp(3));
        assert_eq!(again, Err(FoldError::IntendedTwice { segment: 3, name: first.name }));
    }

    #[test]
    fn every_fact_about_a_job_needs_its_intent() {
        let name = JobName::from_text("df-none");
        let why = || "why".to_owned();
        let of = |name: JobName| {
            [
                Fact::Accepted { name: name.clone(), job_id: why(), found: true },
                Fact::Refused { name: name.clone(), why: why() },
                Fact::Unknown { name: name.clone(), why: why() },
                Fact::Withdrawn { name: name.clone(), why: why() },
                Fact::NeverArrived { name: name.clone() },
                Fact::Seen { name: name.clone(), status: LiveStatus::Running, reason: None, reclaims: 0 },
                Fact::Ending { name: name.clone(), why: why(), moves_to: None },
                ended(&name, Outcome::Succeeded, true),
                Fact::Lost { name },
            ]
        };
        for fact in of(name.clone()) {
            let mut ledger = ledger([opened()]);
            let said = ledger.apply(fact.clone(), stamp(2));
            assert_eq!(said, Err(FoldError::UnknownJob { segment: 2, name: name.clone() }), "{fact:?}");
        }
    }

    #[test]
    fn errors_name_the_segment() {
        let name = JobName::from_text("df-x");
        for error in [
            FoldError::NotOpened(42),
            FoldError::OpenedTwice(42),
            FoldError::UnknownJob { segment: 42, name: name.clone() },
            FoldError::IntendedTwice { segment: 42, name },
        ] {
            assert!(error.to_string().contains("segment 42"), "{error}");
        }
    }
}

mod verdicts {
    use super::*;

    /// What the first day was when it was last loaded by a job.
    fn what_was_loaded(scene: &Scene) -> Option<crate::measure::Fingerprint> {
        scene.ledger.slice(&slice(1))?.loaded.as_ref()?.fingerprint
    }

    #[test]
    fn success_is_done_and_counts_the_load() {
        let (mut scene, name) = scene();
        scene.run(&name);
        scene.succeed(&name);
        let record = scene.ledger.slice(&slice(1)).unwrap();
        assert_eq!(record.standing(), Standing::Done);
        assert_eq!(record.next_load(), 2);
        let loaded = record.loaded.as_ref().unwrap();
        assert_eq!((loaded.load, loaded.by.as_ref()), (1, Some(&name)));
        assert_eq!(what_was_loaded(&scene), Some(fingerprint("day 1")));
        assert_eq!(scene.ledger.live().count(), 0);
    }

    #[test]
    fn success_wins_over_a_cancellation() {
        let (mut scene, name) = scene();
        scene.cancel(1);
        scene.settle();
        scene.succeed(&name);
        assert!(matches!(verdict(&scene, 1), Some(Verdict::Done { .. })));
    }

    #[test]
    fn a_cancellation_that_comes_too_late_changes_nothing() {
        let (mut scene, name) = scene();
        scene.succeed(&name);
        scene.cancel(1);
        assert!(matches!(verdict(&scene, 1), Some(Verdict::Done { .. })));
        assert_eq!(scene.ledger.slice(&slice(1)).unwrap().next_load(), 2);
    }

    #[test]
    fn a_cancellation_holds_once_nothing_can_run() {
        let ends: [fn(&JobName) -> Fact; 4] = [
            |n| Fact::NeverArrived { name: n.clone() },
            |n| Fact::Withdrawn { name: n.clone(), why: String::new() },
            |n| ended(n, Outcome::Failed(FailureClass::Ended), true),
            |n| Fact::Lost { name: n.clone() },
        ];
        for end in ends {
            let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
            let name = scene.intend().remove(0).name;
            scene.cancel(1);
            assert_eq!(verdict(&scene, 1), None, "it may still run");
            scene.tell(end(&name));
            assert!(matches!(verdict(&scene, 1), Some(Verdict::Cancelled { .. })));
        }
    }

    #[test]
    fn what_was_never_sent_is_cancelled_at_once() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        scene.cancel(1);
        assert!(matches!(verdict(&scene, 1), Some(Verdict::Cancelled { .. })));
        assert_eq!(scene.about(1), []);
    }

    #[test]
    fn a_new_try_answers_the_verdict_before_it() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        scene.cancel(1);
        let mut again = plan(vec![job(1, 1, 0)]);
        again.made_at = at(1);
        scene.adopt(again);
        scene.intend();
        let record = scene.ledger.slice(&slice(1)).unwrap();
        assert_eq!((record.verdict.as_ref(), record.cancelled.as_ref()), (None, None));
    }

    #[test]
    fn marks_are_loads_or_their_absence() {
        let mut scene = Scene::of(plan(Vec::new()));
        scene.mark(1, Mark::Done);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Done);
        assert_eq!(what_was_loaded(&scene), None, "nobody knows what was loaded");
        assert_eq!(scene.ledger.slice(&slice(1)).unwrap().next_load(), 2);
        scene.mark(1, Mark::Failed);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
    }

    #[test]
    fn a_person_that_was_asked_about_two_jobs_is_not_answered_by_a_success() {
        let (mut scene, first) = scene();
        scene.run(&first);
        let digest = scene.ledger.adopted().unwrap().digest.clone();
        // A job that nobody would have sent beside the first: as a late arrival looks.
        let second = intended(1, 1, 2, 99, &digest);
        let name = second.name.clone();
        scene.tell(Fact::Intended(second));
        scene.accept(&name);
        scene.run(&name);
        scene.settle();
        assert!(matches!(verdict(&scene, 1), Some(Verdict::NeedsPerson { .. })));
        scene.succeed(&first);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::NeedsPerson);
        assert_eq!(scene.ledger.slice(&slice(1)).unwrap().next_load(), 2, "it is loaded all the same");
    }
}

mod standing {
    use super::*;

    #[test]
    fn a_slice_without_a_job_is_new() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::New);
        let name = scene.intend().remove(0).name;
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
        scene.tell(Fact::Withdrawn { name, why: String::new() });
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::New);
    }

    #[test]
    fn between_two_tries_it_waits_and_after_a_stop_it_has_failed() {
        let (mut scene, name) = scene();
        scene.fail(&name, FailureClass::App);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
        scene.tell(Fact::Stopped { why: "the breaker".to_owned() });
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Failed);
        scene.adopt(plan(Vec::new()));
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting, "a new plan lifts the stop");
    }

    #[test]
    fn what_still_runs_after_a_stop_runs() {
        let (mut scene, name) = scene();
        scene.tell(Fact::Stopped { why: "the breaker".to_owned() });
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
        scene.run(&name);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Running);
    }

    #[test]
    fn a_late_job_beside_one_that_was_never_sent_is_not_new() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        let first = scene.intend().remove(0).name;
        scene.tell(Fact::NeverArrived { name: first.clone() });
        let second = scene.intend().remove(0).name;
        scene.tell(Fact::Withdrawn { name: second, why: String::new() });
        scene.accept(&first);
        assert_eq!(scene.ledger.standing(&slice(1)), Standing::Waiting);
    }
}

#[test]
fn a_job_that_ran_has_started_wherever_it_stands_now() {
    let (mut scene, name) = scene();
    let started = |scene: &Scene| scene.ledger.job(&name).unwrap().1.has_started();
    assert!(!started(&scene));
    scene.run(&name);
    assert!(started(&scene));
    // Its host was reclaimed, and Batch retries it.
    scene.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Runnable, reason: None, reclaims: 0 });
    assert!(started(&scene));
    scene.tell(ended(&name, Outcome::Failed(FailureClass::HostLost), false));
    assert!(started(&scene));
}

#[test]
fn a_stop_holds_until_the_next_adoption() {
    let mut scene = Scene::of(plan(Vec::new()));
    assert_eq!(scene.ledger.stopped(), None);
    scene.tell(Fact::Stopped { why: "the breaker".to_owned() });
    assert_eq!(scene.ledger.stopped().map(|s| s.why.as_str()), Some("the breaker"));
    let mut newer = plan(Vec::new());
    newer.made_at = at(5);
    scene.adopt(newer);
    assert_eq!(scene.ledger.stopped(), None);
}

#[test]
fn a_seen_status_keeps_its_time_while_only_the_reason_changes() {
    let (mut scene, name) = scene();
    let seen = |reason: &str| Fact::Seen {
        name: name.clone(),
        status: LiveStatus::Runnable,
        reason: Some(reason.to_owned()),
        reclaims: 0,
    };
    scene.tell(seen("CAPACITY"));
    let changed = scene.ledger.job(&name).unwrap().1.changed;
    scene.tell(seen("MISCONFIGURATION"));
    let t = scene.ledger.job(&name).unwrap().1;
    assert_eq!((t.changed, t.reason.as_deref()), (changed, Some("MISCONFIGURATION")));
}

mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Walk;

    /// The ledger with every stamp replaced by one.
    fn unstamped(ledger: &Ledger) -> Ledger {
        let mut ledger = ledger.clone();
        let one = stamp(0);
        ledger.last = ledger.last.map(|_| one);
        ledger.adoptions.iter_mut().for_each(|a| a.stamp = one);
        ledger.stop.iter_mut().for_each(|s| s.stamp = one);
        for record in ledger.slices.values_mut() {
            record.loaded.iter_mut().for_each(|l| l.at = one.stored_at);
            record.tries.iter_mut().for_each(|t| (t.intent, t.changed, t.waits_since) = (one, one, one));
            record.divided.iter_mut().for_each(|d| d.stamp = one);
            // The time between two stamps.
            record.tries.iter_mut().for_each(|t| t.ran_before_ms = 0);
            match &mut record.verdict {
                Some(
                    Verdict::Done { stamp, .. }
                    | Verdict::GaveUp { stamp, .. }
                    | Verdict::NeedsPerson { stamp, .. }
                    | Verdict::MarkedFailed { stamp, .. }
                    | Verdict::Cancelled { stamp, .. },
                ) => *stamp = one,
                None => {}
            }
        }
        ledger
    }

    fn check(ledger: &Ledger) {
        let mut live = 0;
        for (id, record) in ledger.slices() {
            live += record.live().count();
            for t in &record.tries {
                assert_eq!(ledger.job(&t.intended.name).unwrap(), (id, t), "found by its name");
                assert_eq!(t.ended.is_some(), matches!(t.state, TryState::Ended(_)));
                assert!(!t.is_unheard() || t.job_id.is_none());
                assert!(!t.is_unsent() || t.job_id.is_none());
            }
            let succeeded = |t: &&Try| t.state == TryState::Ended(Outcome::Succeeded);
            if let Some(last) = record.tries.iter().rfind(succeeded) {
                assert!(record.loaded.as_ref().unwrap().load >= last.intended.load, "no load is forgotten");
            }
            if matches!(record.verdict, Some(Verdict::Done { .. })) {
                assert!(record.loaded.is_some());
            }
            if matches!(record.verdict, Some(Verdict::Cancelled { .. })) {
                assert!(record.cancelled.is_some());
            }
        }
        assert_eq!(ledger.live().count(), live);
    }

    proptest! {
        #[test]
        fn any_history_folds_and_adds_up(choices in prop::collection::vec(any::<u16>(), 0..300)) {
            let mut walk = Walk::new();
            for choice in choices {
                walk.step(choice);
                check(&walk.scene.ledger);
            }
        }

        #[test]
        fn segments_are_only_envelopes(
            choices in prop::collection::vec(any::<u16>(), 0..300), cuts in prop::collection::vec(1u64..4, 1..20)
        ) {
            let walk = Walk::of(choices);
            let mut other = Ledger::default();
            let mut cuts = cuts.into_iter().cycle();
            let (mut segment, mut left) = (1, 0);
            for fact in walk.scene.facts.iter().cloned() {
                if left == 0 {
                    segment += 1;
                    left = cuts.next().unwrap();
                }
                left -= 1;
                other.apply(fact, stamp(segment)).unwrap();
            }
            prop_assert_eq!(unstamped(&walk.scene.ledger), unstamped(&other));
        }
    }
}
