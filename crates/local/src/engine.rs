//! Everything that is kept in memory, and the one way in which it changes: decided by the scheduler, written to the
//! table, and only then handed to the runner.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::names::{self, Names, instance_id, run_id};
use crate::scheduler::{
    Capacity, Effect, Event, JobKey, JobState, Millis, Queue, Reclaims, Scheduler, Settings, Summary,
};
use crate::table::{
    DefinitionRecord, EnvironmentRecord, JobRecord, Progress, QueueRecord, Record, Table, TableError,
};
use crate::wire::ApiError;
use crate::wire::shapes::Texts;

/// The name of the environment that every engine has.
pub const DEFAULT_ENVIRONMENT: &str = "local";
/// The name of the queue that every engine has.
pub const DEFAULT_QUEUE: &str = "default";

// SIGKILL follows SIGTERM after this many seconds.
const STOP_GRACE: Millis = 30;

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Region and account.
    pub names: Names,
    /// What all jobs together may hold.
    pub machine: Capacity,
    /// How long a second of a job's timeout lasts, in milliseconds.
    pub second: Millis,
    /// Which hosts are taken away while jobs run.
    pub reclaims: Option<Reclaims>,
}

/// A job and what the engine adds to the scheduler's knowledge of it.
#[derive(Debug)]
pub struct Job {
    /// Its number.
    pub key: JobKey,
    /// All about it that does not change; of a child, what it shares with its array.
    pub record: Arc<JobRecord>,
    /// Its place in its array; none where it is no child.
    pub index: Option<u32>,
    /// The most memory that attempts held, in KiB.
    pub peaks: BTreeMap<u32, u64>,
    /// The made-up hosts of attempts.
    pub hosts: BTreeMap<u32, String>,
}

impl Job {
    /// A job that has made no attempt, and its children if it is an array.
    pub fn family(record: JobRecord) -> impl Iterator<Item = Self> {
        let record = Arc::new(record);
        let size = record.submission.array.as_ref().map_or(0, |array| array.size);
        std::iter::once(None).chain((0..size).map(Some)).map(move |index| Self {
            key: index.map_or(record.key, |index| record.key.child(index)),
            record: Arc::clone(&record),
            index,
            peaks: BTreeMap::new(),
            hosts: BTreeMap::new(),
        })
    }

    /// Its id.
    pub fn id(&self) -> String {
        match self.index {
            Some(index) => format!("{}:{index}", self.record.id),
            None => self.record.id.clone(),
        }
    }
}

/// The engine without its processes.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) environments: BTreeMap<String, EnvironmentRecord>,
    pub(crate) queues: BTreeMap<String, QueueRecord>,
    pub(crate) definitions: BTreeMap<String, BTreeMap<u32, DefinitionRecord>>,
    pub(crate) jobs: BTreeMap<JobKey, Job>,
    pub(crate) ids: HashMap<String, JobKey>,
    pub(crate) tags: HashMap<String, Texts>,
    // Attempts by the name of their run.
    runs: HashMap<String, (JobKey, u32)>,
    scheduler: Scheduler,
    table: Table,
    host: String,
    // Jobs whose progress is not in the table yet, and what must not be done before it is.
    dirty: BTreeSet<JobKey>,
    outbox: Vec<Effect>,
}

impl Engine {
    /// Opens the table at `path`. Returns also the ids of the jobs that were running when it was last closed; their
    /// processes must be gone before [`Engine::lose_host`] is called.
    pub fn open(path: &Path, config: EngineConfig) -> Result<(Self, Vec<String>), TableError> {
        let (table, records) = Table::open(path)?;
        let settings = Settings {
            host: Some(config.machine),
            stop_grace: STOP_GRACE.saturating_mul(config.second),
            dispatch: false,
            reclaims: config.reclaims.clone(),
        };
        let mut engine = Self {
            config,
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            definitions: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ids: HashMap::new(),
            tags: HashMap::new(),
            runs: HashMap::new(),
            scheduler: Scheduler::new(settings),
            table,
            host: instance_id(),
            dirty: BTreeSet::new(),
            outbox: Vec::new(),
        };
        engine.replay(records);
        if engine.environments.is_empty() {
            engine.create_defaults().map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        }
        let active = engine.scheduler.active();
        let running = active.filter_map(|key| engine.jobs.get(&key)).map(Job::id).collect();
        Ok((engine, running))
    }

