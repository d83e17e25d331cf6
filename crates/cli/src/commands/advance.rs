//! `dayfill advance`

use std::sync::Arc;

use dayfill_engine::advance::Engine;

use crate::args::{By, Format, SpecArgs};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::progress::Progress;
use crate::render;
use crate::site::{Jobs, Site};
use crate::watching::{exit_of, tell_end, view};

/// One step. Ends with 0 while work goes on; what needs attention has its own code.
pub async fn run(args: SpecArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args)?;
    let site = Site::of(&backfill, Jobs::Hold).await?;
    let ended = step(&site, &backfill.bucket, format).await;
    site.close().await;
    ended
}

async fn step(site: &Site, bucket: &str, format: Format) -> Result<Exit, Failure> {
    let progress = Arc::new(Progress::new());
    let source = Arc::new(site.source(bucket));
    let mut engine = Engine::new(site.book().await?, site.queue.clone(), source, progress.clone());
    let step = engine.advance().await?;
    progress.finish();
    let view = view(engine.book());
    render::status(&view, By::Service, format)?;
    if site.owns_engine() && !step.finished {
        eprintln!("the local engine runs jobs only while somebody watches: dayfill watch, or dayfill local");
    }
    let needs_attention = view.total().needs_person > 0 || view.ledger.stopped().is_some();
    let exit = if step.finished || needs_attention { exit_of(&view) } else { Exit::Ok };
    tell_end(view.ledger, exit, site.owns_engine());
    Ok(exit)
}
