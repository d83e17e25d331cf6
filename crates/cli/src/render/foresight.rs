//! What a plan says of its deadline, and of hosts that are taken away.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use dayfill_core::plan::{Plan, PlannedDeadline};

/// A line each, where there is something to say.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    if let Some(deadline) = plan.deadline.filter(|_| !plan.jobs.is_empty()) {
        let _ = writeln!(out, "Deadline: {}", kept(plan, deadline));
    }
    if let Some(length) = &plan.length {
        let _ = writeln!(out, "Spot: {length}");
    }
    out
}

fn kept(plan: &Plan, deadline: PlannedDeadline) -> String {
    let (at, queue) = (time(deadline.at), &plan.job.queue);
    let fallback = plan.job.fallback_queue.as_deref().unwrap_or("no other queue");
    match deadline.done_by {
        _ if deadline.at <= plan.made_at => format!("{at} has passed: jobs go to {fallback} at once"),
        None => format!(
            "{at}; too little is known of how long jobs take to say whether it can be kept (fewer than 3 have succeeded, or a \
             day has more than 8 times the bytes of any that has)"
        ),
        Some(done_by) if done_by <= deadline.at => {
            format!("{at} can be kept: done at about {}", time(done_by))
        }
        Some(done_by) => {
            format!(
                "{at} would be missed on {queue} (done at about {}): jobs go to {fallback}",
                time(done_by)
            )
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%MZ").to_string()
}
