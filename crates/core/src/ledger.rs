//! The ledger: a fold over the facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fact::{Ended, Fact, Identity, Intended, LiveStatus, Outcome};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::partition::{PartitionId, SliceId};
use crate::plan::PlanDigest;

use self::slice::wait_kind;

mod experience;
mod kept;
mod parts;
mod runs;
mod slice;

pub use kept::FOLD_VERSION;
pub use slice::{Divided, Loaded, SliceRecord, Standing, Try, TryState, Verdict};

/// Where and when a fact was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Number of the segment.
    pub segment: u64,
    /// The writer's clock.
    pub written_at: DateTime<Utc>,
    /// The store's clock.
    pub stored_at: DateTime<Utc>,
}

/// A plan that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Which plan.
    pub digest: PlanDigest,
    /// `name:revision` that its jobs run.
    pub definition: String,
    /// When.
    pub stamp: Stamp,
}

/// Why nothing more is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// In words.
    pub why: String,
    /// When.
    pub stamp: Stamp,
}

/// The facts do not add up: the journal was edited by hand, or written by something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The first fact is not `Opened`.
    #[error("segment {0} comes before the journal was opened")]
    NotOpened(u64),
    /// A second `Opened`.
    #[error("segment {0} opens the journal a second time")]
    OpenedTwice(u64),
    /// A fact about a job that was never intended.
    #[error("segment {segment} speaks of job {name}, which was never intended")]
    UnknownJob {
        /// Number of the segment.
        segment: u64,
        /// The job's name.
        name: JobName,
    },
    /// A job was intended twice.
    #[error("segment {segment} intends job {name} a second time")]
    IntendedTwice {
        /// Number of the segment.
        segment: u64,
        /// The job's name.
        name: JobName,
    },
}

/// Who the backfill is, from its first fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Distinguishes this backfill from any other of its name.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// What can never change about it.
    pub identity: Identity,
}

/// All state of a backfill. A change to it, or to what the fold makes of a fact, raises [`FOLD_VERSION`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "kept::Kept")]
pub struct Ledger {
    opened: Option<Opened>,
    adoptions: Vec<Adoption>,
    slices: BTreeMap<SliceId, SliceRecord>,
    #[serde(skip_serializing)]
    names: HashMap<JobName, (SliceId, usize)>,
    stop: Option<Stop>,
    facts: u64,
    last: Option<Stamp>,
}

impl Ledger {
    /// Who the backfill is; none before its first plan was submitted.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// The newest adopted plan.
    pub fn adopted(&self) -> Option<&Adoption> {
        self.adoptions.last()
    }

    /// The adoption of this plan.
    pub fn adoption(&self, digest: &PlanDigest) -> Option<&Adoption> {
        self.adoptions.iter().rfind(|a| a.digest == *digest)
    }

    /// Where a slice stands; one that was cut, where its parts do. Where nothing more is submitted, a slice between two
    /// tries has failed: no try follows until a plan takes it up anew.
    pub fn standing(&self, id: &SliceId) -> Standing {
        let Some(record) = self.slice(id) else { return Standing::New };
        if record.divided.is_some() {
            return self.standing_of_parts(id);
        }
        match record.standing() {
            Standing::Waiting if self.stopped().is_some() && record.live().next().is_none() => {
                Standing::Failed
            }
            standing => standing,
        }
    }

    /// What is known of a slice.
    pub fn slice(&self, id: &SliceId) -> Option<&SliceRecord> {
        self.slices.get(id)
    }

    /// Every slice of which something is known, in order.
    pub fn slices(&self) -> impl Iterator<Item = (&SliceId, &SliceRecord)> {
        self.slices.iter()
    }

    /// The try of this name.
    pub fn job(&self, name: &JobName) -> Option<(&SliceId, &Try)> {
        let (slice, index) = self.names.get(name)?;
        Some((slice, self.slices.get(slice)?.tries.get(*index)?))
    }

    /// Every try that has not come to an end, in order of slice.
    pub fn live(&self) -> impl Iterator<Item = (&SliceId, &Try)> {
        self.slices.iter().flat_map(|(id, r)| r.live().map(move |t| (id, t)))
    }

