//! Keys → sized partitions.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::partition::{PartitionId, SliceId};

/// One object as a listing tells it.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// The whole key.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// The ETag as the store gave it.
    pub etag: &'a str,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

/// What a set of objects is, whatever order they were listed in: the sum of a hash of each one's key, size and
/// ETag. Two sets that differ in anything but order have different fingerprints, for all practical purposes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(u128);

impl Fingerprint {
    fn add(&mut self, object: &Object<'_>) {
        let mut hash = Sha256::new();
        // The length keeps a key and an ETag from running into each other.
        hash.update((object.key.len() as u64).to_le_bytes());
        hash.update(object.key);
        hash.update(object.size.to_le_bytes());
        hash.update(object.etag);
        let digest = hash.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        self.0 = self.0.wrapping_add(u128::from_le_bytes(first));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// Objects and bytes of one hour of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HourTotal {
    /// Number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The size of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measure {
    /// Number of objects.
    pub objects: u64,
    /// Their bytes, as stored (compressed).
    pub bytes: u64,
    /// Bytes of the largest object.
    pub largest: u64,
    /// When the newest object was written.
    pub newest: Option<DateTime<Utc>>,
    /// What the objects are.
    pub fingerprint: Fingerprint,
    /// Totals of hours 0 to 23, where the layout has an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Box<[HourTotal; 24]>>,
}

impl Measure {
    /// Of nothing.
    pub const EMPTY: Self =
        Self { objects: 0, bytes: 0, largest: 0, newest: None, fingerprint: Fingerprint(0), hours: None };

    /// Counts one more object, of this hour where the layout tells one.
    pub fn add(&mut self, object: &Object<'_>, hour: Option<u8>) {
        self.objects += 1;
        self.bytes += object.size;
        self.largest = self.largest.max(object.size);
        self.newest = self.newest.max(Some(object.modified));
        self.fingerprint.add(object);
        if let Some(hour) = hour {
            let hours = self.hours.get_or_insert_default();
            if let Some(total) = hours.get_mut(usize::from(hour)) {
                total.objects += 1;
                total.bytes += object.size;
            }
        }
    }

    /// Hours without an object between the first and the last that have one; empty where there are no hours.
    pub fn missing_hours(&self) -> Vec<u8> {
        let Some(hours) = &self.hours else { return Vec::new() };
        let full = |h: &usize| hours[*h].objects > 0;
        let (Some(first), Some(last)) = ((0..24).find(full), (0..24).rfind(full)) else { return Vec::new() };
        (first..=last).filter(|h| !full(h)).map(|h| h as u8).collect()
    }
}

/// A part of the source that could not be listed, after the retries of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The dimension values it belongs to, in the order of the layout.
    pub values: Vec<String>,
    /// The day.
    pub day: NaiveDate,
    /// What the store said.
    pub why: String,
}

/// Everything that was found in the source for a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measured {
    /// The days that were asked for, both inclusive.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// The combinations of dimension values: named in the YAML, or discovered.
    pub combinations: Vec<Vec<String>>,
    /// Partitions with at least one object.
    pub partitions: BTreeMap<PartitionId, Measure>,
    /// Of partitions that were cut, the parts with at least one object.
    pub parts: BTreeMap<SliceId, Measure>,
    /// What could not be listed.
    pub unlisted: Vec<Unlisted>,
    /// Keys under the prefixes that do not follow the layout.
    pub unmatched: Strays,
    /// Keys left out by `include` and `exclude`.
    pub filtered: u64,
    /// Discovered values of a dimension that are not fit to be passed to a job (control characters, too long).
    pub unusable: Strays,
}

/// Things that were passed over: how many, and the first few of them by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Strays {
    /// How many.
    pub count: u64,
    /// The first in order of name, at most [`Strays::SHOWN`].
    pub examples: Vec<String>,
}

impl Strays {
    /// How many examples are kept.
    pub const SHOWN: usize = 3;

    /// Counts one more. Which examples are kept does not depend on the order of calls.
    pub fn add(&mut self, name: &str) {
        self.count += 1;
        if let Err(at) = self.examples.binary_search_by(|e| e.as_str().cmp(name))
            && at < Self::SHOWN
        {
            self.examples.insert(at, name.to_owned());
            self.examples.truncate(Self::SHOWN);
        }
    }

    /// Adds what another count has seen.
    pub fn merge(&mut self, other: Strays) {
        let sum = self.count + other.count;
        for example in &other.examples {
            self.add(example);
        }
        self.count = sum;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object<'a>(key: &'a str, size: u64, etag: &'a str) -> Object<'a> {
        Object { key, size, etag, modified: DateTime::UNIX_EPOCH }
    }

    fn measure(objects: &[(String, u64, String)]) -> Measure {
        let mut m = Measure::default();
        for (key, size, etag) in objects {
            m.add(&object(key, *size, etag), None);
        }
        m
    }

    proptest! {
        #[test]
        fn fingerprint_ignores_order_and_nothing_else(
            objects in prop::collection::vec(("[a-z/]{1,8}", 0u64..100, "[0-9a-f]{4}"), 1..12), turn in 0usize..12
        ) {
            let mut turned = objects.clone();
            let by = turn % objects.len();
            turned.rotate_left(by);
            prop_assert_eq!(measure(&objects), measure(&turned));
            let mut grown = objects.clone();
            grown[by].1 += 1;
            prop_assert_ne!(measure(&objects).fingerprint, measure(&grown).fingerprint);
            let mut fewer = objects.clone();
            fewer.remove(by);
            prop_assert_ne!(measure(&objects).fingerprint, measure(&fewer).fingerprint);
        }

        #[test]
        fn strays_do_not_depend_on_order(names in prop::collection::vec("[a-z]{1,3}", 0..20), cut in 0usize..20) {
            let mut all = Strays::default();
            for n in &names {
                all.add(n);
            }
            let (left, right) = names.split_at(cut.min(names.len()));
            let (mut a, mut b) = (Strays::default(), Strays::default());
            for n in right {
                a.add(n);
            }
            for n in left {
                b.add(n);
            }
            a.merge(b);
            prop_assert_eq!(all, a);
        }
    }

    #[test]
    fn a_boundary_between_key_and_etag_counts() {
        let (mut a, mut b) = (Fingerprint::default(), Fingerprint::default());
        a.add(&object("ab", 1, "c"));
        b.add(&object("a", 1, "bc"));
        assert_ne!(a, b);
    }

    #[test]
    fn missing_hours_lie_between_the_first_and_the_last() {
        let mut m = Measure::default();
        for hour in [3, 4, 7] {
            m.add(&object("k", 1, "e"), Some(hour));
        }
        assert_eq!(m.missing_hours(), [5, 6]);
        assert_eq!(Measure::default().missing_hours(), [0u8; 0]);
    }
}
