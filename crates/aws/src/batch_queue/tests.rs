use dayfill_engine::ports::ErrorKind;
use serde_json::json;

use super::*;
use crate::testing::{Asked, Reply, Server};

async fn queue(server: &Server) -> BatchQueue {
    BatchQueue::new(&server.connection().await, aws_bounds())
}

#[tokio::test]
async fn finds_by_prefix_on_all_pages_and_minds_case() {
    let summary = |name: &str, id: &str| json!({"jobName": name, "jobId": id});
    let server = Server::start(move |n, _| {
        let page = match n {
            0 => {
                json!({"jobSummaryList": [summary("df-a-1", "1"), summary("DF-A-2", "2")], "nextToken": "t1"})
            }
            1 => json!({"jobSummaryList": [], "nextToken": "t2"}),
            _ => json!({"jobSummaryList": [summary("df-a-3", "3")]}),
        };
        Reply::json(200, &page)
    })
    .await;
    let found = queue(&server).await.find("spot", "df-a-").await.unwrap();
    let ids: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.job_id.as_str())).collect();
    assert_eq!(ids, [("df-a-1", "1"), ("df-a-3", "3")]);
    let asked: Vec<_> = server.asked().iter().map(Asked::json).collect();
    let filter = json!([{"name": "JOB_NAME", "values": ["df-a-*"]}]);
    assert_eq!(asked[0], json!({"jobQueue": "spot", "filters": filter}));
    assert_eq!(asked[2], json!({"jobQueue": "spot", "filters": filter, "nextToken": "t2"}));
}

#[tokio::test]
async fn describes_at_most_a_hundred_at_once_and_nothing_of_nothing() {
    let server = Server::start(|_, asked| {
        let ids = asked.json()["jobs"].as_array().unwrap().clone();
        // Every other id is one that Batch has forgotten.
        let jobs: Vec<_> = ids
            .iter()
            .step_by(2)
            .map(|id| json!({"jobId": id, "jobName": "n", "status": "RUNNING"}))
            .collect();
        Reply::json(200, &json!({ "jobs": jobs }))
    })
    .await;
    let queue = queue(&server).await;
    let ids: Vec<_> = (0..250).map(|i| i.to_string()).collect();
    assert_eq!(queue.describe(&ids).await.unwrap().len(), 125);
    let sizes: Vec<_> = server.asked().iter().map(|a| a.json()["jobs"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(queue.describe(&[]).await.unwrap(), []);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn looking_is_repeated_where_the_service_stumbles() {
    let server = Server::start(|n, _| match n {
        0 => Reply::error(500, "ServerException", "internal"),
        1 => Reply::error(429, "TooManyRequestsException", "Too Many Requests"),
        2 => Reply::Close,
        _ => Reply::json(200, &json!({"jobSummaryList": []})),
    })
    .await;
    assert_eq!(queue(&server).await.find("spot", "df-").await.unwrap(), []);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_one_line_that_says_what_to_do() {
    let server = Server::start(|_, asked| match asked.line.as_str() {
        "POST /v1/listjobs" => Reply::error(403, "AccessDeniedException", "User: u is not authorized"),
        "POST /v1/describejobs" => {
            Reply::error(403, "ExpiredTokenException", "The security token is expired")
        }
        _ => Reply::error(400, "ClientException", "Job 9 not found"),
    })
    .await;
    let queue = queue(&server).await;
    let denied = queue.find("spot", "df-").await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert!(denied.what.contains("jobs named df-* on the queue spot"), "{denied:?}");
    assert!(denied.hint.as_ref().unwrap().contains("batch:ListJobs"), "{denied:?}");
    let expired = queue.describe(&["1".into()]).await.unwrap_err();
    assert_eq!(expired.kind, ErrorKind::Credentials);
    assert!(expired.hint.as_ref().unwrap().contains("sign in again"), "{expired:?}");
    let other = queue.terminate("9", "no longer wanted").await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::NotFound);
    assert_eq!(other.what, "cannot terminate the job 9: Job 9 not found (ClientException, HTTP 400)");
}

#[tokio::test]
async fn terminates_with_a_reason_that_batch_takes() {
    let server = Server::start(|_, _| Reply::json(200, &json!({}))).await;
    let queue = queue(&server).await;
    queue.terminate("9", "no longer wanted").await.unwrap();
    queue.terminate("9", &"ä".repeat(2000)).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /v1/terminatejob");
    assert_eq!(asked[0].json(), json!({"jobId": "9", "reason": "no longer wanted"}));
    assert_eq!(asked[1].json()["reason"].as_str().unwrap().chars().count(), 1024);
}

#[tokio::test]
async fn a_log_is_read_backward_until_there_are_enough_lines() {
    let event = |message: &str| json!({"timestamp": 1, "message": message, "ingestionTime": 1});
    let server = Server::start(move |n, _| {
        let page = match n {
            0 => json!({"events": [], "nextBackwardToken": "b/1", "nextForwardToken": "f/1"}),
            1 => json!({"events": [event("four\r\n"), event("five\nsix\n")], "nextBackwardToken": "b/2"}),
            _ => json!({"events": [event("one"), event("two"), event("three")], "nextBackwardToken": "b/3"}),
        };
        Reply::json(200, &page)
    })
    .await;
    let queue = queue(&server).await;
    assert_eq!(queue.log_tail("embulk/default/1", 4).await.unwrap(), ["three", "four", "five", "six"]);
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    let first = asked[0].json();
    assert_eq!(first["logGroupName"], "/aws/batch/job");
    assert_eq!(first["logStreamName"], "embulk/default/1");
    assert_eq!(first["startFromHead"], json!(false));
    assert_eq!(asked[2].json()["nextToken"], "b/2");
}

#[tokio::test]
async fn a_log_ends_where_the_token_repeats_and_may_be_missing() {
    let server = Server::start(|n, _| match n {
        0 | 1 => Reply::json(200, &json!({"events": [], "nextBackwardToken": "b/1"})),
        _ => Reply::error(400, "ResourceNotFoundException", "The specified log stream does not exist."),
    })
    .await;
    let queue = queue(&server).await.log_group("mine");
    assert!(queue.log_tail("s", 10).await.unwrap().is_empty());
    assert_eq!(server.asked().len(), 2, "the token that comes back is the end");
    assert!(queue.log_tail("s", 10).await.unwrap().is_empty());
    assert_eq!(server.asked()[2].json()["logGroupName"], "mine");
}

#[test]
fn grace_covers_sending_signature_and_sight() {
    let aws = aws_bounds();
    assert_eq!(aws.grace, Duration::from_mins(1 + 15 + 5));
    let started = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let local = local_bounds(started, Duration::from_secs(30));
    assert_eq!(local.forgotten_before, Some(started));
    assert!(local.grace > local.send_within + Duration::from_secs(30));
}
