//! The limits that the service states, and what it says where one is passed.

use crate::scheduler::{Action, Capacity, PATTERN_CHARS, Pattern, Rule};
use crate::wire::ApiError;
use crate::wire::shapes::{Container, EvaluateOnExit, JobTimeout, KeyValuePair, RetryStrategy, Texts};

/// The most names that a describing operation takes, and the most results of a page of definitions, queues and
/// environments.
pub const PAGE: usize = 100;

const NAME_CHARS: usize = 128;
const ATTEMPTS: std::ops::RangeInclusive<i64> = 1..=10;
const RULES: usize = 5;
const SHORTEST_TIMEOUT: i64 = 60;
const LEAST_MEMORY_MIB: u64 = 4;
const TAGS: usize = 50;
const TAG_KEY_CHARS: usize = 128;
const TAG_VALUE_CHARS: usize = 256;
const REASON_CHARS: usize = 1024;
const RESERVED_PREFIX: &str = "AWS_BATCH";

// The members of `ContainerProperties` that are kept as they were sent. Others are dropped, as the service does.
const CONTAINER_MEMBERS: [&str; 14] = [
    "jobRoleArn",
    "executionRoleArn",
    "readonlyRootFilesystem",
    "privileged",
    "user",
    "instanceType",
    "linuxParameters",
    "logConfiguration",
    "networkConfiguration",
    "fargatePlatformConfiguration",
    "enableExecuteCommand",
    "ephemeralStorage",
    "runtimePlatform",
    "repositoryCredentials",
];

/// An error in the words of the service's validation.
pub fn refused<T>(text: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::Executing(text.into()))
}

/// An error in short form.
pub fn client<T>(text: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::Client(text.into()))
}

/// A name: letters, digits, `-` and `_`, the first one a letter or digit, 1 to 128 of them.
pub fn name(what: &str, name: &str) -> Result<(), ApiError> {
    let legal = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && name.len() <= NAME_CHARS;
    if legal { Ok(()) } else { refused(format!("{what} should match valid pattern")) }
}

/// That a member which this engine does not support was left out.
pub fn absent<T>(member: Option<&T>, what: &str) -> Result<(), ApiError> {
    if member.is_none() { Ok(()) } else { client(format!("{what} not supported by this engine.")) }
}

