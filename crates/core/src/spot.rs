//! Hosts that are taken away: how often, what that costs, how long a job should run under it, and whether a deadline can be
//! kept.
//!
//! All of it is estimated from the journal of the backfill itself, each time anew:
//!
//! - **λ**, the reclaims per hour of a queue, is the attempts that ended with their host over the hours that attempts ran
//!   there ([`Exposure`]): the maximum-likelihood estimate where reclaims come at a constant rate.
//! - **s**, what it costs to start once more, is the lower quartile of the time from a job's intent to its start
//!   ([`Experience`]).
//! - The best length of a job is **√(2s/λ)** ([`best_length`]). Cutting work into jobs is checkpointing it: a further cut
//!   costs s, a reclaim costs what the job had done, on average half its length. So it is the checkpoint interval of J. W.
//!   Young, *A first order approximation to the optimum checkpoint interval*, Communications of the ACM 17(9), 1974, pp.
//!   530–531, in the first order; J. T. Daly, *A higher order estimate of the optimum checkpoint interval for restart dumps*,
//!   Future Generation Computer Systems 22(3), 2006, pp. 303–312, gives the next terms, which matter only where a job is
//!   taken more often than not.
//! - A job of length w, begun anew after each reclaim, takes **s·e^λw + (e^λw − 1)/λ** in expectation ([`expected`]).

mod experience;
mod length;
mod outlook;

pub use experience::{Experience, Exposure};
pub use length::{ADVISED_BY_AWS, LengthAdvice, LengthRemedy, best_length, expected};
pub use outlook::Outlook;

/// With fewer reclaims a rate is noise: nothing is said, and nothing follows.
pub const LEAST_RECLAIMS: u64 = 3;
