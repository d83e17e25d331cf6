//! The ports in memory, for tests: a journal whose answers get lost, a cloud that does what its script says, and a
//! clock that follows the paused time of tokio.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use dayfill_core::fact::{Cloud, Fact, Identity};
use dayfill_core::ledger::Ledger;
use dayfill_core::measure::{Measure, Object};
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_core::plan::{
    History, JobTemplate, Only, PassedOver, PinnedDefinition, Place, Plan, PlannedJob, PlannedSource, RunsOn,
    SCHEMA_VERSION,
};
use dayfill_core::spec::{Idempotent, Limits, MemoryBounds, MemorySigns, Reads, RetryPolicy, Success};
use uuid::Uuid;

use crate::advance::Engine;
use crate::book::Book;
use crate::event::{Event, Reporter};
use crate::ports::{Clock, Journal, Queue};
use crate::submit::{Adoption, adopt};

/// Engines of a [`World`] keep a snapshot after so many segments, so that all their tests go through some.
const EVERY: u64 = 3;

mod bucket;
mod chance;
mod cloud;
mod journal;
mod source;

pub(crate) use bucket::Bucket;
pub(crate) use chance::{Chance, Crash};
pub(crate) use cloud::{FakeCloud, FakeJob, Life, OnSubmit};
pub(crate) use journal::{MemoryJournal, OnCreate};
pub(crate) use source::FakeSource;

/// The mutex's content, whatever a failed test has left there.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Paused time, on a machine whose wall clock may be wrong.
pub(crate) struct PausedClock {
    start: tokio::time::Instant,
    skew: TimeDelta,
}

impl PausedClock {
    pub(crate) fn at(start: tokio::time::Instant, skew: TimeDelta) -> Self {
        Self { start, skew }
    }

    /// The true time.
    pub(crate) fn true_now(&self) -> DateTime<Utc> {
        let base: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        base + TimeDelta::from_std(self.monotonic()).unwrap()
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> DateTime<Utc> {
        self.true_now() + self.skew
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Heard {
    pub(crate) fn all(&self) -> Vec<Event> {
        lock(&self.0).clone()
    }
}

impl Reporter for Heard {
    fn hear(&self, event: Event) {
        lock(&self.0).push(event);
    }
}

/// One journal, one cloud, and as many engines as a test wants.
pub(crate) struct World {
    start: tokio::time::Instant,
    pub(crate) clock: Arc<PausedClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) cloud: Arc<FakeCloud>,
    pub(crate) source: Mutex<Arc<FakeSource>>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) crash: Arc<Crash>,
    pub(crate) chance: Arc<Chance>,
}

impl World {
    /// A world in which everything answers at once.
    pub(crate) fn new() -> Self {
        Self::with(Chance::none())
    }

    /// A world in which answers take their time and get lost, as `chance` has it.
    pub(crate) fn with(chance: Chance) -> Self {
        let start = tokio::time::Instant::now();
        let clock = Arc::new(PausedClock::at(start, TimeDelta::zero()));
        let (crash, chance) = (Arc::new(Crash::default()), Arc::new(chance));
        Self {
            start,
            journal: Arc::new(MemoryJournal::new(clock.clone(), crash.clone(), chance.clone())),
            cloud: Arc::new(FakeCloud::new(clock.clone(), crash.clone(), chance.clone())),
            source: Mutex::new(Arc::new(FakeSource::of([]))),
            heard: Arc::new(Heard::default()),
            clock,
            crash,
            chance,
        }
    }

    pub(crate) async fn engine(&self) -> Engine {
        self.engine_with_clock(TimeDelta::zero()).await
    }

    /// An engine on a machine whose wall clock is wrong by so much.
    pub(crate) async fn engine_with_clock(&self, skew: TimeDelta) -> Engine {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock::at(self.start, skew));
        let journal: Arc<dyn Journal> = self.journal.clone();
        let queue: Arc<dyn Queue> = self.cloud.clone();
        let book = Book::open_every(journal, clock, EVERY).await.unwrap();
        let source = lock(&self.source).clone();
        Engine::new(book, queue, source, self.heard.clone())
    }

    /// An engine whose journal has adopted `plan`.
    pub(crate) async fn adopted(&self, plan: &Plan) -> Engine {
        let mut engine = self.engine().await;
        assert_eq!(adopt(engine.book_mut(), plan, "load:1").await.unwrap(), Adoption::Adopted);
        engine
    }

    /// What anybody would read now, whether from a snapshot on or from the first segment.
    pub(crate) async fn ledger(&self) -> Ledger {
        let read = async || {
            let (journal, clock): (Arc<dyn Journal>, Arc<dyn Clock>) =
                (self.journal.clone(), self.clock.clone());
            Book::open(journal, clock).await.unwrap().ledger().clone()
        };
        let by_snapshot = read().await;
        let snapshot = self.journal.kept_snapshot();
        self.journal.put_snapshot(None);
        assert_eq!(read().await, by_snapshot);
        self.journal.put_snapshot(snapshot);
        by_snapshot
    }

