//! The Docker engine of this machine, through its command line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The label of containers that says which engine started them.
const ENGINE: &str = "local.dayfill.engine";
/// The label that says in which folder that engine keeps its things.
const FOLDER: &str = "local.dayfill.folder";
/// The label that says for which job.
const JOB: &str = "local.dayfill.job";
// What the container engine takes for a time that was never.
const NEVER: &str = "0001-01-01";

/// Why a container cannot be had: in the words of a container agent.
pub type Refusal = String;

/// A container to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The engine that it belongs to.
    pub engine: String,
    /// That engine's folder.
    pub folder: String,
    /// The job that it runs.
    pub job: String,
    /// Its CPU shares: 1024 are one vCPU.
    pub cpu_shares: u64,
    /// Further options of `docker create`.
    pub options: Vec<String>,
}

/// How a container fares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// Its first process, while there is one.
    pub pid: i32,
    /// Its exit code.
    pub exit_code: i32,
    /// Whether one of its processes was killed because it held too much memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    started_at: String,
}

impl State {
    /// Whether its command ever ran.
    pub fn has_run(&self) -> bool {
        !self.started_at.starts_with(NEVER)
    }
}

/// A place for a command that may be ended while it runs.
#[derive(Debug, Default)]
pub struct Slot {
    child: Mutex<Option<Child>>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the command that is there, if one is.
    pub fn end(&self) {
        if let Some(child) = self.lock().as_mut() {
            // It may have ended since.
            let _ = child.kill();
        }
    }
}

/// That a Docker engine answers; what is wrong where none does.
pub fn answers() -> Result<(), String> {
    run("docker", &["version", "--format", "{{.Server.Version}}"]).map(drop)
}

/// Brings an image here, unless it is here already.
pub fn pull(image: &str, slot: &Slot) -> Result<(), Refusal> {
    if run("docker", &["image", "inspect", "--format", "-", "--", image]).is_ok() {
        return Ok(());
    }
    let refusal = |words: String| format!("CannotPullContainerError: {words}");
    let mut pulling = docker(&["pull", "--quiet", "--", image]);
    let mut child = pulling
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| refusal(unrunnable(&source)))?;
    let stderr = child.stderr.take();
    *slot.lock() = Some(child);
    let mut said = Vec::new();
    // At the end of what it says it has ended, and the slot is free again.
    let heard = stderr.map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut said));
    let ended = slot.lock().take().map(|mut child| child.wait());
    match (heard, ended) {
        (Ok(_), Some(Ok(status))) if status.success() => Ok(()),
        _ => Err(refusal(words(&said))),
    }
}

/// Makes a container for a command. `env_file` is written for that, and removed.
pub fn create(
    container: &Container,
    command: &[String],
    env: &[(String, String)],
    limit_kib: u64,
    env_file: &Path,
) -> Result<(), Refusal> {
    let refusal = |words: String| format!("CannotCreateContainerError: {words}");
    let by_option = write_env(env, env_file).map_err(|source| refusal(source.to_string()))?;
    let arguments = arguments(container, command, &by_option, limit_kib, env_file);
    let created = run("docker", &arguments);
    // It holds the keys of the engine.
    let _ = std::fs::remove_file(env_file);
    created.map(drop).map_err(refusal)
}

fn arguments(
    container: &Container,
    command: &[String],
    env: &[String],
    limit_kib: u64,
    env_file: &Path,
) -> Vec<String> {
    let label = |name: &str, value: &str| format!("--label={name}={value}");
    let mut all = vec![
        "create".to_owned(),
        format!("--name={}", container.name),
        label(ENGINE, &container.engine),
        label(FOLDER, &container.folder),
        label(JOB, &container.job),
        // The endpoints of the engine are on the loopback of this machine.
        "--network=host".to_owned(),
        format!("--memory={limit_kib}k"),
        // The same amount: nothing on top of it in swap.
        format!("--memory-swap={limit_kib}k"),
        format!("--cpu-shares={}", container.cpu_shares),
        // The only one that keeps everything until it is read.
        "--log-driver=json-file".to_owned(),
        format!("--env-file={}", env_file.display()),
    ];
    all.extend(env.iter().map(|variable| format!("--env={variable}")));
    all.extend(container.options.iter().cloned());
    all.extend(["--".to_owned(), container.image.clone()]);
    all.extend(command.iter().cloned());
    all
}