    fn replay(&mut self, records: Vec<Record>) {
        let mut states: HashMap<JobKey, JobState> = HashMap::new();
        for record in records {
            match record {
                Record::Version(_) => {}
                Record::Host(host) => self.host = host,
                Record::Environment(environment) => self.keep_environment(environment),
                Record::Queue(queue) => self.keep_queue(queue),
                Record::Definition(definition) => self.keep_definition(*definition),
                Record::Job(record) => self.keep_job(*record),
                Record::State(key, progress) => {
                    if let Some(job) = self.jobs.get_mut(&key) {
                        (job.peaks, job.hosts) = (progress.peaks, progress.hosts);
                        states.insert(key, progress.state);
                    }
                }
                Record::Tags(arn, tags) => self.keep_tags(arn, tags),
            }
        }
        for (key, job) in &self.jobs {
            let state = states.remove(key).unwrap_or_else(|| JobState::new(job.record.created_at));
            for attempt in 1..=state.attempt() {
                self.runs.insert(run_id(&job.id(), attempt), (*key, attempt));
            }
            // Parents have lower numbers than their children.
            match job.index {
                Some(index) => self.scheduler.restore_child(job.record.key, index, state),
                None => self.scheduler.restore(*key, job.record.submission.clone(), state),
            }
        }
    }

    fn create_defaults(&mut self) -> io::Result<()> {
        let environment = EnvironmentRecord {
            name: DEFAULT_ENVIRONMENT.to_owned(),
            kind: "MANAGED".to_owned(),
            enabled: true,
            max_vcpus: None,
            resources: None,
            service_role: None,
            unmanaged_vcpus: None,
            uuid: uuid::Uuid::new_v4().to_string(),
        };
        let queue = QueueRecord {
            name: DEFAULT_QUEUE.to_owned(),
            priority: 1,
            enabled: true,
            policy: None,
            environments: vec![(1, DEFAULT_ENVIRONMENT.to_owned())],
        };
        self.table.append(&[
            Record::Host(self.host.clone()),
            Record::Environment(environment.clone()),
            Record::Queue(queue.clone()),
        ])?;
        self.keep_environment(environment);
        self.keep_queue(queue);
        Ok(())
    }

    /// Ends all running attempts: their processes are gone, for a reason that is not their own. Later attempts run on
    /// another made-up host.
    pub fn lose_host(&mut self, now: Millis) -> io::Result<()> {
        let lost = names::host_terminated(&self.host);
        self.host = instance_id();
        let told = self.table.append(&[Record::Host(self.host.clone())]);
        self.apply(now, Event::HostLost(lost))?;
        told
    }

    /// Begins to start jobs, or stops doing so.
    pub fn set_dispatch(&mut self, now: Millis, dispatch: bool) -> io::Result<()> {
        self.scheduler.set_dispatch(dispatch);
        self.apply(now, Event::Tick)
    }

    /// Takes in what happened. After an error the engine has it in memory only; the next call tries again to write it.
    pub fn apply(&mut self, now: Millis, event: Event) -> io::Result<()> {
        let effects = self.scheduler.apply(now, event);
        for effect in &effects {
            if let Effect::Start(key, attempt) = effect
                && let Some(job) = self.jobs.get_mut(key)
            {
                let own = self.config.reclaims.as_ref();
                let own = own.and_then(|r| r.host(&job.record.submission.queue, *key, *attempt));
                job.hosts.insert(*attempt, own.unwrap_or_else(|| self.host.clone()));
                self.runs.insert(run_id(&job.id(), *attempt), (*key, *attempt));
            }
        }
        self.outbox.extend(effects);
        self.flush()
    }

    /// Notes the most memory that an attempt held, to be written with the job's next change.
    pub fn note_peak(&mut self, key: JobKey, attempt: u32, peak_kib: Option<u64>) {
        if let (Some(job), Some(peak)) = (self.jobs.get_mut(&key), peak_kib) {
            job.peaks.insert(attempt, peak);
        }
    }

