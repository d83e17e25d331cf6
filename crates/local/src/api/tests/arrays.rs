use super::*;

fn array(size: u32) -> Value {
    submission(json!({ "jobName": "array", "arrayProperties": { "size": size } }))
}

fn submit(api: &mut Api, request: Value) -> String {
    api.ok("submitjob", request)["jobId"].as_str().unwrap().to_owned()
}

fn children(id: &str, status: &str) -> Value {
    json!({ "arrayJobId": id, "jobStatus": status })
}

#[test]
fn an_array_is_described_as_one_and_its_children_each() {
    let mut api = Api::new();
    let id = submit(&mut api, with(array(3), json!({ "tags": { "a": "b" } })));
    let parent = api.describe(&id);
    assert_eq!(parent["status"], "PENDING");
    let summary = json!({ "SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 3, "STARTING": 0, "RUNNING": 0,
        "SUCCEEDED": 0, "FAILED": 0 });
    assert_eq!(parent["arrayProperties"], json!({ "size": 3, "statusSummary": summary }));
    let child = api.describe(&format!("{id}:2"));
    assert_eq!((&child["jobId"], &child["jobName"]), (&json!(format!("{id}:2")), &json!("array")));
    assert_eq!(child["jobArn"], format!("arn:aws:batch:eu-west-1:000000000000:job/{id}:2"));
    assert_eq!((&child["status"], &child["arrayProperties"]), (&json!("RUNNABLE"), &json!({ "index": 2 })));
    assert_eq!(child["tags"], json!({ "a": "b" }));
    for unknown in ["3", "02", "+2", "x", ""] {
        let found = api.ok("describejobs", json!({ "jobs": [format!("{id}:{unknown}")] }));
        assert_eq!(found["jobs"], json!([]), "{unknown}");
    }
    let single = api.submit("single");
    assert!(api.describe(&single).get("arrayProperties").is_none());
}

#[test]
fn a_queue_lists_arrays_and_an_array_its_children() {
    let mut api = Api::new();
    let id = submit(&mut api, array(5));
    api.ok("terminatejob", json!({ "jobId": format!("{id}:1"), "reason": "this one" }));
    let queue = json!({ "jobQueue": "default" });
    assert!(api.list(with(queue.clone(), json!({ "jobStatus": "RUNNABLE" }))).is_empty());
    assert_eq!(api.list(with(queue.clone(), json!({ "jobStatus": "PENDING" }))), ["array"]);
    let by_name = json!({ "filters": [{ "name": "JOB_NAME", "values": ["array"] }] });
    let found = api.ok("listjobs", with(queue, by_name.clone()))["jobSummaryList"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["arrayProperties"]["size"], 5);
    assert_eq!(found[0]["arrayProperties"]["statusSummary"]["FAILED"], 1);
    let mut request = with(children(&id, "RUNNABLE"), json!({ "maxResults": 3 }));
    let first = api.ok("listjobs", request.clone());
    request["nextToken"] = first["nextToken"].clone();
    let second = api.ok("listjobs", request);
    let both = [&first, &second].map(|page| page["jobSummaryList"].as_array().unwrap().clone()).concat();
    let indices: Vec<&Value> = both.iter().map(|job| &job["arrayProperties"]["index"]).collect();
    assert_eq!(indices, [4, 3, 2, 0]);
    assert!(second.get("nextToken").is_none());
    assert_eq!(api.list(with(children(&id, "FAILED"), by_name)).len(), 1, "filters are not for children");
    assert!(api.list(json!({ "arrayJobId": id })).is_empty(), "RUNNING where nothing else is named");
    let child = api.refused("listjobs", children(&format!("{id}:1"), "FAILED"));
    assert!(child.ends_with("not found."), "{child}");
}

#[test]
fn what_no_array_can_be_is_refused() {
    let mut api = Api::new();
    let three = submit(&mut api, array(3));
    let single = api.submit("single");
    let on = |size: u32, on: Value| with(array(size), json!({ "dependsOn": [on] }));
    for (request, text) in [
        (array(1), "between 2 and 10000"),
        (array(10_001), "between 2 and 10000"),
        (on(2, json!({ "jobId": three, "type": "N_TO_N" })), "array job of the same size"),
        (on(3, json!({ "jobId": single, "type": "N_TO_N" })), "array job of the same size"),
        (on(3, json!({ "jobId": format!("{three}:0"), "type": "N_TO_N" })), "array job of the same size"),
        (on(3, json!({ "type": "N_TO_N" })), "Job  not found."),
        (on(3, json!({ "jobId": three, "type": "SEQUENTIAL" })), "should not name a job"),
        (on(3, json!({ "jobId": three, "type": "n_to_n" })), "Dependency type n_to_n is not supported"),
        (
            submission(json!({ "dependsOn": [{ "type": "SEQUENTIAL" }] })),
            "Only array jobs can have dependencies of type SEQUENTIAL",
        ),
    ] {
        let refused = api.refused("submitjob", request);
        assert!(refused.contains(text), "{refused} does not say {text}");
    }
    let row = submit(&mut api, on(3, json!({ "type": "SEQUENTIAL" })));
    let beside = submit(&mut api, on(3, json!({ "jobId": three, "type": "N_TO_N" })));
    let after = submit(&mut api, submission(json!({ "dependsOn": [{ "jobId": format!("{three}:1") }] })));
    let status = |api: &mut Api, id: String| api.describe(&id)["status"].clone();
    assert_eq!(status(&mut api, format!("{row}:0")), "RUNNABLE");
    for waiting in [format!("{row}:1"), format!("{beside}:0"), after] {
        assert_eq!(status(&mut api, waiting), "PENDING");
    }
}

#[test]
fn ten_thousand_children_are_kept_cheaply_and_come_back() {
    let mut api = Api::new();
    let id = submit(&mut api, array(10_000));
    let next = api.submit("next");
    api.ok("terminatejob", json!({ "jobId": format!("{id}:9999"), "reason": "this one" }));
    let size = std::fs::metadata(api.dir.path().join("jobs.jsonl")).unwrap().len();
    assert!(size < 6_000_000, "one line a child, and not its definition with each: {size}");
    for compact in [false, true] {
        if compact {
            api.engine.compact().unwrap();
        }
        api = api.reopen();
        let summary = api.describe(&id)["arrayProperties"]["statusSummary"].clone();
        assert_eq!((&summary["RUNNABLE"], &summary["FAILED"]), (&json!(9_999), &json!(1)));
        assert_eq!(api.describe(&format!("{id}:9999"))["statusReason"], "this one");
        assert_eq!(api.list(children(&id, "RUNNABLE")).len(), 9_999);
        assert_eq!(api.list(json!({ "jobQueue": "default", "jobStatus": "RUNNABLE" })), ["next"]);
    }
    api.ok("terminatejob", json!({ "jobId": id, "reason": "enough" }));
    let parent = api.describe(&id);
    assert_eq!((&parent["status"], &parent["statusReason"]), (&json!("FAILED"), &json!("enough")));
    assert_eq!(api.describe(&next)["status"], "RUNNABLE");
}