    /// Every day of the plan is done, each by one job that succeeded, and nothing was doubled.
    pub(crate) async fn assert_each_day_loaded_once(&self, plan: &Plan) {
        let ledger = self.ledger().await;
        for job in &plan.jobs {
            let record = ledger.slice(&job.slice).unwrap();
            assert_eq!(record.standing(), dayfill_core::ledger::Standing::Done, "{}", job.slice);
            assert_eq!((record.doubled, record.doubling), (0, false), "{}", job.slice);
            assert_eq!(record.live().count(), 0, "{}", job.slice);
            let readable = job.slice.to_string().replace('/', "-");
            let successes = self
                .cloud
                .jobs()
                .into_iter()
                .filter(|j| j.name.as_str().contains(&readable) && j.succeeded());
            assert_eq!(successes.count(), 1, "{}", job.slice);
        }
        assert_eq!(self.cloud.doubles(), 0, "two jobs of a slice at once");
    }
}

pub(crate) fn day(of: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2018, 10, of).unwrap()
}

/// `condor/2018-10-{day}`
pub(crate) fn slice(of: u32) -> SliceId {
    SliceId::whole(PartitionId::new(vec!["condor".to_owned()], day(of)))
}

pub(crate) fn identity() -> Identity {
    Identity {
        source: "s3://example-logs/".to_owned(),
        layout: "{service}/{year}/{month}/{day}/".to_owned(),
        key_zone: "UTC".to_owned(),
        window_zone: "UTC".to_owned(),
        dimensions: vec!["service".to_owned()],
        cloud: Cloud::Aws { account: "123456789012".to_owned(), region: "eu-west-1".to_owned() },
    }
}

pub(crate) fn opened() -> Fact {
    Fact::Opened { uuid: Uuid::nil(), name: "sample".to_owned(), identity: identity() }
}

/// A plan that loads these days of October 2018 for the first time: 128 MiB up to 512.
pub(crate) fn plan(days: impl IntoIterator<Item = u32>) -> Plan {
    Plan {
        schema_version: SCHEMA_VERSION,
        backfill: "sample".to_owned(),
        uuid: None,
        made_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        identity: identity(),
        from: day(1),
        to: day(31),
        only: Only::default(),
        place: Place {
            state: "s3://example-state/sample".to_owned(),
            runs_on: RunsOn::Aws { region: None, profile: None, endpoint_url: None },
        },
        source: PlannedSource {
            bucket: "example-logs".to_owned(),
            dimensions: vec!["service".to_owned()],
            root: String::new(),
            include: None,
            exclude: None,
        },
        job: JobTemplate {
            definition: PinnedDefinition {
                revision: Some("load:1".to_owned()),
                content: None,
                fargate: false,
            },
            queue: "spot".to_owned(),
            fallback_queue: None,
            share_identifier: None,
            vcpus: 1,
            memory: MemoryBounds { start_mib: 128, max_mib: 512 },
            timeout_s: Some(3600),
            idempotent: Idempotent::Partition,
            reads: Reads::Prefix,
            success: Success::Exit,
            command: Vec::new(),
            environment: BTreeMap::new(),
            out_of_memory: MemorySigns::default(),
        },
        retry: RetryPolicy::default(),
        limits: Limits::default(),
        prices: None,
        history: History::default(),
        partitions: Vec::new(),
        passed_over: PassedOver::default(),
        deadline: None,
        length: None,
        memory_why: None,
        split: None,
        splits: Vec::new(),
        unsplit: Vec::new(),
        pilots: 0,
        jobs: days.into_iter().map(job).collect(),
    }
}

pub(crate) fn job(of: u32) -> PlannedJob {
    let mut measure = Measure::default();
    let key = format!("day {of}");
    measure.add(&Object { key: &key, size: 1000, etag: "e", modified: DateTime::UNIX_EPOCH }, None);
    PlannedJob {
        slice: slice(of),
        load: 1,
        tries_before: 0,
        memory_mib: 128,
        prefix: format!("condor/2018/10/{of:02}/"),
        objects: 1,
        bytes: 1000,
        fingerprint: measure.fingerprint,
    }
}

/// A plan for so many days in a row, all of which may be in flight at once.
pub(crate) fn long_plan(days: u32) -> Plan {
    let mut long = plan([]);
    long.limits.in_flight = days;
    let first = NaiveDate::from_ymd_opt(1990, 1, 1).unwrap();
    let of = |n: u32| PlannedJob {
        slice: SliceId::whole(PartitionId::new(vec!["condor".to_owned()], first + TimeDelta::days(n.into()))),
        ..job(1)
    };
    long.jobs = (0..days).map(of).collect();
    long
}
