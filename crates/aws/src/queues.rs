//! Job queues: is it there, and does it take jobs?

use aws_sdk_batch::Client;
use aws_sdk_batch::types::{ComputeEnvironmentOrder, JobQueueDetail, JqState};
use dayfill_engine::ports::{ErrorKind, PortError};

use crate::connection::Connection;
use crate::error::{Asked, port_error};

/// The compute environment that the local engine always has.
const LOCAL_ENVIRONMENT: &str = "local";
/// How many queues an error names.
const NAMED: usize = 10;

/// A job queue as Batch describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueInfo {
    /// `arn:aws:batch:{Region}:{account}:job-queue/{name}`.
    pub arn: String,
    /// `ENABLED` or `DISABLED`; a disabled queue takes no jobs.
    pub state: String,
    /// Such as `VALID`; an `INVALID` queue runs no jobs.
    pub status: String,
    /// It has a scheduling policy, so every job must have a share identifier.
    pub scheduling_policy: bool,
}

impl QueueInfo {
    /// The 12 digits of the account that it belongs to.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// The Region that it is in.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }
}

/// The job queues of a connection.
#[derive(Clone)]
pub struct Queues {
    client: Client,
    endpoint: String,
    region: String,
}

impl Queues {
    /// The queues that this connection reaches.
    pub fn new(connection: &Connection) -> Self {
        Self {
            client: connection.batch(),
            endpoint: connection.endpoint("Batch"),
            region: connection.region().to_owned(),
        }
    }

    /// Describes a queue, by name or ARN. Where there is none, the error says which there are.
    pub async fn check(&self, queue: &str) -> Result<QueueInfo, PortError> {
        let found = self.described(Some(queue)).await?.pop();
        match found.as_ref().and_then(info) {
            Some(info) => Ok(info),
            None => Err(self.missing(queue).await),
        }
    }

    /// Describes the queue of this name on the local engine, and creates it where it is missing.
    pub async fn ensure_local_queue(&self, name: &str) -> Result<QueueInfo, PortError> {
        if let Some(there) = self.described(Some(name)).await?.first().and_then(info) {
            return Ok(there);
        }
        let order =
            ComputeEnvironmentOrder::builder().order(1).compute_environment(LOCAL_ENVIRONMENT).build();
        let create = self.client.create_job_queue().job_queue_name(name).state(JqState::Enabled).priority(1);
        let created = create.compute_environment_order(order).send().await;
        // Somebody else may have created it meanwhile: what counts is that it is there now.
        let there = self.described(Some(name)).await?.first().and_then(info);
        match (there, created) {
            (Some(there), _) => Ok(there),
            (None, Err(e)) => {
                Err(port_error(&e, &self.asked(format!("create the job queue {name}"), "CreateJobQueue")))
            }
            (None, Ok(_)) => Err(self.missing(name).await),
        }
    }

    async fn missing(&self, queue: &str) -> PortError {
        let existing = match self.described(None).await {
            Ok(queues) => queues,
            Err(e) => return e,
        };
        let account = existing.first().and_then(info).map(|i| format!(" of account {}", i.account()));
        let what =
            format!("the job queue {queue} does not exist in {}{}", self.region, account.unwrap_or_default());
        let mut names: Vec<_> = existing.iter().filter_map(|q| q.job_queue_name()).collect();
        names.sort_unstable();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let hint = match (names.is_empty(), more) {
            (true, _) => "there is none at all: check the account, the Region and the profile".to_owned(),
            (false, 0) => format!("there are: {}", names.join(", ")),
            (false, more) => format!("there are: {} and {more} more", names.join(", ")),
        };
        PortError::new(ErrorKind::NotFound, what).hint(hint)
    }

    async fn described(&self, queue: Option<&str>) -> Result<Vec<JobQueueDetail>, PortError> {
        let names = queue.map(|q| vec![q.to_owned()]);
        let doing = || {
            queue.map_or_else(
                || "describe the job queues".to_owned(),
                |q| format!("describe the job queue {q}"),
            )
        };
        let mut pages = self.client.describe_job_queues().set_job_queues(names).into_paginator().send();
        let mut queues = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| port_error(&e, &self.asked(doing(), "DescribeJobQueues")))?;
            queues.extend(page.job_queues.unwrap_or_default());
        }
        Ok(queues)
    }

    fn asked(&self, doing: String, action: &str) -> Asked<'_> {
        let permission = format!("batch:{action} on *");
        Asked { doing, permission, endpoint: &self.endpoint, region: &self.region }
    }
}

fn info(queue: &JobQueueDetail) -> Option<QueueInfo> {
    Some(QueueInfo {
        arn: queue.job_queue_arn()?.to_owned(),
        state: queue.state().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        status: queue.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        scheduling_policy: queue.scheduling_policy_arn().is_some(),
    })
}

#[cfg(test)]
mod tests;
