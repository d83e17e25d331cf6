//! The requests.

use serde::Deserialize;
use serde_json::Value;

use super::shapes::{
    ArrayProperties, ComputeEnvironmentOrder, Container, ContainerOverrides, JobDependency, JobTimeout,
    RetryStrategy, Texts,
};

/// `SubmitJob`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubmitJob {
    /// Its name.
    pub job_name: String,
    /// Name or ARN of a queue.
    pub job_queue: String,
    /// `name`, `name:revision` or ARN of a definition.
    pub job_definition: String,
    /// Asked for on queues with a scheduling policy.
    pub share_identifier: Option<String>,
    /// Kept, and of no effect here.
    pub scheduling_priority_override: Option<i64>,
    /// The jobs to wait for.
    pub depends_on: Vec<JobDependency>,
    /// Values for `Ref::name`.
    pub parameters: Texts,
    /// What differs from the definition.
    pub container_overrides: ContainerOverrides,
    /// In place of the definition's.
    pub retry_strategy: Option<RetryStrategy>,
    /// In place of the definition's.
    pub timeout: Option<JobTimeout>,
    /// Tags of the job.
    pub tags: Texts,
    /// Whether tags go on to the task.
    pub propagate_tags: Option<bool>,
    /// Makes it an array.
    pub array_properties: ArrayProperties,
    /// Only to refuse it.
    pub node_overrides: Option<Value>,
    /// Only to refuse it.
    pub eks_properties_override: Option<Value>,
    /// Only to refuse it.
    pub ecs_properties_override: Option<Value>,
    /// Only to refuse it.
    pub consumable_resource_properties_override: Option<Value>,
}

/// `RegisterJobDefinition`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterJobDefinition {
    /// Its name.
    pub job_definition_name: String,
    /// `container`; `multinode` is refused.
    #[serde(rename = "type")]
    pub kind: String,
    /// Defaults for `Ref::name`.
    pub parameters: Texts,
    /// Kept, and of no effect here.
    pub scheduling_priority: Option<i64>,
    /// What runs.
    pub container_properties: Option<Container>,
    /// How often and after what it is tried again.
    pub retry_strategy: Option<RetryStrategy>,
    /// Whether tags go on to the task.
    pub propagate_tags: Option<bool>,
    /// How long an attempt may run.
    pub timeout: Option<JobTimeout>,
    /// Tags of the definition.
    pub tags: Texts,
    /// `EC2`, `FARGATE`.
    pub platform_capabilities: Option<Vec<String>>,
    /// Only to refuse it.
    pub node_properties: Option<Value>,
    /// Only to refuse it.
    pub eks_properties: Option<Value>,
    /// Only to refuse it.
    pub ecs_properties: Option<Value>,
    /// Only to refuse it.
    pub consumable_resource_properties: Option<Value>,
}

/// `DeregisterJobDefinition`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeregisterJobDefinition {
    /// `name:revision` or ARN.
    pub job_definition: String,
}

/// `DescribeJobDefinitions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeJobDefinitions {
    /// Up to 100 of `name:revision` or ARNs.
    pub job_definitions: Vec<String>,
    /// All revisions of this name.
    pub job_definition_name: Option<String>,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Option<String>,
    /// At most this many, 1 to 100.
    pub max_results: Option<i64>,
    /// Where the last page ended.
    pub next_token: Option<String>,
}

/// `DescribeJobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeJobs {
    /// Up to 100 ids or ARNs.
    pub jobs: Vec<String>,
}

/// `ListJobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListJobs {
    /// Name or ARN of a queue.
    pub job_queue: Option<String>,
    /// Id or ARN of an array, whose children are listed.
    pub array_job_id: Option<String>,
    /// Only to refuse it.
    pub multi_node_job_id: Option<String>,
    /// One state; RUNNING when left out.
    pub job_status: Option<String>,
    /// At most this many.
    pub max_results: Option<i64>,
    /// Where the last page ended.
    pub next_token: Option<String>,
    /// At most one filter.
    pub filters: Vec<Filter>,
}

/// `KeyValuesPair`: a filter of ListJobs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Which member it looks at.
    pub name: String,
    /// Any of these matches.
    pub values: Vec<String>,
}

/// `CancelJob`, `TerminateJob`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StopJob {
    /// Its id or ARN.
    pub job_id: String,
    /// Becomes the job's `statusReason`.
    pub reason: String,
}

/// `CancelJobs`, `TerminateJobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StopJobs {
    /// Up to 50 ids or ARNs.
    pub jobs: Vec<String>,
    /// Becomes the jobs' `statusReason`.
    pub reason: String,
}

/// `CreateComputeEnvironment`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateComputeEnvironment {
    /// Its name.
    pub compute_environment_name: String,
    /// `MANAGED` or `UNMANAGED`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ENABLED` or `DISABLED`.
    pub state: Option<String>,
    /// Kept as it was sent; `maxvCpus` is what counts here.
    pub compute_resources: Option<Value>,
    /// Kept.
    pub service_role: Option<String>,
    /// Kept.
    #[serde(rename = "unmanagedvCpus")]
    pub unmanaged_vcpus: Option<i64>,
    /// Tags.
    pub tags: Texts,
    /// Only to refuse it.
    pub eks_configuration: Option<Value>,
}

/// `CreateJobQueue`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateJobQueue {
    /// Its name.
    pub job_queue_name: String,
    /// `ENABLED` or `DISABLED`.
    pub state: Option<String>,
    /// With a policy, jobs must name their share; they are scheduled in their order all the same.
    pub scheduling_policy_arn: Option<String>,
    /// Higher ones first.
    pub priority: i64,
    /// One to three environments.
    pub compute_environment_order: Vec<ComputeEnvironmentOrder>,
    /// Tags.
    pub tags: Texts,
    /// Only to refuse it.
    pub job_state_time_limit_actions: Option<Value>,
    /// Only to refuse it.
    pub service_environment_order: Option<Value>,
}

/// `DescribeComputeEnvironments`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeComputeEnvironments {
    /// Up to 100 names or ARNs; all when empty.
    pub compute_environments: Vec<String>,
    /// At most this many, 1 to 100.
    pub max_results: Option<i64>,
    /// Where the last page ended.
    pub next_token: Option<String>,
}

/// `DescribeJobQueues`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeJobQueues {
    /// Up to 100 names or ARNs; all when empty.
    pub job_queues: Vec<String>,
    /// At most this many, 1 to 100.
    pub max_results: Option<i64>,
    /// Where the last page ended.
    pub next_token: Option<String>,
}

/// `TagResource`; the ARN stands in the path.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagResource {
    /// Tags to add or replace.
    pub tags: Texts,
}
