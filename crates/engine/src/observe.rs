//! Batch's answers → facts.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::decide::is_news;
use dayfill_core::fact::{Ended, Fact, Outcome};
use dayfill_core::failure::{AttemptEnd, FailureClass, JobEnd, classify};
use dayfill_core::job::JobName;
use dayfill_core::ledger::{Ledger, Try, TryState};

use crate::advance::Engine;
use crate::book::BookError;
use crate::event::Event;
use crate::ports::{Bounds, FoundJob, SeenJob, SeenState};

/// DescribeJobs takes at most so many ids.
const IDS: usize = 100;

/// Lines of a failed job's log that become facts, and how many bytes of them.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: usize = 4 * 1024;

/// What is asked about a job, so that no borrow of the ledger lives through the asking.
struct Asked {
    name: JobName,
    queue: String,
    prefix: String,
    job_id: Option<String>,
    intent_at: DateTime<Utc>,
    ahead: TimeDelta,
    changed_at: DateTime<Utc>,
}

impl Engine {
    /// Looks at every job that has not ended, and appends what is news.
    pub(crate) async fn observe(&mut self) -> Result<(), BookError> {
        let unheard = asked(self.book.ledger(), Try::is_unheard);
        if !unheard.is_empty() {
            let now = self.book.journal().now().await?;
            let facts = self.look_for(unheard, self.queue.bounds(), now).await?;
            self.note(&facts).await?;
        }
        // Jobs just found are among them: what becomes of a slice with two jobs depends on what they are doing.
        let facts = self.look_at(asked(self.book.ledger(), |t| t.job_id.is_some())).await?;
        self.note(&facts).await?;
        let late = self.latecomers(&facts).await?;
        if !late.is_empty() {
            self.note(&late).await?;
            let came_late = |t: &Try| late.iter().any(|f| is_about(f, &t.intended.name));
            let facts = self.look_at(asked(self.book.ledger(), came_late)).await?;
            self.note(&facts).await?;
        }
        Ok(())
    }

    async fn note(&mut self, facts: &[Fact]) -> Result<(), BookError> {
        let news = |ledger: &Ledger| facts.iter().filter(|f| is_still_news(ledger, f)).cloned().collect();
        self.book.append(|ledger, _| news(ledger)).await?;
        Ok(())
    }

    /// What DescribeJobs tells of these jobs that is news.
    async fn look_at(&self, known: Vec<Asked>) -> Result<Vec<Fact>, BookError> {
        let mut facts = Vec::new();
        let mut absent = Vec::new();
        for chunk in known.chunks(IDS) {
            let ids: Vec<String> = chunk.iter().filter_map(|a| a.job_id.clone()).collect();
            let seen = self.queue.describe(&ids).await?;
            let mut told = BTreeSet::new();
            for job in seen {
                // A job may be told twice, but it ends once.
                if told.insert(job.job_id.clone()) {
                    facts.extend(self.fact_of(job).await);
                }
            }
            absent.extend(chunk.iter().filter(|a| a.job_id.as_ref().is_some_and(|id| !told.contains(id))));
        }
        if !absent.is_empty() {
            let (bounds, now) = (self.queue.bounds(), self.book.journal().now().await?);
            for asked in absent {
                facts.extend(self.vanished(asked, bounds, now).await?);
            }
        }
        Ok(facts)
    }

    /// Jobs of which nobody heard whether they arrived. One ListJobs by the prefix of their slice tells, once they
    /// can no longer be on their way.
    async fn look_for(
        &self,
        unheard: Vec<Asked>,
        bounds: Bounds,
        now: DateTime<Utc>,
    ) -> Result<Vec<Fact>, BookError> {
        let mut facts = Vec::new();
        for asked in unheard {
            let found = self.queue.find(&asked.queue, &asked.prefix).await?;
            if let Some(job) = found.iter().find(|f| f.name == asked.name) {
                self.tell_found(&asked.name);
                facts.push(accepted(job));
            } else if cannot_arrive(&asked, bounds, now) {
                facts.push(Fact::NeverArrived { name: asked.name.clone() });
            }
        }
        Ok(facts)
    }

