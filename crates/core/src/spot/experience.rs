//! What the journal tells of hosts that were taken, and of time.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::LEAST_RECLAIMS;
use crate::fact::Outcome;
use crate::ledger::{Ledger, Try, TryState};
use crate::plan::History;
use crate::units;

/// A start is known where so many jobs have told it.
const LEAST_STARTS: usize = 3;

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
            Some(rate) => write!(f, "{rate:.2} reclaims an hour: {} in {ran}", self.reclaims),
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
    history: History,
    median: Option<TimeDelta>,
}

impl Experience {
    /// Adds up what every try of a ledger tells.
    pub fn of(ledger: &Ledger, now: DateTime<Utc>) -> Self {
        let mut queues = BTreeMap::<String, Exposure>::new();
        let (mut starts, mut runs) = (Vec::new(), Vec::new());
        for t in ledger.slices().flat_map(|(_, r)| &r.tries) {
            let exposure = queues.entry(t.intended.queue.clone()).or_default();
            exposure.reclaims += u64::from(t.reclaims);
            exposure.ran += t.reclaimed() + t.ran_last(now);
            starts.extend(started_after(t));
            if t.state == TryState::Ended(Outcome::Succeeded) {
                runs.push(t.ran_last(now));
            }
        }
        starts.sort_unstable();
        runs.sort_unstable();
        let start = if starts.len() < LEAST_STARTS { None } else { starts.get(starts.len() / 4).copied() };
        Self { queues, start, history: History::of(ledger), median: runs.get(runs.len() / 2).copied() }
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

    /// How long a job with so many bytes runs where nothing is taken from it: as its bytes took so far, and no less than the
    /// median of the jobs that succeeded, since what a job does beside reading is not in its bytes. Nothing before the
    /// first success.
    pub fn run(&self, bytes: u64) -> Option<TimeDelta> {
        let median = self.median?;
        Some(by_bytes(self.history, bytes)?.max(median))
    }
}

/// How long so many bytes take by this history.
pub(super) fn by_bytes(history: History, bytes: u64) -> Option<TimeDelta> {
    let per_byte = history.seconds as f64 / history.bytes.max(1) as f64;
    (history.jobs > 0).then(|| from_hours(per_byte * bytes as f64 / 3600.0))
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

    #[test]
    fn a_run_is_as_long_as_its_bytes_and_no_shorter_than_the_median() {
        let run = |scene: &Scene, bytes| Experience::of(&scene.ledger, scene.now).run(bytes);
        assert_eq!(run(&scene(&[]), 1000), None);
        // Each job read 1000 bytes in a minute.
        let scene = scene(&[(1, 0, 0); 2]);
        assert_eq!(run(&scene, 60_000), Some(TimeDelta::hours(1)));
        assert_eq!(run(&scene, 1), Some(TimeDelta::minutes(1)));
        assert_eq!(run(&scene, u64::MAX), Some(from_hours(LONGEST_HOURS)));
    }
}
