//! Spot reclaims on purpose: hosts that are taken away while their jobs run.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{Effect, Ending, JobKey, Millis, Scheduler, Transition};
use crate::names;

const MINUTE: f64 = 60_000.0;

/// How often hosts are taken away, as Spot capacity is. Every attempt of a job has a host of its own. When that is taken
/// is drawn from the seed, the job's number and the attempt's: with equal seeds, the same jobs lose the same hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reclaims {
    per_job_minute: f64,
    seed: u64,
    queues: Option<BTreeSet<String>>,
}

impl Reclaims {
    /// Reclaims on every queue, where within a minute a host is taken with this probability. None where that is not
    /// between 0 and 1.
    pub fn new(per_job_minute: f64, seed: u64) -> Option<Self> {
        (0.0..=1.0).contains(&per_job_minute).then_some(Self { per_job_minute, seed, queues: None })
    }

    /// The same, only for jobs of these queues.
    #[must_use]
    pub fn only_on(self, queues: impl IntoIterator<Item = String>) -> Self {
        Self { queues: Some(queues.into_iter().collect()), ..self }
    }

    /// The made-up host that an attempt of a job of this queue has for itself. None where hosts of the queue are kept.
    pub fn host(&self, queue: &str, key: JobKey, attempt: u32) -> Option<String> {
        self.apply_to(queue).then(|| names::instance_id_of(&self.draw(key, attempt)[8..]))
    }

    // How long after its begin an attempt loses its host: exponential, so that no minute is like none before it.
    fn taken_after(&self, queue: &str, key: JobKey, attempt: u32) -> Option<Millis> {
        if !self.apply_to(queue) {
            return None;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.draw(key, attempt)[..8]);
        // As many bits as a float holds, and never 0.
        let uniform = ((u64::from_le_bytes(bytes) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Some((uniform.ln() / (-self.per_job_minute).ln_1p() * MINUTE) as Millis)
    }

    fn apply_to(&self, queue: &str) -> bool {
        self.per_job_minute > 0.0 && self.queues.as_ref().is_none_or(|queues| queues.contains(queue))
    }

    fn draw(&self, key: JobKey, attempt: u32) -> [u8; 32] {
        Sha256::digest(format!("{}#{}#{attempt}", self.seed, key.0)).into()
    }
}

impl Scheduler {
    /// Draws when the host of the attempt that begins now is taken.
    pub(super) fn expect_reclaim(&mut self, now: Millis, key: JobKey) {
        let (Some(reclaims), Some(job)) = (&self.settings.reclaims, self.jobs.get(&key)) else { return };
        let after = reclaims.taken_after(&job.submission.queue, key, job.state.attempt());
        self.set_reclaim(key, after.map(|after| now.saturating_add(after)));
    }

    pub(super) fn set_reclaim(&mut self, key: JobKey, at: Option<Millis>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut job.reclaim, at) {
            self.reclaims.remove(&(old, key));
        }
        if let Some(at) = at {
            self.reclaims.insert((at, key));
        }
    }

    /// Takes the hosts whose time has come. Their attempts are over when the runner says that their processes are gone:
    /// until then they hold what this machine cannot give to others.
    pub(super) fn pass_reclaims(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        while let Some((_, key)) = self.reclaims.first().copied().filter(|(at, _)| *at <= now) {
            self.set_reclaim(key, None);
            self.set_deadline(key, None);
            let (Some(reclaims), Some(job)) = (&self.settings.reclaims, self.jobs.get_mut(&key)) else {
                continue;
            };
            let (attempt, status) = (job.state.attempt(), job.state.status);
            // Whoever was being ended already is ended for that reason.
            if job.state.ending.is_none()
                && let Some(host) = reclaims.host(&job.submission.queue, key, attempt)
            {
                job.state.ending = Some(Ending::HostLost(names::host_terminated(&host)));
                self.transitions.push(Transition { job: key, status });
            }
            effects.push(Effect::Kill(key, attempt));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "spot";
    const JOBS: u64 = 20_000;

    fn shares(per_job_minute: f64, seed: u64, minutes: Millis) -> f64 {
        let reclaims = Reclaims::new(per_job_minute, seed).unwrap();
        let bound = minutes * 60_000;
        let taken = |key| reclaims.taken_after(QUEUE, JobKey(key), 1).is_some_and(|after| after <= bound);
        (0..JOBS).filter(|key| taken(*key)).count() as f64 / JOBS as f64
    }

    #[test]
    fn within_a_minute_the_share_that_was_asked_for_is_taken() {
        for (share, seed) in [(0.001, 1), (0.1, 2), (0.3, 3), (0.5, 4), (0.999, 5)] {
            for minutes in [1, 2, 5] {
                let expected = 1.0 - f64::powi(1.0 - share, minutes);
                let deviation = (expected * (1.0 - expected) / JOBS as f64).sqrt();
                let seen = shares(share, seed, Millis::from(minutes));
                assert!(
                    (seen - expected).abs() <= 4.0 * deviation,
                    "{share} a minute for {minutes} minutes with seed {seed}: {seen} and not {expected}"
                );
            }
        }
    }

    #[test]
    fn the_ends_are_never_and_at_once() {
        assert!(shares(0.0, 1, 1_000_000) == 0.0);
        assert_eq!(Reclaims::new(1.0, 1).unwrap().taken_after(QUEUE, JobKey(1), 1), Some(0));
        for not in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Reclaims::new(not, 1), None, "{not}");
        }
    }

    #[test]
    fn a_draw_depends_on_seed_job_and_attempt_and_on_nothing_else() {
        let draw = |seed, key, attempt| {
            let reclaims = Reclaims::new(0.1, seed).unwrap();
            (
                reclaims.taken_after(QUEUE, JobKey(key), attempt),
                reclaims.host(QUEUE, JobKey(key), attempt).unwrap(),
            )
        };
        assert_eq!(draw(7, 1, 1), draw(7, 1, 1));
        for other in [draw(8, 1, 1), draw(7, 2, 1), draw(7, 1, 2), draw(7, 11, 1), draw(7, 1, 11)] {
            assert_ne!(draw(7, 1, 1), other);
        }
    }

    #[test]
    fn queues_that_were_not_named_keep_their_hosts() {
        let reclaims = Reclaims::new(1.0, 1).unwrap().only_on([QUEUE.to_owned()]);
        assert!(reclaims.taken_after(QUEUE, JobKey(1), 1).is_some());
        assert_eq!(reclaims.taken_after("on-demand", JobKey(1), 1), None);
        assert_eq!(reclaims.host("on-demand", JobKey(1), 1), None);
    }
}
