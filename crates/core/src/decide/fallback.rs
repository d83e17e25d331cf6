//! Slices whose hosts are taken too often go to another queue.

use super::Plans;
use crate::ledger::{SliceRecord, Try};
use crate::plan::Plan;

/// Whether the hosts of these tries, which are of one load and plan, were taken so often that the next goes to the fallback
/// queue. A new plan begins on the first queue: prices and Spot markets change.
pub(super) fn is_due<'a>(tries: impl IntoIterator<Item = &'a Try>, plan: &Plan) -> bool {
    let reclaims: u32 = tries.into_iter().map(|t| t.reclaims).sum();
    plan.job.fallback_queue.is_some() && reclaims >= plan.retry.fallback_after
}

/// Why a job that Batch would go on retrying on hosts that are taken away is ended, so that its slice can go elsewhere.
pub(super) fn moves(record: &SliceRecord, t: &Try, plans: &Plans) -> Option<String> {
    let plan = plans.get(&t.intended.plan)?.plan();
    let fallback = plan.job.fallback_queue.as_ref().filter(|queue| **queue != t.intended.queue)?;
    let (load, digest) = (t.intended.load, &t.intended.plan);
    let tries = record.tries.iter().filter(|t| t.intended.load == load && t.intended.plan == *digest);
    is_due(tries, plan)
        .then(|| format!("dayfill: its hosts were taken too often, so it goes to the queue {fallback}"))
}
