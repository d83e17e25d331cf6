//! The one way from what was written to what it means.

use chrono::NaiveDate;

use super::parts::{
    AwsParts, LimitsParts, LocalParts, PricesParts, RetryParts, SpecParts, SplitParts, WindowParts,
};
use super::policy::{Limits, Prices, Reclaims, RetryPolicy};
use super::problem::{Problems, SpecProblem};
use super::source::{self, ReadSource, State};
use super::{AwsSettings, EngineKind, JobSpec, LocalSettings, Spec, deadline, job};
use crate::day::{Window, WindowError};
use crate::layout;
use crate::split::Most;
use crate::units;

/// Batch makes at most ten attempts.
const MOST_SPOT: u64 = 9;
const MOST_RETRIES: u64 = 100;
const MOST_JOBS: u64 = 1_000_000;
/// The median, the 80th percentile and the largest.
const MOST_PILOTS: u64 = 3;
/// Where the local engine keeps the journal if nothing was said.
const LOCAL_STATE: &str = ".dayfill";

pub(super) fn open(parts: SpecParts) -> Result<Spec, Vec<SpecProblem>> {
    let mut problems = Problems::default();
    let engine = read_engine(parts.engine, &mut problems);
    let name = problems
        .required(
            "name",
            parts.name,
            "name the backfill, such as td-audit; with `state` the name says which one it is",
        )
        .filter(|name| check_name(name, &mut problems));
    let source = match problems.required("source", parts.source, "write `source:` with `uri:` and `layout:`")
    {
        Some(source) => source::read(source, &mut problems),
        None => ReadSource { layout: None, zone: None, whole: None, in_bucket: false },
    };
    if let Some(source::SourceUri::Folder(folder)) = source.whole.as_ref().map(source::SourceSpec::uri)
        && engine == Some(EngineKind::Aws)
    {
        let message = format!("the source is the folder {folder}, which AWS cannot read");
        problems.add("source.uri", message, "write s3://bucket/prefix, or `engine: local`");
    }
    let window = problems
        .required("window", parts.window, "write the days to load: { from: 2018-10-01, to: 2018-10-31 }")
        .and_then(|window| read_window(window, &source, &mut problems));
    let layout = source.layout.as_ref();
    let fallback = parts.job.as_ref().is_none_or(|job| job.fallback_queue.is_some());
    let deadline = parts.deadline.and_then(|text| deadline::read(&text, fallback, &mut problems));
    let job = problems
        .required("job", parts.job, "write `job:` with `definition:`, `queue:`, `memory:` and `idempotent:`")
        .and_then(|job| job::read(job, layout, engine.unwrap_or_default(), &mut problems));
    let retry = read_retry(parts.retry, &mut problems);
    let limits = read_limits(parts.limits, &mut problems);
    let split = parts.split.and_then(|split| read_split(&split, &mut problems));
    let prices = parts.prices.and_then(|prices| read_prices(prices, &mut problems));
    let aws = read_aws(parts.aws, &mut problems);
    let needs_lake = engine == Some(EngineKind::Local) && source.in_bucket;
    let queue = job.as_ref().map(JobSpec::queue);
    let local = read_local(parts.local, needs_lake, queue, &mut problems);
    let state = read_state(parts.state, engine, &mut problems);
    match (name, source.whole, window, job, engine, state) {
        (Some(name), Some(source), Some(window), Some(job), Some(engine), Some(state))
            if problems.is_empty() =>
        {
            Ok(Spec {
                name,
                source,
                window,
                job,
                retry,
                limits,
                split,
                prices,
                deadline,
                aws,
                engine,
                local,
                state,
            })
        }
        _ => Err(problems.into_vec()),
    }
}

fn read_engine(engine: Option<String>, problems: &mut Problems) -> Option<EngineKind> {
    let Some(name) = engine else { return Some(EngineKind::default()) };
    let engine = EngineKind::of(&name);
    if engine.is_none() {
        let message = format!("`{}` is not an engine", name.escape_debug());
        problems.add("engine", message, "write aws (AWS Batch) or local (this machine)");
    }
    engine
}

fn check_name(name: &str, problems: &mut Problems) -> bool {
    let good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !good {
        let message = format!("`{}` cannot name a backfill", name.escape_debug());
        problems.add("name", message, "use 1 to 64 of a-z, 0-9 and -, and begin with a letter");
    }
    good
}

