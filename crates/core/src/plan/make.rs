//! Ledger + measured → plan.

mod choose;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Choice, History, JobTemplate, Only, PassedOver, PinnedDefinition, Place, Plan, PlannedJob,
    PlannedPartition, PlannedSource, PlannedSplit, SCHEMA_VERSION, SkipReason, Unsplit,
};
use crate::fact::Identity;
use crate::failure::FailureClass;
use crate::layout::Layout;
use crate::ledger::{Ledger, SliceRecord, Try, Verdict};
use crate::measure::{Measure, Measured};
use crate::memory::{self, Model, Platform};
use crate::partition::{PartitionId, SliceId};
use crate::spec::Spec;
use crate::split::{Cuts, Means, leaves};

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
    /// The cuts that the plan makes, beside those that were made before.
    pub cuts: &'a Cuts,
    /// What is larger than `split` allows and stays so.
    pub unsplit: &'a [Unsplit],
    /// What is asked for.
    pub only: Only,
    /// The time to plan for.
    pub now: DateTime<Utc>,
}

/// Makes the plan: for each partition of the window a choice with its reason, and for each that is chosen a job, or one for
/// each of its parts.
pub fn make(inputs: &Inputs<'_>) -> Plan {
    let Inputs { spec, measured, ledger, .. } = inputs;
    let (from, to) = measured.days.unwrap_or((spec.window().from(), spec.window().from()));
    // Where no day of the window has settled, nothing was listed, and nothing can be said of any day.
    let days: Vec<NaiveDate> = from.iter_days().take_while(|d| measured.days.is_some() && *d <= to).collect();
    let job = spec.job();
    let told = job.command().unwrap_or_default().iter().chain(job.environment().values());
    let means = Means::of(spec.source().layout(), job.reads(), told);
    let maker = Maker { inputs, model: Model::fit(&ledger.observations()), cuts: ledger.cuts(), means };
    let mut partitions = Vec::with_capacity(days.len() * measured.combinations.len());
    let mut jobs = Vec::new();
    for values in &measured.combinations {
        for day in &days {
            let id = PartitionId::new(values.clone(), *day);
            let unlisted = measured.unlisted.iter().find(|u| u.values == *values && u.day == *day);
            partitions.push(match unlisted {
                Some(u) => maker.partition(id, Choice::Skip(SkipReason::Unlisted), Some(u.why.clone())),
                None => maker.choose(id, &mut jobs),
            });
        }
    }
    let mut plan = assemble(inputs, (from, to), partitions, jobs);
    let loaded: BTreeSet<&PartitionId> = plan.jobs.iter().map(|job| job.slice.partition()).collect();
    plan.splits.retain(|split| loaded.contains(split.slice.partition()));
    order(&mut plan);
    plan.foresee(spec.deadline(), ledger);
    plan.memory_why = plan.learns().then(|| plan.request(&maker.model, 0, 0).why.to_string());
    plan
}

static EMPTY: Measure = Measure::EMPTY;

struct Maker<'a> {
    inputs: &'a Inputs<'a>,
    model: Model,
    /// Those that were made before this plan.
    cuts: Cuts,
    /// What the job may read of a day.
    means: Means,
}

impl Maker<'_> {
    fn measure(&self, slice: &SliceId) -> &Measure {
        let measured = self.inputs.measured;
        let found = if slice.is_part() {
            measured.parts.get(slice)
        } else {
            measured.partitions.get(slice.partition())
        };
        found.unwrap_or(&EMPTY)
    }

    /// The job of a slice, or of the parts that this plan cuts it into.
    fn add_jobs(&self, slice: &SliceId, jobs: &mut Vec<PlannedJob>) {
        let record = self.inputs.ledger.slice(slice);
        let load = record.map_or(1, SliceRecord::next_load);
        let parts = leaves(self.inputs.cuts, slice);
        if parts == [slice.clone()] {
            let tries_before = record.map_or(0, |r| r.next_try(load) - 1);
            jobs.push(self.job(slice, load, tries_before, record));
        } else {
            let parts = parts.iter().filter(|part| self.measure(part).objects > 0);
            jobs.extend(parts.map(|part| self.job(part, load, 0, None)));
        }
    }

    fn job(&self, slice: &SliceId, load: u32, tries_before: u32, record: Option<&SliceRecord>) -> PlannedJob {
        let measure = self.measure(slice);
        PlannedJob {
            slice: slice.clone(),
            load,
            tries_before,
            memory_mib: first_memory(self.inputs, slice, measure, record, &self.model),
            prefix: prefix(self.inputs.spec.source().layout(), &self.inputs.root, slice),
            objects: measure.objects,
            bytes: measure.bytes,
            fingerprint: measure.fingerprint,
        }
    }

    fn partition(&self, id: PartitionId, choice: Choice, why: Option<String>) -> PlannedPartition {
        let whole = SliceId::whole(id.clone());
        let measure = self.measure(&whole);
        let ledger = self.inputs.ledger;
        let failed = ledger.parts(&whole).iter().find_map(|s| failed_class(ledger.slice(s)?));
        PlannedPartition {
            partition: id,
            choice,
            objects: measure.objects,
            bytes: measure.bytes,
            largest: measure.largest,
            newest: measure.newest,
            missing_hours: measure.missing_hours(),
            failed,
            why,
        }
    }
}

/// The prefix in the bucket that all keys of a slice have; of a range of keys, that of what it is a range of.
pub(super) fn prefix(layout: &Layout, root: &str, slice: &SliceId) -> String {
    let partition = slice.partition();
    let known = layout.dimensions().iter().cloned().zip(partition.values().iter().cloned()).collect();
    let of_hour = slice.hour().and_then(|hour| layout.hour_prefix(&known, partition.day(), hour));
    let prefix = of_hour.unwrap_or_else(|| layout.day_prefix(&known, partition.day()));
    format!("{root}{prefix}")
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
            root: inputs.root.clone(),
            include: spec.source().include().map(str::to_owned),
            exclude: spec.source().exclude().map(str::to_owned),
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
            reads: job.reads(),
            success: job.success(),
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
        split: spec.split(),
        splits: inputs
            .cuts
            .iter()
            .map(|(slice, cut)| PlannedSplit {
                slice: slice.clone(),
                cut: cut.clone(),
                tries_before: ledger.slice(slice).map_or(0, |r| r.tries.len()),
            })
            .collect(),
        unsplit: inputs.unsplit.to_vec(),
        pilots: 0,
        jobs,
    }
}

fn failed_class(record: &SliceRecord) -> Option<FailureClass> {
    match record.verdict.as_ref()? {
        Verdict::GaveUp { class, .. } => Some(*class),
        _ => None,
    }
}

/// What the last successful load of this slice asked for, or what a try that was killed for its memory must now exceed: a
/// day that is known to be heavy does not begin small again. Of a slice that was never tried, what the others teach so far.
fn first_memory(
    inputs: &Inputs<'_>,
    slice: &SliceId,
    measure: &Measure,
    record: Option<&SliceRecord>,
    model: &Model,
) -> u64 {
    let job = inputs.spec.job();
    let bounds = job.memory();
    if record.is_none_or(|r| r.tries.is_empty()) && job.idempotent().reruns(slice) {
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
