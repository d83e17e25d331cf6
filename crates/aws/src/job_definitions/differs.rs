//! What a file says against what is registered.

use serde_json::{Map, Value};

/// One member in which a file and a registered revision differ; [`Value::Null`] where one of them has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Such as `containerProperties.environment.S3BUCKET`.
    pub path: String,
    /// What the file says.
    pub file: Value,
    /// What is registered.
    pub registered: Value,
}

/// What the service adds to every definition.
const ADDED: [&str; 5] =
    ["jobDefinitionArn", "revision", "status", "containerOrchestrationType", "schedulingPriority"];

/// What the service fills in where the file says nothing.
const DEFAULTS: [(&str, &str); 5] = [
    ("platformCapabilities", r#"["EC2"]"#),
    ("retryStrategy.attempts", "1"),
    ("containerProperties.fargatePlatformConfiguration.platformVersion", r#""LATEST""#),
    ("containerProperties.networkConfiguration.assignPublicIp", r#""DISABLED""#),
    ("containerProperties.linuxParameters.swappiness", "60"),
];

/// Lists whose order says nothing: where they are, the member that names an item, and the one that is its value
/// (`None`: all others).
const NAMED_LISTS: [(&str, &str, Option<&str>); 8] = [
    ("containerProperties.environment", "name", Some("value")),
    ("containerProperties.resourceRequirements", "type", Some("value")),
    ("containerProperties.secrets", "name", Some("valueFrom")),
    ("containerProperties.ulimits", "name", None),
    ("containerProperties.volumes", "name", None),
    ("containerProperties.mountPoints", "containerPath", None),
    ("containerProperties.linuxParameters.tmpfs", "containerPath", None),
    ("containerProperties.logConfiguration.secretOptions", "name", Some("valueFrom")),
];

/// What a registered revision would have to change to be what the file says; nothing, if it may be used as it is.
///
/// Not counted: what the service adds or fills in, absent against empty, the order of lists that have none, the old
/// `vcpus` and `memory` against `resourceRequirements`, and tags that somebody added to the revision.
pub fn differs(file: &Value, registered: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare("", &normal("", file), &normal("", registered), &mut differences);
    differences
}

fn compare(path: &str, file: &Value, registered: &Value, differences: &mut Vec<Difference>) {
    if let (Value::Object(ours), Value::Object(theirs)) = (file, registered) {
        let names = ours.keys().chain(theirs.keys().filter(|k| !ours.contains_key(*k)));
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (ours, theirs) =
                (ours.get(name).unwrap_or(&Value::Null), theirs.get(name).unwrap_or(&Value::Null));
            let nobody_asked = ours.is_null()
                && (path.is_empty() && ADDED.contains(&name.as_str())
                    || path == "tags"
                    || is_default(&below, theirs));
            if !nobody_asked {
                compare(&below, ours, theirs, differences);
            }
        }
    } else if file.is_null() && registered.is_object() {
        compare(path, &Value::Object(Map::new()), registered, differences);
    } else if registered.is_null() && file.is_object() {
        compare(path, file, &Value::Object(Map::new()), differences);
    } else if !same(path, file, registered) {
        differences.push(Difference {
            path: path.to_owned(),
            file: file.clone(),
            registered: registered.clone(),
        });
    }
}

fn is_default(path: &str, value: &Value) -> bool {
    let default = DEFAULTS.iter().find(|(p, _)| *p == path).and_then(|(_, v)| serde_json::from_str(v).ok());
    value == &Value::Bool(false) || default.is_some_and(|d: Value| &d == value)
}

/// Equal as the service sees it: numbers in texts by value (`"1"` and `"1.0"` vCPU), words of its own in any case.
fn same(path: &str, a: &Value, b: &Value) -> bool {
    if a == b || (a.is_null() && is_default(path, b)) || (b.is_null() && is_default(path, a)) {
        return true;
    }
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) if path.starts_with("containerProperties.resourceRequirements.") => {
            matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() < f64::EPSILON)
        }
        _ => false,
    }
}

/// The same without what says nothing: empty lists and mappings, nulls, and the order of named lists.
fn normal(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut result = Map::new();
            for (name, value) in members {
                let value =
                    normal(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value);
                if !says_nothing(&value) {
                    result.insert(name.clone(), value);
                }
            }
            if path == "containerProperties" {
                old_resources(&mut result);
            }
            Value::Object(result)
        }
        Value::Array(items) => {
            if let Some((_, name, of)) = NAMED_LISTS.iter().find(|(p, ..)| *p == path) {
                return by_name(path, items, name, *of);
            }
            let mut items: Vec<_> = items.iter().map(|i| normal(&format!("{path}[]"), i)).collect();
            if path == "platformCapabilities" {
                items.sort_by_key(ToString::to_string);
            }
            Value::Array(items)
        }
        // RetryAction is `retry` or `RETRY`, as one likes.
        Value::String(text) if path == "retryStrategy.evaluateOnExit[].action" => text.to_uppercase().into(),
        other => other.clone(),
    }
}

