//! One run of a command.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::enter::{self, Failed};
use super::processes::{self, Identity, Process, Snapshot};
use super::protocol::Spawn;
use super::tree::Tree;
use crate::limit::Gauge;
use crate::limit::cgroup::Leaf;

/// The variable by which a process that lost every other tie to its job is still known.
pub const MARK: &str = "AWS_BATCH_JOB_ID";

const OOM_CODE: i32 = 137;

/// A command that was started and whose processes are not all gone.
#[derive(Debug)]
pub struct Run {
    tree: Tree,
    mark: Option<String>,
    gauge: Gauge,
    limit_kib: u64,
    // Where the kernel sees to the limit.
    cgroup: Option<Leaf>,
    oom: bool,
    code: Option<i32>,
}

impl Run {
    /// Starts a command in its own process group. The error is in the words of a container runtime.
    pub fn spawn(spawn: &Spawn, page_kib: u64) -> Result<Self, String> {
        let log = prepare(spawn).map_err(|source| not_created(&source))?;
        let cgroup = spawn.cgroup.as_ref().map(|path| Leaf::create(path, spawn.limit_kib)).transpose();
        let cgroup = cgroup.map_err(|source| not_created(&source))?;
        let child = start(spawn, log, cgroup.as_ref()).inspect_err(|_| {
            if let Some(leaf) = &cgroup {
                leaf.remove();
            }
        })?;
        let pid = child.id() as i32;
        // Nobody has reaped it yet, so it can be read even if it has ended.
        let root = processes::read(pid).map_or(Identity { pid, start: 0 }, |process| process.identity);
        let mark = spawn.env.iter().find(|(name, _)| name == MARK).map(|(_, value)| value.clone());
        Ok(Self {
            tree: Tree::new(root),
            mark,
            gauge: Gauge::new(spawn.limit_kib, page_kib),
            limit_kib: spawn.limit_kib,
            cgroup,
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
        // What the kernel kills after this has nothing to do with how it ended.
        self.oom = self.oom || self.cgroup.as_ref().is_some_and(Leaf::oom_killed);
        self.code = Some(code);
    }

    /// How the run ended: exit code, peak in KiB, and whether it held too much memory. To be asked when
    /// [`Run::root_ended`] and no process is left.
    pub fn outcome(&self) -> (i32, Option<u64>, bool) {
        let code = if self.oom { OOM_CODE } else { self.code.unwrap_or(OOM_CODE) };
        let mut peak_kib = self.gauge.peak_kib();
        if self.oom && self.cgroup.is_some() {
            // The kernel lets nobody be seen above the limit, but it kills nobody who has not reached it.
            peak_kib = peak_kib.max(Some(self.limit_kib));
        }
        (code, peak_kib, self.oom)
    }

    /// Gives up the run's control group, if it has one, to be removed.
    pub fn into_cgroup(self) -> Option<Leaf> {
        self.cgroup
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
        for pid in self.cgroup.iter().flat_map(Leaf::pids) {
            if let Some(process) = seen.get(&pid) {
                self.tree.adopt(process.identity);
            }
        }
        let mut found = self.tree.find(seen);
        found.retain(|process| !process.ended);
        found
    }

    /// Measures the run, and kills it where it holds too much or its first process has ended.
    pub fn inspect(&mut self, found: &[Process]) {
        let memory = found.iter().filter_map(|process| processes::memory(process.identity.pid));
        let over = self.gauge.measure(memory);
        let over = self.cgroup.as_ref().map_or(over, Leaf::oom_killed);
        if over {
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

fn start(spawn: &Spawn, log: File, cgroup: Option<&Leaf>) -> Result<Child, String> {
    let Some((program, arguments)) = spawn.command.split_first() else {
        return Err("CannotCreateContainerError: Error response from daemon: No command specified".to_owned());
    };
    let (mut command, entry) = if let Some(leaf) = cgroup {
        let entering = enter::command(&spawn.command, &leaf.processes());
        entering.map(|(command, entry)| (command, Some(entry))).map_err(|source| not_created(&source))?
    } else {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        (command, None)
    };
    command.env_clear().envs(spawn.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&spawn.cwd).process_group(0);
    let spawned = log.try_clone().and_then(|copy| command.stdout(log).stderr(copy).spawn());
    // It holds the end of a pipe whose closing `entry` waits for.
    drop(command);
    let child = spawned.map_err(|source| refusal(program, &source))?;
    match entry.map_or(Ok(()), enter::Entry::wait) {
        Ok(()) => Ok(child),
        Err(Failed::ToEnter(source)) => Err(not_created(&source)),
        Err(Failed::ToRun(source)) => Err(refusal(program, &source)),
    }
}

fn not_created(source: &io::Error) -> String {
    format!("CannotCreateContainerError: Error response from daemon: {source}")
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
