//! The submission protocol: intent before effect, and whatever nobody heard of is looked up, never repeated.

use std::time::Duration;

use dayfill_core::decide::{Decision, NextTry, Pace, decide};
use dayfill_core::fact::{Fact, Identity, Intended};
use dayfill_core::job::{JobName, Submission};
use dayfill_core::ledger::Ledger;
use dayfill_core::partition::SliceId;
use dayfill_core::plan::{Plan, StaleJob, Staleness};
use dayfill_core::rate::Rate;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use uuid::Uuid;

use crate::advance::Engine;
use crate::book::{Book, BookError};
use crate::event::Event;
use crate::ports::{PortError, Queue, SendBy, Sent};

/// Submissions under way at once.
const AT_ONCE: usize = 16;

/// Intents are stored for at most as many jobs as are sent in this time, so that none waits long for its turn.
const BATCH: Duration = Duration::from_secs(10);

/// What became of a plan that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It is adopted now.
    Adopted,
    /// It was the newest adopted plan already.
    Already,
}

/// Why a plan was not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The YAML that the plan was made from no longer agrees with the journal.
    #[error("the backfill was opened with other settings, which never change")]
    OtherIdentity(Vec<(&'static str, String, String)>),
    /// It was made for a journal that is not this one.
    #[error("the plan was made for another backfill of this name, or its journal was removed")]
    OtherBackfill,
    /// It was adopted before, and another after it.
    #[error("the plan was submitted before, and a newer one since: plan again")]
    Superseded,
    /// The ledger has moved on.
    #[error("the plan is stale: {} of its days have moved on since it was made; plan again", .0.len())]
    Stale(Vec<StaleJob>),
}

/// What differs between what must never change and what the journal was opened with.
pub fn check_identity(ledger: &Ledger, identity: &Identity) -> Result<(), AdoptError> {
    let differences = ledger.opened().map(|o| o.identity.differences(identity)).unwrap_or_default();
    if differences.is_empty() { Ok(()) } else { Err(AdoptError::OtherIdentity(differences)) }
}

/// What adopting `plan` would come to, as the ledger stands.
pub fn check(ledger: &Ledger, plan: &Plan) -> Result<Adoption, AdoptError> {
    check_identity(ledger, &plan.identity)?;
    let journal = ledger.opened().map(|o| o.uuid);
    if plan.uuid.is_some() && plan.uuid != journal {
        return Err(AdoptError::OtherBackfill);
    }
    match plan.staleness(ledger) {
        Staleness::Fresh => Ok(Adoption::Adopted),
        Staleness::AlreadyAdopted => Ok(Adoption::Already),
        Staleness::Superseded => Err(AdoptError::Superseded),
        Staleness::Stale(jobs) => Err(AdoptError::Stale(jobs)),
    }
}

/// Makes `plan` the one that is worked off: keeps it beside the journal and appends `Adopted`. `definition` is the
/// `name:revision` that its jobs run. Adopting the newest plan again changes nothing.
pub async fn adopt(book: &mut Book, plan: &Plan, definition: &str) -> Result<Adoption, AdoptError> {
    if check(book.ledger(), plan)? == Adoption::Already {
        return Ok(Adoption::Already);
    }
    let digest = plan.digest();
    // The plan before the fact that names it: whoever reads the fact finds the plan.
    let bytes = plan.to_json();
    book.journal().keep_plan(digest.as_str(), bytes.as_bytes()).await.map_err(BookError::from)?;
    let mut verdict = Ok(Adoption::Adopted);
    let uuid = Uuid::new_v4();
    book.append(|ledger, _| {
        verdict = check(ledger, plan);
        if !matches!(verdict, Ok(Adoption::Adopted)) {
            return Vec::new();
        }
        let opened = ledger.opened().is_none().then(|| Fact::Opened {
            uuid,
            name: plan.backfill.clone(),
            identity: plan.identity.clone(),
        });
        let definition = definition.to_owned();
        let adopted = Fact::Adopted { digest: digest.clone(), definition, jobs: plan.jobs.len() as u64 };
        opened.into_iter().chain([adopted]).collect()
    })
    .await?;
    verdict
}

/// Intents for the decisions to submit, at most `most`.
fn intents(
    decisions: Vec<(SliceId, Decision)>,
    ledger: &Ledger,
    plans: &dayfill_core::decide::Plans,
    most: usize,
) -> Vec<(Intended, Submission)> {
    let Some(backfill) = ledger.opened().map(|o| o.uuid) else { return Vec::new() };
    let wanted = decisions.into_iter().filter_map(|(slice, decision)| match decision {
        Decision::Submit(next) => Some((slice, next)),
        _ => None,
    });
    wanted.take(most).filter_map(|(slice, next)| intent(backfill, slice, next, plans)).collect()
}

fn intent(
    backfill: Uuid,
    slice: SliceId,
    next: NextTry,
    plans: &dayfill_core::decide::Plans,
) -> Option<(Intended, Submission)> {
    let adopted = plans.get(&next.plan)?;
    let job = adopted.job(&slice)?;
    let (nonce, ..) = Uuid::new_v4().as_fields();
    let name = JobName::new(backfill, &slice, next.load, next.shape.r#try, nonce);
    let submission = Submission::of(adopted.plan(), job, next.shape, name.clone(), next.definition.clone());
    let intended = Intended {
        load: next.load,
        r#try: next.shape.r#try,
        name,
        queue: submission.queue.clone(),
        definition: next.definition,
        plan: next.plan,
        memory_mib: next.shape.memory_mib,
        vcpus: submission.vcpus,
        timeout_s: next.shape.timeout_s,
        objects: job.objects,
        bytes: job.bytes,
        fingerprint: job.fingerprint,
        slice,
    };
    Some((intended, submission))
}

impl Engine {
    /// Submits all that is due, batch by batch: intents first, then SubmitJob for each, then what became of them.
    /// Where the credentials are not taken it ends with that error, once all that was heard is written down. Returns
    /// whether a job was refused.
    pub(crate) async fn submit_due(&mut self, pace: Pace) -> Result<bool, BookError> {
        loop {
            // Counted from before the intents are stored, so that the store's clock never gives less time than ours.
            let send_by = SendBy::starting_now(self.book.clock().clone(), self.queue.bounds().send_within);
            let most = self.rate.within(BATCH);
            let now = self.book.clock().now();
            let mut batch = Vec::new();
            let written = self
                .book
                .append_in_haste(|ledger, plans| {
                    batch = intents(decide(ledger, plans, pace, now), ledger, plans, most);
                    batch.iter().map(|(intended, _)| Fact::Intended(intended.clone())).collect()
                })
                .await?;
            if !written {
                return Ok(false);
            }
            // A crash from here on is looked up by name, not repeated.
            let Heard { facts, signed_out } = self.send(batch, &send_by).await;
            let refused = facts.iter().any(|f| matches!(f, Fact::Refused { .. }));
            let accepted = facts.iter().any(|f| matches!(f, Fact::Accepted { .. }));
            self.book.append(|ledger, _| still_news(ledger, &facts)).await?;
            if let Some(error) = signed_out {
                return Err(error.into());
            }
            // Where nothing gets through, intent upon intent would only fill the journal: the next step tries again.
            if refused || !accepted {
                return Ok(refused);
            }
        }
    }

    async fn send(&mut self, batch: Vec<(Intended, Submission)>, send_by: &SendBy) -> Heard {
        let clock = self.book.clock().clone();
        let queue = self.queue.clone();
        let send_after = |pause: Option<Duration>, intended: Intended, submission: Submission| {
            let (queue, clock) = (queue.clone(), clock.clone());
            async move {
                if let Some(pause) = pause {
                    clock.sleep(pause).await;
                }
                let sent = queue.submit(&submission, send_by).await;
                (intended, submission, sent)
            }
        };
        let mut facts = Vec::with_capacity(batch.len());
        let mut signed_out = None;
        let mut under_way = FuturesUnordered::new();
        let mut waiting = batch.into_iter();
        let mut turn = clock.sleep(Duration::ZERO);
        while waiting.len() > 0 || !under_way.is_empty() {
            // Answers are heard while the next one waits for its turn.
            let room = waiting.len() > 0 && under_way.len() < AT_ONCE;
            let answer = match (room, under_way.is_empty()) {
                (true, true) => {
                    turn.as_mut().await;
                    None
                }
                (true, false) => match select(turn.as_mut(), under_way.next()).await {
                    Either::Left(((), _)) => None,
                    Either::Right((answer, _)) => answer,
                },
                (false, _) => under_way.next().await,
            };
            let Some((intended, submission, sent)) = answer else {
                turn = clock.sleep(self.rate.interval());
                under_way.extend(waiting.next().map(|(i, s)| send_after(None, i, s)));
                continue;
            };
            match sent {
                Sent::Throttled if !send_by.is_past() => {
                    let pause = Some(self.slow_down());
                    under_way.push(send_after(pause, intended, submission));
                }
                Sent::SignedOut { error } => {
                    // Not one of them would fare better, and none of them is to blame.
                    let unsent = [intended].into_iter().chain(waiting.by_ref().map(|(i, _)| i));
                    facts.extend(unsent.map(|i| withdrawn(i, &error.what)));
                    signed_out.get_or_insert(error);
                }
                sent => {
                    let fact = self.outcome(intended, sent);
                    if let Fact::Refused { .. } = &fact {
                        // What one was refused for, the others of the batch would be refused for too.
                        let why = "another job of the batch was refused";
                        facts.extend(waiting.by_ref().map(|(i, _)| withdrawn(i, why)));
                    }
                    facts.push(fact);
                }
            }
        }
        Heard { facts, signed_out }
    }

    fn slow_down(&mut self) -> Duration {
        self.rate.throttled();
        self.reporter.hear(Event::Throttled { per_second: self.rate.per_second().ceil() as u64 });
        self.rate.interval() * AT_ONCE as u32
    }

    fn outcome(&mut self, intended: Intended, sent: Sent) -> Fact {
        let name = intended.name;
        match sent {
            Sent::Accepted { job_id } => {
                self.rate.accepted();
                let (slice, memory_mib) = (intended.slice, intended.memory_mib);
                self.reporter.hear(Event::Submitted {
                    slice,
                    r#try: intended.r#try,
                    memory_mib,
                    found: false,
                });
                Fact::Accepted { name, job_id, found: false }
            }
            Sent::Refused { why } => {
                self.reporter.hear(Event::Warning { what: format!("AWS Batch refused {name}: {why}") });
                Fact::Refused { name, why }
            }
            Sent::Throttled => Fact::Withdrawn { name, why: "throttled until its time was up".to_owned() },
            Sent::NotSent { why } => Fact::Withdrawn { name, why },
            Sent::SignedOut { error } => Fact::Withdrawn { name, why: error.what },
            Sent::Unknown { why } => {
                let what =
                    format!("it is not known whether it arrived ({why}); it is looked for by its name");
                self.reporter.hear(Event::Note { slice: intended.slice, what });
                Fact::Unknown { name, why }
            }
        }
    }

    /// A rate that begins modestly and is not faster than the service allows.
    pub(crate) fn starting_rate(queue: &dyn Queue) -> Rate {
        let ceiling = queue.bounds().submits_per_second;
        Rate::new(ceiling / 2.0, ceiling)
    }
}

/// What came back of a batch.
struct Heard {
    facts: Vec<Fact>,
    /// The credentials were not taken.
    signed_out: Option<PortError>,
}

fn withdrawn(intended: Intended, why: &str) -> Fact {
    Fact::Withdrawn { name: intended.name, why: why.to_owned() }
}

/// Somebody else may have looked for a job while we waited for its answer: what they found stands.
fn still_news(ledger: &Ledger, facts: &[Fact]) -> Vec<Fact> {
    let is_open = |name: &JobName| ledger.job(name).is_some_and(|(_, t)| t.is_unheard());
    let is_news = |fact: &&Fact| match fact {
        // An answer that comes after all is told even if the job was taken for lost: it exists.
        Fact::Accepted { name, .. } => ledger.job(name).is_some_and(|(_, t)| t.job_id.is_none()),
        Fact::Refused { name, .. } | Fact::Unknown { name, .. } | Fact::Withdrawn { name, .. } => {
            is_open(name)
        }
        _ => false,
    };
    facts.iter().filter(is_news).cloned().collect()
}

#[cfg(test)]
mod tests;
