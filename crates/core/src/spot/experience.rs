//! What the journal tells of hosts that were taken, and of time.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::LEAST_RECLAIMS;
use crate::fact::Outcome;
use crate::ledger::{Ledger, Try, TryState};
use crate::units;

/// A start is known where so many jobs have told it.
const LEAST_STARTS: usize = 3;
/// How long jobs run is known where so many have succeeded.
const LEAST_RUNS: usize = 3;
/// Nothing is said of jobs with more than so many times the bytes of the largest one that succeeded.
const FAR: u64 = 8;

/// What jobs were exposed to on one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// Attempts that ended with their host.
    pub reclaims: u64,
    /// How long all attempts ran, those of jobs that still run until now.
    pub ran: TimeDelta,
}

impl Exposure {
    /// Reclaims per hour; nothing where too few were seen.
    pub fn rate(&self) -> Option<f64> {
        let hours = hours(self.ran);
        (self.reclaims >= LEAST_RECLAIMS && hours > 0.0).then(|| self.reclaims as f64 / hours)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ran = units::show_duration(rounded(self.ran).to_std().unwrap_or_default());
        match self.rate() {
            Some(rate) => {
                write!(f, "{} reclaims an hour: {} in {ran}", units::show_rate(rate), self.reclaims)
            }
            None => write!(f, "{} reclaims in {ran}", self.reclaims),
        }
    }
}

/// To whole minutes, from an hour on.
fn rounded(ran: TimeDelta) -> TimeDelta {
    let seconds = ran.num_seconds();
    TimeDelta::seconds(if seconds >= 3600 { seconds / 60 * 60 } else { seconds })
}

/// What the jobs of a backfill tell of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Experience {
    queues: BTreeMap<String, Exposure>,
    start: Option<TimeDelta>,
    runs: Option<Runs>,
}

/// How long jobs ran that succeeded, as far as it follows their bytes: a line by least squares, that does not fall.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Runs {
    bytes: f64,
    hours: f64,
    hours_a_byte: f64,
    largest: u64,
}

impl Runs {
    fn of(seen: &[(u64, TimeDelta)]) -> Option<Self> {
        if seen.len() < LEAST_RUNS {
            return None;
        }
        let n = seen.len() as f64;
        let bytes = seen.iter().map(|(b, _)| *b as f64).sum::<f64>() / n;
        let mean = seen.iter().map(|(_, ran)| hours(*ran)).sum::<f64>() / n;
        let (mut xx, mut xy) = (0.0, 0.0);
        for (b, ran) in seen {
            let dx = *b as f64 - bytes;
            xx += dx * dx;
            xy += dx * (hours(*ran) - mean);
        }
        let hours_a_byte = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        let largest = seen.iter().map(|(b, _)| *b).max().unwrap_or_default();
        Some(Self { bytes, hours: mean, hours_a_byte, largest })
    }
}

impl Experience {
    /// Adds up what every try of a ledger tells.
    pub fn of(ledger: &Ledger, now: DateTime<Utc>) -> Self {
        let mut queues = BTreeMap::<String, Exposure>::new();
        let (mut starts, mut runs) = (Vec::new(), Vec::new());
        for t in ledger.slices().flat_map(|(_, r)| &r.tries) {
            let exposure = queues.entry(t.intended.queue.clone()).or_default();
            // Of reclaims that journals of before tell without their time nothing follows.
            if t.reclaimed() > TimeDelta::zero() {
                exposure.reclaims += u64::from(t.reclaims);
            }
            exposure.ran += t.reclaimed() + t.ran_last(now);
            starts.extend(started_after(t));
            // Of a job that vanished nobody knows how long it ran.
            let is_timed = t.ended.as_ref().is_some_and(|e| e.started_at.is_some() && e.stopped_at.is_some());
            if t.state == TryState::Ended(Outcome::Succeeded) && is_timed {
                runs.push((t.intended.bytes, t.ran_last(now)));
            }
        }
        starts.sort_unstable();
        let start = if starts.len() < LEAST_STARTS { None } else { starts.get(starts.len() / 4).copied() };
        Self { queues, start, runs: Runs::of(&runs) }
    }

