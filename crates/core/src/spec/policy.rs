//! The parts of a spec that a plan carries with it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::partition::SliceId;
use crate::units;

/// How often each kind of failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Further tries after the job itself failed.
    pub app: u32,
    /// Further attempts by Batch after it lost the host.
    pub spot: u32,
    /// Further tries after the container did not start.
    pub start: u32,
    /// Lost hosts of one load of a slice after which it goes to the fallback queue.
    #[serde(default = "fallback_after", skip_serializing_if = "is_fallback_after")]
    pub fallback_after: u32,
}

fn fallback_after() -> u32 {
    RetryPolicy::default().fallback_after
}

// Plans that were made before there was such a queue keep their digest.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_fallback_after(times: &u32) -> bool {
    *times == fallback_after()
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { app: 1, spot: 8, start: 3, fallback_after: 3 }
    }
}

/// What a backfill may use, and when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The most jobs submitted and not ended at a time.
    pub in_flight: u32,
    /// How many slices may fail for good before nothing more is submitted.
    pub stop_after: Option<StopAfter>,
    /// The most jobs that one plan may submit.
    pub max_jobs: u32,
    /// How many jobs go first and alone, so that the others ask for what they need; at most 3.
    #[serde(default = "pilots", skip_serializing_if = "is_pilots")]
    pub pilots: u32,
}

fn pilots() -> u32 {
    Limits::default().pilots
}

// Plans that were made before there were pilots keep their digest.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_pilots(pilots: &u32) -> bool {
    *pilots == self::pilots()
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 50, stop_after: None, max_jobs: 5000, pilots: 3 }
    }
}

/// How many failures are too many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopAfter {
    /// A share of the slices of the plan, in percent: above 0, at most 100.
    Percent(f64),
    /// A number of slices, at least 1.
    Count(u32),
}

/// Not a share such as `5%` and not a count such as `3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a share of the jobs or a count of them")]
pub struct NoStopAfter;

impl FromStr for StopAfter {
    type Err = NoStopAfter;

    fn from_str(text: &str) -> Result<Self, NoStopAfter> {
        if text.ends_with('%') {
            let share = units::parse_percent(text).ok().filter(|share| *share > 0.0);
            return share.map(Self::Percent).ok_or(NoStopAfter);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let count = text.parse::<u32>().ok().filter(|count| digits && *count > 0);
        count.map(Self::Count).ok_or(NoStopAfter)
    }
}

/// The memory a job may have, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBounds {
    /// What a first try gets.
    pub start_mib: u64,
    /// What no try goes beyond.
    pub max_mib: u64,
}

/// What a job says when its own runtime, not its container, ran out of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemorySigns {
    /// Exit codes.
    pub exit_codes: Vec<i32>,
    /// Regular expressions on the last lines of its log.
    pub log: Vec<String>,
}

impl Default for MemorySigns {
    /// Those of a JVM: 3 with `-XX:+ExitOnOutOfMemoryError`, and what it prints when its heap is full.
    fn default() -> Self {
        let heap = r"java\.lang\.OutOfMemoryError: (Java heap space|GC overhead limit exceeded)";
        Self { exit_codes: vec![3], log: vec![heap.to_owned()] }
    }
}

impl MemorySigns {
    /// They are those that hold where nothing else was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Hosts that the local engine takes away while jobs run, as happens to Spot capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reclaims {
    /// How many hosts in a hundred are taken within a minute.
    pub percent: f64,
    /// What decides which: with equal seeds the same jobs lose their hosts.
    pub seed: u64,
    /// The queue whose hosts these are; those of the fallback queue are kept.
    pub queue: String,
}

/// What an hour costs, in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// One vCPU for one hour.
    pub vcpu_hour: f64,
    /// One GiB of memory for one hour.
    pub gib_hour: f64,
}

/// What a job is told to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// All keys that begin with `{prefix}`.
    #[default]
    Prefix,
    /// The keys that the object `{manifest}` lists.
    Manifest,
}

impl Reads {
    /// It is what holds where nothing else was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The kind of that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "prefix" => Some(Self::Prefix),
            "manifest" => Some(Self::Manifest),
            _ => None,
        }
    }
}

/// What makes a job a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Success {
    /// It is recorded as SUCCEEDED.
    #[default]
    Exit,
    /// It is, and it has written a result of its slice.
    Result,
}

impl Success {
    /// It is what holds where nothing else was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The kind of that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "exit" => Some(Self::Exit),
            "result" => Some(Self::Result),
            _ => None,
        }
    }
}

/// What may be run again without doing harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idempotent {
    /// Any slice replaces its own output.
    Slice,
    /// Only a whole day replaces itself.
    Partition,
    /// Nothing: a second run loads twice.
    No,
}

impl Idempotent {
    /// Whether a job of this slice may run again after one that may have loaded something.
    pub fn reruns(self, slice: &SliceId) -> bool {
        match self {
            Self::Slice => true,
            // Only a whole day replaces itself.
            Self::Partition => !slice.is_part(),
            Self::No => false,
        }
    }

    /// The name that the YAML file uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slice => "slice",
            Self::Partition => "partition",
            Self::No => "no",
        }
    }

    /// The kind of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Slice, Self::Partition, Self::No].into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_a_share_or_a_count() {
        for (text, stop) in [
            ("5%", StopAfter::Percent(5.0)),
            ("0.5 %", StopAfter::Percent(0.5)),
            ("100%", StopAfter::Percent(100.0)),
            ("3", StopAfter::Count(3)),
        ] {
            assert_eq!(text.parse(), Ok(stop), "{text}");
        }
        for text in ["", "%", "0", "0%", "101%", "-1", "+1", "1e3%", "NaN%", "inf%", "1.5", "five"] {
            assert_eq!(text.parse::<StopAfter>(), Err(NoStopAfter), "{text}");
        }
    }

    #[test]
    fn policies_are_stored_by_name() {
        let limits = Limits { stop_after: Some(StopAfter::Percent(5.0)), ..Limits::default() };
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"{"in_flight":50,"stop_after":{"percent":5.0},"max_jobs":5000}"#);
        assert_eq!(serde_json::from_str::<Limits>(&json).unwrap(), limits);
        for kind in [Idempotent::Slice, Idempotent::Partition, Idempotent::No] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
            assert_eq!(Idempotent::of(kind.name()), Some(kind));
        }
    }
}
