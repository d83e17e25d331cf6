//! A journal in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::fact::Fact;
use uuid::Uuid;

use super::{Chance, Crash, PausedClock, lock};
use crate::ports::{Created, ErrorKind, Journal, PortError, StoredSegment};
use crate::segment;

/// What becomes of an attempt to create a segment.
pub(crate) enum OnCreate {
    /// Somebody else writes these facts first.
    Beaten(Vec<Fact>),
    /// It is stored, the answer is lost, and the repeated request finds the number taken.
    AnswerLost,
    /// As before, and somebody else has written the next segment meanwhile.
    AnswerLostAndFollowed(Vec<Fact>),
    /// It is stored, and the error says otherwise.
    StoredButFailed,
    /// It is not stored.
    Failed,
}

/// A journal in memory, with a clock of its own.
pub(crate) struct MemoryJournal {
    clock: Arc<PausedClock>,
    crash: Arc<Crash>,
    chance: Arc<Chance>,
    segments: Mutex<BTreeMap<u64, StoredSegment>>,
    /// The next listing leaves this one out.
    pub(crate) overlooks: Mutex<Option<u64>>,
    plans: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) manifests: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What jobs have written about themselves, by name.
    pub(crate) results: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) results_fail: Mutex<Option<ErrorKind>>,
    snapshot: Mutex<Option<Vec<u8>>>,
    refuses_snapshots: AtomicBool,
    snapshots_tried: AtomicU32,
    script: Mutex<VecDeque<OnCreate>>,
    skew: Mutex<TimeDelta>,
    /// How long a write takes.
    latency: Mutex<Duration>,
}

impl MemoryJournal {
    pub(super) fn new(clock: Arc<PausedClock>, crash: Arc<Crash>, chance: Arc<Chance>) -> Self {
        Self {
            clock,
            crash,
            chance,
            segments: Mutex::default(),
            overlooks: Mutex::default(),
            plans: Mutex::default(),
            manifests: Mutex::default(),
            results: Mutex::default(),
            results_fail: Mutex::default(),
            snapshot: Mutex::default(),
            refuses_snapshots: AtomicBool::new(false),
            snapshots_tried: AtomicU32::new(0),
            script: Mutex::default(),
            skew: Mutex::new(TimeDelta::zero()),
            latency: Mutex::default(),
        }
    }

    /// What becomes of the next attempts to create a segment.
    pub(crate) fn script(&self, script: impl IntoIterator<Item = OnCreate>) {
        lock(&self.script).extend(script);
    }

    /// How far the store's clock is ahead.
    pub(crate) fn skew(&self, skew: TimeDelta) {
        *lock(&self.skew) = skew;
    }

    pub(crate) fn latency(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    fn store_now(&self) -> DateTime<Utc> {
        self.clock.true_now() + *lock(&self.skew)
    }

    /// Stores bytes as they are, under the next number or another.
    pub(crate) fn put(&self, number: u64, bytes: Vec<u8>) {
        let stored_at = self.store_now();
        lock(&self.segments).insert(number, StoredSegment { number, bytes, stored_at });
    }

    /// Somebody else writes these facts into the next segment.
    pub(crate) fn write(&self, facts: &[Fact]) {
        let number = self.len() + 1;
        let bytes = segment::write(number, Uuid::new_v4(), self.clock.true_now(), facts).unwrap();
        self.put(number, bytes);
    }

    pub(crate) fn bytes(&self, number: u64) -> Vec<u8> {
        lock(&self.segments)[&number].bytes.clone()
    }

    pub(crate) fn remove(&self, number: u64) {
        lock(&self.segments).remove(&number);
    }

    /// The highest number.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.segments).keys().next_back().copied().unwrap_or(0)
    }

    pub(crate) fn remove_plans(&self) {
        lock(&self.plans).clear();
    }

    pub(crate) fn put_plan(&self, digest: &str, bytes: &[u8]) {
        lock(&self.plans).insert(digest.to_owned(), bytes.to_vec());
    }

    pub(crate) fn plans(&self) -> usize {
        lock(&self.plans).len()
    }

    pub(crate) fn put_snapshot(&self, bytes: Option<Vec<u8>>) {
        *lock(&self.snapshot) = bytes;
    }

