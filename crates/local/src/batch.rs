//! AWS Batch on this machine, behind two calls: one for Batch's REST JSON, one for CloudWatch Logs' JSON 1.1.

mod drive;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{self, Call};
use crate::engine::{Engine, EngineConfig};
use crate::guard::claim;
use crate::guard::protocol::News;
use crate::limit::cgroup::{self, CgroupError, Home};
use crate::limit::{LimitMeans, Limits};
use crate::logs::{Logs, RunTimes};
use crate::names::{Names, engine_id};
use crate::process::{self, GuardLink};
use crate::runner::{Owner, Runner};
use crate::scheduler::{Capacity, Millis, Reclaims};
use crate::table::TableError;

/// What a server sends back: the HTTP status, header names and values, and the body.
pub type Answer = (u16, Vec<(String, String)>, Vec<u8>);

// How long the guard may take to kill what runs. It needs milliseconds, unless a process hangs in the kernel.
const SHUTDOWN: Duration = Duration::from_secs(10);
// A child of the former engine holds the lock as well, for the instant between its fork and its exec.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Where and how large the engine is.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// The folder that keeps jobs, definitions, queues and logs; created when it is missing.
    pub dir: PathBuf,
    /// vCPUs that jobs may hold at once.
    pub vcpus: u32,
    /// Memory that jobs may hold at once, in MiB.
    pub memory_mib: u64,
    /// The Region that ARNs name.
    pub region: String,
    /// The twelve-digit account that ARNs name.
    pub account: String,
    /// The command line that runs [`crate::guard_main`], the process that owns the jobs.
    pub guard: Vec<OsString>,
    /// Whether jobs are started. With `false` they wait in RUNNABLE.
    pub dispatch: bool,
    /// How jobs are run.
    pub runner: Runner,
    /// Who is to hold jobs to their memory, where they run as processes.
    pub limit: LimitMeans,
    /// A file that every call of Batch is appended to, a JSON line each: `{"operation","request","response"}`, or
    /// `"error"` in place of the response.
    pub record: Option<PathBuf>,
    /// How long one second of a job's timeout lasts; anything but a second is for tests.
    pub second: Duration,
    /// Which hosts are taken away while jobs run.
    pub reclaims: Option<Reclaims>,
}

/// Why the engine's folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or folder cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another engine has the folder.
    #[error("{} is in use by another engine", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The job table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Memory cannot be limited in the way that was asked for.
    #[error("jobs cannot be held to their memory by control groups")]
    Cgroup(#[from] CgroupError),
    /// Jobs are to run as containers, and there is nothing that runs containers.
    #[error("no Docker engine answers: {0}")]
    Docker(String),
}

