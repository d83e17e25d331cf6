//! `dayfill submit`

use std::sync::Arc;

use dayfill_core::plan::Plan;
use dayfill_engine::advance::Engine;
use dayfill_engine::book::Book;
use dayfill_engine::submit::{Adoption, adopt, check};

use super::show;
use crate::args::{By, Format, SubmitArgs};
use crate::confirm::confirm;
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use crate::site::{Jobs, Site};
use crate::watching::{self, view};
use crate::{planning, render};

/// Adopts the plan and submits what is due; watches if asked to.
pub async fn run(args: SubmitArgs, format: Format) -> Result<Exit, Failure> {
    let plan = show::read(&args.plan)?;
    check_limit(&plan)?;
    if plan.jobs.is_empty() {
        eprintln!("the plan has no jobs: nothing to do");
        return Ok(Exit::Ok);
    }
    let question = format!("Submit {} jobs to {}?", plan.jobs.len(), plan.job.queue);
    if !confirm(&question, args.yes)? {
        return Ok(Exit::Refused);
    }
    let jobs = if args.wait { Jobs::Run } else { Jobs::Hold };
    let site =
        Site::open(&plan.place, &plan.backfill, &plan.job.queue, plan.job.fallback_queue.as_deref(), jobs)
            .await?;
    let ended = submit(&plan, &site, &args, format).await;
    site.close().await;
    ended
}

async fn submit(plan: &Plan, site: &Site, args: &SubmitArgs, format: Format) -> Result<Exit, Failure> {
    let progress = Arc::new(Progress::new());
    let mut book = site.book().await?;
    adopt_plan(&mut book, plan, site).await?;
    if args.wait {
        return watching::watch(site, &plan.source.bucket, book, args.timeout, &progress, format).await;
    }
    let source = Arc::new(site.source(&plan.source.bucket));
    let mut engine = Engine::new(book, site.queue.clone(), source, progress.clone());
    engine.advance().await?;
    progress.finish();
    render::status(&view(engine.book()), By::Service, format)?;
    if site.owns_engine() {
        eprintln!("the local engine runs jobs only while somebody watches: dayfill watch, or dayfill local");
    }
    let ledger = engine.book().ledger();
    let exit = if ledger.stopped().is_some() { watching::exit_of(&view(engine.book())) } else { Exit::Ok };
    watching::tell_end(ledger, exit, site.owns_engine());
    Ok(exit)
}

/// Registers the plan's definition if need be, and makes the plan the one that is worked off.
pub async fn adopt_plan(book: &mut Book, plan: &Plan, site: &Site) -> Result<(), Failure> {
    // What is refused registers nothing, and what was adopted before needs no definition any more.
    let mut adoption = check(book.ledger(), plan)?;
    if adoption == Adoption::Adopted {
        let definition = planning::resolve_definition(plan, site).await?;
        adoption = adopt(book, plan, &definition).await?;
    }
    match adoption {
        Adoption::Adopted => eprintln!("plan {} adopted: {} jobs", plan.digest().short(), plan.jobs.len()),
        Adoption::Already => eprintln!("plan {} was adopted before: going on with it", plan.digest().short()),
    }
    Ok(())
}

/// `limits.max_jobs` guards against a mistake in the window.
pub fn check_limit(plan: &Plan) -> Result<(), Failure> {
    let most = plan.limits.max_jobs as usize;
    if plan.jobs.len() <= most {
        return Ok(());
    }
    let what = format!("the plan has {} jobs, and limits.max_jobs is {most}", plan.jobs.len());
    Err(Failure::new(Exit::Refused, what).hint("narrow the window, or raise limits.max_jobs in the YAML"))
}
