//! The clients beside dayfill: what one would write in an afternoon.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dayfill_aws::BatchQueue;
use dayfill_core::job::Submission;
use dayfill_engine::adapters::SystemClock;
use dayfill_engine::ports::{Queue, SendBy, Sent};
use tokio::task::JoinSet;

/// As many as dayfill has.
const AT_ONCE: usize = 16;

/// When to send.
pub trait Pace {
    /// Requests a second at this moment; none: as fast as answers come.
    fn per_second(&mut self, now: Duration) -> Option<f64>;

    /// The request that was sent at `sent` was refused.
    fn throttled(&mut self, sent: Duration, now: Duration);
}

/// As fast as answers come; what is refused is sent again at once.
pub struct Naive;

impl Pace for Naive {
    fn per_second(&mut self, _: Duration) -> Option<f64> {
        None
    }

    fn throttled(&mut self, _: Duration, _: Duration) {}
}

/// Always the same.
pub struct Fixed(pub f64);

impl Pace for Fixed {
    fn per_second(&mut self, _: Duration) -> Option<f64> {
        Some(self.0)
    }

    fn throttled(&mut self, _: Duration, _: Duration) {}
}

/// One a second more every second, and half of it when it is refused; refusals of requests that were under way
/// together halve it once. From ten a second on, to fifty at most, as dayfill.
pub struct Halving {
    per_second: f64,
    raised: Duration,
    halved: Duration,
}

impl Halving {
    pub fn new() -> Self {
        Self { per_second: 10.0, raised: Duration::ZERO, halved: Duration::ZERO }
    }
}

impl Pace for Halving {
    fn per_second(&mut self, now: Duration) -> Option<f64> {
        self.per_second = (self.per_second + now.saturating_sub(self.raised).as_secs_f64()).min(50.0);
        self.raised = now;
        Some(self.per_second)
    }

    fn throttled(&mut self, sent: Duration, now: Duration) {
        if sent >= self.halved {
            self.per_second = (self.per_second / 2.0).max(1.0);
            self.halved = now;
        }
    }
}

/// Submits all; returns how many were neither accepted nor merely throttled. Turns are kept to a schedule, so that a
/// late timer makes nobody slower.
pub async fn submit_all(
    queue: &BatchQueue,
    jobs: Vec<Submission>,
    mut pace: impl Pace,
    began: Instant,
) -> usize {
    let mut waiting: VecDeque<Submission> = jobs.into();
    let mut under_way = JoinSet::new();
    let mut wrong = 0;
    let mut due = Duration::ZERO;
    while !waiting.is_empty() || !under_way.is_empty() {
        let now = began.elapsed();
        if under_way.len() < AT_ONCE
            && due <= now
            && let Some(job) = waiting.pop_front()
        {
            let queue = queue.clone();
            under_way.spawn(async move {
                let send_by = SendBy::starting_now(Arc::new(SystemClock::new()), Duration::from_mins(1));
                let sent = queue.submit(&job, &send_by).await;
                (job, now, sent)
            });
            let interval = pace.per_second(now).map_or(0.0, |per_second| 1.0 / per_second);
            due = due.max(now.saturating_sub(Duration::from_millis(25))) + Duration::from_secs_f64(interval);
            continue;
        }
        let has_room = !waiting.is_empty() && under_way.len() < AT_ONCE;
        tokio::select! {
            Some(answer) = under_way.join_next() => match answer {
                Ok((_, _, Sent::Accepted { .. })) => {}
                Ok((job, sent, Sent::Throttled)) => {
                    pace.throttled(sent, began.elapsed());
                    waiting.push_front(job);
                }
                _ => wrong += 1,
            },
            () = tokio::time::sleep(due.saturating_sub(now)), if has_room => {}
        }
    }
    wrong
}
