use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use super::*;
use crate::testing::{Asked as Request, Reply, Server};

const DATE: &str = "Thu, 04 Oct 2018 05:06:07 GMT";

fn stored() -> DateTime<Utc> {
    DateTime::parse_from_rfc2822(DATE).unwrap().to_utc()
}

/// A bucket that honours `If-None-Match`, as far as the journal asks of it.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<BTreeMap<String, String>>>);

impl Bucket {
    fn answer(&self, request: &Request) -> Reply {
        let (method, target) = request.line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = path.strip_prefix("/state/").unwrap_or_default().to_owned();
        let dated = |status, body: String| Reply::Http(status, vec![("date", DATE.into())], body);
        let mut objects = self.0.lock().unwrap();
        match method {
            "PUT" => {
                let if_absent = request.header("if-none-match");
                assert_eq!(if_absent, (!key.ends_with("snapshot.json")).then_some("*"));
                if if_absent.is_some() && objects.contains_key(&key) {
                    return dated(412, "<Error><Code>PreconditionFailed</Code></Error>".into());
                }
                objects.insert(key, request.body.clone());
                dated(200, String::new())
            }
            "DELETE" => {
                objects.remove(&key);
                dated(204, String::new())
            }
            "GET" if key.is_empty() => {
                let after = query.split('&').find_map(|q| q.strip_prefix("start-after=")).unwrap_or_default();
                let after = after.replace("%2F", "/");
                let mut body = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
                for key in objects.keys().filter(|k| **k > after) {
                    let at = "2018-10-04T05:06:07.000Z";
                    write!(body, "<Contents><Key>{key}</Key><LastModified>{at}</LastModified></Contents>")
                        .unwrap();
                }
                dated(200, body + "</ListBucketResult>")
            }
            _ => match objects.get(&key) {
                Some(content) => dated(200, content.clone()),
                None => dated(404, "<Error><Code>NoSuchKey</Code></Error>".into()),
            },
        }
    }
}

async fn journal(server: &Server) -> S3Journal {
    S3Journal::new(&server.connection().await, "state", "/dayfill/td-audit/")
}

