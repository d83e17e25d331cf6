//! Prefixes → measured partitions, many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, NaiveDate, Utc};
use dayfill_core::keys::{KeyReader, Placed};
use dayfill_core::layout::check_value;
use dayfill_core::measure::{Measured, Object, Strays, Unlisted};
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_core::spec::Spec;
use dayfill_core::split::{Cuts, slice_of};
use futures::StreamExt;

use crate::event::{Event, Reporter};
use crate::ports::{ErrorKind, ListedObject, PageRequest, PortError, Source};

/// Listings under way at once. A LIST takes some 30 ms on S3, so this is about 2,000 a second at the most, below
/// the 5,500 that S3 serves for a prefix.
const AT_ONCE: usize = 64;

type Known = BTreeMap<String, String>;

/// One listing: a prefix, and the days of one combination of known values that it holds.
struct Listing {
    known: Known,
    days: BTreeSet<NaiveDate>,
    prefix: String,
}

struct Enumeration<'a> {
    spec: &'a Spec,
    reader: KeyReader,
    cuts: &'a Cuts,
    source: &'a dyn Source,
    reporter: &'a dyn Reporter,
    done: AtomicU64,
    of: AtomicU64,
    objects: AtomicU64,
}

/// Lists the source for the window of `spec` and measures every partition. `root` is the prefix inside the bucket
/// that the layout's keys are relative to. Partitions that were cut are measured in their parts too.
///
/// Memory grows with partitions, never with keys: pages are measured as they come. A day that cannot be listed is
/// reported as such; where nothing can be listed at all, that is the error.
pub async fn enumerate(
    spec: &Spec,
    root: &str,
    cuts: &Cuts,
    source: &dyn Source,
    reporter: &dyn Reporter,
    now: DateTime<Utc>,
) -> Result<Measured, PortError> {
    let zero = || AtomicU64::new(0);
    let reader = KeyReader::of_source(spec.source(), root);
    let run = Enumeration { spec, reader, cuts, source, reporter, done: zero(), of: zero(), objects: zero() };
    let days: Vec<NaiveDate> = spec.window().days(now, spec.source().settle()).collect();
    let mut measured =
        Measured { days: days.first().copied().zip(days.last().copied()), ..Measured::default() };
    let known = run.discover(&mut measured.unusable).await?;
    let listings = run.listings(&known, &days);
    run.of.fetch_add(listings.len() as u64, Ordering::Relaxed);
    let of = listings.len();
    let mut results = futures::stream::iter(listings).map(|l| run.list(l)).buffer_unordered(AT_ONCE);
    let mut failed: Vec<(Listing, PortError)> = Vec::new();
    while let Some((listing, part, error)) = results.next().await {
        run.tell();
        if let Some(error) = error {
            if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Credentials | ErrorKind::Unreachable) {
                return Err(error);
            }
            failed.push((listing, error));
        } else {
            merge(&mut measured, part);
        }
    }
    drop(results);
    measured.combinations = run.combinations(&known, &measured);
    let all = failed.len() == of;
    for (listing, error) in failed {
        let unlisted = run.unlisted(&listing, &measured.combinations, &error);
        // Where no partition could be told of it, it must not go unsaid.
        if all || unlisted.is_empty() {
            return Err(error);
        }
        measured.unlisted.extend(unlisted);
    }
    measured.unlisted.sort_by(|a, b| (&a.values, a.day).cmp(&(&b.values, b.day)));
    Ok(measured)
}

/// What the listings of different prefixes say is of different partitions, or adds up.
fn merge(into: &mut Measured, part: Measured) {
    into.partitions.extend(part.partitions);
    into.parts.extend(part.parts);
    into.unmatched.merge(part.unmatched);
    into.filtered += part.filtered;
}

/// Whether the last component of a folder could be the value of a dimension.
fn is_name(folder: &str) -> bool {
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    check_value(folder.rsplit('/').next().unwrap_or(folder)).is_ok()
}

