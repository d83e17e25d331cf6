//! A backfill of its own, whose engine runs in this process and reaches the cloud only through a proxy.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use dayfill_aws::{BatchQueue, Connection, S3Journal, S3Source};
use dayfill_core::plan::Plan;
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::advance::Engine;
use dayfill_engine::book::Book;
use dayfill_engine::event::Silent;
use dayfill_engine::ports::{Bounds, Clock, Journal};
use dayfill_engine::submit::adopt;
use dayfill_engine::watch::Watched;
use serde_json::Value;

use super::cloud::Cloud;
use super::proxy::{Call, Proxy};
use crate::facts::Facts;
use crate::processes::BOUND;

/// Times in which nothing runs out by itself, however busy the machine is. The age of signatures is the engine's own,
/// fifteen minutes.
pub fn bounds() -> Bounds {
    Bounds {
        send_within: Duration::from_secs(20),
        grace: Duration::from_mins(5),
        forgotten_before: None,
        lost_after: Duration::from_mins(5),
        start_failure: Duration::from_secs(1),
        poll: (Duration::from_millis(20), Duration::from_millis(100)),
        submits_per_second: 1000.0,
    }
}

/// The same, but a submission is sent within 4 s, and has never arrived after 5.
pub fn short_bounds() -> Bounds {
    Bounds { send_within: Duration::from_secs(4), grace: Duration::from_secs(5), ..bounds() }
}

/// Numbers the benches of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A backfill in a [`Cloud`], with a proxy, a journal and jobs of its own. Any number of engines may work it off.
pub struct Bench<'c> {
    cloud: &'c Cloud,
    /// The only way to the cloud.
    pub proxy: Proxy,
    /// [`bounds`], unless changed.
    pub bounds: Bounds,
    /// How long SubmitJob waits for its answer: a second, unless changed.
    pub submit_timeout: Duration,
    /// The cloud's plan, unless changed.
    pub plan: Plan,
    connection: Connection,
    journal: Arc<dyn Journal>,
    /// The folder that the journal lies in, also where it is reached as S3.
    pub root: PathBuf,
}

