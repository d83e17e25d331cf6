//! Names of what is loaded: partitions and slices.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// One day of one combination of dimension values, written `condor/2018-10-04`.
///
/// Values never contain `/` (the layout sees to it), so the text form reads back without knowing the layout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PartitionId {
    values: Vec<String>,
    day: NaiveDate,
}

impl PartitionId {
    /// A partition of these dimension values, in the order of the layout, and this day.
    pub fn new(values: Vec<String>, day: NaiveDate) -> Self {
        Self { values, day }
    }

    /// The dimension values, in the order of the layout.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The day, in the zone of the keys.
    pub fn day(&self) -> NaiveDate {
        self.day
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in &self.values {
            write!(f, "{value}/")?;
        }
        write!(f, "{}", self.day)
    }
}

/// A text that names no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a partition: write the dimension values and the day, such as condor/2018-10-04")]
pub struct NotAPartition {
    text: String,
}

impl FromStr for PartitionId {
    type Err = NotAPartition;

    fn from_str(text: &str) -> Result<Self, NotAPartition> {
        let bad = || NotAPartition { text: text.to_owned() };
        let mut values: Vec<String> = text.split('/').map(str::to_owned).collect();
        let day = values.pop().ok_or_else(bad)?;
        // chrono also takes 2018-1-4; a second spelling would be a second partition.
        if day.len() != 10 || values.iter().any(String::is_empty) {
            return Err(bad());
        }
        let day = day.parse().map_err(|_| bad())?;
        Ok(Self { values, day })
    }
}

impl From<PartitionId> for String {
    fn from(id: PartitionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for PartitionId {
    type Error = NotAPartition;

    fn try_from(text: String) -> Result<Self, NotAPartition> {
        text.parse()
    }
}

/// What one job reads: a whole partition, an hour of it, or a range of its keys.
///
/// Written `condor/2018-10-04`, `condor/2018-10-04/05` for its hour 5, and with `+2of4` behind either for the second of
/// four ranges of its keys; a range that was divided again has more of those. The date stands nowhere else, so the text
/// form reads back without knowing the layout.
///
/// Tries, names and facts belong to slices, choices and rows to partitions. In order of slice a partition comes before its
/// parts, and all of them before the next partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SliceId {
    partition: PartitionId,
    hour: Option<u8>,
    ranges: Vec<KeyRange>,
}

/// Which one of how many ranges of keys, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct KeyRange {
    of: u32,
    nth: u32,
}

impl SliceId {
    /// The slice that is the whole of a partition.
    pub fn whole(partition: PartitionId) -> Self {
        Self { partition, hour: None, ranges: Vec::new() }
    }

    /// An hour of a whole partition.
    pub(crate) fn of_hour(&self, hour: u8) -> Self {
        Self { hour: Some(hour), ..self.clone() }
    }

    /// A range of its keys, the `nth` of so many, from 1.
    pub(crate) fn of_range(&self, nth: u32, of: u32) -> Self {
        let mut part = self.clone();
        part.ranges.push(KeyRange { of, nth });
        part
    }

    /// The partition that this slice belongs to.
    pub fn partition(&self) -> &PartitionId {
        &self.partition
    }

    /// The hour that it is of, if it is of one.
    pub fn hour(&self) -> Option<u8> {
        self.hour
    }

    /// It is less than a partition.
    pub fn is_part(&self) -> bool {
        self.hour.is_some() || self.is_range()
    }

    /// It is a range of keys.
    pub fn is_range(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// It is `other` or a part of it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.partition == other.partition
            && (other.hour.is_none() || self.hour == other.hour)
            // Where the hours are not divided further the ranges are those of the partition.
            && (other.ranges.is_empty() || self.hour == other.hour)
            && self.ranges.starts_with(&other.ranges)
    }
}

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.partition.fmt(f)?;
        if let Some(hour) = self.hour {
            write!(f, "/{hour:02}")?;
        }
        self.ranges.iter().try_for_each(|range| write!(f, "+{}of{}", range.nth, range.of))
    }
}

/// A text that names no slice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is neither a partition nor a part of one: write the dimension values and the day, such as \
     condor/2018-10-04, and for a part what `dayfill explain` calls it, such as condor/2018-10-04/05"
)]
pub struct NotASlice {
    text: String,
}