    pub(crate) fn kept_snapshot(&self) -> Option<Vec<u8>> {
        lock(&self.snapshot).clone()
    }

    /// From now on no snapshot is kept.
    pub(crate) fn refuse_snapshots(&self) {
        self.refuses_snapshots.store(true, Ordering::Relaxed);
    }

    /// How often one was to be kept.
    pub(crate) fn snapshots_tried(&self) -> u32 {
        self.snapshots_tried.load(Ordering::Relaxed)
    }

    fn create_now(&self, number: u64, bytes: &[u8]) -> Created {
        if lock(&self.segments).contains_key(&number) {
            return Created::Taken;
        }
        let stored_at = self.store_now();
        self.put(number, bytes.to_vec());
        Created::Stored(stored_at)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn segments(&self, from: u64) -> Result<Vec<StoredSegment>, PortError> {
        self.crash.point().await;
        self.chance.delay().await;
        let overlooked = lock(&self.overlooks).take();
        let segments = lock(&self.segments);
        let listed = segments.range(from..).filter(|(number, _)| Some(**number) != overlooked);
        Ok(listed.map(|(_, s)| s.clone()).collect())
    }

    async fn create(&self, number: u64, bytes: &[u8]) -> Result<Created, PortError> {
        let failed = || PortError::new(ErrorKind::Unreachable, "cannot write the journal");
        self.crash.point().await;
        self.chance.delay().await;
        let latency = *lock(&self.latency);
        tokio::time::sleep(latency).await;
        let scripted = lock(&self.script).pop_front();
        let created = match scripted {
            Some(OnCreate::Beaten(facts)) => {
                self.write(&facts);
                self.create_now(number, bytes)
            }
            Some(OnCreate::AnswerLost) => {
                self.create_now(number, bytes);
                self.create_now(number, bytes)
            }
            Some(OnCreate::AnswerLostAndFollowed(facts)) => {
                self.create_now(number, bytes);
                self.write(&facts);
                self.create_now(number, bytes)
            }
            Some(OnCreate::StoredButFailed) => {
                self.create_now(number, bytes);
                return Err(failed());
            }
            Some(OnCreate::Failed) => return Err(failed()),
            None if self.chance.once_in(10) => {
                self.create_now(number, bytes);
                self.chance.delay().await;
                self.create_now(number, bytes)
            }
            None => self.create_now(number, bytes),
        };
        self.crash.point().await;
        self.chance.delay().await;
        Ok(created)
    }

    async fn keep_plan(&self, digest: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.crash.point().await;
        self.put_plan(digest, bytes);
        self.crash.point().await;
        Ok(())
    }

    async fn keep_manifest(&self, fingerprint: &str, bytes: &[u8]) -> Result<(), PortError> {
        self.crash.point().await;
        lock(&self.manifests).insert(fingerprint.to_owned(), bytes.to_vec());
        self.crash.point().await;
        Ok(())
    }

    async fn result(&self, job: &str, most: u64) -> Result<Option<Vec<u8>>, PortError> {
        if let Some(kind) = *lock(&self.results_fail) {
            return Err(PortError::new(kind, "cannot read the result"));
        }
        Ok(lock(&self.results).get(job).map(|bytes| bytes.iter().copied().take(most as usize).collect()))
    }

    async fn plan(&self, digest: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.chance.delay().await;
        Ok(lock(&self.plans).get(digest).cloned())
    }

    async fn keep_snapshot(&self, bytes: &[u8]) -> Result<(), PortError> {
        self.snapshots_tried.fetch_add(1, Ordering::Relaxed);
        self.crash.point().await;
        self.chance.delay().await;
        if self.refuses_snapshots.load(Ordering::Relaxed) || self.chance.once_in(5) {
            return Err(PortError::new(ErrorKind::Denied, "cannot keep a snapshot"));
        }
        self.put_snapshot(Some(bytes.to_vec()));
        self.crash.point().await;
        Ok(())
    }

    async fn snapshot(&self) -> Result<Option<Vec<u8>>, PortError> {
        self.chance.delay().await;
        Ok(self.kept_snapshot())
    }

    async fn now(&self) -> Result<DateTime<Utc>, PortError> {
        self.chance.delay().await;
        Ok(self.store_now())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
