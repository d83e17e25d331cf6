//! What the engine and the guard say to each other: JSON lines, requests on the guard's stdin, news on its stdout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::docker::Container;

/// The name of one run of a command, unique as long as the guard lives.
pub type RunId = String;

/// Something that the guard must do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Start a command.
    Spawn(Box<Spawn>),
    /// Send SIGTERM to the processes of a run.
    Term(RunId),
    /// Send SIGKILL to the processes of a run.
    Kill(RunId),
}

/// A command to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// The name of the run.
    pub run: RunId,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment: nothing is inherited, but from the image.
    pub env: Vec<(String, String)>,
    /// The folder to run in; it is created.
    pub cwd: PathBuf,
    /// The file that standard output and error go to; it and its folder are created.
    pub log: PathBuf,
    /// Memory that the run may hold, in KiB.
    pub limit_kib: u64,
    /// The control group that holds it to that; it is created, and removed. Without one the guard does so by itself.
    pub cgroup: Option<PathBuf>,
    /// The container to run it in, where it is not to be a process of this machine.
    pub container: Option<Container>,
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum News {
    /// The command runs.
    Started {
        /// Of this run.
        run: RunId,
    },
    /// The command could not be started.
    Refused {
        /// Of this run.
        run: RunId,
        /// In the words of a container runtime.
        message: String,
    },
    /// The command has ended, and no process of the run is left.
    Exited {
        /// Of this run.
        run: RunId,
        /// The exit code; 128 and the signal's number where a signal ended it.
        code: i32,
        /// The most memory that the run was seen to hold, in KiB; none for a run too short to be seen.
        peak_kib: Option<u64>,
        /// Whether it was killed because it held more than its limit.
        oom: bool,
    },
}