    /// What the runner must do, now that the table knows of it.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        if self.dirty.is_empty() { std::mem::take(&mut self.outbox) } else { Vec::new() }
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.scheduler.next_deadline()
    }

    /// The ids of the jobs that a runner has.
    pub fn active_ids(&self) -> Vec<String> {
        let jobs = self.scheduler.active().filter_map(|key| self.jobs.get(&key));
        jobs.map(Job::id).collect()
    }

    /// How far a job has come.
    pub fn state(&self, key: JobKey) -> Option<&JobState> {
        self.scheduler.state(key)
    }

    /// The attempt whose run has this name.
    pub fn run(&self, run: &str) -> Option<(JobKey, u32)> {
        self.runs.get(run).copied()
    }

    /// Whether something could not be written yet.
    pub fn is_behind(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The name of the environment that holds a job.
    pub fn placed_in(&self, key: JobKey) -> Option<&str> {
        self.state(key)?.environment.as_deref()
    }

    /// The table's file, if it should be synced.
    pub fn unsynced(&mut self) -> Option<File> {
        self.table.unsynced()
    }

    /// Writes records that the caller is about to keep.
    pub(crate) fn write(&mut self, records: &[Record]) -> Result<(), ApiError> {
        self.table.append(records).map_err(|source| unwritable(&source))
    }

    /// As [`Engine::apply`], for an operation of the API.
    pub(crate) fn act(&mut self, now: Millis, event: Event) -> Result<(), ApiError> {
        self.apply(now, event).map_err(|source| unwritable(&source))
    }

    /// The number of the next job.
    pub(crate) fn next_key(&self) -> JobKey {
        JobKey(self.jobs.last_key_value().map_or(1, |(key, _)| key.0 + 1))
    }

    /// The job of this id or ARN.
    pub(crate) fn find(&self, text: &str) -> Option<&Job> {
        let id = self.config.names.short("job", text);
        if let Some(key) = self.ids.get(id) {
            return self.jobs.get(key);
        }
        let (parent, index) = id.rsplit_once(':')?;
        let key = self.ids.get(parent)?.child(index.parse().ok()?);
        // Whatever has that number, and any other way to write it, is nobody's id.
        self.jobs.get(&key).filter(|job| job.id() == id)
    }

    /// How the children of an array fare.
    pub(crate) fn summary(&self, key: JobKey) -> Option<Summary> {
        self.scheduler.summary(key)
    }

    pub(crate) fn keep_job(&mut self, record: JobRecord) {
        self.ids.insert(record.id.clone(), record.key);
        self.jobs.extend(Job::family(record).map(|job| (job.key, job)));
    }

    pub(crate) fn keep_environment(&mut self, environment: EnvironmentRecord) {
        let machine = self.config.machine;
        let vcpus = environment.max_vcpus.map_or(machine.milli_vcpus, |vcpus| vcpus.saturating_mul(1000));
        let total = Capacity { milli_vcpus: vcpus, ..machine };
        self.scheduler.put_environment(&environment.name, total, environment.enabled);
        self.environments.insert(environment.name.clone(), environment);
    }

    pub(crate) fn keep_queue(&mut self, queue: QueueRecord) {
        let environments = queue.environments.iter().map(|(_, name)| name.clone()).collect();
        self.scheduler.put_queue(&queue.name, Queue { priority: queue.priority, environments });
        self.queues.insert(queue.name.clone(), queue);
    }

    pub(crate) fn keep_definition(&mut self, definition: DefinitionRecord) {
        self.definitions.entry(definition.name.clone()).or_default().insert(definition.revision, definition);
    }

    pub(crate) fn keep_tags(&mut self, arn: String, tags: Texts) {
        self.tags.insert(arn, tags);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.dirty.extend(self.scheduler.take_transitions().into_iter().map(|transition| transition.job));
        if self.dirty.is_empty() {
            return Ok(());
        }
        let records: Vec<Record> = self.dirty.iter().filter_map(|key| self.progress(*key)).collect();
        self.table.append(&records)?;
        self.dirty.clear();
        if self.table.is_long() {
            // All is written already. What could not be shortened now is after the next change.
            let _ = self.compact();
        }
        Ok(())
    }

    /// Shortens the table to what it says at last.
    pub(crate) fn compact(&mut self) -> io::Result<()> {
        self.table.compact(&self.all_records())
    }

    fn progress(&self, key: JobKey) -> Option<Record> {
        let job = self.jobs.get(&key)?;
        let state = self.scheduler.state(key)?.clone();
        let progress = Progress { state, peaks: job.peaks.clone(), hosts: job.hosts.clone() };
        Some(Record::State(key, Box::new(progress)))
    }

    fn all_records(&self) -> Vec<Record> {
        let definitions = self.definitions.values().flat_map(BTreeMap::values);
        // Children have no record of their own.
        let alone = self.jobs.values().filter(|job| job.index.is_none());
        std::iter::once(Record::Host(self.host.clone()))
            .chain(self.environments.values().cloned().map(Record::Environment))
            .chain(self.queues.values().cloned().map(Record::Queue))
            .chain(definitions.map(|definition| Record::Definition(Box::new(definition.clone()))))
            .chain(alone.map(|job| Record::Job(Box::new(JobRecord::clone(&job.record)))))
            .chain(self.jobs.keys().filter_map(|key| self.progress(*key)))
            .chain(self.tags.iter().map(|(arn, tags)| Record::Tags(arn.clone(), tags.clone())))
            .collect()
    }
}

fn unwritable(source: &io::Error) -> ApiError {
    ApiError::Server(format!("the job table cannot be written: {source}"))
}
