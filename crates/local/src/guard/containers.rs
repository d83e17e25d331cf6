//! The guard of jobs that run as containers. The container engine owns these; the guard owns what speaks to it, and
//! removes all containers of its engine when that has ended.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::processes::{self, Snapshot};
use super::protocol::{News, Request, RunId, Spawn};
use super::tree::Tree;
use super::{MARK, SCAN_EVERY, read_requests, tell};
use crate::docker::{self, Container, Refusal, Slot};
use crate::limit::Gauge;

const OOM_CODE: i32 = 137;
// How long what the container engine is just doing may take when all has to end.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
// How often, and how far apart, it is asked why a container was killed.
const LATE_LOOKS: u32 = 5;
const LATE_PAUSE: Duration = Duration::from_millis(200);

/// What the guard waits for.
#[derive(Debug)]
pub enum Input {
    /// The engine wants something.
    Request(Request),
    /// A run is over.
    Over(RunId),
    /// The engine has ended.
    EngineGone,
}

/// Obeys until the engine has ended.
pub fn serve(page_kib: u64) {
    let (input, inputs) = mpsc::channel();
    let requests = input.clone();
    thread::spawn(move || {
        read_requests(|request| requests.send(request.map_or(Input::EngineGone, Input::Request)).is_ok());
    });
    let guard = Containers { runs: HashMap::new(), engine: None, page_kib, input };
    guard.serve(&inputs);
}

struct Containers {
    runs: HashMap<RunId, Arc<Run>>,
    // The label of all containers.
    engine: Option<String>,
    page_kib: u64,
    input: Sender<Input>,
}

