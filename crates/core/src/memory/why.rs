//! One sentence that says why a job asks for what it asks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::show_mib;

/// What memory follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Nothing: every job needs about the same.
    Flat,
    /// Bytes.
    Line,
    /// Objects.
    Objects,
}

impl Rule {
    /// All, the simplest first: of two that cost the same the first wins.
    pub const ALL: [Self; 3] = [Self::Flat, Self::Line, Self::Objects];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flat => "flat",
            Self::Line => "line",
            Self::Objects => "objects",
        })
    }
}

/// How much is added to what the rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slack {
    /// What covers so many hundredths of the finished jobs.
    Quantile(u8),
    /// What covers all of them.
    Most,
}

impl fmt::Display for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(hundredths) => write!(f, "p{hundredths}"),
            Self::Most => f.write_str("max"),
        }
    }
}

/// What kept a request from being what the rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No job was seen to need less than this many MiB.
    SmallestPeak(u64),
    /// `memory.max`, in MiB, or the most that is sold below it.
    Max(u64),
}

/// Why a job asks for what it asks. Its text is one sentence without an end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Too few jobs have finished.
    Start,
    /// The slice was loaded, or tried, before with so much.
    Before,
    /// It is a part of a slice that had more, and nothing is learned yet.
    Share,
    /// The rule that would have cost the least at the finished jobs.
    Learned {
        /// What memory follows.
        rule: Rule,
        /// MiB that every job asks for, slack and headroom included.
        base_mib: f64,
        /// MiB more for every GiB of bytes, or for every object; headroom included.
        slope_mib: f64,
        /// The slack.
        slack: Slack,
        /// Jobs that it was learned from.
        jobs: usize,
        /// Those among them of which only a bound is known.
        bounds: usize,
        /// What else decided.
        limit: Option<Limit>,
    },
    /// A job was killed, and what was learned says how much covers every job seen.
    Covers {
        /// What memory follows.
        rule: Rule,
        /// MiB that were not enough.
        killed_mib: u64,
        /// Jobs that it was learned from.
        jobs: usize,
    },
    /// A job was killed, and nothing better is known than twice as much.
    Doubled {
        /// MiB that were not enough.
        killed_mib: u64,
    },
    /// A job was killed at all that it may have, and memory follows its input.
    Parts {
        /// What memory follows.
        rule: Rule,
        /// MiB that were not enough.
        killed_mib: u64,
    },
    /// A job was killed at all that it may have, and too few jobs have finished, or all are too much alike, to say what
    /// memory follows.
    Halves {
        /// MiB that were not enough.
        killed_mib: u64,
    },
    /// A job was killed at all that it may have, and smaller jobs are not known to need less.
    NoMore {
        /// MiB that were not enough.
        killed_mib: u64,
        /// What memory follows.
        rule: Rule,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Start => f.write_str("memory.start: fewer than 3 jobs have finished"),
            Self::Before => f.write_str("what it had when it was tried before, or what must follow that"),
            Self::Share => f.write_str("its share of what the slice had that it was cut from"),
            Self::Learned { rule, base_mib, slope_mib, slack, jobs, bounds, limit } => {
                write!(f, "{rule}: {}", gib(base_mib))?;
                match rule {
                    Rule::Flat => {}
                    Rule::Line => write!(f, " + {} × bytes", short(slope_mib / 1024.0))?,
                    Rule::Objects => write!(f, " + {} MiB × objects", short(slope_mib))?,
                }
                write!(f, ", from {jobs} jobs")?;
                match bounds {
                    0 => {}
                    _ if bounds == jobs => f.write_str(" that told no peak, only enough or not")?,
                    _ => write!(f, " ({bounds} told no peak, only enough or not)")?,
                }
                write!(f, ", slack {slack}")?;
                match limit {
                    None => Ok(()),
                    Some(Limit::SmallestPeak(mib)) => {
                        write!(f, "; no job needed less than {}", show_mib(mib))
                    }
                    Some(Limit::Max(mib)) => write!(f, "; memory.max leaves {}", show_mib(mib)),
                }
            }
            Self::Covers { rule, killed_mib, jobs } => {
                write!(f, "{rule}: killed at {}; covers all of {jobs} jobs", show_mib(killed_mib))
            }
            Self::Doubled { killed_mib } => write!(f, "killed at {}; up to twice that", show_mib(killed_mib)),
            Self::Parts { rule, killed_mib } => {
                let follows = if rule == Rule::Objects { "objects" } else { "bytes" };
                write!(f, "killed at {}, the most; memory follows {follows}", show_mib(killed_mib))
            }
            Self::Halves { killed_mib } => {
                let killed = show_mib(killed_mib);
                write!(f, "killed at {killed}, the most; what memory follows is not known yet")
            }
            Self::NoMore { killed_mib, rule: Rule::Flat } => {
                let killed = show_mib(killed_mib);
                write!(
                    f,
                    "killed at {killed}, the most; memory does not follow input, so a split cannot help"
                )
            }
            Self::NoMore { killed_mib, rule: Rule::Line | Rule::Objects } => {
                let killed = show_mib(killed_mib);
                write!(f, "killed at {killed}, the most; the smallest part would need more")
            }
        }
    }
}

/// `0.9 GiB`; a base may be below nothing.
fn gib(mib: f64) -> String {
    if mib.abs() < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// Two digits that say something.
fn short(factor: f64) -> String {
    match factor {
        _ if factor >= 10.0 => format!("{factor:.0}"),
        _ if factor >= 1.0 => format!("{factor:.1}"),
        _ if factor >= 0.01 => format!("{factor:.2}"),
        _ => format!("{factor:.1e}"),
    }
}
