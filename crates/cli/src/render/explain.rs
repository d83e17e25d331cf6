//! Every try of one day, why it ended, and what comes next.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::decide::{Decision, Pace, Plans, decide};
use dayfill_core::escape;
use dayfill_core::fact::{LiveStatus, Outcome};
use dayfill_core::ledger::{SliceRecord, Try, TryState, Verdict};
use dayfill_core::partition::SliceId;
use dayfill_core::plan::Choice;
use dayfill_core::report::View;
use dayfill_core::result::JobResult;
use dayfill_core::split::Cut;
use dayfill_core::units;
use serde_json::json;

use super::number::{bytes, count, seconds};
use crate::args::Format;
use crate::error::Failure;
use crate::output::{self, JSON_SCHEMA};

/// Prints what is known of a slice.
pub fn explain(view: &View<'_>, plans: &Plans, slice: &SliceId, format: Format) -> Result<(), Failure> {
    let asked = (slice, view.ledger.slice(slice));
    // Of parts that nothing is known of yet only the plan tells.
    let planned = view.slices(slice.partition());
    let planned = planned.iter().filter(|id| view.ledger.slice(id).is_none() && id.is_within(slice));
    let known = view.ledger.within(slice).map(|(id, r)| (id, Some(r)));
    let below = known.chain(planned.map(|id| (id, None))).filter(|(id, _)| *id != slice);
    let decisions = decisions(view, plans);
    let next = |(id, record): Told<'_>| next(view, decisions.get(id), id, record);
    match format {
        Format::Json => {
            let one = |told: Told<'_>| slice_json(told, &next(told));
            let mut value = one(asked);
            let parts: Vec<_> = below.map(one).collect();
            if let Some(members) = value.as_object_mut() {
                members.insert("schema_version".to_owned(), json!(JSON_SCHEMA));
                members.insert("partition".to_owned(), json!(slice.partition()));
                if !parts.is_empty() {
                    members.insert("parts".to_owned(), json!(parts));
                }
            }
            output::json(&value)
        }
        Format::Table => {
            let one = |told: Told<'_>| text(view, told.0, told.1, &next(told));
            output::write(&std::iter::once(asked).chain(below).map(one).collect::<String>())
        }
    }
}

type Told<'a> = (&'a SliceId, Option<&'a SliceRecord>);

fn slice_json((slice, record): Told<'_>, next: &str) -> serde_json::Value {
    let tries: Vec<serde_json::Value> = record.iter().flat_map(|r| &r.tries).map(try_json).collect();
    let cut = record.and_then(|r| r.divided.as_ref());
    let split = cut.map(|d| json!({ "cut": d.cut, "why": d.why, "at": d.stamp.stored_at }));
    json!({
        "slice": slice, "tries": tries, "split": split,
        "cannot_be_split": record.and_then(|r| r.undivided.as_ref()), "next": next,
    })
}

fn try_json(t: &Try) -> serde_json::Value {
    let ended = t.ended.as_ref();
    json!({
        "load": t.intended.load, "try": t.intended.r#try, "name": t.intended.name, "job_id": t.job_id,
        "memory_mib": t.intended.memory_mib, "vcpus": t.intended.vcpus, "queue": t.intended.queue,
        "queue_why": t.intended.queue_why, "ending": t.ending, "moves_to": t.moves_to,
        "definition": t.intended.definition, "plan": t.intended.plan, "intended_at": t.intent.stored_at,
        "state": how(t), "exit_code": ended.and_then(|e| e.exit_code), "reasons": ended.map(|e| &e.reasons),
        "started_at": ended.and_then(|e| e.started_at), "stopped_at": ended.and_then(|e| e.stopped_at),
        "attempts": ended.map(|e| e.attempts), "reclaims": ended.map(|e| e.reclaims),
        "log_tail": ended.map(|e| &e.log_tail), "memory_why": t.intended.memory_why,
        "peak_kib": ended.and_then(|e| e.peak_kib), "result": ended.and_then(|e| e.result.as_ref()),
        "remark": ended.and_then(|e| e.remark.as_ref()), "result_ignored": ended.and_then(|e| e.result_ignored.as_ref()), "sign": ended.and_then(|e| e.sign.as_ref()),
    })
}

