//! The answers that are more than a few members. Times are milliseconds since the epoch.

use std::collections::BTreeMap;

use serde::Serialize;

use super::shapes::{Container, JobDependency, JobTimeout, RetryStrategy, Texts};

/// `JobDetail`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDetail {
    /// ARN of the job.
    pub job_arn: String,
    /// Its name.
    pub job_name: String,
    /// Its id.
    pub job_id: String,
    /// ARN of the queue.
    pub job_queue: String,
    /// Its state.
    pub status: &'static str,
    /// Its share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_identifier: Option<String>,
    /// As it was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_priority: Option<i64>,
    /// The attempts that are over.
    pub attempts: Vec<AttemptDetail>,
    /// Why it is where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When it was accepted.
    pub created_at: i64,
    /// In force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_strategy: Option<RetryStrategy>,
    /// When the latest attempt began to run. The model requires the member: 0 before that.
    pub started_at: i64,
    /// When the job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<i64>,
    /// The jobs it waits for.
    pub depends_on: Vec<JobDependency>,
    /// ARN of the definition.
    pub job_definition: String,
    /// In force.
    pub parameters: Texts,
    /// What runs, and how it ended.
    pub container: ContainerDetail,
    /// Of an array and of its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_properties: Option<ArrayDetail>,
    /// In force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<JobTimeout>,
    /// Tags of the job.
    pub tags: Texts,
    /// As it was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<bool>,
    /// Of the definition.
    pub platform_capabilities: Vec<String>,
    /// Whether somebody cancelled it.
    pub is_cancelled: bool,
    /// Whether somebody terminated it.
    pub is_terminated: bool,
}

/// `ContainerDetail`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDetail {
    /// What runs.
    #[serde(flatten)]
    pub properties: Container,
    /// How the latest attempt ended.
    #[serde(flatten)]
    pub outcome: AttemptContainer,
}

/// `ArrayPropertiesDetail`, `ArrayPropertiesSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArrayDetail {
    /// How many children are in each state, by its name; of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_summary: Option<BTreeMap<&'static str, u32>>,
    /// How many children it has; of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Its place; of a child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// `AttemptDetail`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptDetail {
    /// How its container ended.
    pub container: AttemptContainer,
    /// When its command began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When it was over.
    pub stopped_at: i64,
    /// Why.
    pub status_reason: String,
}

/// `AttemptContainerDetail`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptContainer {
    /// ARN of the made-up container instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_instance_arn: Option<String>,
    /// ARN of the made-up task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
    /// The exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// More about the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The stream in `/aws/batch/job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_stream_name: Option<String>,
}

/// `JobSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSummary {
    /// ARN of the job.
    pub job_arn: String,
    /// Its id.
    pub job_id: String,
    /// Its name.
    pub job_name: String,
    /// When it was accepted.
    pub created_at: i64,
    /// Its share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_identifier: Option<String>,
    /// Its state.
    pub status: &'static str,
    /// Why it is where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When the latest attempt began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When the job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<i64>,
    /// How the latest attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSummary>,
    /// Of an array and of its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_properties: Option<ArrayDetail>,
    /// ARN of the definition.
    pub job_definition: String,
}

/// `ContainerSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSummary {
    /// The exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// More about the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