    /// What jobs were exposed to, by queue.
    pub fn exposures(&self) -> impl Iterator<Item = (&str, Exposure)> {
        self.queues.iter().map(|(queue, exposure)| (queue.as_str(), *exposure))
    }

    /// What jobs were exposed to on this queue.
    pub fn exposure(&self, queue: &str) -> Exposure {
        self.queues.get(queue).copied().unwrap_or_default()
    }

    /// What it costs to start a job once more: the lower quartile of the time from an intent to the start of the first
    /// attempt, over the jobs with one attempt.
    ///
    /// A low quantile, because what is above it waited for room, not for a host and a container. The limits: what a job
    /// itself does before it reads is not seen; where three of four jobs wait for room it is too high, and where hosts of
    /// earlier jobs stand by, lower than after a reclaim. The intent is stamped by the store and the start by Batch, so
    /// their clocks differ in it.
    pub fn start(&self) -> Option<TimeDelta> {
        self.start
    }

    /// How long a job with so many bytes runs where nothing is taken from it, in hours: by a line through the jobs that
    /// succeeded. Nothing before three have, nor far beyond the largest of them: what small days take is mostly their
    /// start, and says little of large ones.
    pub(super) fn run(&self, bytes: u64) -> Option<f64> {
        let runs = self.runs.filter(|runs| bytes <= runs.largest.saturating_mul(FAR))?;
        let said = runs.hours + runs.hours_a_byte * (bytes as f64 - runs.bytes);
        Some(said.max(0.0))
    }

    /// The bytes that a job reads which runs for so many hours; nothing where time does not follow bytes, or a job
    /// without any would run for longer.
    pub(super) fn bytes_in(&self, hours: f64) -> Option<u64> {
        let runs = self.runs.filter(|runs| runs.hours_a_byte > 0.0)?;
        let bytes = runs.bytes + (hours - runs.hours) / runs.hours_a_byte;
        (bytes >= 1.0).then_some(bytes as u64)
    }
}

/// How long after its intent a job started that needed only one attempt.
fn started_after(t: &Try) -> Option<TimeDelta> {
    let ended = t.ended.as_ref().filter(|e| e.attempts == 1)?;
    Some((ended.started_at? - t.intent.stored_at).max(TimeDelta::zero()))
}

/// A century: what is longer is not told apart.
const LONGEST_HOURS: f64 = 876_600.0;

pub(super) fn hours(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 3_600_000.0
}

