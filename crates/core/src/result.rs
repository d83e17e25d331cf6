//! What a job says of itself, in the object that `DAYFILL_RESULT` names.
//!
//! A job need not write one. If it does, it is JSON of this form, of which only `slice` must be there:
//!
//! ```json
//! { "slice": "condor/2018-10-04", "peak_mib": 812.5,
//!   "rows_read": 1000, "rows_written": 990, "rows_rejected": 10, "note": "10 lines were no JSON" }
//! ```
//!
//! Members that are not known are passed over. What a job says is noted and never trusted blindly: a result of another
//! slice, one that is not JSON of this form, or one of more than [`MOST_BYTES`] is ignored, and so is a peak that cannot be.

use serde::{Deserialize, Serialize};

use crate::fact::Intended;
use crate::memory::is_believable;
use crate::units::show_bytes;

/// The most bytes that a result may have.
pub const MOST_BYTES: u64 = 64 * 1024;

/// A note, and whatever else a job wrote, is cut to so many characters.
const NOTE_CHARS: usize = 1000;
/// A peak of more MiB than any machine has is no number to go on with.
const MOST_MIB: f64 = (1u64 << 40) as f64;

/// The members of a result, as they are written.
#[derive(Deserialize)]
struct Said {
    slice: String,
    peak_mib: Option<f64>,
    rows_read: Option<u64>,
    rows_written: Option<u64>,
    rows_rejected: Option<u64>,
    note: Option<String>,
}

/// What a job said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobResult {
    /// The most memory that it held at once, KiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_kib: Option<u64>,
    /// Rows that it read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_read: Option<u64>,
    /// Rows that it wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_written: Option<u64>,
    /// Rows that it rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_rejected: Option<u64>,
    /// In its own words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A result, and what of it is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What the job said, as far as it is believed.
    pub result: JobResult,
    /// Why the rest is ignored.
    pub ignored: Option<String>,
}

/// Reads what the job of this intent has written: the first bytes of it, one more than [`MOST_BYTES`] at the most. The
/// error says why all of it is ignored.
pub fn read(bytes: &[u8], job: &Intended) -> Result<Read, String> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("the result has more than {}", show_bytes(MOST_BYTES)));
    }
    let cannot = |e: &serde_json::Error| format!("the result cannot be read: {}", cut(&e.to_string()));
    // An array of the right texts and numbers would do for a struct, too.
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|e| cannot(&e))?;
    let said: Said = serde_json::from_value(members.into()).map_err(|e| cannot(&e))?;
    let Said { slice, peak_mib, rows_read, rows_written, rows_rejected, note } = said;
    if slice != job.slice.to_string() {
        return Err(format!("the result is of the slice {:?}", cut(&slice)));
    }
    let asked = job.memory_mib;
    let believed = peak_mib.filter(|peak| is_believable(*peak, asked));
    let ignored = peak_mib.filter(|_| believed.is_none()).map(|peak| {
        let peak = peak.clamp(-MOST_MIB, MOST_MIB);
        format!("a peak_mib of {peak} cannot be: the job had {asked} MiB")
    });
    let result = JobResult {
        peak_kib: believed.map(|peak| (peak * 1024.0).ceil() as u64),
        rows_read,
        rows_written,
        rows_rejected,
        note: note.map(|note| cut(&note)),
    };
    Ok(Read { result, ignored })
}

fn cut(text: &str) -> String {
    text.chars().take(NOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{intended, plan};

    fn job() -> Intended {
        intended(4, 1, 1, 1, &plan(Vec::new()).digest())
    }

    fn why(text: &str) -> String {
        read(text.as_bytes(), &job()).unwrap_err()
    }

    #[test]
    fn what_a_job_says_is_kept() {
        let text = r#"{ "slice": "condor/2018-10-04", "peak_mib": 100.5, "rows_read": 10, "rows_written": 9,
            "rows_rejected": 1, "note": "one line was no JSON", "of another version": [1] }"#;
        let result = JobResult {
            peak_kib: Some(102_912),
            rows_read: Some(10),
            rows_written: Some(9),
            rows_rejected: Some(1),
            note: Some("one line was no JSON".to_owned()),
        };
        assert_eq!(read(text.as_bytes(), &job()), Ok(Read { result, ignored: None }));
        let least = read(br#"{"slice":"condor/2018-10-04"}"#, &job()).unwrap();
        assert_eq!(least, Read { result: JobResult::default(), ignored: None });
    }

    #[test]
    fn what_is_no_result_of_this_job_is_ignored() {
        assert!(why("").contains("cannot be read"));
        assert!(why("{").contains("cannot be read"));
        assert!(why("[]").contains("cannot be read"));
        assert!(why(r#"["condor/2018-10-04",12.0,5,6,7,"hi"]"#).contains("expected a map"));
        assert!(why(r#"{"peak_mib": 5}"#).contains("missing field `slice`"));
        assert!(why(r#"{"slice": "condor/2018-10-04", "rows_read": -1}"#).contains("invalid value"));
        assert!(why(r#"{"slice": "condor/2018-10-04", "rows_read": "many"}"#).contains("invalid type"));
        assert_eq!(
            why(r#"{"slice": "condor/2018-10-05"}"#),
            r#"the result is of the slice "condor/2018-10-05""#
        );
        let enormous = format!(r#"{{"slice": "condor/2018-10-04", "note": "{}"}}"#, "x".repeat(70_000));
        assert_eq!(why(&enormous), "the result has more than 64.0 KiB");
        let long = format!(r#"{{"slice": "condor/2018-10-04", "rows_read": "{}"}}"#, "x".repeat(60_000));
        assert!(
            why(&long).contains("invalid type") && why(&long).len() < 1100,
            "what a job wrote is not told at length"
        );
        assert!(read(&[0xff, 0xfe], &job()).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_peak_that_cannot_be_is_ignored_and_the_rest_is_not() {
        // The job had 128 MiB; in bytes, in KiB, in GiB, and no number of MiB at all.
        for peak in ["104857600", "102400", "0.1", "0", "-5", "1e308"] {
            let text = format!(r#"{{"slice": "condor/2018-10-04", "peak_mib": {peak}, "rows_read": 7}}"#);
            let read = read(text.as_bytes(), &job()).unwrap();
            assert_eq!((read.result.peak_kib, read.result.rows_read), (None, Some(7)), "{peak}");
            assert!(read.ignored.unwrap().ends_with("cannot be: the job had 128 MiB"), "{peak}");
        }
        // More than it had, as far as a measure may be off.
        let text = br#"{"slice": "condor/2018-10-04", "peak_mib": 130}"#;
        assert_eq!(read(text, &job()).unwrap().result.peak_kib, Some(130 * 1024));
    }

    proptest! {
        #[test]
        fn whatever_a_job_writes_is_read_or_ignored(
            bytes in prop::collection::vec(any::<u8>(), 0..200), peak in any::<f64>(), note in ".{0,2000}",
        ) {
            let _ = read(&bytes, &job());
            let value = serde_json::json!({ "slice": "condor/2018-10-04", "peak_mib": peak, "note": note });
            if let Ok(read) = read(value.to_string().as_bytes(), &job()) {
                prop_assert!(read.result.note.is_none_or(|n| n.chars().count() <= NOTE_CHARS));
                prop_assert!(read.result.peak_kib.is_none_or(|kib| kib <= 142 * 1024));
            }
        }
    }
}