fn read_window(parts: WindowParts, source: &ReadSource, problems: &mut Problems) -> Option<Window> {
    let from = problems
        .required("window.from", parts.from, "write the first day to load, such as 2018-10-01")
        .and_then(|from| read_day("window.from", &from, problems));
    let to = parts.to.map(|to| read_day("window.to", &to, problems));
    let zone = match parts.zone {
        Some(zone) => source::read_zone("window.zone", &zone, problems),
        None => source.zone,
    };
    if let (Some(zone), Some(keys)) = (zone, source.zone)
        && zone != keys
    {
        problems.add(
            "window.zone",
            format!("the days are counted in {zone}, but the keys are dated in {keys}"),
            format!("a day of {zone} would lie under the prefixes of two days; load by the days of the keys: leave `window.zone` out, or write {keys}"),
        );
    }
    let to = match to {
        Some(to) => Some(to?),
        None => None,
    };
    Window::new(from?, to, zone?)
        .map_err(|error| match error {
            WindowError::Reversed { .. } => {
                problems.add("window.to", error.to_string(), "swap the two days; both ends are loaded");
            }
            WindowError::Year { day } => {
                let field = if Some(day) == from { "window.from" } else { "window.to" };
                problems.add(field, error.to_string(), "write a day such as 2018-10-04");
            }
        })
        .ok()
}

fn read_day(field: &str, text: &str, problems: &mut Problems) -> Option<NaiveDate> {
    const HELP: &str = "write year, month and day as 2018-10-04";
    let shape = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let message = match (shape, text.parse()) {
        (true, Ok(day)) => return Some(day),
        (true, Err(_)) => format!("there is no day {text}"),
        (false, _) => format!("`{}` is not a day", text.escape_debug()),
    };
    problems.add(field, message, HELP);
    None
}

fn read_retry(parts: RetryParts, problems: &mut Problems) -> RetryPolicy {
    let mut retry = RetryPolicy::default();
    let fields = [
        ("retry.app", parts.app, MOST_RETRIES, &mut retry.app),
        ("retry.spot", parts.spot, MOST_SPOT, &mut retry.spot),
        ("retry.start", parts.start, MOST_RETRIES, &mut retry.start),
        ("retry.fallback_after", parts.fallback_after, MOST_RETRIES, &mut retry.fallback_after),
    ];
    for (field, value, most, slot) in fields {
        // After no reclaim at all nothing would ever run on the first queue.
        let least = u64::from(field == "retry.fallback_after");
        if let Some(value) = value.and_then(|value| job::whole(field, value, least..=most, problems)) {
            *slot = value;
        }
    }
    retry
}

fn read_limits(parts: LimitsParts, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let fields = [
        ("limits.in_flight", parts.in_flight, 1..=MOST_JOBS, &mut limits.in_flight),
        ("limits.max_jobs", parts.max_jobs, 1..=MOST_JOBS, &mut limits.max_jobs),
        ("limits.pilots", parts.pilots, 0..=MOST_PILOTS, &mut limits.pilots),
    ];
    for (field, value, bounds, slot) in fields {
        if let Some(value) = value.and_then(|value| job::whole(field, value, bounds, problems)) {
            *slot = value;
        }
    }
    if let Some(text) = parts.stop_after {
        match text.parse() {
            Ok(stop) => limits.stop_after = Some(stop),
            Err(error) => {
                let message = format!("`{}` is {error}", text.escape_debug());
                problems.add(
                    "limits.stop_after",
                    message,
                    "write a share above 0% such as 5%, or a count such as 3",
                );
            }
        }
    }
    limits
}

/// Whole bytes: a size below that cuts nothing smaller.
fn read_split(parts: &SplitParts, problems: &mut Problems) -> Option<Most> {
    if parts.is_empty {
        let help = "write { max_bytes: 4GiB }, { max_objects: 5000 } or both, or leave `split` out";
        problems.add("split", "it says nothing of how large a slice may be", help);
        return None;
    }
    let bytes = parts.max_bytes.as_deref().and_then(|text| match units::parse_size(text) {
        Ok(0) => {
            problems.add("split.max_bytes", "no slice is that small", "write a size such as 4GiB");
            None
        }
        Ok(bytes) => Some(bytes),
        Err(error) => {
            problems.add("split.max_bytes", error.message, error.help);
            None
        }
    });
    if parts.max_objects == Some(0) {
        problems.add("split.max_objects", "no slice is that small", "write a whole number from 1");
    }
    Some(Most { bytes, objects: parts.max_objects })
}

