//! AWS Batch behind the engine's port, and the logs of its jobs.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_batch::types::KeyValuesPair;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, Utc};
use dayfill_core::job::{JobName, Submission};
use dayfill_core::rate::BATCH_QUOTA;
use dayfill_engine::ports::{Bounds, FoundJob, PortError, Queue, SeenJob, SendBy, Sent};

use crate::connection::Connection;
use crate::convert::seen_job;
use crate::error::{Asked, port_error};
use crate::submit::{self, Gate};

/// Where Batch writes the output of jobs whose definition names no other place.
const LOG_GROUP: &str = "/aws/batch/job";
/// How long SubmitJob waits for its answer.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Pages of a log that are asked for at most: CloudWatch Logs may answer with empty ones before the end.
const LOG_PAGES: usize = 10;
/// Most ids in one DescribeJobs.
const DESCRIBED: usize = 100;
/// Most characters of a reason in TerminateJob.
const REASON: usize = 1024;

/// The times that hold for AWS Batch.
///
/// `grace` is the time to send (60 s), the age at which AWS refuses a signature (15 min), and five minutes until a
/// job shows in ListJobs, for which no bound is published. `lost_after` is an hour: Batch keeps finished jobs at
/// least a day, so a job that was accepted and is not told of for so long was never there or is gone.
pub fn aws_bounds() -> Bounds {
    let send_within = Duration::from_mins(1);
    Bounds {
        send_within,
        grace: send_within + Duration::from_mins(15) + Duration::from_mins(5),
        forgotten_before: None,
        lost_after: Duration::from_hours(1),
        start_failure: Duration::from_mins(1),
        poll: (Duration::from_secs(15), Duration::from_mins(2)),
        submits_per_second: BATCH_QUOTA,
    }
}

/// The times that hold for the local engine, which lists consistently, refuses signatures older than
/// `signature_age`, and took new keys when it was started at `started_at`, so that nothing signed before arrives.
pub fn local_bounds(started_at: DateTime<Utc>, signature_age: Duration) -> Bounds {
    let send_within = Duration::from_secs(5);
    Bounds {
        send_within,
        grace: send_within + signature_age + Duration::from_secs(1),
        forgotten_before: Some(started_at),
        lost_after: Duration::from_secs(10),
        start_failure: Duration::from_secs(1),
        poll: (Duration::from_millis(100), Duration::from_secs(1)),
        submits_per_second: 1000.0,
    }
}

/// AWS Batch, or what speaks like it at the connection's endpoint.
#[derive(Clone)]
pub struct BatchQueue {
    calls: aws_sdk_batch::Client,
    /// Without retries: SubmitJob has no client token, so a repeated one makes a second job.
    submits: aws_sdk_batch::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    connection: Connection,
    endpoint: String,
    logs_endpoint: String,
    log_group: String,
    bounds: Bounds,
}

impl BatchQueue {
    /// The queues of this connection, under these bounds.
    pub fn new(connection: &Connection, bounds: Bounds) -> Self {
        Self {
            calls: connection.batch(),
            submits: connection.batch_once(SUBMIT_TIMEOUT),
            logs: connection.logs(),
            connection: connection.clone(),
            endpoint: connection.endpoint("Batch"),
            logs_endpoint: connection.endpoint("CloudWatch Logs"),
            log_group: LOG_GROUP.to_owned(),
            bounds,
        }
    }

    /// Waits this long for the answer to a SubmitJob, instead of 30 s.
    #[must_use]
    pub fn submit_timeout(mut self, timeout: Duration) -> Self {
        self.submits = self.connection.batch_once(timeout);
        self
    }

    /// Reads logs from this group, instead of `/aws/batch/job`.
    #[must_use]
    pub fn log_group(mut self, group: impl Into<String>) -> Self {
        self.log_group = group.into();
        self
    }

