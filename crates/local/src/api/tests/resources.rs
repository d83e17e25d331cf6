use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

#[test]
fn definitions_have_revisions_and_pages() {
    let mut api = Api::new();
    for _ in 0..2 {
        api.ok(
            "registerjobdefinition",
            with(
                definition("other"),
                json!({ "retryStrategy": {
            "evaluateOnExit": [{ "onExitCode": "1*", "action": "exit" }] } }),
            ),
        );
    }
    assert_eq!(api.ok("registerjobdefinition", definition("other"))["revision"], 3);
    api.ok("deregisterjobdefinition", json!({ "jobDefinition": "other:2" }));
    let list = |api: &mut Api, request: Value| {
        let answer = api.ok("describejobdefinitions", request);
        let found = answer["jobDefinitions"].as_array().unwrap();
        let names =
            found.iter().map(|d| format!("{}:{}", d["jobDefinitionName"].as_str().unwrap(), d["revision"]));
        (names.collect::<Vec<_>>(), answer.get("nextToken").cloned())
    };
    let (all, _) = list(&mut api, json!({}));
    assert_eq!(all, ["job:1", "other:3", "other:2", "other:1"]);
    let (active, _) = list(&mut api, json!({ "jobDefinitionName": "other", "status": "ACTIVE" }));
    assert_eq!(active, ["other:3", "other:1"]);
    let (named, _) = list(&mut api, json!({ "jobDefinitions": ["other:2", "job", "none:1"] }));
    assert_eq!(named, ["other:2", "job:1"]);
    let (first, token) = list(&mut api, json!({ "maxResults": 3 }));
    let (second, end) = list(&mut api, json!({ "maxResults": 3, "nextToken": token.unwrap() }));
    assert_eq!([first, second].concat(), all);
    assert_eq!(end, None);
    let detail = api.ok("describejobdefinitions", json!({ "jobDefinitions": ["other:1"] }))["jobDefinitions"]
        [0]
    .clone();
    let retry = json!({ "attempts": 1, "evaluateOnExit": [{ "onExitCode": "1*", "action": "EXIT" }] });
    assert_eq!(detail["retryStrategy"], retry);
    assert_eq!(detail["containerProperties"]["volumes"], json!([]));
    for (more, text) in [
        (json!({ "type": "multinode" }), "Multi-node"),
        (json!({ "containerProperties": { "command": ["x"], "vcpus": 1 } }), "at least 4 MiB of memory"),
        (json!({ "containerProperties": { "command": ["x"], "memory": 10 } }), "at least 1 vCPU"),
        (json!({ "jobDefinitionName": "a:b" }), "Job definition name should match valid pattern"),
        (json!({ "ecsProperties": {} }), "ecsProperties are not supported by this engine."),
        (json!({ "parameters": { "x": "y".repeat(24 * 1024) } }), "at most 24576 bytes"),
    ] {
        let refused = api.refused("registerjobdefinition", with(definition("new"), more));
        assert!(refused.contains(text), "{refused} does not say {text}");
    }
}

#[test]
fn queues_and_environments_can_be_made() {
    let mut api = Api::new();
    let environment = |name: &str, vcpus: i64| {
        json!({ "computeEnvironmentName": name, "type": "MANAGED",
            "computeResources": { "type": "SPOT", "maxvCpus": vcpus, "subnets": ["subnet-1"] } })
    };
    let arn = api.ok("createcomputeenvironment", environment("spot", 1))["computeEnvironmentArn"].clone();
    assert_eq!(api.refused("createcomputeenvironment", environment("spot", 1)), "Object already exists");
    let queue = json!({ "jobQueueName": "spot", "priority": 5, "schedulingPolicyArn": "arn:aws:batch:x",
        "computeEnvironmentOrder": [{ "order": 2, "computeEnvironment": "local" },
            { "order": 1, "computeEnvironment": arn }] });
    api.ok("createjobqueue", queue.clone());
    assert_eq!(api.refused("createjobqueue", queue.clone()), "Object already exists");
    let unknown = json!({ "jobQueueName": "q", "computeEnvironmentOrder": [{ "order": 1, "computeEnvironment": "x" }] });
    assert_eq!(api.refused("createjobqueue", with(queue, unknown)), "ComputeEnvironment x not found.");
    let found = api.ok("describejobqueues", json!({ "jobQueues": ["spot", "none"] }))["jobQueues"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["computeEnvironmentOrder"][0]["computeEnvironment"], arn);
    assert_eq!((&found[0]["state"], &found[0]["status"]), (&json!("ENABLED"), &json!("VALID")));
    let found = api.ok("describecomputeenvironments", json!({}))["computeEnvironments"].clone();
    assert_eq!(found[0]["computeEnvironmentName"], "local");
    assert_eq!(found[0]["computeResources"]["maxvCpus"], 2);
    assert_eq!(found[1]["computeResources"]["type"], "SPOT");
    let share = api.refused("submitjob", submission(json!({ "jobQueue": "spot" })));
    assert_eq!(share, "Share identifier is required for a job queue with a scheduling policy.");
    let job = api.ok("submitjob", submission(json!({ "jobQueue": "spot", "shareIdentifier": "a" })));
    assert_eq!(api.describe(job["jobId"].as_str().unwrap())["shareIdentifier"], "a");
    let filter = json!([{ "name": "SHARE_IDENTIFIER", "values": ["a"] }]);
    let request = json!({ "jobQueue": "spot", "filters": filter });
    assert_eq!(api.list(request.clone()).len(), 1);
    assert!(api.list(with(request, json!({ "jobStatus": "FAILED" }))).is_empty(), "both count");
}

