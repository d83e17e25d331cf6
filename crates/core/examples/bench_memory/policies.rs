//! Who competes.

mod baselines;

use std::collections::BTreeMap;

use dayfill_core::memory::{Model, Next, Observation, Platform};
use dayfill_core::spec::MemoryBounds;

use crate::trace::Task;
use crate::{CAP_MIB, START_MIB};

/// Says how much memory tasks ask for, in MiB; asked only once three tasks have succeeded. What it says is rounded
/// up and capped, and where that is no more than what failed, it is twice what failed.
pub trait Policy {
    /// For a task that has not run.
    fn first(&mut self, task: &Task) -> f64;

    /// For one that was killed with `failed` MiB.
    fn again(&mut self, _task: &Task, failed: u64) -> f64 {
        2.0 * failed as f64
    }

    /// A task has succeeded with `asked` MiB.
    fn succeeded(&mut self, place: usize, task: &Task, asked: u64);

    /// A task was killed with `asked` MiB.
    fn killed(&mut self, _place: usize, _task: &Task, _asked: u64) {}
}

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Doubling,
    P95,
    Tovar,
    Witt,
    Ponder,
    Largest,
    Dayfill,
    /// Where Batch is all that tells: no peaks, only what sufficed and what did not.
    DayfillUntold,
}

impl Name {
    pub const ALL: [Self; 8] = [
        Self::Doubling,
        Self::P95,
        Self::Tovar,
        Self::Witt,
        Self::Ponder,
        Self::Largest,
        Self::Dayfill,
        Self::DayfillUntold,
    ];

    /// Ours, with all that others are told, or less.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Dayfill | Self::DayfillUntold)
    }

    pub fn show(self) -> &'static str {
        match self {
            Self::Doubling => "doubling from 2 GiB",
            Self::P95 => "p95 of what was seen",
            Self::Tovar => "Tovar first allocation",
            Self::Witt => "Witt: line + largest",
            Self::Ponder => "Ponder",
            Self::Largest => "1.1 x the largest seen",
            Self::Dayfill => "dayfill",
            Self::DayfillUntold => "dayfill, told no peaks",
        }
    }

    pub fn policy(self) -> Box<dyn Policy> {
        match self {
            Self::Doubling => Box::new(baselines::Doubling),
            Self::P95 => Box::<baselines::P95>::default(),
            Self::Tovar => Box::<baselines::Tovar>::default(),
            Self::Witt => Box::<baselines::Witt>::default(),
            Self::Ponder => Box::<baselines::Ponder>::default(),
            Self::Largest => Box::<baselines::Largest>::default(),
            Self::Dayfill => Box::<Dayfill>::default(),
            Self::DayfillUntold => Box::new(Dayfill { untold: true, ..Dayfill::default() }),
        }
    }
}

/// `dayfill_core::memory`, as it is.
#[derive(Default)]
struct Dayfill {
    untold: bool,
    seen: Vec<Observation>,
    /// Where in `seen` a task is.
    places: BTreeMap<usize, usize>,
    model: Model,
    /// What was seen since `model` was fitted.
    news: usize,
}

const BOUNDS: MemoryBounds = MemoryBounds { start_mib: START_MIB, max_mib: CAP_MIB };

impl Dayfill {
    fn model(&mut self) -> &Model {
        // With every new job, but by halves of a percent where there are so many that one says little.
        if self.news > self.seen.len() / 200 {
            self.model = Model::fit(&self.seen);
            self.news = 0;
        }
        &self.model
    }

    fn learn(&mut self, place: usize, observation: Observation) {
        self.news += 1;
        if let Some(seen) = self.places.get(&place).and_then(|i| self.seen.get_mut(*i)) {
            *seen = observation.after_kill_at(seen.asked_mib);
        } else {
            self.places.insert(place, self.seen.len());
            self.seen.push(observation);
        }
    }
}

impl Policy for Dayfill {
    fn first(&mut self, task: &Task) -> f64 {
        self.model().request(task.bytes, task.objects, BOUNDS, Platform::Ec2).mib as f64
    }

    fn again(&mut self, task: &Task, failed: u64) -> f64 {
        match self.model().after_oom(failed, task.bytes, task.objects, BOUNDS, Platform::Ec2) {
            Next::Memory(request) => request.mib as f64,
            // No trace has a task over the cap, so none is killed there.
            Next::Split { .. } | Next::GiveUp { .. } => CAP_MIB as f64,
        }
    }

    fn succeeded(&mut self, place: usize, task: &Task, asked: u64) {
        let Task { bytes, objects, peak_mib, minutes } = *task;
        let told = (!self.untold).then_some(peak_mib);
        self.learn(place, Observation::succeeded(bytes, objects, asked, told, minutes));
    }

    fn killed(&mut self, place: usize, task: &Task, asked: u64) {
        self.learn(place, Observation::killed(task.bytes, task.objects, asked, task.minutes));
    }
}