pub(super) fn from_hours(hours: f64) -> TimeDelta {
    TimeDelta::milliseconds((hours.clamp(0.0, LONGEST_HOURS) * 3_600_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Fact, LiveStatus};
    use crate::failure::FailureClass;
    use crate::testing::{Scene, at, ended, job, plan};

    fn exposure(scene: &Scene) -> Exposure {
        Experience::of(&scene.ledger, scene.now).exposure("spot")
    }

    /// A scene with one job on the queue `spot` for each of these attempts, reclaims, and reclaimed seconds; the last
    /// attempt of each runs for a minute from second 10 on.
    fn scene(ends: &[(u32, u32, u64)]) -> Scene {
        let mut scene = Scene::of(plan((1..=ends.len() as u32).map(|of| job(of, 1, 0)).collect()));
        for (name, (attempts, reclaims, reclaimed_s)) in scene.submit().into_iter().zip(ends) {
            let Fact::Ended(mut end) = ended(&name, Outcome::Succeeded, true) else { unreachable!() };
            (end.attempts, end.reclaims, end.reclaimed_ms) = (*attempts, *reclaims, reclaimed_s * 1000);
            scene.tell(Fact::Ended(end));
        }
        scene
    }

    #[test]
    fn the_rate_is_reclaims_over_hours() {
        // 4 reclaims in 3 × 1 minute and 4 × 1 hour less 3 minutes.
        let scene = scene(&[(3, 2, 7200), (1, 0, 0), (3, 2, 7020)]);
        let exposure = exposure(&scene);
        assert_eq!(exposure, Exposure { reclaims: 4, ran: TimeDelta::hours(4) });
        assert_eq!(exposure.rate(), Some(1.0));
        assert_eq!(exposure.to_string(), "1.00 reclaims an hour: 4 in 4h");
    }

    #[test]
    fn two_reclaims_are_noise() {
        let exposure = exposure(&scene(&[(3, 2, 3540)]));
        assert_eq!((exposure.rate(), exposure.to_string().as_str()), (None, "2 reclaims in 1h"));
        assert_eq!(Exposure::default().rate(), None);
        let at_once = Exposure { reclaims: 5, ran: TimeDelta::zero() };
        assert_eq!(at_once.rate(), None, "no time, no rate");
    }

    #[test]
    fn jobs_that_run_count_until_now() {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        let name = scene.submit_one().name;
        scene.run(&name);
        scene.tell(Fact::Seen {
            name: name.clone(),
            status: LiveStatus::Runnable,
            reason: None,
            reclaims: 1,
        });
        scene.run(&name);
        scene.now += TimeDelta::seconds(59);
        assert_eq!(exposure(&scene), Exposure { reclaims: 1, ran: TimeDelta::seconds(60) });
    }

    #[test]
    fn a_start_is_the_lower_quartile_of_first_attempts() {
        let start = |scene: &Scene| Experience::of(&scene.ledger, scene.now).start();
        // The jobs start at second 10 and were intended at second 3.
        assert_eq!(start(&scene(&[(1, 0, 0); 2])), None, "two are too few");
        assert_eq!(start(&scene(&[(1, 0, 0); 3])), Some(TimeDelta::seconds(7)));
        assert_eq!(start(&scene(&[(2, 1, 5); 3])), None, "when the first attempt began is not known");
        let mut scene = scene(&[(1, 0, 0), (1, 0, 0), (1, 0, 0)]);
        let mut more = plan((4..=5).map(|of| job(of, 1, 0)).collect());
        more.made_at = at(9);
        scene.adopt(more);
        for name in scene.submit() {
            let Fact::Ended(mut end) = ended(&name, Outcome::Failed(FailureClass::App), true) else {
                unreachable!()
            };
            // It waited for room.
            end.started_at = Some(at(60));
            scene.tell(Fact::Ended(end));
        }
        assert_eq!(start(&scene), Some(TimeDelta::seconds(7)));
    }

    /// The seconds that a job with so many bytes is expected to run after jobs of these bytes and seconds.
    fn run(seen: &[(u64, i64)], bytes: u64) -> Option<f64> {
        let runs: Vec<_> = seen.iter().map(|(b, s)| (*b, TimeDelta::seconds(*s))).collect();
        Experience { runs: Runs::of(&runs), ..Experience::default() }.run(bytes).map(|h| (h * 3600.0).round())
    }

    #[test]
    fn a_run_follows_its_bytes_as_far_as_it_did() {
        assert_eq!(run(&[(1000, 60), (2000, 90)], 1000), None, "two are too few");
        let seen = [(1000, 60), (2000, 90), (3000, 120)];
        assert_eq!(run(&seen, 2500), Some(105.0));
        assert_eq!(run(&seen, 24_000), Some(750.0));
        assert_eq!(run(&seen, 24_001), None, "nobody has seen anything like it");
        assert_eq!(run(&seen, 0), Some(30.0), "what every job takes, whatever it reads");
        assert_eq!(run(&[(1000, 10), (2000, 50), (3000, 90)], 100), Some(0.0));
        // Days that take no longer for more bytes, or of one size, say that time does not follow bytes.
        assert_eq!(run(&[(5, 60); 30], 40), Some(60.0));
        assert_eq!(run(&[(5, 60); 30], 5000), None);
        assert_eq!(run(&[(0, 60); 3], 1), None, "days without a byte say nothing of others");
        assert_eq!(run(&[(1000, 90), (2000, 60), (3000, 30)], 3000), Some(60.0));
    }

    #[test]
    fn the_bytes_of_a_length_are_the_same_line() {
        let runs = [(1000, 60), (2000, 90), (3000, 120)].map(|(b, s)| (b, TimeDelta::seconds(s)));
        let experience = Experience { runs: Runs::of(&runs), ..Experience::default() };
        assert_eq!(experience.bytes_in(105.0 / 3600.0).map(|b| b.div_ceil(10) * 10), Some(2500));
        assert_eq!(experience.bytes_in(20.0 / 3600.0), None, "every job runs for longer");
        assert_eq!(Experience::default().bytes_in(1.0), None);
    }
}
