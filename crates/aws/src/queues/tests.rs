use serde_json::{Value, json};

use super::*;
use crate::testing::{Reply, Server};

fn queue(name: &str, more: &Value) -> Value {
    let mut queue = json!({
        "jobQueueName": name, "jobQueueArn": format!("arn:aws:batch:eu-west-1:111122223333:job-queue/{name}"),
        "state": "ENABLED", "status": "VALID", "priority": 1, "computeEnvironmentOrder": [],
    });
    queue.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    queue
}

#[tokio::test]
async fn a_queue_tells_its_account_and_whether_it_wants_a_share() {
    let policy = json!({"schedulingPolicyArn": "arn:aws:batch:eu-west-1:111122223333:scheduling-policy/p", "state": "DISABLED"});
    let answer = json!({"jobQueues": [queue("spot", &policy)]});
    let server = Server::start(move |_, _| Reply::json(200, &answer)).await;
    let info = Queues::new(&server.connection().await).check("spot").await.unwrap();
    assert_eq!((info.account(), info.region()), ("111122223333", "eu-west-1"));
    assert_eq!((info.state.as_str(), info.status.as_str()), ("DISABLED", "VALID"));
    assert!(info.scheduling_policy);
    assert_eq!(server.asked()[0].json(), json!({"jobQueues": ["spot"]}));
}

#[tokio::test]
async fn a_missing_queue_is_told_with_those_there_are() {
    let server = Server::start(|_, asked| {
        let all = json!([queue("spot", &json!({})), queue("on-demand", &json!({}))]);
        let found = if asked.json().get("jobQueues").is_some() { json!([]) } else { all };
        Reply::json(200, &json!({ "jobQueues": found }))
    })
    .await;
    let missing = Queues::new(&server.connection().await).check("sport").await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert_eq!(missing.what, "the job queue sport does not exist in eu-west-1 of account 111122223333");
    assert_eq!(missing.hint.as_deref(), Some("there are: on-demand, spot"));
}

#[tokio::test]
async fn a_local_queue_is_created_where_it_is_missing() {
    let server = Server::start(|n, asked| match (asked.line.as_str(), n) {
        ("POST /v1/createjobqueue", _) => Reply::json(200, &json!({"jobQueueName": "q", "jobQueueArn": "a"})),
        (_, 0) => Reply::json(200, &json!({"jobQueues": []})),
        _ => Reply::json(200, &json!({"jobQueues": [queue("q", &json!({}))]})),
    })
    .await;
    let queues = Queues::new(&server.connection().await);
    assert_eq!(queues.ensure_local_queue("q").await.unwrap().status, "VALID");
    assert_eq!(queues.ensure_local_queue("q").await.unwrap().status, "VALID");
    let asked = server.asked();
    assert_eq!(asked.len(), 4, "created once");
    let order = json!([{"order": 1, "computeEnvironment": "local"}]);
    let created =
        json!({"jobQueueName": "q", "state": "ENABLED", "priority": 1, "computeEnvironmentOrder": order});
    assert_eq!(asked[1].json(), created);
}

#[tokio::test]
async fn environments_come_in_the_order_of_the_queue() {
    let arn = |name: &str| format!("arn:aws:batch:eu-west-1:111122223333:compute-environment/{name}");
    let order = json!([
        { "order": 2, "computeEnvironment": arn("on-demand") },
        { "order": 1, "computeEnvironment": arn("spot") },
        { "order": 3, "computeEnvironment": arn("gone") },
    ]);
    let queue = queue("q", &json!({ "computeEnvironmentOrder": order, "statusReason": "JobQueue Healthy" }));
    let environment = |name: &str, more: &Value| {
        let mut environment = json!({
            "computeEnvironmentName": name, "computeEnvironmentArn": arn(name), "state": "ENABLED", "status": "VALID",
        });
        environment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        environment
    };
    let spot = json!({ "type": "SPOT", "maxvCpus": 64, "instanceTypes": ["c7g", "m7g"], "subnets": [] });
    let on_demand =
        environment("on-demand", &json!({ "type": "UNMANAGED", "statusReason": "?", "unmanagedvCpus": 8 }));
    let spot = environment("spot", &json!({ "type": "MANAGED", "computeResources": spot }));
    let server = Server::start(move |_, asked| match asked.line.as_str() {
        "POST /v1/describecomputeenvironments" => {
            assert_eq!(asked.json()["computeEnvironments"].as_array().unwrap().len(), 3);
            Reply::json(200, &json!({ "computeEnvironments": [on_demand, spot] }))
        }
        _ => Reply::json(200, &json!({ "jobQueues": [queue] })),
    })
    .await;
    let queues = Queues::new(&server.connection().await);
    let info = queues.find("q").await.unwrap().unwrap();
    assert_eq!(info.environments, [arn("spot"), arn("on-demand"), arn("gone")]);
    assert_eq!(info.reason.as_deref(), Some("JobQueue Healthy"));
    let found = queues.environments(&info.environments).await.unwrap();
    let brief: Vec<_> = found.iter().map(|e| (e.name.as_str(), e.kind, e.max_vcpus)).collect();
    let want = [("spot", EnvironmentKind::Spot, Some(64)), ("on-demand", EnvironmentKind::Other, Some(8))];
    assert_eq!(brief, want);
    assert_eq!(found[0].instance_types, ["c7g", "m7g"]);
    assert_eq!(found[1].reason.as_deref(), Some("?"));
}

#[tokio::test]
async fn no_environments_are_asked_for_where_a_queue_has_none() {
    let server =
        Server::start(|_, _| Reply::json(200, &json!({ "computeEnvironments": [], "jobQueues": [] }))).await;
    let queues = Queues::new(&server.connection().await);
    assert_eq!(queues.environments(&[]).await.unwrap(), []);
    assert_eq!(server.asked().len(), 0);
    assert_eq!(queues.find("q").await.unwrap(), None);
}
