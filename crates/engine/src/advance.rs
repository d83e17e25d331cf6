//! One whole step: read, observe, decide, end what is to end, submit what is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::decide::{Decision, Pace, decide, is_finished, planned};
use dayfill_core::fact::Fact;
use dayfill_core::job::JobName;
use dayfill_core::ledger::Ledger;
use dayfill_core::partition::SliceId;
use dayfill_core::rate::Rate;

use futures::StreamExt;

use crate::book::{Book, BookError};
use crate::divide::{ToCut, cut_slice};
use crate::event::{Event, Reporter};
use crate::ports::{ErrorKind, Queue, Source};

/// Jobs that Batch is asked to end at once.
const AT_ONCE: usize = 16;

/// Half of the day for which finished jobs were seen to be kept at least (field reports; the guide says seven days).
const LONGEST_GAP: TimeDelta = TimeDelta::hours(12);

/// The journal, the queue, and how fast jobs are submitted.
pub struct Engine {
    pub(crate) book: Book,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) rate: Rate,
    /// When it last looked, on this machine's clock.
    looked_at: Option<DateTime<Utc>>,
}

/// How a backfill stands after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Nothing is left to watch or to send.
    pub finished: bool,
    /// Facts in the journal, so that one step can be told from the next.
    pub facts: u64,
}

impl Engine {
    /// An engine that works off the adopted plans of `book` through `queue`. Slices that are to be cut are listed in
    /// `source`, and those whose jobs read a manifest.
    pub fn new(
        book: Book,
        queue: Arc<dyn Queue>,
        source: Arc<dyn Source>,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        let rate = Self::starting_rate(queue.as_ref());
        Self { book, queue, source, reporter, rate, looked_at: None }
    }

    /// The journal, read and folded.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The journal, to adopt a plan or to append what a person says.
    pub fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// The queue.
    pub fn queue(&self) -> &Arc<dyn Queue> {
        &self.queue
    }

    /// One whole step. What it finds done by somebody else it does not do again, so any number of processes may step
    /// at once.
    pub async fn advance(&mut self) -> Result<Step, BookError> {
        self.book.refresh().await?;
        self.tell_gap();
        self.observe().await?;
        let pace = self.pace();
        let now = self.book.clock().now();
        self.settle(pace, now).await?;
        if self.submit_due(pace).await? {
            // Whoever takes one step only must hear that the backfill stopped.
            self.settle(pace, now).await?;
        }
        let decisions = decide(self.book.ledger(), self.book.plans(), pace, now);
        let ledger = self.book.ledger();
        Ok(Step { finished: is_finished(ledger, &decisions, pace, now), facts: ledger.facts() })
    }

    /// Batch forgets finished jobs after a day or so: whoever looks too seldom may not learn how they ended.
    fn tell_gap(&mut self) {
        let now = self.book.clock().now();
        let ledger = self.book.ledger();
        // Before the first look of this process the journal tells when somebody last saw something.
        let before = self.looked_at.replace(now).or_else(|| ledger.last().map(|s| s.stored_at));
        let gap = before.map(|before| now - before).filter(|gap| *gap > LONGEST_GAP);
        let jobs = ledger.live().filter(|(_, t)| t.job_id.is_some()).count();
        if let Some(gap) = gap.filter(|_| jobs > 0) {
            let what = format!(
                "nothing was heard of {jobs} jobs for {} hours; AWS Batch tells of a finished job for a day or so, so \
                 somebody should look (`dayfill advance`) at least every {} hours",
                gap.num_hours(),
                LONGEST_GAP.num_hours()
            );
            self.reporter.hear(Event::Warning { what });
        }
    }

    fn pace(&self) -> Pace {
        let after = self.queue.bounds().start_failure;
        let dwell = self.book.newest_plan().map(|p| p.plan().place.runs_on.dwell());
        Pace {
            start_failure: TimeDelta::from_std(after).unwrap_or(TimeDelta::MAX),
            dwell: dwell.unwrap_or(TimeDelta::MAX),
        }
    }

