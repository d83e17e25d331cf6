//! A plan, as a table or as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dayfill_core::escape;
use dayfill_core::job::{JobName, Shape, Submission};
use dayfill_core::partition::SliceId;
use dayfill_core::plan::{Choice, Plan, ServiceRow, SkipReason, Totals};
use dayfill_core::units;
use serde::Serialize;

use super::number::{bytes, count};
use super::table::table;
use crate::args::Format;
use crate::error::Failure;
use crate::output::{self, JSON_SCHEMA};

/// Outliers and gaps that are named.
const NAMED: usize = 5;

/// Choices in the order of columns; a column is shown where any day has it.
const CHOICES: [&str; 13] = [
    "missing",
    "failed",
    "changed",
    "done",
    "running",
    "no data",
    "settling",
    "changed, not asked for",
    "failed, not asked for",
    "gone",
    "not listed",
    "needs a person",
    "outside",
];

/// How many of [`CHOICES`] are days that are submitted.
const SUBMITTED: usize = 3;

/// Prints a plan.
pub fn plan(plan: &Plan, format: Format) -> Result<(), Failure> {
    match format {
        Format::Table => output::write(&plan_text(plan)),
        Format::Json => json(plan),
    }
}

/// The plan file with its totals.
fn json(plan: &Plan) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        digest: String,
        totals: Totals,
        #[serde(flatten)]
        plan: &'a Plan,
    }
    output::json(&Shown { digest: plan.digest().to_string(), totals: plan.totals(), plan })
}

/// A plan for people.
pub fn plan_text(plan: &Plan) -> String {
    let totals = plan.totals();
    let days = (plan.to - plan.from).num_days() + 1;
    let mut out = format!(
        "{}: {} to {} ({}), as of {}\n",
        plan.backfill,
        plan.from,
        plan.to,
        count(days.max(0) as u64, "day"),
        plan.made_at.format("%Y-%m-%d %H:%M:%SZ")
    );
    out.push_str(&services(plan, &totals));
    out.push_str(&shape(&totals));
    out.push_str(&passed_over(plan));
    let definition = &plan.job.definition;
    let revision =
        definition.revision.as_deref().unwrap_or("the file's, registered when the plan is submitted");
    let _ = writeln!(out, "Job definition: {}; queue: {}", escape::terminal(revision), plan.job.queue);
    if plan.shares_prefixes() {
        out.push_str(
            "Prefix: jobs are told {prefix}, and keys that are not theirs may begin with it: see source.layout; \
             `reads: manifest` tells a job exactly its own keys\n",
        );
    }
    out.push_str(&memory(plan));
    out.push_str(&splits(plan));
    if plan.jobs.len() > plan.limits.max_jobs as usize {
        let _ = writeln!(out, "Over limits.max_jobs ({}): submit will refuse it", plan.limits.max_jobs);
    }
    out.push_str(&super::foresight::text(plan));
    out.push_str(&estimate(&totals));
    out.push_str(&last_line(&totals));
    out
}

/// What jobs ask for, and why.
fn memory(plan: &Plan) -> String {
    let asked = || plan.jobs.iter().map(|j| j.memory_mib);
    let (least, most) = (asked().min(), asked().max());
    let range = match least.zip(most) {
        Some((least, most)) if least == most => format!("{} a job", units::show_mib(least)),
        Some((least, most)) => format!("{} to {} a job", units::show_mib(least), units::show_mib(most)),
        None => format!("{} at first", units::show_mib(plan.job.memory.start_mib)),
    };
    let max = units::show_mib(plan.job.memory.max_mib);
    let why = plan.memory_why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let mut out = format!("Memory: {range}{why}, at most {max}; more after each kill for memory\n");
    let pilots = plan.pilot_jobs();
    if !pilots.is_empty() {
        let named: Vec<String> = pilots.iter().map(|j| escape::terminal(&j.slice.to_string())).collect();
        let _ = writeln!(
            out,
            "Pilots: {} go first and alone; the others ask for what these teach",
            named.join(", ")
        );
    }
    out
}

