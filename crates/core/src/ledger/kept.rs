//! The ledger as it is kept in a snapshot.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Adoption, Ledger, Opened, SliceRecord, Stamp, Stop};
use crate::partition::SliceId;

/// The version of the fold: of what it makes of facts, and of the form in which that is kept. Whoever changes either
/// raises it; a snapshot of another version is left alone, so that nobody goes on from what another fold has made.
pub const FOLD_VERSION: u32 = 4;

/// A ledger without its index of names, which is made of the rest.
#[derive(Deserialize)]
pub(super) struct Kept {
    opened: Option<Opened>,
    adoptions: Vec<Adoption>,
    slices: BTreeMap<SliceId, SliceRecord>,
    stop: Option<Stop>,
    facts: u64,
    last: Option<Stamp>,
}

impl From<Kept> for Ledger {
    fn from(kept: Kept) -> Self {
        let Kept { opened, adoptions, slices, stop, facts, last } = kept;
        let tries = slices.iter().flat_map(|(id, r)| r.tries.iter().enumerate().map(move |t| (id, t)));
        let names = tries.map(|(id, (index, t))| (t.intended.name.clone(), (id.clone(), index))).collect();
        Self { opened, adoptions, slices, names, stop, facts, last }
    }
}

#[cfg(test)]
mod tests;