impl Containers {
    fn serve(mut self, inputs: &Receiver<Input>) {
        let mut scanned = Instant::now();
        loop {
            let next = if self.runs.is_empty() {
                inputs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inputs.recv_timeout(SCAN_EVERY.saturating_sub(scanned.elapsed()))
            };
            match next {
                Ok(Input::Request(request)) => self.obey(request),
                Ok(Input::Over(run)) => drop(self.runs.remove(&run)),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Input::EngineGone) | Err(RecvTimeoutError::Disconnected) => return self.end(inputs),
            }
            if scanned.elapsed() >= SCAN_EVERY && !self.runs.is_empty() {
                let seen = processes::snapshot();
                self.runs.values().for_each(|run| run.measure(&seen));
                scanned = Instant::now();
            }
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Spawn(spawn) => {
                let id = spawn.run.clone();
                let Some(container) = spawn.container.clone() else {
                    let message = "CannotCreateContainerError: there is no image".to_owned();
                    return tell(&News::Refused { run: id, message });
                };
                self.engine = Some(container.engine.clone());
                let run = Arc::new(Run::new(*spawn, container, self.page_kib));
                self.runs.insert(id.clone(), Arc::clone(&run));
                let input = self.input.clone();
                thread::spawn(move || {
                    tell(&run.live());
                    // The guard listens as long as it has runs.
                    let _ = input.send(Input::Over(id));
                });
            }
            Request::Term(id) => self.stop(&id, "TERM"),
            Request::Kill(id) => self.stop(&id, "KILL"),
        }
    }

    // Apart, for the container engine may take its time, and there are others to be served.
    fn stop(&self, id: &RunId, signal: &'static str) {
        if let Some(run) = self.runs.get(id).cloned() {
            thread::spawn(move || run.stop(signal));
        }
    }

    fn end(mut self, inputs: &Receiver<Input>) {
        for run in self.runs.values() {
            run.closing.store(true, Ordering::SeqCst);
            run.pull.end();
        }
        let Some(engine) = self.engine.take() else { return };
        let until = Instant::now() + PATIENCE;
        // Whoever is about to make a container comes to his end before the last look.
        loop {
            while let Ok(input) = inputs.try_recv() {
                if let Input::Over(run) = input {
                    self.runs.remove(&run);
                }
            }
            let idle = self.runs.is_empty();
            let removed = docker::remove_all(&engine);
            if (idle && removed == Ok(0)) || Instant::now() > until {
                // What is left then is for the next engine to remove.
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

// How far a run has come, and what it was asked meanwhile.
#[derive(Debug, Default)]
struct Phase {
    running: bool,
    // The last signal that it was to get.
    stopped: Option<&'static str>,
}

/// One container and its command.
#[derive(Debug)]
struct Run {
    spawn: Spawn,
    container: Container,
    phase: Mutex<Phase>,
    pull: Slot,
    closing: AtomicBool,
    // Its processes, where they are to be seen from here, and what they hold.
    held: Mutex<(Option<Tree>, Gauge)>,
}

impl Run {
    fn new(spawn: Spawn, container: Container, page_kib: u64) -> Self {
        let gauge = Gauge::new(spawn.limit_kib, page_kib);
        Self {
            spawn,
            container,
            phase: Mutex::default(),
            pull: Slot::default(),
            closing: AtomicBool::new(false),
            held: Mutex::new((None, gauge)),
        }
    }

    // From the image to the end, and what is to be told of it.
    fn live(&self) -> News {
        let run = self.spawn.run.clone();
        let ended = self.prepare().and_then(|log| self.see_through(&log));
        // Also what was made and never started. If it cannot be removed now, it is at the end of the engine.
        let _ = docker::remove(&self.container.name);
        match ended {
            Ok((code, oom)) => {
                let mut peak_kib = lock(&self.held).1.peak_kib();
                if oom {
                    peak_kib = peak_kib.max(Some(self.spawn.limit_kib));
                }
                News::Exited { run, code: if oom { OOM_CODE } else { code }, peak_kib, oom }
            }
            Err(message) => News::Refused { run, message },
        }
    }

    fn prepare(&self) -> Result<File, Refusal> {
        let spawn = &self.spawn;
        docker::pull(&self.container.image, &self.pull)?;
        self.go_on()?;
        let log = open(spawn).map_err(|source| format!("CannotCreateContainerError: {source}"))?;
        let env_file = spawn.cwd.join("environment");
        docker::create(&self.container, &spawn.command, &spawn.env, spawn.limit_kib, &env_file)?;
        self.go_on()?;
        Ok(log)
    }

    fn go_on(&self) -> Result<(), Refusal> {
        if self.closing.load(Ordering::SeqCst) || lock(&self.phase).stopped.is_some() {
            return Err("CannotStartContainerError: the task was stopped before it started".to_owned());
        }
        Ok(())
    }

    fn see_through(&self, log: &File) -> Result<(i32, bool), Refusal> {
        let name = &self.container.name;
        let since = SystemTime::now();
        docker::start(name)?;
        tell(&News::Started { run: self.spawn.run.clone() });
        let stopped = {
            let mut phase = lock(&self.phase);
            phase.running = true;
            phase.stopped
        };
        if let Some(signal) = stopped {
            docker::signal(name, signal);
        }
        self.look_for_processes(docker::inspect(name)?.pid);
        docker::follow(name, log).map_err(|source| format!("CannotInspectContainerError: {source}"))?;
        docker::wait(name)?;
        let state = docker::inspect(name)?;
        if state.has_run() {
            Ok((state.exit_code, state.oom_killed || self.was_oom_killed(state.exit_code, since)))
        } else {
            Err("CannotInspectContainerError: the container has not run".to_owned())
        }
    }

    // Where a container was killed and nobody here asked for it, its engine may hear why a moment later.
    fn was_oom_killed(&self, exit_code: i32, since: SystemTime) -> bool {
        let unexplained = exit_code == OOM_CODE && lock(&self.phase).stopped.is_none();
        unexplained
            && (0..LATE_LOOKS).any(|look| {
                if look > 0 {
                    thread::sleep(LATE_PAUSE);
                }
                docker::was_oom_killed(&self.container.name, since)
            })
    }

    // The container engine may be on another machine, or in a virtual one: then these are strangers' numbers.
    fn look_for_processes(&self, pid: i32) {
        let ours = processes::variable(pid, MARK).is_some_and(|job| job == self.container.job);
        if let Some(process) = processes::read(pid).filter(|_| ours) {
            lock(&self.held).0 = Some(Tree::new(process.identity));
        }
    }

    fn measure(&self, seen: &Snapshot) {
        let mut held = lock(&self.held);
        let (Some(tree), gauge) = &mut *held else { return };
        let found = tree.find(seen);
        // Too much of it is for the kernel to punish.
        gauge.measure(found.iter().filter_map(|process| processes::memory(process.identity.pid)));
    }

    fn stop(&self, signal: &'static str) {
        let running = {
            let mut phase = lock(&self.phase);
            phase.stopped = Some(signal);
            phase.running
        };
        if running {
            docker::signal(&self.container.name, signal);
        } else {
            self.pull.end();
        }
    }
}

fn open(spawn: &Spawn) -> io::Result<File> {
    fs::create_dir_all(&spawn.cwd)?;
    fs::create_dir_all(spawn.log.parent().unwrap_or(Path::new("")))?;
    OpenOptions::new().create(true).append(true).open(&spawn.log)
}

// What is in them is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