impl<'c> Bench<'c> {
    /// One whose journal is in a folder.
    pub async fn new(cloud: &'c Cloud) -> Self {
        let root = cloud.sandbox.root().join(format!("bench-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        Self::build(cloud, root.clone(), |_| Arc::new(FolderJournal::new(root))).await
    }

    /// One whose journal is on S3, behind the proxy too.
    pub async fn on_s3(cloud: &'c Cloud) -> Self {
        let prefix = format!("bench-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let root = cloud.sandbox.lake().join("state").join(&prefix);
        Self::build(cloud, root, |c| Arc::new(S3Journal::new(c, "state", &prefix))).await
    }

    async fn build(
        cloud: &'c Cloud,
        root: PathBuf,
        journal: impl FnOnce(&Connection) -> Arc<dyn Journal>,
    ) -> Self {
        let proxy = Proxy::start(cloud.url());
        let connection = cloud.connection_by(&proxy.url()).await;
        let journal = journal(&connection);
        Self {
            cloud,
            proxy,
            bounds: bounds(),
            submit_timeout: Duration::from_secs(1),
            plan: cloud.plan.clone(),
            connection,
            journal,
            root,
        }
    }

    /// The journal, opened.
    pub async fn book(&self) -> Book {
        Book::open(self.journal.clone(), Arc::new(SystemClock::new())).await.unwrap()
    }

    /// An engine on a right clock, its plan adopted.
    pub async fn engine(&self) -> Engine {
        self.engine_by(Arc::new(SystemClock::new())).await
    }

    /// An engine on this clock, its plan adopted.
    pub async fn engine_by(&self, clock: Arc<dyn Clock>) -> Engine {
        let mut book = Book::open(self.journal.clone(), clock).await.unwrap();
        adopt(&mut book, &self.plan, &self.cloud.definition).await.unwrap();
        let queue = BatchQueue::new(&self.connection, self.bounds).submit_timeout(self.submit_timeout);
        let source = S3Source::new(&self.connection, self.plan.source.bucket.clone());
        Engine::new(book, Arc::new(queue), Arc::new(source), Arc::new(Silent))
    }

    /// The journal.
    pub fn facts(&self) -> Facts {
        Facts::read(&self.root)
    }

    /// What the journal says of the jobs of a partition, in order, each with the number of its try: `1 intended`,
    /// `1 accepted`, `1 succeeded`. What was merely seen under way is left out.
    pub fn story(&self, partition: &str) -> Vec<String> {
        let facts = self.facts();
        let intended: Vec<&Value> =
            facts.of("intended").into_iter().filter(|i| i["slice"] == partition).collect();
        let r#try = |name: &Value| intended.iter().find(|i| i["name"] == *name).map(|i| i["try"].clone());
        let tell = |fact: &Value| match fact["fact"].as_str()? {
            "seen" => None,
            "doubled" | "asked_person" | "gave_up" => {
                (fact["slice"] == partition).then(|| fact["fact"].as_str().unwrap().to_owned())
            }
            kind => {
                let r#try = r#try(&fact["name"])?;
                let what = match (kind, fact["outcome"].as_str()) {
                    ("accepted", _) if fact["found"] == true => "found",
                    ("ended", Some(outcome)) => outcome,
                    ("ended", None) => fact["outcome"]["failed"].as_str().unwrap(),
                    _ => kind,
                };
                Some(format!("{try} {}", what.replace('_', " ")))
            }
        };
        facts.all.iter().filter_map(tell).collect()
    }

    /// Steps, 20 ms apart, until the journal is so; panics at [`BOUND`].
    pub async fn steps_until(&self, engine: &mut Engine, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < BOUND, "never: {what}: {:#?}", self.facts().all);
            engine.advance().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Watches until nothing is left to do.
    pub async fn finish(&self, engine: &mut Engine) {
        let watched = engine.watch(Some(BOUND), |_| ()).await.unwrap();
        assert_eq!(watched, Watched::Finished, "{:#?}", self.facts().all);
    }

    /// The jobs that the cloud has for a partition.
    pub async fn jobs(&self, partition: &str) -> usize {
        let facts = self.facts();
        let opened = facts.of("opened")[0]["uuid"].as_str().unwrap().parse().unwrap();
        self.cloud.jobs(opened).await[partition].len()
    }

    /// Panics unless every day is done by exactly one job, no request to submit it was sent twice, and no more
    /// requests arrived than there are jobs.
    pub async fn each_day_has_one_job(&self) {
        for partition in &self.cloud.partitions {
            assert_eq!(self.jobs(partition).await, 1, "jobs of {partition}: {:?}", self.story(partition));
        }
        self.facts().each_succeeded_once(&self.cloud.partitions);
        let submits = self.proxy.submits();
        assert!(submits.values().all(|n| *n == 1), "SubmitJob requests by job: {submits:?}");
        let named: Vec<String> = self.facts().of("intended").iter().map(|i| name_of(i)).collect();
        assert!(submits.keys().all(|n| named.contains(n)), "{submits:?} were not all intended: {named:?}");
    }

    /// How many SubmitJob requests came.
    pub fn submits(&self) -> u64 {
        self.proxy.count(Call::SubmitJob)
    }
}

fn name_of(fact: &Value) -> String {
    fact["name"].as_str().unwrap().to_owned()
}

/// A clock that is off by so much; its monotonic time is right.
#[derive(Debug)]
pub struct Offset {
    clock: SystemClock,
    by: TimeDelta,
}

impl Offset {
    /// Off by so much.
    pub fn by(by: TimeDelta) -> Self {
        Self { clock: SystemClock::new(), by }
    }
}

#[async_trait]
impl Clock for Offset {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + self.by
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
}
