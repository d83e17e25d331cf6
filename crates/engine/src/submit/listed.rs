//! What jobs read that read a manifest.

use std::collections::HashMap;

use dayfill_core::decide::{Decision, NextTry, Plans, planned};
use dayfill_core::ledger::Ledger;
use dayfill_core::partition::SliceId;
use dayfill_core::plan::{Plan, PlanDigest, PlannedJob};
use dayfill_core::spec::Reads;
use futures::StreamExt;

use crate::advance::concerns_one;
use crate::book::{Book, BookError};
use crate::divide::list_for;
use crate::event::{Event, Reporter};
use crate::ports::Source;

/// Slices that are listed at once: all the keys of each are held in memory.
const AT_ONCE: usize = 4;

/// The jobs whose slices were listed for their first try, by plan, slice and load, as they were found: their manifests are kept.
#[derive(Default)]
pub(super) struct Listed(HashMap<(PlanDigest, SliceId, u32), PlannedJob>);

impl Listed {
    /// Whether there is a plan whose jobs read a manifest.
    pub(super) fn is_needed(book: &Book) -> bool {
        book.plans().values().any(|adopted| adopted.plan().job.reads == Reads::Manifest)
    }

    /// Lists what the first `most` submissions among these decisions will read, where nobody has listed it before. What
    /// cannot be listed is told, and submitted later.
    pub(super) async fn list(
        &mut self,
        decisions: Vec<(SliceId, Decision)>,
        book: &Book,
        source: &dyn Source,
        reporter: &dyn Reporter,
        most: usize,
    ) -> Result<(), BookError> {
        let mut wanted: Vec<(&PlanDigest, &Plan, &PlannedJob)> = Vec::new();
        let submits = decisions.iter().filter_map(|(slice, decision)| match decision {
            Decision::Submit(next) => Some((slice, next)),
            _ => None,
        });
        for (slice, next) in submits.take(most) {
            let Some(adopted) = book.plans().get(&next.plan) else { continue };
            let record = book.ledger().slice(slice);
            let job = planned(adopted, &next.plan, slice, record);
            if self.job(slice, next, book.ledger(), book.plans()).is_none()
                && let Some(job) = job
            {
                wanted.push((&next.plan, adopted.plan(), job));
            }
        }
        let list = |(digest, plan, job)| async move {
            let listed = list_for(book, source, plan, job).await;
            (digest, job, listed)
        };
        let lists: Vec<_> = wanted.into_iter().map(list).collect();
        let mut lists = futures::stream::iter(lists).buffer_unordered(AT_ONCE);
        while let Some((digest, job, listed)) = lists.next().await {
            match listed {
                Ok(listed) => {
                    self.0.insert((digest.clone(), job.slice.clone(), job.load), listed);
                }
                Err(error) if concerns_one(&error) => {
                    let what = format!("{} is not submitted yet: {error}", job.slice);
                    reporter.hear(Event::Warning { what });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The job as it is to be submitted; none where it reads a manifest that nobody has written yet.
    pub(super) fn job(
        &self,
        slice: &SliceId,
        next: &NextTry,
        ledger: &Ledger,
        plans: &Plans,
    ) -> Option<PlannedJob> {
        let adopted = plans.get(&next.plan)?;
        let record = ledger.slice(slice);
        let job = planned(adopted, &next.plan, slice, record)?;
        if adopted.plan().job.reads == Reads::Prefix {
            return Some(job.clone());
        }
        // All tries of a load read the same.
        let tries = record.into_iter().flat_map(|r| &r.tries);
        let before = tries.rev().map(|t| &t.intended).find(|i| i.load == next.load && i.plan == next.plan);
        if let Some(before) = before {
            let (objects, bytes, fingerprint) = (before.objects, before.bytes, before.fingerprint);
            return Some(PlannedJob { objects, bytes, fingerprint, ..job.clone() });
        }
        // What was cut from a slice that had been submitted was listed then.
        let is_listed = adopted.job(slice).is_none();
        if is_listed {
            Some(job.clone())
        } else {
            self.0.get(&(next.plan.clone(), slice.clone(), next.load)).cloned()
        }
    }
}
