//! When a backfill should be done.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::problem::Problems;

const FIELD: &str = "deadline";
const HELP: &str =
    "write a date, a time and its offset from UTC, such as 2018-10-08T06:00+09:00, or Z for UTC";

/// A moment as RFC 3339 writes it; seconds may be left out. Nobody's clock is guessed: the offset must be there.
pub(super) fn read(text: &str, has_fallback: bool, problems: &mut Problems) -> Option<DateTime<Utc>> {
    let without_seconds = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%#z");
    let at = DateTime::parse_from_rfc3339(text).or_else(|_| without_seconds());
    let Ok(at) = at else {
        let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
        let is_local = local.iter().any(|format| NaiveDateTime::parse_from_str(text, format).is_ok());
        let message = if is_local { "has no offset from UTC" } else { "is not a time" };
        problems.add(FIELD, format!("`{}` {message}", text.escape_debug()), HELP);
        return None;
    };
    if !has_fallback {
        problems.add(
            FIELD,
            "without a fallback queue nothing can be done for a deadline",
            "write job.fallback_queue, a queue whose hosts are not taken away, or remove the deadline",
        );
    }
    Some(at.to_utc())
}
