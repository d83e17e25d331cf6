//! Slices into parts: their keys are listed anew, and cut where `core::split` says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dayfill_core::fact::{Fact, Split};
use dayfill_core::keys::{KeyReader, Placed};
use dayfill_core::ledger::Ledger;
use dayfill_core::measure::{Measure, Measured, Object};
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_core::plan::{Plan, PlannedJob, Unsplit};
use dayfill_core::spec::Reads;
use dayfill_core::split::{Cut, Cuts, Most, Sized, cut, slice_of};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::book::{Book, BookError};
use crate::ports::{ErrorKind, PageRequest, PortError, Source};

/// Slices that are listed at once: all the keys of each are held in memory.
const AT_ONCE: usize = 4;

/// An object of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    key: String,
    size: u64,
    etag: String,
    modified: DateTime<Utc>,
    hour: Option<u8>,
}

/// The objects of a slice, in order of key. `prefix` is one that all of them have.
pub(crate) async fn objects(
    source: &dyn Source,
    reader: &KeyReader,
    cuts: &Cuts,
    slice: &SliceId,
    prefix: &str,
) -> Result<Vec<Found>, PortError> {
    let whole = SliceId::whole(slice.partition().clone());
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = source.page(PageRequest { prefix, folders: false, token: token.as_deref() }).await?;
        for object in page.objects {
            let Placed::At(fields) = reader.place(&object.key, object.size) else { continue };
            if PartitionId::new(fields.values, fields.day) != *slice.partition() {
                continue;
            }
            if slice_of(cuts, whole.clone(), &object.key, fields.hour).is_within(slice) {
                let hour = fields.hour;
                let (size, etag, modified) = (object.size, object.etag, object.modified);
                found.push(Found { key: object.key, size, etag, modified, hour });
            }
        }
        token = page.next;
        if token.is_none() {
            // As cuts order them, whatever order the store has.
            found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            return Ok(found);
        }
    }
}

fn measure<'a>(found: impl IntoIterator<Item = &'a Found>) -> Measure {
    let mut measure = Measure::default();
    for object in found {
        let Found { key, size, etag, modified, hour } = object;
        measure.add(&Object { key, size: *size, etag, modified: *modified }, *hour);
    }
    measure
}

/// The text of a manifest: a line of JSON for every object.
fn manifest<'a>(found: impl IntoIterator<Item = &'a Found>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        key: &'a str,
        size: u64,
        etag: &'a str,
    }
    let mut text = Vec::new();
    for Found { key, size, etag, .. } in found {
        // Texts and a number always serialize.
        text.extend(serde_json::to_vec(&Line { key, size: *size, etag }).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// The parts of a slice that was cut there, with their objects; those without any are left out.
fn parts<'a>(cut: &Cut, slice: &SliceId, found: &'a [Found]) -> BTreeMap<SliceId, Vec<&'a Found>> {
    let cuts = Cuts::from([(slice.clone(), cut.clone())]);
    let mut parts: BTreeMap<SliceId, Vec<&Found>> = BTreeMap::new();
    for object in found {
        let part = slice_of(&cuts, slice.clone(), &object.key, object.hour);
        parts.entry(part).or_default().push(object);
    }
    parts
}

fn sized(found: &[Found]) -> Vec<Sized<'_>> {
    found.iter().map(|o| Sized { key: &o.key, bytes: o.size, hour: o.hour }).collect()
}

/// What a plan cuts, and what stays although it is larger than `split` allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Division {
    /// Where slices are cut.
    pub cuts: Cuts,
    /// What stays, and why.
    pub unsplit: Vec<Unsplit>,
}

