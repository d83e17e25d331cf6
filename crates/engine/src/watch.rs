//! Steps until done.

use std::time::Duration;

use crate::advance::{Engine, Step};
use crate::book::BookError;

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
        loop {
            let step: Step = self.advance().await?;
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
            clock.sleep(left.map_or(pause, |left| pause.min(left))).await;
        }
    }
}

#[cfg(test)]
mod tests;
