use dayfill_core::failure::{FailureClass, classify};
use dayfill_engine::ports::{Queue, SeenJob};
use serde_json::{Value, json};

use super::*;
use crate::batch_queue::{BatchQueue, aws_bounds};
use crate::testing::{Reply, Server};

/// What DescribeJobs' answer with these jobs reads as, through the SDK.
async fn seen(jobs: Vec<Value>) -> Vec<SeenJob> {
    let ids: Vec<_> = (0..jobs.len()).map(|i| i.to_string()).collect();
    let answer = json!({ "jobs": jobs });
    let server = Server::start(move |_, _| Reply::json(200, &answer)).await;
    BatchQueue::new(&server.connection().await, aws_bounds()).describe(&ids).await.unwrap()
}

fn job(status: &str, more: &Value) -> Value {
    let mut job = json!({
        "jobArn": "arn:aws:batch:eu-west-1:111122223333:job/1-2-3", "jobName": "df-x-1-0", "jobId": "1-2-3",
        "jobQueue": "arn:aws:batch:eu-west-1:111122223333:job-queue/spot", "status": status, "startedAt": 0,
        "jobDefinition": "arn:aws:batch:eu-west-1:111122223333:job-definition/embulk:3",
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn at(milliseconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(milliseconds)
}

#[tokio::test]
async fn every_live_status_has_its_place() {
    for (status, live) in [
        ("SUBMITTED", LiveStatus::Submitted),
        ("PENDING", LiveStatus::Submitted),
        ("RUNNABLE", LiveStatus::Runnable),
        ("STARTING", LiveStatus::Starting),
        ("RUNNING", LiveStatus::Running),
        ("HIBERNATING", LiveStatus::Submitted),
    ] {
        let reason = json!({"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"});
        let state = SeenState::Live {
            status: live,
            reason: Some("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT".into()),
            reclaims: 0,
        };
        let seen = seen(vec![job(status, &reason)]).await;
        let expected = SeenJob {
            job_id: "1-2-3".into(),
            name: JobName::from_text("df-x-1-0"),
            state,
            log_stream: None,
            peak_kib: None,
        };
        assert_eq!(seen, [expected], "{status}");
    }
}

#[tokio::test]
async fn a_success_after_a_reclaim_keeps_both_attempts_in_order() {
    let seen = seen(vec![job(
        "SUCCEEDED",
        &json!({
            "startedAt": 1_700_000_300_000_i64, "stoppedAt": 1_700_000_360_500_i64,
            "statusReason": "Essential container in task exited",
            "container": {"exitCode": 0, "logStreamName": "embulk/default/second"},
            "attempts": [
                {"container": {"exitCode": 0, "logStreamName": "embulk/default/second"},
                 "startedAt": 1_700_000_300_000_i64, "stoppedAt": 1_700_000_360_500_i64,
                 "statusReason": "Essential container in task exited"},
                {"container": {"logStreamName": "embulk/default/first"},
                 "startedAt": 1_700_000_000_000_i64, "stoppedAt": 1_700_000_100_000_i64,
                 "statusReason": "Host EC2 (instance i-0abc) terminated."},
            ],
        }),
    )])
    .await;
    let SeenState::Succeeded(end) = &seen[0].state else { panic!("{seen:?}") };
    assert_eq!(end.last.exit_code, Some(0));
    assert_eq!(end.last.started_at, at(1_700_000_300_000));
    assert_eq!(end.last.stopped_at, at(1_700_000_360_500));
    let reasons: Vec<_> = end.attempts.iter().map(|a| a.status_reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["Host EC2 (instance i-0abc) terminated.", "Essential container in task exited"]);
    assert_eq!(end.attempts[0].exit_code, None);
    assert_eq!(seen[0].log_stream.as_deref(), Some("embulk/default/second"));
}

/// `failures.json` has a FAILED job for every way in which Batch was seen to tell of each class, as DescribeJobs answers.
#[tokio::test]
async fn every_row_of_the_table_of_failures_is_read_as_its_class() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("failures.json")).unwrap();
    let mut found = std::collections::BTreeSet::new();
    for row in &rows {
        let seen = seen(vec![job("FAILED", &row["job"])]).await;
        let SeenState::Failed(end) = &seen[0].state else { panic!("{seen:?}") };
        let class: FailureClass = serde_json::from_value(row["class"].clone()).unwrap();
        assert_eq!(classify(end), class, "{row}");
        assert_eq!(end.attempts.len(), row["job"]["attempts"].as_array().unwrap().len(), "{row}");
        if row["job"]["startedAt"] == 0 {
            assert_eq!(end.last.started_at, None, "zero is no time");
        }
        found.insert(class);
    }
    // Nobody but dayfill itself says that a job is lost, and a suspect one has SUCCEEDED.
    let told = |c: &FailureClass| !matches!(c, FailureClass::Lost | FailureClass::Suspect);
    assert_eq!(found, FailureClass::ALL.into_iter().filter(told).collect());
}

#[tokio::test]
async fn what_a_live_job_has_lost_is_counted() {
    let lost =
        json!({"statusReason": "Host EC2 (instance i-0abc) terminated.", "stoppedAt": 1, "container": {}});
    let waiting = job("RUNNABLE", &json!({"attempts": [lost.clone(), lost]}));
    let seen = seen(vec![waiting]).await;
    assert!(matches!(seen[0].state, SeenState::Live { reclaims: 2, .. }), "{seen:?}");
}

#[tokio::test]
async fn a_running_jobs_log_is_the_current_attempts() {
    let first = json!({"container": {"logStreamName": "first"}, "stoppedAt": 1});
    let running =
        job("RUNNING", &json!({"container": {"logStreamName": "second"}, "attempts": [first.clone()]}));
    let waiting = job("RUNNABLE", &json!({"container": {}, "attempts": [first]}));
    let streams: Vec<_> =
        seen(vec![running, waiting]).await.into_iter().map(|j| j.log_stream.unwrap()).collect();
    assert_eq!(streams, ["second", "first"]);
}
