//! The journal in a bucket.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, Utc};
use dayfill_engine::ports::{Created, ErrorKind, Journal, PortError, StoredSegment};
use futures::{StreamExt, TryStreamExt, stream};

use crate::connection::Connection;
use crate::error::{Asked, cause, port_error};
use crate::headers::ServiceClock;
use crate::s3_source::timestamp;

/// How many segments are read at once.
const READERS: usize = 16;
/// How often a write is sent before it counts as failed, and a read before its body does.
const ATTEMPTS: u32 = 8;

/// A journal at `{prefix}/journal/0000000000000042.jsonl`, `{prefix}/plans/{digest}.json`,
/// `{prefix}/manifests/{fingerprint}.jsonl` and `{prefix}/snapshot.json` of a bucket. Jobs write
/// `{prefix}/results/{job}.json`.
///
/// Every object of ours but the snapshot is created by a PutObject with `If-None-Match: *`, so a number has one content for
/// ever, whoever races for it. The store must honour that condition, as S3 does.
#[derive(Clone)]
pub struct S3Journal {
    client: Client,
    bucket: String,
    prefix: String,
    endpoint: String,
    region: String,
}

impl S3Journal {
    /// The journal below `prefix` (`{prefix of the state}/{name of the backfill}`), with or without slashes around it.
    pub fn new(connection: &Connection, bucket: impl Into<String>, prefix: &str) -> Self {
        Self {
            client: connection.s3(),
            bucket: bucket.into(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: connection.endpoint("S3"),
            region: connection.region().to_owned(),
        }
    }

    fn key(&self, rest: &str) -> String {
        if self.prefix.is_empty() { rest.to_owned() } else { format!("{}/{rest}", self.prefix) }
    }

    fn segment_key(&self, number: u64) -> String {
        self.key(&format!("journal/{number:016}.jsonl"))
    }

    fn plan_key(&self, digest: &str) -> String {
        self.key(&format!("plans/{digest}.json"))
    }

    fn manifest_key(&self, fingerprint: &str) -> String {
        self.key(&format!("manifests/{fingerprint}.jsonl"))
    }

    fn result_key(&self, job: &str) -> String {
        self.key(&format!("results/{job}.json"))
    }

    fn snapshot_key(&self) -> String {
        self.key("snapshot.json")
    }

    fn asked(&self, verb: &str, key: &str, permission: &str) -> Asked<'_> {
        let on = if permission == "s3:ListBucket" { String::new() } else { format!("/{key}") };
        Asked {
            doing: format!("{verb} s3://{}/{key}", self.bucket),
            permission: format!("{permission} on arn:aws:s3:::{}{on}", self.bucket),
            endpoint: &self.endpoint,
            region: &self.region,
        }
    }

    /// Removes a segment that was written only to see whether the store takes it. A journal's own are never removed.
    pub async fn remove_probe(&self, number: u64) -> Result<(), PortError> {
        let key = self.segment_key(number);
        let removed = self.client.delete_object().bucket(&self.bucket).key(&key).send().await;
        removed.map(|_| ()).map_err(|e| port_error(&e, &self.asked("remove", &key, "s3:DeleteObject")))
    }

    /// Numbers and times of the segments from `from` on, in order.
    async fn listed(&self, from: u64) -> Result<Vec<(u64, DateTime<Utc>)>, PortError> {
        let folder = self.key("journal/");
        let asked = self.asked("list", &folder, "s3:ListBucket");
        let after = from.checked_sub(1).filter(|n| *n > 0).map(|n| self.segment_key(n));
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&folder)
            .set_start_after(after)
            .into_paginator()
            .send();
        let mut segments = Vec::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(|e| port_error(&e, &asked))?.contents() {
                let name =
                    object.key().and_then(|k| k.strip_prefix(&folder)).and_then(|k| k.strip_suffix(".jsonl"));
                let Some(number) = name.and_then(|n| n.parse().ok()).filter(|n| *n >= from) else { continue };
                let stored_at = object.last_modified().and_then(timestamp).ok_or_else(|| {
                    PortError::new(
                        ErrorKind::Other,
                        format!("cannot {}: segment {number} has no date", asked.doing),
                    )
                })?;
                segments.push((number, stored_at));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// An object's content; `None` where there is none.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.read_start(key, None).await
    }

