//! Where data lies and where the journal is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use chrono_tz::Tz;
use regex::Regex;

use super::names::bucket_fault;
use super::parts::SourceParts;
use super::problem::{ProblemPart, Problems};
use crate::layout::{self, Layout};
use crate::units;

/// How long after its end, and after its newest object, a day may still receive files, unless the YAML says. None:
/// a lake that was copied an hour ago would otherwise be all unsettled.
const SETTLE: Duration = Duration::ZERO;
const LONGEST_SETTLE: Duration = Duration::from_hours(24 * 366);

/// Where the data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceUri {
    /// A bucket of S3.
    S3 {
        /// The name of the bucket.
        bucket: String,
        /// What every key begins with: nothing, or a text that ends with `/`.
        prefix: String,
    },
    /// A folder of this machine, only with the local engine. Relative to the YAML file.
    Folder(String),
}

/// Where the journal and the plans are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In a bucket.
    S3 {
        /// The name of the bucket.
        bucket: String,
        /// What every key begins with: nothing, or a text that ends with `/`.
        prefix: String,
    },
    /// In a folder of this machine. Relative to the YAML file.
    Folder(String),
}

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => f.write_str(folder),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => f.write_str(folder),
        }
    }
}

/// Where the data lies and how its keys read.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    uri: SourceUri,
    layout: Layout,
    zone: Tz,
    include: Option<Regex>,
    exclude: Option<Regex>,
    dimensions: BTreeMap<String, Vec<String>>,
    settle: Duration,
}

impl SourceSpec {
    /// Where the data lies.
    pub fn uri(&self) -> &SourceUri {
        &self.uri
    }

    /// The key template; keys are read without the prefix of the uri.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The zone of the dates in the keys.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The regex that keys must match, as it was written.
    pub fn include(&self) -> Option<&str> {
        self.include.as_ref().map(Regex::as_str)
    }

    /// The regex that keys must not match, as it was written.
    pub fn exclude(&self) -> Option<&str> {
        self.exclude.as_ref().map(Regex::as_str)
    }

    /// Whether `include` and `exclude` let a whole key (with the prefix of the uri) through.
    pub fn wants(&self, key: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(key))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(key))
    }

    /// The values of the dimensions that are not to be discovered; each list has at least one, in the order written.
    pub fn dimensions(&self) -> &BTreeMap<String, Vec<String>> {
        &self.dimensions
    }

    /// How long after its end a day may still receive files.
    pub fn settle(&self) -> Duration {
        self.settle
    }
}

/// What could be read of a source, for checks of what depends on it.
pub(super) struct ReadSource {
    pub layout: Option<Layout>,
    pub zone: Option<Tz>,
    pub whole: Option<SourceSpec>,
    pub in_bucket: bool,
}

pub(super) fn read(parts: SourceParts, problems: &mut Problems) -> ReadSource {
    let uri = problems
        .required("source.uri", parts.uri, "write where the data lies, such as s3://my-bucket/logs")
        .and_then(|uri| source_uri(&uri, problems));
    let layout = problems
        .required(
            "source.layout",
            parts.layout,
            "write how the keys read, such as {service}/{year}/{month}/{day}/",
        )
        .and_then(|template| read_layout(&template, problems));
    let zone = match parts.zone {
        Some(zone) => read_zone("source.zone", &zone, problems),
        None => Some(Tz::UTC),
    };
    let include = read_regex("source.include", parts.include, problems);
    let exclude = read_regex("source.exclude", parts.exclude, problems);
    let settle = read_settle(parts.settle, problems);
    let dimensions = read_dimensions(parts.dimensions, layout.as_ref(), problems);
    let in_bucket = matches!(uri, Some(SourceUri::S3 { .. }));
    let whole = match (uri, &layout, zone, include, exclude, settle) {
        (Some(uri), Some(layout), Some(zone), Ok(include), Ok(exclude), Some(settle)) => {
            Some(SourceSpec { uri, layout: layout.clone(), zone, include, exclude, dimensions, settle })
        }
        _ => None,
    };
    ReadSource { layout, zone, whole, in_bucket }
}

/// Reads a zone, or says which name comes near.
pub(super) fn read_zone(field: &str, name: &str, problems: &mut Problems) -> Option<Tz> {
    if let Ok(zone) = name.parse() {
        return Some(zone);
    }
    let lower = name.to_lowercase();
    let distance = |zone: &Tz| strsim::damerau_levenshtein(&zone.name().to_lowercase(), &lower);
    let city = |zone: &Tz| zone.name().to_lowercase().rsplit('/').next() == Some(&lower);
    // Names without a place, such as EST, come near to every abbreviation and help nobody.
    let places = || chrono_tz::TZ_VARIANTS.into_iter().filter(|zone| zone.name().contains('/'));
    let nearest =
        places().find(city).or_else(|| places().min_by_key(distance).filter(|zone| distance(zone) <= 2));
    let help = match nearest {
        Some(zone) => format!("did you mean {}?", zone.name()),
        None if name.contains(':') || name.starts_with(['+', '-']) => {
            "write a place such as Asia/Tokyo, or Etc/GMT-9, which is nine hours ahead of UTC".to_owned()
        }
        None => {
            "write a place of the time zone database, such as UTC, Asia/Tokyo or Europe/Berlin".to_owned()
        }
    };
    problems.add(field, format!("`{name}` is not a time zone"), help);
    None
}

