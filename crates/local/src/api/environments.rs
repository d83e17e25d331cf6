//! Compute environments.

use serde_json::{Map, Value, json};

use super::check::{self, client, refused};
use super::queues::enabled;
use crate::engine::Engine;
use crate::table::{EnvironmentRecord, Record};
use crate::wire::requests::{CreateComputeEnvironment, DescribeComputeEnvironments};
use crate::wire::{self, ApiError};

/// `CreateComputeEnvironment`. Its jobs run on this machine, so beside `maxvCpus` the machine is the limit.
pub fn create(engine: &mut Engine, request: &Value) -> Result<Value, ApiError> {
    let request: CreateComputeEnvironment = wire::read(request)?;
    let name = request.compute_environment_name;
    check::name("Compute environment name", &name)?;
    check::tags(&request.tags)?;
    check::absent(request.eks_configuration.as_ref(), "EKS compute environments are")?;
    let enabled = enabled(request.state.as_deref())?;
    let max_vcpus = match (request.kind.as_str(), &request.compute_resources) {
        ("UNMANAGED", None) => None,
        ("UNMANAGED", Some(_)) => {
            return refused("computeResources should be null for an UNMANAGED compute environment");
        }
        ("MANAGED", Some(resources)) => Some(max_vcpus(resources)?),
        ("MANAGED", None) => {
            return refused("computeResources should not be null for a MANAGED compute environment");
        }
        (other, _) => return refused(format!("Compute environment type {other} is not supported")),
    };
    if engine.environments.contains_key(&name) {
        return client("Object already exists");
    }
    let environment = EnvironmentRecord {
        name: name.clone(),
        kind: request.kind,
        enabled,
        max_vcpus,
        resources: request.compute_resources,
        service_role: request.service_role,
        unmanaged_vcpus: request.unmanaged_vcpus,
        uuid: uuid::Uuid::new_v4().to_string(),
    };
    let arn = engine.config.names.environment(&name);
    engine.write(&[
        Record::Environment(environment.clone()),
        Record::Tags(arn.clone(), request.tags.clone()),
    ])?;
    engine.keep_environment(environment);
    engine.keep_tags(arn.clone(), request.tags);
    Ok(json!({ "computeEnvironmentName": name, "computeEnvironmentArn": arn }))
}

fn max_vcpus(resources: &Value) -> Result<u64, ApiError> {
    let kind = resources.get("type").and_then(Value::as_str).unwrap_or_default();
    if !["EC2", "SPOT", "FARGATE", "FARGATE_SPOT"].contains(&kind) {
        return refused("computeResources.type should be EC2, SPOT, FARGATE or FARGATE_SPOT");
    }
    if !resources.get("subnets").is_some_and(Value::is_array) {
        return refused("computeResources.subnets should not be null");
    }
    match resources.get("maxvCpus").and_then(Value::as_u64) {
        Some(vcpus) if vcpus > 0 => Ok(vcpus),
        _ => refused("computeResources.maxvCpus should be greater than 0"),
    }
}

/// `DescribeComputeEnvironments`. Names that are not known are left out of the answer.
pub fn describe(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let request: DescribeComputeEnvironments = wire::read(request)?;
    check::names(&request.compute_environments)?;
    let most = check::max_results(request.max_results, check::PAGE)?;
    let short = |text| engine.config.names.short("compute-environment", text);
    let names: Vec<&str> = request.compute_environments.iter().map(|text| short(text)).collect();
    let all = engine.environments.values();
    let wanted = all.filter(|e| names.is_empty() || names.contains(&e.name.as_str()));
    let (page, next) = super::list::page(wanted, |e| e.name.clone(), request.next_token.as_deref(), most)?;
    let found: Vec<Value> = page.into_iter().map(|environment| detail(engine, environment)).collect();
    Ok(super::list::with_token(json!({ "computeEnvironments": found }), next))
}

fn detail(engine: &Engine, environment: &EnvironmentRecord) -> Value {
    let names = &engine.config.names;
    let arn = names.environment(&environment.name);
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("computeEnvironmentName", json!(environment.name));
    put("ecsClusterArn", json!(names.cluster(&environment.name, &environment.uuid)));
    put("type", json!(environment.kind));
    put("state", json!(if environment.enabled { "ENABLED" } else { "DISABLED" }));
    put("status", json!("VALID"));
    put("statusReason", json!("ComputeEnvironment Healthy"));
    put("containerOrchestrationType", json!("ECS"));
    put("uuid", json!(environment.uuid));
    put("tags", json!(engine.tags.get(&arn).cloned().unwrap_or_default()));
    put("computeEnvironmentArn", json!(arn));
    if let Some(role) = &environment.service_role {
        put("serviceRole", json!(role));
    }
    if let Some(vcpus) = environment.unmanaged_vcpus {
        put("unmanagedvCpus", json!(vcpus));
    }
    if environment.kind == "MANAGED" {
        let own = json!({
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": engine.config.machine.milli_vcpus / 1000,
            "desiredvCpus": engine.config.machine.milli_vcpus / 1000,
            "instanceTypes": ["optimal"],
            "subnets": [],
            "securityGroupIds": [],
        });
        put("computeResources", environment.resources.clone().unwrap_or(own));
    }
    Value::Object(members)
}
