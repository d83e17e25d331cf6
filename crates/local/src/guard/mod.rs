//! The process that owns the jobs. It is the parent of them all and outlives none of them: when its stdin closes,
//! because the engine has ended in whatever way, it kills every descendant and ends as well.

pub mod claim;
mod containers;
mod enter;
pub mod processes;
pub mod protocol;
mod run;
mod tree;

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait, waitid,
};

use processes::{Process, Snapshot};
use protocol::{News, Request, RunId, Spawn};
use run::Run;

use crate::limit::cgroup::{self, Leaf};

pub(crate) use run::MARK;
pub(crate) use tree::Tree;

// Ten times the price of a measurement on a busy machine; a job gains a few MiB at most in between.
const SCAN_EVERY: Duration = Duration::from_millis(20);
const KILL_EVERY: Duration = Duration::from_millis(2);

/// The argument with which a guard owns containers instead of processes.
pub(crate) const CONTAINERS: &str = "--containers";

enum Input {
    Request(Request),
    SomebodyEnded,
    EngineGone,
}

/// Runs the guard until its stdin closes; the whole of `main` of the process that `BatchConfig::guard` names, which
/// must leave alone whatever arguments follow its own.
pub fn guard_main() -> ExitCode {
    if let Some(code) = enter::enter() {
        return code;
    }
    let Some(claim) = claim::take() else { return ExitCode::FAILURE };
    let page_kib = (rustix::param::page_size() / 1024).max(1) as u64;
    if env::args_os().any(|argument| argument == CONTAINERS) {
        containers::serve(page_kib);
        return ExitCode::SUCCESS;
    }
    // Without this an orphaned grandchild would become init's, and live on.
    if set_child_subreaper(Some(getpid())).is_err() {
        return ExitCode::FAILURE;
    }
    let (input, inputs) = mpsc::channel();
    let (wake, woken) = mpsc::channel();
    let (reaped, go_on) = mpsc::channel();
    let requests = input.clone();
    thread::spawn(move || {
        read_requests(|request| requests.send(request.map_or(Input::EngineGone, Input::Request)).is_ok());
    });
    thread::spawn(move || watch_children(&input, &woken, &go_on));
    let mut guard = Guard {
        runs: HashMap::new(),
        roots: HashMap::new(),
        page_kib,
        home: claim.home.clone(),
        remains: Vec::new(),
        wake,
        reaped,
    };
    guard.serve(&inputs);
    ExitCode::SUCCESS
}

// Hands over every request, and nothing when the engine is gone, as long as `take` wants more.
fn read_requests(mut take: impl FnMut(Option<Request>) -> bool) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        // A line that was cut is the last one of an engine that is gone.
        let Ok(request) = serde_json::from_str(&line) else { break };
        if !take(Some(request)) {
            return;
        }
    }
    take(None);
}

// Only looks, with NOWAIT: the reaping is left to the thread that also sends signals, so that no signal can ever
// reach a process that got the number of one that was reaped.
fn watch_children(inputs: &Sender<Input>, woken: &Receiver<()>, go_on: &Receiver<()>) {
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => {
                if inputs.send(Input::SomebodyEnded).is_err() || go_on.recv().is_err() {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            // No children: nothing can change before the next one is started.
            Err(_) => {
                if woken.recv().is_err() {
                    return;
                }
            }
        }
    }
}

struct Guard {
    runs: HashMap<RunId, Run>,
    roots: HashMap<i32, RunId>,
    page_kib: u64,
    // The control group that holds those of the runs.
    home: Option<PathBuf>,
    // Control groups of runs that are over, which could not be removed yet.
    remains: Vec<Leaf>,
    wake: Sender<()>,
    reaped: Sender<()>,
}

