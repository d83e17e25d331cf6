//! What was paid for and came to nothing, by cause.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::View;
use crate::fact::Outcome;
use crate::failure::FailureClass;
use crate::ledger::{Try, TryState};
use crate::memory::{Observation, Peak};
use crate::spot::Experience;

/// What was lost for one cause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WasteRow {
    /// The cause. Hosts that were taken count as lost hosts whatever became of their jobs in the end.
    pub class: FailureClass,
    /// Jobs that lost time for it; one may have lost some for two causes.
    pub jobs: u64,
    /// Minutes that their attempts ran.
    pub lost_minutes: f64,
    /// Memory asked for × that time.
    pub lost_gib_hours: f64,
}

/// How often hosts were taken on one queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReclaimRow {
    /// The queue.
    pub queue: String,
    /// Attempts that ended with their host.
    pub reclaims: u64,
    /// Hours that attempts ran there.
    pub run_hours: f64,
    /// The one by the other; none where too few were seen to speak of a rate.
    pub reclaims_per_hour: Option<f64>,
    /// The same in words.
    #[serde(skip)]
    pub sentence: String,
}

/// What jobs that succeeded had asked for and not used, as far as their peaks are known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Unused {
    /// Jobs whose peaks are known.
    pub jobs: u64,
    /// Jobs that succeeded.
    pub of_jobs: u64,
    /// Memory asked for less the peak, × the time that the last attempt ran.
    pub unused_gib_hours: f64,
}

/// What was paid for and came to nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Waste {
    /// What was lost, by cause; causes for which nothing was lost are left out.
    pub causes: Vec<WasteRow>,
    /// Minutes lost, for all causes.
    pub lost_minutes: f64,
    /// Memory asked for × those.
    pub lost_gib_hours: f64,
    /// What was asked for and not used beside it.
    pub unused: Unused,
    /// Both together.
    pub total_gib_hours: f64,
}

impl View<'_> {
    /// How often hosts were taken, by queue; queues that took none are left out.
    pub fn reclaims(&self) -> Vec<ReclaimRow> {
        let experience = Experience::of(self.ledger, self.now);
        let taken = experience.exposures().filter(|(_, exposure)| exposure.reclaims > 0);
        taken
            .map(|(queue, exposure)| ReclaimRow {
                queue: queue.to_owned(),
                reclaims: exposure.reclaims,
                run_hours: minutes(exposure.ran) / 60.0,
                reclaims_per_hour: exposure.rate(),
                sentence: exposure.to_string(),
            })
            .collect()
    }

    /// What jobs ran for nothing, and what they had asked for beyond need.
    pub fn waste(&self) -> Waste {
        let mut lost = BTreeMap::<FailureClass, (u64, TimeDelta, f64)>::new();
        let mut unused = Unused::default();
        for t in self.ledger.slices().flat_map(|(_, r)| &r.tries) {
            let ran = t.ran_last(self.now);
            let mut times = BTreeMap::from([(FailureClass::HostLost, t.reclaimed())]);
            if let Some(class) = t.failure() {
                *times.entry(class).or_default() += ran;
            }
            let has_run = |class: FailureClass| t.failure() == Some(class) && t.has_started();
            times.retain(|class, time| *time > TimeDelta::zero() || has_run(*class));
            for (class, time) in times {
                let (jobs, sum, gib_hours) = lost.entry(class).or_default();
                *jobs += 1;
                *sum += time;
                *gib_hours += product(t.intended.memory_mib as f64, time);
            }
            if t.state == TryState::Ended(Outcome::Succeeded) {
                unused.of_jobs += 1;
                if let Some(spare) = spare_mib(t) {
                    unused.jobs += 1;
                    unused.unused_gib_hours += product(spare, ran);
                }
            }
        }
        let row = |(class, (jobs, time, lost_gib_hours))| WasteRow {
            class,
            jobs,
            lost_minutes: minutes(time),
            lost_gib_hours,
        };
        let causes: Vec<WasteRow> = lost.into_iter().map(row).collect();
        let lost_gib_hours: f64 = causes.iter().map(|row| row.lost_gib_hours).sum();
        Waste {
            lost_minutes: causes.iter().map(|row| row.lost_minutes).sum(),
            lost_gib_hours,
            total_gib_hours: lost_gib_hours + unused.unused_gib_hours,
            causes,
            unused,
        }
    }
}

/// What a job had asked for beyond its peak, where that is known and can be.
fn spare_mib(t: &Try) -> Option<f64> {
    let (job, peak) = (&t.intended, t.ended.as_ref()?.peak_kib? as f64 / 1024.0);
    match Observation::succeeded(job.bytes, job.objects, job.memory_mib, Some(peak), 0.0).peak {
        Peak::Exact(peak) => Some((job.memory_mib as f64 - peak).max(0.0)),
        Peak::AtMost(_) | Peak::AtLeast(_) | Peak::Between(..) => None,
    }
}

fn minutes(time: TimeDelta) -> f64 {
    time.num_milliseconds() as f64 / 60_000.0
}

