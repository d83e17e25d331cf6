//! SubmitJob.

use serde_json::{Value, json};

use super::check::{self, client, refused};
use super::{definitions, queues};
use crate::engine::Engine;
use crate::scheduler::{Array, Event, JobKey, Millis, Submission};
use crate::table::{DefinitionRecord, JobRecord, Record};
use crate::wire::requests::SubmitJob;
use crate::wire::shapes::{Container, ContainerOverrides, JobDependency};
use crate::wire::{self, ApiError};

const REQUEST_BYTES: usize = 30 * 1024;
const OVERRIDES_CHARS: usize = 8192;
const DEPENDENCIES: usize = 20;
const ARRAY_SIZES: std::ops::RangeInclusive<u32> = 2..=10_000;

/// `SubmitJob`. The job is in the table before this returns.
pub fn submit_job(engine: &mut Engine, now: Millis, request: &Value, size: usize) -> Result<Value, ApiError> {
    if size > REQUEST_BYTES {
        return refused(format!("Request should have at most {REQUEST_BYTES} bytes"));
    }
    let overrides = request.get("containerOverrides").map(Value::to_string).unwrap_or_default();
    let submit: SubmitJob = wire::read(request)?;
    refuse_what_is_missing_here(&submit)?;
    check::name("Job name", &submit.job_name)?;
    check::tags(&submit.tags)?;
    check::environment(&submit.container_overrides.environment)?;
    let queue = queues::named(engine, &submit.job_queue)?;
    if !queue.enabled {
        return client(format!("JobQueue {} is not in ENABLED state.", submit.job_queue));
    }
    match (&queue.policy, &submit.share_identifier) {
        (None, Some(_)) => {
            return client(
                "Share identifier cannot be specified for a job queue without a scheduling policy.",
            );
        }
        (Some(_), None) => {
            return client("Share identifier is required for a job queue with a scheduling policy.");
        }
        _ => {}
    }
    let queue = queue.name.clone();
    let definition = definitions::active(engine, &submit.job_definition)?;
    let container = merge(&definition.container, &submit.container_overrides);
    let retry = submit.retry_strategy.clone().or_else(|| definition.retry.clone()).map(check::tidy_retry);
    let timeout = submit.timeout.or(definition.timeout);
    let (attempts, rules) = check::retry(&retry.clone().unwrap_or_default())?;
    let seconds = check::timeout(timeout)?;
    let propagate_tags = submit.propagate_tags.or(definition.propagate_tags);
    let doomed = if overrides.chars().count() > OVERRIDES_CHARS {
        Some(format!("Container Overrides length must be at most {OVERRIDES_CHARS}"))
    } else {
        too_many_tags(engine, definition, &submit, propagate_tags)
    };
    let size = array_size(&submit)?;
    let on = dependencies(engine, &submit.depends_on, size)?;
    let submission = Submission {
        queue,
        demand: check::demand(&container, definitions::fractions(&definition.platforms))?,
        attempts,
        rules,
        timeout: seconds.map(|seconds| seconds.saturating_mul(engine.config.second)),
        depends_on: on.whole,
        doomed,
        array: size.map(|size| Array { size, sequential: on.sequential, n_to_n: on.n_to_n }),
    };
    let mut parameters = definition.parameters.clone();
    parameters.extend(submit.parameters.clone());
    let record = JobRecord {
        key: engine.next_key(),
        id: uuid::Uuid::new_v4().to_string(),
        name: submit.job_name.clone(),
        created_at: now,
        definition: (definition.name.clone(), definition.revision),
        share: submit.share_identifier.clone(),
        scheduling_priority: submit.scheduling_priority_override.or(definition.scheduling_priority),
        parameters,
        container,
        retry,
        timeout,
        depends_on: submit.depends_on.clone(),
        propagate_tags,
        platforms: definition.platforms.clone(),
        submission,
    };
    accept(engine, now, record, submit)
}

fn accept(engine: &mut Engine, now: Millis, record: JobRecord, submit: SubmitJob) -> Result<Value, ApiError> {
    let (key, id) = (record.key, record.id.clone());
    let arn = engine.config.names.job(&id);
    let mut records = vec![Record::Job(Box::new(record.clone()))];
    if !submit.tags.is_empty() {
        records.push(Record::Tags(arn.clone(), submit.tags.clone()));
    }
    engine.write(&records)?;
    let submission = record.submission.clone();
    engine.keep_job(record);
    if !submit.tags.is_empty() {
        engine.keep_tags(arn.clone(), submit.tags);
    }
    // The job is in the table now and cannot be taken back. Where its first steps cannot be written, they are with
    // the next change, and nothing is started before.
    let _ = engine.apply(now, Event::Submitted(key, Box::new(submission)));
    Ok(json!({ "jobArn": arn, "jobName": submit.job_name, "jobId": id }))
}

