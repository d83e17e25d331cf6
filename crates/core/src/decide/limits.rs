//! How many jobs go at a time, and when none goes any more.

use std::collections::BTreeSet;

use super::{AdoptedPlan, Decision};
use crate::failure::FailureClass;
use crate::ledger::{Adoption, Ledger, SliceRecord, Try};
use crate::partition::SliceId;
use crate::spec::StopAfter;

/// Keeps as many submissions as there is room for; none at all once the backfill is stopped, be it just now.
pub(super) fn admit(
    decisions: Vec<(SliceId, Decision)>,
    room: usize,
    stopped: bool,
) -> Vec<(SliceId, Decision)> {
    let stopped = stopped || decisions.iter().any(|(_, d)| matches!(d, Decision::StopBackfill { .. }));
    let mut room = if stopped { 0 } else { room };
    let mut admitted = Vec::with_capacity(decisions.len());
    for (slice, decision) in decisions {
        let decision = match decision {
            Decision::Submit(_) if room == 0 => Decision::Wait,
            Decision::Submit(next) => {
                room -= 1;
                Decision::Submit(next)
            }
            other => other,
        };
        admitted.push((slice, decision));
    }
    admitted
}

/// The circuit breaker, and the stop where nothing at all starts.
///
/// Both look at what happened since the newest plan was adopted: whoever adopts a plan after a stop has seen to what went
/// wrong before it.
pub(super) fn brake(
    decisions: &mut Vec<(SliceId, Decision)>,
    ledger: &Ledger,
    adoption: &Adoption,
    adopted: &AdoptedPlan,
) {
    if ledger.stopped().is_some() {
        return;
    }
    let giving_up = decisions.iter().filter(|(_, d)| matches!(d, Decision::GiveUp { .. }));
    let mut given_up = ledger.given_up_since_adoption();
    let before = given_up.len();
    given_up.extend(giving_up.map(|(slice, _)| slice.partition()));
    let (given_up, is_more) = (given_up.len(), given_up.len() > before);
    // Under way since the plan was adopted, whether or not it has come to an end since.
    let is_open = |r: &SliceRecord| match &r.verdict {
        Some(verdict) => verdict.stamp().segment > adoption.stamp.segment || r.live().next().is_some(),
        None => r.divided.is_none() || r.live().next().is_some(),
    };
    let under_way = ledger.slices().filter(|(_, r)| is_open(r)).map(|(slice, _)| slice.partition());
    let planned = adopted.plan.jobs.iter().map(|job| job.slice.partition());
    // A plan may be adopted for a few days, or for another deadline alone, while many others are under way.
    let days = planned.chain(under_way).collect::<BTreeSet<_>>().len().max(given_up);
    let bound = match adopted.plan.limits.stop_after {
        None => usize::MAX,
        Some(StopAfter::Count(count)) => count as usize,
        Some(StopAfter::Percent(percent)) => ((days as f64 * percent / 100.0).ceil() as usize).max(1),
    };
    let of_plan = |t: &&Try| t.intended.plan == adoption.digest;
    let failed_to_start = |r: &SliceRecord| {
        r.tries.last().filter(of_plan).is_some_and(|t| t.failure() == Some(FailureClass::StartFailed))
    };
    let idle = ledger.slices().filter(|(_, r)| failed_to_start(r)).count();
    let any_started = ledger.slices().any(|(_, r)| r.tries.iter().filter(of_plan).any(Try::has_started));
    let why = if is_more && given_up >= bound {
        format!("{given_up} of {days} days were given up, and limits.stop_after allows fewer")
    } else if idle >= 3 && !any_started {
        format!("none of the first {idle} jobs started: look at the image, the command and the roles")
    } else {
        return;
    };
    if let Some((slice, _)) = decisions.first().cloned() {
        decisions.push((slice, Decision::StopBackfill { why }));
    }
}