/// What is cut, and what is too large and stays.
fn splits(plan: &Plan) -> String {
    let Some(most) = plan.split else { return String::new() };
    let mut out = String::new();
    let days: BTreeSet<_> = plan.splits.iter().map(|s| s.slice.partition()).collect();
    for day in days.iter().take(NAMED) {
        let whole = SliceId::whole((*day).clone());
        let parts = plan.jobs.iter().filter(|j| j.slice.is_within(&whole)).count() as u64;
        let name = escape::terminal(&day.to_string());
        let _ = writeln!(out, "Split: {name} into {}, as it is larger than {most}", count(parts, "job"));
    }
    if days.len() > NAMED {
        let _ = writeln!(out, "  and {} more", count((days.len() - NAMED) as u64, "day"));
    }
    for stays in plan.unsplit.iter().take(NAMED) {
        let (name, why) = (escape::terminal(&stays.slice.to_string()), escape::terminal(&stays.why));
        let _ = writeln!(out, "Not split: {name} is larger than {most}, but {why}");
    }
    if plan.unsplit.len() > NAMED {
        let _ = writeln!(out, "  and {} more", count((plan.unsplit.len() - NAMED) as u64, "slice"));
    }
    out
}

fn services(plan: &Plan, totals: &Totals) -> String {
    let shown: Vec<(usize, &str)> =
        CHOICES.iter().copied().enumerate().filter(|(_, c)| totals.all.choices.contains_key(*c)).collect();
    let first = plan.source.dimensions.first().map_or("", String::as_str);
    let heads: Vec<String> = shown
        .iter()
        .map(|(i, c)| if *i < SUBMITTED { format!("submit: {c}") } else { (*c).to_owned() })
        .collect();
    let mut head = vec![first, "days"];
    head.extend(heads.iter().map(String::as_str));
    head.extend(["objects", "bytes", "jobs"]);
    let row = |name: &str, r: &ServiceRow| {
        let mut cells = vec![name.to_owned(), r.days.to_string()];
        cells.extend(shown.iter().map(|(_, c)| r.choices.get(*c).copied().unwrap_or(0).to_string()));
        cells.extend([r.objects_in_window.to_string(), bytes(r.bytes_in_window), r.jobs.to_string()]);
        cells
    };
    let mut rows: Vec<Vec<String>> = totals.services.iter().map(|(n, r)| row(n, r)).collect();
    if rows.len() != 1 {
        rows.push(row("total", &totals.all));
    }
    table(&head, &rows, &[])
}

fn shape(totals: &Totals) -> String {
    let mut out = String::new();
    if let Some(skew) = totals.skew {
        let (p50, p95, max) = (bytes(skew.p50), bytes(skew.p95), bytes(skew.max));
        let _ = writeln!(out, "Bytes a day: median {p50}, 95th percentile {p95}, largest {max}");
    }
    for outlier in totals.outliers.iter().take(NAMED) {
        let (name, size) = (escape::terminal(&outlier.partition), bytes(outlier.bytes));
        let _ = writeln!(out, "Outlier: {name} has {size}, {} times the median", outlier.times_median);
    }
    if totals.outliers.len() > NAMED {
        let _ = writeln!(out, "  and {} more", count((totals.outliers.len() - NAMED) as u64, "outlier"));
    }
    for gap in totals.gaps.iter().take(NAMED) {
        let of = if gap.values.is_empty() {
            String::new()
        } else {
            format!("{}: ", escape::terminal(&gap.values))
        };
        let _ =
            writeln!(out, "Gap: {of}no objects from {} to {} ({})", gap.from, gap.to, count(gap.days, "day"));
    }
    if totals.gaps.len() > NAMED {
        let more: u64 = totals.gaps.iter().skip(NAMED).map(|g| g.days).sum();
        let gaps = count((totals.gaps.len() - NAMED) as u64, "gap");
        let _ = writeln!(out, "  and {gaps} more, {} in all", count(more, "day"));
    }
    out
}

fn passed_over(plan: &Plan) -> String {
    let mut out = String::new();
    let over = &plan.passed_over;
    for (what, strays) in [
        ("keys that do not follow the layout", &over.unmatched),
        ("keys or folders whose dimension values cannot be passed to a job", &over.unusable),
    ] {
        if strays.count > 0 {
            let shown: Vec<String> = strays.examples.iter().map(|e| escape::terminal(e)).collect();
            let _ = writeln!(out, "Passed over: {} {what}, such as {}", strays.count, shown.join(", "));
        }
    }
    if over.filtered > 0 {
        let _ = writeln!(out, "Passed over: {} keys left out by include and exclude", over.filtered);
    }
    let missing = plan.partitions.iter().filter(|p| !p.missing_hours.is_empty());
    for p in missing.clone().take(NAMED) {
        let hours: Vec<String> = p.missing_hours.iter().map(|h| format!("{h:02}")).collect();
        let name = escape::terminal(&p.partition.to_string());
        let _ = writeln!(out, "Missing hours: {name} has nothing for {}", hours.join(", "));
    }
    if missing.clone().count() > NAMED {
        let _ = writeln!(out, "  and {} more", count((missing.count() - NAMED) as u64, "day"));
    }
    for (what, reason) in [("Not listed", SkipReason::Unlisted), ("Needs a person", SkipReason::NeedsPerson)]
    {
        let days = plan.partitions.iter().filter(|p| p.choice == Choice::Skip(reason));
        for (name, why) in days.filter_map(|p| Some((p.partition.to_string(), p.why.as_ref()?))).take(NAMED) {
            let _ = writeln!(out, "{what}: {}: {}", escape::terminal(&name), escape::terminal(why));
        }
    }
    out
}

