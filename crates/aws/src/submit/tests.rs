use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dayfill_core::job::{ExitRule, JobName};
use dayfill_engine::ports::{Clock, Queue};
use serde_json::json;

use super::*;
use crate::batch_queue::{BatchQueue, aws_bounds};
use crate::testing::{Asked, Frozen, Reply, Server, connection_to};

fn submission() -> Submission {
    Submission {
        name: JobName::from_text("df-0123456789abcdef-condor-2018-10-04-1-00000abc"),
        queue: "spot".into(),
        definition: "embulk:3".into(),
        share_identifier: None,
        command: Vec::new(),
        environment: BTreeMap::from([("DAY".to_owned(), "04".to_owned())]),
        memory_mib: 2048,
        vcpus: 2,
        timeout_s: None,
        retry: job::RetryStrategy { attempts: 1, rules: Vec::new() },
    }
}

fn send_by(within: u64) -> SendBy {
    SendBy::starting_now(Arc::new(Frozen(Duration::from_secs(1000))), Duration::from_secs(within))
}

async fn sent(server: &Server, submission: &Submission, send_by: &SendBy) -> Sent {
    let queue =
        BatchQueue::new(&server.connection().await, aws_bounds()).submit_timeout(Duration::from_millis(500));
    queue.submit(submission, send_by).await
}

async fn sent_to(reply: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Sent {
    let server = Server::start(reply).await;
    let sent = sent(&server, &submission(), &send_by(60)).await;
    assert_eq!(server.asked().len(), 1, "SubmitJob must be sent once: {sent:?}");
    assert_eq!(server.asked()[0].line, "POST /v1/submitjob");
    sent
}

#[tokio::test]
async fn accepted_only_with_a_job_id() {
    let answer = json!({"jobName": "n", "jobId": "1-2-3", "jobArn": "a"});
    assert_eq!(
        sent_to(move |_, _| Reply::json(200, &answer)).await,
        Sent::Accepted { job_id: "1-2-3".into() }
    );
    for body in [json!({"jobName": "n"}), json!({"jobId": ""}), json!({})] {
        let sent = sent_to(move |_, _| Reply::json(200, &body)).await;
        assert!(matches!(sent, Sent::Unknown { .. }), "{sent:?}");
    }
}

#[tokio::test]
async fn refused_only_in_the_services_own_words() {
    for (status, code, message) in [
        (400, "ClientException", "Job Queue spot does not exist"),
        (403, "AccessDeniedException", "User: u is not authorized to perform: batch:SubmitJob"),
        (403, "InvalidSignatureException", "Signature expired"),
    ] {
        let Sent::Refused { why } = sent_to(move |_, _| Reply::error(status, code, message)).await else {
            panic!("{code} must be a refusal");
        };
        assert!(why.contains(message) && why.contains(code), "{why}");
    }
    let body = json!({"__type": "ClientException", "message": "no"});
    let sent = sent_to(move |_, _| Reply::json(400, &body)).await;
    assert!(matches!(sent, Sent::Refused { .. }), "the code may stand in the body: {sent:?}");
    let gone = "JobDefinition name embulk:3 does not exist or is not in ACTIVE status";
    let sent = sent_to(move |_, _| Reply::error(400, "ClientException", gone)).await;
    assert!(
        matches!(&sent, Sent::Refused { why } if why.ends_with("; name an active revision in the YAML, or register it anew")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn signed_out_only_in_the_services_own_words() {
    for (status, code, remedy) in [
        (403, "ExpiredTokenException", "sign in again"),
        (400, "ExpiredToken", "sign in again"),
        (403, "UnrecognizedClientException", "check AWS_ACCESS_KEY_ID"),
    ] {
        let Sent::SignedOut { error } = sent_to(move |_, _| Reply::error(status, code, "no good")).await
        else {
            panic!("{code} says nothing about the job");
        };
        assert_eq!(error.what, format!("cannot submit jobs: no good ({code}, HTTP {status})"));
        assert_eq!(error.kind, ErrorKind::Credentials);
        assert!(error.hint.as_ref().unwrap().contains(remedy), "{error:?}");
    }
    let sent = sent_to(|_, _| Reply::error(500, "ExpiredTokenException", "odd")).await;
    assert!(matches!(sent, Sent::Unknown { .. }), "{sent:?}");
}

#[tokio::test]
async fn throttled_only_by_the_service() {
    for (status, code) in [(429, "TooManyRequestsException"), (400, "ThrottlingException")] {
        assert_eq!(
            sent_to(move |_, _| Reply::error(status, code, "Too Many Requests")).await,
            Sent::Throttled
        );
    }
    let sent = sent_to(|_, _| Reply::Http(429, vec![], "slow down".into())).await;
    assert!(matches!(sent, Sent::Unknown { .. }), "a proxy's 429 says nothing about the job: {sent:?}");
}

/// Makes an answer of a page and of what a whole answer would be.
type Broken = fn(&str, &str) -> Reply;

#[tokio::test]
async fn everything_else_is_unknown_and_sent_once() {
    let page = "<html><body>Forbidden</body></html>";
    let whole = r#"{"jobName": "n", "jobId": "1-2-3"}"#;
    let replies: Vec<(&str, Broken)> = vec![
        ("a proxy's 400", |page, _| {
            Reply::Http(400, vec![("content-type", "text/html".into())], page.into())
        }),
        ("a proxy's 403", |page, _| Reply::Http(403, vec![], page.into())),
        ("a proxy's JSON", |_, _| Reply::json(403, &json!({"code": "Blocked", "message": "by policy"}))),
        ("a proxy's 407", |_, _| Reply::Http(407, vec![], String::new())),
        ("500 of the service", |_, _| Reply::error(500, "ServerException", "internal")),
        ("500 in a client's words", |_, _| Reply::error(500, "ClientException", "odd")),
        ("502", |page, _| Reply::Http(502, vec![], page.into())),
        ("503", |_, _| Reply::Http(503, vec![], String::new())),
        ("504", |_, _| Reply::Http(504, vec![], String::new())),
        ("a redirect", |_, _| {
            Reply::Http(302, vec![("location", "http://127.0.0.1:9/".into())], String::new())
        }),
        ("a login page", |page, _| Reply::Http(200, vec![("content-type", "text/html".into())], page.into())),
        ("half an answer", |_, whole| {
            Reply::Bytes(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
                whole.len(),
                &whole[..20]
            ))
        }),
        ("half a header", |_, _| Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-le".into())),
        ("a dropped connection", |_, _| Reply::Close),
        ("silence", |_, _| Reply::Hang),
    ];
    for (what, reply) in replies {
        let sent = sent_to(move |_, _| reply(page, whole)).await;
        assert!(matches!(sent, Sent::Unknown { .. }), "{what}: {sent:?}");
    }
}

#[tokio::test]
async fn a_connection_closed_before_the_request_is_unknown_and_tried_once() {
    let server = Server::closing().await;
    let sent = sent(&server, &submission(), &send_by(60)).await;
    assert!(matches!(sent, Sent::Unknown { .. }), "{sent:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_unknown_too() {
    // Bound and dropped, so that the port refuses connections.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let connection = connection_to(&format!("http://127.0.0.1:{port}")).await;
    let sent = BatchQueue::new(&connection, aws_bounds()).submit(&submission(), &send_by(60)).await;
    assert!(matches!(&sent, Sent::Unknown { why } if why.contains("refused")), "{sent:?}");
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_the_remedy_is_told() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"jobId": "1"}))).await;
    let connection = server.connection().await.without_credentials();
    let sent = BatchQueue::new(&connection, aws_bounds()).submit(&submission(), &send_by(60)).await;
    let Sent::SignedOut { error } = sent else { panic!("{sent:?}") };
    assert!(error.what.contains("no credentials") && error.hint.unwrap().contains("sign in"));
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn nothing_is_sent_past_its_time() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"jobId": "1"}))).await;
    let sent = sent(&server, &submission(), &send_by(0)).await;
    assert_eq!(sent, Sent::NotSent { why: "the time to send it is over".into() });
    assert_eq!(server.asked().len(), 0);
}

