//! A folder of its own for every test.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::facts::Facts;
use crate::processes::{until, with_environment};
use crate::ran::Ran;

/// The job that [`Sandbox::new`] defines: it writes a checksum of its day to the folder `out`, and replaces what an
/// earlier job wrote there.
pub const CHECKSUM: &str = r#"
cat "$LAKE/$PREFIX"* | cksum > "$OUT/.$AWS_BATCH_JOB_ID"
mv "$OUT/.$AWS_BATCH_JOB_ID" "$OUT/$SERVICE-$DATE"
"#;

/// When the objects of a lake were written: on 2018-10-15, after every day that the tests ask for.
const WRITTEN: Duration = Duration::from_hours(427_656);

/// The variable that marks the processes of a sandbox.
const MARK: &str = "DAYFILL_SANDBOX";

/// A folder with a lake, a backfill in `backfill.yaml` and its job definition in `job.yaml`.
pub struct Sandbox {
    dir: TempDir,
    binary: PathBuf,
    spawned: AtomicU32,
    variables: Vec<(String, String)>,
    /// The backfill. [`Sandbox::save`] writes it; JSON is YAML.
    pub spec: Value,
}

impl Sandbox {
    /// A sandbox in which `binary` is the command line. Its lake is empty, its backfill takes the first days of
    /// October 2018 of each service, and its job is [`CHECKSUM`].
    pub fn new(binary: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A shell shows the folder without symbolic links, and so does the product.
        let root = dir.path().canonicalize().unwrap();
        for folder in ["lake/logs", "out"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let spec = json!({
            "name": "small",
            "engine": "local",
            "source": { "uri": "s3://logs", "layout": "app/{service}/{year}/{month}/{day}/" },
            "window": { "from": "2018-10-01", "to": "2018-10-03" },
            "job": {
                "definition": "job.yaml",
                "queue": "small",
                "vcpus": 1,
                "memory": { "start": "64MiB", "max": "256MiB" },
                "timeout": "10m",
                "idempotent": "slice",
                "environment": {
                    "SERVICE": "{service}", "DATE": "{date}", "PREFIX": "{prefix}", "TRY": "{try}", "LOAD": "{load}",
                    "LAKE": root.join("lake/logs"), "OUT": root.join("out"),
                },
            },
            "local": { "lake": "lake", "vcpus": 4, "memory": "2GiB" },
            "state": "state",
        });
        let sandbox =
            Self { dir, binary: binary.into(), spawned: AtomicU32::new(0), variables: Vec::new(), spec };
        sandbox.define(CHECKSUM);
        sandbox.save();
        sandbox
    }

    /// The folder.
    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// The folder whose subfolders are the buckets.
    pub fn lake(&self) -> PathBuf {
        self.root().join("lake")
    }

    /// Where the journal of the backfill is kept.
    pub fn state(&self) -> PathBuf {
        self.root().join("state").join(self.spec["name"].as_str().unwrap())
    }

    /// Writes the backfill.
    pub fn save(&self) {
        self.write("backfill.yaml", serde_json::to_string_pretty(&self.spec).unwrap());
    }

    /// Writes the job definition: this script, run by `sh -eu`.
    pub fn define(&self, script: &str) {
        self.define_command(&["sh", "-euc", script]);
    }

    /// Writes the job definition: this command.
    pub fn define_command(&self, command: &[&str]) {
        let definition = json!({
            "jobDefinitionName": "checksum",
            "type": "container",
            "containerProperties": {
                "image": "debian:bookworm-slim",
                "resourceRequirements": [{ "type": "VCPU", "value": "1" }, { "type": "MEMORY", "value": "64" }],
                "command": command,
            },
        });
        self.write("job.yaml", serde_json::to_string_pretty(&definition).unwrap());
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}: {}", path.display()))
    }

    /// Puts an object of the year 2018 into the bucket `logs`.
    pub fn object(&self, key: &str, text: impl AsRef<[u8]>) {
        let path = format!("lake/logs/{key}");
        self.write(&path, text);
        let file = File::options().append(true).open(self.root().join(path)).unwrap();
        file.set_modified(UNIX_EPOCH + WRITTEN).unwrap();
    }

