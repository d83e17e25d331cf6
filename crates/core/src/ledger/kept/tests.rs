use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::fact::{Ended, Fact, LiveStatus, Mark, Outcome, Split};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::plan::PlannedJob;
use crate::result::JobResult;
use crate::split::Cut;
use crate::testing::{Scene, Walk, at, ended, identity, intended, job, plan, slice, stamp};

fn kept(ledger: &Ledger) -> Ledger {
    serde_json::from_str(&serde_json::to_string(ledger).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn what_is_kept_is_the_ledger_and_the_fold_goes_on_from_it(
        choices in prop::collection::vec(any::<u16>(), 0..300), at in any::<prop::sample::Index>()
    ) {
        let Scene { facts, ledger: whole, .. } = Walk::of(choices).scene;
        let (before, after) = facts.split_at(at.index(facts.len() + 1));
        let mut stamps = (1..).map(stamp);
        let mut ledger = Ledger::default();
        for (fact, stamp) in before.iter().zip(&mut stamps) {
            ledger.apply(fact.clone(), stamp).unwrap();
        }
        let mut other = kept(&ledger);
        prop_assert_eq!(&other, &ledger);
        for (fact, stamp) in after.iter().zip(&mut stamps) {
            ledger.apply(fact.clone(), stamp).unwrap();
            other.apply(fact.clone(), stamp).unwrap();
        }
        prop_assert_eq!(&other, &ledger);
        prop_assert_eq!(other.slices().count(), whole.slices().count());
    }
}

/// Every kind of fact, and everything that a record, a try and a verdict can be.
fn every_fact() -> Vec<Fact> {
    let digest = plan(Vec::new()).digest();
    let name = |of: u32, r#try: u32| JobName::new(Uuid::nil(), &slice(of), 1, r#try, 7);
    let why = |what: &str| format!("why {what}");
    let intend = |of: u32, r#try: u32| Fact::Intended(intended(of, 1, r#try, 7, &digest));
    let accept = |of: u32, r#try: u32, found: bool| Fact::Accepted {
        name: name(of, r#try),
        job_id: format!("id-{of}-{try}"),
        found,
    };
    let split = |slice: SliceId, cut: Cut, parts: Vec<SliceId>| {
        let parts = parts.into_iter().map(|slice| PlannedJob { slice, ..job(12, 1, 0) }).collect();
        Fact::Split(Box::new(Split { slice, cut, why: why("cut"), plan: digest.clone(), parts }))
    };
    let mut facts = vec![
        Fact::Opened { uuid: Uuid::nil(), name: "sample".to_owned(), identity: identity() },
        Fact::Adopted { digest: digest.clone(), definition: "load:1".to_owned(), jobs: 12 },
    ];
    facts.extend((1..=12).map(|of| intend(of, 1)));
    facts.extend([
        // Loaded, refused, unknown, withdrawn.
        accept(1, 1, false),
        Fact::Seen { name: name(1, 1), status: LiveStatus::Running, reason: None, reclaims: 0 },
        ended(&name(1, 1), Outcome::Succeeded, true),
        Fact::Refused { name: name(2, 1), why: why("refused") },
        Fact::Unknown { name: name(3, 1), why: why("unknown") },
        Fact::Withdrawn { name: name(4, 1), why: why("withdrawn") },
        // Never arrived, and found beside its successor.
        Fact::NeverArrived { name: name(5, 1) },
        intend(5, 2),
        accept(5, 2, false),
        accept(5, 1, true),
        Fact::Doubled { slice: slice(5), kept: Some(name(5, 2)) },
        Fact::Ending { name: name(5, 1), why: why("ending"), moves_to: Some("on-demand".to_owned()) },
        Fact::NeverArrived { name: name(6, 1) },
        intend(6, 2),
        accept(6, 2, false),
        accept(6, 1, true),
        // It waits.
        accept(7, 1, false),
        Fact::Seen {
            name: name(7, 1),
            status: LiveStatus::Runnable,
            reason: Some(why("it waits")),
            reclaims: 2,
        },
        // Killed for its memory, then given up.
        accept(8, 1, false),
        Fact::Ended(Box::new(Ended {
            name: name(8, 1),
            outcome: Outcome::Failed(FailureClass::OutOfMemory),
            exit_code: Some(137),
            reasons: ["OutOfMemoryError".to_owned(), "exited".to_owned()].into(),
            started_at: Some(at(10)),
            stopped_at: Some(at(70)),
            attempts: 2,
            reclaims: 1,
            reclaimed_ms: 45_000,
            peak_kib: Some(65_536),
            result: Some(JobResult { rows_read: Some(7), ..JobResult::default() }),
            result_ignored: Some(why("ignored")),
            remark: Some(why("remarked")),
            sign: Some(why("heap")),
            log_tail: vec!["a line".to_owned()],
            log_stream: Some("load/default/1".to_owned()),
        })),
        Fact::GaveUp { slice: slice(8), class: FailureClass::OutOfMemory, why: why("given up") },
        // Lost, and a person is asked; marked; cancelled at once and once its job has ended.
        accept(9, 1, false),
        Fact::Lost { name: name(9, 1) },
        Fact::AskedPerson { slice: slice(9), why: why("asked") },
        Fact::Withdrawn { name: name(10, 1), why: why("withdrawn") },
        Fact::Marked { slice: slice(10), mark: Mark::Done, reason: why("done") },
        Fact::Marked { slice: slice(13), mark: Mark::Failed, reason: why("failed") },
        Fact::Cancelled { slice: slice(14), reason: why("cancelled") },
        accept(11, 1, false),
        Fact::Cancelled { slice: slice(11), reason: why("cancelled, still running") },
        // Cut, into a part that is not begun and one that was cut again or cannot be.
        Fact::Withdrawn { name: name(12, 1), why: why("withdrawn") },
        split(slice(12), Cut::Hours, vec![slice(12).of_hour(4), slice(12).of_hour(5)]),
        split(
            slice(12).of_hour(5),
            Cut::Ranges { starts: vec!["k".to_owned()] },
            vec![slice(12).of_hour(5).of_range(2, 2)],
        ),
        Fact::NotSplit { slice: slice(12).of_hour(4), why: why("whole") },
        Fact::Stopped { why: why("stopped") },
    ]);
    facts
}

#[test]
fn the_fold_and_the_form_in_which_it_is_kept_are_those_of_this_version() {
    let mut ledger = Ledger::default();
    for (fact, segment) in every_fact().into_iter().zip(1..) {
        ledger.apply(fact, stamp(segment)).unwrap();
    }
    assert_eq!(kept(&ledger), ledger);
    let text = serde_json::to_string_pretty(&ledger).unwrap();
    let description = "The fold of the same facts is another, or is kept in another form. Do not accept this: raise \
        FOLD_VERSION in core/src/ledger/kept.rs, or programs of both versions read each other's snapshots. The \
        snapshot is then a new one; remove the old.";
    insta::with_settings!({ description => description, omit_expression => true }, {
        insta::assert_snapshot!(format!("fold_version_{FOLD_VERSION}"), text);
    });
}
