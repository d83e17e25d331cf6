//! The book: the journal, read and folded, and the one way to write to it.

use std::sync::Arc;

use dayfill_core::decide::{AdoptedPlan, Plans};
use dayfill_core::fact::Fact;
use dayfill_core::ledger::{FoldError, Ledger, Stamp};
use dayfill_core::plan::{Plan, PlanDigest, PlanFileError};
use uuid::Uuid;

use crate::ports::{Clock, Created, Journal, PortError, StoredSegment};
use crate::segment::{self, SegmentError};

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The store did not answer as it should.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A segment is newer than this program, or damaged.
    #[error("{source} ({place})")]
    Segment {
        /// Where the journal is.
        place: String,
        /// What is wrong.
        source: SegmentError,
    },
    /// A number is missing.
    #[error("journal segment {missing} is missing, although segment {next} is there ({place})")]
    Gap {
        /// Where the journal is.
        place: String,
        /// The number that is not there.
        missing: u64,
        /// The next that is.
        next: u64,
    },
    /// The facts do not add up.
    #[error("the journal does not add up: {source} ({place})")]
    Fold {
        /// Where the journal is.
        place: String,
        /// What is wrong.
        source: FoldError,
    },
    /// An adopted plan is not there.
    #[error("the adopted plan {} is missing ({place})", digest.short())]
    NoPlan {
        /// Where the journal is.
        place: String,
        /// Which plan.
        digest: PlanDigest,
    },
    /// An adopted plan cannot be read.
    #[error("the adopted plan {} cannot be used: {source} ({place})", digest.short())]
    Plan {
        /// Where the journal is.
        place: String,
        /// Which plan.
        digest: PlanDigest,
        /// What is wrong.
        source: PlanFileError,
    },
    /// Facts that do not serialize.
    #[error("a fact cannot be written")]
    Write(#[source] serde_json::Error),
}

/// The journal, read and folded.
pub struct Book {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    plans: Plans,
    next: u64,
}

impl Book {
    /// Reads the journal whole.
    pub async fn open(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Self, BookError> {
        let mut book = Self { journal, clock, ledger: Ledger::default(), plans: Plans::new(), next: 1 };
        book.refresh().await?;
        Ok(book)
    }

    /// All state, as of the last read or write.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The plans that are still worked off.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The newest adopted plan.
    pub fn newest_plan(&self) -> Option<&AdoptedPlan> {
        self.plans.get(&self.ledger.adopted()?.digest)
    }

    /// Where it is kept.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The clock of this machine.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Reads what others have written since.
    pub async fn refresh(&mut self) -> Result<(), BookError> {
        for stored in self.journal.segments(self.next).await? {
            self.read(stored)?;
        }
        self.load_plans().await
    }

    fn read(&mut self, stored: StoredSegment) -> Result<Uuid, BookError> {
        let place = || self.journal.place();
        if stored.number != self.next {
            return Err(BookError::Gap { place: place(), missing: self.next, next: stored.number });
        }
        let (header, facts) = segment::read(stored.number, &stored.bytes)
            .map_err(|source| BookError::Segment { place: place(), source })?;
        let stamp =
            Stamp { segment: stored.number, written_at: header.written_at, stored_at: stored.stored_at };
        self.fold(facts, stamp)?;
        Ok(header.nonce)
    }

    fn fold(&mut self, facts: Vec<Fact>, stamp: Stamp) -> Result<(), BookError> {
        for fact in facts {
            let folded = self.ledger.apply(fact, stamp);
            folded.map_err(|source| BookError::Fold { place: self.journal.place(), source })?;
        }
        self.next = stamp.segment + 1;
        Ok(())
    }

    /// Appends the facts that `decide` makes of the ledger.
    ///
    /// Where somebody else wrote first, what they wrote is folded and `decide` is asked again: so a decision is never
    /// written upon a ledger other than the one it was made from. No facts, no segment. Returns whether any were
    /// written.
    pub async fn append(
        &mut self,
        mut decide: impl FnMut(&Ledger, &Plans) -> Vec<Fact> + Send,
    ) -> Result<bool, BookError> {
        loop {
            let facts = decide(&self.ledger, &self.plans);
            if facts.is_empty() {
                return Ok(false);
            }
            let nonce = Uuid::new_v4();
            let number = self.next;
            let written_at = self.clock.now();
            let bytes = segment::write(number, nonce, written_at, &facts).map_err(BookError::Write)?;
            if let Created::Stored(stored_at) = self.journal.create(number, &bytes).await? {
                // Read back rather than kept, so that what is in memory is what any reader will see.
                self.read(StoredSegment { number, bytes, stored_at })?;
                self.load_plans().await?;
                return Ok(true);
            }
            let mut own = false;
            for stored in self.journal.segments(number).await? {
                // A write whose answer was lost and that was repeated finds its own segment in the way.
                own |= self.read(stored)? == nonce;
            }
            self.load_plans().await?;
            if own {
                return Ok(true);
            }
        }
    }

    /// Loads the adopted plans that live slices and the newest adoption refer to.
    async fn load_plans(&mut self) -> Result<(), BookError> {
        let unsettled = self.ledger.slices().filter(|(_, r)| r.verdict.is_none());
        let mut wanted: Vec<PlanDigest> =
            unsettled.filter_map(|(_, r)| Some(r.tries.last()?.intended.plan.clone())).collect();
        wanted.extend(self.ledger.adopted().map(|a| a.digest.clone()));
        wanted.sort_unstable();
        wanted.dedup();
        for digest in wanted {
            if !self.plans.contains_key(&digest) {
                let plan = self.load_plan(&digest).await?;
                self.plans.insert(digest, AdoptedPlan::new(plan));
            }
        }
        Ok(())
    }

    async fn load_plan(&self, digest: &PlanDigest) -> Result<Plan, BookError> {
        let place = self.journal.place();
        let Some(bytes) = self.journal.plan(digest.as_str()).await? else {
            return Err(BookError::NoPlan { place, digest: digest.clone() });
        };
        let plan = Plan::from_json(&String::from_utf8_lossy(&bytes));
        // Another plan may be whole in itself, and still is not the one that was adopted.
        let plan = plan.and_then(|p| if p.digest() == *digest { Ok(p) } else { Err(PlanFileError::Edited) });
        plan.map_err(|source| BookError::Plan { place, digest: digest.clone(), source })
    }
}

#[cfg(test)]
mod tests;
