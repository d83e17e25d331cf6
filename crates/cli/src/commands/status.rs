//! `dayfill status`

use crate::args::{Format, StatusArgs};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::watching::view;
use crate::{render, site};

/// Prints how the backfill stands, from the journal alone.
pub async fn run(args: StatusArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let (book, engine) = site::read_book(&backfill.place, backfill.spec.name()).await?;
    if let Some(engine) = engine {
        engine.shutdown().await;
    }
    render::status(&view(&book), args.by, format)?;
    Ok(Exit::Ok)
}
