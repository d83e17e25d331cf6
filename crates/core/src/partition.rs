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

/// What one job reads. In this version always a whole partition, and written as one.
///
/// It is a type of its own because tries, names and facts belong to slices, while choices and rows belong to
/// partitions: a split changes the one and not the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SliceId(PartitionId);

impl SliceId {
    /// The slice that is the whole of a partition.
    pub fn whole(partition: PartitionId) -> Self {
        Self(partition)
    }

    /// The partition that this slice belongs to.
    pub fn partition(&self) -> &PartitionId {
        &self.0
    }
}

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
}
