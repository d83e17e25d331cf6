//! The command line.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use dayfill_core::partition::SliceId;
use dayfill_core::plan::Only;
use dayfill_core::spec::EngineKind;
use dayfill_local::{LimitMeans, Runner};

const EXIT_CODES: &str = "\
Exit codes, the first that applies:
  1   an error                            3   finished, with failed days
  2   usage, or a mistake in the YAML     5   still running at --timeout
  7   a person has to decide              10  plan --exit-code, and there is work
  6   a guard refused, or stop_after      130 interrupted; jobs go on
  4   the plan is stale                   0   done, or nothing to do

Start with:  dayfill doctor backfill.yaml    (is everything there?)
             dayfill plan backfill.yaml      (reads only)
then:        dayfill run backfill.yaml       (plans, asks, submits, watches)";

/// Backfills date-partitioned data on S3 through AWS Batch, or on this machine.
///
/// One YAML file says which days must be loaded and which container loads one day. dayfill measures every day,
/// submits a job for each, or several for one that is too large, each exactly once, and sees every day through to done,
/// past OOM kills and lost hosts.
#[derive(Debug, Parser)]
#[command(name = "dayfill", version, after_help = EXIT_CODES, max_term_width = 110, infer_subcommands = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to print what goes to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs; carries a schema_version.
    Json,
}

/// Where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// On this machine.
    Local,
    /// On AWS Batch.
    Aws,
}

impl From<EngineArg> for EngineKind {
    fn from(arg: EngineArg) -> Self {
        match arg {
            EngineArg::Local => Self::Local,
            EngineArg::Aws => Self::Aws,
        }
    }
}

/// The YAML file, and where its jobs run.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// The YAML file of the backfill.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Where jobs run, whatever the YAML says.
    #[arg(long, value_enum)]
    pub engine: Option<EngineArg>,
    /// With the local engine: the folder whose subfolders are its buckets, whatever the YAML says.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub lake: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the days in the window and say what would be submitted, and why. Changes nothing.
    Plan(PlanArgs),
    /// Look at all that a backfill needs, before money is spent: what is missing, and what to do about it.
    ///
    /// Credentials, the source and its layout, the queue and its hosts, the job definition, the state and the clock.
    /// It submits and registers nothing; beside the journal it writes one small object, and removes it where it may.
    /// Ends with 1 where anything failed.
    Doctor(SpecArgs),
    /// Show a plan file.
    Show(ShowArgs),
    /// Submit a plan, exactly once, however often it is called.
    Submit(SubmitArgs),
    /// One step: look at the jobs, decide, submit what is due. For cron and CI.
    Advance(SpecArgs),
    /// Step until nothing is left to do.
    Watch(WatchArgs),
    /// Plan, ask, submit and watch: the whole way in one command.
    Run(RunArgs),
    /// How the backfill stands, from its journal.
    Status(StatusArgs),
    /// Every try of one day: what it asked for, why it ended, and what comes next.
    Explain(ExplainArgs),
    /// The log of a day's job.
    Logs(LogsArgs),
    /// No longer want some days: take back what was not sent, end what runs. Says which days before it acts.
    Cancel(CancelArgs),
    /// Say that days are loaded, or are not, where only a person can know.
    Mark(MarkArgs),
    /// Register job definitions that differ from their active revision.
    Register(RegisterArgs),
    /// Run AWS Batch and S3 on this machine, on loopback, for any AWS client.
    ///
    /// It runs the commands of the job definitions that its clients register, as the user who started it. It listens
    /// on 127.0.0.1 only and serves nobody without the keys that it prints.
    Local(LocalArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Write the plan to this file, for `dayfill submit`.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// What to load: reasons (missing,failed,changed) or partitions (condor/2018-10-04,…). Default: missing,failed.
    #[arg(long, value_name = "WHAT")]
    pub only: Option<Only>,
    /// End with 10 where there is work.
    #[arg(long)]
    pub exit_code: bool,
    /// Plan for this time, such as 2018-10-05T00:00:00Z, instead of now.
    #[arg(long, value_name = "TIME")]
    pub now: Option<DateTime<Utc>>,
}

/// `show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The plan file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    /// Every job, with its command and environment.
    #[arg(long)]
    pub jobs: bool,
    /// Every day, with its choice and reason.
    #[arg(long, conflicts_with = "jobs")]
    pub days: bool,
}

/// `submit`
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The plan file, as `dayfill plan -o` wrote it.
    #[arg(value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    /// Watch until nothing is left to do.
    #[arg(long)]
    pub wait: bool,
    /// With --wait: stop watching after this time, such as 90m; jobs go on.
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Stop watching after this time, such as 90m; jobs go on.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// What to load: reasons (missing,failed,changed) or partitions (condor/2018-10-04,…). Default: missing,failed.
    #[arg(long, value_name = "WHAT")]
    pub only: Option<Only>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Stop watching after this time, such as 90m; jobs go on.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
}

/// What rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The values of the dimensions.
    Service,
    /// Months.
    Month,
    /// Days.
    Day,
    /// Classes of failure.
    Class,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// What rows are grouped by.
    #[arg(long, value_enum, default_value_t = By::Service)]
    pub by: By,
}

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The day, such as condor/2018-10-04; or a part of one that was cut, such as condor/2018-10-04/05.
    pub slice: SliceId,
}

/// `logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The day, such as condor/2018-10-04; or a part of one that was cut, such as condor/2018-10-04/05.
    pub slice: SliceId,
    /// Of which try; default: the last.
    #[arg(long, value_name = "N")]
    pub r#try: Option<u32>,
    /// Of which load; default: the last that has such a try.
    #[arg(long, value_name = "N")]
    pub load: Option<u32>,
    /// How many lines from the end.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub lines: u16,
}

