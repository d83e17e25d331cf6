//! One run of a command.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::processes::{self, Identity, Process, Snapshot};
use super::protocol::Spawn;
use super::tree::Tree;
use crate::limit::Gauge;

/// The variable by which a process that lost every other tie to its job is still known.
pub const MARK: &str = "AWS_BATCH_JOB_ID";

const OOM_CODE: i32 = 137;

/// A command that was started and whose processes are not all gone.
#[derive(Debug)]
pub struct Run {
    tree: Tree,
    mark: Option<String>,
    gauge: Gauge,
    oom: bool,
    code: Option<i32>,
}

impl Run {
    /// Starts a command in its own process group. The error is in the words of a container runtime.
    pub fn spawn(spawn: &Spawn, page_kib: u64) -> Result<Self, String> {
        let Some((program, arguments)) = spawn.command.split_first() else {
            return Err(
                "CannotCreateContainerError: Error response from daemon: No command specified".to_owned()
            );
        };
        let log = prepare(spawn)
            .map_err(|source| format!("CannotCreateContainerError: Error response from daemon: {source}"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(spawn.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&spawn.cwd).stdin(Stdio::null()).process_group(0);
        let child = log
            .try_clone()
            .and_then(|copy| command.stdout(log).stderr(copy).spawn())
            .map_err(|source| refusal(program, &source))?;
        let pid = child.id() as i32;
        // Nobody has reaped it yet, so it can be read even if it has ended.
        let root = processes::read(pid).map_or(Identity { pid, start: 0 }, |process| process.identity);
        let mark = spawn.env.iter().find(|(name, _)| name == MARK).map(|(_, value)| value.clone());
        Ok(Self {
            tree: Tree::new(root),
            mark,
            gauge: Gauge::new(spawn.limit_kib, page_kib),
            oom: false,
            code: None,
        })
    }

    /// The process that was started.
    pub fn root(&self) -> i32 {
        self.tree.root()
    }

    /// Whether the process that was started has ended.
    pub fn root_ended(&self) -> bool {
        self.code.is_some()
    }

    /// Takes in the exit code of the process that was started.
    pub fn set_code(&mut self, code: i32) {
        self.code = Some(code);
    }

    /// How the run ended: exit code, peak in KiB, and whether it held too much memory. To be asked when
    /// [`Run::root_ended`] and no process is left.
    pub fn outcome(&self) -> (i32, Option<u64>, bool) {
        let code = if self.oom { OOM_CODE } else { self.code.unwrap_or(OOM_CODE) };
        (code, self.gauge.peak_kib(), self.oom)
    }

    /// Counts a stray process as this run's when its environment says so. Returns whether it did.
    pub fn claim(&mut self, process: Process) -> bool {
        let claimed = self.mark.is_some() && processes::variable(process.identity.pid, MARK) == self.mark;
        if claimed {
            self.tree.adopt(process.identity);
        }
        claimed
    }

    /// Counts a process as this run's.
    pub fn adopt(&mut self, process: Process) {
        self.tree.adopt(process.identity);
    }

    /// The run's processes that have not ended.
    pub fn find(&mut self, seen: &Snapshot) -> Vec<Process> {
        let mut found = self.tree.find(seen);
        found.retain(|process| !process.ended);
        found
    }

    /// Measures the run, and kills it where it holds too much or its first process has ended.
    pub fn inspect(&mut self, found: &[Process]) {
        let memory = found.iter().filter_map(|process| processes::memory(process.identity.pid));
        if self.gauge.measure(memory) {
            self.oom = self.oom || self.code.is_none();
        }
        if self.oom || self.root_ended() {
            kill(found);
        }
    }

    /// Sends SIGTERM to the process that was started, as a container runtime does.
    pub fn ask(&self) {
        if !self.root_ended()
            && let Some(pid) = Pid::from_raw(self.root())
        {
            // Not reaped yet, so the number is still its own; that it may have ended is no error.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Sends SIGKILL to all of them.
pub fn kill(found: &[Process]) {
    for process in found {
        processes::kill(process.identity);
    }
}

fn prepare(spawn: &Spawn) -> io::Result<File> {
    fs::create_dir_all(&spawn.cwd)?;
    if let Some(folder) = spawn.log.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(&spawn.log)
}

fn refusal(program: &str, source: &io::Error) -> String {
    let why = match source.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            format!("stat {program}: no such file or directory")
        }
        io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => source.to_string(),
    };
    format!(
        "CannotStartContainerError: Error response from daemon: failed to create shim task: \
         OCI runtime create failed: exec: \"{program}\": {why}: unknown"
    )
}
