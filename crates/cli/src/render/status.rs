//! How a backfill stands.

use std::fmt::Write as _;

use dayfill_core::report::{GroupBy, ReclaimRow, Row, View, Waste};
use serde::Serialize;

use super::number::{bytes, count, seconds};
use super::table::table;
use crate::args::{By, Format};
use crate::error::Failure;
use crate::output::{self, JSON_SCHEMA};

/// Prints the status.
pub fn status(view: &View<'_>, by: By, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => json(view, by),
        Format::Table => output::write(&text(view, by)),
    }
}

fn group(by: By) -> Option<GroupBy> {
    match by {
        By::Service => Some(GroupBy::Service),
        By::Month => Some(GroupBy::Month),
        By::Day => Some(GroupBy::Day),
        By::Class => None,
    }
}

fn json(view: &View<'_>, by: By) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Status<'a> {
        schema_version: u32,
        backfill: Option<&'a str>,
        plan: Option<String>,
        stopped: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rows: Option<Vec<Row>>,
        total: Row,
        classes: Vec<dayfill_core::report::ClassRow>,
        waits: Vec<dayfill_core::report::WaitRow>,
        waste: Waste,
        reclaims: Vec<ReclaimRow>,
    }
    output::json(&Status {
        schema_version: JSON_SCHEMA,
        backfill: view.ledger.opened().map(|o| o.name.as_str()),
        plan: view.ledger.adopted().map(|a| a.digest.to_string()),
        stopped: view.ledger.stopped().map(|s| s.why.as_str()),
        rows: group(by).map(|by| view.rows(by)),
        total: view.total(),
        classes: view.classes(),
        waits: view.waits(),
        waste: view.waste(),
        reclaims: view.reclaims(),
    })
}

fn text(view: &View<'_>, by: By) -> String {
    let Some(opened) = view.ledger.opened() else {
        return "nothing was submitted yet: dayfill plan shows what would be, dayfill run does it\n"
            .to_owned();
    };
    let mut out = match (group(by), by) {
        (Some(group), _) => rows(view, group, opened.identity.dimensions.first().map_or("", String::as_str)),
        (None, _) => classes(view) + &waste(&view.waste()) + &reclaims(&view.reclaims()),
    };
    let total = view.total();
    let left = [
        (total.running, "running"),
        (total.waiting, "waiting"),
        (total.planned, "not yet submitted"),
        (total.failed, "failed"),
        (total.needs_person, "waiting for a person"),
        (total.no_data, "without data"),
    ];
    let left: String = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
    let _ = writeln!(
        out,
        "{}: {} of {} done{left}. {}, {} for memory.",
        opened.name,
        total.done,
        count(total.days - total.no_data - total.other, "day"),
        count(total.jobs, "job"),
        count(total.out_of_memory, "kill"),
    );
    if total.parts > 0 {
        let parts = count(total.parts, "part");
        let _ = writeln!(
            out,
            "Days in parts: {} of {parts} done; `dayfill explain` shows those of a day",
            total.parts_done
        );
    }
    if total.doubled > 0 {
        let loads = count(total.doubled, "load");
        let _ =
            writeln!(out, "Doubled: two jobs existed of {loads}; `dayfill explain` shows which one counts");
    }
    for wait in view.waits() {
        let reason = wait.reason.as_deref().unwrap_or("AWS Batch gives no reason");
        let _ = writeln!(
            out,
            "{} for a host since {}: {}\n  help: {}",
            if wait.jobs == 1 { "1 job waits".to_owned() } else { format!("{} jobs wait", wait.jobs) },
            wait.since.format("%Y-%m-%d %H:%M:%SZ"),
            dayfill_core::escape::terminal(reason),
            wait.remedy,
        );
    }
    if let Some(stop) = view.ledger.stopped() {
        let _ = writeln!(out, "Stopped: {}", dayfill_core::escape::terminal(&stop.why));
    }
    out
}

