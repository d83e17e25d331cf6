//! `dayfill logs`

use dayfill_core::escape;
use dayfill_core::ledger::Try;
use dayfill_core::partition::SliceId;

use crate::args::{Format, LogsArgs};
use crate::error::{Exit, Failure};
use crate::output;
use crate::place::Backfill;
use crate::site::{Jobs, Site};

/// Prints the log of a day's job: from CloudWatch Logs, else the lines that the journal kept.
pub async fn run(args: LogsArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(&args.spec)?;
    let site = Site::of(&backfill, Jobs::Hold).await?;
    let lines = lines(&site, &args).await;
    site.close().await;
    let lines = lines?;
    match format {
        Format::Json => output::json(&serde_json::json!({
            "schema_version": output::JSON_SCHEMA,
            "partition": args.slice.partition(),
            "slice": args.slice,
            "lines": lines,
        }))?,
        Format::Table => {
            let shown: String = lines.iter().map(|l| format!("{}\n", escape::terminal(l))).collect();
            output::write(&shown)?;
        }
    }
    Ok(Exit::Ok)
}

async fn lines(site: &Site, args: &LogsArgs) -> Result<Vec<String>, Failure> {
    let book = site.book().await?;
    let chosen = |t: &&Try| args.r#try.map_or(t.job_id.is_some(), |n| t.intended.r#try == n);
    // Of a slice that was cut, and of which no try is named, the newest job of its parts.
    let own = |slice: &SliceId| args.r#try.is_none() || *slice == args.slice;
    let records = book.ledger().within(&args.slice).filter(|(slice, _)| own(slice));
    let tries = records.filter_map(|(_, r)| r.tries.iter().rfind(chosen));
    let Some(t) = tries.max_by_key(|t| t.intent.segment) else {
        let what = format!("no job of {} was submitted", args.slice);
        return Err(Failure::new(Exit::Usage, what).hint("dayfill explain shows its tries"));
    };
    let ended = t.ended.as_ref();
    let mut stream = ended.and_then(|e| e.log_stream.clone());
    if stream.is_none() {
        // A job that runs has a stream that the journal does not know yet.
        let ids: Vec<String> = t.job_id.iter().cloned().collect();
        stream = site.queue.describe(&ids).await?.pop().and_then(|seen| seen.log_stream);
    }
    let lines = match stream {
        Some(stream) => site.queue.log_tail(&stream, usize::from(args.lines)).await?,
        None => Vec::new(),
    };
    if lines.is_empty() {
        eprintln!(
            "there is no log (any more); these are the lines that the journal kept of {}",
            t.intended.name
        );
        return Ok(ended.map(|e| e.log_tail.clone()).unwrap_or_default());
    }
    Ok(lines)
}
