//! AWS Batch on this machine, behind two calls: one for Batch's REST JSON, one for CloudWatch Logs' JSON 1.1.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a server sends back: the HTTP status, header names and values, and the body.
pub type Answer = (u16, Vec<(String, String)>, Vec<u8>);

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
    /// A file that every call is appended to, a JSON line each: `{"operation","request","response"}`.
    pub record: Option<PathBuf>,
    /// How long one second of a job's timeout lasts; anything but a second is for tests.
    pub second: Duration,
}

/// Why the engine's folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file of the folder cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Why the jobs cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The guard, which runs the jobs, did not start.
    #[error("cannot start the process that guards the jobs")]
    Guard(#[source] std::io::Error),
}

/// The engine.
#[derive(Debug)]
pub struct Batch {
    config: BatchConfig,
}

impl Batch {
    /// Opens the folder and reads its job table. No job is started before [`Batch::start`].
    pub fn open(config: BatchConfig) -> Result<Arc<Self>, OpenError> {
        Ok(Arc::new(Self { config }))
    }

    /// Starts the guard and begins to start jobs, each with `job_env` in its environment.
    /// With `dispatch: false` nothing is started.
    pub async fn start(self: &Arc<Self>, job_env: Vec<(String, String)>) -> Result<(), StartError> {
        let _ = (job_env, &self.config);
        Ok(())
    }

    /// Answers one call of Batch's REST JSON. `path` as it was sent: percent-encoded, with its query if it has one.
    pub async fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let _ = (method, path, body);
        (404, Vec::new(), Vec::new())
    }

    /// Answers one call of CloudWatch Logs; `target` is the value of `X-Amz-Target`.
    pub async fn call_logs(&self, target: &str, body: &[u8]) -> Answer {
        let _ = (target, body);
        (404, Vec::new(), Vec::new())
    }

    /// Ends all jobs and the guard. What was running reads as lost with its host at the next open.
    pub async fn shutdown(&self) {}
}
