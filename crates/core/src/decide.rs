//! What to do next about each slice: state + policy + now → decisions.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use self::after::After;
use self::doubles::doubled;
use self::limits::{admit, brake};
pub use self::misplaced::remedy;
use self::misplaced::{misplaced, stop_misplaced};
use crate::fact::LiveStatus;
use crate::failure::FailureClass;
use crate::job::{JobName, Shape};
use crate::ledger::{Adoption, Ledger, SliceRecord, Try, TryState};
use crate::memory::{Model, Request, Why};
use crate::partition::{PartitionId, SliceId};
use crate::plan::{Plan, PlanDigest, PlannedJob};
use crate::split::{Means, Most};

mod after;
mod doubles;
mod fallback;
mod limits;
mod misplaced;

/// An adopted plan, with its jobs by slice.
#[derive(Debug, Clone)]
pub struct AdoptedPlan {
    plan: Plan,
    jobs: HashMap<SliceId, usize>,
    parts: HashMap<PartitionId, Vec<SliceId>>,
    means: Means,
}

impl AdoptedPlan {
    /// Indexes the jobs of a plan.
    pub fn new(plan: Plan) -> Self {
        let jobs = plan.jobs.iter().enumerate().map(|(i, j)| (j.slice.clone(), i)).collect();
        let mut parts: HashMap<PartitionId, Vec<SliceId>> = HashMap::new();
        for job in plan.jobs.iter().filter(|j| j.slice.is_part()) {
            parts.entry(job.slice.partition().clone()).or_default().push(job.slice.clone());
        }
        let means = plan.means();
        Self { plan, jobs, parts, means }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What its slices may be cut into.
    pub fn means(&self) -> Means {
        self.means
    }

    /// The parts of a partition that the plan began with; none where it has the whole of it, or nothing.
    pub fn parts(&self, partition: &PartitionId) -> &[SliceId] {
        self.parts.get(partition).map_or(&[], Vec::as_slice)
    }

    /// The job of this slice that the plan began with.
    pub fn job(&self, slice: &SliceId) -> Option<&PlannedJob> {
        self.plan.jobs.get(*self.jobs.get(slice)?)
    }
}

/// The adopted plans that are still worked off, by digest.
pub type Plans = BTreeMap<PlanDigest, AdoptedPlan>;

/// The job that a plan asks for: of its own, or of a part of a slice of its own that was cut since.
pub fn planned<'a>(
    adopted: &'a AdoptedPlan,
    digest: &PlanDigest,
    slice: &SliceId,
    record: Option<&'a SliceRecord>,
) -> Option<&'a PlannedJob> {
    let part = record.and_then(|r| r.part.as_ref()).filter(|(plan, _)| plan == digest).map(|(_, job)| job);
    adopted.job(slice).or(part)
}

/// How long to wait: before a job that did not start is sent again (doubled with every further failure), and before a job
/// that is not placed is a reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub start_failure: TimeDelta,
    /// How long a job waits for a host before what Batch says about it is believed.
    pub dwell: TimeDelta,
}

/// The next try of a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct NextTry {
    /// The plan that asks for it.
    pub plan: PlanDigest,
    /// `name:revision` of the job definition.
    pub definition: String,
    /// Which load.
    pub load: u32,
    /// Number, memory, timeout.
    pub shape: Shape,
    /// Why so much memory, where that was decided now and not by the plan.
    pub why: Option<Why>,
    /// Why it goes to the fallback queue, if it does.
    pub queue_why: Option<String>,
}

/// What to do about a slice.
#[must_use = "a decision that is dropped is a day that never loads"]
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing now.
    Wait,
    /// A further job.
    Submit(NextTry),
    /// Cut it into parts that are no larger than this. Nothing of it runs.
    Split {
        /// The plan that asks for it.
        plan: PlanDigest,
        /// How small the parts must be.
        most: Most,
        /// In words.
        why: String,
    },
    /// Ask Batch to end this job.
    Terminate {
        /// Which.
        job: JobName,
        /// What Batch is told.
        why: String,
        /// The queue that its slice goes to instead, where it is ended for that.
        moves_to: Option<String>,
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
/// the newest plan, what was never sent. A slice that was cut is decided about in its parts. No more
/// is submitted than `limits.in_flight` of the newest plan allows.
pub fn decide(ledger: &Ledger, plans: &Plans, pace: Pace, now: DateTime<Utc>) -> Vec<(SliceId, Decision)> {
    let mut all = Vec::new();
    let newest = ledger.adopted().and_then(|a| Some((a, plans.get(&a.digest)?)));
    let late = newest.and_then(|(adoption, adopted)| fallback::late(ledger, adoption, &adopted.plan, now));
    let learned = Learned { ledger, model: OnceCell::new(), late };
    let scope = Scope { ledger, plans, learned: &learned };
    let waits_its_turn = |slice: &SliceId, record: &SliceRecord| {
        record.is_untouched() && newest.is_some_and(|(_, adopted)| adopted.job(slice).is_some())
    };
    for (slice, record) in ledger.slices().filter(|(slice, record)| !waits_its_turn(slice, record)) {
        all.extend(about(slice, record, scope, pace, now).into_iter().map(|d| (slice.clone(), d)));
    }
    if let Some((adoption, adopted)) = newest {
        for job in &adopted.plan.jobs {
            let record = ledger.slice(&job.slice);
            if record.is_none_or(SliceRecord::is_untouched) {
                let next = first(adoption, adopted, job, record, &learned);
                all.push((job.slice.clone(), Decision::Submit(next)));
            }
        }
        hold_for_pilots(&mut all, scope, adopted);
        brake(&mut all, ledger, adoption, adopted);
        stop_misplaced(&mut all, ledger, adoption, pace, now);
    }
    let live = ledger.live().count();
    let room = newest.map_or(usize::MAX, |(_, p)| p.plan.limits.in_flight as usize).saturating_sub(live);
    admit(all, room, ledger.stopped().is_some())
}

/// What decisions are made from, beside a slice.
#[derive(Clone, Copy)]
struct Scope<'a> {
    ledger: &'a Ledger,
    plans: &'a Plans,
    learned: &'a Learned<'a>,
}

