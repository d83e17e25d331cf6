//! How long a job should run where hosts are taken away.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::experience::{from_hours, hours};
use super::{Experience, Exposure};
use crate::plan::{Plan, PlannedJob};
use crate::spec::Idempotent;
use crate::split::Means;
use crate::units;

/// What AWS says of Spot: "the runtime for your jobs is typically 30 minutes or less" (AWS Batch User Guide, Best practices,
/// *Amazon EC2 On-Demand or Amazon EC2 Spot*).
pub const ADVISED_BY_AWS: u64 = 30 * 60;

/// A change that saves less is not worth telling.
const LEAST_SAVED: f64 = 0.05;

/// The length of a job, in hours, at which the time lost to starts and reclaims is least: √(2s/λ), after Young (see
/// [`crate::spot`]). With a start of 3 minutes and 0.2 reclaims an hour that is about 42 minutes.
pub fn best_length(start: f64, rate: f64) -> f64 {
    (2.0 * start / rate).sqrt()
}

/// How many hours a job is expected to take that needs `run` hours on a host, where each start takes `start` hours and hosts
/// are taken `rate` times an hour of running, after which it begins anew: s·e^λw + (e^λw − 1)/λ.
///
/// An attempt gets through with the probability e^−λw, so e^λw attempts are made; each pays the start, during which there is
/// no host yet that could be taken, and what attempts run, the last one included, adds up to (e^λw − 1)/λ.
pub fn expected(run: f64, start: f64, rate: f64) -> f64 {
    if rate <= 0.0 {
        return start + run;
    }
    // Past this it is for ever, and no longer a number.
    let risk = (rate * run).min(700.0);
    start * risk.exp() + risk.exp_m1() / rate
}

/// What to change so that less time is lost to reclaims. In whole seconds: a plan with equal inputs has equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthAdvice {
    /// The queue whose hosts are taken.
    pub queue: String,
    /// Reclaims seen there.
    pub reclaims: u64,
    /// Seconds that attempts ran there.
    pub ran_s: u64,
    /// Seconds that a start takes.
    pub start_s: u64,
    /// The best length of a job, in seconds.
    pub best_s: u64,
    /// How many jobs of the plan are expected to run for longer.
    pub longer_jobs: u64,
    /// How much of the expected time of all jobs this would spare, in percent.
    pub saved_percent: u32,
    /// What to do.
    pub remedy: LengthRemedy,
}

/// What to do about jobs that run for too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthRemedy {
    /// `split.max_bytes`, with which a job runs for the best length.
    Split {
        /// Bytes.
        max_bytes: u64,
    },
    /// Days cannot be split: `job.fallback_queue`, with hosts that are not taken away.
    FallbackQueue,
}

impl LengthAdvice {
    /// What a plan should change; nothing where too little is known, or a change would spare less than a twentieth.
    pub fn of(plan: &Plan, experience: &Experience) -> Option<Self> {
        let exposure = experience.exposure(&plan.job.queue);
        let (rate, start) = (exposure.rate()?, hours(experience.start()?));
        let best = best_length(start, rate);
        let runs: Option<Vec<f64>> = plan.jobs.iter().map(|job| experience.run(job.bytes)).collect();
        let runs = runs?;
        let whole: f64 = runs.iter().map(|run| expected(*run, start, rate)).sum();
        let means = plan.means();
        let can_split = plan.job.idempotent == Idempotent::Slice && (means.hours || means.ranges);
        let (remedy, changed) = if can_split {
            let split = |(job, run): (&PlannedJob, &f64)| {
                let parts = (run / best).ceil().clamp(1.0, most_parts(plan, means, job));
                parts * expected(run / parts, start, rate)
            };
            let max_bytes = plain(experience.bytes_in(best)?);
            (LengthRemedy::Split { max_bytes }, plan.jobs.iter().zip(&runs).map(split).sum::<f64>())
        } else if plan.job.fallback_queue.is_none() {
            (LengthRemedy::FallbackQueue, runs.iter().map(|run| expected(*run, start, 0.0)).sum())
        } else {
            return None;
        };
        let saved = 1.0 - changed / whole;
        let worth_it = best > 0.0 && saved > LEAST_SAVED;
        worth_it.then(|| Self {
            queue: plan.job.queue.clone(),
            reclaims: exposure.reclaims,
            ran_s: seconds(hours(exposure.ran)),
            start_s: seconds(start),
            best_s: seconds(best),
            longer_jobs: runs.iter().filter(|run| **run > best).count() as u64,
            saved_percent: (saved * 100.0) as u32,
            remedy,
        })
    }
}

/// How many parts a job can be cut into at the most.
fn most_parts(plan: &Plan, means: Means, job: &PlannedJob) -> f64 {
    let stays = plan.unsplit.iter().any(|unsplit| unsplit.slice == job.slice);
    let by_hour_alone = !means.ranges;
    let parts = match () {
        () if stays || (by_hour_alone && job.slice.is_part()) => 1,
        () if by_hour_alone => job.objects.min(24),
        () => job.objects,
    };
    parts.max(1) as f64
}

fn seconds(hours: f64) -> u64 {
    (hours * 3600.0).ceil() as u64
}

/// Two digits of a unit: no more is known.
fn plain(bytes: u64) -> u64 {
    let units = [units::MIB << 10, units::MIB, units::MIB >> 10];
    let unit = units.into_iter().find(|unit| bytes / unit >= 10).unwrap_or(1);
    let number = (bytes / unit).max(1);
    let step = 10u64.pow(number.ilog10().saturating_sub(1));
    number / step * step * unit
}

/// As the YAML has it.
fn size(bytes: u64) -> String {
    let names = [(units::MIB << 10, "GiB"), (units::MIB, "MiB"), (units::MIB >> 10, "KiB")];
    let unit = names.into_iter().find(|(unit, _)| bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

impl fmt::Display for LengthAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |seconds: u64| {
            let seconds = if seconds < 3600 { seconds } else { seconds / 60 * 60 };
            units::show_duration(std::time::Duration::from_secs(seconds))
        };
        let exposure = Exposure { reclaims: self.reclaims, ran: from_hours(self.ran_s as f64 / 3600.0) };
        let rate = exposure.rate().unwrap_or_default();
        let (rate, ran) = (units::show_rate(rate), time(self.ran_s));
        write!(f, "{rate} reclaims an hour on {} ({} in {ran}), ", self.queue, self.reclaims)?;
        write!(f, "{} to start: jobs of {} lose least", time(self.start_s), time(self.best_s))?;
        if self.best_s > ADVISED_BY_AWS {
            write!(f, " (AWS advises {} at most)", time(ADVISED_BY_AWS))?;
        }
        match &self.remedy {
            LengthRemedy::Split { max_bytes } => {
                let (longer, max_bytes) = (self.longer_jobs, size(*max_bytes));
                write!(f, ", {longer} would run for longer; split: {{ max_bytes: {max_bytes} }}")?;
            }
            LengthRemedy::FallbackQueue => {
                f.write_str("; On-Demand hosts, or a job.fallback_queue of them,")?;
            }
        }
        write!(f, " would spare {} % of the time", self.saved_percent)
    }
}

#[cfg(test)]
mod tests;
