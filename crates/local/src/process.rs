//! The guard as a child of the engine, and what a job is started with.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::engine::Job;
use crate::guard::protocol::{News, Request, Spawn};
use crate::guard::{CONTAINERS, MARK, Tree, claim, processes};
use crate::runner::{Owner, Runner};
use crate::scheduler::End;
use crate::wire::shapes::Texts;

/// `statusReason` of an attempt whose command ran.
const EXITED: &str = "Essential container in task exited";
/// `statusReason` of an attempt whose command never ran.
const NOT_STARTED: &str = "Task failed to start";
const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
const NO_SECRETS: &str = "ResourceInitializationError: unable to pull secrets or registry auth: \
    secrets are not available to local processes";
// The service cuts reasons there.
const REASON_CHARS: usize = 255;
const PATIENCE: Duration = Duration::from_secs(5);
const FALLBACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What jobs get of the engine's own environment: what programs need to be found, to speak and to trust.
const INHERITED: [&str; 9] = [
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
];

/// A guard that runs. It ends, with all jobs, when this is dropped.
#[derive(Debug)]
pub struct GuardLink {
    requests: UnboundedSender<Request>,
}

impl GuardLink {
    /// Starts a guard for the engine of this folder and control group, whose jobs are run so. The news end when it does.
    pub fn start(
        command: &[OsString],
        folder: &Path,
        home: Option<&Path>,
        runner: Runner,
    ) -> io::Result<(Self, UnboundedReceiver<News>)> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("its command line is empty"))?;
        // Its own group: what a terminal sends to the engine must not reach it, it ends when the engine has.
        let mut child = Command::new(program)
            .args(arguments)
            .args(claim::arguments(folder, home))
            .args((runner == Runner::Docker).then_some(CONTAINERS))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        let (requests, to_send) = unbounded_channel();
        let (heard, news) = unbounded_channel();
        tokio::spawn(send(to_send, stdin));
        tokio::spawn(async move {
            hear(BufReader::new(stdout).lines(), &heard).await;
            // Reaped here, before the end of the news says that it is gone.
            let _ = child.wait().await;
        });
        Ok((Self { requests }, news))
    }

    /// Sends a request. When the guard is gone it is lost; the end of the news tells.
    pub fn send(&self, request: Request) {
        let _ = self.requests.send(request);
    }
}

async fn send(mut requests: UnboundedReceiver<Request>, mut stdin: ChildStdin) {
    while let Some(request) = requests.recv().await {
        let Ok(mut line) = serde_json::to_vec(&request) else { continue };
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn hear(mut lines: Lines<BufReader<ChildStdout>>, heard: &UnboundedSender<News>) {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(news) = serde_json::from_str(&line)
            && heard.send(news).is_err()
        {
            return;
        }
    }
}

/// What surrounds an attempt.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The name of the run.
    pub run: &'a str,
    /// The number of the attempt.
    pub attempt: u32,
    /// Its compute environment.
    pub environment: &'a str,
    /// Endpoints, Region and keys.
    pub job_env: &'a [(String, String)],
    /// Its scratch folder.
    pub scratch: &'a Path,
    /// Its log file.
    pub log: &'a Path,
    /// Its control group.
    pub cgroup: Option<PathBuf>,
    /// Where containers belong; none where jobs run as processes.
    pub owner: Option<&'a Owner>,
}

/// What the guard must start for an attempt; the error is the attempt's end.
pub fn spawn(job: &Job, around: &Surroundings<'_>) -> Result<Spawn, End> {
    let record = &job.record;
    if !record.container.secrets.is_empty() {
        return Err(not_started(NO_SECRETS));
    }
    let container = around.owner.map(|owner| owner.container(job, around.attempt)).transpose()?;
    let own = if container.is_some() { Texts::new() } else { process_environment(around.scratch) };
    Ok(Spawn {
        run: around.run.to_owned(),
        command: record.container.command.iter().map(|word| substitute(word, &record.parameters)).collect(),
        env: environment(own, job, around),
        cwd: around.scratch.to_owned(),
        log: around.log.to_owned(),
        limit_kib: record.submission.demand.memory_mib.saturating_mul(1024),
        cgroup: around.cgroup.clone(),
        container,
    })
}

