//! What one submission says: its name, environment, command, and rules for retries.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::hex::hex;
use crate::partition::SliceId;
use crate::plan::{Plan, PlannedJob};
use crate::spec::RetryPolicy;

/// The name of a job: `df-{hash of backfill, slice and load}-{readable part}-{try}-{nonce}`.
///
/// Lower case throughout, because the name filter of ListJobs ignores case; at most 128 characters of
/// `a-z0-9_-`, as Batch wants them. All tries of one load of a slice share [`JobName::search_prefix`], and two
/// writers' tries differ by the nonce.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobName(String);

/// Longest readable part, so that a name stays well below 128 characters.
const READABLE: usize = 64;

impl JobName {
    /// The name for this try; equal inputs give equal names.
    pub fn new(backfill: Uuid, slice: &SliceId, load: u32, r#try: u32, nonce: u32) -> Self {
        let readable: String = slice
            .to_string()
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let readable: String = readable.chars().take(READABLE).collect();
        Self(format!("{}{readable}-{try}-{nonce:08x}", Self::search_prefix(backfill, slice, load)))
    }

    /// What every name of this load of this slice begins with, and no other's does: `df-{16 hex digits}-`.
    pub fn search_prefix(backfill: Uuid, slice: &SliceId, load: u32) -> String {
        let mut hash = Sha256::new();
        hash.update(backfill.as_bytes());
        hash.update(load.to_le_bytes());
        hash.update(slice.to_string());
        let hash = hash.finalize();
        let (first, _) = hash.split_at(8);
        format!("df-{}-", hex(first))
    }

    /// As Batch reads it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name as long as any.
    pub fn longest() -> Self {
        Self("x".repeat(128))
    }

    /// A name as Batch or the journal tells it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One rule of `evaluateOnExit`: all its patterns must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRule {
    /// Pattern on `statusReason`.
    pub on_status_reason: Option<&'static str>,
    /// Pattern on the container's reason.
    pub on_reason: Option<&'static str>,
    /// Pattern on the exit code.
    pub on_exit_code: Option<&'static str>,
    /// Retry, or else exit.
    pub retry: bool,
}

/// What Batch itself may repeat inside one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStrategy {
    /// 1 to 10.
    pub attempts: u32,
    /// At most 5; empty where there is only one attempt.
    pub rules: Vec<ExitRule>,
}

impl RetryStrategy {
    /// Lost hosts are repeated by Batch, everything else comes back to us.
    ///
    /// What matches no rule would be retried, and whether a pattern `*` matches a reason that is absent is not
    /// documented: so there are three catch-alls, one for each of the three things that Batch can match. What must not
    /// run again is not repeated at all.
    pub fn of(retry: &RetryPolicy, reruns: bool) -> Self {
        let attempts = if reruns { retry.spot + 1 } else { 1 };
        if attempts == 1 {
            return Self { attempts, rules: Vec::new() };
        }
        let exit = |on_reason, on_status_reason, on_exit_code| ExitRule {
            on_status_reason,
            on_reason,
            on_exit_code,
            retry: false,
        };
        let lost = |on_status_reason| ExitRule {
            on_status_reason: Some(on_status_reason),
            on_reason: None,
            on_exit_code: None,
            retry: true,
        };
        let rules = vec![
            lost("Host EC2*"),
            lost("Your Spot Task was interrupted*"),
            exit(Some("*"), None, None),
            exit(None, Some("*"), None),
            exit(None, None, Some("*")),
        ];
        Self { attempts, rules }
    }
}

/// Everything that one SubmitJob says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Unique.
    pub name: JobName,
    /// Job queue, by name or ARN.
    pub queue: String,
    /// `name:revision`.
    pub definition: String,
    /// On queues that ask for one.
    pub share_identifier: Option<String>,
    /// The command, where the definition's is overridden.
    pub command: Vec<String>,
    /// Environment variables beside the definition's.
    pub environment: BTreeMap<String, String>,
    /// MiB.
    pub memory_mib: u64,
    /// vCPUs.
    pub vcpus: u32,
    /// Seconds an attempt may take.
    pub timeout_s: Option<u32>,
    /// What Batch itself repeats.
    pub retry: RetryStrategy,
}

