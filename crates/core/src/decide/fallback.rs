//! Slices that go to another queue: their hosts are taken too often, or the deadline would be missed.
//!
//! What went there under a plan stays there, and no job on the fallback queue is ever ended for this: so nothing goes to
//! and fro, however what is expected changes. A new plan begins on the first queue: prices and Spot markets change.

use chrono::{DateTime, Utc};

use super::Plans;
use crate::fact::LiveStatus;
use crate::ledger::{Adoption, Ledger, SliceRecord, Try, TryState};
use crate::plan::Plan;
use crate::spot::Outlook;

/// Why the deadline of the newest plan will not be kept, if it has one and will not.
pub(super) fn late(ledger: &Ledger, adoption: &Adoption, plan: &Plan, now: DateTime<Utc>) -> Option<String> {
    let deadline = plan.deadline.as_ref()?.at;
    let outlook = Outlook::of(deadline, plan, ledger, adoption.stamp.segment, now);
    outlook.is_missed(now).then(|| outlook.sentence(now))
}

/// Why the next of these tries, which are of one load and plan, goes to the fallback queue; nothing where it does not.
pub(super) fn reason(tries: &[&Try], plan: &Plan, late: Option<&str>) -> Option<String> {
    let fallback = plan.job.fallback_queue.as_ref()?;
    let went = |t: &&Try| t.intended.queue == *fallback || t.moves_to.is_some();
    let before = tries.iter().copied().find(went).map(|t| match &t.intended.queue_why {
        Some(why) => why.clone(),
        None if t.intended.queue == *fallback => format!("try {} went there", t.intended.r#try),
        None => format!("try {} was ended for it", t.intended.r#try),
    });
    before.or_else(|| taken(tries, plan)).or_else(|| late.map(str::to_owned))
}

/// Why a job is ended, so that its slice can go elsewhere, and where to; nothing where it is left alone.
pub(super) fn moves(
    record: &SliceRecord,
    t: &Try,
    plans: &Plans,
    late: Option<&str>,
) -> Option<(String, String)> {
    let plan = plans.get(&t.intended.plan)?.plan();
    let fallback = plan.job.fallback_queue.as_ref().filter(|queue| **queue != t.intended.queue)?;
    let (load, digest) = (t.intended.load, &t.intended.plan);
    let tries: Vec<&Try> =
        record.tries.iter().filter(|t| t.intended.load == load && t.intended.plan == *digest).collect();
    let why = taken(&tries, plan).or_else(|| late.filter(|_| may_move(t, plan)).map(str::to_owned))?;
    Some((format!("dayfill: {why}, so it goes to the queue {fallback}"), fallback.clone()))
}

/// The hosts of these tries were taken too often.
fn taken(tries: &[&Try], plan: &Plan) -> Option<String> {
    let reclaims: u32 = tries.iter().map(|t| t.reclaims).sum();
    (reclaims >= plan.retry.fallback_after).then(|| "its hosts were taken too often".to_owned())
}

/// A job that runs, or is about to, would lose what it has done. Where nothing may run twice none is ended for a deadline:
/// it may have begun to run since it was looked at, and a person would have to be asked.
fn may_move(t: &Try, plan: &Plan) -> bool {
    let waits = matches!(t.state, TryState::Live(LiveStatus::Submitted | LiveStatus::Runnable));
    waits && plan.reruns(&t.intended.slice)
}
