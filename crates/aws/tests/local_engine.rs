//! The ports against the local engine: the same code as against AWS, at another endpoint.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dayfill_aws::job_definitions::differs;
use dayfill_aws::{
    BatchQueue, Connection, JobDefinitions, LocalEndpoint, Queues, S3Journal, S3Source, Settings, connect,
    local_bounds,
};
use dayfill_core::fact::LiveStatus;
use dayfill_core::job::{JobName, RetryStrategy, Submission};
use dayfill_engine::adapters::SystemClock;
use dayfill_engine::ports::{
    Created, ErrorKind, Journal, PageRequest, Queue, SeenState, SendBy, Sent, Source,
};
use dayfill_local::{LimitMeans, LocalConfig, LocalEngine, Runner};
use serde_json::json;
use tempfile::TempDir;

/// An engine that takes jobs and starts none, with the buckets `lake` and `state`.
async fn engine(folder: &TempDir) -> (LocalEngine, Connection) {
    for bucket in ["lake", "state"] {
        std::fs::create_dir_all(folder.path().join("buckets").join(bucket)).unwrap();
    }
    let config = LocalConfig {
        dir: folder.path().join("engine"),
        lake: Some(folder.path().join("buckets")),
        mounts: Vec::new(),
        port: 0,
        vcpus: 2,
        memory_mib: 1024,
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        signature_age: Duration::from_mins(1),
        dispatch: false,
        guard: Vec::new(),
        record: None,
        runner: Runner::Process,
        limit: LimitMeans::Auto,
        reclaims: None,
    };
    let engine = LocalEngine::start(config).await.unwrap();
    let at = engine.endpoint();
    let local = LocalEndpoint {
        url: at.url.clone(),
        region: at.region.clone(),
        access_key_id: at.access_key_id.clone(),
        secret_access_key: at.secret_access_key.clone(),
    };
    let connection = connect(Settings { local: Some(local), ..Settings::default() }).await.unwrap();
    (engine, connection)
}

fn write(root: &Path, key: &str, content: &str) {
    let path = root.join("buckets/lake").join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn all(prefix: &str) -> PageRequest<'_> {
    PageRequest { prefix, folders: false, token: None }
}