#[test]
fn tags_are_kept_by_arn() {
    let mut api = Api::new();
    let job = api.submit("tagged");
    for arn in [
        format!("arn:aws:batch:eu-west-1:000000000000:job/{job}"),
        "arn:aws:batch:eu-west-1:000000000000:job-definition/job:1".to_owned(),
        "arn:aws:batch:eu-west-1:000000000000:job-queue/default".to_owned(),
    ] {
        let path = format!("/v1/tags/{}", utf8_percent_encode(&arn, NON_ALPHANUMERIC));
        let mut send = |method: &str, body: &str| call(&mut api.engine, NOW, method, &path, body.as_bytes());
        assert_eq!(send("POST", r#"{"tags":{"a":"1"}}"#).outcome, Ok(json!({})));
        assert_eq!(send("POST", r#"{"tags":{"b":"2"}}"#).outcome, Ok(json!({})));
        let listed = send("GET", "");
        assert_eq!(listed.request, json!({ "resourceArn": arn }));
        assert_eq!(listed.outcome, Ok(json!({ "tags": { "a": "1", "b": "2" } })));
        let many = json!({ "tags": tags(49) }).to_string();
        assert!(send("POST", &many).outcome.is_err(), "49 and 2 are more than 50");
    }
    assert_eq!(api.describe(&job)["tags"], json!({ "a": "1", "b": "2" }));
    for unknown in ["job", "arn:aws:batch:eu-west-1:000000000000:job/none"] {
        assert!(call(&mut api.engine, NOW, "GET", &format!("/v1/tags/{unknown}"), b"").outcome.is_err());
    }
}

#[test]
fn what_is_no_call_is_refused_as_such() {
    let mut api = Api::new();
    for (method, path) in [("GET", "/v1/submitjob"), ("POST", "/v1/deletejobqueue"), ("POST", "/")] {
        let error = call(&mut api.engine, NOW, method, path, b"{}").outcome.unwrap_err();
        assert_eq!((error.status(), error.kind()), (404, "UnknownOperationException"));
    }
    for body in ["{", "[]", r#"{"jobName":1}"#] {
        let error = call(&mut api.engine, NOW, "POST", "/v1/submitjob", body.as_bytes()).outcome.unwrap_err();
        assert_eq!((error.status(), error.kind()), (400, "SerializationException"), "{body}");
    }
}

#[test]
fn everything_is_there_after_a_reopen() {
    let mut api = Api::new();
    let first = api.submit("first");
    let failed = api.submit("failed");
    let waiting =
        api.ok("submitjob", submission(json!({ "dependsOn": [{ "jobId": first }], "tags": { "a": "b" } })));
    let waiting = waiting["jobId"].as_str().unwrap().to_owned();
    api.ok("terminatejob", json!({ "jobId": failed, "reason": "why" }));
    api.ok("deregisterjobdefinition", json!({ "jobDefinition": "job:1" }));
    let ids = [first.clone(), failed, waiting.clone()];
    let before: Vec<Value> = ids.iter().map(|id| api.describe(id)).collect();
    for compact in [false, true] {
        if compact {
            api.engine.compact().unwrap();
        }
        api = api.reopen();
        let after: Vec<Value> = ids.iter().map(|id| api.describe(id)).collect();
        assert_eq!(before, after);
    }
    assert_eq!(before[2]["status"], "PENDING");
    assert!(api.call("submitjob", &submission(json!({}))).is_err(), "the definition stays deregistered");
    assert_eq!(api.ok("registerjobdefinition", definition("job"))["revision"], 2);
    let next = api.submit("next");
    assert_eq!(api.list(json!({ "jobQueue": "default", "jobStatus": "RUNNABLE" })), ["next", "first"]);
    api.ok("canceljob", json!({ "jobId": first, "reason": "x" }));
    let dependent = api.describe(&waiting);
    assert_eq!(
        (&dependent["status"], &dependent["statusReason"]),
        (&json!("FAILED"), &json!("Dependent Job failed"))
    );
    assert_ne!(next, first);
}
