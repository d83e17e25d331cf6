//! Jobs whose intents are stored, on their way to the queue: at the rate's pace, several under way at once.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dayfill_core::fact::{Fact, Intended};
use dayfill_core::job::Submission;
use dayfill_core::rate::Rate;
use futures::StreamExt;
use futures::future::{BoxFuture, Either, select};
use futures::stream::FuturesUnordered;

use crate::event::{Event, Reporter};
use crate::ports::{Clock, PortError, Queue, SendBy, Sent};

/// Submissions under way at once.
const AT_ONCE: usize = 16;

/// A job whose intent is stored.
struct Ready {
    intended: Intended,
    submission: Submission,
    send_by: SendBy,
    was_throttled: bool,
}

struct Answer {
    job: Ready,
    sent_at: Duration,
    sent: Sent,
}

/// Sends what it is given, and keeps what becomes of it until that is taken to be written down.
pub(super) struct Sender<'e> {
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    reporter: Arc<dyn Reporter>,
    rate: &'e mut Rate,
    waiting: VecDeque<Ready>,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
    facts: Vec<Fact>,
    /// More may follow: nothing was sent yet, or of what was given last something was accepted.
    gets_through: bool,
    refused: bool,
    /// The credentials were not taken.
    signed_out: Option<PortError>,
    /// The rate that was last told of.
    told: f64,
}

