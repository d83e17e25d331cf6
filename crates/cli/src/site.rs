//! A place, opened: the connection, the journal and the queue, and the local engine where jobs run here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dayfill_aws::{
    BatchQueue, Connection, LocalEndpoint, QueueInfo, Queues, S3Journal, S3Source, Settings, connect,
};
use dayfill_core::fact::Cloud;
use dayfill_core::plan::{Place, RunsOn};
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::book::Book;
use dayfill_engine::ports::{Bounds, Journal, Queue};
use dayfill_local::{Endpoint, LimitMeans, LocalConfig, LocalEngine, Reclaims, Runner, StartError, machine};

use crate::error::{Exit, Failure, chain};
use crate::place::Backfill;

/// The account that the local engine's ARNs name.
pub const LOCAL_ACCOUNT: &str = "000000000000";
/// The Region that the local engine signs for.
pub const LOCAL_REGION: &str = "us-east-1";
/// The word that makes this program the process that owns the local engine's jobs.
pub const GUARD: &str = "__guard";

/// How far a signature's date may be off where dayfill runs the engine for itself: its clients are on this machine, so
/// an intent whose outcome nobody heard is settled within seconds.
const OWN_SIGNATURE_AGE: Duration = Duration::from_secs(5);
/// How long to wait for an engine that another process is just starting or ending.
const ENGINE_WAIT: Duration = Duration::from_secs(10);

/// What a local engine that is started here does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// It runs jobs.
    Run,
    /// It only answers: jobs wait for somebody who stays.
    Hold,
}

/// A place, opened.
pub struct Site {
    /// How to reach S3, Batch and the logs.
    pub connection: Connection,
    /// Where jobs run.
    pub cloud: Cloud,
    /// The queue has a scheduling policy, so every job must have a share identifier, and otherwise none may.
    pub scheduling_policy: bool,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    journal: Arc<dyn Journal>,
    local: Option<LocalEngine>,
}

impl Site {
    /// Opens the place of the backfill that a YAML file describes.
    pub async fn of(backfill: &Backfill, jobs: Jobs) -> Result<Self, Failure> {
        let (spec, job) = (&backfill.spec, backfill.spec.job());
        Self::open(&backfill.place, spec.name(), job.queue(), job.fallback_queue(), jobs).await
    }

    /// Opens a place for a backfill of this name that uses these job queues.
    pub async fn open(
        place: &Place,
        name: &str,
        queue: &str,
        fallback: Option<&str>,
        jobs: Jobs,
    ) -> Result<Self, Failure> {
        let (connection, engine, bounds) = reach(&place.runs_on, jobs).await?;
        let queues = Queues::new(&connection);
        let info = match &place.runs_on {
            RunsOn::Aws { .. } => queues.check(queue).await?,
            RunsOn::Local { .. } => queues.ensure_local_queue(queue).await?,
        };
        // On AWS it is looked at when a plan is made: without it jobs on the first queue are watched all the same.
        if let (Some(fallback), RunsOn::Local { .. }) = (fallback, &place.runs_on) {
            queues.ensure_local_queue(fallback).await?;
        }
        let cloud = cloud(&place.runs_on, &info);
        let journal = journal(place, name, Some(&connection))?;
        let queue = Arc::new(BatchQueue::new(&connection, bounds));
        let scheduling_policy = info.scheduling_policy;
        Ok(Self { connection, cloud, scheduling_policy, queue, journal, local: engine })
    }

    /// The journal, read and folded.
    pub async fn book(&self) -> Result<Book, Failure> {
        Ok(Book::open(self.journal.clone(), Arc::new(SystemClock::new())).await?)
    }

    /// The objects of a bucket.
    pub fn source(&self, bucket: &str) -> S3Source {
        S3Source::new(&self.connection, bucket)
    }

    /// The local engine runs in this process.
    pub fn owns_engine(&self) -> bool {
        self.local.is_some()
    }

    /// Ends the local engine, where it runs in this process.
    pub async fn close(self) {
        if let Some(engine) = self.local {
            engine.shutdown().await;
        }
    }
}

/// The journal alone, for commands that only read it: with a folder nothing else is reached.
pub async fn read_book(place: &Place, name: &str) -> Result<(Book, Option<LocalEngine>), Failure> {
    let (connection, engine) = if place.state.starts_with("s3://") {
        let (connection, engine, _) = reach(&place.runs_on, Jobs::Hold).await?;
        (Some(connection), engine)
    } else {
        (None, None)
    };
    let journal = journal(place, name, connection.as_ref())?;
    Ok((Book::open(journal, Arc::new(SystemClock::new())).await?, engine))
}

