//! `dayfill watch`

use std::sync::Arc;

use crate::args::{Format, WatchArgs};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::progress::Progress;
use crate::site::{Jobs, Site};
use crate::watching;

/// Steps until nothing is left to do.
pub async fn run(args: WatchArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let site = Site::of(&backfill, Jobs::Run).await?;
    let progress = Arc::new(Progress::new());
    let ended = match site.book().await {
        Ok(book) => watching::watch(&site, &backfill.bucket, book, args.timeout, &progress, format).await,
        Err(failure) => Err(failure),
    };
    site.close().await;
    ended
}