/// Which days: partitions by name, or a range, narrowed by dimensions.
#[derive(Debug, Args)]
pub struct Days {
    /// These partitions, such as condor/2018-10-04,condor/2018-10-05; or parts of them, such as condor/2018-10-04/05.
    #[arg(long, value_name = "PARTITIONS", value_delimiter = ',', conflicts_with_all = ["from", "to", "dimension"])]
    pub only: Vec<SliceId>,
    /// First day, inclusive.
    #[arg(long, value_name = "DAY", required_unless_present = "only")]
    pub from: Option<NaiveDate>,
    /// Last day, inclusive.
    #[arg(long, value_name = "DAY", required_unless_present = "only")]
    pub to: Option<NaiveDate>,
    /// Only where a dimension has this value, such as service=condor; may be repeated.
    #[arg(long = "where", value_name = "DIMENSION=VALUE", value_parser = pair)]
    pub dimension: Vec<(String, String)>,
}

/// `cancel`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Which days.
    #[command(flatten)]
    pub days: Days,
    /// Why; it is kept in the journal.
    #[arg(long, default_value = "cancelled by hand")]
    pub reason: String,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// What days are marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MarkAs {
    /// Loaded: not planned again.
    Done,
    /// Not loaded: the next plan takes them up.
    Failed,
}

/// `mark`
#[derive(Debug, Args)]
pub struct MarkArgs {
    /// The backfill.
    #[command(flatten)]
    pub spec: SpecArgs,
    /// What the days are.
    #[arg(value_enum)]
    pub mark: MarkAs,
    /// Which days.
    #[command(flatten)]
    pub days: Days,
    /// Why; it is kept in the journal.
    #[arg(long)]
    pub reason: String,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// `register`
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Job definition files.
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Only show what differs.
    #[arg(long)]
    pub diff: bool,
    /// Where jobs run.
    #[arg(long, value_enum, default_value = "aws")]
    pub engine: EngineArg,
    /// With the local engine: its folder.
    #[arg(long, value_name = "DIR", default_value = ".dayfill/engine", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The Region; default: as any AWS tool finds it.
    #[arg(long)]
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    #[arg(long)]
    pub profile: Option<String>,
}

/// How jobs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunnerArg {
    /// As processes of this user, whatever image they name.
    Process,
    /// As containers of their image, through the `docker` command, on this machine's network.
    Docker,
}

impl From<RunnerArg> for Runner {
    fn from(arg: RunnerArg) -> Self {
        match arg {
            RunnerArg::Process => Self::Process,
            RunnerArg::Docker => Self::Docker,
        }
    }
}

/// How jobs are held to their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LimitArg {
    /// By control groups where these can be made, else by the supervisor.
    Auto,
    /// By control groups: the kernel kills.
    Cgroup,
    /// By a supervisor that sums the memory of each process tree every 20 ms.
    Supervisor,
}

impl From<LimitArg> for LimitMeans {
    fn from(arg: LimitArg) -> Self {
        match arg {
            LimitArg::Auto => Self::Auto,
            LimitArg::Cgroup => Self::Cgroup,
            LimitArg::Supervisor => Self::Supervisor,
        }
    }
}

/// `local`
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// The folder whose subfolders are the buckets; clients may create more.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub lake: PathBuf,
    /// Serve a folder that lies elsewhere as a bucket; may be repeated.
    #[arg(long, value_name = "NAME=DIR", value_parser = pair)]
    pub bucket: Vec<(String, String)>,
    /// The port on 127.0.0.1; 0: any that is free.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The folder of the engine: job table, logs, scratch.
    #[arg(long, value_name = "DIR", default_value = ".dayfill/engine", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Create this job queue if it is not there; may be repeated. There is always one named `default`.
    #[arg(long, value_name = "NAME")]
    pub queue: Vec<String>,
    /// vCPUs that jobs may use at once; default: all of the machine.
    #[arg(long)]
    pub vcpus: Option<u32>,
    /// Memory that jobs may use at once, such as 8GiB; default: four fifths of the machine's.
    #[arg(long, value_parser = mebibytes)]
    pub memory: Option<u64>,
    /// How far the date of a signature may be off.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub signature_age: std::time::Duration,
    /// How jobs are run.
    #[arg(long, value_enum, default_value_t = RunnerArg::Process)]
    pub runner: RunnerArg,
    /// How jobs that run as processes are held to their memory.
    #[arg(long, value_enum, default_value_t = LimitArg::Auto)]
    pub limit: LimitArg,
    /// Take this many hosts in a hundred away within a minute, such as 10%, as happens to Spot capacity: their jobs are
    /// killed and end as AWS Batch tells it.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub reclaims: Option<f64>,
    /// Which hosts are taken: the same jobs lose theirs with the same number; default: a new one, which is printed.
    #[arg(long, value_name = "NUMBER", requires = "reclaims")]
    pub seed: Option<u64>,
    /// Take hosts from jobs of this queue only; may be repeated.
    #[arg(long, value_name = "QUEUE", requires = "reclaims")]
    pub reclaims_on: Vec<String>,
    /// Append every call of Batch to this file, a JSON line each.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    dayfill_core::units::parse_duration(text).map_err(|e| e.to_string())
}

fn mebibytes(text: &str) -> Result<u64, String> {
    dayfill_core::units::parse_size(text).map(|bytes| bytes >> 20).map_err(|e| e.to_string())
}

fn percent(text: &str) -> Result<f64, String> {
    dayfill_core::units::parse_percent(text).map_err(|e| format!("{e}: {}", e.help))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("write {text:?} as NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
