//! Job definitions: YAML with the names of Batch's RegisterJobDefinition, as the JSON that the service takes.

use std::path::Path;

use dayfill_core::spec::looks_like_credential;
use serde_json::{Map, Number, Value as Json};

use super::fields::{self, Fields, Findings};
use super::node::{Node, Value};
use super::place::Place;
use super::report::{Source, SpecFileError};
use super::shape::{DEFINITION, Field, Shape};
use super::syntax;

/// Reads a job definition from a file, as the body of a RegisterJobDefinition request. Names and types are checked,
/// what they mean is the service's.
///
/// # Errors
/// The file cannot be read, is larger than 1 MiB, or holds no job definition of one container.
pub fn load_definition(path: &Path) -> Result<Json, SpecFileError> {
    parse_source(&super::read(path)?)
}

/// Reads a job definition from a text; `file_name` is shown in errors.
///
/// # Errors
/// The text holds no job definition of one container.
pub fn parse_definition(text: &str, file_name: &str) -> Result<Json, SpecFileError> {
    parse_source(&Source::new(file_name, text))
}

fn parse_source(source: &Source) -> Result<Json, SpecFileError> {
    let root = syntax::parse(source)?;
    let mut findings = Findings::default();
    let json = mapping("", &root, &root, DEFINITION, &mut findings);
    check_kind(&root, &mut findings);
    match json {
        Some(json) if findings.is_empty() => Ok(json),
        _ => Err(SpecFileError::invalid(source, findings)),
    }
}

/// The two fields whose values decide whether dayfill can use the definition at all.
fn check_kind(root: &Node, findings: &mut Findings) {
    let fields = Fields::of(root, root, "", &mut Findings::default());
    if let Some((_, node)) = fields.get("type")
        && let Some(kind) = node.text().filter(|kind| *kind != "container")
    {
        let message = format!("dayfill runs jobs of one container, not of type `{}`", kind.escape_debug());
        findings.add(node.at.clone(), message, "write `type: container`");
    }
    if let Some((_, node)) = fields.get("jobDefinitionName")
        && let Some(name) = node.text()
    {
        let good = (1..=128).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !good {
            let message = format!("`{}` cannot name a job definition", name.escape_debug());
            findings.add(
                node.at.clone(),
                message,
                "use 1 to 128 letters, digits, - and _, and begin with a letter or digit",
            );
        }
    }
}

fn value(path: &str, key: &Node, node: &Node, shape: Shape, findings: &mut Findings) -> Option<Json> {
    match shape {
        Shape::Text => fields::text(path, key, node, findings).map(Json::String),
        Shape::Whole => {
            let text = fields::text(path, key, node, findings)?;
            let number = text.parse::<i64>().ok();
            if number.is_none() {
                let message = format!("`{path}` should be a whole number, not `{}`", text.escape_debug());
                findings.add(node.at.clone(), message, "write digits only");
            }
            number.map(|number| Json::Number(Number::from(number)))
        }
        Shape::Flag => {
            let text = fields::text(path, key, node, findings)?;
            let flag = text.parse::<bool>().ok();
            if flag.is_none() {
                let message = format!("`{path}` should be true or false, not `{}`", text.escape_debug());
                findings.add(node.at.clone(), message, "write true or false");
            }
            flag.map(Json::Bool)
        }
        Shape::List(item) => list(path, key, node, *item, findings),
        Shape::Texts => {
            let mut texts = Map::new();
            for (name, key, node) in Fields::of(node, key, path, findings).entries() {
                if let Some(text) = fields::text(&format!("{path}.{name}"), key, node, findings) {
                    texts.insert(name.to_owned(), Json::String(text));
                }
            }
            Some(Json::Object(texts))
        }
        Shape::Fields(known) => mapping(path, key, node, known, findings),
    }
}

fn list(path: &str, key: &Node, node: &Node, shape: Shape, findings: &mut Findings) -> Option<Json> {
    let Value::List(items) = &node.value else {
        let message = format!("`{path}` should be a list, not {}", node.value.kind());
        findings.add(key.at.clone(), message, "begin each of its items with `- `, or write [first, second]");
        return None;
    };
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        list.extend(value(&format!("{path}[{index}]"), item, item, shape, findings));
    }
    Some(Json::Array(list))
}

fn mapping(path: &str, key: &Node, node: &Node, known: &[Field], findings: &mut Findings) -> Option<Json> {
    let fields = Fields::of(node, key, path, findings);
    if findings.covers(path) && !path.is_empty() {
        return None;
    }
    let names: Vec<_> = known.iter().map(|field| field.name).collect();
    fields.only(&names, findings);
    let mut object = Map::new();
    for field in known {
        let path = fields.path(field.name);
        match fields.get(field.name) {
            Some((key, node)) => {
                if let Some(json) = value(&path, key, node, field.shape, findings) {
                    object.insert(field.name.to_owned(), json);
                }
            }
            None if field.required && !findings.covers(&path) => {
                let place =
                    fields.entries().next().filter(|_| path == field.name).map_or(key, |(_, first, _)| first);
                findings.add(
                    place.at.clone(),
                    format!("`{path}` is missing"),
                    format!("write `{}:` here", field.name),
                );
            }
            None => {}
        }
    }
    check_variable(&fields, known, findings);
    Some(Json::Object(object))
}

/// A variable of the environment whose value looks like a credential.
fn check_variable(fields: &Fields<'_>, known: &[Field], findings: &mut Findings) {
    let text = |name| fields.get(name).and_then(|(_, node)| node.text().map(|text| (node, text)));
    let is_variable = known.len() == 2 && known.iter().any(|field| field.name == "value");
    if let (true, Some((key, name)), Some((node, value))) = (is_variable, text("name"), text("value"))
        && looks_like_credential(name, value)
    {
        let place = Place { at: key.at.clone(), secret: Some(node.at.clone()) };
        let message = format!("the value of {} looks like a credential", name.escape_debug());
        findings.add(
            place,
            message,
            "keep it in Secrets Manager or the Parameter Store and name its ARN under `secrets:`",
        );
    }
}
