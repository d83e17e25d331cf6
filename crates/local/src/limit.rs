//! The memory limit of a run: what its processes hold together, the most they held, and whether it is too much; and
//! the control groups by which the kernel does the same.

pub mod cgroup;
mod means;
mod place;

pub use means::{LimitMeans, Limits};

use crate::guard::processes::Memory;

/// The memory of one run; all amounts in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    limit: u64,
    page: u64,
    peak: Option<u64>,
}

impl Gauge {
    /// A gauge that has not measured anything. `page_kib` is the size of a page.
    pub fn new(limit_kib: u64, page_kib: u64) -> Self {
        Self { limit: limit_kib, page: page_kib, peak: None }
    }

    /// The most that was measured, in KiB.
    pub fn peak_kib(&self) -> Option<u64> {
        self.peak
    }

    /// Takes in one measurement of every process of the run; true when together they hold more than the limit.
    ///
    /// Pages of files and of shared memory are mostly the same ones in all processes of a run, so only the largest
    /// share counts. A page that a fork still shares with its parent counts twice: the kernel tells them apart only
    /// at a price too high for fifty measurements a second.
    pub fn measure(&mut self, processes: impl IntoIterator<Item = Memory>) -> bool {
        let (mut private, mut shared) = (0_u64, 0_u64);
        for memory in processes {
            private = private.saturating_add(memory.private);
            shared = shared.max(memory.shared);
        }
        let held = private.saturating_add(shared).saturating_mul(self.page);
        if held > 0 {
            self.peak = Some(self.peak.unwrap_or(0).max(held));
        }
        held > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(private: u64, shared: u64) -> Memory {
        Memory { private, shared }
    }

    #[test]
    fn private_pages_add_up_and_shared_ones_count_once() {
        let mut gauge = Gauge::new(400, 4);
        assert!(!gauge.measure([memory(50, 20), memory(30, 10)]));
        assert_eq!(gauge.peak_kib(), Some(400));
        assert!(gauge.measure([memory(50, 20), memory(31, 10)]));
        assert!(!gauge.measure([memory(1, 0)]));
        assert_eq!(gauge.peak_kib(), Some(404), "the peak stays");
    }

    #[test]
    fn a_run_that_was_never_seen_has_no_peak() {
        let mut gauge = Gauge::new(400, 4);
        assert!(!gauge.measure([]));
        assert_eq!(gauge.peak_kib(), None);
    }
}
