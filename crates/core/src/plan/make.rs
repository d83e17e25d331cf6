//! Ledger + measured → plan.

use std::cmp::Reverse;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Choice, History, JobTemplate, Only, PassedOver, PinnedDefinition, Place, Plan, PlannedJob,
    PlannedPartition, PlannedSource, SCHEMA_VERSION, SkipReason, SubmitReason,
};
use crate::fact::Identity;
use crate::failure::FailureClass;
use crate::ledger::{Ledger, SliceRecord, Standing, Try, Verdict};
use crate::measure::{Measure, Measured};
use crate::memory::{self, Model, Platform};
use crate::partition::{PartitionId, SliceId};
use crate::spec::{Idempotent, Spec};

/// All that a plan is made from.
pub struct Inputs<'a> {
    /// What must be true.
    pub spec: &'a Spec,
    /// Who the backfill is.
    pub identity: Identity,
    /// Where the journal is and where jobs run.
    pub place: Place,
    /// The bucket that jobs read (the YAML may name a folder).
    pub bucket: String,
    /// The prefix inside the bucket that the layout's keys are relative to; empty, or ending in `/`.
    pub root: String,
    /// The definition, looked up.
    pub definition: PinnedDefinition,
    /// What is.
    pub ledger: &'a Ledger,
    /// What lies in the source.
    pub measured: &'a Measured,
    /// What is asked for.
    pub only: Only,
    /// The time to plan for.
    pub now: DateTime<Utc>,
}

/// Makes the plan: for each partition of the window a choice with its reason, and a job for each that is chosen.
pub fn make(inputs: &Inputs<'_>) -> Plan {
    let Inputs { spec, measured, ledger, .. } = inputs;
    let (from, to) = measured.days.unwrap_or((spec.window().from(), spec.window().from()));
    // Where no day of the window has settled, nothing was listed, and nothing can be said of any day.
    let days: Vec<NaiveDate> = from.iter_days().take_while(|d| measured.days.is_some() && *d <= to).collect();
    let empty = Measure::default();
    let model = Model::fit(&ledger.observations());
    let mut partitions = Vec::with_capacity(days.len() * measured.combinations.len());
    let mut jobs = Vec::new();
    for values in &measured.combinations {
        for day in &days {
            let id = PartitionId::new(values.clone(), *day);
            let slice = SliceId::whole(id.clone());
            let measure = measured.partitions.get(&id).unwrap_or(&empty);
            let record = ledger.slice(&slice);
            let unlisted = measured.unlisted.iter().find(|u| u.values == *values && u.day == *day);
            let choice = match unlisted {
                Some(_) => Choice::Skip(SkipReason::Unlisted),
                None => choose(inputs, &slice, measure, record),
            };
            if let Choice::Submit(_) = choice {
                jobs.push(job(inputs, slice, measure, record, &model));
            }
            partitions.push(PlannedPartition {
                partition: id,
                choice,
                objects: measure.objects,
                bytes: measure.bytes,
                largest: measure.largest,
                newest: measure.newest,
                missing_hours: measure.missing_hours(),
                failed: record.and_then(failed_class),
                why: unlisted.map(|u| u.why.clone()),
            });
        }
    }
    let mut plan = assemble(inputs, (from, to), partitions, jobs);
    order(&mut plan);
    plan.foresee(spec.deadline(), ledger);
    plan.memory_why = plan.learns().then(|| plan.request(&model, 0, 0).why.to_string());
    plan
}

/// Pilots first, then the largest: what takes longest is begun first, so that it does not end alone.
fn order(plan: &mut Plan) {
    let sizes: Vec<u64> = plan.jobs.iter().map(|j| j.bytes).collect();
    let places = if plan.learns() { memory::pilots(&sizes) } else { None };
    let most = plan.limits.pilots as usize;
    let pilots: Vec<SliceId> = places
        .into_iter()
        .flatten()
        .take(most)
        .filter_map(|at| plan.jobs.get(at).map(|job| job.slice.clone()))
        .collect();
    plan.pilots = pilots.len();
    plan.jobs.sort_by_cached_key(|job| {
        let pilot = pilots.iter().position(|slice| *slice == job.slice).unwrap_or(pilots.len());
        (pilot, Reverse(job.bytes), job.slice.clone())
    });
}

fn assemble(
    inputs: &Inputs<'_>,
    (from, to): (NaiveDate, NaiveDate),
    partitions: Vec<PlannedPartition>,
    jobs: Vec<PlannedJob>,
) -> Plan {
    let Inputs { spec, measured, ledger, .. } = inputs;
    let job = spec.job();
    Plan {
        schema_version: SCHEMA_VERSION,
        backfill: spec.name().to_owned(),
        uuid: ledger.opened().map(|o| o.uuid),
        made_at: inputs.now,
        identity: inputs.identity.clone(),
        from,
        to,
        only: inputs.only.clone(),
        place: inputs.place.clone(),
        source: PlannedSource {
            bucket: inputs.bucket.clone(),
            dimensions: spec.source().layout().dimensions().to_vec(),
        },
        job: JobTemplate {
            definition: inputs.definition.clone(),
            queue: job.queue().to_owned(),
            fallback_queue: job.fallback_queue().map(str::to_owned),
            share_identifier: job.share_identifier().map(str::to_owned),
            vcpus: job.vcpus(),
            memory: job.memory(),
            timeout_s: job.timeout().map(|t| t.as_secs().try_into().unwrap_or(u32::MAX)),
            idempotent: job.idempotent(),
            command: job.command().unwrap_or_default().to_vec(),
            environment: job.environment().clone(),
            out_of_memory: job.out_of_memory().clone(),
        },
        retry: spec.retry(),
        limits: spec.limits(),
        prices: spec.prices(),
        history: History::of(ledger),
        partitions,
        passed_over: PassedOver {
            unmatched: measured.unmatched.clone(),
            filtered: measured.filtered,
            unusable: measured.unusable.clone(),
        },
        deadline: None,
        length: None,
        memory_why: None,
        pilots: 0,
        jobs,
    }
}