#[tokio::test]
async fn segments_come_back_in_order_from_a_number_on() {
    let bucket = Bucket::default();
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let journal = journal(&server).await;
    assert_eq!(journal.place(), "s3://state/dayfill/td-audit");
    assert_eq!(journal.segments(1).await.unwrap(), []);
    for number in 1..=40 {
        let bytes = format!("{{\"segment\":{number}}}\n");
        assert_eq!(journal.create(number, bytes.as_bytes()).await.unwrap(), Created::Stored(stored()));
    }
    assert_eq!(
        server.asked()[1].line,
        "PUT /state/dayfill/td-audit/journal/0000000000000001.jsonl?x-id=PutObject"
    );
    let all = journal.segments(1).await.unwrap();
    assert_eq!(all.iter().map(|s| s.number).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(all[11].bytes, b"{\"segment\":12}\n");
    assert_eq!(all[11].stored_at, stored());
    let before = server.asked().len();
    let rest = journal.segments(39).await.unwrap();
    assert_eq!(rest.iter().map(|s| s.number).collect::<Vec<_>>(), [39, 40]);
    assert_eq!(server.asked().len() - before, 3, "one listing and two reads");
    assert_eq!(journal.now().await.unwrap(), stored());
}

#[tokio::test]
async fn a_taken_number_is_told_and_nothing_is_overwritten() {
    let bucket = Bucket::default();
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let journal = journal(&server).await;
    assert!(matches!(journal.create(7, b"first").await.unwrap(), Created::Stored(_)));
    assert_eq!(journal.create(7, b"second").await.unwrap(), Created::Taken);
    assert_eq!(journal.segments(1).await.unwrap()[0].bytes, b"first");
}

#[tokio::test]
async fn a_lost_answer_reads_as_taken_and_the_content_tells() {
    let bucket = Bucket::default();
    let server = Server::start(move |n, r| {
        let answer = bucket.answer(r);
        // The first write is done, and its answer is lost on the way.
        if n == 0 { Reply::Close } else { answer }
    })
    .await;
    let journal = journal(&server).await;
    assert_eq!(journal.create(1, b"mine").await.unwrap(), Created::Taken);
    assert_eq!(server.asked().len(), 2);
    assert_eq!(journal.segments(1).await.unwrap()[0].bytes, b"mine");
}

#[tokio::test]
async fn conflicts_and_stumbles_are_repeated_with_the_same_bytes() {
    let bucket = Bucket::default();
    let server = Server::start(move |n, r| match n {
        0 => Reply::xml(409, "<Error><Code>ConditionalRequestConflict</Code></Error>"),
        1 => Reply::xml(503, "<Error><Code>SlowDown</Code></Error>"),
        2 => Reply::Http(500, vec![], String::new()),
        _ => bucket.answer(r),
    })
    .await;
    assert_eq!(journal(&server).await.create(1, b"mine").await.unwrap(), Created::Stored(stored()));
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|a| a.body == "mine" && a.header("if-none-match") == Some("*")));
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    for (status, code, kind) in [
        (403, "AccessDenied", ErrorKind::Denied),
        (404, "NoSuchBucket", ErrorKind::NotFound),
        (507, "InsufficientStorage", ErrorKind::Full),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>said so</Message></Error>");
        let server = Server::start(move |_, _| Reply::xml(status, &body)).await;
        let error = journal(&server).await.create(1, b"mine").await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(
            error.what.contains("s3://state/dayfill/td-audit/journal/0000000000000001.jsonl"),
            "{error:?}"
        );
        assert_eq!(server.asked().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again() {
    let bucket = Bucket::default();
    bucket.0.lock().unwrap().insert("dayfill/td-audit/plans/abc.json".into(), "whole".into());
    let server = Server::start(move |n, r| match n {
        0 => Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwh".into()),
        _ => bucket.answer(r),
    })
    .await;
    assert_eq!(journal(&server).await.plan("abc").await.unwrap().unwrap(), b"whole");
}

#[tokio::test]
async fn a_plan_is_kept_once_and_missing_is_no_error() {
    let bucket = Bucket::default();
    let kept = bucket.clone();
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let journal = journal(&server).await;
    assert_eq!(journal.plan("abc").await.unwrap(), None);
    journal.keep_plan("abc", b"plan").await.unwrap();
    journal.keep_plan("abc", b"plan").await.unwrap();
    assert_eq!(journal.plan("abc").await.unwrap().unwrap(), b"plan");
    assert_eq!(kept.0.lock().unwrap().keys().collect::<Vec<_>>(), ["dayfill/td-audit/plans/abc.json"]);
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_one_before() {
    let bucket = Bucket::default();
    let kept = bucket.clone();
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let journal = journal(&server).await;
    assert_eq!(journal.snapshot().await.unwrap(), None);
    for content in ["one", "another"] {
        journal.keep_snapshot(content.as_bytes()).await.unwrap();
        assert_eq!(journal.snapshot().await.unwrap().unwrap(), content.as_bytes());
    }
    assert_eq!(kept.0.lock().unwrap().keys().collect::<Vec<_>>(), ["dayfill/td-audit/snapshot.json"]);
}

#[tokio::test]
async fn a_snapshot_that_is_not_kept_is_not_tried_again() {
    let server = Server::start(|_, _| Reply::xml(503, "<Error><Code>SlowDown</Code></Error>")).await;
    let error = journal(&server).await.keep_snapshot(b"one").await.unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (ErrorKind::Throttled, 1));
}

#[tokio::test]
async fn other_keys_beside_the_segments_are_left_alone() {
    let bucket = Bucket::default();
    for key in ["journal/0000000000000001.jsonl", "journal/notes.txt", "journal/x.jsonl", "snapshots/1.json"]
    {
        bucket.0.lock().unwrap().insert(format!("dayfill/td-audit/{key}"), "{}".into());
    }
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let segments = journal(&server).await.segments(0).await.unwrap();
    assert_eq!(segments.iter().map(|s| s.number).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_probe_can_be_removed() {
    let bucket = Bucket::default();
    let objects = bucket.clone();
    let server = Server::start(move |_, r| bucket.answer(r)).await;
    let journal = journal(&server).await;
    assert_eq!(journal.create(1, b"first").await.unwrap(), Created::Stored(stored()));
    assert_eq!(journal.create(1, b"second").await.unwrap(), Created::Taken);
    journal.remove_probe(1).await.unwrap();
    assert!(objects.0.lock().unwrap().is_empty());

    let server = Server::start(|_, _| Reply::xml(403, "<Error><Code>AccessDenied</Code></Error>")).await;
    let error =
        S3Journal::new(&server.connection().await, "state", "probe").remove_probe(1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.hint.unwrap().contains("s3:DeleteObject on arn:aws:s3:::state/probe/journal/"));
}

#[tokio::test]
async fn manifests_are_kept_once_and_of_a_result_no_more_is_read_than_asked_for() {
    let bucket = Bucket::default();
    let own = bucket.clone();
    let server = Server::start(move |_, r| own.answer(r)).await;
    let journal = journal(&server).await;
    journal.keep_manifest("abc", b"one\n").await.unwrap();
    journal.keep_manifest("abc", b"one\n").await.unwrap();
    assert_eq!(bucket.0.lock().unwrap()["dayfill/td-audit/manifests/abc.jsonl"], "one\n");
    assert_eq!(journal.result("df-1", 10).await.unwrap(), None);
    bucket.0.lock().unwrap().insert("dayfill/td-audit/results/df-1.json".to_owned(), "{}".to_owned());
    assert_eq!(journal.result("df-1", 10).await.unwrap().as_deref(), Some(b"{}".as_slice()));
    // This store knows no ranges.
    assert_eq!(journal.result("df-1", 1).await.unwrap().as_deref(), Some(b"{".as_slice()));
    let asked = server.asked();
    let ranges: Vec<_> =
        asked.iter().filter(|r| r.line.contains("results/")).map(|r| r.header("range")).collect();
    assert_eq!(ranges, [Some("bytes=0-9"), Some("bytes=0-9"), Some("bytes=0-0")]);
}