impl Guard {
    fn serve(&mut self, inputs: &Receiver<Input>) {
        let mut scanned = Instant::now();
        loop {
            let next = if self.runs.is_empty() {
                inputs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inputs.recv_timeout(SCAN_EVERY.saturating_sub(scanned.elapsed()))
            };
            match next {
                Ok(Input::Request(request)) => self.obey(request),
                Ok(Input::SomebodyEnded) => {
                    self.reap();
                    // The watcher lives as long as the process.
                    let _ = self.reaped.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Input::EngineGone) | Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
            if scanned.elapsed() >= SCAN_EVERY && !self.runs.is_empty() {
                self.scan();
                scanned = Instant::now();
            }
        }
    }

    // The engine is gone, and takes everything with it.
    fn end(&mut self) {
        kill_all_descendants();
        if let Some(home) = self.home.take() {
            // What is still in use then is for the next engine to remove.
            let _ = cgroup::clear(&home);
            let _ = fs::remove_dir(home);
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Spawn(spawn) => self.spawn(&spawn),
            Request::Term(run) => {
                if let Some(run) = self.runs.get(&run) {
                    run.ask();
                }
            }
            Request::Kill(id) => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run::kill(&run.find(&processes::snapshot()));
                }
            }
        }
    }

    fn spawn(&mut self, spawn: &Spawn) {
        match Run::spawn(spawn, self.page_kib) {
            Ok(run) => {
                self.roots.insert(run.root(), spawn.run.clone());
                self.runs.insert(spawn.run.clone(), run);
                // The watcher lives as long as the process.
                let _ = self.wake.send(());
                tell(&News::Started { run: spawn.run.clone() });
            }
            Err(message) => tell(&News::Refused { run: spawn.run.clone(), message }),
        }
    }

    fn reap(&mut self) {
        let mut ended = false;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let run = self.roots.remove(&pid.as_raw_nonzero().get());
            if let Some(run) = run.and_then(|id| self.runs.get_mut(&id)) {
                run.set_code(code(status));
                ended = true;
            }
        }
        if ended || self.runs.values().any(Run::root_ended) {
            self.settle();
        }
    }

    // Every process whose parent has ended becomes the guard's child at once. So where the guard has no children but
    // the first processes of runs, runs that have ended have left nothing behind, and /proc need not be read.
    fn settle(&mut self) {
        match processes::own_children() {
            Some(children) if children.iter().all(|pid| self.roots.contains_key(pid)) => {
                let ended: Vec<RunId> =
                    self.runs.iter().filter(|(_, run)| run.root_ended()).map(|(id, _)| id.clone()).collect();
                for id in ended {
                    self.close(&id);
                }
            }
            _ => self.scan(),
        }
    }

    fn scan(&mut self) {
        let seen = processes::snapshot();
        self.place_strays(&seen);
        let mut over = Vec::new();
        for (id, run) in &mut self.runs {
            let found = run.find(&seen);
            run.inspect(&found);
            if run.root_ended() && found.is_empty() {
                over.push(id.clone());
            }
        }
        for id in over {
            self.close(&id);
        }
    }

    // Children of the guard that no tree knows: their parents came and went between two scans.
    fn place_strays(&mut self, seen: &Snapshot) {
        let own = getpid().as_raw_nonzero().get();
        let mut known = HashSet::new();
        for run in self.runs.values_mut() {
            known.extend(run.find(seen).iter().map(|process| process.identity));
        }
        let strays = seen.values().filter(|process| process.parent == own && !process.ended);
        for stray in strays.filter(|process| !known.contains(&process.identity)) {
            if !self.runs.values_mut().any(|run| run.claim(*stray))
                && let [run] = self.runs.values_mut().collect::<Vec<_>>().as_mut_slice()
            {
                // It has wiped its environment as well, but there is nobody else whose it could be.
                run.adopt(*stray);
            }
        }
    }

    fn close(&mut self, id: &RunId) {
        let Some(run) = self.runs.remove(id) else { return };
        if self.runs.is_empty() {
            // What is left now belongs to nobody that could still want it.
            kill_once();
        }
        let (code, peak_kib, oom) = run.outcome();
        self.remains.extend(run.into_cgroup());
        self.remains.retain(|leaf| !leaf.remove());
        tell(&News::Exited { run: id.clone(), code, peak_kib, oom });
    }
}

fn code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn tell(news: &News) {
    let Ok(mut line) = serde_json::to_string(news) else { return };
    line.push('\n');
    let mut out = io::stdout().lock();
    // When the engine is gone there is nobody to tell, and stdin says so as well.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn descendants() -> Vec<Process> {
    let seen = processes::snapshot();
    let mut known = HashSet::from([getpid().as_raw_nonzero().get()]);
    let mut found = Vec::new();
    loop {
        let more: Vec<Process> = seen
            .values()
            .filter(|process| known.contains(&process.parent) && !known.contains(&process.identity.pid))
            .copied()
            .collect();
        if more.is_empty() {
            return found;
        }
        known.extend(more.iter().map(|process| process.identity.pid));
        found.extend(more);
    }
}

// Returns whether anybody was left.
fn kill_once() -> bool {
    if processes::own_children().is_some_and(|children| children.is_empty()) {
        return false;
    }
    let left = descendants();
    run::kill(&left);
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    !left.is_empty()
}

fn kill_all_descendants() {
    while kill_once() {
        thread::sleep(KILL_EVERY);
    }
}
