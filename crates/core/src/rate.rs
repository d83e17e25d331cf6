//! How fast to submit.
//!
//! The service lets through what its token bucket holds and refuses the rest. Of a bucket one sees only refusals, but
//! two of them tell its rate: it was empty both times, so what was accepted in between is what it lets through. The rate
//! is held a little below that, and now and then probed upward until the next refusal, which is the only way to hear
//! that more is allowed. Refusals are paid for out of what was accepted, so that their share stays in bounds whatever
//! the bucket and however late its answers.
//!
//! Time comes in as an argument, counted from any one moment.

use std::time::Duration;

/// The fastest that SubmitJob may be called for an account and Region: 50 a second (AWS Batch service quotas).
pub const BATCH_QUOTA: f64 = 50.0;

/// No slower than this.
const FLOOR: f64 = 0.2;
/// So late a request may leave without delaying those after it: what timers and busy machines take. More is not made
/// up for, or a pause would end in a burst.
const LATE: Duration = Duration::from_millis(25);

/// Refusals that an accepted request pays for. With those that nobody chose to have, when the service grew slower,
/// they are to stay below five in a hundred.
const EARNED: f64 = 0.035;
/// Refusals that are paid for at the beginning.
const AT_FIRST: f64 = 4.0;
/// As many may be saved: a minute that begins at full speed pays for probing every second in the rest of it.
const SAVED: f64 = 30.0;
/// As many may be owed: a service that grew slower refuses many at once, and is to be probed soon all the same.
const OWED: f64 = 4.0;

/// After a step down the rate is held for so long.
const HOLD: Duration = Duration::from_secs(1);
/// A limit is probed after so long even if that is not paid for: where little is accepted, it would not be for minutes.
const BELIEVED: Duration = Duration::from_secs(10);
/// Accepted requests between two refusals that make an estimate. Its error is one of them.
const ENOUGH: u32 = 8;
/// Where the rate is held, as a part of the limit.
const BELOW: f64 = 0.98;
/// What a limit is raised by that only a probe ran into. A bucket that holds next to nothing overflows while the rate
/// is held, so what it let through makes it look slower than it is.
const CREEP: f64 = 1.03;
/// A step up beyond the limit.
const PROBE: f64 = 1.1;
/// A step up where the limit is far.
const RETURN: f64 = 1.25;
/// A step up where nothing is known of a limit.
const UNKNOWN: f64 = 1.5;

/// A rate of requests that follows what the service allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    per_second: f64,
    ceiling: f64,
    /// When the last request was due.
    last: Option<Duration>,
    /// What the service allows, as far as that is known.
    limit: Option<f64>,
    /// When the bucket was empty, and how many requests were accepted since.
    empty: Option<(Duration, u32)>,
    /// When the rate was lowered and raised last: answers to requests from before tell nothing of the rate since.
    lowered: Option<Duration>,
    raised: Option<Duration>,
    /// Refusals that are paid for.
    credit: f64,
}

