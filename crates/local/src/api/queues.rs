//! Job queues.

use serde_json::{Map, Value, json};

use super::check::{self, client, refused};
use crate::engine::Engine;
use crate::table::{QueueRecord, Record};
use crate::wire::requests::{CreateJobQueue, DescribeJobQueues};
use crate::wire::{self, ApiError};

const MOST_ENVIRONMENTS: usize = 3;

/// `CreateJobQueue`.
pub fn create(engine: &mut Engine, request: &Value) -> Result<Value, ApiError> {
    let request: CreateJobQueue = wire::read(request)?;
    check::name("Job queue name", &request.job_queue_name)?;
    check::tags(&request.tags)?;
    check::absent(request.job_state_time_limit_actions.as_ref(), "jobStateTimeLimitActions are")?;
    check::absent(request.service_environment_order.as_ref(), "Service environments are")?;
    let enabled = enabled(request.state.as_deref())?;
    let Some(priority) = i32::try_from(request.priority).ok().filter(|priority| *priority >= 0) else {
        return refused("Job queue priority should not be negative");
    };
    let order = request.compute_environment_order;
    if order.is_empty() || order.len() > MOST_ENVIRONMENTS {
        return refused(format!("A job queue should have 1 to {MOST_ENVIRONMENTS} compute environments"));
    }
    let mut environments = Vec::new();
    for entry in order {
        let name = engine.config.names.short("compute-environment", &entry.compute_environment).to_owned();
        if !engine.environments.contains_key(&name) {
            return client(format!("ComputeEnvironment {} not found.", entry.compute_environment));
        }
        environments.push((entry.order, name));
    }
    environments.sort();
    let name = request.job_queue_name;
    if engine.queues.contains_key(&name) {
        return client("Object already exists");
    }
    let queue = QueueRecord {
        name: name.clone(),
        priority,
        enabled,
        policy: request.scheduling_policy_arn,
        environments,
    };
    let arn = engine.config.names.queue(&name);
    engine.write(&[Record::Queue(queue.clone()), Record::Tags(arn.clone(), request.tags.clone())])?;
    engine.keep_queue(queue);
    engine.keep_tags(arn.clone(), request.tags);
    Ok(json!({ "jobQueueName": name, "jobQueueArn": arn }))
}

/// Reads a state, which is ENABLED when left out.
pub fn enabled(state: Option<&str>) -> Result<bool, ApiError> {
    match state {
        None | Some("ENABLED") => Ok(true),
        Some("DISABLED") => Ok(false),
        Some(other) => refused(format!("State {other} is not supported")),
    }
}

/// The queue of that name or ARN.
pub fn named<'a>(engine: &'a Engine, text: &str) -> Result<&'a QueueRecord, ApiError> {
    match engine.queues.get(engine.config.names.short("job-queue", text)) {
        Some(queue) => Ok(queue),
        None => client(format!("JobQueue {text} not found.")),
    }
}

/// `DescribeJobQueues`. Names that are not known are left out of the answer.
pub fn describe(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let request: DescribeJobQueues = wire::read(request)?;
    check::names(&request.job_queues)?;
    let most = check::max_results(request.max_results, check::PAGE)?;
    let names: Vec<&str> =
        request.job_queues.iter().map(|text| engine.config.names.short("job-queue", text)).collect();
    let wanted = engine.queues.values().filter(|q| names.is_empty() || names.contains(&q.name.as_str()));
    let (page, next) =
        super::list::page(wanted, |queue| queue.name.clone(), request.next_token.as_deref(), most)?;
    let found: Vec<Value> = page.into_iter().map(|queue| detail(engine, queue)).collect();
    Ok(super::list::with_token(json!({ "jobQueues": found }), next))
}

fn detail(engine: &Engine, queue: &QueueRecord) -> Value {
    let names = &engine.config.names;
    let arn = names.queue(&queue.name);
    let order: Vec<Value> = queue
        .environments
        .iter()
        .map(|(order, name)| json!({ "order": order, "computeEnvironment": names.environment(name) }))
        .collect();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("jobQueueName", json!(queue.name));
    put("state", json!(if queue.enabled { "ENABLED" } else { "DISABLED" }));
    put("status", json!("VALID"));
    put("statusReason", json!("JobQueue Healthy"));
    put("priority", json!(queue.priority));
    put("computeEnvironmentOrder", json!(order));
    put("jobQueueType", json!("ECS"));
    put("tags", json!(engine.tags.get(&arn).cloned().unwrap_or_default()));
    put("jobQueueArn", json!(arn));
    if let Some(policy) = &queue.policy {
        put("schedulingPolicyArn", json!(policy));
    }
    Value::Object(members)
}