/// Cuts the jobs of `plan` that are larger than `split` allows, and measures their parts. Returns whether anything is new:
/// then the plan has to be made again, and the parts that it has may be too large in their turn.
pub async fn divide(
    plan: &Plan,
    ledger: &Ledger,
    source: &dyn Source,
    measured: &mut Measured,
    division: &mut Division,
) -> Result<bool, PortError> {
    // The plan was just made, from texts that were read.
    let Some(reader) = KeyReader::of_plan(plan) else { return Ok(false) };
    let mut cuts = ledger.cuts();
    cuts.extend(division.cuts.clone());
    let mut wanted = Vec::new();
    let mut is_new = false;
    for (job, most) in plan.too_large() {
        is_new = true;
        match plan.stays_whole() {
            Some(why) => {
                division.unsplit.push(Unsplit { slice: job.slice.clone(), why: why.to_owned() });
            }
            None => wanted.push((job, most)),
        }
    }
    let list = |(job, most): (&PlannedJob, Most)| {
        let (slice, prefix) = (job.slice.clone(), job.prefix.clone());
        let (reader, cuts) = (&reader, &cuts);
        async move {
            let found = objects(source, reader, cuts, &slice, &prefix).await?;
            Ok::<_, PortError>((slice, most, found))
        }
    };
    let lists: Vec<_> = wanted.into_iter().map(list).collect();
    let mut listed = futures::stream::iter(lists).buffered(AT_ONCE);
    while let Some((slice, most, found)) = listed.try_next().await? {
        match cut(&slice, &sized(&found), plan.means(), most) {
            Ok(cut) => {
                for (part, own) in parts(&cut, &slice, &found) {
                    measured.parts.insert(part, measure(own));
                }
                division.cuts.insert(slice, cut);
            }
            Err(no) => division.unsplit.push(Unsplit { slice, why: no.to_string() }),
        }
    }
    Ok(is_new)
}

/// A slice that is to be cut, and why.
pub(crate) struct ToCut<'a> {
    pub slice: &'a SliceId,
    pub plan: &'a Plan,
    /// Its job.
    pub job: &'a PlannedJob,
    pub most: Most,
    pub why: &'a str,
    /// What it last asked for, in MiB.
    pub asked_mib: u64,
}

/// Cuts a slice of which nothing runs; the fact, once the manifests of its parts are kept.
pub(crate) async fn cut_slice(
    book: &Book,
    source: &dyn Source,
    to_cut: ToCut<'_>,
) -> Result<Fact, BookError> {
    let ToCut { slice, plan, job, most, why, asked_mib } = to_cut;
    let not = |why: String| Fact::NotSplit { slice: slice.clone(), why };
    let Some(reader) = KeyReader::of_plan(plan) else {
        return Ok(not("its plan does not say how keys read".to_owned()));
    };
    let found = objects(source, &reader, &book.ledger().cuts_of(slice.partition()), slice, &job.prefix).await;
    let found = match found {
        // It will be denied as long as nobody grants it.
        Err(e) if e.kind == ErrorKind::Denied => return Ok(not(format!("it cannot be listed: {}", e.what))),
        found => found?,
    };
    let cut = match cut(slice, &sized(&found), plan.means(), most) {
        Ok(cut) => cut,
        Err(no) => return Ok(not(no.to_string())),
    };
    let mut jobs = Vec::new();
    // Its parts are parts of what it is now.
    let job = &PlannedJob { bytes: found.iter().map(|o| o.size).sum(), ..job.clone() };
    for (part, own) in parts(&cut, slice, &found) {
        let measure = measure(own.iter().copied());
        if plan.job.reads == Reads::Manifest {
            keep_manifest(book, &measure, own).await?;
        }
        jobs.push(plan.part_of(job, part, &measure, &reader, asked_mib));
    }
    let (slice, why, plan) = (slice.clone(), why.to_owned(), plan.digest());
    Ok(Fact::Split(Box::new(Split { slice, cut, why, plan, parts: jobs })))
}

/// Lists a slice as it is now and keeps the manifest of it; its job with what was found.
pub(crate) async fn list_for(
    book: &Book,
    source: &dyn Source,
    plan: &Plan,
    job: &PlannedJob,
) -> Result<PlannedJob, BookError> {
    // The plan was made from texts that were read.
    let Some(reader) = KeyReader::of_plan(plan) else { return Ok(job.clone()) };
    let found =
        objects(source, &reader, &book.ledger().cuts_of(job.slice.partition()), &job.slice, &job.prefix)
            .await?;
    let measure = measure(&found);
    keep_manifest(book, &measure, &found).await?;
    let (objects, bytes, fingerprint) = (measure.objects, measure.bytes, measure.fingerprint);
    Ok(PlannedJob { objects, bytes, fingerprint, ..job.clone() })
}

/// A manifest is named by what it lists, so one that is there already is this one.
async fn keep_manifest<'a>(
    book: &Book,
    measure: &Measure,
    found: impl IntoIterator<Item = &'a Found>,
) -> Result<(), BookError> {
    let name = measure.fingerprint.to_string();
    Ok(book.journal().keep_manifest(&name, &manifest(found)).await?)
}

#[cfg(test)]
mod tests;