/// Why the jobs cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The guard, which runs the jobs, did not start.
    #[error("cannot start the process that guards the jobs")]
    Guard(#[source] io::Error),
    /// The job table cannot be written.
    #[error("cannot write the job table")]
    Table(#[source] io::Error),
}

/// The engine: an AWS Batch whose jobs are processes or containers of this machine.
#[derive(Debug)]
pub struct Batch {
    config: BatchConfig,
    names: Names,
    logs: Logs,
    // Absolute.
    dir: PathBuf,
    scratch: PathBuf,
    // The control group of this engine, where the kernel sees to the limits.
    home: Option<Home>,
    // Whose the containers are, where jobs run as such.
    owner: Option<Owner>,
    state: Mutex<State>,
    // Something that the driver waits for may have changed.
    wake: Notify,
    driver: Mutex<Option<JoinHandle<()>>>,
    record: Option<Mutex<File>>,
    // Held as long as the engine lives: one engine per folder.
    _lock: File,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    guard: Option<GuardLink>,
    job_env: Vec<(String, String)>,
    closing: bool,
}

impl Batch {
    /// Opens the folder and reads its job table. Jobs that were running when it was last in use are ended: their
    /// processes are killed, should any be left, and their host counts as lost. No job is started before
    /// [`Batch::start`].
    pub fn open(config: BatchConfig) -> Result<Arc<Self>, OpenError> {
        let used = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        let dir = std::path::absolute(&config.dir).map_err(used(&config.dir))?;
        fs::create_dir_all(&dir).map_err(used(&dir))?;
        let lock = lock(&dir)?;
        let names = Names { region: config.region.clone(), account: config.account.clone() };
        let machine =
            Capacity { milli_vcpus: u64::from(config.vcpus) * 1000, memory_mib: config.memory_mib, gpus: 0 };
        let second = Millis::try_from(config.second.as_millis()).unwrap_or(Millis::MAX);
        let path = dir.join("jobs.jsonl");
        let reclaims = config.reclaims.clone();
        let engine = EngineConfig { names: names.clone(), machine, second, reclaims };
        let (mut engine, running) = Engine::open(&path, engine)?;
        claim::wait_until_free(&dir).map_err(used(&dir))?;
        process::sweep(&running);
        let mark = dir.join("cgroup");
        clear_home(&mark)?;
        let processes = config.dispatch && config.runner == Runner::Process;
        let home = if processes { open_home(&dir, &mark, config.limit)? } else { None };
        let owner = Owner::of(&dir);
        owner.clear(&config).map_err(OpenError::Docker)?;
        let owner = (config.runner == Runner::Docker).then_some(owner);
        let scratch = dir.join("scratch");
        match fs::remove_dir_all(&scratch) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(used(&scratch)(source)),
            _ => {}
        }
        engine.lose_host(now()).map_err(used(&path))?;
        let record = match &config.record {
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path).map_err(used(path))?;
                Some(Mutex::new(file))
            }
            None => None,
        };
        Ok(Arc::new(Self {
            logs: Logs::new(dir.join("logs")),
            config,
            names,
            dir,
            scratch,
            home,
            owner,
            state: Mutex::new(State { engine, guard: None, job_env: Vec::new(), closing: false }),
            wake: Notify::new(),
            driver: Mutex::new(None),
            record,
            _lock: lock,
        }))
    }

    /// Starts the guard and begins to start jobs, each with `job_env` in its environment. To be called once. With
    /// `dispatch: false` nothing is started.
    #[allow(clippy::unused_async, reason = "to be called where there is a runtime to spawn on")]
    pub async fn start(self: &Arc<Self>, job_env: Vec<(String, String)>) -> Result<(), StartError> {
        let news = if self.config.dispatch {
            let (guard, news) = self.start_guard().map_err(StartError::Guard)?;
            let mut state = self.lock();
            state.job_env = job_env;
            state.guard = Some(guard);
            state.engine.set_dispatch(now(), true).map_err(StartError::Table)?;
            self.deliver(&mut state);
            Some(news)
        } else {
            None
        };
        let driver = tokio::spawn(drive::drive(Arc::clone(self), news));
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
        Ok(())
    }

    /// Answers one call of Batch's REST JSON. `path` as it was sent: percent-encoded, with its query if it has one.
    #[allow(clippy::unused_async, reason = "a server awaits its answers, and this one may come to wait")]
    pub async fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let call = {
            let mut state = self.lock();
            let call = api::call(&mut state.engine, now(), method, path, body);
            self.deliver(&mut state);
            call
        };
        self.wake.notify_one();
        let request_id = uuid::Uuid::new_v4().to_string();
        self.write_record(&call, &request_id);
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.push(("x-amzn-requestid".to_owned(), request_id.clone()));
        match call.outcome {
            Ok(answer) => (200, headers, answer.to_string().into_bytes()),
            Err(error) => {
                headers.push(("x-amzn-errortype".to_owned(), error.kind().to_owned()));
                (error.status(), headers, error.body(&request_id))
            }
        }
    }

    /// Answers one call of CloudWatch Logs; `target` is the value of `X-Amz-Target`.
    #[allow(clippy::unused_async, reason = "a server awaits its answers, and this one may come to wait")]
    pub async fn call_logs(&self, target: &str, body: &[u8]) -> Answer {
        let answer = self.logs.call(&self.names, target, body, |run| self.times(run));
        let request_id = uuid::Uuid::new_v4().to_string();
        let mut headers = vec![("content-type".to_owned(), "application/x-amz-json-1.1".to_owned())];
        headers.push(("x-amzn-requestid".to_owned(), request_id));
        match answer {
            Ok(answer) => (200, headers, answer.to_string().into_bytes()),
            Err(error) => {
                headers.push(("x-amzn-errortype".to_owned(), error.kind.to_owned()));
                let body = json!({ "__type": error.kind, "message": error.message });
                (400, headers, body.to_string().into_bytes())
            }
        }
    }

    /// Ends all jobs and the guard. What was running reads as lost with its host at the next open.
    pub async fn shutdown(&self) {
        {
            let mut state = self.lock();
            state.closing = true;
            // What is not told any more is read from the table at the next open. Dropping the link ends the guard.
            let _ = state.engine.set_dispatch(now(), false);
            state.guard = None;
        }
        self.wake.notify_one();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
            // A guard that takes longer goes on killing by itself.
            let _ = timeout(SHUTDOWN, driver).await;
        }
        if let Some(home) = &self.home {
            // The guard has done so already, unless it was killed. What is in use is for the next engine.
            home.remove();
        }
        let unsynced = self.lock().engine.unsynced();
        if let Some(file) = unsynced {
            let _ = tokio::task::spawn_blocking(move || file.sync_data()).await;
        }
    }

    /// Who holds jobs to their memory; nobody where no job is started.
    pub fn limits(&self) -> Option<Limits> {
        let limits = match (&self.home, self.config.runner) {
            (_, Runner::Docker) => Limits::Docker,
            (Some(home), Runner::Process) => home.limits(),
            (None, Runner::Process) => Limits::Supervisor,
        };
        self.config.dispatch.then_some(limits)
    }

    fn start_guard(&self) -> io::Result<(GuardLink, UnboundedReceiver<News>)> {
        let home = self.home.as_ref().map(Home::path);
        GuardLink::start(&self.config.guard, &self.dir, home, self.config.runner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The engine changes in steps that are each whole, so what a panic left behind is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self, run: &str) -> Option<RunTimes> {
        let state = self.lock();
        let (key, attempt) = state.engine.run(run)?;
        let job = state.engine.state(key)?;
        let current = job.status.is_active() && job.attempt() == attempt;
        let ended = job.attempts.get(attempt.checked_sub(1)? as usize);
        let started_at = if current { job.started_at } else { ended.and_then(|attempt| attempt.started_at) };
        Some(RunTimes { started_at, active: current })
    }

    fn write_record(&self, call: &Call, request_id: &str) {
        let Some(file) = &self.record else { return };
        let mut line = json!({ "operation": call.operation, "request": call.request });
        match &call.outcome {
            Ok(answer) => line["response"] = answer.clone(),
            Err(error) => {
                line["error"] = json!({ "type": error.kind(), "message": error.message(request_id) });
            }
        }
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A record that cannot be written must not fail the call that it records.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

// A file in the engine's folder names the group. Every start has a new one: the guard of the last engine may be just
// about to clear its own.
fn open_home(dir: &Path, mark: &Path, means: LimitMeans) -> Result<Option<Home>, OpenError> {
    let name = format!("{}-{}", engine_id(dir), uuid::Uuid::new_v4().simple());
    let home = match means {
        LimitMeans::Supervisor => return Ok(None),
        LimitMeans::Cgroup => Home::open(&name)?,
        LimitMeans::Auto => match Home::open(&name) {
            Ok(home) => home,
            Err(_) => return Ok(None),
        },
    };
    let path = home.path().as_os_str().as_encoded_bytes();
    fs::write(mark, path).map_err(|source| OpenError::Io { path: mark.to_owned(), source })?;
    Ok(Some(home))
}

// What the last engine left.
fn clear_home(mark: &Path) -> Result<(), OpenError> {
    let Ok(left) = fs::read_to_string(mark) else { return Ok(()) };
    cgroup::clear(Path::new(&left))?;
    // It may be gone, as it is after an end in order.
    let _ = fs::remove_dir(left);
    let _ = fs::remove_file(mark);
    Ok(())
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("jobs.lock");
    let io = |source| OpenError::Io { path: path.clone(), source };
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
            Err(fs::TryLockError::WouldBlock) if tries == LOCK_TRIES => {
                return Err(OpenError::Busy { path: dir.to_owned() });
            }
            Err(fs::TryLockError::WouldBlock) => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
        }
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