/// The variables that every job gets beside those of the backfill: where its result may be written, and what it is to be
/// of. See [`crate::result`].
pub const OWN_VARIABLES: [&str; 2] = ["DAYFILL_RESULT", "DAYFILL_SLICE"];

/// What varies from try to try of one planned job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of the try, from 1.
    pub r#try: u32,
    /// MiB.
    pub memory_mib: u64,
    /// Seconds an attempt may take.
    pub timeout_s: Option<u32>,
    /// It goes to the fallback queue.
    pub fallback: bool,
}

impl Submission {
    /// The submission of a planned job in this shape, under this name and definition.
    pub fn of(plan: &Plan, job: &PlannedJob, shape: Shape, name: JobName, definition: String) -> Self {
        let lookup = |field: &str| Some(value(plan, job, shape, field));
        let queue = plan.job.fallback_queue.as_ref().filter(|_| shape.fallback).unwrap_or(&plan.job.queue);
        let mut environment: BTreeMap<String, String> =
            plan.job.environment.iter().map(|(k, t)| (k.clone(), t.render(lookup))).collect();
        let own = [plan.result(&name), job.slice.to_string()];
        environment.extend(OWN_VARIABLES.map(str::to_owned).into_iter().zip(own));
        Self {
            name,
            queue: queue.clone(),
            definition,
            share_identifier: plan.job.share_identifier.clone(),
            command: plan.job.command.iter().map(|t| t.render(lookup)).collect(),
            environment,
            memory_mib: shape.memory_mib,
            vcpus: plan.job.vcpus,
            timeout_s: shape.timeout_s,
            retry: RetryStrategy::of(&plan.retry, plan.reruns(&job.slice)),
        }
    }

    /// Characters of `containerOverrides` as JSON, about: Batch fails jobs over 8,192 **after** accepting them.
    pub fn override_length(&self) -> usize {
        // Quotes, names and braces of one entry of a list, in the JSON that the SDK writes.
        let pair = |k: &str, v: &str| json_length(k) + json_length(v) + r#"{"name":,"value":},"#.len();
        let command: usize = self.command.iter().map(|c| json_length(c) + 1).sum();
        let environment: usize = self.environment.iter().map(|(k, v)| pair(k, v)).sum();
        200 + command + environment
    }
}

fn json_length(text: &str) -> usize {
    text.chars()
        .map(|c| if c.is_control() || !c.is_ascii() { 12 } else { 1 + usize::from("\"\\".contains(c)) })
        .sum::<usize>()
        + 2
}

fn value(plan: &Plan, job: &PlannedJob, shape: Shape, field: &str) -> String {
    let partition = job.slice.partition();
    let day = partition.day();
    match field {
        "bucket" => plan.source.bucket.clone(),
        "prefix" => job.prefix.clone(),
        "manifest" => plan.manifest(job.fingerprint),
        "hour" => job.slice.hour().map_or_else(String::new, |hour| format!("{hour:02}")),
        "year" => day.format("%Y").to_string(),
        "month" => day.format("%m").to_string(),
        "day" => day.format("%d").to_string(),
        "date" => day.to_string(),
        "partition" => partition.to_string(),
        "slice" => job.slice.to_string(),
        "load" => job.load.to_string(),
        "try" => shape.r#try.to_string(),
        "bytes" => job.bytes.to_string(),
        "objects" => job.objects.to_string(),
        "memory_mib" => shape.memory_mib.to_string(),
        dimension => {
            // Names were checked when the template was parsed, so this is one of the layout's.
            let at = plan.source.dimensions.iter().position(|d| d == dimension);
            at.and_then(|i| partition.values().get(i)).cloned().unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