    /// Why nothing more is submitted; an adoption after it lifts it.
    pub fn stopped(&self) -> Option<&Stop> {
        let adopted = self.adopted().map_or(0, |a| a.stamp.segment);
        self.stop.as_ref().filter(|s| s.stamp.segment >= adopted)
    }

    /// How many facts were folded.
    pub fn facts(&self) -> u64 {
        self.facts
    }

    /// Where the newest fact stands.
    pub fn last(&self) -> Option<Stamp> {
        self.last
    }

    /// Adds a fact. Facts come in the order of the journal.
    pub fn apply(&mut self, fact: Fact, stamp: Stamp) -> Result<(), FoldError> {
        if self.opened.is_none() && !matches!(fact, Fact::Opened { .. }) {
            return Err(FoldError::NotOpened(stamp.segment));
        }
        self.facts += 1;
        self.last = Some(stamp);
        match fact {
            Fact::Opened { uuid, name, identity } => {
                if self.opened.is_some() {
                    return Err(FoldError::OpenedTwice(stamp.segment));
                }
                self.opened = Some(Opened { uuid, name, identity });
            }
            Fact::Adopted { digest, definition, .. } => {
                self.adoptions.push(Adoption { digest, definition, stamp });
            }
            Fact::Intended(intended) => self.intend(intended, stamp)?,
            Fact::Accepted { name, job_id, found } => self.accept(&name, job_id, found, stamp)?,
            Fact::Refused { name, why } => self.set(&name, stamp, TryState::Refused(why))?,
            Fact::Unknown { name, why } => self.set(&name, stamp, TryState::Unknown(why))?,
            Fact::Withdrawn { name, why } => self.set(&name, stamp, TryState::Withdrawn(why))?,
            Fact::NeverArrived { name } => self.set(&name, stamp, TryState::NeverArrived)?,
            Fact::Seen { name, status, reason, reclaims } => {
                let t = self.job_mut(&name, stamp)?;
                if t.wait_kind() != wait_kind(reason.as_deref()) {
                    t.waits_since = stamp;
                }
                t.reason = reason;
                // It runs again, on another host than when it was last looked at.
                let began_anew = status == LiveStatus::Running && reclaims > t.reclaims;
                // A stale answer gives no host back.
                t.reclaims = t.reclaims.max(reclaims);
                t.seen_running |= status == LiveStatus::Running;
                if t.state != TryState::Live(status) || began_anew {
                    t.note_run(stamp);
                    t.state = TryState::Live(status);
                    t.changed = stamp;
                    t.waits_since = stamp;
                }
            }
            Fact::Ending { name, why, moves_to } => {
                let t = self.job_mut(&name, stamp)?;
                t.ending = Some(why);
                t.moves_to = moves_to;
            }
            Fact::Ended(ended) => self.end(*ended, stamp)?,
            Fact::Lost { name } => self.set(&name, stamp, TryState::Lost)?,
            Fact::Doubled { slice, .. } => {
                let record = self.record(slice);
                record.doubled += 1;
                record.doubling = false;
            }
            Fact::Split(split) => self.divide(*split, stamp),
            Fact::NotSplit { slice, why } => self.record(slice).undivided = Some(why),
            Fact::GaveUp { slice, class, why } => {
                self.record(slice).verdict = Some(Verdict::GaveUp { class, why, stamp });
            }
            Fact::AskedPerson { slice, why } => {
                self.record(slice).verdict = Some(Verdict::NeedsPerson { why, stamp });
            }
            Fact::Marked { slice, mark, reason } => {
                for slice in self.parts(&slice) {
                    self.record(slice).mark(mark, reason.clone(), stamp);
                }
            }
            Fact::Cancelled { slice, reason } => {
                let record = self.record(slice);
                record.cancelled = Some(reason);
                record.settle_cancelled(stamp);
            }
            Fact::Stopped { why } => self.stop = Some(Stop { why, stamp }),
        }
        Ok(())
    }

    fn record(&mut self, slice: SliceId) -> &mut SliceRecord {
        self.slices.entry(slice).or_default()
    }