// Writes what a file of variables can hold, where others cannot read it; the rest is returned.
fn write_env(env: &[(String, String)], path: &Path) -> io::Result<Vec<String>> {
    let mut by_option = Vec::new();
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    for (name, value) in env {
        let variable = format!("{name}={value}");
        let plain = !name.starts_with('#') && !name.contains(char::is_whitespace);
        if plain && !variable.contains(['\n', '\r', '\0']) {
            writeln!(file, "{variable}")?;
        } else {
            by_option.push(variable);
        }
    }
    Ok(by_option)
}

/// Starts a container.
pub fn start(name: &str) -> Result<(), Refusal> {
    let started = run("docker", &["start", "--", name]);
    started.map(drop).map_err(|words| format!("CannotStartContainerError: {words}"))
}

/// Writes what a container says to `log` until it has ended.
pub fn follow(name: &str, log: &File) -> io::Result<()> {
    let mut logs = docker(&["logs", "--follow", "--", name]);
    logs.stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()?.wait().map(drop)
}

/// Waits until a container has ended.
pub fn wait(name: &str) -> Result<(), Refusal> {
    run("docker", &["wait", "--", name]).map(drop).map_err(uninspectable)
}

/// Looks at a container.
pub fn inspect(name: &str) -> Result<State, Refusal> {
    let format = ["inspect", "--type", "container", "--format", "{{json .State}}", "--", name];
    let text = run("docker", &format).map_err(uninspectable)?;
    serde_json::from_str(&text).map_err(|source| uninspectable(source.to_string()))
}

/// Whether a process of a container was killed since `since` because it held too much memory. Docker hears of that by
/// another way than of the end, and where it hears of it later, [`State::oom_killed`] stays false.
pub fn was_oom_killed(name: &str, since: SystemTime) -> bool {
    let time = |at: SystemTime| {
        let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}.{:09}", since_epoch.as_secs(), since_epoch.subsec_nanos())
    };
    let (since, until) = (time(since), time(SystemTime::now()));
    let container = format!("container={name}");
    let words =
        ["events", "--since", &since, "--until", &until, "--filter", "event=oom", "--filter", &container];
    run("docker", &words).is_ok_and(|events| !events.trim().is_empty())
}

/// Sends a signal to the first process of a container; it may have ended.
pub fn signal(name: &str, signal: &str) {
    let _ = run("docker", &["kill", "--signal", signal, "--", name]);
}

/// Removes a container, whether it runs or not.
pub fn remove(name: &str) -> Result<(), String> {
    run("docker", &["rm", "--force", "--volumes", "--", name]).map(drop)
}

/// Removes all containers of an engine; says how many there were.
pub fn remove_all(engine: &str) -> Result<usize, String> {
    let filter = format!("label={ENGINE}={engine}");
    let found = run("docker", &["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
    let ids: Vec<&str> = found.split_whitespace().collect();
    if !ids.is_empty() {
        run("docker", &[&["rm", "--force", "--volumes", "--"], &ids[..]].concat())?;
    }
    Ok(ids.len())
}

fn docker<S: AsRef<str>>(arguments: &[S]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments.iter().map(AsRef::as_ref)).stdin(Stdio::null());
    command
}

// What it printed, or what the engine said was wrong.
fn run<S: AsRef<str>>(program: &str, arguments: &[S]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments.iter().map(AsRef::as_ref))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| unrunnable(&source))?;
    let Output { status, stdout, stderr } = output;
    if status.success() { Ok(String::from_utf8_lossy(&stdout).into_owned()) } else { Err(words(&stderr)) }
}

fn unrunnable(source: &io::Error) -> String {
    format!("the docker command cannot be run: {source}")
}

fn uninspectable(words: String) -> Refusal {
    format!("CannotInspectContainerError: {words}")
}

// The engine's own sentence among what its command line says.
fn words(stderr: &[u8]) -> String {
    const DAEMON: &str = "Error response from daemon: ";
    let text = String::from_utf8_lossy(stderr);
    let sentence = text.lines().find_map(|line| line.find(DAEMON).and_then(|at| line.get(at..)));
    let last = || text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let words = sentence.or_else(last).unwrap_or("the docker command ended without a word");
    words.trim().to_owned()
}

#[cfg(test)]
mod tests;
