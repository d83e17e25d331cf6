//! The job that loads one day.

use std::collections::BTreeMap;
use std::time::Duration;

use self::kinds::{IDEMPOTENT_HELP, check_manifest, read_idempotent, read_reads, read_success};
use super::EngineKind;
use super::names::{holds_access_key, is_batch_name, looks_like_credential};
use super::parts::{JobParts, MemoryParts, MemorySignsParts};
use super::policy::{Idempotent, MemoryBounds, MemorySigns, Reads, Success};
use super::problem::{ProblemPart, Problems};
use super::source::read_regex;
use crate::job::OWN_VARIABLES;
use crate::layout::Layout;
use crate::template::Template;
use crate::units::{self, MIB};

mod kinds;

/// The least memory that Batch gives a job, in MiB.
const LEAST_MEMORY_MIB: u64 = 4;
/// How far memory may grow where no most was said.
const GROWTH: u64 = 4;
const SHORTEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Batch counts seconds in 32 bits.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(i32::MAX as u64);
/// The largest host of EC2, u7inh-32tb.480xlarge, has 32 TiB ("Amazon EC2 instance types", memory optimized).
const MOST_MEMORY_MIB: u64 = 32 << 20;
const MOST_VCPUS: u64 = 1024;
/// The queue of the local engine where none was named.
const LOCAL_QUEUE: &str = "local";

const SECRETS_HELP: &str = "keep it in Secrets Manager or the Parameter Store and name its ARN under `secrets:` of the job definition";

/// Where the job definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A YAML file, relative to the file of the backfill; registered when it differs.
    File(String),
    /// A registered definition: `name`, `name:revision` or an ARN.
    Named(String),
}

/// The job that loads one day.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    definition: Definition,
    queue: String,
    fallback_queue: Option<String>,
    share_identifier: Option<String>,
    vcpus: u32,
    memory: MemoryBounds,
    timeout: Option<Duration>,
    idempotent: Idempotent,
    reads: Reads,
    success: Success,
    command: Option<Vec<Template>>,
    environment: BTreeMap<String, Template>,
    out_of_memory: MemorySigns,
}

impl JobSpec {
    /// Where the job definition comes from.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The queue: a name or an ARN.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The queue that a slice goes to when its hosts are taken too often: a name or an ARN.
    pub fn fallback_queue(&self) -> Option<&str> {
        self.fallback_queue.as_deref()
    }

    /// The share, on queues that ask for one.
    pub fn share_identifier(&self) -> Option<&str> {
        self.share_identifier.as_deref()
    }

    /// How many vCPUs a job gets, at least 1.
    pub fn vcpus(&self) -> u32 {
        self.vcpus
    }

    /// How much memory a job gets.
    pub fn memory(&self) -> MemoryBounds {
        self.memory
    }

    /// The longest that an attempt may run, at least a minute.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// What may be run again without doing harm.
    pub fn idempotent(&self) -> Idempotent {
        self.idempotent
    }

    /// What a job is told to read.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// What makes a job a success.
    pub fn success(&self) -> Success {
        self.success
    }

    /// The command, word by word; that of the definition if left out.
    pub fn command(&self) -> Option<&[Template]> {
        self.command.as_deref()
    }

    /// The environment that is added to that of the definition.
    pub fn environment(&self) -> &BTreeMap<String, Template> {
        &self.environment
    }

    /// What tells that a job ran out of memory although its container did not.
    pub fn out_of_memory(&self) -> &MemorySigns {
        &self.out_of_memory
    }
}

pub(super) fn read(
    parts: JobParts,
    layout: Option<&Layout>,
    engine: EngineKind,
    problems: &mut Problems,
) -> Option<JobSpec> {
    let definition = problems
        .required(
            "job.definition",
            parts.definition,
            "write a file such as job-definitions/load.yaml, or name:revision",
        )
        .and_then(|text| read_definition(text, problems));
    let queue = read_queue(parts.queue, engine, problems);
    let fallback_queue =
        parts.fallback_queue.filter(|fallback| check_fallback(fallback, queue.as_deref(), problems));
    let share_identifier = parts.share_identifier.filter(|share| check_share(share, problems));
    let vcpus = match parts.vcpus {
        Some(vcpus) => whole("job.vcpus", vcpus, 1..=MOST_VCPUS, problems),
        None => Some(1),
    };
    let memory = problems
        .required(
            "job.memory",
            parts.memory,
            "write what a first try gets and what no try goes beyond: { start: 2GiB, max: 16GiB }",
        )
        .and_then(|memory| read_memory(memory, problems));
    let timeout = parts.timeout.map(|timeout| read_timeout(&timeout, problems));
    let idempotent = problems
        .required("job.idempotent", parts.idempotent, IDEMPOTENT_HELP)
        .and_then(|name| read_idempotent(&name, problems));
    let reads = parts.reads.map_or(Some(Reads::default()), |name| read_reads(&name, problems));
    let success = parts.success.map_or(Some(Success::default()), |name| read_success(&name, problems));
    let command = parts.command.map(|words| read_command(words, layout, problems));
    let environment = read_environment(parts.environment, layout, problems);
    let templates: Vec<&Template> = command.iter().flatten().chain(environment.values()).collect();
    check_manifest(reads, &templates, problems);
    let out_of_memory = read_memory_signs(parts.out_of_memory.unwrap_or_default(), problems);
    Some(JobSpec {
        definition: definition?,
        queue: queue?,
        fallback_queue,
        share_identifier,
        vcpus: vcpus?,
        memory: memory?,
        // A timeout or command that could not be read has left a problem, so this is never used in its place.
        timeout: timeout.flatten(),
        idempotent: idempotent?,
        reads: reads?,
        success: success?,
        command,
        environment,
        out_of_memory,
    })
}

