//! What was learned from the finished jobs, and what it means for the next.

use serde::{Deserialize, Serialize};

use super::candidate::{ENOUGH, Known, headroom, smallest};
use super::observation::Observation;
use super::platform::Platform;
use super::replay::{Winner, cheapest};
use super::why::{Limit, Rule, Why};
use crate::spec::MemoryBounds;

/// What was learned is asked for after a kill where it is more than so much of what failed; else twice that.
const WORTH_A_TRY: f64 = 1.1;
/// No slice is split into more parts at once: what was learned may be wrong, and a part can be split again.
const MOST_PARTS: f64 = 1000.0;

/// How much memory a job is to ask for, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// MiB, an amount that the platform sells.
    pub mib: u64,
    /// Why.
    pub why: Why,
}

/// What follows a kill for memory. Never the same shape again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "a kill that leads to nothing is a slice that never loads"]
pub enum Next {
    /// The same slice with more memory.
    Memory(Request),
    /// The slice in at least two parts, since memory follows its input, or nobody knows yet that it does not.
    Split {
        /// How many.
        parts: u32,
        /// What memory follows, and the parts are to have less of; flat where nothing is known of that.
        rule: Rule,
        /// Why.
        why: Why,
    },
    /// Nothing: more cannot be had, and a split is not known to help.
    GiveUp {
        /// Why.
        why: Why,
    },
}

/// What the finished jobs of one backfill teach.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    winner: Option<Winner>,
    jobs: usize,
    bounds: usize,
    /// The least that any of them needed, MiB.
    smallest: f64,
    /// They differ in bytes or objects by enough to say whether memory follows either.
    is_spread: bool,
}

impl Model {
    /// Learns from the finished jobs, in whatever order they come.
    pub fn fit(observations: &[Observation]) -> Self {
        let headroom = headroom(observations.len());
        let mut known: Vec<Known> = observations.iter().map(|o| Known::of(o, headroom)).collect();
        // A sum of floating point numbers depends on their order, and a close race on the sum.
        known.sort_unstable_by(Known::in_order);
        let smallest = smallest(&known);
        let bounds = known.iter().filter(|k| !k.is_exact()).count();
        let winner = if known.len() < ENOUGH { None } else { cheapest(&known, smallest, headroom) };
        Self { winner, jobs: known.len(), bounds, smallest, is_spread: is_spread(observations) }
    }

    /// What memory follows; none where too few jobs have finished.
    pub fn rule(&self) -> Option<Rule> {
        self.winner.map(|w| w.candidate.rule)
    }

    /// What a job with this input is to ask for.
    pub fn request(&self, bytes: u64, objects: u64, bounds: MemoryBounds, platform: Platform) -> Request {
        let cap = cap(bounds, platform);
        let Some(winner) = self.winner else {
            let mib = match platform {
                // A person wrote it, and EC2 has it.
                Platform::Ec2 => bounds.start_mib,
                Platform::Fargate { .. } => platform.round_up(bounds.start_mib).unwrap_or(cap),
            };
            return Request { mib: mib.min(cap), why: Why::Start };
        };
        let said = winner.first(bytes as f64, objects as f64);
        let wanted = said.max(self.smallest);
        let mib = platform.round_up(whole(wanted)).unwrap_or(u64::MAX);
        let limit = match () {
            () if mib > cap => Some(Limit::Max(cap)),
            () if wanted > said => Some(Limit::SmallestPeak(whole(self.smallest))),
            () => None,
        };
        Request { mib: mib.min(cap), why: self.why(&winner, limit) }
    }

    /// What follows a kill at `failed_mib`: more memory, strictly, up to the cap; past it a split where memory
    /// follows the input; else the end.
    pub fn after_oom(
        &self,
        failed_mib: u64,
        bytes: u64,
        objects: u64,
        bounds: MemoryBounds,
        platform: Platform,
    ) -> Next {
        let cap = cap(bounds, platform);
        let killed_mib = failed_mib;
        if failed_mib >= cap {
            return self.past_the_cap(failed_mib, bytes, objects, cap);
        }
        let learned = self.winner.and_then(|winner| {
            let second = winner.second(bytes as f64, objects as f64);
            let rule = winner.candidate.rule;
            let why = Why::Covers { rule, killed_mib, jobs: self.jobs };
            (second > WORTH_A_TRY * failed_mib as f64).then_some((whole(second), why))
        });
        let doubled = || (failed_mib.saturating_mul(2), Why::Doubled { killed_mib });
        let (mib, why) = learned.unwrap_or_else(doubled);
        let mib = platform.round_up(mib).unwrap_or(cap).min(cap);
        Next::Memory(Request { mib, why })
    }

    fn past_the_cap(&self, killed_mib: u64, bytes: u64, objects: u64, cap: u64) -> Next {
        let tells = |winner: &Winner| winner.candidate.rule != Rule::Flat || self.is_spread;
        let Some(winner) = self.winner.filter(tells) else {
            // It may help, and the parts will tell.
            return Next::Split { parts: 2, rule: Rule::Flat, why: Why::Halves { killed_mib } };
        };
        let rule = winner.candidate.rule;
        let give_up = Next::GiveUp { why: Why::NoMore { killed_mib, rule } };
        if rule == Rule::Flat {
            return give_up;
        }
        let base = winner.first(0.0, 0.0);
        let follows = winner.first(bytes as f64, objects as f64) - base;
        let room = cap as f64 - base;
        if room <= 0.0 {
            return give_up;
        }
        let parts = (follows / room).ceil().clamp(2.0, MOST_PARTS) as u32;
        Next::Split { parts, rule, why: Why::Parts { rule, killed_mib } }
    }

    fn why(&self, winner: &Winner, limit: Option<Limit>) -> Why {
        let rule = winner.candidate.rule;
        let unit = if rule == Rule::Line { f64::from(1 << 30) } else { 1.0 };
        Why::Learned {
            rule,
            base_mib: winner.headroom * (winner.candidate.a + winner.k),
            slope_mib: winner.headroom * winner.candidate.b * unit,
            slack: winner.slack,
            jobs: self.jobs,
            bounds: self.bounds,
            limit,
        }
    }
}

/// Whether the largest has at least a quarter more bytes, or objects, than the smallest: of jobs that are all alike nobody
/// can say that memory does not follow their input.
fn is_spread(observations: &[Observation]) -> bool {
    let spread = |of: fn(&Observation) -> u64| {
        let (least, most) = (observations.iter().map(of).min(), observations.iter().map(of).max());
        least.zip(most).is_some_and(|(least, most)| most as f64 >= 1.25 * least as f64 && most > least)
    };
    spread(|o| o.bytes) || spread(|o| o.objects)
}

/// The most that a job may ask for: `memory.max`, or the most that is sold below it. Where nothing is, the maximum
/// itself: what cannot be had is refused by Batch with its own words.
fn cap(bounds: MemoryBounds, platform: Platform) -> u64 {
    platform.round_down(bounds.max_mib).unwrap_or(bounds.max_mib)
}

/// Whole MiB, no less.
fn whole(mib: f64) -> u64 {
    mib.max(1.0).ceil() as u64
}
