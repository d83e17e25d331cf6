//! `dayfill run`

use std::sync::Arc;

use chrono::Utc;
use dayfill_core::plan::{Choice, Only, Plan, PlannedPartition, SkipReason};
use dayfill_engine::book::Book;

use super::submit::{adopt_plan, check_limit};
use crate::args::{Format, RunArgs};
use crate::confirm::confirm;
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::progress::Progress;
use crate::site::{Jobs, Site};
use crate::{planning, render, watching};

/// Plans, asks, submits and watches. Called again it goes on where it was.
pub async fn run(args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let site = Site::of(&backfill, Jobs::Run).await?;
    let ended = run_at(&site, &backfill, args, format).await;
    site.close().await;
    ended
}

async fn run_at(site: &Site, backfill: &Backfill, args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let mut book = site.book().await?;
    let progress = Arc::new(Progress::new());
    let only = args.only.unwrap_or_default();
    let plan = planning::plan(backfill, site, &book, only, Utc::now(), progress.as_ref()).await?;
    if format == Format::Table {
        // The plan is for the person who is asked; standard output gets the status at the end.
        progress.line(render::plan_text(&plan));
    }
    check_limit(&plan)?;
    if is_new_work(&plan, &book) {
        if !ask(&plan, &progress, args.yes)? {
            return Ok(Exit::Refused);
        }
        adopt_plan(&mut book, &plan, site).await?;
    }
    let ended = watching::watch(site, &backfill.bucket, book, args.timeout, &progress, format).await?;
    // What the plan asked a person is not in the journal.
    let asks = |p: &PlannedPartition| p.choice == Choice::Skip(SkipReason::NeedsPerson);
    let is_over = matches!(ended, Exit::Ok | Exit::FailedDays);
    if is_over && plan.partitions.iter().any(asks) {
        eprintln!("a person has to decide: see `dayfill plan`, then `dayfill mark`");
        return Ok(Exit::NeedsPerson);
    }
    Ok(ended)
}

fn ask(plan: &Plan, progress: &Progress, yes: bool) -> Result<bool, Failure> {
    if !yes {
        // The question must not be painted over.
        progress.finish();
    }
    confirm(&format!("Submit {} jobs to {}?", plan.jobs.len(), plan.job.queue), yes)
}

/// Whether the plan has something to adopt: jobs that the newest adopted plan is not about to send anyway; while jobs are
/// under way, another deadline, or anything at all once the backfill was stopped, since only a new adoption lifts a stop.
fn is_new_work(plan: &Plan, book: &Book) -> bool {
    let ledger = book.ledger();
    let deadline = |plan: &Plan| plan.deadline.map(|d| d.at);
    // A plan for a few days would take what was not sent yet of all others out.
    let is_whole = plan.only == Only::default();
    let is_other =
        book.newest_plan().is_some_and(|adopted| deadline(adopted.plan()) != deadline(plan)) && is_whole;
    let under_way = ledger.live().next().is_some();
    !plan.jobs.is_empty() || (under_way && (is_other || ledger.stopped().is_some()))
}