/// A whole number within bounds.
pub(super) fn whole(
    field: &str,
    value: u64,
    bounds: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u32> {
    if bounds.contains(&value) {
        return u32::try_from(value).ok();
    }
    let (least, most) = (bounds.start(), bounds.end());
    let (message, help) = if value < *least {
        (format!("{value} is too small for `{field}`"), format!("write a whole number from {least}"))
    } else {
        (
            format!("{value} is too large for `{field}`"),
            format!("write a whole number from {least} to {most}"),
        )
    };
    problems.add(field, message, help);
    None
}

/// A size in MiB, rounded up: Batch counts memory in whole MiB.
pub(super) fn mebibytes(field: &str, text: &str, problems: &mut Problems) -> Option<u64> {
    let mib = match units::parse_size(text) {
        Ok(bytes) => bytes.div_ceil(MIB),
        Err(error) => {
            problems.add(field, error.message, error.help);
            return None;
        }
    };
    if mib < LEAST_MEMORY_MIB {
        problems.add(field, format!("{text} is less than a job can have"), "write at least 4MiB");
        return None;
    }
    if mib > MOST_MEMORY_MIB {
        problems.add(
            field,
            format!("{text} is more than any host has: the largest of EC2 has 32 TiB"),
            "write a size such as 4GiB",
        );
        return None;
    }
    Some(mib)
}

fn read_definition(text: String, problems: &mut Problems) -> Option<Definition> {
    let is_file = std::path::Path::new(&text).extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
    });
    if is_file {
        return Some(Definition::File(text));
    }
    let (name, revision) = match text.rsplit_once(':') {
        Some((name, revision)) if revision.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, Some(revision))
        }
        _ => (&*text, None),
    };
    let revision_is_one =
        revision.is_none_or(|revision| revision.parse::<u32>().is_ok_and(|revision| revision > 0));
    if is_batch_name(name, "job-definition") && revision_is_one {
        return Some(Definition::Named(text));
    }
    let help = "write a file that ends with .yaml, or the name of a registered definition, with its revision or without: embulk-td:3";
    problems.add("job.definition", format!("`{}` is not a job definition", text.escape_debug()), help);
    None
}

fn read_queue(queue: Option<String>, engine: EngineKind, problems: &mut Problems) -> Option<String> {
    let queue = match (queue, engine) {
        (None, EngineKind::Local) => LOCAL_QUEUE.to_owned(),
        (queue, _) => problems.required("job.queue", queue, "write the name of the Batch job queue")?,
    };
    is_queue("job.queue", &queue, problems).then_some(queue)
}

fn is_queue(field: &str, queue: &str, problems: &mut Problems) -> bool {
    let good = is_batch_name(queue, "job-queue");
    if !good {
        let help = "write the queue's name (letters, digits, - and _, at most 128) or its ARN";
        problems.add(field, format!("`{}` is not the name of a job queue", queue.escape_debug()), help);
    }
    good
}

fn check_fallback(fallback: &str, queue: Option<&str>, problems: &mut Problems) -> bool {
    const FIELD: &str = "job.fallback_queue";
    if queue == Some(fallback) {
        let help = "name a queue whose hosts are not taken away, or leave it out";
        problems.add(FIELD, "the fallback queue is the queue itself", help);
        return false;
    }
    is_queue(FIELD, fallback, problems)
}

fn read_memory_signs(parts: MemorySignsParts, problems: &mut Problems) -> MemorySigns {
    let mut signs = MemorySigns::default();
    if let Some(written) = parts.exit_codes {
        let code = |(at, text): (usize, String)| {
            let code = text.parse().ok().filter(|code| (1..=255).contains(code));
            if code.is_none() {
                let message = format!("`{}` is not the exit code of a failure", text.escape_debug());
                let help = "write whole numbers from 1 to 255, or [] for none";
                problems.add(format!("job.out_of_memory.exit_codes[{at}]"), message, help);
            }
            code
        };
        signs.exit_codes = written.into_iter().enumerate().filter_map(code).collect();
    }
    if let Some(written) = parts.log {
        for (at, pattern) in written.iter().enumerate() {
            // What is wrong with it is a problem by now.
            let _ = read_regex(&format!("job.out_of_memory.log[{at}]"), Some(pattern.clone()), problems);
        }
        signs.log = written;
    }
    signs
}