fn choose(inputs: &Inputs<'_>, slice: &SliceId, measure: &Measure, record: Option<&SliceRecord>) -> Choice {
    let id = slice.partition();
    if inputs.only.leaves_out(id) {
        return Choice::Skip(SkipReason::Outside);
    }
    let due = match inputs.ledger.standing(slice) {
        Standing::Running | Standing::Waiting => return Choice::Skip(SkipReason::Running),
        Standing::NeedsPerson => return Choice::Skip(SkipReason::NeedsPerson),
        Standing::Done => match loaded_state(measure, record) {
            Some(SkipReason::Changed) => SubmitReason::Changed,
            Some(skip) => return Choice::Skip(skip),
            None => return Choice::Skip(SkipReason::Done),
        },
        Standing::Failed => SubmitReason::Failed,
        Standing::New => SubmitReason::Missing,
    };
    if measure.objects == 0 {
        Choice::Skip(SkipReason::NoData)
    } else if is_settling(inputs, id.day(), measure) {
        Choice::Skip(SkipReason::Settling)
    } else if inputs.only.takes(id, due) {
        Choice::Submit(due)
    } else {
        Choice::Skip(match due {
            SubmitReason::Changed => SkipReason::Changed,
            SubmitReason::Failed => SkipReason::Failed,
            SubmitReason::Missing => SkipReason::Outside,
        })
    }
}

/// What became of the objects of a loaded partition; none where they are the same, or where nobody knows what was
/// loaded because a person marked it.
fn loaded_state(measure: &Measure, record: Option<&SliceRecord>) -> Option<SkipReason> {
    let loaded = record?.loaded.as_ref()?.fingerprint?;
    if measure.objects == 0 {
        Some(SkipReason::Gone)
    } else {
        (measure.fingerprint != loaded).then_some(SkipReason::Changed)
    }
}

fn is_settling(inputs: &Inputs<'_>, day: NaiveDate, measure: &Measure) -> bool {
    let settle = TimeDelta::from_std(inputs.spec.source().settle()).unwrap_or(TimeDelta::MAX);
    let rests = |since: DateTime<Utc>| since.checked_add_signed(settle).is_some_and(|t| t <= inputs.now);
    !rests(inputs.spec.window().day_end(day)) || measure.newest.is_some_and(|n| !rests(n))
}

fn failed_class(record: &SliceRecord) -> Option<FailureClass> {
    match record.verdict.as_ref()? {
        Verdict::GaveUp { class, .. } => Some(*class),
        _ => None,
    }
}

fn job(
    inputs: &Inputs<'_>,
    slice: SliceId,
    measure: &Measure,
    record: Option<&SliceRecord>,
    model: &Model,
) -> PlannedJob {
    let load = record.map_or(1, SliceRecord::next_load);
    let layout = inputs.spec.source().layout();
    let partition = slice.partition();
    let known = layout.dimensions().iter().cloned().zip(partition.values().iter().cloned()).collect();
    let prefix = format!("{}{}", inputs.root, layout.day_prefix(&known, partition.day()));
    PlannedJob {
        load,
        tries_before: record.map_or(0, |r| r.next_try(load) - 1),
        memory_mib: first_memory(inputs, measure, record, model),
        prefix,
        objects: measure.objects,
        bytes: measure.bytes,
        fingerprint: measure.fingerprint,
        slice,
    }
}

/// What the last successful load of this slice asked for, or what a try that was killed for its memory must now exceed: a
/// day that is known to be heavy does not begin small again. Of a slice that was never tried, what the others teach so far.
fn first_memory(inputs: &Inputs<'_>, measure: &Measure, record: Option<&SliceRecord>, model: &Model) -> u64 {
    let job = inputs.spec.job();
    let bounds = job.memory();
    if record.is_none_or(|r| r.tries.is_empty()) && job.idempotent() != Idempotent::No {
        let platform = if inputs.definition.fargate { Platform::fargate(job.vcpus()) } else { Platform::Ec2 };
        return model.request(measure.bytes, measure.objects, bounds, platform).mib;
    }
    let needed = |t: &Try| match t.failure() {
        Some(FailureClass::OutOfMemory) => {
            memory::after_oom(t.intended.memory_mib, bounds).unwrap_or(bounds.max_mib)
        }
        _ => t.intended.memory_mib,
    };
    let seen = record.into_iter().flat_map(|r| &r.tries).map(needed).max();
    seen.unwrap_or(bounds.start_mib).clamp(bounds.start_mib, bounds.max_mib)
}
