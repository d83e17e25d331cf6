mod arrays;
mod resources;

use serde_json::json;

use super::*;
use crate::engine::EngineConfig;
use crate::names::Names;
use crate::scheduler::Capacity;

const NOW: Millis = 1_700_000_000_000;

struct Api {
    engine: Engine,
    dir: tempfile::TempDir,
    now: Millis,
}

fn open(dir: &std::path::Path) -> Engine {
    let names = Names { region: "eu-west-1".to_owned(), account: "000000000000".to_owned() };
    let machine = Capacity { milli_vcpus: 2_000, memory_mib: 1_000, gpus: 0 };
    Engine::open(&dir.join("jobs.jsonl"), EngineConfig { names, machine, second: 1_000, reclaims: None })
        .unwrap()
        .0
}

impl Api {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut api = Self { engine: open(dir.path()), dir, now: NOW };
        api.ok("registerjobdefinition", definition("job"));
        api
    }

    fn reopen(self) -> Self {
        let engine = open(self.dir.path());
        Self { engine, ..self }
    }

    fn call(&mut self, path: &str, request: &Value) -> Result<Value, ApiError> {
        self.now += 1;
        let body = request.to_string();
        call(&mut self.engine, self.now, "POST", &format!("/v1/{path}"), body.as_bytes()).outcome
    }

    fn ok(&mut self, path: &str, request: Value) -> Value {
        self.call(path, &request).unwrap_or_else(|error| panic!("{path} {request}: {error:?}"))
    }

    // The text of an error that the service calls ClientException.
    fn refused(&mut self, path: &str, request: Value) -> String {
        let error = self.call(path, &request).expect_err(&format!("{path} {request} was accepted"));
        assert_eq!((error.status(), error.kind()), (400, "ClientException"), "{error:?}");
        error.message("id")
    }

    fn submit(&mut self, name: &str) -> String {
        let answer = self.ok("submitjob", submission(json!({ "jobName": name })));
        answer["jobId"].as_str().unwrap().to_owned()
    }

    fn describe(&mut self, job: &str) -> Value {
        self.ok("describejobs", json!({ "jobs": [job] }))["jobs"][0].clone()
    }

    // All pages of a listing, by name.
    fn list(&mut self, mut request: Value) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..100 {
            let answer = self.ok("listjobs", request.clone());
            for job in answer["jobSummaryList"].as_array().unwrap() {
                names.push(job["jobName"].as_str().unwrap().to_owned());
            }
            match answer.get("nextToken") {
                Some(token) => request["nextToken"] = token.clone(),
                None => return names,
            }
        }
        panic!("the pages do not end");
    }
}

fn definition(name: &str) -> Value {
    json!({
        "jobDefinitionName": name,
        "type": "container",
        "containerProperties": {
            "image": "none",
            "command": ["true"],
            "resourceRequirements": [{ "type": "VCPU", "value": "1" }, { "type": "MEMORY", "value": "100" }],
        },
    })
}

