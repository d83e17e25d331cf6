//! Which days a person means: what `cancel` and `mark` share.

use std::collections::BTreeMap;

use dayfill_core::escape;
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_core::report::{DayState, View};

use crate::args::Days;
use crate::error::{Exit, Failure};
use crate::place::Backfill;

/// How many days a question lists by name.
const NAMED: usize = 20;

/// The known partitions that are meant, and parts of them that are named, with their states, in order. Naming one that is
/// not known is an error.
pub fn chosen(
    days: &Days,
    view: &View<'_>,
    backfill: &Backfill,
) -> Result<Vec<(SliceId, DayState)>, Failure> {
    let known = view.partitions();
    let names = backfill.spec.source().layout().dimensions();
    for (name, _) in &days.dimension {
        if !names.contains(name) {
            let what = format!("--where {name}: the layout has no dimension of this name");
            return Err(Failure::new(Exit::Usage, what).hint(format!("it has: {}", names.join(", "))));
        }
    }
    let is_known = |s: &SliceId| {
        known.contains_key(s.partition()) && (!s.is_part() || view.slices(s.partition()).contains(s))
    };
    if let Some(unknown) = days.only.iter().find(|s| !is_known(s)) {
        let what = format!("nothing is known of {unknown}: no submitted plan has it");
        return Err(Failure::new(Exit::Usage, what));
    }
    if !days.only.is_empty() {
        let mut wanted: Vec<SliceId> = days.only.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let state = |s: SliceId| state(view, &known, &s).map(|state| (s, state));
        return Ok(wanted.into_iter().filter_map(state).collect());
    }
    let in_range = |p: &PartitionId| {
        days.from.is_none_or(|from| from <= p.day()) && days.to.is_none_or(|to| p.day() <= to)
    };
    let has = |p: &PartitionId| {
        days.dimension.iter().all(|(name, value)| {
            let at = names.iter().position(|n| n == name);
            at.and_then(|i| p.values().get(i)) == Some(value)
        })
    };
    let meant = known.into_iter().filter(|(p, _)| in_range(p) && has(p));
    Ok(meant.map(|(p, state)| (SliceId::whole(p), state)).collect())
}

/// What a partition or a part of one is; `known` are the states of all partitions.
pub fn state(view: &View<'_>, known: &BTreeMap<PartitionId, DayState>, slice: &SliceId) -> Option<DayState> {
    if slice.is_part() { view.state_within(slice) } else { known.get(slice.partition()).copied() }
}

/// The slices that stand for a day, or for a part of one.
pub fn slices(view: &View<'_>, day: &SliceId) -> Vec<SliceId> {
    view.slices(day.partition()).into_iter().filter(|slice| slice.is_within(day)).collect()
}

/// `these 2 days`
pub fn these(days: &[SliceId]) -> String {
    if days.len() == 1 { "this day".to_owned() } else { format!("these {} days", days.len()) }
}

/// Says which days, before anything happens to them.
pub fn name(days: &[SliceId]) {
    for day in days.iter().take(NAMED) {
        eprintln!("  {}", escape::terminal(&day.to_string()));
    }
    if days.len() > NAMED {
        eprintln!("  and {} more", days.len() - NAMED);
    }
}
