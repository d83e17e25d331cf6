//! Job queues: is it there, does it take jobs, and on what hosts do they run?

use aws_sdk_batch::Client;
use aws_sdk_batch::types::{
    ComputeEnvironmentDetail, ComputeEnvironmentOrder, ComputeResource, JobQueueDetail, JqState,
};
use dayfill_core::doctor::{Environment, EnvironmentKind};
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
    /// Why it has this status, where the service says so.
    pub reason: Option<String>,
    /// ARNs of its compute environments, in the order in which jobs are offered to them.
    pub environments: Vec<String>,
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

    /// Describes a queue, where there is one of this name or ARN.
    pub async fn find(&self, queue: &str) -> Result<Option<QueueInfo>, PortError> {
        Ok(self.described(Some(queue)).await?.first().and_then(info))
    }

    /// Describes compute environments, by name or ARN, in this order. Those that are not there are left out.
    pub async fn environments(&self, names: &[String]) -> Result<Vec<Environment>, PortError> {
        if names.is_empty() {
            // Asked for none, the service describes all.
            return Ok(Vec::new());
        }
        let describe = self.client.describe_compute_environments();
        let mut pages = describe.set_compute_environments(Some(names.to_vec())).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let doing = || format!("describe the compute environments {}", names.join(", "));
            let page =
                page.map_err(|e| port_error(&e, &self.asked(doing(), "DescribeComputeEnvironments")))?;
            found.extend(page.compute_environments.unwrap_or_default());
        }
        let is = |e: &ComputeEnvironmentDetail, name: &str| {
            e.compute_environment_arn() == Some(name) || e.compute_environment_name() == Some(name)
        };
        let ordered = names.iter().filter_map(|name| found.iter().find(|e| is(e, name)));
        Ok(ordered.map(environment).collect())
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
        reason: queue.status_reason().map(ToOwned::to_owned),
        environments: in_order(queue.compute_environment_order()),
        scheduling_policy: queue.scheduling_policy_arn().is_some(),
    })
}

fn in_order(order: &[ComputeEnvironmentOrder]) -> Vec<String> {
    let mut order: Vec<_> =
        order.iter().filter_map(|o| Some((o.order()?, o.compute_environment()?))).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, name)| name.to_owned()).collect()
}

fn environment(detail: &ComputeEnvironmentDetail) -> Environment {
    let resources = detail.compute_resources();
    // An unmanaged environment has no resources of its own, and its instances are of any kind.
    let kind = resources.and_then(|r| r.r#type()).map_or("", |kind| kind.as_str());
    let most = resources.and_then(ComputeResource::maxv_cpus).or(detail.unmanagedv_cpus());
    Environment {
        name: detail.compute_environment_name().unwrap_or_default().to_owned(),
        kind: EnvironmentKind::of(kind),
        state: detail.state().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        status: detail.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        reason: detail.status_reason().map(ToOwned::to_owned),
        max_vcpus: most.and_then(|n| u32::try_from(n).ok()),
        instance_types: resources.map(|r| r.instance_types().to_vec()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
