//! What the table remembers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scheduler::{JobKey, JobState, Millis, Submission};
use crate::wire::shapes::{Container, JobDependency, JobTimeout, RetryStrategy, Texts};

/// One line of the table. A later line about the same thing replaces an earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The first line: the version of the table.
    Version(u32),
    /// The made-up host of the attempts that follow.
    Host(String),
    /// A compute environment.
    Environment(EnvironmentRecord),
    /// A queue.
    Queue(QueueRecord),
    /// A revision of a definition.
    Definition(Box<DefinitionRecord>),
    /// An accepted job.
    Job(Box<JobRecord>),
    /// How far a job has come.
    State(JobKey, Box<Progress>),
    /// The tags of a resource, by its ARN.
    Tags(String, Texts),
}

/// A compute environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnvironmentRecord {
    /// Its name.
    pub name: String,
    /// `MANAGED` or `UNMANAGED`.
    pub kind: String,
    /// Whether jobs may be placed in it.
    pub enabled: bool,
    /// vCPUs; none where the machine is the only limit.
    pub max_vcpus: Option<u64>,
    /// `computeResources` as it was sent.
    pub resources: Option<Value>,
    /// `serviceRole` as it was sent.
    pub service_role: Option<String>,
    /// `unmanagedvCpus` as it was sent.
    pub unmanaged_vcpus: Option<i64>,
    /// A name that no other one has.
    pub uuid: String,
}

/// A queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// Higher ones first.
    pub priority: i32,
    /// Whether it takes new jobs.
    pub enabled: bool,
    /// Its scheduling policy.
    pub policy: Option<String>,
    /// Its environments in order, each with the number that it was given.
    pub environments: Vec<(i64, String)>,
}

/// A revision of a definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DefinitionRecord {
    /// Its name.
    pub name: String,
    /// Its revision, from 1.
    pub revision: u32,
    /// False once it was deregistered.
    pub active: bool,
    /// Defaults for `Ref::name`.
    pub parameters: Texts,
    /// As it was sent.
    pub scheduling_priority: Option<i64>,
    /// What runs.
    pub container: Container,
    /// For jobs that bring none.
    pub retry: Option<RetryStrategy>,
    /// For jobs that bring none.
    pub timeout: Option<JobTimeout>,
    /// As it was sent.
    pub propagate_tags: Option<bool>,
    /// `EC2`, `FARGATE`.
    pub platforms: Vec<String>,
}

/// An accepted job: all about it that does not change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its number.
    pub key: JobKey,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was accepted.
    pub created_at: Millis,
    /// Name and revision of its definition.
    pub definition: (String, u32),
    /// Its share.
    pub share: Option<String>,
    /// As it was sent, or the definition's.
    pub scheduling_priority: Option<i64>,
    /// In force.
    pub parameters: Texts,
    /// The definition's container with the overrides.
    pub container: Container,
    /// In force.
    pub retry: Option<RetryStrategy>,
    /// In force.
    pub timeout: Option<JobTimeout>,
    /// As it was sent.
    pub depends_on: Vec<JobDependency>,
    /// In force.
    pub propagate_tags: Option<bool>,
    /// Of the definition.
    pub platforms: Vec<String>,
    /// What the scheduler knows of it.
    pub submission: Submission,
}

/// How far a job has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// The scheduler's part.
    pub state: JobState,
    /// The most memory that attempts held, in KiB by attempt; attempts too short to be seen are missing.
    pub peaks: BTreeMap<u32, u64>,
    /// The made-up host of attempts, by attempt.
    pub hosts: BTreeMap<u32, String>,
}
