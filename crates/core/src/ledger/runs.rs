//! How long jobs ran.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Stamp, Try, TryState};
use crate::fact::LiveStatus;

impl Try {
    /// It leaves the status that it has: what it ran is lost, since Batch begins it anew.
    pub(super) fn note_run(&mut self, stamp: Stamp) {
        if self.state == TryState::Live(LiveStatus::Running) {
            let ran = stamp.stored_at - self.changed.stored_at;
            self.ran_before_ms += u64::try_from(ran.num_milliseconds()).unwrap_or_default();
        }
    }

    /// How long its attempts ran that ended with their host. Of a job that has not ended it is what was seen of them: an
    /// attempt between two looks is missing.
    pub fn reclaimed(&self) -> TimeDelta {
        let milliseconds = match &self.ended {
            // Of a job that vanished Batch no longer tells its attempts.
            Some(ended) if ended.attempts == 0 => self.ran_before_ms,
            Some(ended) => ended.reclaimed_ms,
            None if self.reclaims > 0 => self.ran_before_ms,
            None => 0,
        };
        TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX / 1000))
    }

    /// How long its last attempt ran, to its end or until now; nothing where that attempt ended with its host, and is
    /// among the [reclaimed](Self::reclaimed).
    pub fn ran_last(&self, now: DateTime<Utc>) -> TimeDelta {
        let ran = match (&self.ended, &self.state) {
            // Batch retries only what lost its host, so where as many were lost as there were, the last was too.
            (Some(ended), _) if ended.reclaims > 0 && ended.reclaims >= ended.attempts => None,
            (Some(ended), _) => {
                ended.stopped_at.zip(ended.started_at).map(|(stopped, started)| stopped - started)
            }
            (None, TryState::Live(LiveStatus::Running)) => Some(now - self.changed.stored_at),
            _ => None,
        };
        ran.unwrap_or_default().max(TimeDelta::zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Fact, Outcome};
    use crate::failure::FailureClass;
    use crate::job::JobName;
    use crate::testing::{Scene, ended, job, plan};

    fn scene() -> (Scene, JobName) {
        let mut scene = Scene::of(plan(vec![job(1, 1, 0)]));
        let name = scene.submit_one().name;
        (scene, name)
    }

    fn seen(scene: &mut Scene, name: &JobName, status: LiveStatus, reclaims: u32) {
        scene.tell(Fact::Seen { name: name.clone(), status, reason: None, reclaims });
    }

    fn times(scene: &Scene, name: &JobName) -> (i64, i64) {
        let t = scene.ledger.job(name).unwrap().1;
        (t.reclaimed().num_seconds(), t.ran_last(scene.now).num_seconds())
    }

    #[test]
    fn of_a_live_job_what_was_seen_is_counted() {
        let (mut scene, name) = scene();
        assert_eq!(times(&scene, &name), (0, 0));
        seen(&mut scene, &name, LiveStatus::Running, 0);
        scene.now += TimeDelta::seconds(30);
        assert_eq!(times(&scene, &name), (0, 30));
        // Facts of a scene are a second apart.
        seen(&mut scene, &name, LiveStatus::Runnable, 1);
        assert_eq!(times(&scene, &name), (1, 0));
        seen(&mut scene, &name, LiveStatus::Running, 1);
        seen(&mut scene, &name, LiveStatus::Running, 2);
        seen(&mut scene, &name, LiveStatus::Starting, 2);
        assert_eq!(times(&scene, &name), (3, 0));
    }

    #[test]
    fn the_end_tells_it_exactly() {
        for (outcome, attempts, reclaims, reclaimed_ms, expected) in [
            (Outcome::Succeeded, 1, 0, 0, (0, 60)),
            (Outcome::Succeeded, 3, 2, 90_000, (90, 60)),
            // The last attempt is one of those that ended with their host.
            (Outcome::Failed(FailureClass::HostLost), 3, 3, 150_000, (150, 0)),
            (Outcome::Failed(FailureClass::Ended), 2, 2, 100_000, (100, 0)),
            (Outcome::Failed(FailureClass::App), 2, 1, 40_000, (40, 60)),
        ] {
            let (mut scene, name) = scene();
            seen(&mut scene, &name, LiveStatus::Running, 0);
            seen(&mut scene, &name, LiveStatus::Runnable, 1);
            let Fact::Ended(mut fact) = ended(&name, outcome, true) else { unreachable!() };
            (fact.attempts, fact.reclaims, fact.reclaimed_ms) = (attempts, reclaims, reclaimed_ms);
            scene.tell(Fact::Ended(fact));
            assert_eq!(times(&scene, &name), expected, "{outcome:?} {attempts}");
        }
    }

    #[test]
    fn clocks_that_disagree_take_nothing_away() {
        let (mut scene, name) = scene();
        seen(&mut scene, &name, LiveStatus::Running, 0);
        scene.now -= TimeDelta::hours(1);
        assert_eq!(times(&scene, &name), (0, 0));
    }
}