fn read_prices(parts: PricesParts, problems: &mut Problems) -> Option<Prices> {
    const HELP: &str = "write dollars, such as 0.013; dollars are shown only when both prices are given";
    let mut price = |field: &str, price: Option<f64>| {
        let price = problems.required(field, price, HELP)?;
        let good = price.is_finite() && price >= 0.0;
        if !good {
            problems.add(field, format!("{price} is not a price"), HELP);
        }
        good.then_some(price)
    };
    let vcpu_hour = price("prices.vcpu_hour", parts.vcpu_hour);
    let gib_hour = price("prices.gib_hour", parts.gib_hour);
    Some(Prices { vcpu_hour: vcpu_hour?, gib_hour: gib_hour? })
}

fn read_aws(parts: AwsParts, problems: &mut Problems) -> AwsSettings {
    if let Some(region) = &parts.region {
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = (5..=32).contains(&region.len())
            && region.contains('-')
            && region.starts_with(|c: char| c.is_ascii_lowercase())
            && region.ends_with(ends)
            && region.chars().all(|c| ends(c) || c == '-');
        if !good {
            let message = format!("`{}` is not a Region", region.escape_debug());
            problems.add("aws.region", message, "write a Region such as eu-west-1");
        }
    }
    if let Some(profile) = &parts.profile
        && (profile.trim().is_empty() || profile.chars().any(layout::is_unsafe))
    {
        let message = format!("`{}` is not a profile", profile.escape_debug());
        problems.add("aws.profile", message, "write a profile of ~/.aws/config, or leave it out");
    }
    if let Some(url) = &parts.endpoint_url {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let good = host.is_some_and(|host| {
            !host.is_empty()
                && !host.starts_with('/')
                && !url.chars().any(|c| layout::is_unsafe(c) || c.is_whitespace())
        });
        if !good {
            let message = format!("`{}` is not an endpoint", url.escape_debug());
            problems.add("aws.endpoint_url", message, "write a URL such as http://127.0.0.1:4566");
        }
    }
    AwsSettings { region: parts.region, profile: parts.profile, endpoint_url: parts.endpoint_url }
}

fn read_local(
    parts: LocalParts,
    needs_lake: bool,
    queue: Option<&str>,
    problems: &mut Problems,
) -> LocalSettings {
    if parts.lake.as_deref().is_some_and(|lake| lake.trim().is_empty()) {
        problems.add("local.lake", "`local.lake` is empty", "write a folder");
    } else if needs_lake && parts.lake.is_none() {
        let help = "write the folder that stands in for S3; its sub-folders are the buckets";
        problems.add("local.lake", "`local.lake` is missing", help);
    }
    let vcpus = parts.vcpus.and_then(|vcpus| job::whole("local.vcpus", vcpus, 1..=1024, problems));
    let memory_mib = parts.memory.and_then(|memory| job::mebibytes("local.memory", &memory, problems));
    let reclaims = read_reclaims(parts.reclaims, parts.seed, queue, problems);
    LocalSettings { lake: parts.lake, vcpus, memory_mib, reclaims }
}

fn read_reclaims(
    percent: Option<String>,
    seed: Option<u64>,
    queue: Option<&str>,
    problems: &mut Problems,
) -> Option<Reclaims> {
    let Some(percent) = percent else {
        if seed.is_some() {
            let message = "`local.seed` decides which hosts are taken, and none is";
            problems.add("local.seed", message, "write `reclaims: 10%` beside it, or remove the line");
        }
        return None;
    };
    let percent = units::parse_percent(&percent)
        .map_err(|error| problems.add("local.reclaims", error.message, error.help))
        .ok()?;
    // Without a queue there is a problem, and no backfill.
    Some(Reclaims { percent, seed: seed.unwrap_or_default(), queue: queue?.to_owned() })
}

fn read_state(state: Option<String>, engine: Option<EngineKind>, problems: &mut Problems) -> Option<State> {
    if state.is_none() && engine == Some(EngineKind::Local) {
        return Some(State::Folder(LOCAL_STATE.to_owned()));
    }
    let help =
        "write where the journal is kept: s3://bucket/prefix, or a folder if only this machine works on it";
    problems.required("state", state, help).and_then(|state| source::read_state(&state, problems))
}
