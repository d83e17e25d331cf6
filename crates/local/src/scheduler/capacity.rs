//! What compute environments have, and what jobs ask for.

use serde::{Deserialize, Serialize};

/// An amount of resources: what a job asks for, or what an environment has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Thousandths of a vCPU.
    pub milli_vcpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// GPUs.
    pub gpus: u64,
}

impl Capacity {
    /// Whether `demand` fits into this amount.
    pub fn holds(self, demand: Self) -> bool {
        demand.milli_vcpus <= self.milli_vcpus
            && demand.memory_mib <= self.memory_mib
            && demand.gpus <= self.gpus
    }

    fn plus(self, other: Self) -> Self {
        Self {
            milli_vcpus: self.milli_vcpus.saturating_add(other.milli_vcpus),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            milli_vcpus: self.milli_vcpus.saturating_sub(other.milli_vcpus),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
            gpus: self.gpus.saturating_sub(other.gpus),
        }
    }
}

/// An amount of which a part is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool {
    /// All of it.
    pub total: Capacity,
    /// What jobs hold.
    pub used: Capacity,
}

impl Pool {
    /// A pool of which nothing is in use.
    pub fn new(total: Capacity) -> Self {
        Self { total, used: Capacity::default() }
    }

    /// Whether `demand` fits beside what is in use.
    pub fn has_room(&self, demand: Capacity) -> bool {
        self.total.minus(self.used).holds(demand)
    }

    pub(super) fn take(&mut self, demand: Capacity) {
        self.used = self.used.plus(demand);
    }

    pub(super) fn give_back(&mut self, demand: Capacity) {
        self.used = self.used.minus(demand);
    }
}

/// A compute environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment {
    /// Its resources.
    pub pool: Pool,
    /// Whether jobs may be placed in it.
    pub enabled: bool,
}

/// A job queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Queues of a higher number are served first.
    pub priority: i32,
    /// Names of its environments, in the order in which they are tried.
    pub environments: Vec<String>,
}
