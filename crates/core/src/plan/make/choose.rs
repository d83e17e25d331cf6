//! What is to be done with a partition, and why.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Inputs, Maker};
use crate::ledger::{SliceRecord, Standing};
use crate::measure::Measure;
use crate::partition::{PartitionId, SliceId};
use crate::plan::{Choice, PlannedJob, PlannedPartition, SkipReason, SubmitReason};
use crate::spec::Idempotent;
use crate::split::leaves;

impl Maker<'_> {
    /// Chooses for a partition, and adds its jobs.
    pub(super) fn choose(&self, id: PartitionId, jobs: &mut Vec<PlannedJob>) -> PlannedPartition {
        let ledger = self.inputs.ledger;
        let whole = SliceId::whole(id.clone());
        let is_cut = self.cuts.contains_key(&whole);
        let has_something = |s: &SliceId| self.measure(s).objects > 0 || ledger.slice(s).is_some();
        let slices: Vec<SliceId> =
            leaves(&self.cuts, &whole).into_iter().filter(|s| !is_cut || has_something(s)).collect();
        let of_day = self.measure(&whole);
        // What comes into a part that had nothing is a change of a day that is loaded.
        let any_done = slices.iter().any(|s| ledger.standing(s) == Standing::Done);
        let choices: Vec<Choice> = slices
            .iter()
            .map(|s| {
                let new = any_done && ledger.slice(s).is_none();
                let new = if new { SubmitReason::Changed } else { SubmitReason::Missing };
                choose(self.inputs, s, self.measure(s), of_day, new)
            })
            .collect();
        let due = || slices.iter().zip(&choices).filter(|(_, c)| matches!(c, Choice::Submit(_)));
        let of_person = || {
            let emptied = || slices.iter().zip(&choices).find_map(|(slice, c)| self.emptied(slice, *c));
            due().find_map(|(slice, _)| self.not_alone(slice)).or_else(emptied)
        };
        let why = if is_cut { of_person() } else { None };
        let choice = match (choices.first(), &why) {
            (_, Some(_)) => Choice::Skip(SkipReason::NeedsPerson),
            (Some(choice), None) if !is_cut => *choice,
            _ => together(&choices),
        };
        if matches!(choice, Choice::Submit(_)) {
            due().for_each(|(slice, _)| self.add_jobs(slice, jobs));
        }
        self.partition(id, choice, why)
    }

    /// Why a part that is due must not be loaded without a person, if so.
    fn not_alone(&self, slice: &SliceId) -> Option<String> {
        if self.inputs.spec.job().idempotent() == Idempotent::Partition {
            let why = "it was cut into parts, and only a whole day replaces itself (idempotent: partition): write \
                       `idempotent: slice` if parts do, or load it by hand and `dayfill mark … done`";
            return Some(why.to_owned());
        }
        let means = self.means;
        let reads_more = (slice.is_range() && !means.ranges) || (slice.hour().is_some() && !means.hours);
        reads_more.then(|| {
            format!(
                "it was cut into parts such as {slice}, and the job would read more than that: write `reads: manifest`, or \
                 tell it {{hour}}"
            )
        })
    }

    /// What a person has to say of a part that has no objects any more and is not done with, if that is asked for.
    fn emptied(&self, slice: &SliceId, choice: Choice) -> Option<String> {
        let only = &self.inputs.only;
        let record = self.inputs.ledger.slice(slice)?;
        let asked = |reason| only.takes(slice.partition(), reason);
        let has_failed = self.inputs.ledger.standing(slice) == Standing::Failed && !record.tries.is_empty();
        match choice {
            Choice::Skip(SkipReason::Gone) if asked(SubmitReason::Changed) => Some(format!(
                "its part {slice} has no objects any more: remove what was loaded of it, then `dayfill mark … done --only {slice} --reason …`"
            )),
            Choice::Skip(SkipReason::NoData) if has_failed && asked(SubmitReason::Failed) => Some(format!(
                "its part {slice} failed, and has no objects any more: `dayfill mark … done --only {slice} --reason …` if nothing of it \
                 is to be loaded"
            )),
            _ => None,
        }
    }
}

/// What becomes of a partition that was cut before: of its parts those are loaded that are due.
fn together(parts: &[Choice]) -> Choice {
    use SkipReason::{Changed, Done, Failed, Gone, NeedsPerson, NoData, Outside, Running, Settling};
    let skips = |reason: SkipReason| parts.contains(&Choice::Skip(reason));
    if let Some(first) = [NeedsPerson, Settling].into_iter().find(|r| skips(*r)) {
        return Choice::Skip(first);
    }
    let submits = [SubmitReason::Failed, SubmitReason::Changed, SubmitReason::Missing].map(Choice::Submit);
    if let Some(submit) = submits.into_iter().find(|c| parts.contains(c)) {
        return submit;
    }
    let gone = if parts.iter().all(|c| *c == Choice::Skip(Gone)) { Gone } else { Changed };
    let rest = [Running, Failed, Changed, Gone, Outside, Done];
    let found = rest.into_iter().find(|reason| skips(*reason)).unwrap_or(NoData);
    Choice::Skip(if found == Gone { gone } else { found })
}

/// Whether a slice is due. `of_day` is the measure of its partition, `new` why it is due if it was never tried.
fn choose(
    inputs: &Inputs<'_>,
    slice: &SliceId,
    measure: &Measure,
    of_day: &Measure,
    new: SubmitReason,
) -> Choice {
    let id = slice.partition();
    if inputs.only.leaves_out(id) {
        return Choice::Skip(SkipReason::Outside);
    }
    // A part that was never sent is for the newest plan to take up, as a day would be.
    let is_untouched = inputs.ledger.slice(slice).is_some_and(SliceRecord::is_untouched);
    let due = match inputs.ledger.standing(slice) {
        Standing::Waiting if is_untouched => SubmitReason::Missing,
        Standing::Running | Standing::Waiting => return Choice::Skip(SkipReason::Running),
        Standing::NeedsPerson => return Choice::Skip(SkipReason::NeedsPerson),
        Standing::Done => match loaded_state(measure, inputs.ledger.slice(slice)) {
            Some(SkipReason::Changed) => SubmitReason::Changed,
            Some(skip) => return Choice::Skip(skip),
            None => return Choice::Skip(SkipReason::Done),
        },
        Standing::Failed => SubmitReason::Failed,
        Standing::New => new,
    };
    if measure.objects == 0 {
        Choice::Skip(SkipReason::NoData)
    } else if is_settling(inputs, id.day(), of_day) {
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