    fn asked(&self, doing: String, action: &str) -> Asked<'_> {
        let permission = format!("batch:{action}");
        Asked { doing, permission, endpoint: &self.endpoint, region: self.connection.region() }
    }

    async fn described(&self, ids: &[String]) -> Result<Vec<SeenJob>, PortError> {
        let answer = self.calls.describe_jobs().set_jobs(Some(ids.to_vec())).send().await;
        let doing = || format!("describe {} jobs", ids.len());
        let answer = answer.map_err(|e| port_error(&e, &self.asked(doing(), "DescribeJobs on *")))?;
        Ok(answer.jobs().iter().filter_map(seen_job).collect())
    }
}

#[async_trait]
impl Queue for BatchQueue {
    async fn submit(&self, submission: &Submission, send_by: &SendBy) -> Sent {
        let gate = Gate::new(send_by);
        let request = submit::request(&self.submits, submission);
        submit::outcome(request.customize().interceptor(gate.clone()).send().await, &gate)
    }

    async fn find(&self, queue: &str, prefix: &str) -> Result<Vec<FoundJob>, PortError> {
        let named = KeyValuesPair::builder().name("JOB_NAME").values(format!("{prefix}*")).build();
        let mut pages = self.calls.list_jobs().job_queue(queue).filters(named).into_paginator().send();
        let mut found = Vec::new();
        // Results come grouped by name: only the last page ends the search.
        while let Some(page) = pages.next().await {
            let doing = || format!("look for jobs named {prefix}* on the queue {queue}");
            let page = page.map_err(|e| port_error(&e, &self.asked(doing(), "ListJobs on *")))?;
            for job in page.job_summary_list() {
                let (Some(name), Some(id)) = (job.job_name(), job.job_id()) else { continue };
                // The service's filter ignores case.
                if name.starts_with(prefix) {
                    found.push(FoundJob { name: JobName::from_text(name), job_id: id.to_owned() });
                }
            }
        }
        Ok(found)
    }

    async fn describe(&self, ids: &[String]) -> Result<Vec<SeenJob>, PortError> {
        let mut seen = Vec::with_capacity(ids.len());
        for some in ids.chunks(DESCRIBED) {
            seen.extend(self.described(some).await?);
        }
        Ok(seen)
    }

    async fn terminate(&self, job_id: &str, why: &str) -> Result<(), PortError> {
        let reason: String = why.chars().take(REASON).collect();
        let answer = self.calls.terminate_job().job_id(job_id).reason(reason).send().await;
        let asked = || self.asked(format!("terminate the job {job_id}"), "TerminateJob on *");
        answer.map(|_| ()).map_err(|e| port_error(&e, &asked()))
    }

    async fn log_tail(&self, stream: &str, lines: usize) -> Result<Vec<String>, PortError> {
        let mut tail: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..LOG_PAGES {
            let request = self.logs.get_log_events().log_group_name(&self.log_group).log_stream_name(stream);
            let limit = i32::try_from(lines).unwrap_or(i32::MAX).clamp(1, 10_000);
            let request = request.start_from_head(false).limit(limit).set_next_token(token.clone());
            let page = match request.send().await {
                Ok(page) => page,
                Err(e) if e.code() == Some("ResourceNotFoundException") => return Ok(tail),
                Err(e) => {
                    let asked = Asked {
                        doing: format!("read the log {} {stream}", self.log_group),
                        permission: format!("logs:GetLogEvents on the log group {}", self.log_group),
                        endpoint: &self.logs_endpoint,
                        region: self.connection.region(),
                    };
                    return Err(port_error(&e, &asked));
                }
            };
            // An event may be several lines. Earlier pages go before what is there already.
            let messages = page.events().iter().filter_map(|e| e.message());
            let mut earlier: Vec<_> = messages.flat_map(|m| m.trim_end().split('\n').map(own_line)).collect();
            earlier.append(&mut tail);
            tail = earlier;
            let back = page.next_backward_token().map(ToOwned::to_owned);
            if tail.len() >= lines || back.is_none() || back == token {
                break;
            }
            token = back;
        }
        Ok(tail.split_off(tail.len().saturating_sub(lines)))
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }
}

fn own_line(line: &str) -> String {
    line.trim_end_matches('\r').to_owned()
}

#[cfg(test)]
mod tests;
