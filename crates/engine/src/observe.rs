//! Batch's answers → facts.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::decide::is_news;
use dayfill_core::fact::{Ended, Fact, Outcome};
use dayfill_core::failure::{FailureClass, JobEnd, classify, is_suspect, memory_sign, reclaimed, reclaims};
use dayfill_core::job::JobName;
use dayfill_core::ledger::{Ledger, Try, TryState};
use dayfill_core::partition::SliceId;
use futures::{StreamExt, TryStreamExt};

use self::said::remarked;
use crate::advance::Engine;
use crate::book::BookError;
use crate::event::Event;
use crate::ports::{Bounds, ErrorKind, FoundJob, SeenJob, SeenState};

mod said;

/// DescribeJobs takes at most so many ids.
const IDS: usize = 100;

/// Jobs whose logs and results are read at once.
const AT_ONCE: usize = 16;

/// Lines of a failed job's log that are searched for signs of memory: a stack trace may follow what tells.
const SEARCHED_LINES: usize = 400;
/// The last of them that become facts, and how many bytes of them, and characters of one.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: usize = 4 * 1024;
const LINE_CHARS: usize = TAIL_BYTES / 4;

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
        // Before the ends are written down: an end that is known already is not looked at again, should this fail.
        let late = self.latecomers(&facts).await?;
        self.note(&facts).await?;
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
            // A job may be told twice, but it ends once.
            let once = seen.into_iter().filter(|job| told.insert(job.job_id.clone()));
            // Logs and results are read meanwhile.
            let read: Vec<_> = once.map(|job| self.fact_of(job)).collect();
            let read: Vec<Option<Fact>> = futures::stream::iter(read).buffered(AT_ONCE).try_collect().await?;
            facts.extend(read.into_iter().flatten());
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
        if found.iter().any(|f| Some(&f.job_id) == asked.job_id.as_ref()) {
            return Ok(None);
        }
        let Some((slice, t)) = self.book.ledger().job(&asked.name) else { return Ok(None) };
        let Some(said) = self.said(t).await? else { return Ok(None) };
        if said.missing().is_some() {
            return Ok(Some(Fact::Lost { name: asked.name.clone() }));
        }
        // A job writes it last, so this one came to its end.
        let what = "vanished from AWS Batch, but its result is there".to_owned();
        self.reporter.hear(Event::Note { slice: slice.clone(), what: what.clone() });
        let mut ended = ended(asked.name.clone(), Outcome::Succeeded, &JobEnd::default(), None);
        ended.remark = Some(what);
        said.note(&mut ended);
        Ok(Some(Fact::Ended(Box::new(ended))))
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
            let given_up: Vec<(JobName, String)> = tries
                .filter(|t| t.state == TryState::NeverArrived)
                .map(|t| (t.intended.name.clone(), t.intended.queue.clone()))
                .collect();
            if given_up.is_empty() {
                continue;
            }
            let prefix = search_prefix(ledger, t);
            let queues: BTreeSet<String> = given_up.iter().map(|(_, queue)| queue.clone()).collect();
            for queue in queues {
                let found = self.queue.find(&queue, &prefix).await?;
                let known = |f: &&FoundJob| given_up.iter().any(|(name, on)| *name == f.name && *on == queue);
                late.extend(found.iter().filter(known).map(accepted));
            }
        }
        Ok(late)
    }

    async fn fact_of(&self, seen: SeenJob) -> Result<Option<Fact>, BookError> {
        let Some((slice, t)) = self.book.ledger().job(&seen.name) else { return Ok(None) };
        let slice = slice.clone();
        match seen.state {
            SeenState::Live { status, reason, reclaims } => {
                if !is_news(t, status, reason.as_deref(), reclaims) {
                    return Ok(None);
                }
                self.reporter.hear(Event::Moved { slice, status, reason: reason.clone() });
                Ok(Some(Fact::Seen { name: seen.name, status, reason, reclaims }))
            }
            SeenState::Succeeded(end) if is_suspect(&end) => {
                Ok(self.failed(slice, t, seen.name, FailureClass::Suspect, &end, seen.log_stream).await)
            }
            SeenState::Succeeded(end) => {
                let Some(said) = self.said(t).await? else { return Ok(None) };
                let missing = if self.promised(t) { said.missing() } else { None };
                if let Some(why) = missing {
                    let what = format!("SUCCEEDED without its result: {why}");
                    self.reporter.hear(Event::Note { slice: slice.clone(), what: what.clone() });
                    let class = FailureClass::Suspect;
                    let fact = self.failed(slice, t, seen.name, class, &end, seen.log_stream).await;
                    return Ok(fact.map(|fact| remarked(fact, what)));
                }
                let mut ended = ended(seen.name, Outcome::Succeeded, &end, seen.log_stream);
                ended.peak_kib = seen.peak_kib;
                said.note(&mut ended);
                let ran = ended.stopped_at.zip(ended.started_at).and_then(|(a, b)| (a - b).to_std().ok());
                self.reporter.hear(Event::Succeeded { slice, ran });
                Ok(Some(Fact::Ended(Box::new(ended))))
            }
            SeenState::Failed(end) => {
                Ok(self.failed(slice, t, seen.name, classify(&end), &end, seen.log_stream).await)
            }
        }
    }

    /// The end of a job that failed, with what its log says of it. A log that is not there, or may not be read, is an empty
    /// one: what Batch says of the job then decides alone. Where the log could decide and cannot be read just now, nothing
    /// is said of the job yet, and the next look sees it again.
    async fn failed(
        &self,
        slice: SliceId,
        t: &Try,
        name: JobName,
        class: FailureClass,
        end: &JobEnd,
        log_stream: Option<String>,
    ) -> Option<Fact> {
        let mut ended = ended(name, Outcome::Failed(class), end, log_stream);
        let log = match ended.log_stream.as_deref() {
            Some(stream) => match self.queue.log_tail(stream, SEARCHED_LINES).await {
                Err(e) if may_decide(class) && is_passing(e.kind) => return None,
                log => log.unwrap_or_default(),
            },
            None => Vec::new(),
        };
        let signs = self.book.plans().get(&t.intended.plan).map(|p| &p.plan().job.out_of_memory);
        ended.sign = signs
            .and_then(|signs| memory_sign(class, ended.exit_code, &log, signs))
            .map(|sign| sign.chars().take(LINE_CHARS).collect());
        let class = if ended.sign.is_some() { FailureClass::OutOfMemory } else { class };
        ended.outcome = Outcome::Failed(class);
        ended.log_tail = cut(log);
        let what = match (class, ended.exit_code) {
            (FailureClass::OutOfMemory, _) => format!("{class} at {} MiB", t.intended.memory_mib),
            (FailureClass::App, Some(code)) => format!("{class} with exit code {code}"),
            _ => class.to_string(),
        };
        self.reporter.hear(Event::Failed { slice, what });
        Some(Fact::Ended(Box::new(ended)))
    }
}

