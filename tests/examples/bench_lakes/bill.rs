//! What the attempts of an engine's jobs asked for, and what of it nobody used.

use std::fmt;

use dayfill_tests::table::{EngineAttempt, EngineJob};

use crate::lakes::DAYS;

/// GiB-hours, kills, and days.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bill {
    done: u64,
    kills: usize,
    asked: f64,
    wasted: f64,
}

impl Bill {
    /// The names of its columns.
    pub const HEAD: &str = "days done   kills   asked GiB h  wasted GiB h";

    /// The bill of all attempts of these jobs, which loaded so many days.
    pub fn of(done: u64, jobs: &[EngineJob]) -> Self {
        let mut bill = Self { done, ..Self::default() };
        for (job, attempt) in jobs.iter().flat_map(|job| job.attempts.iter().map(move |a| (job, a))) {
            let hours = attempt.ran.as_secs_f64() / 3600.0;
            let asked = job.memory_mib as f64 / 1024.0;
            bill.kills += usize::from(attempt.out_of_memory);
            bill.asked += asked * hours;
            bill.wasted += (asked - used(attempt)).max(0.0) * hours;
        }
        bill
    }

    /// Both sums as shares of another bill's.
    pub fn ratios(&self, other: &Self) -> String {
        let percent = |own: f64, other: f64| 100.0 * own / other;
        let (asked, wasted) = (percent(self.asked, other.asked), percent(self.wasted, other.wasted));
        format!("{:17}{asked:12.1} %{wasted:12.1} %", "")
    }
}

/// GiB that were of use while the attempt ran.
fn used(attempt: &EngineAttempt) -> f64 {
    let peak_kib = attempt.peak_kib.filter(|_| attempt.exit_code == Some(0)).unwrap_or_default();
    peak_kib as f64 / f64::from(1 << 20)
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, kills, asked, wasted } = self;
        write!(f, "{done:3} of {DAYS}{kills:8}{asked:14.4}{wasted:14.4}")
    }
}
