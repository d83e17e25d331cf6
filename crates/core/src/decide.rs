//! What to do next about each slice: state + policy + now → decisions.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use crate::fact::{LiveStatus, Outcome};
use crate::failure::FailureClass;
use crate::job::{JobName, Shape};
use crate::ledger::{Adoption, Ledger, SliceRecord, Standing, Try, TryState};
use crate::memory;
use crate::partition::SliceId;
use crate::plan::{Plan, PlanDigest, PlannedJob};
use crate::spec::{Idempotent, StopAfter};

/// An adopted plan, with its jobs by slice.
#[derive(Debug, Clone)]
pub struct AdoptedPlan {
    plan: Plan,
    jobs: HashMap<SliceId, usize>,
}

impl AdoptedPlan {
    /// Indexes the jobs of a plan.
    pub fn new(plan: Plan) -> Self {
        let jobs = plan.jobs.iter().enumerate().map(|(i, j)| (j.slice.clone(), i)).collect();
        Self { plan, jobs }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The job of this slice.
    pub fn job(&self, slice: &SliceId) -> Option<&PlannedJob> {
        self.plan.jobs.get(*self.jobs.get(slice)?)
    }
}

/// The adopted plans that are still worked off, by digest.
pub type Plans = BTreeMap<PlanDigest, AdoptedPlan>;

/// How long to wait before a job that did not start is sent again; doubled with every further failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub start_failure: TimeDelta,
}

/// The next try of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTry {
    /// The plan that asks for it.
    pub plan: PlanDigest,
    /// `name:revision` of the job definition.
    pub definition: String,
    /// Which load.
    pub load: u32,
    /// Number, memory, timeout.
    pub shape: Shape,
}

/// What to do about a slice.
#[must_use = "a decision that is dropped is a day that never loads"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing now.
    Wait,
    /// A further job.
    Submit(NextTry),
    /// Ask Batch to end this job.
    Terminate {
        /// Which.
        job: JobName,
        /// What Batch is told.
        why: String,
    },
    /// No further job.
    GiveUp {
        /// Class of the last failure.
        class: FailureClass,
        /// In words.
        why: String,
    },
    /// Submit nothing more for any slice.
    StopBackfill {
        /// In words.
        why: String,
    },
    /// Only a person can say.
    AskPerson {
        /// In words.
        why: String,
    },
    /// Two jobs of one load exist; this one is kept, where one could be chosen.
    Doubled {
        /// The one that is kept.
        kept: Option<JobName>,
    },
}

/// Decides about every slice that is not settled, in order of slice: first what is under way, then, in the order of
/// the newest plan, what was never sent. No more is submitted than `limits.in_flight` of the newest plan allows.
pub fn decide(ledger: &Ledger, plans: &Plans, pace: Pace, now: DateTime<Utc>) -> Vec<(SliceId, Decision)> {
    let mut all = Vec::new();
    for (slice, record) in ledger.slices() {
        all.extend(about(slice, record, ledger, plans, pace, now).into_iter().map(|d| (slice.clone(), d)));
    }
    let newest = ledger.adopted().and_then(|a| Some((a, plans.get(&a.digest)?)));
    if let Some((adoption, adopted)) = newest {
        for job in adopted.plan.jobs.iter().filter(|j| ledger.slice(&j.slice).is_none()) {
            all.push((job.slice.clone(), Decision::Submit(first(adoption, adopted, job, None))));
        }
        brake(&mut all, ledger, adopted);
    }
    let live = ledger.live().count();
    let room = newest.map_or(usize::MAX, |(_, p)| p.plan.limits.in_flight as usize).saturating_sub(live);
    admit(all, room, ledger.stopped().is_some())
}

/// Keeps as many submissions as there is room for; none at all once the backfill is stopped, be it just now.
fn admit(decisions: Vec<(SliceId, Decision)>, room: usize, stopped: bool) -> Vec<(SliceId, Decision)> {
    let stopped = stopped || decisions.iter().any(|(_, d)| matches!(d, Decision::StopBackfill { .. }));
    let mut room = if stopped { 0 } else { room };
    let mut admitted = Vec::with_capacity(decisions.len());
    for (slice, decision) in decisions {
        let decision = match decision {
            Decision::Submit(_) if room == 0 => Decision::Wait,
            Decision::Submit(next) => {
                room -= 1;
                Decision::Submit(next)
            }
            other => other,
        };
        admitted.push((slice, decision));
    }
    admitted
}

