//! Whether a deadline can be kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::experience::{from_hours, hours};
use super::{Experience, expected};
use crate::fact::LiveStatus;
use crate::ledger::{Ledger, SliceRecord, Try, TryState};
use crate::partition::SliceId;
use crate::plan::{Plan, PlannedJob};

/// When a backfill will be done if everything goes on as it did, beside when it should be.
///
/// Every slice that is left takes one more job. A job takes what [`Experience`] says of its bytes, one that runs the
/// rest of it; starts, and reclaims at the rate of its queue, are added by [`expected`]; a queue with fewer than
/// [`LEAST_RECLAIMS`](super::LEAST_RECLAIMS) reclaims counts as one that takes no hosts. The jobs are laid one after the
/// other on as many places as `limits.in_flight` allows, each where it can begin first: those that run, then the largest
/// first, which is how they are sent.
///
/// So many places are what the fallback queue, too, is taken to offer. What it does not know: a queue that holds fewer jobs
/// at once, failures that are not reclaims, jobs that run for longer than their bytes tell, and the time between two looks.
/// It is an expectation, not a bound: a deadline is kept about as often as not where there is no time to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    deadline: DateTime<Utc>,
    left: usize,
    done_by: Option<DateTime<Utc>>,
}

/// A job that is left.
#[derive(Clone, Copy)]
struct Left<'a> {
    bytes: u64,
    queue: &'a str,
    running_since: Option<DateTime<Utc>>,
}

impl Outlook {
    /// The outlook of the slices that `plan`, adopted with this segment, takes up, and of all others that are under way.
    pub fn of(
        deadline: DateTime<Utc>,
        plan: &Plan,
        ledger: &Ledger,
        adopted: u64,
        now: DateTime<Utc>,
    ) -> Self {
        let experience = Experience::of(ledger, now);
        let mut left = left(plan, ledger, adopted);
        left.sort_by_key(|l| (l.running_since.is_none(), Reverse(l.bytes)));
        let times: Option<Vec<TimeDelta>> = left.iter().map(|l| l.takes(&experience, now)).collect();
        // Seconds are more than is known, and would make plans differ that need not.
        let up = |at: DateTime<Utc>| {
            (at + TimeDelta::milliseconds(59_999)).duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
        };
        let done_by = times.map(|times| up(now + makespan(&times, plan.limits.in_flight as usize)));
        Self { deadline, left: left.len(), done_by }
    }

    /// When all will be done; nothing where it is not known how long each of the jobs takes.
    pub fn done_by(&self) -> Option<DateTime<Utc>> {
        self.done_by
    }

    /// Something is left to do, and the deadline has passed or will pass before it is done. Where nothing is known of how
    /// long jobs take only a deadline that has passed is missed.
    pub fn is_missed(&self, now: DateTime<Utc>) -> bool {
        self.left > 0 && (self.deadline <= now || self.done_by.is_some_and(|at| at > self.deadline))
    }

    /// Why it is missed, in words.
    pub fn sentence(&self, now: DateTime<Utc>) -> String {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%MZ");
        let deadline = time(self.deadline);
        match self.done_by {
            _ if self.deadline <= now => format!("the deadline {deadline} has passed"),
            Some(at) => {
                let jobs = if self.left == 1 { "job is" } else { "jobs are" };
                let (left, at) = (self.left, time(at));
                format!("the deadline {deadline} would be missed ({left} {jobs} left, to about {at})")
            }
            None => format!("whether the deadline {deadline} can be kept is not known"),
        }
    }
}

impl Left<'_> {
    fn takes(&self, experience: &Experience, now: DateTime<Utc>) -> Option<TimeDelta> {
        let run = experience.run(self.bytes)?;
        let start = hours(experience.start().unwrap_or_default());
        let rate = experience.exposure(self.queue).rate().unwrap_or(0.0);
        let whole = expected(run, start, rate);
        Some(from_hours(match self.running_since {
            None => whole,
            Some(since) => {
                let rest = (run - hours(now - since).max(0.0)).max(0.0);
                // Where its host is taken before it gets through, it begins anew.
                let lost = -(-rate * rest).exp_m1();
                if rate > 0.0 { lost / rate + lost * whole } else { rest }
            }
        }))
    }
}

/// What is left to do: of `plan`, whatever has not come to a verdict since it was adopted; beside it, what is under way.
fn left<'a>(plan: &'a Plan, ledger: &'a Ledger, adopted: u64) -> Vec<Left<'a>> {
    let is_open = |job: &PlannedJob, record: &SliceRecord| match &record.verdict {
        // What was cut is left in its parts.
        None => record.divided.is_none(),
        Some(verdict) => verdict.stamp().segment < adopted && job.load == record.next_load(),
    };
    let mut left = BTreeMap::<&SliceId, Left<'a>>::new();
    for job in &plan.jobs {
        if ledger.slice(&job.slice).is_none_or(|record| is_open(job, record)) {
            left.insert(&job.slice, Left { bytes: job.bytes, queue: &plan.job.queue, running_since: None });
        }
    }
    for (slice, record) in ledger.slices().filter(|(_, r)| r.divided.is_none()) {
        if let Some((_, job)) = record.part.as_ref().filter(|_| record.is_untouched()) {
            left.insert(slice, Left { bytes: job.bytes, queue: &plan.job.queue, running_since: None });
        }
        let refused = |t: &Try| matches!(t.state, TryState::Refused(_));
        let between = || record.tries.last().filter(|t| record.verdict.is_none() && !refused(t));
        let Some(t) = record.live().last().or_else(between) else { continue };
        let running_since = runs(t).then_some(t.changed.stored_at);
        left.insert(slice, Left { bytes: t.intended.bytes, queue: &t.intended.queue, running_since });
    }
    left.into_values().collect()
}

fn runs(t: &Try) -> bool {
    t.state == TryState::Live(LiveStatus::Running)
}

/// How long it takes to do all of this, in this order, on so many places.
fn makespan(times: &[TimeDelta], places: usize) -> TimeDelta {
    let mut free: BinaryHeap<Reverse<TimeDelta>> =
        std::iter::repeat_n(Reverse(TimeDelta::zero()), places.clamp(1, times.len().max(1))).collect();
    let mut end = TimeDelta::zero();
    for time in times {
        let Reverse(begin) = free.pop().unwrap_or(Reverse(TimeDelta::zero()));
        // A sum of centuries still fits what time can be counted in.
        let done = begin.checked_add(time).unwrap_or(begin);
        end = end.max(done);
        free.push(Reverse(done));
    }
    end.min(from_hours(f64::INFINITY))
}

#[cfg(test)]
mod tests;