/// Where the jobs of a queue run.
pub fn cloud(runs_on: &RunsOn, queue: &QueueInfo) -> Cloud {
    match runs_on {
        RunsOn::Aws { .. } => {
            Cloud::Aws { account: queue.account().to_owned(), region: queue.region().to_owned() }
        }
        RunsOn::Local { folder, .. } => Cloud::Local { folder: folder.clone() },
    }
}

/// The journal of a backfill of this name. On S3 it needs a connection.
pub fn journal(
    place: &Place,
    name: &str,
    connection: Option<&Connection>,
) -> Result<Arc<dyn Journal>, Failure> {
    match (place.state.strip_prefix("s3://"), connection) {
        (Some(rest), Some(connection)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(Arc::new(S3Journal::new(connection, bucket, &format!("{prefix}{name}"))))
        }
        (Some(_), None) => Err(Failure::new(Exit::Error, "a journal on S3 needs a connection")),
        (None, _) => Ok(Arc::new(FolderJournal::new(PathBuf::from(&place.state).join(name)))),
    }
}

/// Connects to where jobs run; starts the local engine if nobody has.
pub async fn reach(
    runs_on: &RunsOn,
    jobs: Jobs,
) -> Result<(Connection, Option<LocalEngine>, Bounds), Failure> {
    match runs_on {
        RunsOn::Aws { region, profile, endpoint_url } => {
            let settings = Settings {
                region: region.clone(),
                profile: profile.clone(),
                endpoint_url: endpoint_url.clone(),
                local: None,
            };
            Ok((connect(settings).await?, None, dayfill_aws::aws_bounds()))
        }
        RunsOn::Local { folder, lake, mounts, vcpus, memory_mib, reclaims } => {
            std::fs::create_dir_all(lake)
                .map_err(|e| Failure::new(Exit::Error, format!("cannot make the lake folder {lake}: {e}")))?;
            let config = LocalConfig {
                dir: PathBuf::from(folder),
                lake: Some(PathBuf::from(lake)),
                mounts: mounts.iter().map(|(n, p)| (n.clone(), PathBuf::from(p))).collect(),
                port: 0,
                vcpus: vcpus.unwrap_or_else(machine::vcpus),
                memory_mib: memory_mib.unwrap_or_else(machine_mib),
                region: LOCAL_REGION.to_owned(),
                account: LOCAL_ACCOUNT.to_owned(),
                signature_age: OWN_SIGNATURE_AGE,
                dispatch: jobs == Jobs::Run,
                guard: guard_command()?,
                record: None,
                runner: Runner::Process,
                limit: LimitMeans::Auto,
                reclaims: reclaims
                    .as_ref()
                    .and_then(|r| Some(Reclaims::new(r.percent / 100.0, r.seed)?.only_on([r.queue.clone()]))),
            };
            let (endpoint, engine) = start_or_attach(config).await?;
            let age = Duration::from_secs(endpoint.signature_age_seconds);
            let bounds = dayfill_aws::local_bounds(endpoint.started_at, age);
            let settings = Settings { local: Some(local_endpoint(&endpoint)), ..Settings::default() };
            Ok((connect(settings).await?, engine, bounds))
        }
    }
}

/// MiB that jobs may use at once on this machine.
pub fn machine_mib() -> u64 {
    // A machine that does not tell gets what the smallest have.
    machine::memory_mib().unwrap_or(2048)
}

/// The engine's endpoint as the ports want it.
pub fn local_endpoint(endpoint: &Endpoint) -> LocalEndpoint {
    LocalEndpoint {
        url: endpoint.url.clone(),
        region: endpoint.region.clone(),
        access_key_id: endpoint.access_key_id.clone(),
        secret_access_key: endpoint.secret_access_key.clone(),
    }
}

/// The command line of the process that owns the jobs: this program again.
pub fn guard_command() -> Result<Vec<OsString>, Failure> {
    let own = std::env::current_exe()
        .map_err(|e| Failure::new(Exit::Error, format!("cannot find this program's own file: {e}")))?;
    Ok(vec![own.into_os_string(), OsString::from(GUARD)])
}

/// Starts the engine on its folder, or finds the one that another process is running there.
async fn start_or_attach(config: LocalConfig) -> Result<(Endpoint, Option<LocalEngine>), Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let pause = Duration::from_millis(100);
        match LocalEngine::start(config.clone()).await {
            Ok(engine) => return Ok((engine.endpoint().clone(), Some(engine))),
            Err(StartError::Running(endpoint)) => return Ok((endpoint, None)),
            Err(StartError::Busy { .. }) if waited < ENGINE_WAIT => {
                tokio::time::sleep(pause).await;
                waited += pause;
            }
            Err(error) => {
                let what = format!("the local engine does not start: {}", chain(&error));
                return Err(Failure::new(Exit::Error, what));
            }
        }
    }
}
