//! Slices that were cut, and their parts.

use super::{Divided, Ledger, SliceRecord, Stamp, Standing};
use crate::fact::Split;
use crate::partition::{PartitionId, SliceId};
use crate::split::{Cut, Cuts};

/// Where a slice is cut, if it is.
fn cut((slice, record): (&SliceId, &SliceRecord)) -> Option<(SliceId, Cut)> {
    Some((slice.clone(), record.divided.as_ref()?.cut.clone()))
}

impl Ledger {
    /// Every cut that was made.
    pub fn cuts(&self) -> Cuts {
        self.slices.iter().filter_map(cut).collect()
    }

    /// Every cut of this partition.
    pub fn cuts_of(&self, partition: &PartitionId) -> Cuts {
        self.within(&SliceId::whole(partition.clone())).filter_map(cut).collect()
    }

    /// What is known of a slice and of all that it was ever cut into, itself first.
    pub fn within(&self, slice: &SliceId) -> impl Iterator<Item = (&SliceId, &SliceRecord)> {
        let partition = SliceId::whole(slice.partition().clone());
        let (slice, of) = (slice.clone(), slice.partition().clone());
        self.slices
            .range(partition..)
            .take_while(move |(id, _)| *id.partition() == of)
            .filter(move |(id, _)| id.is_within(&slice))
    }

    /// The slices that stand for `slice`, in order: the parts that it was cut into and of which something is known; itself
    /// where it was not cut.
    pub fn parts(&self, slice: &SliceId) -> Vec<SliceId> {
        if self.slice(slice).is_none_or(|r| r.divided.is_none()) {
            return vec![slice.clone()];
        }
        self.within(slice).filter(|(_, r)| r.divided.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// Every partition of which something is known, in order.
    pub fn partitions(&self) -> Vec<&PartitionId> {
        let mut all: Vec<&PartitionId> = self.slices.keys().map(SliceId::partition).collect();
        all.dedup();
        all
    }

    /// Something has become of the slice, or of all that it was cut into, and no more follows.
    pub fn is_settled(&self, slice: &SliceId) -> bool {
        self.parts(slice).iter().all(|part| self.slice(part).is_some_and(|r| r.verdict.is_some()))
    }

    /// The parts of a slice that was cut stand for it together: it is done when all are.
    pub(super) fn standing_of_parts(&self, slice: &SliceId) -> Standing {
        let all: Vec<Standing> = self.parts(slice).iter().map(|part| self.standing(part)).collect();
        let order =
            [Standing::NeedsPerson, Standing::Running, Standing::Waiting, Standing::New, Standing::Failed];
        let first = order.into_iter().find(|standing| all.contains(standing));
        match first {
            // Some parts are done or have failed, and this one was never asked for.
            Some(Standing::New) if all.iter().any(|s| *s != Standing::New) => Standing::Failed,
            Some(standing) => standing,
            None => Standing::Done,
        }
    }

    pub(super) fn divide(&mut self, split: Split, stamp: Stamp) {
        let Split { slice, cut, why, plan, parts } = split;
        let record = self.record(slice);
        record.divided = Some(Divided { cut, why, stamp });
        record.undivided = None;
        // Whatever had become of it, its parts stand for it from here on.
        record.verdict = None;
        for job in parts {
            let slice = job.slice.clone();
            self.record(slice).part = Some((plan.clone(), job));
        }
    }
}