impl<'e> Sender<'e> {
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        reporter: Arc<dyn Reporter>,
        rate: &'e mut Rate,
    ) -> Self {
        Self {
            queue,
            clock,
            reporter,
            rate,
            waiting: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            facts: Vec::new(),
            gets_through: true,
            refused: false,
            signed_out: None,
            told: f64::INFINITY,
        }
    }

    /// How many jobs go in `span`; none where nothing gets through.
    pub(super) fn room(&self, span: Duration) -> usize {
        if self.gets_through && self.ended_by().is_none() { self.rate.within(span) } else { 0 }
    }

    /// Why none of the others is sent any more: what one was refused for, they would be refused for too.
    fn ended_by(&self) -> Option<&str> {
        let refused = self.refused.then_some("another job of the batch was refused");
        self.signed_out.as_ref().map(|error| error.what.as_str()).or(refused)
    }

    /// Whether a job was refused, once all is idle and written down; an error where the credentials were not taken.
    pub(super) fn end(self) -> Result<bool, PortError> {
        self.signed_out.map_or(Ok(self.refused), Err)
    }

    /// Nothing waits, and every answer was heard.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Jobs to send until `send_by`.
    pub(super) fn give(&mut self, batch: Vec<(Intended, Submission)>, send_by: &SendBy) {
        self.gets_through = false;
        let ready = |(intended, submission)| {
            let send_by = send_by.clone();
            Ready { intended, submission, send_by, was_throttled: false }
        };
        self.waiting.extend(batch.into_iter().map(ready));
        self.withdraw_if_ended();
    }

    /// What has become of jobs since it was last asked.
    pub(super) fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Facts that were taken and not written down.
    pub(super) fn put_back(&mut self, facts: Vec<Fact>) {
        self.facts.splice(0..0, facts);
    }

    /// Sends until no more than what goes in `span` waits for its turn.
    pub(super) async fn send_until_left(&mut self, span: Duration) {
        while self.waiting.len() > self.rate.within(span) {
            self.step().await;
        }
    }

    /// Sends all and hears every answer.
    pub(super) async fn finish(&mut self) {
        while !self.is_idle() {
            self.step().await;
        }
    }

    /// Sends on while something else is done.
    pub(super) async fn send_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        while !self.is_idle() {
            match select(work.as_mut(), pin!(self.step())).await {
                Either::Left((done, _)) => return done,
                Either::Right(((), _)) => {}
            }
        }
        work.await
    }

    /// Waits for a turn or for an answer, whichever comes first. Nothing is lost where it is dropped.
    async fn step(&mut self) {
        let has_room = !self.waiting.is_empty() && self.under_way.len() < AT_ONCE;
        // Answers are heard while the next one waits for its turn.
        let clock = self.clock.clone();
        let turn = clock.sleep(self.rate.wait(clock.monotonic()));
        let answer = match (has_room, self.under_way.is_empty()) {
            (true, true) => {
                turn.await;
                None
            }
            (true, false) => match select(turn, self.under_way.next()).await {
                Either::Left(((), _)) => None,
                Either::Right((answer, _)) => answer,
            },
            (false, _) => self.under_way.next().await,
        };
        match answer {
            Some(answer) => self.hear(answer),
            None => self.send_next(),
        }
    }

    fn send_next(&mut self) {
        // Whose time is up needs no turn: after a rate that fell, there may be many.
        while let Some(late) = self.waiting.pop_front_if(|job| job.send_by.is_past()) {
            self.facts.push(withdrawn_for_time(late));
        }
        let Some(job) = self.waiting.pop_front() else { return };
        let sent_at = self.clock.monotonic();
        self.rate.sent(sent_at);
        let queue = self.queue.clone();
        self.under_way.push(Box::pin(async move {
            let sent = queue.submit(&job.submission, &job.send_by).await;
            Answer { job, sent_at, sent }
        }));
    }

    fn hear(&mut self, answer: Answer) {
        let Answer { mut job, sent_at, sent } = answer;
        let now = self.clock.monotonic();
        match sent {
            Sent::Throttled => {
                if self.rate.throttled(sent_at, now) {
                    self.tell_rate();
                }
                job.was_throttled = true;
                // Before the others: it has waited for longer.
                self.waiting.push_front(job);
                self.withdraw_if_ended();
            }
            Sent::Accepted { job_id } => {
                self.rate.accepted(sent_at, now);
                self.gets_through = true;
                self.reporter.hear(Event::Submitted {
                    slice: job.intended.slice,
                    r#try: job.intended.r#try,
                    memory_mib: job.intended.memory_mib,
                    found: false,
                });
                self.facts.push(Fact::Accepted { name: job.intended.name, job_id, found: false });
            }
            Sent::Refused { why } => {
                let name = job.intended.name;
                self.reporter.hear(Event::Warning { what: format!("AWS Batch refused {name}: {why}") });
                self.refused = true;
                self.withdraw_if_ended();
                self.facts.push(Fact::Refused { name, why });
            }
            Sent::SignedOut { error } => {
                // None of them is to blame.
                self.facts.push(Fact::Withdrawn { name: job.intended.name, why: error.what.clone() });
                self.signed_out.get_or_insert(error);
                self.withdraw_if_ended();
            }
            Sent::NotSent { why } => self.facts.push(Fact::Withdrawn { name: job.intended.name, why }),
            Sent::Unknown { why } => {
                let what =
                    format!("it is not known whether it arrived ({why}); it is looked for by its name");
                self.reporter.hear(Event::Note { slice: job.intended.slice, what });
                self.facts.push(Fact::Unknown { name: job.intended.name, why });
            }
        }
    }

    fn withdraw_if_ended(&mut self) {
        let Some(why) = self.ended_by().map(str::to_owned) else { return };
        let withdrawn = |job: Ready| Fact::Withdrawn { name: job.intended.name, why: why.clone() };
        self.facts.extend(self.waiting.drain(..).map(withdrawn));
    }

    /// Refusals are how the rate is found, so only what slows it down for good is news to a person.
    fn tell_rate(&mut self) {
        let per_second = self.rate.per_second();
        if per_second < self.told * 0.9 {
            self.told = per_second;
            self.reporter.hear(Event::Throttled { per_second: per_second.ceil() as u64 });
        }
    }
}

fn withdrawn_for_time(job: Ready) -> Fact {
    let why =
        if job.was_throttled { "throttled until its time was up" } else { "its turn did not come in time" };
    Fact::Withdrawn { name: job.intended.name, why: why.to_owned() }
}
