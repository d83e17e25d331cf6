//! A view of a backfill → rows and totals. Rows are data; renderers make text of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::decide::{AdoptedPlan, remedy};
use crate::fact::{LiveStatus, Outcome};
use crate::failure::FailureClass;
use crate::ledger::{Ledger, SliceRecord, Standing, Try, TryState, Verdict};
use crate::partition::{PartitionId, SliceId};
use crate::plan::{Choice, SkipReason};

mod waste;

pub use waste::{ReclaimRow, Unused, Waste, WasteRow};

/// What a status is made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What is.
    pub ledger: &'a Ledger,
    /// The newest adopted plan.
    pub plan: Option<&'a AdoptedPlan>,
    /// The time to report for.
    pub now: DateTime<Utc>,
}

/// How rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// By the values of the dimensions.
    Service,
    /// By month.
    Month,
    /// By day.
    Day,
}

/// What one partition is, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayState {
    /// Loaded.
    Done,
    /// A job of it runs.
    Running,
    /// Submitted and not running, or the next try is due.
    Waiting,
    /// In the adopted plan, not yet sent.
    Planned,
    /// Given up, cancelled, or marked as failed.
    Failed,
    /// A person has to decide.
    NeedsPerson,
    /// No objects.
    NoData,
    /// Not planned for another reason.
    Other,
}

/// Days by state in one group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Row {
    /// The group: service, month or day.
    pub group: String,
    /// All days.
    pub days: u64,
    /// Loaded.
    pub done: u64,
    /// Running.
    pub running: u64,
    /// Submitted and waiting, or between two tries.
    pub waiting: u64,
    /// Not yet sent.
    pub planned: u64,
    /// Given up, cancelled, marked as failed.
    pub failed: u64,
    /// Wait for a person.
    pub needs_person: u64,
    /// Without objects.
    pub no_data: u64,
    /// Not planned for another reason.
    pub other: u64,
    /// Bytes of the days that are or were to be loaded.
    pub bytes: u64,
    /// Bytes loaded.
    pub bytes_done: u64,
    /// Jobs accepted by Batch.
    pub jobs: u64,
    /// Jobs that were killed for their memory.
    pub out_of_memory: u64,
    /// Seconds that jobs ran, the last attempt of each.
    pub seconds: u64,
    /// Loads of which two jobs existed.
    pub doubled: u64,
    /// Parts of the days that were cut.
    pub parts: u64,
    /// Those of them that are loaded.
    pub parts_done: u64,
}

/// Failures of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassRow {
    /// Which class.
    pub class: FailureClass,
    /// Jobs that ended so.
    pub jobs: u64,
    /// Days that this happened to.
    pub days: u64,
    /// Of these, days that are done by now.
    pub days_done: u64,
    /// Of these, days that were given up for it.
    pub days_given_up: u64,
}

/// Jobs that have waited for a host for a while, for one kind of reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitRow {
    /// What Batch says, verbatim, of the one that has waited longest; nothing where it says nothing.
    pub reason: Option<String>,
    /// How many jobs.
    pub jobs: u64,
    /// Since when the first of them has waited.
    pub since: DateTime<Utc>,
    /// What to do about it.
    pub remedy: &'static str,
}

