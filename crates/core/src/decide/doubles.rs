//! Two jobs of one load.

use super::Decision;
use crate::fact::Outcome;
use crate::ledger::{SliceRecord, Try, TryState};

/// Two accepted jobs of one load: the one that succeeded is kept, else the one that started, else the oldest; what
/// has not started is terminated. Two that started are a person's matter.
pub(super) fn doubled(record: &SliceRecord) -> Vec<Decision> {
    let Some(load) = record.tries.iter().filter(|t| t.job_id.is_some()).map(|t| t.intended.load).max() else {
        return Vec::new();
    };
    let succeeded = |t: &Try| t.state == TryState::Ended(Outcome::Succeeded);
    let of_load = |t: &&Try| t.intended.load == load && t.job_id.is_some();
    let accepted: Vec<&Try> =
        record.tries.iter().filter(of_load).filter(|t| t.is_live() || succeeded(t)).collect();
    let started: Vec<&str> =
        accepted.iter().filter(|t| t.has_started()).map(|t| t.intended.name.as_str()).collect();
    let success = accepted.iter().find(|t| succeeded(t));
    let kept = success.or_else(|| accepted.iter().find(|t| t.has_started())).or_else(|| accepted.first());
    let mut decisions = Vec::new();
    if record.doubling {
        let clear = started.len() < 2 || success.is_some();
        decisions.push(Decision::Doubled { kept: kept.filter(|_| clear).map(|t| t.intended.name.clone()) });
    }
    let superfluous = accepted.iter().filter(|t| t.is_live() && !t.has_started() && t.ending.is_none());
    decisions.extend(superfluous.filter(|t| Some(t) != kept.as_ref()).map(|t| Decision::Terminate {
        job: t.intended.name.clone(),
        why: "dayfill: another job of this slice exists".to_owned(),
        moves_to: None,
    }));
    if started.len() > 1 && record.doubling {
        decisions.push(Decision::AskPerson {
            why: format!("two jobs of it have started: {}", started.join(" and ")),
        });
    }
    decisions
}
