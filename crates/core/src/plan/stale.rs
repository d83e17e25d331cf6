//! Whether a plan still fits the ledger.

use super::{Plan, PlannedJob, PlannedSplit};
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
        let of_jobs = self.jobs.iter().map(|job| (&job.slice, overtaken(job, ledger)));
        let of_splits = self.splits.iter().map(|split| (&split.slice, self.outrun(split, ledger)));
        let stale: Vec<StaleJob> = of_jobs
            .chain(of_splits)
            .filter_map(|(slice, since)| Some(StaleJob { slice: slice.clone(), since: since? }))
            .collect();
        if stale.is_empty() { Staleness::Fresh } else { Staleness::Stale(stale) }
    }
}

impl Plan {
    /// What became of a slice that the plan cuts.
    fn outrun(&self, split: &PlannedSplit, ledger: &Ledger) -> Option<String> {
        let record = ledger.slice(&split.slice)?;
        let load = self.jobs.iter().filter(|job| job.slice.is_within(&split.slice)).map(|job| job.load).min();
        match ledger.standing(&split.slice) {
            _ if record.divided.is_some() => Some("it was cut into parts".to_owned()),
            Standing::Done if load.is_some_and(|load| record.next_load() > load) => {
                Some(format!("load {} succeeded", record.next_load() - 1))
            }
            Standing::NeedsPerson => Some("it needs a person's decision".to_owned()),
            Standing::Waiting | Standing::Running if !record.is_untouched() => {
                Some("a job of it is under way as a whole".to_owned())
            }
            _ if record.tries.len() != split.tries_before => {
                Some("a job of it was submitted as a whole".to_owned())
            }
            _ => None,
        }
    }
}

fn overtaken(job: &PlannedJob, ledger: &Ledger) -> Option<String> {
    let record = ledger.slice(&job.slice)?;
    if record.divided.is_some() {
        return Some("it was cut into parts".to_owned());
    }
    let tries = record.next_try(job.load) - 1;
    if record.is_untouched() {
        // It was cut from a larger one and never sent.
        return None;
    }
    match ledger.standing(&job.slice) {
        Standing::Done if record.next_load() > job.load => Some(format!("load {} succeeded", job.load)),
        Standing::Waiting | Standing::Running => Some("a job of it is under way".to_owned()),
        Standing::NeedsPerson => Some("it needs a person's decision".to_owned()),
        _ if tries != job.tries_before => Some(format!("{tries} tries instead of {}", job.tries_before)),
        _ => None,
    }
}
