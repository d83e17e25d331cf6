//! `dayfill explain`

use dayfill_core::partition::SliceId;

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
    if !view.partitions().contains_key(&args.partition) {
        let what = format!("nothing is known of {}: no plan that was submitted has it", args.partition);
        let dimensions = backfill.spec.source().layout().dimensions();
        let form: String = dimensions.iter().map(|d| format!("{{{d}}}/")).collect();
        return Err(Failure::new(Exit::Usage, what).hint(format!("a day is written {form}YYYY-MM-DD")));
    }
    render::explain(&view, book.plans(), &SliceId::whole(args.partition), format)?;
    Ok(Exit::Ok)
}
