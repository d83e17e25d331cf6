//! The text of a snapshot: a line that says what of, then the ledger.
//!
//! A snapshot is a cache of the fold. The segments are the truth: whatever is odd about a snapshot, it is not used, and
//! nobody needs to hear of it.

use dayfill_core::ledger::{FOLD_VERSION, Ledger};
use serde::{Deserialize, Serialize};

use crate::segment::{Header, checksum};

/// The version of this form.
const SCHEMA_VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    schema_version: u32,
    fold_version: u32,
    /// The version of the program that folded.
    program: String,
    /// The header of the last segment that was folded: its nonce is in no other journal.
    last: Header,
    /// SHA-256 of the line that follows, hexadecimal.
    sha256: String,
}

/// The ledger as of a segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The header of the last segment that was folded.
    pub last: Header,
    /// What all segments up to that one amount to.
    pub ledger: Ledger,
}

/// Writes a snapshot of the ledger as of the segment with this header.
pub fn write(last: &Header, ledger: &Ledger) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(ledger)?;
    body.push(b'\n');
    let mut bytes = serde_json::to_vec(&Head {
        schema_version: SCHEMA_VERSION,
        fold_version: FOLD_VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        last: last.clone(),
        sha256: checksum(&body),
    })?;
    bytes.push(b'\n');
    bytes.append(&mut body);
    Ok(bytes)
}

/// Reads a snapshot; none where it was made by another version, or is damaged.
pub fn read(bytes: &[u8]) -> Option<Snapshot> {
    let (first, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let head: Head = serde_json::from_str(first).ok()?;
    let ours = head.schema_version == SCHEMA_VERSION
        && head.fold_version == FOLD_VERSION
        && head.program == env!("CARGO_PKG_VERSION");
    if !ours || head.sha256 != checksum(body.as_bytes()) {
        return None;
    }
    Some(Snapshot { last: head.last, ledger: serde_json::from_str(body).ok()? })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dayfill_core::ledger::Stamp;
    use uuid::Uuid;

    use super::*;
    use crate::segment;
    use crate::testing::opened;

    fn sample() -> (Snapshot, Vec<u8>) {
        let bytes = segment::write(1, Uuid::nil(), DateTime::UNIX_EPOCH, &[opened()]).unwrap();
        let (last, facts) = segment::read(1, &bytes).unwrap();
        let mut ledger = Ledger::default();
        let stamp = Stamp { segment: 1, written_at: last.written_at, stored_at: last.written_at };
        ledger.apply(facts.into_iter().next().unwrap(), stamp).unwrap();
        let bytes = write(&last, &ledger).unwrap();
        (Snapshot { last, ledger }, bytes)
    }

    #[test]
    fn reads_back() {
        let (snapshot, bytes) = sample();
        assert_eq!(read(&bytes), Some(snapshot));
    }

    #[test]
    fn every_cut_is_seen_and_no_flipped_byte_changes_the_ledger() {
        let (snapshot, whole) = sample();
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut edited = whole.clone();
            edited[at] ^= 1;
            // A flipped byte of the header of the segment is seen when the segment is read.
            let seen = read(&edited).is_none_or(|s| s.ledger == snapshot.ledger && s.last != snapshot.last);
            assert!(seen, "byte {at}");
        }
    }
}