impl Rate {
    /// Starts at `per_second` and never goes over `ceiling`.
    pub fn new(per_second: f64, ceiling: f64) -> Self {
        Self {
            per_second: per_second.min(ceiling),
            ceiling,
            last: None,
            limit: None,
            empty: None,
            lowered: None,
            raised: None,
            credit: AT_FIRST,
        }
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// How many requests `span` takes, at least one.
    pub fn within(&self, span: Duration) -> usize {
        (self.per_second * span.as_secs_f64()).max(1.0) as usize
    }

    /// How long the next request has to wait.
    pub fn wait(&self, now: Duration) -> Duration {
        self.due(now).saturating_sub(now)
    }

    /// An interval after the last one was due, not after it was sent: a delay of every request must not add up.
    fn due(&self, now: Duration) -> Duration {
        self.last.map_or(now, |last| last + self.interval())
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// A request is sent.
    pub fn sent(&mut self, now: Duration) {
        let due = self.due(now);
        if now > due + LATE {
            // There was nothing to send, or no room for it. The bucket may have overflowed meanwhile.
            self.empty = None;
        }
        self.last = Some(due.max(now.saturating_sub(LATE)));
    }

    /// The request that was sent at `sent` was accepted.
    pub fn accepted(&mut self, sent: Duration, now: Duration) {
        self.credit = (self.credit + EARNED).min(SAVED);
        if let Some((_, accepted)) = &mut self.empty {
            *accepted += 1;
        }
        // One step a round trip, so that it is known what the last one led to before the next.
        let is_news = self.lowered.max(self.raised).is_none_or(|stepped| sent >= stepped);
        if is_news && self.may_rise(now) {
            self.rise(now);
        }
    }

    /// Below the limit the way is free; beyond it lie refusals.
    fn may_rise(&self, now: Duration) -> bool {
        let held = self.lowered.map(|lowered| now.saturating_sub(lowered));
        let free = self.limit.is_none_or(|limit| self.per_second < limit * BELOW) || self.credit >= 1.0;
        held.is_none_or(|held| held >= BELIEVED || (held >= HOLD && free))
    }

    fn rise(&mut self, now: Duration) {
        let step = match self.limit {
            None => UNKNOWN,
            Some(limit) if self.per_second < limit * BELOW => RETURN,
            Some(_) => PROBE,
        };
        self.per_second = (self.per_second * step).min(self.ceiling);
        self.raised = Some(now);
        // The next request may be due sooner than it was, but none is late.
        self.last = self.last.map(|last| last.max(now.saturating_sub(self.interval())));
        if self.is_outgrown(now) {
            // What was accepted since the bucket was empty belongs to two limits.
            (self.limit, self.empty) = (None, None);
        }
    }

    /// More was accepted than the limit explains, with what may be wrong about it.
    fn is_outgrown(&self, now: Duration) -> bool {
        let (Some(limit), Some((since, accepted))) = (self.limit, self.empty) else { return false };
        let explained = limit * now.saturating_sub(since).as_secs_f64();
        f64::from(accepted) > explained * 1.05 + 2.0
    }

    /// The request that was sent at `sent` was refused for coming too fast. Returns whether the rate steps down: the
    /// refusals of requests that were under way together are one event.
    pub fn throttled(&mut self, sent: Duration, now: Duration) -> bool {
        self.credit = (self.credit - 1.0).max(-OWED);
        let (since, accepted) = *self.empty.get_or_insert((now, 0));
        let span = now.saturating_sub(since).as_secs_f64().max(0.001);
        // The bucket held less than one request both times, so it cannot let through more than this.
        let at_most = f64::from(accepted + 1) / span;
        let is_news = self.lowered.is_none_or(|lowered| sent >= lowered);
        self.per_second = if !is_news {
            self.per_second.min(at_most)
        } else if accepted >= ENOUGH {
            let limit = self.estimate(f64::from(accepted), span);
            (self.limit, self.empty) = (Some(limit), Some((now, 0)));
            limit * BELOW
        } else if accepted > 0 {
            self.limit = self.limit.map(|limit| limit.min(self.per_second));
            (self.per_second * 0.9).min(at_most)
        } else {
            // Nothing is known of a limit that was run into at full speed.
            self.per_second * if self.limit.is_some() { 0.9 } else { 0.7 }
        }
        .max(FLOOR);
        if is_news {
            self.lowered = Some(now);
        }
        is_news
    }

    /// What the service allows, now that it has accepted so many in `span` seconds from one refusal to the next.
    fn estimate(&self, accepted: f64, span: f64) -> f64 {
        let seen = (accepted / span).min(self.per_second);
        // Refused without having been probed: the service has grown slower.
        let Some(limit) = self.limit.filter(|limit| self.per_second >= *limit) else { return seen };
        if accepted + 1.5 < limit * span {
            // It accepted less than it allows, and still refused the probe: the bucket overflowed, and the limit lies
            // between where the rate was held and where it was refused.
            f64::midpoint(limit, self.per_second / PROBE)
        } else {
            (limit.max(seen) * CREEP).min(self.per_second)
        }
    }
}

#[cfg(test)]
mod tests;