impl FromStr for SliceId {
    type Err = NotASlice;

    fn from_str(text: &str) -> Result<Self, NotASlice> {
        let bad = || NotASlice { text: text.to_owned() };
        let (folders, last) =
            text.rsplit_once('/').map_or((None, text), |(folders, last)| (Some(folders), last));
        let mut pieces = last.split('+');
        let name = pieces.next().ok_or_else(bad)?;
        let ranges = pieces.map(|piece| key_range(piece).ok_or_else(bad)).collect::<Result<Vec<_>, _>>()?;
        let (partition, hour) = match (folders, name.len()) {
            (Some(folders), 2) => {
                let hour = number(name).filter(|hour| *hour < 24).ok_or_else(bad)?;
                (folders.to_owned(), Some(hour as u8))
            }
            (Some(folders), _) => (format!("{folders}/{name}"), None),
            (None, _) => (name.to_owned(), None),
        };
        let partition = partition.parse().map_err(|_| bad())?;
        Ok(Self { partition, hour, ranges })
    }
}

/// `2of4`.
fn key_range(piece: &str) -> Option<KeyRange> {
    let (nth, of) = piece.split_once("of")?;
    let (nth, of) = (number(nth)?, number(of)?);
    // A second spelling would be a second slice.
    let is_plain = piece == format!("{nth}of{of}");
    (is_plain && (1..=of).contains(&nth) && of > 1).then_some(KeyRange { of, nth })
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl From<SliceId> for String {
    fn from(id: SliceId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for SliceId {
    type Error = NotASlice;

    fn try_from(text: String) -> Result<Self, NotASlice> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back() {
        for text in ["2018-10-04", "condor/2018-10-04", "123456789012/us-east-1/2018-10-04", "a b/2020-02-29"]
        {
            let id: PartitionId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "condor", "condor/2018-13-04", "condor/2018-1-4", "/2018-10-04", "2018-10-04/"] {
            assert!(text.parse::<PartitionId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn slices_read_back() {
        for text in [
            "2018-10-04",
            "2018-10-04/05",
            "2018-10-04+1of2",
            "condor/2018-10-04/23",
            "condor/2018-10-04/00+2of4",
            "a+1of2/2018-10-04+12of40+1of2",
            "2018-10-03/2018-10-04/07",
        ] {
            let id: SliceId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
        for text in [
            "condor/2018-10-04/24",
            "condor/2018-10-04/5",
            "condor/05",
            "condor/2018-10-04/",
            "condor/2018-10-04+0of2",
            "condor/2018-10-04+3of2",
            "condor/2018-10-04+1of1",
            "condor/2018-10-04+01of2",
            "condor/2018-10-04+1of2+",
            "+1of2",
            "",
        ] {
            assert!(text.parse::<SliceId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn parts_are_within_what_they_are_parts_of() {
        let slice = |text: &str| text.parse::<SliceId>().unwrap();
        for (part, of) in [
            ("c/2018-10-04", "c/2018-10-04"),
            ("c/2018-10-04/05", "c/2018-10-04"),
            ("c/2018-10-04/05+1of2", "c/2018-10-04/05"),
            ("c/2018-10-04+1of2+3of4", "c/2018-10-04+1of2"),
        ] {
            assert!(slice(part).is_within(&slice(of)), "{part} of {of}");
            assert!(part == of || !slice(of).is_within(&slice(part)), "{of} of {part}");
        }
        for (other, of) in [
            ("c/2018-10-05/05", "c/2018-10-04"),
            ("c/2018-10-04/06+1of2", "c/2018-10-04/05"),
            ("c/2018-10-04/05+1of2", "c/2018-10-04+1of2"),
            ("c/2018-10-04+2of2", "c/2018-10-04+1of2"),
        ] {
            assert!(!slice(other).is_within(&slice(of)), "{other} of {of}");
        }
        let mut sorted =
            ["c/2018-10-04", "c/2018-10-04+1of2", "c/2018-10-04+2of2", "c/2018-10-04/05"].map(slice);
        sorted.sort();
        assert_eq!(sorted.first(), Some(&slice("c/2018-10-04")), "a partition comes before its parts");
    }
}