    fn tell_found(&self, name: &JobName) {
        if let Some((slice, t)) = self.book.ledger().job(name) {
            let (r#try, memory_mib) = (t.intended.r#try, t.intended.memory_mib);
            self.reporter.hear(Event::Submitted { slice: slice.clone(), r#try, memory_mib, found: true });
        }
    }

    /// A job that DescribeJobs leaves out: it is lost only if a listing does not know it either, and only after a
    /// while, because a job may be out of sight just after it was submitted.
    async fn vanished(
        &self,
        asked: &Asked,
        bounds: Bounds,
        now: DateTime<Utc>,
    ) -> Result<Option<Fact>, BookError> {
        if now - asked.changed_at < delta(bounds.lost_after) {
            return Ok(None);
        }
        let found = self.queue.find(&asked.queue, &asked.prefix).await?;
        let listed = found.iter().any(|f| Some(&f.job_id) == asked.job_id.as_ref());
        Ok((!listed).then(|| Fact::Lost { name: asked.name.clone() }))
    }

    /// When a slice ends of which an earlier try was taken for never arrived, it is looked for once more: should it
    /// have arrived after all, the slice is doubled, and that must not stay hidden.
    async fn latecomers(&self, facts: &[Fact]) -> Result<Vec<Fact>, BookError> {
        let mut late = Vec::new();
        for fact in facts {
            let Fact::Ended(ended) = fact else { continue };
            let ledger = self.book.ledger();
            let Some((slice, t)) = ledger.job(&ended.name) else { continue };
            let tries = ledger.slice(slice).into_iter().flat_map(|r| &r.tries);
            let given_up: BTreeSet<JobName> = tries
                .filter(|t| t.state == TryState::NeverArrived)
                .map(|t| t.intended.name.clone())
                .collect();
            if given_up.is_empty() {
                continue;
            }
            let (queue, prefix) = (t.intended.queue.clone(), search_prefix(ledger, t));
            let found = self.queue.find(&queue, &prefix).await?;
            late.extend(found.iter().filter(|f| given_up.contains(&f.name)).map(accepted));
        }
        Ok(late)
    }

    async fn fact_of(&self, seen: SeenJob) -> Option<Fact> {
        let (slice, t) = self.book.ledger().job(&seen.name)?;
        let slice = slice.clone();
        match seen.state {
            SeenState::Live { status, reason } => {
                if !is_news(t, status, reason.as_deref()) {
                    return None;
                }
                self.reporter.hear(Event::Moved { slice, status, reason: reason.clone() });
                Some(Fact::Seen { name: seen.name, status, reason })
            }
            SeenState::Succeeded(end) => {
                let ended = ended(seen.name, Outcome::Succeeded, &end, seen.log_stream);
                let ran = ended.stopped_at.zip(ended.started_at).and_then(|(a, b)| (a - b).to_std().ok());
                self.reporter.hear(Event::Succeeded { slice, ran });
                Some(Fact::Ended(Box::new(ended)))
            }
            SeenState::Failed(end) => {
                let class = classify(&end);
                let memory = t.intended.memory_mib;
                let mut ended = ended(seen.name, Outcome::Failed(class), &end, seen.log_stream);
                ended.log_tail = self.tail(ended.log_stream.as_deref()).await;
                let what = match (class, ended.exit_code) {
                    (FailureClass::OutOfMemory, _) => format!("{class} at {memory} MiB"),
                    (FailureClass::App, Some(code)) => format!("{class} with exit code {code}"),
                    _ => class.to_string(),
                };
                self.reporter.hear(Event::Failed { slice, what });
                Some(Fact::Ended(Box::new(ended)))
            }
        }
    }

    /// The end of a log. It helps people and decides nothing, so a log that cannot be read is an empty one.
    async fn tail(&self, stream: Option<&str>) -> Vec<String> {
        let Some(stream) = stream else { return Vec::new() };
        cut(self.queue.log_tail(stream, TAIL_LINES).await.unwrap_or_default())
    }
}

fn search_prefix(ledger: &Ledger, t: &Try) -> String {
    let uuid = ledger.opened().map(|o| o.uuid).unwrap_or_default();
    JobName::search_prefix(uuid, &t.intended.slice, t.intended.load)
}

fn asked(ledger: &Ledger, which: impl Fn(&Try) -> bool) -> Vec<Asked> {
    let of = |t: &Try| Asked {
        name: t.intended.name.clone(),
        queue: t.intended.queue.clone(),
        prefix: search_prefix(ledger, t),
        job_id: t.job_id.clone(),
        intent_at: t.intent.stored_at,
        ahead: (t.intent.written_at - t.intent.stored_at).max(TimeDelta::zero()),
        changed_at: t.changed.stored_at,
    };
    ledger.live().filter(|(_, t)| which(t)).map(|(_, t)| of(t)).collect()
}

/// Whether a submission can no longer arrive. A writer whose clock is ahead signs for later, and is waited for longer.
fn cannot_arrive(asked: &Asked, bounds: Bounds, now: DateTime<Utc>) -> bool {
    let stored_by = latest(asked.intent_at);
    bounds.forgotten_before.is_some_and(|at| stored_by <= at)
        || now - stored_by > delta(bounds.grace) + asked.ahead
}

/// The latest moment that a store may mean: S3 tells whole seconds, and cuts off the rest.
fn latest(told: DateTime<Utc>) -> DateTime<Utc> {
    if told.timestamp_subsec_nanos() == 0 { told + TimeDelta::seconds(1) } else { told }
}

fn delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

fn is_about(fact: &Fact, job: &JobName) -> bool {
    matches!(fact, Fact::Accepted { name, .. } if name == job)
}

fn accepted(job: &FoundJob) -> Fact {
    Fact::Accepted { name: job.name.clone(), job_id: job.job_id.clone(), found: true }
}

fn ended(name: JobName, outcome: Outcome, end: &JobEnd, log_stream: Option<String>) -> Ended {
    let last = end.attempts.last();
    let failed = matches!(outcome, Outcome::Failed(_));
    let texts = [Some(&end.last), last].into_iter().flatten().flat_map(|a| [&a.reason, &a.status_reason]);
    let reclaimed = |a: &&AttemptEnd| {
        let end = JobEnd { last: (*a).clone(), ..JobEnd::default() };
        classify(&end) == FailureClass::HostLost
    };
    Ended {
        name,
        outcome,
        exit_code: end.last.exit_code.or(last.and_then(|a| a.exit_code)),
        reasons: if failed { texts.flatten().cloned().collect() } else { BTreeSet::new() },
        started_at: last.and_then(|a| a.started_at).or(end.last.started_at),
        stopped_at: last.and_then(|a| a.stopped_at).or(end.last.stopped_at),
        attempts: end.attempts.len() as u32,
        reclaims: end.attempts.iter().filter(reclaimed).count() as u32,
        log_tail: Vec::new(),
        log_stream,
    }
}

/// The last lines that fit, each cut to a quarter of the whole.
fn cut(lines: Vec<String>) -> Vec<String> {
    let mut left = TAIL_BYTES;
    let mut kept: Vec<String> = Vec::new();
    for line in lines.into_iter().rev() {
        let line: String = line.chars().take(TAIL_BYTES / 4).collect();
        if line.len() > left {
            break;
        }
        left -= line.len();
        kept.push(line);
    }
    kept.reverse();
    kept
}

/// Somebody else may have appended the same meanwhile.
fn is_still_news(ledger: &Ledger, fact: &Fact) -> bool {
    let job = |name| ledger.job(name).map(|(_, t)| t);
    match fact {
        Fact::Accepted { name, .. } => job(name).is_some_and(|t| t.job_id.is_none()),
        Fact::NeverArrived { name } => job(name).is_some_and(Try::is_unheard),
        Fact::Seen { name, status, reason } => {
            job(name).is_some_and(|t| t.is_live() && is_news(t, *status, reason.as_deref()))
        }
        Fact::Ended(ended) => job(&ended.name).is_some_and(Try::is_live),
        Fact::Lost { name } => job(name).is_some_and(Try::is_live),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
