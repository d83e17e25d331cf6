//! Tags of jobs, definitions, queues and environments.

use serde_json::{Value, json};

use super::check::{self, client};
use crate::engine::Engine;
use crate::table::Record;
use crate::wire::requests::TagResource;
use crate::wire::shapes::Texts;
use crate::wire::{self, ApiError};

/// `ListTagsForResource`.
pub fn list(engine: &Engine, request: &Value) -> Result<Value, ApiError> {
    let arn = known(engine, request)?;
    Ok(json!({ "tags": of(engine, &arn) }))
}

/// `TagResource`.
pub fn add(engine: &mut Engine, request: &Value) -> Result<Value, ApiError> {
    let arn = known(engine, request)?;
    let TagResource { tags } = wire::read(request)?;
    let mut all = engine.tags.get(&arn).cloned().unwrap_or_default();
    all.extend(tags);
    check::tags(&all)?;
    engine.write(&[Record::Tags(arn.clone(), all.clone())])?;
    engine.keep_tags(arn, all);
    Ok(json!({}))
}

/// The tags of a resource.
pub fn of(engine: &Engine, arn: &str) -> Texts {
    engine.tags.get(arn).cloned().unwrap_or_default()
}

fn known(engine: &Engine, request: &Value) -> Result<String, ApiError> {
    let arn = request.get("resourceArn").and_then(Value::as_str).unwrap_or_default();
    let names = &engine.config.names;
    let definition = || {
        let (name, revision) = names.short("job-definition", arn).split_once(':')?;
        engine.definitions.get(name)?.get(&revision.parse().ok()?)
    };
    let exists = engine.find(arn).is_some()
        || engine.queues.contains_key(names.short("job-queue", arn))
        || engine.environments.contains_key(names.short("compute-environment", arn))
        || definition().is_some();
    if arn.starts_with("arn:") && exists {
        Ok(arn.to_owned())
    } else {
        client(format!("Resource {arn} not found."))
    }
}
