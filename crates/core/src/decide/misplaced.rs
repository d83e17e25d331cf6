//! Jobs that wait for a host that will never come.

use chrono::{DateTime, Utc};

use super::{Decision, Pace};
use crate::ledger::{Adoption, Ledger, Stamp, Try};
use crate::partition::SliceId;

/// Stops where Batch has said for a while that jobs will never get a host: every further job would only wait beside them.
/// Counted anew from an adoption, because whoever adopts a plan has seen to it, and Batch may not have looked again yet.
pub(super) fn stop_misplaced(
    decisions: &mut Vec<(SliceId, Decision)>,
    ledger: &Ledger,
    adoption: &Adoption,
    pace: Pace,
    now: DateTime<Utc>,
) {
    let stopping = decisions.iter().any(|(_, d)| matches!(d, Decision::StopBackfill { .. }));
    if ledger.stopped().is_some() || stopping {
        return;
    }
    let misplaced: Vec<_> = misplaced(ledger, adoption, pace, now).collect();
    let Some((slice, first)) = misplaced.first() else { return };
    let reason = first.reason.as_deref().unwrap_or_default();
    let why = format!(
        "{} of {} jobs never get a host: {reason}; {}",
        misplaced.len(),
        ledger.live().count(),
        remedy(reason)
    );
    decisions.push(((*slice).clone(), Decision::StopBackfill { why }));
}

/// The jobs of which Batch has said for a while that they never get a host.
pub(super) fn misplaced<'a>(
    ledger: &'a Ledger,
    adoption: &'a Adoption,
    pace: Pace,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&'a SliceId, &'a Try)> {
    // The later of two clocks: on a machine whose own is ahead of the store's nothing has stood for long at once.
    let at = |stamp: Stamp| stamp.stored_at.max(stamp.written_at);
    let stands = move |t: &Try| now - at(t.waits_since).max(at(adoption.stamp)) >= pace.dwell;
    ledger.live().filter(move |(_, t)| t.is_misplaced() && t.ending.is_none() && stands(t))
}

/// What to do about a job that waits for this reason.
pub fn remedy(reason: &str) -> &'static str {
    if reason.contains("JOB_RESOURCE_REQUIREMENT") {
        "lower job.memory or job.vcpus, or give the queue larger hosts; `dayfill cancel` ends what waits"
    } else if reason.contains("COMPUTE_ENVIRONMENT_MAX_RESOURCE") {
        "raise maxvCpus of the compute environment"
    } else if reason.contains("SERVICE_ROLE_PERMISSIONS") {
        "give the service role of the compute environment its permissions"
    } else if reason.starts_with("CAPACITY:") {
        "Batch goes on trying; more instance types, more zones or a fallback queue would help"
    } else {
        "look at the compute environments of the queue: `dayfill doctor`"
    }
}
