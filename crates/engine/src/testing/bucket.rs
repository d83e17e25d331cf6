//! What a service allows: a token bucket, whose rate changes as a schedule says.

use std::time::Duration;

/// A token bucket that is full at first. A refused request takes nothing.
pub(crate) struct Bucket {
    /// Since when, in seconds, it is filled with how many tokens a second.
    rates: Vec<(f64, f64)>,
    burst: f64,
    tokens: f64,
    filled: f64,
    /// When it was asked, and whether it gave.
    asked: Vec<(f64, bool)>,
}

impl Bucket {
    /// One that holds `burst` tokens, and is filled with so many a second since so many seconds.
    pub(crate) fn new(rates: &[(f64, f64)], burst: f64) -> Self {
        assert!(rates[0].0 <= 0.0, "the first rate is that of the beginning");
        Self { rates: rates.to_vec(), burst, tokens: burst, filled: 0.0, asked: Vec::new() }
    }

    /// Tokens that came until this second.
    fn came(&self, until: f64) -> f64 {
        let ends = self.rates.iter().skip(1).map(|(from, _)| *from).chain([f64::INFINITY]);
        self.rates.iter().zip(ends).map(|((from, rate), end)| rate * (until.min(end) - from).max(0.0)).sum()
    }

    pub(super) fn take(&mut self, now: Duration) -> bool {
        let now = now.as_secs_f64();
        self.tokens = (self.tokens + self.came(now) - self.came(self.filled)).min(self.burst);
        self.filled = now;
        // Tokens come continuously, and their sum in floating point may be a little short of one.
        let taken = self.tokens > 1.0 - 1e-6;
        self.tokens -= f64::from(u8::from(taken));
        self.asked.push((now, taken));
        taken
    }

    /// What it allows until this second.
    pub(crate) fn allowed(&self, until: f64) -> f64 {
        self.burst + self.came(until)
    }

    /// Of what it allowed until this second, the share that was taken.
    pub(crate) fn taken(&self, until: f64) -> f64 {
        let taken = self.asked.iter().filter(|(at, taken)| *taken && *at < until).count();
        taken as f64 / self.allowed(until)
    }

    /// Of the requests until this second, the share that was refused.
    pub(crate) fn refused(&self, until: f64) -> f64 {
        let asked = self.asked.iter().filter(|(at, _)| *at < until);
        let refused = asked.clone().filter(|(_, taken)| !taken).count();
        refused as f64 / asked.count() as f64
    }

    /// The most requests that came in any one second.
    pub(crate) fn most_in_a_second(&self) -> usize {
        let ends = |from: f64| self.asked.partition_point(|(at, _)| *at < from + 1.0);
        let most = self.asked.iter().enumerate().map(|(n, (from, _))| ends(*from) - n);
        most.max().unwrap_or_default()
    }
}