    /// Lists and cuts every slice that is to be cut; the facts, by slice.
    async fn cut_due(&self, pace: Pace, now: DateTime<Utc>) -> Result<BTreeMap<SliceId, Fact>, BookError> {
        let (ledger, plans) = (self.book.ledger(), self.book.plans());
        let mut cuts = BTreeMap::new();
        for (slice, decision) in decide(ledger, plans, pace, now) {
            let Decision::Split { plan: digest, most, why, .. } = decision else { continue };
            let record = ledger.slice(&slice);
            let Some(adopted) = plans.get(&digest) else { continue };
            let Some(job) = planned(adopted, &digest, &slice, record) else { continue };
            let asked_mib =
                record.and_then(|r| r.tries.last()).map_or(job.memory_mib, |t| t.intended.memory_mib);
            let to_cut = ToCut { slice: &slice, plan: adopted.plan(), job, most, why: &why, asked_mib };
            match cut_slice(&self.book, self.source.as_ref(), to_cut).await {
                Ok(fact) => {
                    cuts.insert(slice, fact);
                }
                Err(error) if concerns_one(&error) => {
                    let what = format!("{slice} is not cut yet: {error}; looking again");
                    self.reporter.hear(Event::Warning { what });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(cuts)
    }

    /// Appends every decision that is a fact by itself, then asks Batch to end what is to end. In this order: a
    /// request that is lost on the way is repeated by the next step, because the fact is there.
    async fn settle(&mut self, pace: Pace, now: DateTime<Utc>) -> Result<(), BookError> {
        let reporter = self.reporter.clone();
        let cuts = self.cut_due(pace, now).await?;
        let mut told = Vec::new();
        let written = self
            .book
            .append(|ledger, plans| {
                let decisions = decide(ledger, plans, pace, now);
                // Several slices may be reason to stop, and it is stopped once.
                let mut stopping = false;
                told = decisions
                    .iter()
                    .filter_map(|(s, d)| Some((s.clone(), fact_of(s, d, ledger, &cuts)?)))
                    .filter(|(_, f)| {
                        !matches!(f, Fact::Stopped { .. }) || !std::mem::replace(&mut stopping, true)
                    })
                    .collect();
                told.iter().map(|(_, fact)| fact.clone()).collect()
            })
            .await?;
        if written {
            for (slice, fact) in &told {
                tell(reporter.as_ref(), slice, fact);
            }
        }
        let mut to_end: Vec<(JobName, String)> = Vec::new();
        for (_, decision) in decide(self.book.ledger(), self.book.plans(), pace, now) {
            if let Decision::Terminate { job, why, .. } = decision {
                to_end.push((job, why));
            }
        }
        let (ledger, queue) = (self.book.ledger(), self.queue.as_ref());
        let id = |job: &JobName| ledger.job(job).and_then(|(_, t)| t.job_id.clone());
        let ends: Vec<_> = to_end
            .iter()
            .filter_map(|(job, why)| Some((id(job)?, why)))
            .map(|(id, why)| async move { queue.terminate(&id, why).await })
            .collect();
        let mut ends = futures::stream::iter(ends).buffer_unordered(AT_ONCE);
        while let Some(end) = ends.next().await {
            match end {
                // The next step asks again, and what is to be sent does not wait for it.
                Err(e) if e.kind == ErrorKind::Throttled => {
                    self.reporter.hear(Event::Warning { what: format!("{}; asking again", e.what) });
                    break;
                }
                end => end?,
            }
        }
        Ok(())
    }
}

/// An error of one slice is no reason to leave all the others alone.
pub(crate) fn concerns_one(error: &BookError) -> bool {
    use ErrorKind::{Denied, Other, Throttled};
    matches!(error, BookError::Port(e) if matches!(e.kind, Denied | Other | Throttled))
}

fn fact_of(
    slice: &SliceId,
    decision: &Decision,
    ledger: &Ledger,
    cuts: &BTreeMap<SliceId, Fact>,
) -> Option<Fact> {
    let slice = slice.clone();
    match decision {
        Decision::Wait | Decision::Submit(_) => None,
        // What is to be cut, or cut for another plan, only since somebody else wrote is cut by the next step.
        Decision::Split { plan, .. } => {
            let is_other = |fact: &&Fact| matches!(fact, Fact::Split(split) if split.plan != *plan);
            cuts.get(&slice).filter(|fact| !is_other(fact)).cloned()
        }
        Decision::Terminate { job, why, moves_to } => {
            let asked = ledger.job(job).is_some_and(|(_, t)| t.ending.is_some());
            let ending = || Fact::Ending { name: job.clone(), why: why.clone(), moves_to: moves_to.clone() };
            (!asked).then(ending)
        }
        Decision::GiveUp { class, why } => Some(Fact::GaveUp { slice, class: *class, why: why.clone() }),
        Decision::StopBackfill { why } => {
            ledger.stopped().is_none().then(|| Fact::Stopped { why: why.clone() })
        }
        Decision::AskPerson { why } => Some(Fact::AskedPerson { slice, why: why.clone() }),
        Decision::Doubled { kept } => Some(Fact::Doubled { slice, kept: kept.clone() }),
    }
}

fn tell(reporter: &dyn Reporter, slice: &SliceId, fact: &Fact) {
    let slice = slice.clone();
    reporter.hear(match fact {
        Fact::Split(split) => {
            Event::Note { slice, what: format!("cut into {} parts: {}", split.parts.len(), split.why) }
        }
        Fact::NotSplit { why, .. } => Event::Note { slice, what: format!("cannot be cut: {why}") },
        Fact::GaveUp { why, .. } => Event::Note { slice, what: format!("given up: {why}") },
        Fact::AskedPerson { why, .. } => {
            Event::Note { slice, what: format!("a person has to decide: {why}") }
        }
        Fact::Doubled { .. } => Event::Note { slice, what: "two jobs of one load exist".to_owned() },
        Fact::Ending { name, why, .. } => {
            Event::Note { slice, what: format!("job {name} is being ended: {why}") }
        }
        Fact::Stopped { why } => Event::Warning { what: format!("nothing more is submitted: {why}") },
        _ => return,
    });
}

#[cfg(test)]
mod tests;
