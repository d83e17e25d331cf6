//! The structures that requests and answers share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Tags, parameters: text by name.
pub type Texts = BTreeMap<String, String>;

/// `KeyValuePair`: an environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValuePair {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value; left out means empty.
    #[serde(default)]
    pub value: String,
}

/// `ResourceRequirement`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRequirement {
    /// `VCPU`, `MEMORY` (MiB) or `GPU`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How much, as text.
    pub value: String,
}

/// `ContainerProperties`, and the container of a job: what is used here by name, the rest as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The image; processes have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// vCPUs, where `resourceRequirements` does not name them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<i64>,
    /// Memory in MiB, where `resourceRequirements` does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// Program and arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// The environment.
    #[serde(default)]
    pub environment: Vec<KeyValuePair>,
    /// Resources.
    #[serde(default)]
    pub resource_requirements: Vec<ResourceRequirement>,
    /// Lists that the service always answers, empty or not.
    #[serde(default)]
    pub volumes: Vec<Value>,
    /// As `volumes`.
    #[serde(default)]
    pub mount_points: Vec<Value>,
    /// As `volumes`.
    #[serde(default)]
    pub ulimits: Vec<Value>,
    /// As `volumes`.
    #[serde(default)]
    pub secrets: Vec<Value>,
    /// All other members.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Container {
    /// The value of a resource requirement.
    pub fn requirement(&self, kind: &str) -> Option<&str> {
        self.resource_requirements.iter().find(|r| r.kind == kind).map(|r| r.value.as_str())
    }
}

/// `ContainerOverrides`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerOverrides {
    /// vCPUs; only where the definition has them in the same old form.
    pub vcpus: Option<i64>,
    /// Memory in MiB; only where the definition has it in the same old form.
    pub memory: Option<i64>,
    /// Replaces the command.
    pub command: Option<Vec<String>>,
    /// Adds to the environment, or replaces a value in it.
    pub environment: Vec<KeyValuePair>,
    /// Replaces requirements of the same type.
    pub resource_requirements: Vec<ResourceRequirement>,
}

/// `RetryStrategy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryStrategy {
    /// Attempts, 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// The rules, at most five.
    #[serde(default)]
    pub evaluate_on_exit: Vec<EvaluateOnExit>,
}

/// `EvaluateOnExit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateOnExit {
    /// A glob for `statusReason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_status_reason: Option<String>,
    /// A glob for `container.reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_reason: Option<String>,
    /// A glob for the exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exit_code: Option<String>,
    /// `RETRY` or `EXIT`, in any case.
    #[serde(default)]
    pub action: String,
}

/// `JobTimeout`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobTimeout {
    /// Seconds from the start of an attempt, at least 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_duration_seconds: Option<i64>,
}

/// `ArrayProperties`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ArrayProperties {
    /// How many children it has, 2 to 10,000.
    pub size: Option<i64>,
}

/// `JobDependency`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDependency {
    /// The job that must have succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// `SEQUENTIAL` or `N_TO_N`, and only of array jobs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// `ComputeEnvironmentOrder`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeEnvironmentOrder {
    /// Lower ones are tried first.
    #[serde(default)]
    pub order: i64,
    /// Its name or ARN in a request, its ARN in an answer.
    #[serde(default)]
    pub compute_environment: String,
}