/// The circuit breaker, and the stop where nothing at all starts.
fn brake(decisions: &mut Vec<(SliceId, Decision)>, ledger: &Ledger, adopted: &AdoptedPlan) {
    if ledger.stopped().is_some() {
        return;
    }
    let giving_up = decisions.iter().filter(|(_, d)| matches!(d, Decision::GiveUp { .. })).count();
    let given_up = ledger.given_up_since_adoption() + giving_up;
    let jobs = adopted.plan.jobs.len();
    let bound = match adopted.plan.limits.stop_after {
        None => usize::MAX,
        Some(StopAfter::Count(count)) => count as usize,
        Some(StopAfter::Percent(percent)) => ((jobs as f64 * percent / 100.0).ceil() as usize).max(1),
    };
    let failed_to_start = |r: &SliceRecord| {
        r.tries.last().is_some_and(|t| t.state == TryState::Ended(Outcome::Failed(FailureClass::StartFailed)))
    };
    let idle = ledger.slices().filter(|(_, r)| failed_to_start(r)).count();
    let any_started = ledger.slices().any(|(_, r)| r.tries.iter().any(Try::has_started));
    let why = if giving_up > 0 && given_up >= bound {
        format!("{given_up} of {jobs} days were given up, and limits.stop_after allows fewer")
    } else if idle >= 3 && !any_started {
        format!("none of the first {idle} jobs started: look at the image, the command and the roles")
    } else {
        return;
    };
    if let Some((slice, _)) = decisions.first().cloned() {
        decisions.push((slice, Decision::StopBackfill { why }));
    }
}

fn about(
    slice: &SliceId,
    record: &SliceRecord,
    ledger: &Ledger,
    plans: &Plans,
    pace: Pace,
    now: DateTime<Utc>,
) -> Vec<Decision> {
    let mut live = record.live().peekable();
    if live.peek().is_some() {
        let mut decisions = doubled(record);
        decisions.extend(live.filter_map(|t| terminate(record, t)));
        if decisions.is_empty() {
            decisions.push(Decision::Wait);
        }
        return decisions;
    }
    let Some((adoption, adopted, job)) = governing(slice, record, ledger, plans) else { return Vec::new() };
    let tries: Vec<&Try> = record
        .tries
        .iter()
        .filter(|t| t.intended.plan == adoption.digest && t.intended.load == job.load)
        .collect();
    match tries.last() {
        None => vec![Decision::Submit(first(adoption, adopted, job, Some(record)))],
        Some(last) => after(last, &tries, record, adoption, adopted, pace, now),
    }
}

/// The plan that says what becomes of a slice: the newest one where it takes the slice up anew, else the one that
/// its last job came from.
fn governing<'a>(
    slice: &SliceId,
    record: &SliceRecord,
    ledger: &'a Ledger,
    plans: &'a Plans,
) -> Option<(&'a Adoption, &'a AdoptedPlan, &'a PlannedJob)> {
    let newest = ledger.adopted()?;
    let find = |adoption: &'a Adoption| {
        let adopted = plans.get(&adoption.digest)?;
        let job = adopted.job(slice).filter(|j| j.load == record.next_load())?;
        Some((adoption, adopted, job))
    };
    let free = match &record.verdict {
        Some(verdict) => verdict.stamp().segment < newest.stamp.segment,
        None => record.standing() == Standing::New,
    };
    let taken_up = if free { find(newest) } else { None };
    if taken_up.is_some() || record.verdict.is_some() {
        return taken_up;
    }
    find(ledger.adoption(&record.tries.last()?.intended.plan)?)
}

fn first(adoption: &Adoption, adopted: &AdoptedPlan, job: &PlannedJob, record: Option<&SliceRecord>) -> NextTry {
    let shape = Shape {
        r#try: record.map_or(1, |r| r.next_try(job.load)),
        memory_mib: job.memory_mib,
        timeout_s: adopted.plan.job.timeout_s,
    };
    NextTry { plan: adoption.digest.clone(), definition: adoption.definition.clone(), load: job.load, shape }
}

/// Two accepted jobs of one load: the one that succeeded is kept, else the one that started, else the oldest; what
/// has not started is terminated. Two that started are a person's matter.
fn doubled(record: &SliceRecord) -> Vec<Decision> {
    let Some(load) = record.live().map(|t| t.intended.load).max() else { return Vec::new() };
    let accepted: Vec<&Try> = record
        .tries
        .iter()
        .filter(|t| t.intended.load == load && t.job_id.is_some())
        .filter(|t| t.is_live() || t.state == TryState::Ended(Outcome::Succeeded))
        .collect();
    let ending = |t: &&&Try| t.is_live() && t.ending.is_none();
    if accepted.len() < 2 || accepted.iter().filter(ending).count() == 0 {
        return Vec::new();
    }
    let started: Vec<&&Try> = accepted.iter().filter(|t| t.has_started()).collect();
    let succeeded = accepted.iter().find(|t| t.state == TryState::Ended(Outcome::Succeeded));
    let kept = succeeded.or_else(|| started.first().copied()).or_else(|| accepted.first());
    let mut decisions = Vec::new();
    if record.doubled == 0 {
        let clear = started.len() < 2 || succeeded.is_some();
        decisions.push(Decision::Doubled { kept: kept.filter(|_| clear).map(|t| t.intended.name.clone()) });
    }
    let superfluous = accepted.iter().filter(|t| t.is_live() && !t.has_started() && t.ending.is_none());
    decisions.extend(superfluous.filter(|t| Some(t) != kept.as_ref()).map(|t| Decision::Terminate {
        job: t.intended.name.clone(),
        why: "dayfill: another job of this slice exists".to_owned(),
    }));
    if started.len() > 1 && record.doubled == 0 {
        let names: Vec<&str> = started.iter().map(|t| t.intended.name.as_str()).collect();
        decisions.push(Decision::AskPerson { why: format!("two jobs of it have started: {}", names.join(" and ")) });
    }
    decisions
}

