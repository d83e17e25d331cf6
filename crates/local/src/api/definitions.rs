//! Job definitions.

use serde_json::{Map, Value, json};

use super::check::{self, client, refused};
use crate::engine::Engine;
use crate::table::{DefinitionRecord, Record};
use crate::wire::requests::{DeregisterJobDefinition, DescribeJobDefinitions, RegisterJobDefinition};
use crate::wire::{self, ApiError};

const DEFINITION_BYTES: usize = 24 * 1024;

/// `RegisterJobDefinition`.
pub fn register(engine: &mut Engine, request: &Value, size: usize) -> Result<Value, ApiError> {
    if size > DEFINITION_BYTES {
        return refused(format!("Job definition should have at most {DEFINITION_BYTES} bytes"));
    }
    let request: RegisterJobDefinition = wire::read(request)?;
    let name = request.job_definition_name;
    check::name("Job definition name", &name)?;
    match request.kind.as_str() {
        "container" => {}
        "multinode" => return client("Multi-node parallel jobs are not supported by this engine."),
        other => return refused(format!("Job definition type {other} is not supported")),
    }
    check::absent(request.node_properties.as_ref(), "nodeProperties are")?;
    check::absent(request.eks_properties.as_ref(), "eksProperties are")?;
    check::absent(request.ecs_properties.as_ref(), "ecsProperties are")?;
    check::absent(request.consumable_resource_properties.as_ref(), "consumableResourceProperties are")?;
    let Some(mut container) = request.container_properties else {
        return refused("Container properties should not be null for a container job definition");
    };
    let platforms = request.platform_capabilities.unwrap_or_else(|| vec!["EC2".to_owned()]);
    if let Some(other) = platforms.iter().find(|platform| !["EC2", "FARGATE"].contains(&platform.as_str())) {
        return refused(format!("Platform capability {other} is not supported"));
    }
    check::tidy_container(&mut container);
    check::demand(&container, fractions(&platforms))?;
    check::environment(&container.environment)?;
    check::timeout(request.timeout)?;
    check::tags(&request.tags)?;
    if let Some(strategy) = &request.retry_strategy {
        check::retry(strategy)?;
    }
    let last = engine.definitions.get(&name).and_then(|revisions| revisions.last_key_value());
    let revision = last.map_or(1, |(revision, _)| revision + 1);
    let definition = DefinitionRecord {
        name: name.clone(),
        revision,
        active: true,
        parameters: request.parameters,
        scheduling_priority: request.scheduling_priority,
        container,
        retry: request.retry_strategy.map(check::tidy_retry),
        timeout: request.timeout,
        propagate_tags: request.propagate_tags,
        platforms,
    };
    let arn = engine.config.names.definition(&name, revision);
    engine.write(&[
        Record::Definition(Box::new(definition.clone())),
        Record::Tags(arn.clone(), request.tags.clone()),
    ])?;
    engine.keep_definition(definition);
    engine.keep_tags(arn.clone(), request.tags);
    Ok(json!({ "jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision }))
}

/// Whether jobs of these platforms may ask for a part of a vCPU.
pub fn fractions(platforms: &[String]) -> bool {
    platforms.iter().any(|platform| platform == "FARGATE")
}

/// `DeregisterJobDefinition`.
pub fn deregister(engine: &mut Engine, request: &Value) -> Result<Value, ApiError> {
    let request: DeregisterJobDefinition = wire::read(request)?;
    let Some(found) =
        named(engine, &request.job_definition).filter(|_| has_revision(&request.job_definition))
    else {
        return client(format!("JobDefinition {} not found.", request.job_definition));
    };
    let definition = DefinitionRecord { active: false, ..found.clone() };
    engine.write(&[Record::Definition(Box::new(definition.clone()))])?;
    engine.keep_definition(definition);
    Ok(json!({}))
}

/// The definition that a SubmitJob names: a revision, or the newest active one of a name.
pub fn active<'a>(engine: &'a Engine, text: &str) -> Result<&'a DefinitionRecord, ApiError> {
    match named(engine, text) {
        Some(definition) if definition.active => Ok(definition),
        None if has_revision(text) || text.starts_with("arn:") => {
            client(format!("JobDefinition {text} not found."))
        }
        _ => client(format!("JobDefinition name {text} does not exist or is not in ACTIVE status")),
    }
}

fn has_revision(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, revision)| revision.parse::<u32>().is_ok())
}

fn named<'a>(engine: &'a Engine, text: &str) -> Option<&'a DefinitionRecord> {
    let short = engine.config.names.short("job-definition", text);
    match short.split_once(':') {
        Some((name, revision)) => engine.definitions.get(name)?.get(&revision.parse().ok()?),
        None => engine.definitions.get(short)?.values().rev().find(|definition| definition.active),
    }
}

/// `DescribeJobDefinitions`: by name, the newest revision first.
pub fn describe(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let request: DescribeJobDefinitions = wire::read(request)?;
    check::names(&request.job_definitions)?;
    let most = check::max_results(request.max_results, check::PAGE)?;
    if let Some(status) = request.status.as_deref().filter(|status| !["ACTIVE", "INACTIVE"].contains(status))
    {
        return refused(format!("Status {status} is not supported"));
    }
    if !request.job_definitions.is_empty() {
        let named = request.job_definitions.iter().filter_map(|text| named(engine, text));
        let found: Vec<Value> =
            named.map(|definition| detail(engine, definition)).collect::<Result<_, _>>()?;
        return Ok(json!({ "jobDefinitions": found }));
    }
    let all = engine.definitions.values().flat_map(|revisions| revisions.values().rev());
    let wanted = all.filter(|definition| {
        let status = if definition.active { "ACTIVE" } else { "INACTIVE" };
        request.job_definition_name.as_ref().is_none_or(|name| *name == definition.name)
            && request.status.as_ref().is_none_or(|wanted| wanted == status)
    });
    let name = |definition: &&DefinitionRecord| format!("{}:{}", definition.name, definition.revision);
    let (page, next) = super::list::page(wanted, name, request.next_token.as_deref(), most)?;
    let found: Vec<Value> =
        page.into_iter().map(|definition| detail(engine, definition)).collect::<Result<_, _>>()?;
    Ok(super::list::with_token(json!({ "jobDefinitions": found }), next))
}

fn detail(engine: &Engine, definition: &DefinitionRecord) -> Result<Value, ApiError> {
    let arn = engine.config.names.definition(&definition.name, definition.revision);
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("jobDefinitionName", json!(definition.name));
    put("revision", json!(definition.revision));
    put("status", json!(if definition.active { "ACTIVE" } else { "INACTIVE" }));
    put("type", json!("container"));
    put("parameters", json!(definition.parameters));
    put("containerProperties", wire::write(&definition.container)?);
    put("platformCapabilities", json!(definition.platforms));
    put("containerOrchestrationType", json!("ECS"));
    put("tags", json!(engine.tags.get(&arn).cloned().unwrap_or_default()));
    put("jobDefinitionArn", json!(arn));
    if let Some(retry) = &definition.retry {
        put("retryStrategy", wire::write(retry)?);
    }
    if let Some(timeout) = &definition.timeout {
        put("timeout", wire::write(timeout)?);
    }
    if let Some(priority) = definition.scheduling_priority {
        put("schedulingPriority", json!(priority));
    }
    if let Some(propagate) = definition.propagate_tags {
        put("propagateTags", json!(propagate));
    }
    Ok(Value::Object(members))
}
