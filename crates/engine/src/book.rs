//! The book: the journal, read and folded, and the one way to write to it.

use std::sync::Arc;

use dayfill_core::decide::{AdoptedPlan, Plans};
use dayfill_core::fact::Fact;
use dayfill_core::ledger::{FoldError, Ledger, SliceRecord, Stamp};
use dayfill_core::plan::{Plan, PlanDigest, PlanFileError};
use uuid::Uuid;

use crate::ports::{Clock, Created, ErrorKind, Journal, PortError, StoredSegment};
use crate::segment::{self, Header, SegmentError};
use crate::snapshot::{self, Snapshot};

/// A snapshot is kept once it spares a start so many segments: reading one costs a request, keeping one costs a request
/// with the whole ledger in it.
const EVERY: u64 = 100;

/// How often the journal is listed before a number that is missing counts as missing.
const LOOKS: u32 = 3;

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
    /// The header of the newest segment that was read.
    last: Option<Header>,
    /// The newest segment of which this book has read a snapshot, or tried to keep one.
    kept: u64,
    every: u64,
}

impl Book {
    /// Reads the journal: from its snapshot on, or whole where there is none that fits it.
    pub async fn open(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Self, BookError> {
        Self::open_every(journal, clock, EVERY).await
    }

    /// The same, with a snapshot after so many segments.
    pub(crate) async fn open_every(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        every: u64,
    ) -> Result<Self, BookError> {
        let (ledger, plans) = (Ledger::default(), Plans::new());
        let mut book = Self { journal, clock, ledger, plans, next: 1, last: None, kept: 0, every };
        let stored = match book.resume().await? {
            Some(rest) => rest,
            None => book.segments(1).await?,
        };
        book.read_all(stored).await?;
        Ok(book)
    }

    /// Takes over the snapshot, if there is one and the journal has its last segment, and returns the segments after
    /// that one. A snapshot that cannot be used is as good as none: the segments tell all that it could.
    async fn resume(&mut self) -> Result<Option<Vec<StoredSegment>>, BookError> {
        let kept = self.journal.snapshot().await.or_else(|e| match e.kind {
            // Then neither are the segments to be had.
            ErrorKind::Unreachable | ErrorKind::Credentials | ErrorKind::Throttled => Err(e),
            _ => Ok(None),
        })?;
        let Some(Snapshot { last, ledger }) = kept.and_then(|bytes| snapshot::read(&bytes)) else {
            return Ok(None);
        };
        let mut stored = self.segments(last.segment).await?;
        let fits = |s: &StoredSegment| {
            s.number == last.segment && segment::read(s.number, &s.bytes).is_ok_and(|(h, _)| h == last)
        };
        if !stored.first().is_some_and(fits) {
            return Ok(None);
        }
        stored.remove(0);
        self.ledger = ledger;
        self.next = last.segment + 1;
        self.kept = last.segment;
        self.last = Some(last);
        Ok(Some(stored))
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
        let stored = self.segments(self.next).await?;
        self.read_all(stored).await
    }

    /// The segments from this number on. A listing of a folder is not of one moment: of two files that come while it is
    /// read it may have the later and not the earlier. What is missing for good is still missing at the next look.
    async fn segments(&self, from: u64) -> Result<Vec<StoredSegment>, PortError> {
        let mut stored = self.journal.segments(from).await?;
        for _ in 1..LOOKS {
            if stored.iter().map(|s| s.number).eq((from..).take(stored.len())) {
                break;
            }
            stored = self.journal.segments(from).await?;
        }
        Ok(stored)
    }

    async fn read_all(&mut self, stored: Vec<StoredSegment>) -> Result<(), BookError> {
        for one in stored {
            self.read(one)?;
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
        let nonce = header.nonce;
        self.last = Some(header);
        Ok(nonce)
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
        decide: impl FnMut(&Ledger, &Plans) -> Vec<Fact> + Send,
    ) -> Result<bool, BookError> {
        let written = self.append_in_haste(decide).await?;
        if written {
            self.keep_snapshot().await;
        }
        Ok(written)
    }

    /// The same for facts that have to be acted upon soon: a snapshot that is due is left to the next append.
    pub(crate) async fn append_in_haste(
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
            for stored in self.segments(number).await? {
                // A write whose answer was lost and that was repeated finds its own segment in the way.
                own |= self.read(stored)? == nonce;
            }
            self.load_plans().await?;
            if own {
                return Ok(true);
            }
        }
    }

    /// Keeps a snapshot if one is due. The segments are the truth, so it is no matter whether that succeeds, and it is
    /// not tried again before the next is due: a store that refuses would be asked at every append.
    async fn keep_snapshot(&mut self) {
        let Some(last) = self.last.as_ref().filter(|l| l.segment >= self.kept + self.every) else { return };
        self.kept = last.segment;
        if let Ok(bytes) = snapshot::write(last, &self.ledger) {
            let _ = self.journal.keep_snapshot(&bytes).await;
        }
    }

    /// Loads the adopted plans that live slices and the newest adoption refer to.
    async fn load_plans(&mut self) -> Result<(), BookError> {
        let is_open = |r: &SliceRecord| r.divided.is_none() || r.live().next().is_some();
        let unsettled = self.ledger.slices().filter(|(_, r)| r.verdict.is_none() && is_open(r));
        let plan_of = |r: &SliceRecord| match r.tries.last() {
            Some(t) => Some(t.intended.plan.clone()),
            // A part that is not begun yet.
            None => r.part.as_ref().map(|(plan, _)| plan.clone()),
        };
        let mut wanted: Vec<PlanDigest> = unsettled.filter_map(|(_, r)| plan_of(r)).collect();
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