fn with(mut base: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn submission(more: Value) -> Value {
    with(json!({ "jobName": "test", "jobQueue": "default", "jobDefinition": "job" }), more)
}

fn tags(count: usize) -> Value {
    (0..count).map(|number| (format!("tag{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a_job_that_was_submitted_is_described_in_full() {
    let mut api = Api::new();
    let answer = api.ok("submitjob", submission(json!({ "tags": { "team": "data" } })));
    let job = api.describe(answer["jobId"].as_str().unwrap());
    assert_eq!(job["jobArn"], answer["jobArn"]);
    assert_eq!(
        job["jobArn"],
        format!("arn:aws:batch:eu-west-1:000000000000:job/{}", answer["jobId"].as_str().unwrap())
    );
    assert_eq!(job["jobQueue"], "arn:aws:batch:eu-west-1:000000000000:job-queue/default");
    assert_eq!(job["jobDefinition"], "arn:aws:batch:eu-west-1:000000000000:job-definition/job:1");
    assert_eq!((&job["status"], &job["createdAt"]), (&json!("RUNNABLE"), &json!(NOW + 2)));
    assert_eq!(job["startedAt"], 0, "the model requires it");
    assert_eq!(job["tags"], json!({ "team": "data" }));
    assert_eq!(job["container"]["command"], json!(["true"]));
    assert_eq!(job["container"]["environment"], json!([]));
    assert_eq!((&job["isCancelled"], &job["isTerminated"]), (&json!(false), &json!(false)));
    assert!(job.get("stoppedAt").is_none() && job.get("statusReason").is_none());
}

#[test]
fn what_does_not_exist_is_named_in_the_services_words() {
    let mut api = Api::new();
    for (member, value, text) in [
        ("jobQueue", "xyz", "JobQueue xyz not found."),
        ("jobDefinition", "xyz", "JobDefinition name xyz does not exist or is not in ACTIVE status"),
        ("jobDefinition", "job:9", "JobDefinition job:9 not found."),
        (
            "jobDefinition",
            "arn:aws:batch:eu-west-1:000000000000:job-definition/xyz",
            "JobDefinition arn:aws:batch:eu-west-1:000000000000:job-definition/xyz not found.",
        ),
    ] {
        assert_eq!(api.refused("submitjob", submission(json!({ member: value }))), text);
    }
    assert_eq!(api.refused("listjobs", json!({ "jobQueue": "xyz" })), "JobQueue xyz not found.");
    assert_eq!(api.refused("canceljob", json!({ "jobId": "x", "reason": "y" })), "Job x not found.");
    api.ok("deregisterjobdefinition", json!({ "jobDefinition": "job:1" }));
    for definition in ["job", "job:1"] {
        let text = api.refused("submitjob", submission(json!({ "jobDefinition": definition })));
        assert_eq!(
            text,
            format!("JobDefinition name {definition} does not exist or is not in ACTIVE status")
        );
    }
    let path = "describejobs";
    assert_eq!(api.ok(path, json!({ "jobs": ["unknown"] })), json!({ "jobs": [] }));
}

#[test]
fn submissions_past_a_limit_are_refused() {
    let mut api = Api::new();
    let rules = |rule: Value| json!({ "retryStrategy": { "attempts": 2, "evaluateOnExit": [rule] } });
    let environment =
        |name: &str| json!({ "containerOverrides": { "environment": [{ "name": name, "value": "" }] } });
    let requirement = |kind: &str, value: &str| json!({ "containerOverrides": { "resourceRequirements": [{ "type": kind, "value": value }] } });
    for (more, text) in [
        (json!({ "jobName": "" }), "Job name should match valid pattern"),
        (json!({ "jobName": "-x" }), "Job name should match valid pattern"),
        (json!({ "jobName": "x.y" }), "Job name should match valid pattern"),
        (json!({ "jobName": "x".repeat(129) }), "Job name should match valid pattern"),
        (json!({ "retryStrategy": { "attempts": 0 } }), "between 1 and 10"),
        (json!({ "retryStrategy": { "attempts": 11 } }), "between 1 and 10"),
        (json!({ "retryStrategy": { "evaluateOnExit": vec![json!({ "action": "EXIT" }); 6] } }), "at most 5"),
        (rules(json!({ "onStatusReason": "*EC2", "action": "EXIT" })), "onStatusReason should match"),
        (rules(json!({ "onReason": "(x", "action": "EXIT" })), "onReason should match"),
        (rules(json!({ "onReason": "x".repeat(513), "action": "EXIT" })), "at most 512"),
        (rules(json!({ "onExitCode": "1x", "action": "EXIT" })), "onExitCode should match"),
        (rules(json!({ "onExitCode": "1", "action": "STOP" })), "RETRY or EXIT"),
        (json!({ "timeout": { "attemptDurationSeconds": 59 } }), "at least 60 seconds"),
        (environment("AWS_BATCH_X"), "reserved prefix AWS_BATCH"),
        (environment(""), "should not be null or empty"),
        (environment("a=b"), "is not valid"),
        (json!({ "tags": tags(51) }), "at most 50 tags"),
        (json!({ "tags": { "aws:x": "y" } }), "reserved prefix aws:"),
        (json!({ "shareIdentifier": "x" }), "Share identifier cannot be specified"),
        (json!({ "dependsOn": vec![json!({ "jobId": "x" }); 21] }), "at most 20 jobs"),
        (json!({ "dependsOn": [{ "jobId": "x" }] }), "Job x not found."),
        (json!({ "dependsOn": [{ "jobId": "x", "type": "N_TO_N" }] }), "Only array jobs"),
        (json!({ "nodeOverrides": {} }), "Multi-node parallel jobs are not supported by this engine."),
        (requirement("VCPU", "0.5"), "at least 1 vCPU"),
        (requirement("MEMORY", "3"), "at least 4 MiB"),
        (requirement("TPU", "1"), "TPU is not supported"),
        (json!({ "parameters": { "x": "y".repeat(30 * 1024) } }), "at most 30720 bytes"),
    ] {
        let refused = api.refused("submitjob", submission(more));
        assert!(refused.contains(text), "{refused} does not say {text}");
    }
    let name = api.refused("submitjob", submission(json!({ "jobName": "x.y" })));
    assert_eq!(
        name,
        "Error executing request, Exception : Job name should match valid pattern, RequestId: id"
    );
    assert!(api.engine.jobs.is_empty(), "a refused job leaves nothing");
}

#[test]
fn values_at_a_limit_are_accepted() {
    let mut api = Api::new();
    for more in [
        json!({ "jobName": "x".repeat(128) }),
        json!({ "retryStrategy": { "attempts": 10, "evaluateOnExit": vec![json!({ "action": "exit" }); 5] } }),
        json!({ "timeout": { "attemptDurationSeconds": 60 } }),
        json!({ "tags": tags(50) }),
    ] {
        api.ok("submitjob", submission(more));
    }
}

#[test]
fn overrides_that_are_too_long_fail_after_they_were_accepted() {
    let mut api = Api::new();
    let long = json!({ "containerOverrides": { "command": ["x".repeat(8_192)] } });
    let job = api.ok("submitjob", submission(long));
    let job = api.describe(job["jobId"].as_str().unwrap());
    assert_eq!(job["status"], "FAILED");
    assert_eq!(job["statusReason"], "Container Overrides length must be at most 8192");
    let overrides = json!({ "command": ["x".repeat(8_192 - r#"{"command":[""]}"#.len())] });
    let job = api.ok("submitjob", submission(json!({ "containerOverrides": overrides })));
    assert_eq!(api.describe(job["jobId"].as_str().unwrap())["status"], "RUNNABLE");
}

#[test]
fn too_many_propagated_tags_fail_the_job() {
    let mut api = Api::new();
    api.ok("registerjobdefinition", with(definition("tagged"), json!({ "tags": { "own": "x" } })));
    for (propagate, status) in [(true, "FAILED"), (false, "RUNNABLE")] {
        let more = json!({ "jobDefinition": "tagged", "tags": tags(50), "propagateTags": propagate });
        let job = api.ok("submitjob", submission(more));
        assert_eq!(api.describe(job["jobId"].as_str().unwrap())["status"], status);
    }
}

#[test]
fn overrides_change_what_the_service_lets_them_change() {
    let mut api = Api::new();
    let mut old = definition("old");
    old["containerProperties"] = json!({ "command": ["a"], "vcpus": 1, "memory": 100,
        "environment": [{ "name": "A", "value": "1" }] });
    api.ok("registerjobdefinition", old);
    let container = |api: &mut Api, definition: &str, overrides: Value| {
        let request = submission(json!({ "jobDefinition": definition, "containerOverrides": overrides }));
        let job = api.ok("submitjob", request);
        api.describe(job["jobId"].as_str().unwrap())["container"].clone()
    };
    let kept = container(&mut api, "job", json!({ "memory": 200 }));
    assert_eq!(kept["resourceRequirements"][1]["value"], "100", "requirements win over the old form");
    assert!(kept.get("memory").is_none());
    assert_eq!(container(&mut api, "old", json!({ "memory": 200 }))["memory"], 200);
    let new = json!({ "resourceRequirements": [{ "type": "MEMORY", "value": "300" }] });
    let moved = container(&mut api, "old", new);
    assert_eq!((&moved["vcpus"], moved.get("memory")), (&json!(1), None));
    assert_eq!(moved["resourceRequirements"][0]["value"], "300");
    let words = json!({ "command": ["b"], "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "3" }] });
    let changed = container(&mut api, "old", words);
    assert_eq!(changed["command"], json!(["b"]));
    assert_eq!(changed["environment"], json!([{ "name": "A", "value": "3" }, { "name": "B", "value": "2" }]));
}

#[test]
fn a_job_larger_than_every_environment_says_so() {
    let mut api = Api::new();
    let more =
        json!({ "containerOverrides": { "resourceRequirements": [{ "type": "MEMORY", "value": "1001" }] } });
    let job = api.ok("submitjob", submission(more));
    let job = api.describe(job["jobId"].as_str().unwrap());
    assert_eq!(job["status"], "RUNNABLE");
    assert!(
        job["statusReason"].as_str().unwrap().starts_with("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - ")
    );
}

#[test]
fn listings_select_and_page() {
    let mut api = Api::new();
    api.ok("registerjobdefinition", definition("job2"));
    let names = ["Alpha", "beta", "alpha2", "alpha", "gamma"];
    let ids: Vec<String> = names.iter().map(|name| api.submit(name)).collect();
    let other = api.ok("submitjob", submission(json!({ "jobName": "other", "jobDefinition": "job2" })));
    api.ok("canceljob", json!({ "jobId": ids[1], "reason": "x" }));
    let queue = json!({ "jobQueue": "default", "maxResults": 2 });
    let by = |name: &str, value: &str| {
        with(queue.clone(), json!({ "filters": [{ "name": name, "values": [value] }] }))
    };
    let status = |status: &str| with(queue.clone(), json!({ "jobStatus": status }));
    assert_eq!(api.list(status("RUNNABLE")), ["other", "gamma", "alpha", "alpha2", "Alpha"]);
    assert_eq!(api.list(status("FAILED")), ["beta"]);
    assert!(api.list(queue.clone()).is_empty(), "without a status only RUNNING ones");
    assert_eq!(api.list(by("JOB_NAME", "ALPHA")), ["Alpha", "alpha"]);
    assert_eq!(api.list(by("JOB_NAME", "al*")), ["Alpha", "alpha", "alpha2"]);
    assert_eq!(api.list(by("JOB_NAME", "beta")), ["beta"], "all statuses");
    assert_eq!(api.list(by("JOB_DEFINITION", "job2")), ["other"]);
    assert_eq!(api.list(by("JOB_DEFINITION", "job*")).len(), 6);
    assert!(api.list(by("JOB_DEFINITION", "JOB*")).is_empty(), "case-sensitive");
    let arn = "arn:aws:batch:eu-west-1:000000000000:job-definition/job:1";
    assert_eq!(api.list(by("JOB_DEFINITION", arn)), ["gamma", "alpha", "alpha2", "beta", "Alpha"]);
    let created = api.describe(&ids[2])["createdAt"].to_string();
    assert_eq!(api.list(by("BEFORE_CREATED_AT", &created)), ["beta", "Alpha"]);
    assert_eq!(api.list(by("AFTER_CREATED_AT", &created)), ["other", "gamma", "alpha"]);
    let summary = api.ok("listjobs", by("JOB_NAME", "other"))["jobSummaryList"][0].clone();
    assert_eq!(summary["jobId"], other["jobId"]);
    assert_eq!(summary["status"], "RUNNABLE");
}

#[test]
fn a_page_is_not_shifted_by_jobs_that_come_or_go() {
    let mut api = Api::new();
    let ids: Vec<String> = (0..6).map(|number| api.submit(&format!("job{number}"))).collect();
    let request = json!({ "jobQueue": "default", "jobStatus": "RUNNABLE", "maxResults": 3 });
    let first = api.ok("listjobs", request.clone());
    api.submit("late");
    api.ok("canceljob", json!({ "jobId": ids[3], "reason": "gone" }));
    let rest = api.list(with(request, json!({ "nextToken": first["nextToken"] })));
    assert_eq!(rest, ["job2", "job1", "job0"]);
}

#[test]
fn describing_and_stopping_keep_to_their_limits() {
    let mut api = Api::new();
    let ids = |count: usize| vec!["x"; count];
    let filter = json!({ "name": "JOB_NAME", "values": ["x"] });
    let queue = |more: Value| with(json!({ "jobQueue": "default" }), more);
    for (path, request, text) in [
        ("describejobs", json!({ "jobs": ids(101) }), "Maximum number of jobs supported is  100 ."),
        ("describejobs", json!({}), "null or empty"),
        ("canceljobs", json!({ "jobs": ids(51), "reason": "x" }), "between 1 and 50"),
        ("terminatejobs", json!({ "jobs": ids(51), "reason": "x" }), "between 1 and 50"),
        ("terminatejobs", json!({ "jobs": [], "reason": "x" }), "between 1 and 50"),
        ("canceljob", json!({ "jobId": "x" }), "Reason should not be null or empty"),
        ("terminatejob", json!({ "jobId": "x", "reason": "r".repeat(1025) }), "at most 1024"),
        ("listjobs", json!({}), "Exactly one of jobQueue"),
        ("listjobs", json!({ "arrayJobId": "x" }), "Job x not found."),
        ("listjobs", queue(json!({ "arrayJobId": "x" })), "Exactly one of jobQueue"),
        ("listjobs", json!({ "multiNodeJobId": "x" }), "not supported by this engine"),
        ("listjobs", queue(json!({ "maxResults": 1001 })), "between 1 and 1000"),
        ("listjobs", queue(json!({ "maxResults": 0 })), "between 1 and 1000"),
        ("listjobs", queue(json!({ "maxResults": 101, "filters": [filter] })), "between 1 and 100"),
        ("listjobs", queue(json!({ "filters": [filter, filter] })), "Only one filter"),
        (
            "listjobs",
            queue(json!({ "filters": [{ "name": "job_name", "values": ["x"] }] })),
            "job_name is not supported",
        ),
        (
            "listjobs",
            queue(json!({ "filters": [{ "name": "BEFORE_CREATED_AT", "values": ["x"] }] })),
            "milliseconds",
        ),
        ("listjobs", queue(json!({ "jobStatus": "running" })), "running is not supported"),
        ("listjobs", queue(json!({ "nextToken": "zz" })), "nextToken is not valid"),
        ("describejobdefinitions", json!({ "maxResults": 101 }), "between 1 and 100"),
        ("describejobqueues", json!({ "jobQueues": ids(101) }), "100"),
    ] {
        let refused = api.refused(path, request);
        assert!(refused.contains(text), "{path}: {refused} does not say {text}");
    }
    let answer = api.ok("terminatejobs", json!({ "jobs": ids(1), "reason": "r".repeat(1024) }));
    assert_eq!(answer["successful"], json!([]));
    assert_eq!(
        answer["errors"][0],
        json!({ "jobId": "x", "code": "ClientException", "message": "Job x not found." })
    );
}
