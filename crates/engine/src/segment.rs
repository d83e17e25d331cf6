//! The text of a journal segment: a header line, then a line a fact.

use chrono::{DateTime, SubsecRound, Utc};
use dayfill_core::fact::Fact;
use dayfill_core::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The version of segments that this program writes, and the newest that it reads.
pub const SCHEMA_VERSION: u64 = 2;

/// The first line of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u64,
    /// The segment's own number.
    pub segment: u64,
    /// Who wrote it: tells one's own write from another's.
    pub nonce: Uuid,
    /// The writer's clock.
    pub written_at: DateTime<Utc>,
    /// How many facts follow.
    pub facts: u64,
    /// SHA-256 of the lines that follow, hexadecimal.
    pub sha256: String,
}

/// A segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Written by a newer program.
    #[error(
        "journal segment {segment} has schema version {version}, and this program knows {SCHEMA_VERSION}"
    )]
    Newer {
        /// Its number.
        segment: u64,
        /// Its version.
        version: u64,
    },
    /// Cut, edited or not a segment at all.
    #[error("journal segment {segment} is damaged: {why}")]
    Damaged {
        /// Its number.
        segment: u64,
        /// What does not fit.
        why: String,
    },
}

/// Writes a segment.
pub fn write(
    number: u64,
    nonce: Uuid,
    written_at: DateTime<Utc>,
    facts: &[Fact],
) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::new();
    for fact in facts {
        serde_json::to_writer(&mut body, fact)?;
        body.push(b'\n');
    }
    let header = Header {
        schema_version: SCHEMA_VERSION,
        segment: number,
        nonce,
        written_at: written_at.trunc_subsecs(3),
        facts: facts.len() as u64,
        sha256: checksum(&body),
    };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    bytes.append(&mut body);
    Ok(bytes)
}

/// Reads a segment.
pub fn read(number: u64, bytes: &[u8]) -> Result<(Header, Vec<Fact>), SegmentError> {
    let damaged = |why: String| SegmentError::Damaged { segment: number, why };
    let text = std::str::from_utf8(bytes).map_err(|e| damaged(e.to_string()))?;
    let (first, body) = text.split_once('\n').ok_or_else(|| damaged("it has no header line".to_owned()))?;
    // The version comes first: a newer header may not be one that this program can read.
    let value: serde_json::Value =
        serde_json::from_str(first).map_err(|e| damaged(format!("its header is not JSON: {e}")))?;
    let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
    if let Some(version) = version
        && version > SCHEMA_VERSION
    {
        return Err(SegmentError::Newer { segment: number, version });
    }
    let header: Header = serde_json::from_value(value)
        .map_err(|e| damaged(format!("its header is not one of a segment: {e}")))?;
    if header.segment != number {
        return Err(damaged(format!("it says that it is segment {}", header.segment)));
    }
    if checksum(body.as_bytes()) != header.sha256 {
        let lines = body.lines().count();
        return Err(damaged(format!(
            "its content does not match its checksum ({lines} lines where {} facts were written)",
            header.facts
        )));
    }
    let facts: Result<Vec<Fact>, SegmentError> = body
        .lines()
        .enumerate()
        .map(|(i, line)| serde_json::from_str(line).map_err(|e| damaged(format!("line {}: {e}", i + 2))))
        .collect();
    Ok((header, facts?))
}

pub(crate) fn checksum(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let facts = [Fact::Stopped { why: "a\nb".to_owned() }, Fact::Stopped { why: "c".to_owned() }];
        write(7, Uuid::nil(), DateTime::UNIX_EPOCH, &facts).unwrap()
    }

    #[test]
    fn reads_back() {
        let (header, facts) = read(7, &sample()).unwrap();
        assert_eq!((header.segment, header.facts, facts.len()), (7, 2, 2));
        assert_eq!(facts[0], Fact::Stopped { why: "a\nb".to_owned() });
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_seen() {
        let whole = sample();
        for cut in 0..whole.len() {
            assert!(read(7, &whole[..cut]).is_err(), "cut at {cut}");
        }
        let body = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for at in body..whole.len() {
            let mut edited = whole.clone();
            edited[at] ^= 1;
            assert!(read(7, &edited).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_version_is_named_even_if_all_else_is_strange() {
        let err = read(7, b"{\"schema_version\":3,\"x\":1}\n").unwrap_err();
        assert_eq!(err, SegmentError::Newer { segment: 7, version: 3 });
        assert!(read(8, &sample()).unwrap_err().to_string().contains("says that it is segment 7"));
    }
}