fn terminate(record: &SliceRecord, t: &Try) -> Option<Decision> {
    t.job_id.as_ref()?;
    // Asked again at every step until the end is seen: a request that was lost would otherwise never be repeated.
    let why = t.ending.as_ref().or(record.cancelled.as_ref())?;
    Some(Decision::Terminate { job: t.intended.name.clone(), why: why.clone() })
}

fn after(
    last: &Try,
    tries: &[&Try],
    record: &SliceRecord,
    adoption: &Adoption,
    adopted: &AdoptedPlan,
    pace: Pace,
    now: DateTime<Utc>,
) -> Vec<Decision> {
    let class = match &last.state {
        TryState::Refused(why) => {
            return vec![Decision::StopBackfill { why: format!("AWS Batch refused {}: {why}", last.intended.name) }];
        }
        TryState::Withdrawn(_) | TryState::NeverArrived => None,
        TryState::Ended(Outcome::Failed(class)) => Some(*class),
        TryState::Lost => Some(FailureClass::Lost),
        TryState::Intended | TryState::Unknown(_) | TryState::Live(_) | TryState::Ended(Outcome::Succeeded) => {
            return Vec::new();
        }
    };
    let same = Shape {
        r#try: record.next_try(last.intended.load),
        memory_mib: last.intended.memory_mib,
        timeout_s: last.intended.timeout_s,
    };
    let again = |shape: Shape| {
        Decision::Submit(NextTry {
            plan: adoption.digest.clone(),
            definition: adoption.definition.clone(),
            load: last.intended.load,
            shape,
        })
    };
    let Some(class) = class else { return vec![again(same)] };
    let never_ran = !last.has_started() && matches!(class, FailureClass::HostLost | FailureClass::StartFailed);
    if adopted.plan.job.idempotent == Idempotent::No && !never_ran {
        return vec![Decision::AskPerson { why: format!("{class}, and the job is not to run twice (idempotent: no)") }];
    }
    let times = tries.iter().filter(|t| failed_as(t) == Some(class)).count();
    let give_up = |why: String| Decision::GiveUp { class, why };
    let plan = &adopted.plan;
    let more_memory = || match memory::after_oom(same.memory_mib, plan.job.memory) {
        Some(memory_mib) => again(Shape { memory_mib, ..same }),
        None => give_up(format!("killed at {} MiB, and memory.max is {} MiB", same.memory_mib, plan.job.memory.max_mib)),
    };
    vec![match class {
        FailureClass::OutOfMemory => more_memory(),
        FailureClass::KilledUnknown if times == 1 => again(same),
        FailureClass::KilledUnknown => more_memory(),
        FailureClass::HostLost => again(same),
        FailureClass::TimedOut => match same.timeout_s {
            Some(timeout) if times == 1 => again(Shape { timeout_s: Some(timeout.saturating_mul(2)), ..same }),
            _ => give_up("timed out again with twice the time".to_owned()),
        },
        FailureClass::StartFailed if times as u32 <= plan.retry.start => {
            let doublings = times.saturating_sub(1).min(10) as u32;
            let due = last.changed.stored_at + pace.start_failure * 2i32.pow(doublings);
            if due <= now { again(same) } else { Decision::Wait }
        }
        FailureClass::StartFailed => give_up(format!("did not start {times} times")),
        FailureClass::App if times as u32 <= plan.retry.app => again(same),
        FailureClass::App => give_up(format!("the job failed {times} times (retry.app: {})", plan.retry.app)),
        FailureClass::Lost if times == 1 => again(same),
        FailureClass::Lost => give_up("vanished from AWS Batch twice".to_owned()),
        FailureClass::Stuck => give_up("the queue ended it because it could not be placed".to_owned()),
        FailureClass::Ended => {
            let why = format!("somebody else ended job {}", last.intended.name);
            return vec![give_up(why.clone()), Decision::StopBackfill { why }];
        }
    }]
}

fn failed_as(t: &Try) -> Option<FailureClass> {
    match t.state {
        TryState::Ended(Outcome::Failed(class)) => Some(class),
        TryState::Lost => Some(FailureClass::Lost),
        _ => None,
    }
}

/// Whether anything is left to watch or to send: live jobs, or decisions that will lead to one.
pub fn is_finished(ledger: &Ledger, decisions: &[(SliceId, Decision)]) -> bool {
    let stopped = ledger.stopped().is_some();
    let open = |d: &Decision| match d {
        Decision::Wait | Decision::Submit(_) => !stopped,
        _ => true,
    };
    ledger.live().next().is_none() && !decisions.iter().any(|(_, d)| open(d))
}

/// Whether a status change is worth a fact: RUNNABLE and RUNNING are told apart for people, and a RUNNABLE job's
/// reason comes and goes.
pub fn is_news(t: &Try, status: LiveStatus, reason: Option<&str>) -> bool {
    t.state != TryState::Live(status) || t.reason.as_deref() != reason
}

#[cfg(test)]
mod tests;
