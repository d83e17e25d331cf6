//! `dayfill mark`

use dayfill_core::fact::{Fact, Mark};
use dayfill_core::ledger::{Ledger, Standing};
use dayfill_core::partition::SliceId;
use dayfill_core::report::View;

use super::days;
use crate::args::{Format, MarkArgs, MarkAs};
use crate::confirm::confirm;
use crate::error::{Exit, Failure};
use crate::output;
use crate::place::Backfill;
use crate::site;
use crate::watching::view;

/// Writes into the journal what a person knows about some days.
pub async fn run(args: MarkArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let (mut book, engine) = site::read_book(&backfill.place, backfill.spec.name()).await?;
    let chosen = days::chosen(&args.days, &view(&book), &backfill)?;
    let mark = match args.mark {
        MarkAs::Done => Mark::Done,
        MarkAs::Failed => Mark::Failed,
    };
    let (open, busy): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(p, _)| !is_live(book.ledger(), p));
    if let Some((partition, _)) = busy.first() {
        let what = format!("{partition} has a job under way, and {} more days have", busy.len() - 1);
        return Err(
            Failure::new(Exit::Refused, what).hint("wait for it, or end it first with dayfill cancel")
        );
    }
    let is_so = |day: &SliceId| {
        let view = view(&book);
        days::slices(&view, day).iter().all(|slice| is_marked(book.ledger(), slice, mark))
    };
    let days: Vec<SliceId> = open.into_iter().map(|(d, _)| d).filter(|d| !is_so(d)).collect();
    if days.is_empty() {
        eprintln!("nothing to mark: all of these days are {} already, or none is known", word(mark));
        return Ok(Exit::Ok);
    }
    eprintln!("{} will be marked as {}:", days::these(&days), word(mark));
    days::name(&days);
    if mark == Mark::Failed {
        warn_of_loaded_parts(book.ledger(), &days);
    }
    if !confirm("Go on?", args.yes)? {
        return Ok(Exit::Refused);
    }
    let now = book.clock().now();
    book.append(|ledger, plans| {
        // A job may have been submitted since the question.
        let still = days.iter().filter(|day| !is_live(ledger, day));
        let view = View { ledger, plan: ledger.adopted().and_then(|a| plans.get(&a.digest)), now };
        let slices = still.flat_map(|day| days::slices(&view, day));
        slices.map(|slice| Fact::Marked { slice, mark, reason: args.reason.clone() }).collect()
    })
    .await?;
    if let Some(engine) = engine {
        engine.shutdown().await;
    }
    if format == Format::Json {
        output::json(&serde_json::json!({
            "schema_version": output::JSON_SCHEMA, "marked": word(mark), "partitions": days,
        }))?;
    }
    Ok(Exit::Ok)
}

/// Of a day that was cut every part is loaded again, those among them that were loaded.
fn warn_of_loaded_parts(ledger: &Ledger, days: &[SliceId]) {
    for day in days {
        let parts = ledger.parts(day);
        let loaded = parts.iter().filter(|s| s != &day && ledger.standing(s) == Standing::Done).count();
        if loaded > 0 {
            eprintln!(
                "of {day} {loaded} of {} parts are loaded, and would be loaded again; --only takes the part alone that is not",
                parts.len()
            );
        }
    }
}

/// Whether it is all the same if it is marked so. A slice that a job has loaded may be marked as done: then it is, whatever
/// becomes of its objects.
fn is_marked(ledger: &Ledger, slice: &SliceId, mark: Mark) -> bool {
    let loaded_by_job =
        || ledger.slice(slice).is_some_and(|r| r.loaded.as_ref().is_some_and(|l| l.by.is_some()));
    match mark {
        Mark::Done => ledger.standing(slice) == Standing::Done && !loaded_by_job(),
        Mark::Failed => ledger.standing(slice) == Standing::Failed,
    }
}

fn is_live(ledger: &Ledger, slice: &SliceId) -> bool {
    ledger.within(slice).any(|(_, r)| r.live().next().is_some())
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Done => "done",
        Mark::Failed => "failed",
    }
}
