//! `dayfill cancel`

use std::sync::Arc;

use dayfill_core::fact::Fact;
use dayfill_core::partition::SliceId;
use dayfill_core::report::{DayState, View};
use dayfill_engine::advance::Engine;

use super::days;
use crate::args::{By, CancelArgs, Format};
use crate::confirm::confirm;
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::progress::Progress;
use crate::render;
use crate::site::{Jobs, Site};
use crate::watching::view;

/// Takes back what was not sent, and asks Batch to end what was. A job that succeeds meanwhile has succeeded.
pub async fn run(args: CancelArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let site = Site::of(&backfill, Jobs::Hold).await?;
    let ended = cancel(&site, &backfill, &args, format).await;
    site.close().await;
    ended
}

async fn cancel(
    site: &Site,
    backfill: &Backfill,
    args: &CancelArgs,
    format: Format,
) -> Result<Exit, Failure> {
    let mut book = site.book().await?;
    let chosen = days::chosen(&args.days, &view(&book), backfill)?;
    let days: Vec<SliceId> = chosen.into_iter().filter(|(_, s)| is_open(*s)).map(|(p, _)| p).collect();
    if days.is_empty() {
        eprintln!("nothing to cancel: none of these days is planned, waiting or running");
        return Ok(Exit::Ok);
    }
    eprintln!("{} will no longer be loaded, until a new plan takes them up:", days::these(&days));
    days::name(&days);
    if !confirm("Go on?", args.yes)? {
        return Ok(Exit::Refused);
    }
    let now = book.clock().now();
    book.append(|ledger, plans| {
        let plan = ledger.adopted().and_then(|a| plans.get(&a.digest));
        let view = View { ledger, plan, now };
        let states = view.partitions();
        let still = days.iter().filter(|d| days::state(&view, &states, d).is_some_and(is_open));
        // Of a day that was cut, what is loaded stays so.
        let open = still.flat_map(|day| days::slices(&view, day)).filter(|slice| {
            ledger.slice(slice).is_none_or(|r| r.verdict.is_none() || view.is_taken_up(slice))
        });
        open.map(|slice| Fact::Cancelled { slice, reason: args.reason.clone() }).collect()
    })
    .await?;
    // The step asks Batch to end the jobs; whoever steps next asks again until their end is seen.
    let progress = Arc::new(Progress::new());
    let mut engine =
        Engine::new(book, site.queue.clone(), Arc::new(site.source(&backfill.bucket)), progress.clone());
    engine.advance().await?;
    progress.finish();
    render::status(&view(engine.book()), By::Service, format)?;
    Ok(Exit::Ok)
}

fn is_open(state: DayState) -> bool {
    matches!(state, DayState::Planned | DayState::Waiting | DayState::Running)
}