fn text(view: &View<'_>, slice: &SliceId, record: Option<&SliceRecord>, next: &str) -> String {
    let mut out = escape::terminal(&slice.to_string());
    let planned = view.plan.and_then(|p| p.job(slice)).map(|j| (j.objects, j.bytes));
    let tried = record.and_then(|r| r.tries.last()).map(|t| (t.intended.objects, t.intended.bytes));
    let part = record.and_then(|r| r.part.as_ref()).map(|(_, j)| (j.objects, j.bytes));
    // What it was before it was cut says little of what its parts are now.
    let is_whole = record.is_none_or(|r| r.divided.is_none());
    if let Some((objects, size)) = tried.or(planned).or(part).filter(|_| is_whole) {
        let _ = write!(out, ": {} of {}", count(objects, "object"), bytes(size));
    }
    out.push('\n');
    for t in record.iter().flat_map(|r| &r.tries) {
        out.push_str(&one_try(t));
    }
    if let Some(why) = record.and_then(|r| r.undivided.as_ref()) {
        let _ = writeln!(out, "  it cannot be cut: {}", escape::terminal(why));
    }
    match record.and_then(|r| r.divided.as_ref()) {
        Some(divided) => {
            let into = match &divided.cut {
                Cut::Hours => "its hours".to_owned(),
                Cut::Ranges { starts } => format!("{} ranges of its keys", starts.len() + 1),
            };
            let _ = writeln!(
                out,
                "  cut into {into} at {}: {}",
                time(divided.stamp.stored_at),
                escape::terminal(&divided.why)
            );
        }
        None => {
            let _ = writeln!(out, "  next: {}", escape::terminal(next));
        }
    }
    out
}

