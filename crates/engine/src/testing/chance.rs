//! Where things go wrong: at a point that is counted to, or at random from a seed.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::lock;

/// Seeded random numbers (SplitMix64).
pub(crate) struct Chance(Option<Mutex<u64>>);

impl Chance {
    /// Nothing ever happens.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Some(Mutex::new(seed)))
    }

    /// A number below `bound`; 0 without a seed.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let Some(state) = &self.0 else { return 0 };
        let mut state = lock(state);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// Happens once in `times`; never without a seed.
    pub(crate) fn once_in(&self, times: u64) -> bool {
        self.0.is_some() && self.below(times) == 0
    }

    /// A call takes its time, now and then a long time.
    pub(crate) async fn delay(&self) {
        if self.0.is_some() {
            let millis = if self.once_in(60) { self.below(90_000) } else { self.below(300) };
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

/// A crash at the n-th point that is passed: whoever comes there never returns, and the test is told.
#[derive(Default)]
pub(crate) struct Crash {
    left: Mutex<Option<u32>>,
    reached: Notify,
}

impl Crash {
    /// Crashes after `points` more points.
    pub(crate) fn after(&self, points: u32) {
        *lock(&self.left) = Some(points);
    }

    /// No crash any more. Returns whether one was still to come.
    pub(crate) fn disarm(&self) -> bool {
        lock(&self.left).take().is_some()
    }

    /// A place where a process may be killed.
    pub(crate) async fn point(&self) {
        let crashes = {
            let mut left = lock(&self.left);
            match *left {
                Some(0) => true,
                Some(n) => {
                    *left = Some(n - 1);
                    false
                }
                None => false,
            }
        };
        if crashes {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` until it ends or crashes.
    pub(crate) async fn survived<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.reached.notified() => None,
            done = work => Some(done),
        }
    }
}
