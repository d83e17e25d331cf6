use serde_json::json;

use super::*;
use crate::testing::{Reply, Server};

fn revision(revision: u32, status: &str) -> Value {
    json!({
        "jobDefinitionName": "embulk", "revision": revision, "status": status, "type": "container",
        "jobDefinitionArn": format!("arn:aws:batch:eu-west-1:111122223333:job-definition/embulk:{revision}"),
        "containerProperties": {"image": "example/embulk:1", "aMemberOfLaterYears": true},
    })
}

#[tokio::test]
async fn the_latest_active_revision_of_all_pages() {
    let server = Server::start(|n, _| {
        let page = match n {
            0 => json!({"jobDefinitions": [revision(9, "ACTIVE")], "nextToken": "t"}),
            _ => json!({"jobDefinitions": [revision(10, "ACTIVE"), revision(2, "ACTIVE")]}),
        };
        Reply::json(200, &page)
    })
    .await;
    let definitions = JobDefinitions::new(&server.connection().await);
    let found = definitions.active("embulk").await.unwrap().unwrap();
    assert_eq!(found.id(), "embulk:10");
    assert_eq!(found.arn, "arn:aws:batch:eu-west-1:111122223333:job-definition/embulk:10");
    assert_eq!(
        found.content["containerProperties"]["aMemberOfLaterYears"],
        json!(true),
        "nothing is dropped"
    );
    let asked = server.asked();
    assert_eq!(asked[0].json(), json!({"jobDefinitionName": "embulk", "status": "ACTIVE"}));
    assert_eq!(asked[1].json()["nextToken"], "t");
}

#[tokio::test]
async fn a_name_that_is_not_registered_has_no_active_revision() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"jobDefinitions": []}))).await;
    assert_eq!(JobDefinitions::new(&server.connection().await).active("embulk").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_named_must_be_active() {
    let server = Server::start(|_, asked| {
        let asked = asked.json();
        let found = match asked["jobDefinitions"][0].as_str() {
            Some("embulk:1") => json!([revision(1, "INACTIVE")]),
            Some("embulk:3") => json!([revision(3, "ACTIVE")]),
            Some(_) => json!([]),
            None => json!([revision(3, "ACTIVE"), revision(2, "ACTIVE")]),
        };
        Reply::json(200, &json!({ "jobDefinitions": found }))
    })
    .await;
    let definitions = JobDefinitions::new(&server.connection().await);
    assert_eq!(definitions.named("embulk:3").await.unwrap().id(), "embulk:3");
    assert_eq!(definitions.named("embulk").await.unwrap().id(), "embulk:3");
    for (id, state) in [("embulk:1", "is inactive"), ("embulk:7", "does not exist")] {
        let error = definitions.named(id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.what.contains(state), "{error:?}");
        assert_eq!(
            error.hint.as_deref(),
            Some("active: embulk:2, embulk:3; name one of these in the YAML, and plan")
        );
    }
}

#[tokio::test]
async fn a_registration_sends_the_file_as_it_stands() {
    let server = Server::start(|_, _| {
        Reply::json(200, &json!({"jobDefinitionName": "embulk", "jobDefinitionArn": "a", "revision": 4}))
    })
    .await;
    let content = json!({
        "jobDefinitionName": "embulk", "type": "container",
        "containerProperties": {"image": "example/embulk:1", "command": ["run", "ä"]},
    });
    let definitions = JobDefinitions::new(&server.connection().await);
    assert_eq!(definitions.register(&content).await.unwrap(), "embulk:4");
    assert_eq!(server.asked()[0].json(), content);
    let refused =
        definitions.register(&json!({"jobDefinitionName": "embulk", "typ": "container"})).await.unwrap_err();
    assert!(refused.what.contains("`typ`"), "{refused:?}");
    assert_eq!(server.asked().len(), 1, "refused before anything is sent");
}