fn one_try(t: &Try) -> String {
    let memory = units::show_mib(t.intended.memory_mib);
    let load = if t.intended.load > 1 { format!("load {}, ", t.intended.load) } else { String::new() };
    let mut out = format!("  {load}try {} with {memory}: {}\n", t.intended.r#try, escape::terminal(&how(t)));
    let id = t.job_id.as_deref().map_or_else(String::new, |id| format!(", id {}", escape::terminal(id)));
    let found = if t.found { ", found by its name" } else { "" };
    let _ = writeln!(
        out,
        "    job {}{id}{found}, intended {} for the queue {}",
        t.intended.name,
        time(t.intent.stored_at),
        t.intended.queue
    );
    if let Some(why) = &t.intended.memory_why {
        let _ = writeln!(out, "    {memory}: {}", escape::terminal(why));
    }
    if let Some(why) = &t.intended.queue_why {
        let _ = writeln!(out, "    the queue {}: {}", t.intended.queue, escape::terminal(why));
    }
    let Some(ended) = &t.ended else { return out };
    // What Batch was told it tells again.
    if let Some(why) = t.ending.as_ref().filter(|why| !ended.reasons.contains(*why)) {
        let _ = writeln!(out, "    it was to be ended: {}", escape::terminal(why));
    }
    if let Some((started, stopped)) = ended.started_at.zip(ended.stopped_at) {
        let ran = seconds((stopped - started).num_seconds().max(0) as u64);
        let attempts = count(u64::from(ended.attempts), "attempt");
        let lost = if ended.reclaims > 0 {
            format!(", {} ended with its host", ended.reclaims)
        } else {
            String::new()
        };
        let peak = ended.peak_kib.map_or_else(String::new, |kib| {
            format!(", {} of memory at its peak", units::show_mib(kib.div_ceil(1024)))
        });
        let _ =
            writeln!(out, "    ran {} to {} ({ran}), {attempts}{lost}{peak}", time(started), time(stopped));
    }
    if let Some(remark) = &ended.remark {
        let _ = writeln!(out, "    {}", escape::terminal(remark));
    }
    if let Some(result) = &ended.result {
        let _ = writeln!(out, "    the job says: {}", escape::terminal(&said(result)));
    }
    if let Some(why) = &ended.result_ignored {
        let _ = writeln!(out, "    ignored of what the job says: {}", escape::terminal(why));
    }
    if let Some(sign) = &ended.sign {
        let _ = writeln!(out, "    the job says: {}", escape::terminal(sign));
    }
    for reason in &ended.reasons {
        let _ = writeln!(out, "    Batch says: {}", escape::terminal(reason));
    }
    if !ended.log_tail.is_empty() {
        let _ = writeln!(out, "    the log ends:");
        for line in &ended.log_tail {
            let _ = writeln!(out, "      {}", escape::terminal(line));
        }
    }
    out
}

/// What a job said of itself, in a line.
fn said(result: &JobResult) -> String {
    let rows =
        [(result.rows_read, "read"), (result.rows_written, "written"), (result.rows_rejected, "rejected")];
    let rows = rows.into_iter().filter_map(|(n, what)| Some(format!("{} {what}", count(n?, "row"))));
    let all: Vec<String> = rows.chain(result.note.clone()).collect();
    if all.is_empty() { "nothing of its rows".to_owned() } else { all.join(", ") }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn how(t: &Try) -> String {
    match &t.state {
        TryState::Intended => {
            "written down, not known to be sent; it will be looked for by its name".to_owned()
        }
        TryState::Unknown(why) => {
            format!("not known whether it arrived ({why}); it will be looked for by its name")
        }
        TryState::Refused(why) => format!("refused: {why}"),
        TryState::Withdrawn(why) => format!("not sent: {why}"),
        TryState::NeverArrived => "never arrived".to_owned(),
        TryState::Live(status) => {
            let status = match status {
                LiveStatus::Submitted => "submitted",
                LiveStatus::Runnable => "waits for a host",
                LiveStatus::Starting => "starts",
                LiveStatus::Running => "runs",
            };
            let ending = t.ending.as_ref().map_or_else(String::new, |why| format!(", is being ended: {why}"));
            let reason = t.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let lost = match t.reclaims {
                0 => String::new(),
                times => format!(", {} taken from it", count(u64::from(times), "host")),
            };
            format!("{status}{reason}{lost}{ending}")
        }
        TryState::Ended(Outcome::Succeeded) => "succeeded".to_owned(),
        TryState::Ended(Outcome::Failed(class)) => {
            let code = t.ended.as_ref().and_then(|e| e.exit_code);
            code.map_or_else(|| class.to_string(), |code| format!("{class}, exit code {code}"))
        }
        TryState::Lost => "vanished from AWS Batch".to_owned(),
    }
}

/// What is decided about every slice now; the first decision of each.
fn decisions(view: &View<'_>, plans: &Plans) -> HashMap<SliceId, Decision> {
    let dwell = view.plan.map_or(TimeDelta::MAX, |p| p.plan().place.runs_on.dwell());
    let pace = Pace { start_failure: TimeDelta::minutes(1), dwell };
    // What comes later in the list is overwritten by what came first.
    decide(view.ledger, plans, pace, view.now).into_iter().rev().collect()
}

/// What comes next, in a sentence.
fn next(
    view: &View<'_>,
    decision: Option<&Decision>,
    slice: &SliceId,
    record: Option<&SliceRecord>,
) -> String {
    if let Some(Decision::Submit(next)) = decision {
        let elsewhere = next.queue_why.as_ref().map(|why| format!(" on the fallback queue: {why}"));
        let memory = units::show_mib(next.shape.memory_mib);
        return format!("try {} with {memory}{}", next.shape.r#try, elsewhere.unwrap_or_default());
    }
    if let Some(Decision::Split { why, .. }) = decision {
        return format!("it is cut into parts: {why}");
    }
    match record.and_then(|r| r.verdict.as_ref()) {
        Some(Verdict::Done { marked: None, .. }) => "nothing: it is loaded".to_owned(),
        Some(Verdict::Done { marked: Some(reason), .. }) => {
            format!("nothing: it was marked as done ({reason})")
        }
        Some(Verdict::GaveUp { why, .. }) => {
            format!("nothing, it was given up: {why}; a new plan takes it up again")
        }
        Some(Verdict::NeedsPerson { why, .. }) => format!("a person decides with `dayfill mark`: {why}"),
        Some(Verdict::MarkedFailed { reason, .. }) => {
            format!("a new plan takes it up: marked as failed ({reason})")
        }
        Some(Verdict::Cancelled { reason, .. }) => format!("a new plan takes it up: cancelled ({reason})"),
        None => match (decision, view.ledger.stopped()) {
            (_, Some(stop)) => format!("nothing until a plan is submitted anew: {}", stop.why),
            (Some(Decision::Wait), None) if record.is_some_and(|r| r.live().next().is_some()) => {
                "its job comes to an end".to_owned()
            }
            (Some(Decision::Wait), None) => "its turn, within limits.in_flight".to_owned(),
            _ if record.is_some_and(|r| r.divided.is_some()) => "its parts stand for it".to_owned(),
            _ => why_not_planned(view, slice),
        },
    }
}

fn why_not_planned(view: &View<'_>, slice: &SliceId) -> String {
    let partitions = view.plan.map(|p| &p.plan().partitions);
    let found = partitions.and_then(|all| all.iter().find(|p| p.partition == *slice.partition()));
    match found.map(|p| p.choice) {
        Some(choice @ Choice::Skip(_)) => format!("nothing: it was not planned ({})", choice.label()),
        _ => "nothing".to_owned(),
    }
}
