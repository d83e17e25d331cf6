//! `dayfill plan`

use std::path::Path;

use chrono::Utc;
use dayfill_core::plan::{Choice, Plan, SkipReason};

use crate::args::{Format, PlanArgs};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::progress::Progress;
use crate::site::{Jobs, Site};
use crate::{planning, render};

/// Measures, chooses, prints, and writes the plan file if one was named.
pub async fn run(args: PlanArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let site = Site::of(&backfill, Jobs::Hold).await?;
    let book = site.book().await?;
    let progress = Progress::new();
    let now = args.now.unwrap_or_else(Utc::now);
    let plan = planning::plan(&backfill, &site, &book, args.only.unwrap_or_default(), now, &progress).await;
    progress.finish();
    site.close().await;
    let plan = plan?;
    if let Some(path) = &args.output {
        write(path, &plan)?;
    }
    render::plan(&plan, format)?;
    match &args.output {
        Some(path) => eprintln!("written to {}; next: dayfill submit {}", path.display(), path.display()),
        None if plan.jobs.is_empty() => {}
        None => eprintln!("next: dayfill run {}", backfill.file.display()),
    }
    Ok(exit(&plan, args.exit_code))
}

fn exit(plan: &Plan, exit_code: bool) -> Exit {
    let unlisted = plan.partitions.iter().any(|p| p.choice == Choice::Skip(SkipReason::Unlisted));
    if unlisted {
        // A day that could not be listed is neither planned nor known to be empty.
        Exit::Error
    } else if exit_code && !plan.jobs.is_empty() {
        Exit::Work
    } else {
        Exit::Ok
    }
}

/// Writes beside the file and renames, so that no reader finds half a plan.
fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, plan.to_json())
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| Failure::new(Exit::Error, format!("cannot write the plan to {}: {e}", path.display())))
}