#[tokio::test]
async fn keys_of_any_spelling_are_listed_over_several_pages() {
    let folder = TempDir::new().unwrap();
    let odd = ["a b+c%20d", "あ/é", "x&<y>\"'", "tab\there", "new\nline"];
    for key in odd {
        write(folder.path(), &format!("odd/{key}"), "12345");
    }
    for i in 0..1200 {
        write(folder.path(), &format!("many/{i:04}"), "");
    }
    let (engine, connection) = engine(&folder).await;
    let source = S3Source::new(&connection, "lake");

    let page = source.page(all("odd/")).await.unwrap();
    let mut keys: Vec<_> = page.objects.iter().map(|o| o.key.strip_prefix("odd/").unwrap()).collect();
    let mut expected = odd.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert!(page.objects.iter().all(|o| o.size == 5 && !o.etag.is_empty()));

    let first = source.page(all("many/")).await.unwrap();
    assert_eq!(first.objects.len(), 1000);
    let rest = source.page(PageRequest { token: first.next.as_deref(), ..all("many/") }).await.unwrap();
    assert_eq!((rest.objects.len(), rest.next), (200, None));

    let folders = source.page(PageRequest { folders: true, ..all("") }).await.unwrap();
    assert_eq!(folders.prefixes, ["many/", "odd/"]);

    let missing = S3Source::new(&connection, "nowhere").page(all("")).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound, "{missing:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_32_writers_that_race_for_each_number_one_wins() {
    let folder = TempDir::new().unwrap();
    let (engine, connection) = engine(&folder).await;
    let journal = S3Journal::new(&connection, "state", "dayfill/td-audit");
    for number in 1..=5 {
        let writers: Vec<_> = (0..32)
            .map(|writer| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    let bytes = format!("writer {writer} of {number}");
                    (journal.create(number, bytes.as_bytes()).await.unwrap(), bytes)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            if let (Created::Stored(at), bytes) = writer.await.unwrap() {
                winners.push((at, bytes));
            }
        }
        let stored = journal.segments(number).await.unwrap();
        let [(at, bytes)] = winners.as_slice() else { panic!("{winners:?} won number {number}") };
        assert_eq!(stored[0].bytes, bytes.as_bytes());
        // One is the answer's date, in whole seconds, the other the file's.
        assert!((stored[0].stored_at - at).abs() <= chrono::TimeDelta::seconds(2), "{at} {stored:?}");
    }
    let numbers: Vec<_> = journal.segments(1).await.unwrap().iter().map(|s| s.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    journal.keep_plan("abc", b"plan").await.unwrap();
    journal.keep_plan("abc", b"plan").await.unwrap();
    assert_eq!(journal.plan("abc").await.unwrap().unwrap(), b"plan");
    assert_eq!(journal.plan("other").await.unwrap(), None);
    let here = chrono::Utc::now();
    assert!((journal.now().await.unwrap() - here).abs() < chrono::TimeDelta::seconds(5));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_job_is_registered_submitted_found_and_ended() {
    let folder = TempDir::new().unwrap();
    let (engine, connection) = engine(&folder).await;

    let queues = Queues::new(&connection);
    let queue = queues.ensure_local_queue("backfill").await.unwrap();
    assert_eq!(
        (queue.account(), queue.state.as_str(), queue.status.as_str()),
        ("111122223333", "ENABLED", "VALID")
    );
    assert_eq!(queues.ensure_local_queue("backfill").await.unwrap(), queue);
    assert_eq!(queues.check("backfill").await.unwrap(), queue);
    let missing = queues.check("backfil").await.unwrap_err();
    assert!(missing.hint.as_ref().unwrap().contains("backfill"), "{missing:?}");

    let definitions = JobDefinitions::new(&connection);
    let mut file = json!({
        "jobDefinitionName": "hello", "type": "container",
        "containerProperties": {
            "image": "none", "command": ["true"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
            "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
        },
        "retryStrategy": {"attempts": 2}, "tags": {"team": "data"},
    });
    assert_eq!(definitions.active("hello").await.unwrap(), None);
    assert_eq!(definitions.register(&file).await.unwrap(), "hello:1");
    let registered = definitions.active("hello").await.unwrap().unwrap();
    assert_eq!(differs(&file, &registered.content), []);
    file["containerProperties"]["image"] = json!("another");
    let differences = differs(&file, &registered.content);
    assert_eq!(
        differences.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(),
        ["containerProperties.image"]
    );
    assert_eq!(definitions.register(&file).await.unwrap(), "hello:2");
    assert_eq!(definitions.named("hello").await.unwrap().id(), "hello:2");
    assert_eq!(definitions.named("hello:1").await.unwrap(), registered);
    assert_eq!(definitions.named(&registered.arn).await.unwrap(), registered);
    let missing = definitions.named("hello:3").await.unwrap_err();
    assert_eq!(
        missing.hint.as_deref(),
        Some("active: hello:1, hello:2; name one of these in the YAML, and plan")
    );

    let bounds = local_bounds(chrono::Utc::now(), Duration::from_mins(1));
    let batch = BatchQueue::new(&connection, bounds);
    let submission = |name: &str, definition: &str| Submission {
        name: JobName::from_text(name),
        queue: "backfill".into(),
        definition: definition.into(),
        share_identifier: None,
        command: vec!["echo".into(), "ä".into()],
        environment: BTreeMap::from([("DAY".to_owned(), "04".to_owned())]),
        memory_mib: 64,
        vcpus: 1,
        timeout_s: Some(60),
        retry: RetryStrategy { attempts: 1, rules: Vec::new() },
    };
    let send_by = SendBy::starting_now(Arc::new(SystemClock::default()), bounds.send_within);
    let Sent::Accepted { job_id } = batch.submit(&submission("df-a-1", "hello:2"), &send_by).await else {
        panic!("the submission must be accepted");
    };
    let refused = batch.submit(&submission("df-a-2", "hello:9"), &send_by).await;
    assert!(matches!(&refused, Sent::Refused { why } if why.contains("hello:9")), "{refused:?}");

    let found = batch.find("backfill", "df-a-").await.unwrap();
    assert_eq!(found.iter().map(|f| (f.name.as_str(), &f.job_id)).collect::<Vec<_>>(), [("df-a-1", &job_id)]);
    let elsewhere = batch.find("nowhere", "df-a-").await.unwrap_err();
    assert_eq!(elsewhere.kind, ErrorKind::NotFound, "{elsewhere:?}");

    let ids = [job_id.clone(), "00000000-0000-0000-0000-000000000000".to_owned()];
    let seen = batch.describe(&ids).await.unwrap();
    assert_eq!(seen.len(), 1, "unknown ids are left out");
    assert!(
        matches!(seen[0].state, SeenState::Live { status: LiveStatus::Submitted | LiveStatus::Runnable, .. }),
        "{seen:?}"
    );
    batch.terminate(&job_id, "no longer wanted").await.unwrap();
    let seen = batch.describe(&ids).await.unwrap();
    let SeenState::Failed(end) = &seen[0].state else { panic!("{seen:?}") };
    assert_eq!(end.last.status_reason.as_deref(), Some("no longer wanted"));
    assert!(end.terminated || end.cancelled, "{end:?}");
    assert_eq!(batch.log_tail("hello/default/none", 5).await.unwrap(), Vec::<String>::new());
    engine.shutdown().await;
}

#[tokio::test]
async fn keys_of_another_start_are_refused_in_plain_words() {
    let folder = TempDir::new().unwrap();
    let (engine, _) = engine(&folder).await;
    let at = engine.endpoint();
    let local = LocalEndpoint {
        url: at.url.clone(),
        region: at.region.clone(),
        access_key_id: "AKIDOFANOTHERSTART".into(),
        secret_access_key: "another".into(),
    };
    let connection = connect(Settings { local: Some(local), ..Settings::default() }).await.unwrap();
    let batch = BatchQueue::new(&connection, local_bounds(chrono::Utc::now(), Duration::from_mins(1)));
    let refused = batch.find("default", "df-").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Credentials, "{refused:?}");
    let refused = S3Source::new(&connection, "lake").page(all("")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Credentials, "{refused:?}");
    engine.shutdown().await;
}
