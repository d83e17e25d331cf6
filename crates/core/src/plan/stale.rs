//! Whether a plan still fits the ledger.

use super::{Plan, PlannedJob};
use crate::ledger::{Ledger, Standing};
use crate::partition::SliceId;

/// A job of the plan that the ledger has overtaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleJob {
    /// Which.
    pub slice: SliceId,
    /// What happened since the plan was made.
    pub since: String,
}

/// How a plan stands to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// It is the newest adopted plan: nothing to do.
    AlreadyAdopted,
    /// It was adopted, and a newer one after it.
    Superseded,
    /// These jobs no longer fit.
    Stale(Vec<StaleJob>),
    /// It fits.
    Fresh,
}

impl Plan {
    /// Compares with the ledger.
    pub fn staleness(&self, ledger: &Ledger) -> Staleness {
        let digest = self.digest();
        if ledger.adopted().is_some_and(|a| a.digest == digest) {
            return Staleness::AlreadyAdopted;
        }
        if ledger.adoption(&digest).is_some() {
            return Staleness::Superseded;
        }
        let stale: Vec<StaleJob> = self
            .jobs
            .iter()
            .filter_map(|job| Some(StaleJob { slice: job.slice.clone(), since: overtaken(job, ledger)? }))
            .collect();
        if stale.is_empty() { Staleness::Fresh } else { Staleness::Stale(stale) }
    }
}

fn overtaken(job: &PlannedJob, ledger: &Ledger) -> Option<String> {
    let record = ledger.slice(&job.slice)?;
    let tries = record.next_try(job.load) - 1;
    match ledger.standing(&job.slice) {
        Standing::Done if record.next_load() > job.load => Some(format!("load {} succeeded", job.load)),
        Standing::Waiting | Standing::Running => Some("a job of it is under way".to_owned()),
        Standing::NeedsPerson => Some("it needs a person's decision".to_owned()),
        _ if tries != job.tries_before => Some(format!("{tries} tries instead of {}", job.tries_before)),
        _ => None,
    }
}
