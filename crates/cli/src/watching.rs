//! Watching and its end: what `submit --wait`, `watch` and `run` share.

use std::sync::Arc;
use std::time::Duration;

use dayfill_core::fact::Cloud;
use dayfill_core::ledger::Ledger;
use dayfill_core::report::View;
use dayfill_engine::advance::Engine;
use dayfill_engine::book::{Book, BookError};
use dayfill_engine::ports::ErrorKind;
use dayfill_engine::watch::Watched;

use crate::args::{By, Format};
use crate::error::{Exit, Failure};
use crate::progress::Progress;
use crate::render;
use crate::site::Site;

/// The exit code that a ledger calls for, once nothing runs any more.
pub fn exit_of(view: &View<'_>) -> Exit {
    let total = view.total();
    if total.needs_person > 0 {
        Exit::NeedsPerson
    } else if view.ledger.stopped().is_some() {
        Exit::Refused
    } else if total.failed > 0 {
        Exit::FailedDays
    } else {
        Exit::Ok
    }
}

/// The view of a book at this moment.
pub fn view(book: &Book) -> View<'_> {
    View { ledger: book.ledger(), plan: book.newest_plan(), now: book.clock().now() }
}

/// Watches until nothing is left to do, prints the status, and says how it ended.
pub async fn watch(
    site: &Site,
    bucket: &str,
    book: Book,
    timeout: Option<Duration>,
    progress: &Arc<Progress>,
    format: Format,
) -> Result<Exit, Failure> {
    let mut engine = Engine::new(book, site.queue.clone(), Arc::new(site.source(bucket)), progress.clone());
    let watched = tokio::select! {
        watched = engine.watch(timeout, |e| progress.step(e)) => Some(watched),
        _ = tokio::signal::ctrl_c() => None,
    };
    progress.finish();
    let watched = watched.transpose().map_err(|e| broken_off(site, e))?;
    let exit = match watched {
        Some(Watched::Finished) => exit_of(&view(engine.book())),
        Some(Watched::TimedOut) => Exit::TimedOut,
        None => Exit::Interrupted,
    };
    render::status(&view(engine.book()), By::Service, format)?;
    tell_end(engine.book().ledger(), exit, site.owns_engine());
    Ok(exit)
}

/// Why a watch broke off. Where another process runs the local engine, that process may just have ended.
fn broken_off(site: &Site, error: BookError) -> Failure {
    let unreachable = matches!(&error, BookError::Port(port) if port.kind == ErrorKind::Unreachable);
    let failure = Failure::from(error);
    if unreachable && matches!(site.cloud, Cloud::Local { .. }) && !site.owns_engine() {
        return failure.hint(
            "the dayfill that ran the local engine has ended: run the same command again, and it goes on",
        );
    }
    failure
}

/// Says on standard error what is left to a person, and what goes on.
pub fn tell_end(ledger: &Ledger, exit: Exit, own_engine: bool) {
    let goes_on = if own_engine {
        "jobs that ran here are ended; `dayfill watch` starts them again"
    } else {
        "jobs go on; `dayfill watch` looks at them again"
    };
    match exit {
        Exit::TimedOut => eprintln!("still running at --timeout: {goes_on}"),
        Exit::Interrupted => eprintln!("interrupted: {goes_on}"),
        Exit::Refused => {
            if let Some(stop) = ledger.stopped() {
                eprintln!("stopped: {}", dayfill_core::escape::terminal(&stop.why));
                eprintln!(
                    "  help: mend the cause, then plan and submit again (`dayfill run` does both): a new plan takes up what \
                     is left"
                );
            }
        }
        Exit::NeedsPerson => eprintln!("a person has to decide: see `dayfill explain`, then `dayfill mark`"),
        Exit::FailedDays => {
            eprintln!("some days failed: see `dayfill status --by class` and `dayfill explain`");
        }
        _ => {}
    }
}
