//! `dayfill explain`

use crate::args::{ExplainArgs, Format};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::watching::view;
use crate::{render, site};

/// Prints every try of a day, from the journal alone.
pub async fn run(args: ExplainArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let (book, engine) = site::read_book(&backfill.place, backfill.spec.name()).await?;
    if let Some(engine) = engine {
        engine.shutdown().await;
    }
    let view = view(&book);
    let partition = args.slice.partition();
    if !view.partitions().contains_key(partition) {
        let what = format!("nothing is known of {partition}: no plan that was submitted has it");
        let dimensions = backfill.spec.source().layout().dimensions();
        let form: String = dimensions.iter().map(|d| format!("{{{d}}}/")).collect();
        return Err(Failure::new(Exit::Usage, what).hint(format!("a day is written {form}YYYY-MM-DD")));
    }
    let is_known = view.ledger.slice(&args.slice).is_some() || view.slices(partition).contains(&args.slice);
    if args.slice.is_part() && !is_known {
        let what = format!("{partition} was not cut into {}", args.slice);
        return Err(
            Failure::new(Exit::Usage, what).hint(format!("dayfill explain {partition} shows its parts"))
        );
    }
    render::explain(&view, book.plans(), &args.slice, format)?;
    Ok(Exit::Ok)
}
