//! What the finished jobs of a ledger tell of memory.

use std::collections::BTreeSet;

use super::{Ledger, SliceRecord, Try, TryState};
use crate::fact::Outcome;
use crate::failure::FailureClass;
use crate::memory::Observation;

impl Ledger {
    /// What was seen of every load that has succeeded or was killed for its memory, one observation each.
    pub fn observations(&self) -> Vec<Observation> {
        self.slices.values().flat_map(observations).collect()
    }
}

fn observations(record: &SliceRecord) -> impl Iterator<Item = Observation> + '_ {
    let loads: BTreeSet<u32> = record.tries.iter().map(|t| t.intended.load).collect();
    loads.into_iter().filter_map(|load| {
        let of_load = || record.tries.iter().filter(move |t| t.intended.load == load);
        let killed = of_load().filter(|t| t.failure() == Some(FailureClass::OutOfMemory));
        let most = killed.max_by_key(|t| t.intended.memory_mib);
        match of_load().rfind(|t| t.state == TryState::Ended(Outcome::Succeeded)) {
            Some(t) => {
                let seen = succeeded(t);
                Some(most.map_or(seen, |killed| seen.after_kill_at(killed.intended.memory_mib)))
            }
            None => most.map(|t| {
                let job = &t.intended;
                Observation::killed(job.bytes, job.objects, job.memory_mib, minutes(t))
            }),
        }
    })
}

fn succeeded(t: &Try) -> Observation {
    let job = &t.intended;
    let peak = t.ended.as_ref().and_then(|e| e.peak_kib).map(|kib| kib as f64 / 1024.0);
    Observation::succeeded(job.bytes, job.objects, job.memory_mib, peak, minutes(t))
}

fn minutes(t: &Try) -> f64 {
    let times = t.ended.as_ref().and_then(|e| e.started_at.zip(e.stopped_at));
    times.map_or(0.0, |(started, stopped)| (stopped - started).num_milliseconds().max(0) as f64 / 60_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Fact;
    use crate::memory::Peak;
    use crate::testing::{Scene, ended, job, plan};

    /// The observations of a scene whose jobs ended so, in order of day.
    fn seen(ends: &[&[(FailureClass, Option<u64>)]]) -> Vec<Peak> {
        let jobs = (1..=ends.len() as u32).map(|of| job(of, 1, 0)).collect();
        let mut scene = Scene::of(plan(jobs));
        loop {
            let submitted = scene.intend();
            if submitted.is_empty() {
                break;
            }
            for intended in submitted {
                scene.accept(&intended.name);
                let day = chrono::Datelike::day(&intended.slice.partition().day());
                let end = ends[day as usize - 1].get(intended.r#try as usize - 1);
                // A class that is none stands for a success.
                let (outcome, peak) = match end {
                    Some((FailureClass::Lost, peak)) => (Outcome::Succeeded, *peak),
                    Some((class, peak)) => (Outcome::Failed(*class), *peak),
                    None => (Outcome::Succeeded, None),
                };
                let Fact::Ended(mut fact) = ended(&intended.name, outcome, true) else { unreachable!() };
                fact.peak_kib = peak;
                scene.tell(Fact::Ended(fact));
            }
            scene.settle();
        }
        scene.ledger.observations().into_iter().map(|o| o.peak).collect()
    }

    #[test]
    fn a_load_is_one_observation() {
        let success = |peak| (FailureClass::Lost, peak);
        let killed = (FailureClass::OutOfMemory, None);
        let peaks = seen(&[
            &[success(Some(64 * 1024))],
            &[success(None)],
            &[killed, success(None)],
            &[killed, killed, success(Some(400 * 1024))],
            &[killed, killed, killed],
            &[(FailureClass::App, None), (FailureClass::App, None)],
            &[success(Some(64))],
        ]);
        assert_eq!(peaks[..2], [Peak::Exact(64.0), Peak::AtMost(128)]);
        assert!(matches!(peaks[2], Peak::Between(128, _)), "{peaks:?}");
        // The job's own failure teaches nothing, and a peak off by a thousand is not believed.
        assert_eq!(peaks[3..], [Peak::Exact(400.0), Peak::AtLeast(512), Peak::AtMost(128)]);
    }
}