fn estimate(totals: &Totals) -> String {
    let Some(e) = totals.estimate.filter(|_| totals.jobs > 0) else { return String::new() };
    let dollars = e.dollars.map_or_else(String::new, |d| format!(", ${d:.2}"));
    let from = count(e.from_jobs, "finished job");
    format!("Estimate from {from}: {:.2} vCPU-hours, {:.2} GiB-hours{dollars}\n", e.vcpu_hours, e.gib_hours)
}

fn last_line(totals: &Totals) -> String {
    let days = count(totals.all.submit, "day");
    let mut rest: Vec<String> = Vec::new();
    for choice in &CHOICES[SUBMITTED..] {
        if let Some(n) = totals.all.choices.get(*choice) {
            let word = if *choice == "no data" { "without data" } else { choice };
            rest.push(format!("{n} {word}"));
        }
    }
    let rest = if rest.is_empty() { String::new() } else { format!(" Not in plan: {}.", rest.join(", ")) };
    format!("Plan: {} for {days}.{rest}\n", count(totals.jobs, "job"))
}

/// Prints every job of a plan, in the shape of its first try.
pub fn jobs(plan: &Plan, format: Format) -> Result<(), Failure> {
    let revision =
        plan.job.definition.revision.clone().unwrap_or_else(|| "(registered at submit)".to_owned());
    let submission = |job: &dayfill_core::plan::PlannedJob| {
        let shape = Shape {
            r#try: job.tries_before + 1,
            memory_mib: job.memory_mib,
            timeout_s: plan.job.timeout_s,
            fallback: false,
        };
        Submission::of(plan, job, shape, JobName::from_text("(job name)"), revision.clone())
    };
    if format == Format::Json {
        let all: Vec<serde_json::Value> = plan.jobs.iter().map(|job| {
            let s = submission(job);
            serde_json::json!({
                "slice": job.slice, "load": job.load, "queue": s.queue, "definition": s.definition,
                "memory_mib": s.memory_mib, "vcpus": s.vcpus, "timeout_s": s.timeout_s, "attempts": s.retry.attempts,
                "command": s.command, "environment": s.environment, "objects": job.objects, "bytes": job.bytes,
            })
        }).collect();
        return output::json(&serde_json::json!({ "schema_version": JSON_SCHEMA, "jobs": all }));
    }
    let mut out = String::new();
    for job in &plan.jobs {
        let s = submission(job);
        let (memory, size) = (units::show_mib(s.memory_mib), bytes(job.bytes));
        let name = escape::terminal(&job.slice.to_string());
        let load = if job.load > 1 { format!(", load {}", job.load) } else { String::new() };
        let _ = writeln!(
            out,
            "{name}{load}: {} of {size}, {memory}, {}",
            count(job.objects, "object"),
            count(u64::from(s.vcpus), "vCPU")
        );
        if !s.command.is_empty() {
            let command: Vec<String> = s.command.iter().map(|c| escape::terminal(c)).collect();
            let _ = writeln!(out, "  command: {command:?}");
        }
        for (name, value) in &s.environment {
            let _ = writeln!(out, "  {name}={}", escape::terminal(value));
        }
    }
    output::write(&out)
}

/// Prints every day of a plan with its choice.
pub fn days(plan: &Plan, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let shown = serde_json::json!({ "schema_version": JSON_SCHEMA, "partitions": plan.partitions });
        return output::json(&shown);
    }
    let rows: Vec<Vec<String>> = plan
        .partitions
        .iter()
        .map(|p| {
            let what = if matches!(p.choice, Choice::Submit(_)) { "submit" } else { "skip" };
            vec![
                p.partition.to_string(),
                what.to_owned(),
                p.choice.label().to_owned(),
                p.objects.to_string(),
                bytes(p.bytes),
                bytes(p.largest),
            ]
        })
        .collect();
    output::write(&table(&["day", "choice", "reason", "objects", "bytes", "largest"], &rows, &[1, 2]))
}
