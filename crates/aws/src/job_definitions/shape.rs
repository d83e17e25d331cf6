//! What a job definition may say.
//!
//! The service ignores members that it does not know, so a typing error would silently change the job.

use serde_json::Value;

/// What a member holds.
enum Shape {
    Text,
    Integer,
    Boolean,
    /// Names and texts of the user's choice.
    TextMap,
    List(&'static Shape),
    Object(&'static [(&'static str, Shape)]),
}

use Shape::{Boolean, Integer, List, Object, Text, TextMap};

const NAME_AND_VALUE: Shape = Object(&[("name", Text), ("value", Text)]);
const SECRET: Shape = Object(&[("name", Text), ("valueFrom", Text)]);
const RESOURCE: Shape = Object(&[("type", Text), ("value", Text)]);
const ULIMIT: Shape = Object(&[("name", Text), ("hardLimit", Integer), ("softLimit", Integer)]);
const MOUNT_POINT: Shape = Object(&[("containerPath", Text), ("readOnly", Boolean), ("sourceVolume", Text)]);
const DEVICE: Shape = Object(&[("hostPath", Text), ("containerPath", Text), ("permissions", List(&Text))]);
const TMPFS: Shape = Object(&[("containerPath", Text), ("size", Integer), ("mountOptions", List(&Text))]);

const VOLUME: Shape = Object(&[
    ("name", Text),
    ("host", Object(&[("sourcePath", Text)])),
    (
        "efsVolumeConfiguration",
        Object(&[
            ("fileSystemId", Text),
            ("rootDirectory", Text),
            ("transitEncryption", Text),
            ("transitEncryptionPort", Integer),
            ("authorizationConfig", Object(&[("accessPointId", Text), ("iam", Text)])),
        ]),
    ),
]);

const LINUX: Shape = Object(&[
    ("devices", List(&DEVICE)),
    ("initProcessEnabled", Boolean),
    ("sharedMemorySize", Integer),
    ("tmpfs", List(&TMPFS)),
    ("maxSwap", Integer),
    ("swappiness", Integer),
]);

const CONTAINER: Shape = Object(&[
    ("image", Text),
    ("vcpus", Integer),
    ("memory", Integer),
    ("command", List(&Text)),
    ("jobRoleArn", Text),
    ("executionRoleArn", Text),
    ("volumes", List(&VOLUME)),
    ("environment", List(&NAME_AND_VALUE)),
    ("mountPoints", List(&MOUNT_POINT)),
    ("readonlyRootFilesystem", Boolean),
    ("privileged", Boolean),
    ("ulimits", List(&ULIMIT)),
    ("user", Text),
    ("resourceRequirements", List(&RESOURCE)),
    ("linuxParameters", LINUX),
    (
        "logConfiguration",
        Object(&[("logDriver", Text), ("options", TextMap), ("secretOptions", List(&SECRET))]),
    ),
    ("secrets", List(&SECRET)),
    ("networkConfiguration", Object(&[("assignPublicIp", Text)])),
    ("fargatePlatformConfiguration", Object(&[("platformVersion", Text)])),
    ("ephemeralStorage", Object(&[("sizeInGiB", Integer)])),
    ("runtimePlatform", Object(&[("operatingSystemFamily", Text), ("cpuArchitecture", Text)])),
    ("repositoryCredentials", Object(&[("credentialsParameter", Text)])),
    ("enableExecuteCommand", Boolean),
]);

const RULE: Shape =
    Object(&[("onStatusReason", Text), ("onReason", Text), ("onExitCode", Text), ("action", Text)]);

const DEFINITION: Shape = Object(&[
    ("jobDefinitionName", Text),
    ("type", Text),
    ("parameters", TextMap),
    ("schedulingPriority", Integer),
    ("containerProperties", CONTAINER),
    ("retryStrategy", Object(&[("attempts", Integer), ("evaluateOnExit", List(&RULE))])),
    ("propagateTags", Boolean),
    ("timeout", Object(&[("attemptDurationSeconds", Integer)])),
    ("tags", TextMap),
    ("platformCapabilities", List(&Text)),
]);

