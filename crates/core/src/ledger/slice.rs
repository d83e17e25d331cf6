//! What is known of one slice.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::fact::{Ended, Intended, LiveStatus, Mark, Outcome};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::measure::Fingerprint;
use crate::plan::{PlanDigest, PlannedJob};
use crate::split::Cut;

/// One job of a slice, from its intent to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// What was intended.
    pub intended: Intended,
    /// When the intent was stored.
    pub intent: Stamp,
    /// Where it stands.
    pub state: TryState,
    /// When that changed last.
    pub changed: Stamp,
    /// Batch's id, once it is known.
    pub job_id: Option<String>,
    /// The id was found by a search for the name.
    pub found: bool,
    /// What Batch says about a job that waits.
    pub reason: Option<String>,
    /// Since when Batch has given that kind of reason, or it has its status.
    pub waits_since: Stamp,
    /// How many of its attempts ended with their host.
    pub reclaims: u32,
    /// It was seen running at some time; a retried attempt waits again afterwards.
    pub seen_running: bool,
    /// Milliseconds that it was seen running before it came to wait again. Its end tells it exactly.
    pub ran_before_ms: u64,
    /// Why Batch was asked to end it, if it was.
    pub ending: Option<String>,
    /// The queue that its slice goes to instead, where it is ended for that.
    pub moves_to: Option<String>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// Where a try stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TryState {
    /// Written down, not known to be sent.
    Intended,
    /// Sent, and nobody heard what became of it.
    Unknown(String),
    /// Batch said no.
    Refused(String),
    /// Its writer did not send it.
    Withdrawn(String),
    /// It did not appear until it could no longer.
    NeverArrived,
    /// Batch has it.
    Live(LiveStatus),
    /// It came to its end.
    Ended(Outcome),
    /// It vanished.
    Lost,
}

impl Try {
    pub(super) fn new(intended: Intended, stamp: Stamp) -> Self {
        Self {
            intended,
            intent: stamp,
            state: TryState::Intended,
            changed: stamp,
            job_id: None,
            found: false,
            reason: None,
            waits_since: stamp,
            reclaims: 0,
            seen_running: false,
            ran_before_ms: 0,
            ending: None,
            moves_to: None,
            ended: None,
        }
    }

    /// It may still run: nothing may be submitted beside it.
    pub fn is_live(&self) -> bool {
        matches!(self.state, TryState::Intended | TryState::Unknown(_) | TryState::Live(_))
    }

    /// Batch is not known to have it, nor known not to.
    pub fn is_unheard(&self) -> bool {
        matches!(self.state, TryState::Intended | TryState::Unknown(_))
    }

    /// It came to nothing: Batch never had it.
    pub fn is_unsent(&self) -> bool {
        matches!(self.state, TryState::Refused(_) | TryState::Withdrawn(_) | TryState::NeverArrived)
    }

    /// Its container began to run at some time.
    pub fn has_started(&self) -> bool {
        self.seen_running
            || self.state == TryState::Ended(Outcome::Succeeded)
            || self.ended.as_ref().is_some_and(|e| e.started_at.is_some())
    }

    /// It ended because Batch was asked to end it, so its end says nothing about the slice.
    pub fn was_ended_by_us(&self) -> bool {
        self.ending.is_some() && self.state == TryState::Ended(Outcome::Failed(FailureClass::Ended))
    }

    /// It has waited for a host since then.
    pub fn waits_for_host(&self) -> Option<Stamp> {
        (self.state == TryState::Live(LiveStatus::Runnable)).then_some(self.waits_since)
    }

    /// Batch says that it waits for something that will not come by itself.
    pub fn is_misplaced(&self) -> bool {
        self.waits_for_host().is_some() && self.wait_kind().is_some_and(will_not_come)
    }

    /// What kind of reason Batch gives for its waiting.
    pub fn wait_kind(&self) -> Option<&str> {
        wait_kind(self.reason.as_deref())
    }

    /// The class of its failure, if it failed.
    pub fn failure(&self) -> Option<FailureClass> {
        match self.state {
            TryState::Ended(Outcome::Failed(class)) => Some(class),
            TryState::Lost => Some(FailureClass::Lost),
            _ => None,
        }
    }
}

/// `CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - some words` → what stands before the words, which may name other instances
/// at every look.
pub(super) fn wait_kind(reason: Option<&str>) -> Option<&str> {
    reason.and_then(|r| r.split(" - ").next()).map(str::trim)
}

/// `ACTION_REQUIRED` is what Batch says where the compute environments themselves are invalid.
fn will_not_come(kind: &str) -> bool {
    kind.starts_with("MISCONFIGURATION:") || kind.starts_with("ACTION_REQUIRED")
}

/// The last time a slice was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Which load it was.
    pub load: u32,
    /// What was loaded; none where a person marked it.
    pub fingerprint: Option<Fingerprint>,
    /// The job that did it; none where a person marked it.
    pub by: Option<JobName>,
    /// When, on the store's clock.
    pub at: DateTime<Utc>,
}