    /// Puts an object of one line into the bucket `logs` for each of these services on the first `days` days of
    /// October 2018, and returns the partitions.
    pub fn fill(&self, services: &[&str], days: u32) -> Vec<String> {
        let mut partitions = Vec::new();
        for service in services {
            for day in 1..=days {
                let line = format!("{service} on day {day}\n");
                self.object(&format!("app/{service}/2018/10/{day:02}/0.log"), line);
                partitions.push(format!("{service}/2018-10-{day:02}"));
            }
        }
        partitions
    }

    /// Sets a variable for all commands from here on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Runs a script of `sh` to its end, in which `$DAYFILL` is the command line.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Ran {
        Self::wait(&[script], self.start(Path::new("sh"), &["-c", script]))
    }

    /// Starts the command line, standard output and error into files that are returned. The caller waits for it.
    pub fn spawn(&self, args: &[&str]) -> (Child, PathBuf, PathBuf) {
        self.start(&self.binary, args)
    }

    fn start(&self, program: &Path, args: &[&str]) -> (Child, PathBuf, PathBuf) {
        let number = self.spawned.fetch_add(1, Ordering::Relaxed);
        let root = self.root();
        let file = |end: &str| root.join(format!("printed-{number}.{end}"));
        let (out, err) = (file("out"), file("err"));
        let mut command = Command::new(program);
        command.current_dir(&root).args(args).stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        // Whoever runs the tests may be logged in to AWS.
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("HOME", &root).env("AWS_EC2_METADATA_DISABLED", "true").env("NO_COLOR", "1");
        command
            .env("COLUMNS", "110")
            .env("DAYFILL", &self.binary)
            .env(MARK, &root)
            .envs(self.variables.iter().map(|(n, v)| (n, v)));
        (command.spawn().unwrap(), out, err)
    }

    /// Runs the command line to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        let spawned = self.spawn(args);
        Self::wait(args, spawned)
    }

    /// Waits for a command that [`Sandbox::spawn`] started.
    #[track_caller]
    pub fn wait(args: &[&str], (mut child, out, err): (Child, PathBuf, PathBuf)) -> Ran {
        let mut status = None;
        until(&format!("`dayfill {}` ends", args.join(" ")), || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let code = status.and_then(|s| s.code().or_else(|| Some(128 + s.signal()?)));
        Ran { args: args.join(" "), code, out: read(&out), err: read(&err) }
    }

    /// `run backfill.yaml --yes`, which must end with this code.
    #[track_caller]
    pub fn backfill(&self, code: i32) -> Ran {
        self.run(&["run", "backfill.yaml", "--yes"]).ended(code)
    }

    /// `status --format json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "backfill.yaml", "--format", "json"]).ended(0).json()
    }

    /// The journal.
    pub fn facts(&self) -> Facts {
        Facts::read(&self.state())
    }

    /// Panics unless the output of every partition is the checksum of its day as it lies in the lake.
    #[track_caller]
    pub fn outputs_are_right(&self, partitions: &[String]) {
        let mut written: Vec<String> = fs::read_dir(self.root().join("out"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        written.sort();
        let mut want: Vec<String> = partitions.iter().map(|p| p.replace('/', "-")).collect();
        want.sort();
        assert_eq!(written, want);
        for partition in partitions {
            let (service, day) = partition.split_once('/').unwrap();
            let folder = self.lake().join("logs/app").join(service).join(day.replace('-', "/"));
            let script = r#"cat "$0"/* | cksum"#;
            let sum = Command::new("sh").args(["-c", script]).arg(folder).output().unwrap();
            let sum = String::from_utf8(sum.stdout).unwrap();
            assert_eq!(self.read(&format!("out/{}", partition.replace('/', "-"))), sum, "{partition}");
        }
    }

    /// Waits until no process is left that was started in this sandbox: neither the command line, nor what guards its
    /// jobs, nor a job.
    #[track_caller]
    pub fn no_orphans(&self) {
        let root = self.root();
        let mut left = Vec::new();
        until(&format!("no process of {} is left (last seen: {left:?})", root.display()), || {
            left = with_environment(root.to_str().unwrap());
            left.is_empty()
        });
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What a failing test left running would write into a folder that goes away.
        for (pid, _) in with_environment(&format!("{MARK}={}", self.root().display())) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