impl Enumeration<'_> {
    fn tell(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let (of, objects) = (self.of.load(Ordering::Relaxed), self.objects.load(Ordering::Relaxed));
        self.reporter.hear(Event::Listed { done, of, objects });
    }

    /// Combinations of the values that the YAML names.
    fn named(&self) -> Vec<Known> {
        let mut all = vec![Known::new()];
        for (dimension, values) in self.spec.source().dimensions() {
            let longer = |k: &Known| {
                let k = k.clone();
                values.iter().map(move |v| {
                    let mut k = k.clone();
                    k.insert(dimension.clone(), v.clone());
                    k
                })
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }

    /// Learns, folder by folder, the values of dimensions that the YAML does not name.
    async fn discover(&self, unusable: &mut Strays) -> Result<Vec<Known>, PortError> {
        let layout = self.spec.source().layout();
        let mut complete = Vec::new();
        let mut open = self.named();
        while !open.is_empty() {
            let mut further = Vec::new();
            let mut wanted = Vec::new();
            for known in open {
                match layout.next_discovery(&known) {
                    Some(prefix) => wanted.push((known, format!("{}{prefix}", self.reader.root()))),
                    None => complete.push(known),
                }
            }
            self.of.fetch_add(wanted.len() as u64, Ordering::Relaxed);
            let folders = |(known, prefix): (Known, String)| async move {
                let found = self.folders(&prefix).await;
                self.tell();
                (known, found)
            };
            let mut results = futures::stream::iter(wanted).map(folders).buffer_unordered(AT_ONCE);
            while let Some((known, found)) = results.next().await {
                for folder in found? {
                    let relative = folder.strip_prefix(self.reader.root()).unwrap_or(&folder);
                    match layout.discover(&known, relative) {
                        Some(learned) => further.push(learned),
                        // A layout may ask for more than any folder; what is left out for its name is told.
                        None if !is_name(relative) => unusable.add(&folder),
                        None => {}
                    }
                }
            }
            open = further;
        }
        complete.sort_unstable();
        Ok(complete)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page =
                self.source.page(PageRequest { prefix, folders: true, token: token.as_deref() }).await?;
            all.extend(page.prefixes);
            token = page.next;
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// One listing for each different prefix: where a layout tells the day late, several days share one.
    fn listings(&self, known: &[Known], days: &[NaiveDate]) -> Vec<Listing> {
        let layout = self.spec.source().layout();
        let mut all = Vec::new();
        for known in known {
            let mut by_prefix: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
            for day in days {
                let prefix = format!("{}{}", self.reader.root(), layout.day_prefix(known, *day));
                by_prefix.entry(prefix).or_default().insert(*day);
            }
            let listing = |(prefix, days)| Listing { known: known.clone(), days, prefix };
            all.extend(by_prefix.into_iter().map(listing));
        }
        all
    }

    async fn list(&self, listing: Listing) -> (Listing, Measured, Option<PortError>) {
        let mut part = Measured::default();
        let mut token: Option<String> = None;
        loop {
            let request = PageRequest { prefix: &listing.prefix, folders: false, token: token.as_deref() };
            let page = match self.source.page(request).await {
                Ok(page) => page,
                Err(error) => return (listing, part, Some(error)),
            };
            self.objects.fetch_add(page.objects.len() as u64, Ordering::Relaxed);
            for object in &page.objects {
                self.take(&listing, &mut part, object);
            }
            token = page.next;
            if token.is_none() {
                return (listing, part, None);
            }
        }
    }

    /// Counts an object towards its partition, or says why not.
    fn take(&self, listing: &Listing, part: &mut Measured, object: &ListedObject) {
        let fields = match self.reader.place(&object.key, object.size) {
            Placed::At(fields) => fields,
            Placed::Filtered => {
                part.filtered += 1;
                return;
            }
            Placed::Stray => return part.unmatched.add(&object.key),
            Placed::Marker => return,
        };
        let names = self.reader.layout().dimensions();
        // A key can begin with one combination's prefix and belong to another's; it is counted where it belongs.
        let fits = names
            .iter()
            .zip(&fields.values)
            .all(|(name, value)| listing.known.get(name).is_none_or(|known| known == value));
        if !fits || !listing.days.contains(&fields.day) {
            return;
        }
        let measured =
            Object { key: &object.key, size: object.size, etag: &object.etag, modified: object.modified };
        let id = PartitionId::new(fields.values, fields.day);
        if !self.cuts.is_empty() {
            let whole = SliceId::whole(id.clone());
            if self.cuts.contains_key(&whole) {
                let slice = slice_of(self.cuts, whole, &object.key, fields.hour);
                part.parts.entry(slice).or_default().add(&measured, fields.hour);
            }
        }
        part.partitions.entry(id).or_default().add(&measured, fields.hour);
    }

    /// The partitions that a listing would have told of: its days, of every combination that agrees with it.
    fn unlisted(&self, listing: &Listing, combinations: &[Vec<String>], error: &PortError) -> Vec<Unlisted> {
        let names = self.spec.source().layout().dimensions();
        let agrees = |values: &&Vec<String>| {
            let mut pairs = names.iter().zip(values.iter());
            pairs.all(|(name, value)| listing.known.get(name).is_none_or(|known| known == value))
        };
        let of = |values: &Vec<String>| {
            let unlisted =
                |day: &NaiveDate| Unlisted { values: values.clone(), day: *day, why: error.what.clone() };
            listing.days.iter().map(unlisted).collect::<Vec<_>>()
        };
        combinations.iter().filter(agrees).flat_map(of).collect()
    }

    /// The combinations that are known whole, and those that only the keys told.
    fn combinations(&self, known: &[Known], measured: &Measured) -> Vec<Vec<String>> {
        let names = self.spec.source().layout().dimensions();
        let whole = |k: &Known| names.iter().map(|n| k.get(n).cloned()).collect::<Option<Vec<String>>>();
        let mut all: BTreeSet<Vec<String>> = known.iter().filter_map(whole).collect();
        all.extend(measured.partitions.keys().map(|p| p.values().to_vec()));
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