/// Tags: at most 50, keys of 1 to 128 characters that do not begin with `aws:`, values of at most 256.
pub fn tags(tags: &Texts) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return refused(format!("A resource can have at most {TAGS} tags"));
    }
    for (key, value) in tags {
        let chars = key.chars().count();
        if chars == 0 || chars > TAG_KEY_CHARS || value.chars().count() > TAG_VALUE_CHARS {
            return refused(format!("Tag {key} is too long"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return refused(format!("Tag key {key} uses the reserved prefix aws:"));
        }
    }
    Ok(())
}

/// Whether the tags that would go on to the task are too many. The job is accepted, and fails.
pub fn too_many_propagated(job: &Texts, definition: &Texts) -> bool {
    job.len() + definition.keys().filter(|key| !job.contains_key(*key)).count() > TAGS
}

/// An environment: names that are not empty and not the service's own.
pub fn environment(environment: &[KeyValuePair]) -> Result<(), ApiError> {
    for variable in environment {
        if variable.name.is_empty() {
            return refused("Environment variable name should not be null or empty");
        }
        if variable.name.starts_with(RESERVED_PREFIX) {
            return refused(format!(
                "Environment variable {} uses the reserved prefix {RESERVED_PREFIX}",
                variable.name
            ));
        }
        if variable.name.contains(['=', '\0']) || variable.value.contains('\0') {
            return refused(format!("Environment variable {} is not valid", variable.name.escape_debug()));
        }
    }
    Ok(())
}

/// A retry strategy. Returns how many attempts it allows, and its rules.
pub fn retry(strategy: &RetryStrategy) -> Result<(u32, Vec<Rule>), ApiError> {
    let attempts = strategy.attempts.unwrap_or(1);
    if !ATTEMPTS.contains(&attempts) {
        return refused("Number of retry attempts should be between 1 and 10");
    }
    if strategy.evaluate_on_exit.len() > RULES {
        return refused(format!("evaluateOnExit should have at most {RULES} conditions"));
    }
    let rules = strategy.evaluate_on_exit.iter().map(rule).collect::<Result<_, _>>()?;
    Ok((attempts as u32, rules))
}

fn rule(rule: &EvaluateOnExit) -> Result<Rule, ApiError> {
    let read = |pattern: &Option<String>, member: &str, parse: fn(&str) -> Option<Pattern>| match pattern {
        None => Ok(None),
        Some(text) => match parse(text) {
            Some(pattern) => Ok(Some(pattern)),
            None => refused(format!(
                "evaluateOnExit {member} should match valid pattern and have at most {PATTERN_CHARS} characters"
            )),
        },
    };
    let action = match rule.action.to_ascii_uppercase().as_str() {
        "RETRY" => Action::Retry,
        "EXIT" => Action::Exit,
        _ => return refused("evaluateOnExit action should be RETRY or EXIT"),
    };
    Ok(Rule {
        on_status_reason: read(&rule.on_status_reason, "onStatusReason", Pattern::text)?,
        on_reason: read(&rule.on_reason, "onReason", Pattern::text)?,
        on_exit_code: read(&rule.on_exit_code, "onExitCode", Pattern::digits)?,
        action,
    })
}

/// The strategy as it is answered: actions in the form that the service model names.
pub fn tidy_retry(mut strategy: RetryStrategy) -> RetryStrategy {
    strategy.attempts.get_or_insert(1);
    for rule in &mut strategy.evaluate_on_exit {
        rule.action.make_ascii_uppercase();
    }
    strategy
}

/// A timeout, in seconds.
pub fn timeout(timeout: Option<JobTimeout>) -> Result<Option<i64>, ApiError> {
    match timeout.and_then(|timeout| timeout.attempt_duration_seconds) {
        Some(seconds) if seconds < SHORTEST_TIMEOUT => {
            refused(format!("Job timeout should be at least {SHORTEST_TIMEOUT} seconds"))
        }
        seconds => Ok(seconds),
    }
}

/// A reason for a cancel or terminate.
pub fn reason(reason: &str) -> Result<(), ApiError> {
    match reason.chars().count() {
        0 => refused("Reason should not be null or empty"),
        count if count > REASON_CHARS => {
            refused(format!("Reason should have at most {REASON_CHARS} characters"))
        }
        _ => Ok(()),
    }
}

/// A number of results: 1 to `most`, and `most` when left out.
pub fn max_results(wanted: Option<i64>, most: usize) -> Result<usize, ApiError> {
    match wanted {
        None => Ok(most),
        Some(wanted) if wanted >= 1 && wanted as usize <= most => Ok(wanted as usize),
        Some(_) => refused(format!("maxResults should be between 1 and {most}")),
    }
}

/// A list of names: at most 100.
pub fn names(names: &[String]) -> Result<(), ApiError> {
    if names.len() <= PAGE { Ok(()) } else { refused(format!("Maximum number of names supported is {PAGE}")) }
}

/// Drops the members of a container that the service does not have.
pub fn tidy_container(container: &mut Container) {
    container.rest.retain(|member, _| CONTAINER_MEMBERS.contains(&member.as_str()));
}

/// What a container asks for. `fractions`: whether parts of a vCPU are allowed, as on Fargate.
pub fn demand(container: &Container, fractions: bool) -> Result<Capacity, ApiError> {
    for requirement in &container.resource_requirements {
        if !["VCPU", "MEMORY", "GPU"].contains(&requirement.kind.as_str()) {
            return refused(format!("Resource type {} is not supported", requirement.kind));
        }
        let same = container.resource_requirements.iter().filter(|other| other.kind == requirement.kind);
        if same.count() > 1 {
            return refused(format!("Resource type {} is given more than once", requirement.kind));
        }
    }
    if container.requirement("VCPU").is_some() && container.vcpus.is_some()
        || container.requirement("MEMORY").is_some() && container.memory.is_some()
    {
        return refused("vcpus and memory can not be given in resourceRequirements as well");
    }
    let vcpus = match (container.requirement("VCPU"), container.vcpus) {
        (Some(text), _) => text.parse::<f64>().ok(),
        (None, vcpus) => vcpus.map(|vcpus| vcpus as f64),
    };
    let memory = match (container.requirement("MEMORY"), container.memory) {
        (Some(text), _) => text.parse::<u64>().ok(),
        (None, memory) => memory.and_then(|memory| u64::try_from(memory).ok()),
    };
    let least = if fractions { 0.25 } else { 1.0 };
    let Some(vcpus) = vcpus.filter(|n| n.is_finite() && *n >= least && (fractions || n.fract() == 0.0))
    else {
        return refused(format!("You must specify at least {least} vCPU for a job"));
    };
    let Some(memory_mib) = memory.filter(|mib| *mib >= LEAST_MEMORY_MIB) else {
        return refused(format!("You must specify at least {LEAST_MEMORY_MIB} MiB of memory for a job"));
    };
    let gpus = match container.requirement("GPU").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(gpus)) => gpus,
        Some(Err(_)) => return refused("The number of GPUs should be a positive integer"),
    };
    Ok(Capacity { milli_vcpus: (vcpus * 1000.0).round() as u64, memory_mib, gpus })
}
