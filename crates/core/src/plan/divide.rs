//! What of a plan is larger than a slice may be, and what adopting it says of the slices that it cuts.

use std::collections::{BTreeSet, HashMap};

use super::make::prefix;
use super::{Plan, PlannedJob};
use crate::fact::Split;
use crate::keys::KeyReader;
use crate::measure::Measure;
use crate::partition::{PartitionId, SliceId};
use crate::spec::Idempotent;
use crate::split::Most;

impl Plan {
    /// The jobs that are larger than `split` allows and of which nothing was said yet.
    pub fn too_large(&self) -> impl Iterator<Item = (&PlannedJob, Most)> {
        let is_said = |job: &PlannedJob| self.unsplit.iter().any(|u| u.slice == job.slice);
        let larger = move |most: &Most, job: &PlannedJob| most.is_less_than(job.bytes, job.objects);
        let jobs = self.jobs.iter().filter_map(move |job| Some((job, self.split?)));
        jobs.filter(move |(job, most)| larger(most, job) && !is_said(job))
    }

    /// Why no slice of the plan is cut, whatever its keys are, if so. Each part would put itself in the place of the day.
    pub fn stays_whole(&self) -> Option<&'static str> {
        let why = "only a whole day replaces itself (idempotent: partition)";
        (self.job.idempotent == Idempotent::Partition).then_some(why)
    }

    /// The job of a part that a slice was cut into after its job had asked for `asked_mib`.
    ///
    /// Where nothing is learned yet, a part asks for its share of that: it is known to be heavy and need not begin small.
    pub fn part_of(
        &self,
        job: &PlannedJob,
        part: SliceId,
        measure: &Measure,
        reader: &KeyReader,
        asked_mib: u64,
    ) -> PlannedJob {
        let bounds = self.job.memory;
        let share = measure.bytes as f64 / job.bytes.max(1) as f64;
        let mib = (asked_mib as f64 * share.min(1.0)).ceil() as u64;
        // As at first, what the person wrote is not rounded.
        let is_more = mib > bounds.start_mib;
        let sold = if is_more { self.platform().round_up(mib).unwrap_or(bounds.max_mib) } else { mib };
        PlannedJob {
            load: job.load,
            tries_before: 0,
            memory_mib: sold.clamp(bounds.start_mib, bounds.max_mib),
            prefix: prefix(reader.layout(), reader.root(), &part),
            objects: measure.objects,
            bytes: measure.bytes,
            fingerprint: measure.fingerprint,
            slice: part,
        }
    }

    /// What is to be written of the slices that the plan cuts, when it is adopted: those before that they are cut from.
    pub fn split_facts(&self) -> Vec<Split> {
        let plan = self.digest();
        let mut by_day: HashMap<&PartitionId, Vec<&PlannedJob>> = HashMap::new();
        for job in self.jobs.iter().filter(|job| job.slice.is_part()) {
            by_day.entry(job.slice.partition()).or_default().push(job);
        }
        let fact = |split: &super::PlannedSplit| {
            let parts: BTreeSet<SliceId> = split.cut.parts(&split.slice).into_iter().collect();
            let of_day = by_day.get(split.slice.partition()).into_iter().flatten();
            let jobs = of_day.filter(|job| parts.contains(&job.slice)).map(|job| (*job).clone()).collect();
            Split {
                slice: split.slice.clone(),
                cut: split.cut.clone(),
                why: self.split.map_or_else(String::new, |most| format!("larger than {most}")),
                plan: plan.clone(),
                parts: jobs,
            }
        };
        self.splits.iter().map(fact).collect()
    }
}