    /// Its first bytes, so many of them at the most. A store that knows no ranges sends all, which is not read on.
    async fn read_start(&self, key: &str, most: Option<u64>) -> Result<Option<Vec<u8>>, PortError> {
        let asked = self.asked("read", key, "s3:GetObject");
        let range = most.map(|most| format!("bytes=0-{}", most.saturating_sub(1)));
        let mut broken = String::new();
        for attempt in 0..ATTEMPTS {
            let get = self.client.get_object().bucket(&self.bucket).key(key).set_range(range.clone());
            let body = match get.send().await {
                Ok(got) => got.body,
                Err(e) if e.code() == Some("NoSuchKey") => return Ok(None),
                // Nothing has no first byte.
                Err(e) if range.is_some() && e.code() == Some("InvalidRange") => return Ok(Some(Vec::new())),
                Err(e) => return Err(port_error(&e, &asked)),
            };
            // The SDK repeats a request that fails, but not one whose body breaks off.
            match take(body, most.unwrap_or(u64::MAX)).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(e) => broken = cause(&e),
            }
            tokio::time::sleep(pause(attempt, key.as_bytes())).await;
        }
        Err(PortError::new(
            ErrorKind::Unreachable,
            format!("cannot {}: its content breaks off: {broken}", asked.doing),
        ))
    }

    /// Stores an object only if its key is free.
    ///
    /// The SDK's own retries are off, because not every refusal may be repeated and one repetition means something
    /// else: a 412 to a repeated request may speak of our own write. Both read as [`Created::Taken`]; what is stored
    /// there tells them apart.
    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Created, PortError> {
        let asked = self.asked("write", key, "s3:PutObject");
        let mut attempt = 0;
        loop {
            let clock = ServiceClock::default();
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                .if_none_match("*")
                .body(ByteStream::from(bytes.to_vec()))
                .customize()
                .interceptor(clock.clone())
                .config_override(once())
                .send()
                .await;
            attempt += 1;
            match put {
                Ok(_) => {
                    return match clock.read() {
                        Some(at) => Ok(Created::Stored(at)),
                        None => self.stored_at(key).await.map(Created::Stored),
                    };
                }
                Err(e) if status(&e) == Some(412) => return Ok(Created::Taken),
                Err(e) if attempt == ATTEMPTS || !may_repeat(&e) => return Err(port_error(&e, &asked)),
                Err(_) => tokio::time::sleep(pause(attempt, bytes)).await,
            }
        }
    }

    async fn stored_at(&self, key: &str) -> Result<DateTime<Utc>, PortError> {
        let asked = self.asked("read the date of", key, "s3:GetObject");
        let head = self.client.head_object().bucket(&self.bucket).key(key).send().await;
        let head = head.map_err(|e| port_error(&e, &asked))?;
        let undated = || PortError::new(ErrorKind::Other, format!("cannot {}: there is none", asked.doing));
        head.last_modified().and_then(timestamp).ok_or_else(undated)
    }
}

async fn take(mut body: ByteStream, most: u64) -> Result<Vec<u8>, ByteStreamError> {
    let mut taken = Vec::new();
    while let Some(bytes) = body.next().await {
        taken.extend_from_slice(&bytes?);
        if taken.len() as u64 >= most {
            taken.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            break;
        }
    }
    Ok(taken)
}

/// Without the SDK's own retries.
fn once() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled())
}

fn status(error: &SdkError<PutObjectError>) -> Option<u16> {
    error.raw_response().map(|r| r.status().as_u16())
}

/// A lost answer, an overloaded store, or a race that decided nothing (409).
fn may_repeat(error: &SdkError<PutObjectError>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(e) => e.is_io() || e.is_timeout() || e.as_other().is_some(),
        // 507 is a full disk.
        _ => status(error).is_some_and(|s| s == 409 || s == 429 || (s >= 500 && s != 507)),
    }
}

/// Time to the next attempt: doubles from 50 ms up to 3 s, spread by what is written, which differs from writer to
/// writer, so that two that collided do not collide again.
fn pause(attempt: u32, bytes: &[u8]) -> Duration {
    let mut hasher = DefaultHasher::new();
    (attempt, bytes).hash(&mut hasher);
    let full = Duration::from_millis(50).saturating_mul(1 << attempt.min(10)).min(Duration::from_secs(3));
    full.mul_f64(0.5 + (hasher.finish() % 512) as f64 / 1024.0)
}

#[async_trait]
impl Journal for S3Journal {
    async fn segments(&self, from: u64) -> Result<Vec<StoredSegment>, PortError> {
        let reads = self.listed(from).await?.into_iter().map(|(number, stored_at)| async move {
            let key = self.segment_key(number);
            match self.read(&key).await? {
                Some(bytes) => Ok(StoredSegment { number, bytes, stored_at }),
                None => Err(PortError::new(
                    ErrorKind::NotFound,
                    format!("s3://{}/{key} was deleted", self.bucket),
                )
                .hint("segments are never deleted: restore it from the bucket's versions or a backup")),
            }
        });
        stream::iter(reads).buffered(READERS).try_collect().await
    }

    async fn create(&self, number: u64, bytes: &[u8]) -> Result<Created, PortError> {
        self.put_if_absent(&self.segment_key(number), bytes).await
    }

    async fn keep_plan(&self, digest: &str, bytes: &[u8]) -> Result<(), PortError> {
        // A plan is named by its content, so one that is there already is this one.
        self.put_if_absent(&self.plan_key(digest), bytes).await.map(|_| ())
    }

    async fn plan(&self, digest: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.read(&self.plan_key(digest)).await
    }

    async fn keep_manifest(&self, fingerprint: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.put_if_absent(&self.manifest_key(fingerprint), bytes).await.map(|_| ())
    }

    async fn result(&self, job: &str, most: u64) -> Result<Option<Vec<u8>>, PortError> {
        self.read_start(&self.result_key(job), Some(most)).await
    }

    async fn keep_snapshot(&self, bytes: &[u8]) -> Result<(), PortError> {
        let key = self.snapshot_key();
        let put = self.client.put_object().bucket(&self.bucket).key(&key);
        let put = put.body(ByteStream::from(bytes.to_vec())).customize();
        // Whoever waits for it has better things to do than to try again.
        let kept = put.config_override(once()).send().await;
        kept.map(|_| ()).map_err(|e| port_error(&e, &self.asked("write", &key, "s3:PutObject")))
    }

    async fn snapshot(&self) -> Result<Option<Vec<u8>>, PortError> {
        self.read(&self.snapshot_key()).await
    }

    async fn now(&self) -> Result<DateTime<Utc>, PortError> {
        let folder = self.key("journal/");
        let asked = self.asked("list", &folder, "s3:ListBucket");
        let clock = ServiceClock::default();
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&folder).max_keys(1);
        list.customize().interceptor(clock.clone()).send().await.map_err(|e| port_error(&e, &asked))?;
        clock.read().ok_or_else(|| {
            PortError::new(ErrorKind::Other, format!("{} tells no date in its answers", self.endpoint))
        })
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests;