fn by_name(path: &str, items: &[Value], name: &str, of: Option<&str>) -> Value {
    let mut result = Map::new();
    for item in items {
        let mut item = item.clone();
        let key = item.as_object_mut().and_then(|i| i.remove(name));
        let key = key.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = match of {
            Some(of) => item.get(of).cloned().unwrap_or_default(),
            None => normal(&format!("{path}.{key}"), &item),
        };
        result.insert(key, value);
    }
    Value::Object(result)
}

/// `vcpus` and `memory` are the old spelling of two resource requirements.
fn old_resources(container: &mut Map<String, Value>) {
    for (old, new) in [("vcpus", "VCPU"), ("memory", "MEMORY")] {
        let Some(amount) = container.remove(old).filter(|a| a.as_u64() != Some(0)) else { continue };
        let resources = container.entry("resourceRequirements").or_insert_with(|| Value::Object(Map::new()));
        if let Some(resources) = resources.as_object_mut() {
            resources.entry(new).or_insert_with(|| amount.to_string().into());
        }
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file() -> Value {
        json!({
            "jobDefinitionName": "embulk", "type": "container",
            "containerProperties": {
                "image": "example/embulk:1",
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            },
            "retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "exit"}]},
            "tags": {"team": "data"},
        })
    }

    /// As DescribeJobDefinitions answers for that file.
    fn registered() -> Value {
        json!({
            "jobDefinitionName": "embulk", "type": "container", "revision": 3, "status": "ACTIVE",
            "jobDefinitionArn": "arn:aws:batch:eu-west-1:111122223333:job-definition/embulk:3",
            "containerOrchestrationType": "ECS", "propagateTags": false, "parameters": {},
            "platformCapabilities": ["EC2"],
            "containerProperties": {
                "image": "example/embulk:1", "command": [], "volumes": [], "mountPoints": [], "ulimits": [],
                "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                "resourceRequirements": [{"type": "MEMORY", "value": "2048"}, {"type": "VCPU", "value": "1.0"}],
                "secrets": [], "networkConfiguration": {"assignPublicIp": "DISABLED"},
                "logConfiguration": {"options": {}, "secretOptions": []},
            },
            "retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
            "tags": {"team": "data", "cost": "added by somebody"},
        })
    }

    fn paths(file: &Value, registered: &Value) -> Vec<String> {
        differs(file, registered).into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn what_the_service_fills_in_is_no_difference() {
        assert_eq!(differs(&file(), &registered()), []);
    }

    #[test]
    fn the_old_spelling_of_resources_is_none_either() {
        let spelled_old = |mut definition: Value| {
            let container = definition["containerProperties"].as_object_mut().unwrap();
            container.remove("resourceRequirements");
            container.insert("vcpus".into(), json!(1));
            container.insert("memory".into(), json!(2048));
            definition
        };
        let mut old = spelled_old(registered());
        assert_eq!(differs(&file(), &old), []);
        assert_eq!(differs(&spelled_old(file()), &registered()), [], "and the other way round");
        old["containerProperties"]["memory"] = json!(1024);
        assert_eq!(paths(&file(), &old), ["containerProperties.resourceRequirements.MEMORY"]);
    }

    #[test]
    fn every_change_is_told_with_both_sides() {
        let mut theirs = registered();
        theirs["containerProperties"]["image"] = json!("example/embulk:0");
        theirs["containerProperties"]["environment"] = json!([{"name": "B", "value": "3"}, {"name": "C", "value": "left over"}, {"name": "A", "value": "1"}]);
        let found = differs(&file(), &theirs);
        let told: Vec<_> =
            found.iter().map(|d| (d.path.as_str(), d.file.clone(), d.registered.clone())).collect();
        assert_eq!(
            told,
            [
                ("containerProperties.environment.B", json!("2"), json!("3")),
                ("containerProperties.environment.C", Value::Null, json!("left over")),
                ("containerProperties.image", json!("example/embulk:1"), json!("example/embulk:0")),
            ]
        );
    }

    #[test]
    fn the_order_of_a_command_counts() {
        let (mut ours, mut theirs) = (file(), registered());
        ours["containerProperties"]["command"] = json!(["a", "b"]);
        theirs["containerProperties"]["command"] = json!(["b", "a"]);
        assert_eq!(paths(&ours, &theirs), ["containerProperties.command"]);
    }

    #[test]
    fn what_the_file_adds_or_drops_counts() {
        let mut ours = file();
        ours["timeout"] = json!({"attemptDurationSeconds": 60});
        ours["containerProperties"]["privileged"] = json!(true);
        ours["tags"]["more"] = json!("yes");
        assert_eq!(
            paths(&ours, &registered()),
            ["containerProperties.privileged", "tags.more", "timeout.attemptDurationSeconds"]
        );
        let mut theirs = registered();
        theirs["timeout"] = json!({"attemptDurationSeconds": 60});
        theirs["containerProperties"]["jobRoleArn"] = json!("arn:aws:iam::111122223333:role/job");
        assert_eq!(
            paths(&file(), &theirs),
            ["containerProperties.jobRoleArn", "timeout.attemptDurationSeconds"]
        );
        let mut ours = file();
        ours["containerProperties"]["privileged"] = json!(false);
        assert_eq!(differs(&ours, &registered()), [], "false is what an absent switch means");
    }
}