// What a process gets of this machine; a container has its image for that.
fn process_environment(scratch: &Path) -> Texts {
    let own = |name: &str| env::var(name).ok();
    let scratch = scratch.to_string_lossy().into_owned();
    let mut all = Texts::new();
    all.insert("PATH".to_owned(), own("PATH").unwrap_or_else(|| FALLBACK_PATH.to_owned()));
    all.extend(INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), own(name)?))));
    all.insert("HOME".to_owned(), scratch.clone());
    all.insert("TMPDIR".to_owned(), scratch);
    all
}

// From the weakest to the strongest: `all`, what the engine gives, the job's, the service's.
fn environment(mut all: Texts, job: &Job, around: &Surroundings<'_>) -> Vec<(String, String)> {
    let own = job.record.container.environment.iter();
    all.extend(around.job_env.iter().cloned());
    all.extend(own.map(|variable| (variable.name.clone(), variable.value.clone())));
    let service = [
        (MARK, job.id()),
        ("AWS_BATCH_JOB_ATTEMPT", around.attempt.to_string()),
        ("AWS_BATCH_JQ_NAME", job.record.submission.queue.clone()),
        ("AWS_BATCH_CE_NAME", around.environment.to_owned()),
        ("AWS_EXECUTION_ENV", "AWS_ECS_EC2".to_owned()),
    ];
    all.extend(service.map(|(name, value)| (name.to_owned(), value)));
    all.extend(job.index.map(|index| ("AWS_BATCH_JOB_ARRAY_INDEX".to_owned(), index.to_string())));
    all.into_iter().collect()
}

/// Replaces every `Ref::name` by the parameter of that name, and leaves it where there is none.
fn substitute(word: &str, parameters: &Texts) -> String {
    const MARKER: &str = "Ref::";
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(MARKER) {
        let (before, from) = rest.split_at(at);
        let name = from.get(MARKER.len()..).unwrap_or_default();
        let end =
            name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        out.push_str(before);
        if let Some(value) = parameters.get(name) {
            out.push_str(value);
        } else {
            out.push_str(MARKER);
            out.push_str(name);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// How an attempt ended whose command ran.
pub fn exited(code: i32, oom: bool) -> End {
    End {
        exit_code: Some(code),
        reason: oom.then(|| OUT_OF_MEMORY.to_owned()),
        status_reason: EXITED.to_owned(),
    }
}

/// How an attempt ended whose command never ran.
pub fn not_started(reason: &str) -> End {
    End {
        exit_code: None,
        reason: Some(reason.chars().take(REASON_CHARS).collect()),
        status_reason: NOT_STARTED.to_owned(),
    }
}

/// Kills all processes of these jobs, whoever started them, and waits until they are gone; gives up after some
/// seconds, should one be stuck in the kernel.
pub fn sweep(jobs: &[String]) {
    if jobs.is_empty() {
        return;
    }
    let jobs: HashSet<&str> = jobs.iter().map(String::as_str).collect();
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && sweep_once(&jobs) {
        thread::sleep(Duration::from_millis(5));
    }
}

// Returns whether anybody was left.
fn sweep_once(jobs: &HashSet<&str>) -> bool {
    let seen = processes::snapshot();
    let ours = seen.values().filter(|process| !process.ended).filter(|process| {
        processes::variable(process.identity.pid, MARK).is_some_and(|id| jobs.contains(id.as_str()))
    });
    let mut left = false;
    for process in ours {
        left = true;
        // Children may have wiped their environment; they are killed with those that have not.
        for member in Tree::new(process.identity).find(&seen) {
            processes::kill(member.identity);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_put_in_wherever_they_stand() {
        let parameters: Texts =
            [("day", "2018-10-04"), ("s", "Ref::day")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (word, wanted) in [
            ("Ref::day", "2018-10-04"),
            ("--day=Ref::day/x", "--day=2018-10-04/x"),
            ("Ref::day.Ref::day", "2018-10-04.2018-10-04"),
            ("Ref::dayRef::day", "Ref::dayRef::day"),
            ("Ref::unknown", "Ref::unknown"),
            ("Ref::s", "Ref::day"),
            ("Ref::", "Ref::"),
            ("plain", "plain"),
        ] {
            assert_eq!(substitute(word, &parameters), wanted);
        }
    }

    #[test]
    fn reasons_are_cut_where_the_service_cuts_them() {
        let end = not_started(&"é".repeat(300));
        assert_eq!(end.reason.unwrap().chars().count(), 255);
        assert_eq!(end.exit_code, None);
        assert_eq!(end.status_reason, "Task failed to start");
    }
}