/// Checks names and types of all members, and returns the definition's name.
///
/// The error names the member, and says what is wrong with it.
pub fn check(content: &Value) -> Result<&str, String> {
    conforms(&DEFINITION, content, "")?;
    match content.get("type").and_then(Value::as_str) {
        Some("container") => {}
        Some(other) => return Err(format!("`type` is `{other}`, and only `container` is supported")),
        None => return Err("`type: container` is missing".to_owned()),
    }
    if content.pointer("/containerProperties/image").is_none() {
        return Err("`containerProperties.image` is missing".to_owned());
    }
    content
        .get("jobDefinitionName")
        .and_then(Value::as_str)
        .ok_or_else(|| "`jobDefinitionName` is missing".to_owned())
}

fn conforms(shape: &Shape, value: &Value, path: &str) -> Result<(), String> {
    let wants = |what: &str| {
        if path.is_empty() {
            Err(format!("it is not {what}"))
        } else {
            Err(format!("`{path}` is not {what}"))
        }
    };
    match (shape, value) {
        (Text, Value::String(_)) | (Boolean, Value::Bool(_)) => Ok(()),
        (Integer, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        (TextMap, Value::Object(members)) => {
            members.iter().try_for_each(|(name, value)| conforms(&Text, value, &below(path, name)))
        }
        (List(of), Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(i, item)| conforms(of, item, &format!("{path}[{i}]")))
        }
        (Object(known), Value::Object(members)) => members.iter().try_for_each(|(name, value)| {
            let path = below(path, name);
            let Some((_, shape)) = known.iter().find(|(n, _)| n == name) else {
                let names: Vec<_> = known.iter().map(|(n, _)| *n).collect();
                return Err(format!("`{path}` is not supported here; there are {}", names.join(", ")));
            };
            conforms(shape, value, &path)
        }),
        (Text, _) => wants("a text (numbers go in quotes here)"),
        (Integer, _) => wants("a whole number"),
        (Boolean, _) => wants("true or false"),
        (TextMap | Object(_), _) => wants("a mapping"),
        (List(_), _) => wants("a list"),
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Value {
        json!({
            "jobDefinitionName": "embulk", "type": "container", "parameters": {"table": "logs"},
            "containerProperties": {
                "image": "example/embulk:1", "command": ["run"],
                "environment": [{"name": "A", "value": "b"}],
                "resourceRequirements": [{"type": "MEMORY", "value": "2048"}, {"type": "VCPU", "value": "1"}],
                "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-1:111122223333:parameter/key"}],
                "ulimits": [{"name": "nofile", "hardLimit": 4096, "softLimit": 4096}],
                "linuxParameters": {"initProcessEnabled": true, "sharedMemorySize": 64},
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
                "volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "authorizationConfig": {"iam": "ENABLED"}}}],
            },
            "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]},
            "timeout": {"attemptDurationSeconds": 3600}, "tags": {"team": "data"}, "platformCapabilities": ["EC2"],
        })
    }

    #[test]
    fn a_definition_with_everything_passes() {
        assert_eq!(check(&definition()), Ok("embulk"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (path, value, says) in [
            (
                "/containerProperties/enviroment",
                json!([]),
                "`containerProperties.enviroment` is not supported",
            ),
            ("/nodeProperties", json!({}), "`nodeProperties` is not supported"),
            (
                "/containerProperties/environment",
                json!([{"name": "A", "value": 1}]),
                "`containerProperties.environment[0].value` is not a text",
            ),
            ("/containerProperties/command", json!("run"), "`containerProperties.command` is not a list"),
            (
                "/timeout",
                json!({"attemptDurationSeconds": "60"}),
                "`timeout.attemptDurationSeconds` is not a whole number",
            ),
            ("/tags", json!({"team": true}), "`tags.team` is not a text"),
            ("/propagateTags", json!("yes"), "`propagateTags` is not true or false"),
            ("/parameters", json!(null), "`parameters` is not a mapping"),
            ("/type", json!("multinode"), "only `container` is supported"),
        ] {
            let mut content = definition();
            let (parent, name) = path.rsplit_once('/').unwrap();
            content.pointer_mut(parent).unwrap()[name] = value;
            let why = check(&content).unwrap_err();
            assert!(why.contains(says), "{path}: {why}");
        }
        assert!(check(&json!([])).unwrap_err().contains("it is not a mapping"));
        for missing in ["type", "jobDefinitionName", "containerProperties"] {
            let mut content = definition();
            content.as_object_mut().unwrap().remove(missing);
            assert!(check(&content).unwrap_err().contains(missing), "{missing}");
        }
    }
}