/// Whether what a job said may make another class of this one.
fn may_decide(class: FailureClass) -> bool {
    matches!(class, FailureClass::App | FailureClass::KilledUnknown)
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::Credentials)
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
    Ended {
        name,
        outcome,
        exit_code: end.last.exit_code.or(last.and_then(|a| a.exit_code)),
        reasons: if failed { texts.flatten().cloned().collect() } else { BTreeSet::new() },
        started_at: last.and_then(|a| a.started_at).or(end.last.started_at),
        stopped_at: last.and_then(|a| a.stopped_at).or(end.last.stopped_at),
        attempts: end.attempts.len() as u32,
        reclaims: reclaims(&end.attempts),
        reclaimed_ms: reclaimed(&end.attempts).num_milliseconds().try_into().unwrap_or_default(),
        peak_kib: None,
        result: None,
        result_ignored: None,
        remark: None,
        sign: None,
        log_tail: Vec::new(),
        log_stream,
    }
}

/// The last lines that fit, each cut to a quarter of the whole.
fn cut(lines: Vec<String>) -> Vec<String> {
    let mut left = TAIL_BYTES;
    let mut kept: Vec<String> = Vec::new();
    for line in lines.into_iter().rev().take(TAIL_LINES) {
        let line: String = line.chars().take(LINE_CHARS).collect();
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
        Fact::Seen { name, status, reason, reclaims } => {
            job(name).is_some_and(|t| t.is_live() && is_news(t, *status, reason.as_deref(), *reclaims))
        }
        Fact::Ended(ended) => job(&ended.name).is_some_and(Try::is_live),
        Fact::Lost { name } => job(name).is_some_and(Try::is_live),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
