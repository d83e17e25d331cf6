use proptest::prelude::*;

use super::*;
use crate::ledger::Standing;
use crate::testing::Walk;

proptest! {
    /// The walk itself checks every intent: none beside a live try, none of a loaded load, no shape again that
    /// was killed for its memory, nothing twice that may not run twice, no more at once than allowed.
    #[test]
    fn no_day_is_forgotten(choices in prop::collection::vec(any::<u16>(), 0..300)) {
        let mut walk = Walk::of(choices);
        walk.go_well();
        let ledger = &walk.scene.ledger;
        prop_assert_eq!(ledger.live().count(), 0);
        for (id, _) in ledger.slices() {
            let standing = ledger.standing(id);
            prop_assert!(
                !matches!(standing, Standing::Running | Standing::Waiting), "{} is {:?}", id, standing
            );
        }
        let newest = &walk.scene.plans[&ledger.adopted().unwrap().digest];
        if ledger.stopped().is_none() {
            for job in &newest.plan().jobs {
                prop_assert!(ledger.standing(&job.slice) != Standing::New, "{} was never sent", job.slice);
            }
        }
    }

    #[test]
    fn every_load_is_loaded_once_unless_something_came_late(
        choices in prop::collection::vec(any::<u16>(), 0..300)
    ) {
        let mut walk = Walk::of(choices);
        walk.go_well();
        for (id, record) in walk.scene.ledger.slices() {
            if walk.late {
                continue;
            }
            prop_assert_eq!(record.doubled, 0, "{}", id);
            let mut loads: Vec<u32> = record
                .tries
                .iter()
                .filter(|t| t.state == TryState::Ended(Outcome::Succeeded))
                .map(|t| t.intended.load)
                .collect();
            let all = loads.len();
            loads.dedup();
            prop_assert_eq!(loads.len(), all, "{} was loaded twice: {:?}", id, record.tries);
        }
    }

    #[test]
    fn what_doubled_was_told(choices in prop::collection::vec(any::<u16>(), 0..300)) {
        let mut walk = Walk::of(choices);
        walk.go_well();
        for (id, record) in walk.scene.ledger.slices() {
            prop_assert!(!record.doubling, "{}", id);
            let mut loads = BTreeMap::<u32, u32>::new();
            for t in record.tries.iter().filter(|t| t.state == TryState::Ended(Outcome::Succeeded)) {
                *loads.entry(t.intended.load).or_default() += 1;
            }
            if loads.values().any(|n| *n > 1) {
                prop_assert!(record.doubled > 0, "{} was loaded twice in silence", id);
            }
        }
    }
}
