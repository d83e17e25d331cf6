//! What a reporter hears while work goes on. Events are for people; what must not be forgotten is a fact.

use std::time::Duration;

use dayfill_core::fact::LiveStatus;
use dayfill_core::partition::SliceId;

/// Something that a person watching would want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part of the source was listed.
    Listed {
        /// Listings that are done.
        done: u64,
        /// Listings in all, as far as they are known.
        of: u64,
        /// Objects seen so far.
        objects: u64,
    },
    /// A job was accepted.
    Submitted {
        /// Of which slice.
        slice: SliceId,
        /// Which try.
        r#try: u32,
        /// MiB.
        memory_mib: u64,
        /// It was found by its name, after nobody heard what became of it.
        found: bool,
    },
    /// Submissions wait, because Batch is asked too often.
    Throttled {
        /// Submissions a second from now on, rounded up.
        per_second: u64,
    },
    /// A job changed its status.
    Moved {
        /// Of which slice.
        slice: SliceId,
        /// To what.
        status: LiveStatus,
        /// What Batch says about it.
        reason: Option<String>,
    },
    /// A job succeeded.
    Succeeded {
        /// Of which slice.
        slice: SliceId,
        /// How long its last attempt ran.
        ran: Option<Duration>,
    },
    /// A job failed.
    Failed {
        /// Of which slice.
        slice: SliceId,
        /// The class and what comes next, in words.
        what: String,
    },
    /// Something about a slice that is none of the above.
    Note {
        /// Which slice.
        slice: SliceId,
        /// In words.
        what: String,
    },
    /// Something about the backfill as a whole.
    Warning {
        /// In words.
        what: String,
    },
}

/// Who hears events.
pub trait Reporter: Send + Sync {
    /// One event.
    fn hear(&self, event: Event);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn hear(&self, _: Event) {}
}
