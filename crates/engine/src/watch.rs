//! Steps until done.

use std::time::Duration;

use uuid::Uuid;

use crate::advance::{Engine, Step};
use crate::book::BookError;
use crate::event::Event;
use crate::ports::ErrorKind;

/// Steps in a row that may fail for want of an answer before a watch gives up. With the retries of the client and the
/// pauses between looks that is some ten minutes on AWS: a network that is gone for longer is a person's matter.
const MISSES: u32 = 5;

/// What a watch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Nothing is left to watch or to send.
    Finished,
    /// The time given was over; jobs go on.
    TimedOut,
}

impl Engine {
    /// Steps until nothing is left to watch or to send, or until `timeout` is over. It looks often while something
    /// changes, and less and less often while nothing does.
    ///
    /// A step for which a service gave no answer is tried again at the next look, since nothing is lost by it; only the
    /// first one fails at once, where a setting is more likely to be wrong than the network.
    pub async fn watch(
        &mut self,
        timeout: Option<Duration>,
        mut after_step: impl FnMut(&Engine) + Send,
    ) -> Result<Watched, BookError> {
        let clock = self.book.clock().clone();
        let end = timeout.map(|t| clock.monotonic() + t);
        let (shortest, longest) = self.queue.bounds().poll;
        let mut pause = shortest;
        let mut facts = 0;
        let mut silent = None;
        loop {
            let step: Step = match (self.advance().await, silent) {
                (Ok(step), _) => {
                    silent = Some(0);
                    step
                }
                (Err(error), Some(looks)) if looks < MISSES && may_pass(&error) => {
                    silent = Some(looks + 1);
                    self.reporter.hear(Event::Warning { what: format!("{error}; looking again") });
                    Step { finished: false, facts }
                }
                (Err(error), _) => return Err(error),
            };
            after_step(self);
            if step.finished {
                return Ok(Watched::Finished);
            }
            pause = if step.facts == facts { (pause * 3 / 2).min(longest) } else { shortest };
            facts = step.facts;
            let left = end.map(|end| end.saturating_sub(clock.monotonic()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Watched::TimedOut);
            }
            let pause = spread(pause);
            clock.sleep(left.map_or(pause, |left| pause.min(left))).await;
        }
    }
}

/// A tenth shorter or longer by chance: many who began to watch at once, from one CI schedule say, do not go on asking at
/// the same moments.
fn spread(pause: Duration) -> Duration {
    let (chance, ..) = Uuid::new_v4().as_fields();
    pause.mul_f64(0.9 + 0.2 * f64::from(chance) / f64::from(u32::MAX))
}

/// Whether the same question may have an answer later.
fn may_pass(error: &BookError) -> bool {
    matches!(error, BookError::Port(e) if matches!(e.kind, ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::Other))
}

#[cfg(test)]
mod tests;