/// A head, and what stands under it.
type Column = (&'static str, fn(&Row) -> u64);

fn rows(view: &View<'_>, by: GroupBy, dimension: &str) -> String {
    let name = match by {
        GroupBy::Service => dimension,
        GroupBy::Month => "month",
        GroupBy::Day => "day",
    };
    let mut rows = view.rows(by);
    if rows.len() != 1 {
        rows.push(view.total());
    }
    let columns: [Column; 8] = [
        ("done", |r| r.done),
        ("running", |r| r.running),
        ("waiting", |r| r.waiting),
        ("planned", |r| r.planned),
        ("failed", |r| r.failed),
        ("person", |r| r.needs_person),
        ("no data", |r| r.no_data),
        ("other", |r| r.other),
    ];
    // What is everywhere nought says nothing; done is always of interest.
    let shown: Vec<&Column> =
        columns.iter().filter(|(name, of)| *name == "done" || rows.iter().any(|r| of(r) > 0)).collect();
    let mut head = vec![name, "days"];
    head.extend(shown.iter().map(|(name, _)| *name));
    head.extend(["bytes done", "of", "jobs", "oom", "run time"]);
    let cells = |r: &Row| {
        let mut cells = vec![r.group.clone(), r.days.to_string()];
        cells.extend(shown.iter().map(|(_, of)| of(r).to_string()));
        cells.extend([
            bytes(r.bytes_done),
            bytes(r.bytes),
            r.jobs.to_string(),
            r.out_of_memory.to_string(),
            seconds(r.seconds),
        ]);
        cells
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    table(&head, &rows, &[])
}

fn classes(view: &View<'_>) -> String {
    let classes = view.classes();
    if classes.is_empty() {
        return "no job has failed\n".to_owned();
    }
    let rows: Vec<Vec<String>> = classes
        .iter()
        .map(|c| {
            vec![
                c.class.to_string(),
                c.jobs.to_string(),
                c.days.to_string(),
                c.days_done.to_string(),
                c.days_given_up.to_string(),
            ]
        })
        .collect();
    table(&["class", "jobs", "days", "of them done", "given up"], &rows, &[])
}

/// What was lost by cause, and what was asked for and not used.
fn waste(waste: &Waste) -> String {
    let cells = |cause: String, jobs: String, lost_minutes: f64, lost_gib_hours: f64| {
        vec![cause, jobs, seconds((lost_minutes * 60.0).round() as u64), gib_hours(lost_gib_hours)]
    };
    let mut rows: Vec<Vec<String>> = waste
        .causes
        .iter()
        .map(|r| cells(r.class.to_string(), r.jobs.to_string(), r.lost_minutes, r.lost_gib_hours))
        .collect();
    if rows.len() > 1 {
        rows.push(cells("total".to_owned(), String::new(), waste.lost_minutes, waste.lost_gib_hours));
    }
    let mut out = String::new();
    if !rows.is_empty() {
        out.push('\n');
        out.push_str(&table(&["lost to", "jobs", "run time", "GiB-hours"], &rows, &[]));
    }
    let unused = waste.unused;
    if unused.jobs > 0 {
        let others =
            if unused.jobs < unused.of_jobs { "; the peaks of the others are not known" } else { "" };
        let _ = writeln!(
            out,
            "Asked for and not used: {} GiB-hours, by {} of {} that succeeded{others}. In all {} GiB-hours",
            gib_hours(unused.unused_gib_hours),
            unused.jobs,
            count(unused.of_jobs, "job"),
            gib_hours(waste.total_gib_hours),
        );
    }
    out
}

/// How often hosts were taken, a line for each queue.
fn reclaims(rows: &[ReclaimRow]) -> String {
    rows.iter().map(|row| format!("Hosts taken on {}: {}\n", row.queue, row.sentence)).collect()
}

fn gib_hours(number: f64) -> String {
    if number > 0.0 && number < 0.01 { "< 0.01".to_owned() } else { format!("{number:.2}") }
}