impl View<'_> {
    /// Every partition that is known, with its state, in order.
    pub fn partitions(&self) -> BTreeMap<PartitionId, DayState> {
        let mut states = BTreeMap::new();
        for p in self.plan.iter().flat_map(|p| &p.plan().partitions) {
            let state = match p.choice {
                Choice::Submit(_) => DayState::Planned,
                Choice::Skip(SkipReason::NoData) => DayState::NoData,
                Choice::Skip(_) => DayState::Other,
            };
            states.insert(p.partition.clone(), state);
        }
        for partition in self.ledger.partitions() {
            if let Some(state) = self.state(partition) {
                states.insert(partition.clone(), state);
            }
        }
        states
    }

    /// The slices that stand for a partition, in order: itself, or the parts that it was cut into.
    pub fn slices(&self, partition: &PartitionId) -> Vec<SliceId> {
        let mut slices = self.ledger.parts(&SliceId::whole(partition.clone()));
        // A part that had nothing when the day was cut may have something now.
        let planned = self.plan.iter().flat_map(|p| p.parts(partition));
        let is_cut = |slice: &&SliceId| self.ledger.slice(slice).is_some_and(|r| r.divided.is_some());
        slices.extend(planned.filter(|slice| !is_cut(slice)).cloned());
        slices.sort_unstable();
        slices.dedup();
        let has_parts = slices.iter().any(SliceId::is_part);
        slices.retain(|slice| !has_parts || slice.is_part());
        slices
    }

    /// What a partition is, as far as the ledger tells. It is done when all of its parts are.
    fn state(&self, partition: &PartitionId) -> Option<DayState> {
        self.state_within(&SliceId::whole(partition.clone()))
    }

    /// What a slice is, together with all that it was cut into, as far as the ledger tells.
    pub fn state_within(&self, slice: &SliceId) -> Option<DayState> {
        let within = self.slices(slice.partition()).into_iter().filter(|s| s.is_within(slice));
        let states: Vec<DayState> = within.filter_map(|s| self.state_of_slice(&s)).collect();
        let order = [
            DayState::NeedsPerson,
            DayState::Running,
            DayState::Waiting,
            DayState::Planned,
            DayState::Failed,
        ];
        let first = order.into_iter().find(|state| states.contains(state));
        first.or_else(|| states.first().map(|_| DayState::Done))
    }

    fn state_of_slice(&self, slice: &SliceId) -> Option<DayState> {
        if self.is_taken_up(slice) || self.ledger.slice(slice).is_some_and(SliceRecord::is_untouched) {
            return Some(DayState::Planned);
        }
        match self.ledger.standing(slice) {
            Standing::Done => Some(DayState::Done),
            Standing::Running => Some(DayState::Running),
            Standing::Waiting => Some(DayState::Waiting),
            Standing::NeedsPerson => Some(DayState::NeedsPerson),
            // Of a whole day the plan tells.
            Standing::New if !slice.is_part() => None,
            Standing::New if self.plan.is_some_and(|p| p.job(slice).is_some()) => Some(DayState::Planned),
            // What is new here was to be loaded and never reached Batch, and nobody is about to send it.
            Standing::Failed | Standing::New => Some(DayState::Failed),
        }
    }

    /// Settled once, and asked for again by the newest plan.
    pub fn is_taken_up(&self, slice: &SliceId) -> bool {
        let adopted = self.ledger.adopted().map_or(0, |a| a.stamp.segment);
        let job = self.plan.and_then(|p| p.job(slice));
        let Some((job, record)) = job.zip(self.ledger.slice(slice)) else { return false };
        record.verdict.as_ref().is_some_and(|v| v.stamp().segment < adopted) && job.load == record.next_load()
    }

    /// Rows by group, in order of group.
    pub fn rows(&self, by: GroupBy) -> Vec<Row> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (partition, state) in self.partitions() {
            let group = match by {
                GroupBy::Service if partition.values().is_empty() => "all".to_owned(),
                GroupBy::Service => partition.values().join("/"),
                GroupBy::Month => partition.day().format("%Y-%m").to_string(),
                GroupBy::Day => partition.day().to_string(),
            };
            let row = rows.entry(group.clone()).or_insert_with(|| Row { group, ..Row::default() });
            self.count(row, &partition, state);
        }
        rows.into_values().collect()
    }

    /// Everything in one row.
    pub fn total(&self) -> Row {
        let mut row = Row { group: "total".to_owned(), ..Row::default() };
        for (partition, state) in self.partitions() {
            self.count(&mut row, &partition, state);
        }
        row
    }

    fn count(&self, row: &mut Row, partition: &PartitionId, state: DayState) {
        row.days += 1;
        *match state {
            DayState::Done => &mut row.done,
            DayState::Running => &mut row.running,
            DayState::Waiting => &mut row.waiting,
            DayState::Planned => &mut row.planned,
            DayState::Failed => &mut row.failed,
            DayState::NeedsPerson => &mut row.needs_person,
            DayState::NoData => &mut row.no_data,
            DayState::Other => &mut row.other,
        } += 1;
        for slice in self.slices(partition) {
            let bytes = self.bytes(&slice);
            let is_done = self.ledger.standing(&slice) == Standing::Done;
            row.bytes += bytes;
            row.bytes_done += if is_done { bytes } else { 0 };
            row.parts += u64::from(slice.is_part());
            row.parts_done += u64::from(slice.is_part() && is_done);
        }
        for (_, record) in self.ledger.within(&SliceId::whole(partition.clone())) {
            row.doubled += u64::from(record.doubled);
            for t in &record.tries {
                row.jobs += u64::from(t.job_id.is_some());
                row.out_of_memory +=
                    u64::from(t.state == TryState::Ended(Outcome::Failed(FailureClass::OutOfMemory)));
                row.seconds += self.ran(t).map_or(0, |d| d.num_seconds().max(0) as u64);
            }
        }
    }

    /// Bytes of a slice: as it was tried last, else as it is planned.
    fn bytes(&self, slice: &SliceId) -> u64 {
        let record = self.ledger.slice(slice);
        let tried = record.and_then(|r| r.tries.last()).map(|t| t.intended.bytes);
        let part = || record.and_then(|r| r.part.as_ref()).map(|(_, job)| job.bytes);
        let planned = || self.plan.and_then(|p| p.job(slice)).map(|j| j.bytes);
        tried.or_else(planned).or_else(part).unwrap_or(0)
    }

    /// How long the last attempt of a job ran, so far.
    fn ran(&self, t: &Try) -> Option<TimeDelta> {
        match (&t.ended, &t.state) {
            (Some(ended), _) => Some(ended.stopped_at? - ended.started_at?),
            (None, TryState::Live(LiveStatus::Running)) => Some(self.now - t.changed.stored_at),
            _ => None,
        }
    }

    /// Jobs that wait for a host for longer than the growing of a fleet explains, those that have waited longest first.
    pub fn waits(&self) -> Vec<WaitRow> {
        let Some(plan) = self.plan else { return Vec::new() };
        let dwell = plan.plan().place.runs_on.dwell();
        let mut rows: BTreeMap<Option<&str>, WaitRow> = BTreeMap::new();
        for (_, t) in self.ledger.live() {
            let Some(since) = t.waits_for_host().map(|s| s.stored_at) else { continue };
            if self.now - since < dwell {
                continue;
            }
            let reason = t.reason.clone();
            let remedy = remedy(t.reason.as_deref().unwrap_or_default());
            let row = rows.entry(t.wait_kind()).or_insert_with(|| WaitRow { reason, jobs: 0, since, remedy });
            row.jobs += 1;
            if since < row.since {
                (row.since, row.reason) = (since, t.reason.clone());
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|r| r.since);
        rows
    }

    /// Failures by class; classes that did not occur are left out.
    pub fn classes(&self) -> Vec<ClassRow> {
        let mut found: BTreeMap<FailureClass, (u64, BTreeSet<&PartitionId>)> = BTreeMap::new();
        for (slice, _, class) in self.ledger.failures() {
            let (jobs, days) = found.entry(class).or_default();
            *jobs += 1;
            days.insert(slice.partition());
        }
        let is_done =
            |day: &&&PartitionId| self.ledger.standing(&SliceId::whole((**day).clone())) == Standing::Done;
        let given_up = |day: &PartitionId, class: FailureClass| {
            let all = self.ledger.parts(&SliceId::whole(day.clone()));
            let verdicts = all.iter().filter_map(|slice| self.ledger.slice(slice)?.verdict.as_ref());
            verdicts.into_iter().any(|v| matches!(v, Verdict::GaveUp { class: c, .. } if *c == class))
        };
        found
            .into_iter()
            .map(|(class, (jobs, days))| ClassRow {
                class,
                jobs,
                days: days.len() as u64,
                days_done: days.iter().filter(is_done).count() as u64,
                days_given_up: days.iter().filter(|day| given_up(day, class)).count() as u64,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
