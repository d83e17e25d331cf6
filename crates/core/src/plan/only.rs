//! What a plan is asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SubmitReason;
use crate::partition::PartitionId;

/// What `--only` asks for: reasons, or partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Only {
    /// Partitions that are due for one of these reasons.
    Reasons(Vec<SubmitReason>),
    /// These partitions, whatever makes them due.
    Partitions(Vec<PartitionId>),
}

impl Default for Only {
    /// What never was loaded and what failed. What changed is reported, and loaded again only when asked for.
    fn default() -> Self {
        Self::Reasons(vec![SubmitReason::Missing, SubmitReason::Failed])
    }
}

impl Only {
    /// Whether this partition may be in the plan for this reason.
    pub fn takes(&self, partition: &PartitionId, reason: SubmitReason) -> bool {
        match self {
            Self::Reasons(reasons) => reasons.contains(&reason),
            Self::Partitions(partitions) => partitions.contains(partition),
        }
    }

    /// Whether this partition was not asked for at all.
    pub fn leaves_out(&self, partition: &PartitionId) -> bool {
        matches!(self, Self::Partitions(partitions) if !partitions.contains(partition))
    }
}

/// A text that `--only` does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither a reason (missing, failed, changed) nor a partition such as condor/2018-10-04")]
pub struct NotAnOnly {
    text: String,
}

impl FromStr for Only {
    type Err = NotAnOnly;

    fn from_str(text: &str) -> Result<Self, NotAnOnly> {
        let (mut reasons, mut partitions) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim) {
            match part {
                "missing" => reasons.push(SubmitReason::Missing),
                "failed" => reasons.push(SubmitReason::Failed),
                "changed" => reasons.push(SubmitReason::Changed),
                other => partitions.push(other.parse().map_err(|_| NotAnOnly { text: other.to_owned() })?),
            }
        }
        reasons.sort_unstable();
        reasons.dedup();
        partitions.sort_unstable();
        partitions.dedup();
        match (reasons.is_empty(), partitions.is_empty()) {
            (false, true) => Ok(Self::Reasons(reasons)),
            (true, false) => Ok(Self::Partitions(partitions)),
            // Reasons narrow the window and partitions name days: both at once could mean either.
            _ => Err(NotAnOnly { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = match self {
            Self::Reasons(reasons) => reasons
                .iter()
                .map(|r| match r {
                    SubmitReason::Missing => "missing".to_owned(),
                    SubmitReason::Failed => "failed".to_owned(),
                    SubmitReason::Changed => "changed".to_owned(),
                })
                .collect(),
            Self::Partitions(partitions) => partitions.iter().map(ToString::to_string).collect(),
        };
        f.write_str(&parts.join(","))
    }
}

impl From<Only> for String {
    fn from(only: Only) -> Self {
        only.to_string()
    }
}

impl TryFrom<String> for Only {
    type Error = NotAnOnly;

    fn try_from(text: String) -> Result<Self, NotAnOnly> {
        text.parse()
    }
}