/// Reads where the journal is kept.
pub(super) fn read_state(text: &str, problems: &mut Problems) -> Option<State> {
    match location("state", text, problems)? {
        Location::Bucket { bucket, prefix } => Some(State::S3 { bucket, prefix }),
        Location::Folder(folder) => Some(State::Folder(folder)),
    }
}

fn source_uri(text: &str, problems: &mut Problems) -> Option<SourceUri> {
    match location("source.uri", text, problems)? {
        Location::Bucket { bucket, prefix } => Some(SourceUri::S3 { bucket, prefix }),
        Location::Folder(folder) => Some(SourceUri::Folder(folder)),
    }
}

enum Location {
    Bucket { bucket: String, prefix: String },
    Folder(String),
}

fn location(field: &str, text: &str, problems: &mut Problems) -> Option<Location> {
    const HELP: &str = "write s3://bucket/prefix or a folder";
    if text.trim().is_empty() {
        problems.add(field, format!("`{field}` is empty"), HELP);
        return None;
    }
    if text.chars().any(layout::is_unsafe) {
        problems.add(field, format!("`{field}` holds a control or text-direction character"), HELP);
        return None;
    }
    let Some(rest) = text.strip_prefix("s3://") else {
        return match text.split_once("://") {
            Some((scheme, _)) => {
                problems.add_at(
                    field,
                    0..scheme.len(),
                    format!("`{scheme}://` is not a place that is known"),
                    HELP,
                );
                None
            }
            None => Some(Location::Folder(text.to_owned())),
        };
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(fault) = bucket_fault(bucket) {
        let start = "s3://".len();
        problems.add_at(
            field,
            start..start + bucket.len(),
            format!("`{bucket}` is not the name of a bucket"),
            fault,
        );
        return None;
    }
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    Some(Location::Bucket { bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") })
}

fn read_layout(template: &str, problems: &mut Problems) -> Option<Layout> {
    Layout::parse(template)
        .map_err(|error| problems.add_at("source.layout", error.at, error.message, error.help))
        .ok()
}

/// Reads a regex that may be left out; an error when there is one that cannot be read.
pub(super) fn read_regex(
    field: &str,
    pattern: Option<String>,
    problems: &mut Problems,
) -> Result<Option<Regex>, ()> {
    pattern.map(|pattern| compile(&pattern)).transpose().map_err(|(at, message, help)| match at {
        Some(at) => problems.add_at(field, at, message, help),
        None => problems.add(field, message, help),
    })
}

/// Compiles a regex, or says where the fault is (if it is in one place), what it is, and what to write.
fn compile(pattern: &str) -> Result<Regex, (Option<Range<usize>>, String, &'static str)> {
    // The parser is asked first: unlike the compiler it says where the fault is.
    if let Err(error) = regex_syntax::parse(pattern) {
        let (span, fault) = match &error {
            regex_syntax::Error::Parse(error) => (Some(error.span()), error.kind().to_string()),
            regex_syntax::Error::Translate(error) => (Some(error.span()), error.kind().to_string()),
            _ => (None, error.to_string()),
        };
        let at = span.map(|span| span.start.offset..span.end.offset);
        return Err((at, format!("the pattern cannot be read: {fault}"), REGEX_HELP));
    }
    let too_large = "the pattern is too large".to_owned();
    Regex::new(pattern).map_err(|_| (None, too_large, "write a shorter one, or smaller repetitions"))
}

const REGEX_HELP: &str = r"a pattern is a regular expression that may match anywhere in the text, such as \.gz$; write \. for a dot";

fn read_settle(text: Option<String>, problems: &mut Problems) -> Option<Duration> {
    let Some(text) = text else { return Some(SETTLE) };
    match units::parse_duration(&text) {
        Ok(settle) if settle <= LONGEST_SETTLE => Some(settle),
        Ok(_) => {
            problems.add(
                "source.settle",
                "a day cannot take more than a year to settle",
                "write a duration such as 6h",
            );
            None
        }
        Err(error) => {
            problems.add("source.settle", error.message, error.help);
            None
        }
    }
}

fn read_dimensions(
    written: Vec<(String, Vec<String>)>,
    layout: Option<&Layout>,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<String>> {
    let mut dimensions = BTreeMap::new();
    for (name, values) in written {
        let field = format!("source.dimensions.{name}");
        if let Some(layout) = layout.filter(|layout| !layout.dimensions().contains(&name)) {
            let help = match layout.dimensions() {
                [] => "the layout has no dimensions; leave `dimensions` out".to_owned(),
                names => format!("the layout has {{{}}}", names.join("}, {")),
            };
            problems.add_part(
                &*field,
                ProblemPart::Name,
                format!("the layout has no dimension {{{name}}}"),
                help,
            );
        }
        if values.is_empty() {
            problems.add(
                &*field,
                format!("no value of {name} is named"),
                "name one, or leave the dimension out and it is discovered",
            );
        }
        for (index, value) in values.iter().enumerate() {
            let field = format!("{field}[{index}]");
            if let Err(fault) = layout::check_value(value) {
                let shown = value.escape_debug();
                problems.add(field, format!("`{shown}` {fault}"), "write the value as it stands in the keys");
            } else if values[..index].contains(value) {
                problems.add(field, format!("`{value}` is named twice"), "leave one of them out");
            }
        }
        dimensions.insert(name, values);
    }
    dimensions
}
