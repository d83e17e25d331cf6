//! What follows a try that came to its end.

use chrono::{DateTime, Utc};

use super::{AdoptedPlan, Decision, Learned, NextTry, Pace};
use crate::fact::Outcome;
use crate::failure::FailureClass;
use crate::job::Shape;
use crate::ledger::{Adoption, SliceRecord, Try, TryState};
use crate::memory::{Next, Rule, Why};
use crate::partition::SliceId;
use crate::spec::Idempotent;
use crate::split::{Most, NoCut};

/// A slice of which nothing runs, and the plan that says what becomes of it.
pub(super) struct After<'a> {
    pub slice: &'a SliceId,
    /// The last try of this load under this plan; one that we ended only where there is no other.
    pub last: &'a Try,
    /// All of them, oldest first. A new plan begins with none.
    pub tries: &'a [&'a Try],
    pub record: &'a SliceRecord,
    pub adoption: &'a Adoption,
    pub adopted: &'a AdoptedPlan,
    pub learned: &'a Learned<'a>,
    /// Why the next try goes to the fallback queue, if it does.
    pub queue_why: Option<String>,
}

impl After<'_> {
    pub(super) fn decide(&self, pace: Pace, now: DateTime<Utc>) -> Vec<Decision> {
        let class = match &self.last.state {
            TryState::Refused(why) => {
                let why = format!("AWS Batch refused {}: {why}", self.last.intended.name);
                return vec![Decision::StopBackfill { why }];
            }
            TryState::Withdrawn(_)
            | TryState::NeverArrived
            | TryState::Ended(Outcome::Failed(_))
            | TryState::Lost => self.last.failure(),
            TryState::Intended
            | TryState::Unknown(_)
            | TryState::Live(_)
            | TryState::Ended(Outcome::Succeeded) => {
                return Vec::new();
            }
        };
        let plan = self.adopted.plan();
        if !plan.reruns(self.slice)
            && let Some(class) = self.tries.iter().rev().find_map(|t| may_have_run(t))
        {
            let what = if self.slice.is_part() { "a part of a day" } else { "the job" };
            let kind = plan.job.idempotent.name();
            let why = format!("{class}, and {what} is not to run twice (idempotent: {kind})");
            return vec![Decision::AskPerson { why }];
        }
        match class {
            None => vec![self.again(self.same())],
            Some(FailureClass::Ended) if self.last.was_ended_by_us() => vec![self.again(self.same())],
            Some(FailureClass::Ended) => {
                let why = format!("somebody else ended job {}", self.last.intended.name);
                let class = FailureClass::Ended;
                vec![Decision::GiveUp { class, why: why.clone() }, Decision::StopBackfill { why }]
            }
            Some(class) => vec![self.failed(class, pace, now)],
        }
    }

    fn failed(&self, class: FailureClass, pace: Pace, now: DateTime<Utc>) -> Decision {
        let times = self.tries.iter().filter(|t| t.failure() == Some(class)).count();
        let retry = self.adopted.plan().retry;
        let same = self.same();
        let give_up = |why: String| Decision::GiveUp { class, why };
        match class {
            FailureClass::OutOfMemory | FailureClass::HostLost => self.again(same),
            FailureClass::KilledUnknown | FailureClass::Lost | FailureClass::Suspect if times == 1 => {
                self.again(same)
            }
            FailureClass::KilledUnknown => self.more_memory(same.memory_mib, class),
            // Not a part again: what hangs would hang in each of them.
            FailureClass::TimedOut if !self.slice.is_part() && self.why_whole().is_none() => {
                self.split(2, Rule::Line, "timed out, and what is smaller takes less time".to_owned())
            }
            FailureClass::TimedOut => match same.timeout_s {
                Some(timeout) if times == 1 => {
                    self.again(Shape { timeout_s: Some(timeout.saturating_mul(2)), ..same })
                }
                Some(_) => give_up("timed out again with twice the time".to_owned()),
                None => give_up("timed out, by the job definition's own timeout".to_owned()),
            },
            FailureClass::StartFailed if times as u32 <= retry.start => {
                let doublings = times.saturating_sub(1).min(10) as u32;
                let pause = pace.start_failure.checked_mul(2i32.pow(doublings));
                let due = pause.and_then(|pause| self.last.changed.stored_at.checked_add_signed(pause));
                if due.is_some_and(|due| due <= now) { self.again(same) } else { Decision::Wait }
            }
            FailureClass::StartFailed => give_up(format!("did not start {times} times")),
            FailureClass::App if times as u32 <= retry.app => self.again(same),
            FailureClass::App => give_up(format!("the job failed {times} times (retry.app: {})", retry.app)),
            FailureClass::Lost => give_up("vanished from AWS Batch twice".to_owned()),
            FailureClass::Suspect => {
                give_up("recorded as a success twice, and in doubt both times".to_owned())
            }
            FailureClass::Stuck => give_up("the queue ended it because it could not be placed".to_owned()),
            FailureClass::Ended => give_up("somebody else ended it".to_owned()),
        }
    }

    fn same(&self) -> Shape {
        let last = &self.last.intended;
        Shape {
            r#try: self.record.next_try(last.load),
            memory_mib: last.memory_mib,
            timeout_s: last.timeout_s,
            fallback: self.queue_why.is_some(),
        }
    }

    /// The same again, but never with as little memory as a try of this load was killed for: that need not be the
    /// last one, since an earlier one may have arrived late.
    fn again(&self, shape: Shape) -> Decision {
        let killed = self.tries.iter().filter(|t| t.failure() == Some(FailureClass::OutOfMemory));
        match killed.map(|t| t.intended.memory_mib).max() {
            Some(killed) if shape.memory_mib <= killed => self.more_memory(killed, FailureClass::OutOfMemory),
            _ => self.submit(shape, None),
        }
    }

    fn more_memory(&self, killed_mib: u64, class: FailureClass) -> Decision {
        let plan = self.adopted.plan();
        let (bytes, objects) = (self.last.intended.bytes, self.last.intended.objects);
        match self.learned.model().after_oom(killed_mib, bytes, objects, plan.job.memory, plan.platform()) {
            Next::Memory(request) => {
                self.submit(Shape { memory_mib: request.mib, ..self.same() }, Some(request.why))
            }
            Next::Split { parts, rule, why } => match self.why_whole() {
                None => self.split(parts, rule, why.to_string()),
                Some(whole) => {
                    Decision::GiveUp { class, why: format!("{why}, and it cannot be split: {whole}") }
                }
            },
            Next::GiveUp { why } => Decision::GiveUp { class, why: why.to_string() },
        }
    }

    fn split(&self, parts: u32, rule: Rule, why: String) -> Decision {
        let job = &self.last.intended;
        let share = |of: u64| Some(of.div_ceil(u64::from(parts)).max(1));
        let most = match rule {
            Rule::Objects => Most { bytes: None, objects: share(job.objects) },
            Rule::Flat | Rule::Line => Most { bytes: share(job.bytes), objects: None },
        };
        Decision::Split { plan: self.adoption.digest.clone(), most, why }
    }

    /// Why the slice cannot be cut, if it cannot, as far as that is known without its keys.
    fn why_whole(&self) -> Option<String> {
        let (plan, means) = (self.adopted.plan(), self.adopted.means());
        let by_hour = means.hours && !self.slice.is_part();
        match plan.job.idempotent {
            Idempotent::Slice => {}
            // It has started, so something of it may be loaded.
            kind => {
                return Some(format!(
                    "only `idempotent: slice` lets parts replace themselves, and it is {}",
                    kind.name()
                ));
            }
        }
        match &self.record.undivided {
            Some(why) => Some(why.clone()),
            None if self.last.intended.objects < 2 => Some(NoCut::OneObject.to_string()),
            None if by_hour || means.ranges => None,
            None if self.slice.hour().is_some() => Some(NoCut::OneHour.to_string()),
            None => Some(NoCut::Prefix.to_string()),
        }
    }

    fn submit(&self, shape: Shape, why: Option<Why>) -> Decision {
        Decision::Submit(NextTry {
            plan: self.adoption.digest.clone(),
            definition: self.adoption.definition.clone(),
            load: self.last.intended.load,
            shape,
            why,
            queue_why: self.queue_why.clone(),
        })
    }
}

/// The class of a failure that may have loaded something. Of a job that vanished nobody knows.
fn may_have_run(t: &Try) -> Option<FailureClass> {
    use FailureClass::{Ended, HostLost, StartFailed, Stuck};
    let class = t.failure()?;
    (t.has_started() || !matches!(class, HostLost | StartFailed | Ended | Stuck)).then_some(class)
}
