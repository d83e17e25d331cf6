//! Partitions → slices: where a day is cut, and whose part a key is.
//!
//! A slice is cut by hour, where its keys say one, or into ranges of its keys, balanced by bytes. A cut says nothing of
//! the objects that were there when it was made, only where it goes: by the same cut every object that comes later has
//! its slice too, so the slices of a partition are always the whole of it, and no two of them have an object in common.
//! A cut is kept for good: what is loaded again is loaded in the same slices.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::partition::SliceId;
use crate::spec::Reads;
use crate::template::Template;
use crate::units;

mod ranges;
#[cfg(test)]
mod tests;

pub use ranges::balanced;

/// Where a slice is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cut {
    /// Into its hours.
    Hours,
    /// Into ranges of its keys.
    Ranges {
        /// The first key of every range but the first, which begins where the slice does. In order.
        starts: Vec<String>,
    },
}

/// The cuts that were made, by the slice that was cut.
pub type Cuts = BTreeMap<SliceId, Cut>;

impl Cut {
    /// The parts of `slice`, in order, whether or not they have objects.
    pub fn parts(&self, slice: &SliceId) -> Vec<SliceId> {
        match self {
            Self::Hours => (0..24).map(|hour| slice.of_hour(hour)).collect(),
            Self::Ranges { starts } => {
                let of = starts.len() as u32 + 1;
                (1..=of).map(|nth| slice.of_range(nth, of)).collect()
            }
        }
    }

    /// The part of `slice` that an object belongs to. `hour` is what its key says.
    fn part_of(&self, slice: &SliceId, key: &str, hour: Option<u8>) -> SliceId {
        match self {
            Self::Hours => slice.of_hour(hour.unwrap_or(0)),
            Self::Ranges { starts } => {
                let before = starts.partition_point(|start| start.as_str() <= key) as u32;
                slice.of_range(before + 1, starts.len() as u32 + 1)
            }
        }
    }
}

/// The slice of this partition, whole or cut, that an object belongs to.
pub fn slice_of(cuts: &Cuts, whole: SliceId, key: &str, hour: Option<u8>) -> SliceId {
    let mut slice = whole;
    while let Some(cut) = cuts.get(&slice) {
        slice = cut.part_of(&slice, key, hour);
    }
    slice
}

/// The parts that `slice` comes to, in order; itself where it was not cut.
pub fn leaves(cuts: &Cuts, slice: &SliceId) -> Vec<SliceId> {
    let Some(cut) = cuts.get(slice) else { return vec![slice.clone()] };
    cut.parts(slice).iter().flat_map(|part| leaves(cuts, part)).collect()
}

/// An object of a slice that is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sized<'a> {
    /// The whole key.
    pub key: &'a str,
    /// Bytes.
    pub bytes: u64,
    /// The hour that its key says.
    pub hour: Option<u8>,
}

/// What a slice may be cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Into hours: its keys say one, and a job reads no more than the hour it is told.
    pub hours: bool,
    /// Into ranges of keys: a job reads the keys that it is told.
    pub ranges: bool,
}

impl Means {
    /// What the slices of a backfill may be cut into, whose job is told this. One that reads a prefix reads no more than an
    /// hour only if it is told which one, and if the keys of an hour have a prefix of their own.
    pub fn of<'a>(layout: &Layout, reads: Reads, mut told: impl Iterator<Item = &'a Template>) -> Self {
        let ranges = reads == Reads::Manifest;
        let is_told = told.any(|t| ["prefix", "hour", "slice"].iter().any(|field| t.names(field)));
        let known = layout.dimensions().iter().map(|name| (name.clone(), "x".to_owned())).collect();
        let has_prefix = layout.hour_prefix(&known, NaiveDate::default(), 0).is_some();
        Self { hours: layout.has_hour() && (ranges || (is_told && has_prefix)), ranges }
    }
}

/// How small the parts must be. None is larger, unless it is a single object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Most {
    /// Bytes of a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// Objects of a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub objects: Option<u64>,
}

impl Most {
    /// Whether so much is more.
    pub fn is_less_than(&self, bytes: u64, objects: u64) -> bool {
        self.bytes.is_some_and(|most| bytes > most) || self.objects.is_some_and(|most| objects > most)
    }
}

/// Why a slice cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCut {
    /// It has one object, or none.
    #[error("it has a single object, and dayfill does not look into objects")]
    OneObject,
    /// Only its hours could be told apart, and it is of one.
    #[error(
        "all of it is of one hour, and a job that reads a prefix is cut by hour alone (`reads: manifest`)"
    )]
    OneHour,
    /// A job reads all that its prefix has.
    #[error(
        "a job that reads a prefix is cut by hour alone, where the layout has one and the job is told {{prefix}}, {{hour}} \
         or {{slice}} (`reads: manifest`)"
    )]
    Prefix,
}

/// Where to cut a slice with these objects, in order of key, so that its parts fit: by hour where its keys say one and
/// name more than one, else into as few ranges as fit, balanced by bytes. Every part of the cut has an object.
pub fn cut(slice: &SliceId, objects: &[Sized<'_>], means: Means, most: Most) -> Result<Cut, NoCut> {
    if objects.len() < 2 {
        return Err(NoCut::OneObject);
    }
    let by_hour = means.hours && !slice.is_part();
    let first = objects.first().and_then(|o| o.hour);
    if by_hour && objects.iter().any(|o| o.hour != first) {
        return Ok(Cut::Hours);
    }
    if !means.ranges {
        return Err(if by_hour || slice.hour().is_some() { NoCut::OneHour } else { NoCut::Prefix });
    }
    let starts = balanced(objects, most);
    let starts = starts.into_iter().filter_map(|at| objects.get(at).map(|o| o.key.to_owned())).collect();
    Ok(Cut::Ranges { starts })
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.map(|bytes| format!("split.max_bytes ({})", units::show_bytes(bytes)));
        let objects = self.objects.map(|objects| format!("split.max_objects ({objects})"));
        let both: Vec<String> = bytes.into_iter().chain(objects).collect();
        f.write_str(&both.join(" or "))
    }
}
