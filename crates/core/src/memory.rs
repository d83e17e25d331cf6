//! How much memory a job asks for: a policy that learns from the finished jobs of a backfill.
//!
//! Batch gives a job a fixed amount, kills it for more, and wastes what it does not use. So each [`Observation`] of a
//! finished job goes into a [`Model`]:
//!
//! 1. Three candidates say what a job will need: *flat* nothing, *line* `a + b·bytes` by least squares, *objects*
//!    `a + c·objects` likewise; one whose slope is negative is dropped.
//! 2. Slack is added: a quantile of what the candidate was short of at the finished jobs, below ten jobs the most.
//! 3. Every candidate with every slack is replayed over the finished jobs and pays for memory × hours, failures and
//!    starting again included. The cheapest sizes the next job.
//! 4. The request is no less than the smallest peak seen, is what the [`Platform`] sells, and at most `memory.max`.
//!    Fewer than three finished jobs teach nothing: `memory.start`.
//! 5. After a kill the next request is more, or a split where memory follows the input, or an end: [`Next`].
//!
//! **Where no peak is known** (Batch tells none) a success is an upper bound and a kill a lower one. With fewer than
//! three peaks an upper bound counts as what the job needed, without headroom, since that much is known to suffice:
//! such a model follows what has succeeded and never goes below it. With three or more an upper bound counts only
//! where it contradicts them, being less than the candidate says. A lower bound counts as a fifth more, the least that
//! is worth a try, and beside three peaks only where it says more than the candidate does. [`Why`] tells how many
//! bounds there were.
//!
//! **Where this differs from the policy as it was first written down**: requests have a headroom of 2 % and a tenth
//! divided by the number of jobs, not always 5 %, which wastes less on every trace at hand (`just bench-memory`). A
//! slice that was killed is learned from before it has succeeded, which makes for fewer kills. A split is into as many
//! parts as fit with slack and headroom, and also where memory follows objects.
//!
//! All of it is pure and deterministic. Ten thousand jobs are learned from anew in milliseconds
//! (`just bench-memory`), so nothing is kept between two fits.

mod candidate;
mod model;
mod observation;
mod pilots;
mod platform;
mod replay;
#[cfg(test)]
mod tests;
mod why;

pub use model::{Model, Next, Request};
pub use observation::{Observation, Peak, is_believable};
pub use pilots::pilots;
pub use platform::Platform;
pub(crate) use platform::fargate_pairs;
pub use why::{Limit, Rule, Slack, Why};

use crate::spec::MemoryBounds;

/// The request after a job that asked for `failed_mib` was killed for its memory, where nothing is learned: twice as
/// much, up to the cap; nothing where the cap itself was not enough, since the same shape would only die again.
pub fn after_oom(failed_mib: u64, bounds: MemoryBounds) -> Option<u64> {
    (failed_mib < bounds.max_mib).then(|| failed_mib.saturating_mul(2).min(bounds.max_mib))
}