/// What the finished jobs teach. Learned anew by whoever asks first: that takes milliseconds, and nothing has to be kept.
struct Learned<'a> {
    ledger: &'a Ledger,
    model: OnceCell<Model>,
    /// Why the deadline will not be kept on the first queue, if it will not.
    late: Option<String>,
}

impl Learned<'_> {
    fn model(&self) -> &Model {
        self.model.get_or_init(|| Model::fit(&self.ledger.observations()))
    }
}

/// Lets only the pilots of the newest plan go first, until they have ended: a wide first wave would learn nothing in time.
/// Not where so many have succeeded before: what they needed is known.
fn hold_for_pilots(decisions: &mut [(SliceId, Decision)], scope: Scope<'_>, adopted: &AdoptedPlan) {
    let pilots = adopted.plan.pilot_jobs();
    let is_settled = |job: &PlannedJob| scope.ledger.is_settled(&job.slice);
    let loaded = |r: &SliceRecord| r.loaded.as_ref().is_some_and(|l| l.by.is_some());
    let succeeded = || scope.ledger.slices().filter(|(_, r)| loaded(r)).take(pilots.len()).count();
    if pilots.iter().all(is_settled) || succeeded() == pilots.len() {
        return;
    }
    for (slice, decision) in decisions {
        let is_first = scope.ledger.slice(slice).is_none_or(|r| r.tries.is_empty());
        // The parts of a pilot that was cut are what it comes to.
        if is_first
            && !pilots.iter().any(|job| slice.is_within(&job.slice))
            && matches!(decision, Decision::Submit(_))
        {
            *decision = Decision::Wait;
        }
    }
}

fn about(
    slice: &SliceId,
    record: &SliceRecord,
    scope: Scope<'_>,
    pace: Pace,
    now: DateTime<Utc>,
) -> Vec<Decision> {
    let Scope { ledger, plans, learned } = scope;
    let mut decisions = doubled(record);
    let stopped = ledger.stopped().is_some();
    decisions.extend(record.live().filter_map(|t| terminate(record, t, scope, stopped)));
    if decisions.is_empty() && record.live().next().is_some() {
        decisions.push(Decision::Wait);
    }
    if !decisions.is_empty() || record.divided.is_some() {
        return decisions;
    }
    let Some((adoption, adopted, job)) = governing(slice, record, ledger, plans) else { return Vec::new() };
    let tries: Vec<&Try> = record
        .tries
        .iter()
        .filter(|t| t.intended.plan == adoption.digest && t.intended.load == job.load)
        .collect();
    match tries.iter().rfind(|t| !t.was_ended_by_us()).or(tries.last()) {
        None => vec![Decision::Submit(first(adoption, adopted, job, Some(record), learned))],
        Some(last) => {
            let queue_why = fallback::reason(&tries, &adopted.plan, learned.late.as_deref());
            After { slice, last, tries: &tries, record, adoption, adopted, learned, queue_why }
                .decide(pace, now)
        }
    }
}

/// The plan that says what becomes of a slice of which nothing runs: the newest one where it takes the slice up anew,
/// else the one that its last job came from.
fn governing<'a>(
    slice: &SliceId,
    record: &'a SliceRecord,
    ledger: &'a Ledger,
    plans: &'a Plans,
) -> Option<(&'a Adoption, &'a AdoptedPlan, &'a PlannedJob)> {
    let newest = ledger.adopted()?;
    let find = |adoption: &'a Adoption| {
        let adopted = plans.get(&adoption.digest)?;
        let job = planned(adopted, &adoption.digest, slice, Some(record))?;
        let job = Some(job).filter(|j| j.load == record.next_load())?;
        Some((adoption, adopted, job))
    };
    let free = record.verdict.as_ref().is_none_or(|v| v.stamp().segment < newest.stamp.segment);
    let taken_up = if free { find(newest) } else { None };
    if taken_up.is_some() || record.verdict.is_some() {
        return taken_up;
    }
    let Some(last) = record.tries.last() else {
        let (plan, _) = record.part.as_ref()?;
        return find(ledger.adoption(plan)?);
    };
    // What was refused stopped the backfill; a newer plan without it lets it rest, or it would stop that one too.
    let rests = matches!(last.state, TryState::Refused(_)) && last.changed.segment < newest.stamp.segment;
    if rests { None } else { find(ledger.adoption(&last.intended.plan)?) }
}

