//! CloudWatch Logs over the jobs' log files: one file per attempt, one stream per file, one group for all.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::names::{Names, log_stream};
use crate::scheduler::Millis;

/// The log group of all jobs.
pub const GROUP: &str = "/aws/batch/job";

const MOST_EVENTS: i64 = 10_000;
const MOST_STREAMS: i64 = 50;
// A page holds at most 1 MB of text, and an event at most 256 KiB.
const PAGE_BYTES: u64 = 1 << 20;
const EVENT_BYTES: usize = 256 << 10;

/// An error of CloudWatch Logs: its type and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsError {
    /// As `ResourceNotFoundException`.
    pub kind: &'static str,
    /// What the client sees.
    pub message: String,
}

fn error<T>(kind: &'static str, message: &str) -> Result<T, LogsError> {
    Err(LogsError { kind, message: message.to_owned() })
}

/// What the engine knows about the run behind a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTimes {
    /// When its command began to run.
    pub started_at: Option<Millis>,
    /// Whether it may still write.
    pub active: bool,
}

/// The log files.
#[derive(Debug)]
pub struct Logs {
    dir: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<Millis>,
    end_time: Option<Millis>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: bool,
    next_token: Option<String>,
    limit: Option<i64>,
}

// A piece of a file in whole lines: where it begins and ends, and its events.
struct Page {
    from: u64,
    to: u64,
    lines: Vec<String>,
}

impl Logs {
    /// The log files under `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The file of a run.
    pub fn file(&self, definition: &str, run: &str) -> PathBuf {
        self.dir.join(definition).join("default").join(run)
    }

    /// Answers a call. `times` tells about the run of a stream.
    pub fn call(
        &self,
        names: &Names,
        target: &str,
        body: &[u8],
        times: impl Fn(&str) -> Option<RunTimes>,
    ) -> Result<Value, LogsError> {
        match target.rsplit('.').next().unwrap_or_default() {
            "GetLogEvents" => self.get_log_events(names, read(body)?, times),
            "DescribeLogStreams" => self.describe_log_streams(names, read(body)?, times),
            _ => error("UnknownOperationException", "This operation is not supported by this engine."),
        }
    }

    fn get_log_events(
        &self,
        names: &Names,
        request: GetLogEvents,
        times: impl Fn(&str) -> Option<RunTimes>,
    ) -> Result<Value, LogsError> {
        check_group(names, request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
        let limit = request.limit.unwrap_or(MOST_EVENTS);
        if !(1..=MOST_EVENTS).contains(&limit) {
            return error("InvalidParameterException", "limit must be between 1 and 10000");
        }
        let Some((path, run)) = self.existing(&request.log_stream_name) else {
            return error("ResourceNotFoundException", "The specified log stream does not exist.");
        };
        let known = times(run);
        let active = known.is_some_and(|times| times.active);
        let start = Start::parse(request.next_token.as_deref(), request.start_from_head)?;
        let page = File::open(&path).and_then(|mut file| read_page(&mut file, start, limit as usize, active));
        let page = page.or_else(|_| error("ServiceUnavailableException", "The log file cannot be read."))?;
        let (created, modified) = file_times(&path);
        // When a line was written is not known, only that it was after the start. A time that is the same at every
        // call is worth more than a better guess.
        let timestamp = known.and_then(|times| times.started_at).unwrap_or(created);
        let in_range = request.start_time.is_none_or(|from| timestamp >= from)
            && request.end_time.is_none_or(|to| timestamp < to);
        let events: Vec<Value> = page
            .lines
            .iter()
            .filter(|line| in_range && !line.is_empty())
            .map(|line| json!({ "timestamp": timestamp, "message": line, "ingestionTime": modified }))
            .collect();
        Ok(json!({
            "events": events,
            "nextForwardToken": format!("f/{:020}", page.to),
            "nextBackwardToken": format!("b/{:020}", page.from),
        }))
    }

    fn describe_log_streams(
        &self,
        names: &Names,
        request: DescribeLogStreams,
        times: impl Fn(&str) -> Option<RunTimes>,
    ) -> Result<Value, LogsError> {
        check_group(names, request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
        let limit = request.limit.unwrap_or(MOST_STREAMS);
        if !(1..=MOST_STREAMS).contains(&limit) {
            return error("InvalidParameterException", "limit must be between 1 and 50");
        }
        let by_time = request.order_by.as_deref() == Some("LastEventTime");
        if by_time && request.log_stream_name_prefix.is_some() {
            return error(
                "InvalidParameterException",
                "Cannot order by LastEventTime with a logStreamNamePrefix.",
            );
        }
        let prefix = request.log_stream_name_prefix.unwrap_or_default();
        let mut streams: Vec<(Millis, String, PathBuf)> = self
            .streams()
            .into_iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, path)| (if by_time { file_times(&path).1 } else { 0 }, name, path))
            .collect();
        streams.sort();
        if request.descending {
            streams.reverse();
        }
        let from = match &request.next_token {
            None => 0,
            Some(token) => match streams.iter().position(|(_, name, _)| name == token) {
                Some(at) => at + 1,
                None => return error("InvalidParameterException", "The specified nextToken is invalid."),
            },
        };
        let rest = streams.get(from..).unwrap_or_default();
        let page: Vec<&(Millis, String, PathBuf)> = rest.iter().take(limit as usize).collect();
        let found: Vec<Value> =
            page.iter().map(|(_, name, path)| stream(names, name, path, &times)).collect();
        let mut answer = json!({ "logStreams": found });
        if let (true, Some((_, name, _))) = (rest.len() > page.len(), page.last()) {
            answer["nextToken"] = json!(name);
        }
        Ok(answer)
    }