/// What a slice has come to, until it is intended anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Loaded.
    Done {
        /// Since when.
        stamp: Stamp,
        /// A person's reason, where a person said so.
        marked: Option<String>,
    },
    /// No more tries.
    GaveUp {
        /// Class of the last failure.
        class: FailureClass,
        /// In words.
        why: String,
        /// Since when.
        stamp: Stamp,
    },
    /// A person has to say what is to be done.
    NeedsPerson {
        /// In words.
        why: String,
        /// Since when.
        stamp: Stamp,
    },
    /// A person said that it is not loaded.
    MarkedFailed {
        /// In the person's words.
        reason: String,
        /// Since when.
        stamp: Stamp,
    },
    /// A person no longer wanted it.
    Cancelled {
        /// In the person's words.
        reason: String,
        /// Since when.
        stamp: Stamp,
    },
}

impl Verdict {
    /// Since when it holds.
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Done { stamp, .. }
            | Self::GaveUp { stamp, .. }
            | Self::NeedsPerson { stamp, .. }
            | Self::MarkedFailed { stamp, .. }
            | Self::Cancelled { stamp, .. } => *stamp,
        }
    }
}

/// That a slice was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divided {
    /// Where.
    pub cut: Cut,
    /// Why, in words.
    pub why: String,
    /// Since when.
    pub stamp: Stamp,
}

/// What is known of one slice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SliceRecord {
    /// All tries of all loads, oldest first.
    pub tries: Vec<Try>,
    /// What it has come to.
    pub verdict: Option<Verdict>,
    /// When it was last loaded.
    pub loaded: Option<Loaded>,
    /// A person no longer wants it; its jobs are being ended.
    pub cancelled: Option<String>,
    /// How often two jobs of one load were seen.
    pub doubled: u32,
    /// Two jobs of one load exist, and no `Doubled` says so yet.
    pub doubling: bool,
    /// It was cut: its parts stand for it, whatever became of itself.
    pub divided: Option<Divided>,
    /// Why it cannot be cut, where that was tried.
    pub undivided: Option<String>,
    /// The job that its cut from a larger slice asks for, and the plan that it is for.
    pub part: Option<(PlanDigest, PlannedJob)>,
}

/// Where a slice stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Never loaded, and nothing of it is with Batch.
    New,
    /// Intended, sent, or between two tries.
    Waiting,
    /// A job of it runs.
    Running,
    /// Loaded.
    Done,
    /// Given up, cancelled, or marked as failed.
    Failed,
    /// A person is needed.
    NeedsPerson,
}

impl SliceRecord {
    /// The tries that may still run.
    pub fn live(&self) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(|t| t.is_live())
    }

    /// The number that the next load has: one more than the last that succeeded. A part goes on counting where the slice
    /// that it was cut from stood.
    pub fn next_load(&self) -> u32 {
        let first = self.part.as_ref().map_or(1, |(_, job)| job.load);
        self.loaded.as_ref().map_or(first, |l| (l.load + 1).max(first))
    }

    /// It was not tried, nothing was said of it, and it was not cut.
    pub fn is_untouched(&self) -> bool {
        self.tries.is_empty() && self.verdict.is_none() && self.divided.is_none()
    }

    /// The number that the next try of this load has.
    pub fn next_try(&self, load: u32) -> u32 {
        self.tries.iter().filter(|t| t.intended.load == load).count() as u32 + 1
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        let running = |t: &Try| matches!(t.state, TryState::Live(LiveStatus::Running | LiveStatus::Starting));
        match &self.verdict {
            Some(Verdict::Done { .. }) => Standing::Done,
            Some(Verdict::NeedsPerson { .. }) => Standing::NeedsPerson,
            Some(_) => Standing::Failed,
            None if self.live().any(running) => Standing::Running,
            None if self.live().next().is_some() => Standing::Waiting,
            // What was cut is under way, if its parts are not begun yet.
            None if self.tries.is_empty() && self.part.is_some() => Standing::Waiting,
            None if self.tries.last().is_none_or(Try::is_unsent) => Standing::New,
            None => Standing::Waiting,
        }
    }

    pub(super) fn mark(&mut self, mark: Mark, reason: String, stamp: Stamp) {
        self.verdict = Some(match mark {
            Mark::Done => {
                let (load, at) = (self.next_load(), stamp.stored_at);
                self.loaded = Some(Loaded { load, fingerprint: None, by: None, at });
                Verdict::Done { stamp, marked: Some(reason) }
            }
            Mark::Failed => Verdict::MarkedFailed { reason, stamp },
        });
    }

    /// A cancellation holds once nothing of the slice can run any more, unless it came too late: what is loaded
    /// stays loaded.
    pub(super) fn settle_cancelled(&mut self, stamp: Stamp) {
        if self.live().next().is_none()
            && !matches!(self.verdict, Some(Verdict::Done { .. }))
            && let Some(reason) = &self.cancelled
        {
            self.verdict = Some(Verdict::Cancelled { reason: reason.clone(), stamp });
        }
    }

    /// The try at `index` was accepted: notes whether it is a second job of its load.
    ///
    /// A job that was taken for never arrived lies beside every later one, even one that has ended since.
    pub(super) fn note_doubling(&mut self, index: usize, came_late: bool) {
        let Some(this) = self.tries.get(index) else { return };
        let load = this.intended.load;
        self.doubling |= self.tries.iter().enumerate().any(|(at, t)| {
            let runs = t.is_live() || t.state == TryState::Ended(Outcome::Succeeded);
            at != index
                && t.intended.load == load
                && t.job_id.is_some()
                && (runs || (came_late && at > index))
        });
    }
}