    fn intend(&mut self, intended: Intended, stamp: Stamp) -> Result<(), FoldError> {
        let name = intended.name.clone();
        let slice = intended.slice.clone();
        let record = self.record(slice.clone());
        // Another plan, and another load, may be of other objects, and of a job that can be cut.
        let last = record.tries.last().map(|t| (&t.intended.plan, t.intended.load));
        if last != Some((&intended.plan, intended.load)) {
            record.undivided = None;
        }
        // A new try is the answer to whatever verdict stood before it.
        record.verdict = None;
        record.cancelled = None;
        let index = record.tries.len();
        record.tries.push(Try::new(intended, stamp));
        if self.names.insert(name.clone(), (slice, index)).is_some() {
            return Err(FoldError::IntendedTwice { segment: stamp.segment, name });
        }
        Ok(())
    }

    fn accept(&mut self, name: &JobName, job_id: String, found: bool, stamp: Stamp) -> Result<(), FoldError> {
        let t = self.job_mut(name, stamp)?;
        let came_late = t.state == TryState::NeverArrived;
        t.job_id = Some(job_id);
        t.found = found;
        t.state = TryState::Live(LiveStatus::Submitted);
        t.changed = stamp;
        if let Some((slice, index)) = self.names.get(name).cloned() {
            self.record(slice).note_doubling(index, came_late);
        }
        Ok(())
    }

    fn end(&mut self, ended: Ended, stamp: Stamp) -> Result<(), FoldError> {
        let name = ended.name.clone();
        let outcome = ended.outcome;
        let t = self.job_mut(&name, stamp)?;
        t.state = TryState::Ended(outcome);
        t.changed = stamp;
        t.reclaims = t.reclaims.max(ended.reclaims);
        t.ended = Some(ended);
        let (load, fingerprint) = (t.intended.load, t.intended.fingerprint);
        let Some((slice, _)) = self.names.get(&name).cloned() else { return Ok(()) };
        let record = self.record(slice);
        match outcome {
            // Success wins over whatever was decided meanwhile, a cancellation included.
            Outcome::Succeeded => {
                record.loaded = Some(Loaded {
                    // A person may have counted this load, or another after it, as done already.
                    load: load.max(record.next_load() - 1),
                    fingerprint: Some(fingerprint),
                    by: Some(name),
                    at: stamp.stored_at,
                });
                // Where two jobs of one load have started, a success answers nothing that a person was asked.
                let asked = record.doubled > 0 && matches!(record.verdict, Some(Verdict::NeedsPerson { .. }));
                if !asked {
                    record.verdict = Some(Verdict::Done { stamp, marked: None });
                }
            }
            Outcome::Failed(_) => record.settle_cancelled(stamp),
        }
        Ok(())
    }

    fn set(&mut self, name: &JobName, stamp: Stamp, state: TryState) -> Result<(), FoldError> {
        let t = self.job_mut(name, stamp)?;
        t.state = state;
        t.changed = stamp;
        if let Some((slice, _)) = self.names.get(name).cloned() {
            self.record(slice).settle_cancelled(stamp);
        }
        Ok(())
    }

    fn job_mut(&mut self, name: &JobName, stamp: Stamp) -> Result<&mut Try, FoldError> {
        self.names
            .get(name)
            .and_then(|(slice, index)| self.slices.get_mut(slice)?.tries.get_mut(*index))
            .ok_or_else(|| FoldError::UnknownJob { segment: stamp.segment, name: name.clone() })
    }

    /// Days of which a slice was given up since the newest plan was adopted, for the circuit breaker.
    pub fn given_up_since_adoption(&self) -> BTreeSet<&PartitionId> {
        let adopted = self.adopted().map_or(0, |a| a.stamp.segment);
        let given_up = |r: &SliceRecord| matches!(&r.verdict, Some(Verdict::GaveUp { stamp, .. }) if stamp.segment > adopted);
        self.slices.iter().filter(|(_, r)| given_up(r)).map(|(id, _)| id.partition()).collect()
    }

    /// The class of every failed try, for tables.
    pub fn failures(&self) -> impl Iterator<Item = (&SliceId, &Try, FailureClass)> {
        self.slices.iter().flat_map(|(id, r)| r.tries.iter().filter_map(move |t| Some((id, t, t.failure()?))))
    }
}

#[cfg(test)]
mod tests;