fn first(
    adoption: &Adoption,
    adopted: &AdoptedPlan,
    job: &PlannedJob,
    record: Option<&SliceRecord>,
    learned: &Learned<'_>,
) -> NextTry {
    // What a slice itself once needed is better than what others did: the plan has it. Of a part of one that was killed
    // nobody knows more than that, until others have taught something.
    let is_cut_since = adopted.job(&job.slice).is_none();
    let request = if record.is_some_and(|r| !r.tries.is_empty()) {
        Request { mib: job.memory_mib, why: Why::Before }
    } else if is_cut_since && learned.model().rule().is_none() {
        Request { mib: job.memory_mib, why: Why::Share }
    } else {
        adopted.plan.request(learned.model(), job.bytes, job.objects)
    };
    // Where nothing may run twice nothing is risked: it is what the YAML says.
    let request = Some(request).filter(|_| adopted.plan.reruns(&job.slice));
    // A part goes on where the slice stood that it was cut from.
    let day = SliceId::whole(job.slice.partition().clone());
    let whole = learned.ledger.within(&day).filter(|(id, _)| **id != job.slice && job.slice.is_within(id));
    let before: Vec<&Try> = whole
        .flat_map(|(_, r)| &r.tries)
        .filter(|t| t.intended.plan == adoption.digest && t.intended.load == job.load)
        .collect();
    let queue_why = fallback::reason(&before, &adopted.plan, learned.late.as_deref());
    let shape = Shape {
        r#try: record.map_or(1, |r| r.next_try(job.load)),
        memory_mib: request.map_or(job.memory_mib, |r| r.mib),
        timeout_s: adopted.plan.job.timeout_s,
        fallback: queue_why.is_some(),
    };
    NextTry {
        plan: adoption.digest.clone(),
        definition: adoption.definition.clone(),
        load: job.load,
        shape,
        why: request.map(|r| r.why),
        queue_why,
    }
}

fn terminate(record: &SliceRecord, t: &Try, scope: Scope<'_>, stopped: bool) -> Option<Decision> {
    t.job_id.as_ref()?;
    let job = t.intended.name.clone();
    // Asked again at every step until the end is seen: a request that was lost would otherwise never be repeated.
    if let Some(why) = t.ending.as_ref().or(record.cancelled.as_ref()).cloned() {
        return Some(Decision::Terminate { job, why, moves_to: t.moves_to.clone() });
    }
    if record.divided.is_some() {
        // One that arrives after all would load its parts a second time.
        let why = "dayfill: its slice was cut into parts meanwhile".to_owned();
        return Some(Decision::Terminate { job, why, moves_to: None });
    }
    // Once the backfill is stopped no successor would follow: Batch retries what it has.
    let moves =
        if stopped { None } else { fallback::moves(record, t, scope.plans, scope.learned.late.as_deref()) };
    moves.map(|(why, queue)| Decision::Terminate { job, why, moves_to: Some(queue) })
}

/// Whether anything is left to watch or to send: live jobs, or decisions that will lead to one.
pub fn is_finished(
    ledger: &Ledger,
    decisions: &[(SliceId, Decision)],
    pace: Pace,
    now: DateTime<Utc>,
) -> bool {
    let stopped = ledger.stopped().is_some();
    // A stopped backfill does not wait for jobs that wait for ever, nor for those behind them: of a queue that is blocked
    // Batch may give a reason for the job at its head alone.
    let adoption = ledger.adopted().filter(|_| stopped);
    let blocked: BTreeSet<&str> = adoption
        .into_iter()
        .flat_map(|adoption| misplaced(ledger, adoption, pace, now))
        .map(|(_, t)| t.intended.queue.as_str())
        .collect();
    let is_over = |t: &Try| {
        t.waits_for_host().is_some() && t.ending.is_none() && blocked.contains(t.intended.queue.as_str())
    };
    let open = |d: &Decision| match d {
        Decision::Wait | Decision::Submit(_) | Decision::StopBackfill { .. } => !stopped,
        _ => true,
    };
    ledger.live().all(|(_, t)| is_over(t)) && !decisions.iter().any(|(_, d)| open(d))
}

/// Whether a status change is worth a fact: RUNNABLE and RUNNING are told apart for people, and a RUNNABLE job's
/// reason comes and goes.
pub fn is_news(t: &Try, status: LiveStatus, reason: Option<&str>, reclaims: u32) -> bool {
    t.state != TryState::Live(status) || t.reason.as_deref() != reason || reclaims > t.reclaims
}

#[cfg(test)]
mod tests;
