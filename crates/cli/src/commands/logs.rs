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
    let (slice, lines) = lines?;
    match format {
        Format::Json => output::json(&serde_json::json!({
            "schema_version": output::JSON_SCHEMA,
            "partition": args.slice.partition(),
            "slice": slice,
            "lines": lines,
        }))?,
        Format::Table => {
            let shown: String = lines.iter().map(|l| format!("{}\n", escape::terminal(l))).collect();
            output::write(&shown)?;
        }
    }
    Ok(Exit::Ok)
}

async fn lines(site: &Site, args: &LogsArgs) -> Result<(SliceId, Vec<String>), Failure> {
    let book = site.book().await?;
    let is_meant = |t: &&Try| {
        let of_load = args.load.is_none_or(|n| t.intended.load == n);
        of_load && args.r#try.map_or(t.job_id.is_some(), |n| t.intended.r#try == n)
    };
    // Of a slice that was cut, and of which no try is named, the newest job of its parts.
    let own = |slice: &SliceId| args.r#try.is_none() || *slice == args.slice;
    let records = book.ledger().within(&args.slice).filter(|(slice, _)| own(slice));
    let tries = records.filter_map(|(_, r)| r.tries.iter().rfind(is_meant));
    let Some(t) = tries.max_by_key(|t| t.intent.segment) else {
        let one = args.r#try.map_or_else(|| "job".to_owned(), |n| format!("try {n}"));
        let load = args.load.map_or_else(String::new, |n| format!(" of load {n}"));
        let what = format!("there is no {one}{load} of {} that was submitted", args.slice);
        let hint = format!("dayfill explain {} shows its tries", args.slice.partition());
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    };
    if t.intended.slice != args.slice {
        eprintln!("this is of its part {}", t.intended.slice);
    }
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
        let kept = ended.map(|e| e.log_tail.clone()).unwrap_or_default();
        return Ok((t.intended.slice.clone(), kept));
    }
    Ok((t.intended.slice.clone(), lines))
}
