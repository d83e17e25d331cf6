//! One port on loopback that answers for Batch, its logs and S3.

mod dispatch;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::auth::Keys;
use crate::batch::{self, Batch, BatchConfig};
use crate::endpoint::{Claim, Endpoint, Unclaimed};
use crate::lake::{self, Lake, LakeConfig, LakeError};
use crate::limit::{LimitMeans, Limits};
use crate::runner::Runner;
use crate::scheduler::Reclaims;
use dispatch::Dispatch;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests that are being answered may go on at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long to wait when a connection cannot be accepted, as when too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What an engine is to be.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The folder of the job table, the logs, the jobs' scratch folders and the endpoint file. One engine at a
    /// time may have it; it is created for its owner alone.
    pub dir: PathBuf,
    /// A folder whose subfolders are buckets; CreateBucket makes new ones.
    pub lake: Option<PathBuf>,
    /// Names of buckets and the folders that are served as them, wherever these are.
    pub mounts: Vec<(String, PathBuf)>,
    /// The port on loopback; 0: any that is free.
    pub port: u16,
    /// vCPUs that jobs may hold at once.
    pub vcpus: u32,
    /// Memory that jobs may hold at once, in MiB.
    pub memory_mib: u64,
    /// The Region that ARNs name.
    pub region: String,
    /// The twelve-digit account that ARNs name.
    pub account: String,
    /// How far the date of a signature may be off, either way. AWS allows fifteen minutes.
    pub signature_age: Duration,
    /// Whether jobs are started. With `false` they wait in RUNNABLE.
    pub dispatch: bool,
    /// The command line that runs [`crate::guard_main`], the process that owns the jobs.
    pub guard: Vec<OsString>,
    /// A file that every call of Batch is appended to, a JSON line each.
    pub record: Option<PathBuf>,
    /// How jobs are run.
    pub runner: Runner,
    /// Who is to hold jobs to their memory, where they run as processes.
    pub limit: LimitMeans,
    /// Which hosts are taken away while jobs run; none: no host is.
    pub reclaims: Option<Reclaims>,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the folder and serves; this is how to reach it.
    #[error("a local engine is already running on this folder at {} (process {})", .0.url, .0.pid)]
    Running(Endpoint),
    /// Another process has the folder, but does not serve (yet, or any more).
    #[error("another process is using the folder {}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of the engine cannot be used.
    #[error("cannot use {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder that was to be served cannot be.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The job table cannot be used.
    #[error(transparent)]
    Jobs(#[from] batch::OpenError),
    /// The jobs cannot be started.
    #[error(transparent)]
    Guard(#[from] batch::StartError),
    /// The port is taken, or may not be used.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Port {
        /// The port as asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no random numbers for the keys.
    #[error("the system gives no random numbers for the keys: {0}")]
    Random(getrandom::Error),
}

/// A running engine: AWS Batch, its logs and S3 on loopback.
///
/// [`LocalEngine::shutdown`] ends it in order. Dropped without, it stops listening, and the jobs end with the
/// process.
pub struct LocalEngine {
    endpoint: Endpoint,
    batch: Arc<Batch>,
    /// Dropping it ends the server.
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    _claim: Claim,
}

impl LocalEngine {
    /// Claims the folder, listens, and begins to run jobs.
    pub async fn start(config: LocalConfig) -> Result<Self, StartError> {
        let dir = config.dir.clone();
        let claim = Claim::take(&dir).await.map_err(|unclaimed| match unclaimed {
            Unclaimed::Taken(Some(endpoint)) => StartError::Running(endpoint),
            Unclaimed::Taken(None) => StartError::Busy { path: dir.clone() },
            Unclaimed::Io(path, source) => StartError::Folder { path, source },
        })?;
        let lake = Lake::open(LakeConfig {
            lake: config.lake,
            mounts: config.mounts,
            side: dir.join("buckets"),
            region: config.region.clone(),
        })?;
        let keys = Keys::fresh().map_err(StartError::Random)?;
        let batch = Batch::open(BatchConfig {
            dir: dir.clone(),
            vcpus: config.vcpus,
            memory_mib: config.memory_mib,
            region: config.region.clone(),
            account: config.account,
            guard: config.guard,
            dispatch: config.dispatch,
            runner: config.runner,
            limit: config.limit,
            record: config.record,
            second: Duration::from_secs(1),
            reclaims: config.reclaims,
        })?;
        let in_use = |source| StartError::Port { port: config.port, source };
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, config.port))).await.map_err(in_use)?;
        let port = listener.local_addr().map_err(in_use)?.port();
        let endpoint = Endpoint {
            url: format!("http://127.0.0.1:{port}"),
            region: config.region,
            access_key_id: keys.id.clone(),
            secret_access_key: keys.secret.clone(),
            started_at: Utc::now(),
            signature_age_seconds: config.signature_age.as_secs(),
            pid: std::process::id(),
        };
        let s3 = lake::service(lake, &keys.id, &keys.secret, config.signature_age);
        let dispatch = Arc::new(Dispatch { keys, age: config.signature_age, s3, batch: Arc::clone(&batch) });
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, dispatch, stopped));
        // From here on a return drops `stop`, which ends the server.
        batch.start(job_environment(&endpoint)).await?;
        claim.publish(&endpoint).map_err(|source| StartError::Folder { path: dir, source })?;
        Ok(Self { endpoint, batch, stop, server, _claim: claim })
    }

    /// How to reach it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who holds jobs to their memory; nobody where no job is started.
    pub fn limits(&self) -> Option<Limits> {
        self.batch.limits()
    }

    /// Takes no more connections, ends all jobs, finishes the answers under way and gives the folder up.
    pub async fn shutdown(self) {
        // Nobody listens only if the server has ended already.
        let _ = self.stop.send(true);
        self.batch.shutdown().await;
        // An error would be a panic of the server, which its task has reported.
        let _ = self.server.await;
    }
}

/// What a job needs to find this engine instead of AWS.
fn job_environment(endpoint: &Endpoint) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL_S3", &endpoint.url),
        ("AWS_ENDPOINT_URL_BATCH", &endpoint.url),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &endpoint.url),
        ("AWS_REGION", &endpoint.region),
        ("AWS_DEFAULT_REGION", &endpoint.region),
        ("AWS_ACCESS_KEY_ID", &endpoint.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &endpoint.secret_access_key),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec()
}

async fn serve(listener: TcpListener, dispatch: Arc<Dispatch>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&dispatch), stopped.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            // An error says that the engine was dropped.
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    // Those that do not end in time are cut with the set.
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_ANSWERS, ended).await;
}

async fn connection(stream: TcpStream, dispatch: Arc<Dispatch>, mut stopped: watch::Receiver<bool>) {
    // It only saves time.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let dispatch = Arc::clone(&dispatch);
        async move { Ok::<_, std::convert::Infallible>(dispatch.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    // A connection that breaks is the client's to notice.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
