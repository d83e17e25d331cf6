//! The submission protocol: intent before effect, and whatever nobody heard of is looked up, never repeated.

use std::time::Duration;

use dayfill_core::decide::{Decision, NextTry, Pace, Plans, decide};
use dayfill_core::fact::{Fact, Identity, Intended};
use dayfill_core::job::{JobName, Submission};
use dayfill_core::ledger::{Ledger, TryState};
use dayfill_core::partition::SliceId;
use dayfill_core::plan::{Plan, PlannedJob, StaleJob, Staleness};
use dayfill_core::rate::Rate;
use uuid::Uuid;

use self::listed::Listed;
use self::sender::Sender;
use crate::advance::Engine;
use crate::book::{Book, BookError};
use crate::ports::{Queue, SendBy};

mod listed;
mod sender;

/// Intents are stored for at most as many jobs as are sent in this time, so that none waits long for its turn: a rate
/// that falls to a tenth meanwhile still sends them in time.
const BATCH: Duration = Duration::from_secs(5);

/// The next batch is written down when no more jobs wait than are sent in this time: that long the journal may take.
const AHEAD: Duration = Duration::from_secs(1);

/// Requests a second at first.
const STARTING_RATE: f64 = 10.0;

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
        let splits = plan.split_facts().into_iter().map(|split| Fact::Split(Box::new(split)));
        opened.into_iter().chain([adopted]).chain(splits).collect()
    })
    .await?;
    verdict
}

/// Intents for the decisions to submit, at most `most`.
fn intents(
    decisions: Vec<(SliceId, Decision)>,
    ledger: &Ledger,
    plans: &Plans,
    listed: &Listed,
    most: usize,
) -> Vec<(Intended, Submission)> {
    let Some(backfill) = ledger.opened().map(|o| o.uuid) else { return Vec::new() };
    let wanted = decisions.into_iter().filter_map(|(slice, decision)| match decision {
        Decision::Submit(next) => Some((slice, next)),
        _ => None,
    });
    let due = wanted.take(most).filter_map(|(slice, next)| {
        let job = listed.job(&slice, &next, ledger, plans)?;
        intent(backfill, slice, next, plans, &job)
    });
    due.collect()
}

fn intent(
    backfill: Uuid,
    slice: SliceId,
    next: NextTry,
    plans: &Plans,
    job: &PlannedJob,
) -> Option<(Intended, Submission)> {
    let adopted = plans.get(&next.plan)?;
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
        memory_why: next.why.map(|why| why.to_string()),
        queue_why: next.queue_why,
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
    ///
    /// The next batch is written down while the last jobs of this one still wait for their turn, with what became of
    /// those that were sent: a pause for every batch would cost more of the rate than anything else.
    pub(crate) async fn submit_due(&mut self, pace: Pace) -> Result<bool, BookError> {
        let Self { book, queue, source, reporter, rate, .. } = self;
        let clock = book.clock().clone();
        let mut sender = Sender::new(queue.clone(), clock.clone(), reporter.clone(), rate);
        let mut listed = Listed::default();
        loop {
            let most = sender.room(BATCH);
            let due = if Listed::is_needed(book) {
                decide(book.ledger(), book.plans(), pace, clock.now())
            } else {
                Vec::new()
            };
            let listing = listed.list(due, book, source.as_ref(), reporter.as_ref(), most);
            if let Err(error) = sender.send_during(listing).await {
                return Err(give_back(sender, book, error).await?);
            }
            // Counted from before the intents are stored, so that the store's clock never gives less time than ours.
            let send_by = SendBy::starting_now(clock.clone(), queue.bounds().send_within);
            // Where nothing gets through, intent upon intent would only fill the journal: the next step tries again.
            let most = sender.room(BATCH);
            let is_idle = sender.is_idle();
            let now = clock.now();
            let facts = sender.take_facts();
            let mut batch = Vec::new();
            let append = book.append_in_haste(|ledger, plans| {
                batch = intents(decide(ledger, plans, pace, now), ledger, plans, &listed, most);
                if batch.is_empty() && !is_idle {
                    // With the last answers, then.
                    return Vec::new();
                }
                let intended = batch.iter().map(|(intended, _)| Fact::Intended(intended.clone()));
                still_news(ledger, &facts).into_iter().chain(intended).collect()
            });
            let appended = sender.send_during(append).await;
            if let Err(error) = appended {
                sender.put_back(facts);
                return Err(give_back(sender, book, error).await?);
            }
            if batch.is_empty() {
                if is_idle {
                    return sender.end().map_err(BookError::from);
                }
                sender.put_back(facts);
                sender.finish().await;
                continue;
            }
            // A crash from here on is looked up by name, not repeated.
            sender.give(batch, &send_by);
            sender.send_until_left(AHEAD).await;
        }
    }

    /// A rate that begins modestly and is not faster than the service allows.
    pub(crate) fn starting_rate(queue: &dyn Queue) -> Rate {
        Rate::new(STARTING_RATE, queue.bounds().submits_per_second)
    }
}

/// What was intended before an error is sent all the same, and what becomes of it is worth another try. Returns the error.
async fn give_back(
    mut sender: Sender<'_>,
    book: &mut Book,
    error: BookError,
) -> Result<BookError, BookError> {
    sender.finish().await;
    let facts = sender.take_facts();
    book.append(|ledger, _| still_news(ledger, &facts)).await?;
    Ok(error)
}

/// Somebody else may have looked for a job while we waited for its answer: what they found stands.
fn still_news(ledger: &Ledger, facts: &[Fact]) -> Vec<Fact> {
    let is_open = |name: &JobName| ledger.job(name).is_some_and(|(_, t)| t.is_unheard());
    let is_news = |fact: &&Fact| match fact {
        // An answer that comes after all is told even if the job was taken for lost: it exists.
        Fact::Accepted { name, .. } => ledger.job(name).is_some_and(|(_, t)| t.job_id.is_none()),
        // Once is enough: that nobody heard says nothing new the second time.
        Fact::Unknown { name, .. } => ledger.job(name).is_some_and(|(_, t)| t.state == TryState::Intended),
        Fact::Refused { name, .. } | Fact::Withdrawn { name, .. } => is_open(name),
        _ => false,
    };
    facts.iter().filter(is_news).cloned().collect()
}

#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod tests;