fn check_share(share: &str, problems: &mut Problems) -> bool {
    let good = (1..=255).contains(&share.len()) && share.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !good {
        let message = format!("`{}` is not a share identifier", share.escape_debug());
        problems.add("job.share_identifier", message, "write letters and digits, at most 255");
    }
    good
}

fn read_memory(parts: MemoryParts, problems: &mut Problems) -> Option<MemoryBounds> {
    let start = problems
        .required("job.memory.start", parts.start, "write what a first try gets, such as 2GiB")
        .and_then(|start| mebibytes("job.memory.start", &start, problems));
    let max = parts.max.map(|max| mebibytes("job.memory.max", &max, problems));
    let start_mib = start?;
    let max_mib = match max {
        Some(max) => max?,
        None => start_mib.saturating_mul(GROWTH),
    };
    if start_mib > max_mib {
        let (start, max) = (units::show_mib(start_mib), units::show_mib(max_mib));
        let message = format!("memory starts at {start}, above its most of {max}");
        problems.add("job.memory.start", message, "lower `start` or raise `max`");
        return None;
    }
    Some(MemoryBounds { start_mib, max_mib })
}

fn read_timeout(text: &str, problems: &mut Problems) -> Option<Duration> {
    const FIELD: &str = "job.timeout";
    let timeout =
        units::parse_duration(text).map_err(|error| problems.add(FIELD, error.message, error.help)).ok()?;
    if timeout < SHORTEST_TIMEOUT {
        problems.add(FIELD, format!("a timeout of {text} is too short"), "Batch takes no timeout below 60s");
    } else if timeout > LONGEST_TIMEOUT {
        problems.add(FIELD, format!("a timeout of {text} is too long"), "write a duration such as 2h");
    }
    Some(timeout)
}

fn read_command(words: Vec<String>, layout: Option<&Layout>, problems: &mut Problems) -> Vec<Template> {
    if words.is_empty() {
        problems.add(
            "job.command",
            "the command is empty",
            "leave `command` out to run that of the job definition",
        );
    }
    let word = |(index, word): (usize, String)| {
        let field = format!("job.command[{index}]");
        if holds_access_key(&word) {
            problems.add_part(
                field,
                ProblemPart::Secret,
                "the word holds an access key of AWS",
                "give the job a role instead: `jobRoleArn:` of the job definition",
            );
            return None;
        }
        read_template(&field, &word, layout, problems)
    };
    words.into_iter().enumerate().filter_map(word).collect()
}

fn read_environment(
    written: Vec<(String, String)>,
    layout: Option<&Layout>,
    problems: &mut Problems,
) -> BTreeMap<String, Template> {
    let mut environment = BTreeMap::new();
    for (name, value) in written {
        let field = format!("job.environment.{name}");
        check_variable(&field, &name, problems);
        let template = read_template(&field, &value, layout, problems);
        // A text that could not be read as a template may still be a credential.
        let literal = template.as_ref().is_none_or(|template| !template.has_fields());
        if holds_access_key(&value) || (literal && looks_like_credential(&name, &value)) {
            let message = format!("the value of {name} looks like a credential");
            problems.add_part(field, ProblemPart::Secret, message, SECRETS_HELP);
        }
        if let Some(template) = template {
            environment.insert(name, template);
        }
    }
    environment
}

fn check_variable(field: &str, name: &str, problems: &mut Problems) {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let message = format!("`{}` cannot name an environment variable", name.escape_debug());
        problems.add_part(
            field,
            ProblemPart::Name,
            message,
            "use letters, digits and _, and begin with a letter or _",
        );
    } else if OWN_VARIABLES.contains(&name) {
        let message = format!("{name} is set by dayfill itself");
        problems.add_part(field, ProblemPart::Name, message, "leave it out, or choose another name");
    } else if name.starts_with("AWS_BATCH") {
        problems.add_part(
            field,
            ProblemPart::Name,
            format!("{name} is set by Batch itself"),
            "names that begin with AWS_BATCH are taken; choose another",
        );
    }
}

fn read_template(
    field: &str,
    text: &str,
    layout: Option<&Layout>,
    problems: &mut Problems,
) -> Option<Template> {
    if let Some(at) = text.find('\0') {
        problems.add_at(
            field,
            at..at + 1,
            "the text holds a NUL character",
            "remove it: no process can be given one",
        );
        return None;
    }
    // Without a layout nobody knows the dimensions, and every field might be one.
    let read = match layout {
        Some(layout) => Template::parse(text, layout.dimensions()),
        None => Template::try_from(text.to_owned()),
    };
    read.map_err(|error| problems.add_at(field, error.at, error.message, error.help)).ok()
}