/// MiB × time, in GiB-hours.
fn product(mib: f64, time: TimeDelta) -> f64 {
    mib / 1024.0 * minutes(time) / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Ended, Fact, LiveStatus};
    use crate::job::JobName;
    use crate::testing::{Scene, ended, job, plan};

    fn scene(days: u32) -> (Scene, Vec<JobName>) {
        let mut scene = Scene::of(plan((1..=days).map(|of| job(of, 1, 0)).collect()));
        let names = scene.submit();
        (scene, names)
    }

    /// An end after a minute at 128 MiB, changed like this.
    fn end(scene: &mut Scene, name: &JobName, outcome: Outcome, change: impl FnOnce(&mut Ended)) {
        let Fact::Ended(mut fact) = ended(name, outcome, true) else { unreachable!() };
        change(&mut fact);
        scene.tell(Fact::Ended(fact));
    }

    fn waste(scene: &Scene) -> Waste {
        View { ledger: &scene.ledger, plan: None, now: scene.now }.waste()
    }

    /// Cause, jobs, seconds, MiB × seconds.
    fn causes(scene: &Scene) -> Vec<(FailureClass, u64, i64, i64)> {
        let whole = |number: f64| number.round() as i64;
        let row = |r: WasteRow| {
            let mib_seconds = r.lost_gib_hours * 1024.0 * 3600.0;
            (r.class, r.jobs, whole(r.lost_minutes * 60.0), whole(mib_seconds))
        };
        waste(scene).causes.into_iter().map(row).collect()
    }

    #[test]
    fn what_failed_has_cost_its_time_and_memory() {
        use FailureClass::{App, HostLost, OutOfMemory};
        let (mut scene, names) = scene(4);
        assert_eq!(waste(&scene), Waste::default());
        end(&mut scene, &names[0], Outcome::Failed(OutOfMemory), |_| {});
        // It is sent again with more, and killed again.
        let larger = scene.submit_one();
        end(&mut scene, &larger.name, Outcome::Failed(OutOfMemory), |_| {});
        end(&mut scene, &names[1], Outcome::Failed(App), |e| e.started_at = None);
        assert_eq!(causes(&scene), [(OutOfMemory, 2, 120, 60 * (128 + larger.memory_mib as i64))]);
        // Two hosts were taken, and the third attempt succeeded; another has lost all of its hosts.
        end(&mut scene, &names[2], Outcome::Succeeded, |e| {
            (e.attempts, e.reclaims, e.reclaimed_ms) = (3, 2, 50_000);
        });
        end(&mut scene, &names[3], Outcome::Failed(HostLost), |e| {
            (e.attempts, e.reclaims, e.reclaimed_ms) = (2, 2, 70_000);
        });
        assert_eq!(causes(&scene)[1], (HostLost, 2, 120, 120 * 128));
        let view = View { ledger: &scene.ledger, plan: None, now: scene.now };
        let reclaims = view.reclaims();
        assert_eq!((reclaims.len(), reclaims[0].queue.as_str(), reclaims[0].reclaims), (1, "spot", 4));
        // Beside the minutes that were reclaimed, those of the two kills and of the success.
        assert!((reclaims[0].run_hours - 5.0 / 60.0).abs() < 1e-9, "{reclaims:?}");
        assert_eq!(reclaims[0].sentence, "48.00 reclaims an hour: 4 in 5m");
        let waste = waste(&scene);
        assert!((waste.lost_minutes - 4.0).abs() < 1e-9, "{waste:?}");
        let sum: f64 = waste.causes.iter().map(|row| row.lost_gib_hours).sum();
        assert!((waste.lost_gib_hours - sum).abs() < 1e-12 && sum > 0.0, "{waste:?}");
    }

    #[test]
    fn one_job_may_lose_time_for_two_causes() {
        use FailureClass::{App, HostLost};
        let (mut scene, names) = scene(1);
        end(&mut scene, &names[0], Outcome::Failed(App), |e| {
            (e.attempts, e.reclaims, e.reclaimed_ms) = (2, 1, 30_000);
        });
        assert_eq!(causes(&scene), [(HostLost, 1, 30, 30 * 128), (App, 1, 60, 60 * 128)]);
    }

    #[test]
    fn hosts_that_a_live_job_has_lost_count_by_what_was_seen() {
        let (mut scene, names) = scene(1);
        let name = &names[0];
        scene.run(name);
        assert_eq!(causes(&scene), [], "what runs is not lost");
        scene.tell(Fact::Seen {
            name: name.clone(),
            status: LiveStatus::Runnable,
            reason: None,
            reclaims: 1,
        });
        assert_eq!(causes(&scene), [(FailureClass::HostLost, 1, 1, 128)]);
    }

    #[test]
    fn what_successes_did_not_use_is_told_where_peaks_are_known() {
        let (mut scene, names) = scene(4);
        end(&mut scene, &names[0], Outcome::Succeeded, |e| e.peak_kib = Some(28 * 1024));
        // Off by a thousand: what was measured is not believed.
        end(&mut scene, &names[3], Outcome::Succeeded, |e| e.peak_kib = Some(28));
        // More than was asked for: limits are not always exact.
        end(&mut scene, &names[1], Outcome::Succeeded, |e| e.peak_kib = Some(130 * 1024));
        end(&mut scene, &names[2], Outcome::Succeeded, |_| {});
        let waste = waste(&scene);
        assert_eq!((waste.unused.jobs, waste.unused.of_jobs), (2, 4));
        let mib_minutes = waste.unused.unused_gib_hours * 1024.0 * 60.0;
        assert!((mib_minutes - 100.0).abs() < 1e-9, "{mib_minutes}");
        assert!(waste.causes.is_empty());
        assert!((waste.total_gib_hours - waste.unused.unused_gib_hours).abs() < f64::EPSILON);
    }
}