/// Every look at it takes 20 s: it runs out of time between the caller's own look at the clock and the end of signing.
struct RunsOut(AtomicUsize);

#[async_trait::async_trait]
impl Clock for RunsOut {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(20, Ordering::SeqCst) as u64)
    }

    async fn sleep(&self, _: Duration) {}
}

#[tokio::test]
async fn the_last_look_at_the_clock_decides() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"jobId": "1"}))).await;
    let send_by = SendBy::starting_now(Arc::new(RunsOut(AtomicUsize::new(0))), Duration::from_mins(1));
    assert!(!send_by.left().is_zero(), "the caller still has time");
    assert!(matches!(sent(&server, &submission(), &send_by).await, Sent::NotSent { .. }));
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn the_request_says_what_the_submission_says() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"jobName": "n", "jobId": "1"}))).await;
    let full = Submission {
        share_identifier: Some("backfill".into()),
        command: vec!["run".into(), "config.yml".into()],
        timeout_s: Some(7200),
        retry: job::RetryStrategy {
            attempts: 9,
            rules: vec![
                ExitRule {
                    on_status_reason: Some("Host EC2*"),
                    on_reason: None,
                    on_exit_code: None,
                    retry: true,
                },
                ExitRule { on_status_reason: None, on_reason: Some("*"), on_exit_code: None, retry: false },
            ],
        },
        ..submission()
    };
    sent(&server, &full, &send_by(60)).await;
    sent(&server, &submission(), &send_by(60)).await;
    let asked = server.asked();
    assert_eq!(
        asked[0].json(),
        json!({
            "jobName": "df-0123456789abcdef-condor-2018-10-04-1-00000abc", "jobQueue": "spot",
            "jobDefinition": "embulk:3", "shareIdentifier": "backfill",
            "containerOverrides": {
                "command": ["run", "config.yml"],
                "environment": [{"name": "DAY", "value": "04"}],
                "resourceRequirements": [{"type": "MEMORY", "value": "2048"}, {"type": "VCPU", "value": "2"}],
            },
            "retryStrategy": {"attempts": 9, "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"},
            ]},
            "timeout": {"attemptDurationSeconds": 7200},
        })
    );
    let bare = asked[1].json();
    assert_eq!(bare["retryStrategy"], json!({"attempts": 1}), "never left out");
    assert!(bare.get("timeout").is_none() && bare.get("shareIdentifier").is_none());
    assert!(bare["containerOverrides"].get("command").is_none(), "the definition's command stays");
    assert!(asked[0].header("authorization").unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKID/"));
}
