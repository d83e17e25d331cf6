//! How fast to submit: probe upward, on a refusal step down by a tenth and hold.

use std::time::Duration;

/// The fastest that SubmitJob may be called for an account and Region: 50 a second (AWS Batch service quotas).
pub const BATCH_QUOTA: f64 = 50.0;

/// A rate of requests that follows what the service allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    per_second: f64,
    ceiling: f64,
    /// Accepted requests still to pass before the rate is probed upward again.
    hold: u32,
}

impl Rate {
    /// Starts at `per_second` and never goes over `ceiling`.
    pub fn new(per_second: f64, ceiling: f64) -> Self {
        Self { per_second: per_second.min(ceiling), ceiling, hold: 0 }
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Time from one request to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// How many requests `span` takes, at least one.
    pub fn within(&self, span: Duration) -> usize {
        (self.per_second * span.as_secs_f64()).max(1.0) as usize
    }

    /// A request was taken.
    pub fn accepted(&mut self) {
        if self.hold > 0 {
            self.hold -= 1;
        } else {
            // One more a second for every second's worth of requests: slow enough not to overshoot by much.
            self.per_second = (self.per_second + 1.0 / self.per_second.max(1.0)).min(self.ceiling);
        }
    }

    /// A request was refused for coming too fast.
    pub fn throttled(&mut self) {
        self.per_second = (self.per_second * 0.9).max(0.2);
        self.hold = (self.per_second * 5.0) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_upward_to_the_ceiling() {
        let mut rate = Rate::new(10.0, BATCH_QUOTA);
        for _ in 0..5_000 {
            rate.accepted();
        }
        assert!((rate.per_second() - BATCH_QUOTA).abs() < f64::EPSILON);
    }

    #[test]
    fn a_refusal_steps_down_and_holds() {
        let mut rate = Rate::new(20.0, BATCH_QUOTA);
        rate.throttled();
        assert!((rate.per_second() - 18.0).abs() < 1e-9);
        rate.accepted();
        assert!((rate.per_second() - 18.0).abs() < 1e-9);
        for _ in 0..200 {
            rate.accepted();
        }
        assert!(rate.per_second() > 18.0);
        for _ in 0..1_000 {
            rate.throttled();
        }
        assert!(rate.per_second() >= 0.2);
    }
}