fn refuse_what_is_missing_here(submit: &SubmitJob) -> Result<(), ApiError> {
    check::absent(submit.node_overrides.as_ref(), "Multi-node parallel jobs are")?;
    check::absent(submit.eks_properties_override.as_ref(), "eksPropertiesOverride is")?;
    check::absent(submit.ecs_properties_override.as_ref(), "ecsPropertiesOverride is")?;
    let consumable = submit.consumable_resource_properties_override.as_ref();
    check::absent(consumable, "consumableResourcePropertiesOverride is")
}

fn too_many_tags(
    engine: &Engine,
    definition: &DefinitionRecord,
    submit: &SubmitJob,
    propagate: Option<bool>,
) -> Option<String> {
    let arn = engine.config.names.definition(&definition.name, definition.revision);
    let theirs = engine.tags.get(&arn)?;
    (propagate == Some(true) && check::too_many_propagated(&submit.tags, theirs))
        .then(|| "Total number of tags of the job and its job definition must be at most 50".to_owned())
}

// What a job waits for: jobs as a whole, and child by child.
#[derive(Default)]
struct Dependencies {
    whole: Vec<JobKey>,
    n_to_n: Vec<JobKey>,
    sequential: bool,
}

fn array_size(submit: &SubmitJob) -> Result<Option<u32>, ApiError> {
    match submit.array_properties.size {
        None => Ok(None),
        Some(size) => match u32::try_from(size).ok().filter(|size| ARRAY_SIZES.contains(size)) {
            Some(size) => Ok(Some(size)),
            None => refused(format!(
                "Array size should be between {} and {}",
                ARRAY_SIZES.start(),
                ARRAY_SIZES.end()
            )),
        },
    }
}

fn dependencies(
    engine: &Engine,
    depends_on: &[JobDependency],
    size: Option<u32>,
) -> Result<Dependencies, ApiError> {
    if depends_on.len() > DEPENDENCIES {
        return refused(format!("A job can be dependent on at most {DEPENDENCIES} jobs."));
    }
    let mut all = Dependencies::default();
    for dependency in depends_on {
        let kind = dependency.kind.as_deref();
        if let (Some(kind), None) = (kind, size) {
            return refused(format!("Only array jobs can have dependencies of type {kind}"));
        }
        let text = dependency.job_id.as_deref();
        if kind == Some("SEQUENTIAL") && text.is_none() {
            all.sequential = true;
            continue;
        }
        let text = text.unwrap_or_default();
        let Some(job) = engine.find(text) else { return client(format!("Job {text} not found.")) };
        match kind {
            None => all.whole.push(job.key),
            Some("N_TO_N") => {
                let theirs = job.record.submission.array.as_ref().filter(|_| job.index.is_none());
                if theirs.map(|array| array.size) != size {
                    return refused(format!("Job {text} should be an array job of the same size"));
                }
                all.n_to_n.push(job.key);
            }
            Some("SEQUENTIAL") => {
                return refused("A dependency of type SEQUENTIAL should not name a job");
            }
            Some(other) => return refused(format!("Dependency type {other} is not supported")),
        }
    }
    Ok(all)
}

// `vcpus` and `memory` of the overrides act only on the same members of the definition: what it says in
// `resourceRequirements` can be overridden there alone.
fn merge(definition: &Container, overrides: &ContainerOverrides) -> Container {
    let mut container = definition.clone();
    if container.requirement("VCPU").is_none() {
        container.vcpus = overrides.vcpus.or(container.vcpus);
    }
    if container.requirement("MEMORY").is_none() {
        container.memory = overrides.memory.or(container.memory);
    }
    for requirement in &overrides.resource_requirements {
        match requirement.kind.as_str() {
            "VCPU" => container.vcpus = None,
            "MEMORY" => container.memory = None,
            _ => {}
        }
        container.resource_requirements.retain(|other| other.kind != requirement.kind);
        container.resource_requirements.push(requirement.clone());
    }
    if let Some(command) = &overrides.command {
        container.command.clone_from(command);
    }
    for variable in &overrides.environment {
        match container.environment.iter_mut().find(|other| other.name == variable.name) {
            Some(other) => other.value.clone_from(&variable.value),
            None => container.environment.push(variable.clone()),
        }
    }
    container
}
