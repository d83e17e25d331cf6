//! `dayfill mark`

use dayfill_core::fact::{Fact, Mark};
use dayfill_core::ledger::{Ledger, Standing};
use dayfill_core::partition::SliceId;
use dayfill_core::report::DayState;

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
    let already = if mark == Mark::Done { DayState::Done } else { DayState::Failed };
    // Of a day that was cut every part, or it is not all of it.
    let is_so = |day: &SliceId, state: DayState| {
        let view = view(&book);
        let mut parts = view.slices(day.partition()).into_iter().filter(|s| s.is_part() && s.is_within(day));
        state == already && parts.all(|part| view.state_within(&part) == Some(already))
    };
    let days: Vec<SliceId> = open.into_iter().filter(|(d, s)| !is_so(d, *s)).map(|(d, _)| d).collect();
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
    book.append(|ledger, _| {
        // A job may have been submitted since the question.
        let still = days.iter().filter(|p| !is_live(ledger, p));
        let fact = |s: &SliceId| Fact::Marked { slice: s.clone(), mark, reason: args.reason.clone() };
        still.map(fact).collect()
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

fn is_live(ledger: &Ledger, slice: &SliceId) -> bool {
    ledger.within(slice).any(|(_, r)| r.live().next().is_some())
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Done => "done",
        Mark::Failed => "failed",
    }
}