    // Only names of the form that this engine gives: a stream name comes from anybody, and becomes a path.
    fn existing<'a>(&self, stream: &'a str) -> Option<(PathBuf, &'a str)> {
        let mut parts = stream.split('/');
        let (definition, default, run) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        let ours = parts.next().is_none() && default == "default" && plain(definition) && plain(run);
        let path = ours.then(|| self.file(definition, run))?;
        path.is_file().then_some((path, run))
    }

    fn streams(&self) -> Vec<(String, PathBuf)> {
        let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let mut found = Vec::new();
        for definition in list(&self.dir) {
            for run in list(&definition.path().join("default")) {
                let (definition, name) = (definition.file_name(), run.file_name());
                found.push((log_stream(&definition.to_string_lossy(), &name.to_string_lossy()), run.path()));
            }
        }
        found
    }
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, LogsError> {
    serde_json::from_slice(body)
        .or_else(|source| error("SerializationException", &format!("the request cannot be read: {source}")))
}

fn check_group(names: &Names, name: Option<&str>, identifier: Option<&str>) -> Result<(), LogsError> {
    let arn = names.log_group(GROUP);
    match (name, identifier) {
        (Some(group), None) | (None, Some(group)) if group == GROUP || group == arn => Ok(()),
        (Some(_), None) | (None, Some(_)) => {
            error("ResourceNotFoundException", "The specified log group does not exist.")
        }
        _ => error(
            "InvalidParameterException",
            "Exactly one of logGroupName and logGroupIdentifier must be given.",
        ),
    }
}

fn stream(names: &Names, name: &str, path: &Path, times: impl Fn(&str) -> Option<RunTimes>) -> Value {
    let (created, modified) = file_times(path);
    let run = name.rsplit('/').next().unwrap_or_default();
    let first = times(run).and_then(|times| times.started_at).unwrap_or(created);
    json!({
        "logStreamName": name,
        "creationTime": created,
        "firstEventTimestamp": first,
        "lastEventTimestamp": first,
        "lastIngestionTime": modified,
        "arn": format!("{}:log-stream:{name}", names.log_group(GROUP)),
    })
}

// Creation and last change in milliseconds. Not every file system knows the first.
fn file_times(path: &Path) -> (Millis, Millis) {
    let millis = |time: io::Result<std::time::SystemTime>| {
        let since = time.ok()?.duration_since(UNIX_EPOCH).ok()?;
        Millis::try_from(since.as_millis()).ok()
    };
    let metadata = fs::metadata(path);
    let modified = metadata.as_ref().ok().and_then(|metadata| millis(metadata.modified())).unwrap_or(0);
    let created = metadata.ok().and_then(|metadata| millis(metadata.created())).unwrap_or(modified);
    (created, modified)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Forward(u64),
    // The page that ends here; none: at the end of the file.
    Backward(Option<u64>),
}

impl Start {
    fn parse(token: Option<&str>, from_head: bool) -> Result<Self, LogsError> {
        let number = |text: &str| text.parse::<u64>().ok();
        let parsed = match token {
            None if from_head => Some(Self::Forward(0)),
            None => Some(Self::Backward(None)),
            Some(token) => match token.split_once('/') {
                Some(("f", at)) => number(at).map(Self::Forward),
                Some(("b", at)) => number(at).map(|at| Self::Backward(Some(at))),
                _ => None,
            },
        };
        match parsed {
            Some(start) => Ok(start),
            None => error("InvalidParameterException", "The specified nextToken is invalid."),
        }
    }
}

fn read_page(file: &mut File, start: Start, limit: usize, active: bool) -> io::Result<Page> {
    let length = file.metadata()?.len();
    match start {
        Start::Forward(from) => {
            let from = from.min(length);
            let text = read_range(file, from, (from + PAGE_BYTES).min(length))?;
            // The last line may not be complete: because of the cut, or because it is still being written.
            let at_end = from + text.len() as u64 >= length;
            let mut pieces = split(&text);
            if (active || !at_end) && pieces.last().is_some_and(|piece| !is_complete(piece)) {
                pieces.pop();
            }
            pieces.truncate(limit);
            let taken: usize = pieces.iter().map(|piece| piece.len()).sum();
            Ok(Page { from, to: from + taken as u64, lines: texts(&pieces) })
        }
        Start::Backward(to) => {
            let to = to.unwrap_or(length).min(length);
            let begin = to.saturating_sub(PAGE_BYTES);
            let text = read_range(file, begin, to)?;
            let mut pieces = split(&text);
            let mut end = to;
            if to == length && active && pieces.last().is_some_and(|piece| !is_complete(piece)) {
                end -= pieces.pop().map_or(0, <[u8]>::len) as u64;
            }
            // Where the page was cut out of the middle, its first line is the end of one that began before.
            if begin > 0 && pieces.len() > 1 {
                pieces.remove(0);
            }
            let pieces = pieces.split_off(pieces.len().saturating_sub(limit));
            let taken: usize = pieces.iter().map(|piece| piece.len()).sum();
            Ok(Page { from: end - taken as u64, to: end, lines: texts(&pieces) })
        }
    }
}

fn read_range(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut text)?;
    Ok(text)
}

fn split(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(EVENT_BYTES)).collect()
}

fn is_complete(piece: &[u8]) -> bool {
    piece.ends_with(b"\n") || piece.len() == EVENT_BYTES
}

fn texts(pieces: &[&[u8]]) -> Vec<String> {
    let text = |piece: &&[u8]| String::from_utf8_lossy(piece).trim_end_matches(['\n', '\r']).to_owned();
    pieces.iter().map(text).collect()
}

#[cfg(test)]
mod tests;
