//! Reading objects: conditions, ranges, and a file as a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use futures::Stream;
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use super::bucket::{Object, etag_is};
use super::error::precondition_failed;

/// The conditions of a GET or HEAD, or on the source of a copy.
#[derive(Default)]
pub(super) struct ReadConditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

/// What the conditions say of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    /// The client has it already (304), or, for a copy, does not want it (412).
    NotModified,
}

impl ReadConditions {
    /// Weighs the conditions in the order of RFC 9110, §13.2.2: an ETag outweighs the date beside it.
    pub(super) fn check(&self, object: &Object) -> S3Result<Verdict> {
        let modified = Timestamp::from(object.modified());
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !etag_is(condition, &object.etag) => return Err(precondition_failed()),
            (None, Some(since)) if modified > *since => return Err(precondition_failed()),
            _ => {}
        }
        let unchanged = match (&self.none_match, &self.modified_since) {
            (Some(condition), _) => etag_is(condition, &object.etag),
            // A date in the future counts for nothing.
            (None, Some(since)) => modified <= *since && *since <= Timestamp::from(SystemTime::now()),
            (None, None) => false,
        };
        Ok(if unchanged { Verdict::NotModified } else { Verdict::Send })
    }
}

/// The bytes from `start` to before `end` of a copy's range (`bytes=0-9`, both ends said and within the object).
pub(super) fn copy_range(text: &str, size: u64) -> S3Result<(u64, u64)> {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    match parse() {
        Some((first, last)) if first <= last && last < size => Ok((first, last + 1)),
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {}",
            size
        )),
        None => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last"
        )),
    }
}

/// The next `remaining` bytes of a file.
pub(super) struct FileStream {
    file: File,
    remaining: u64,
    buffer: Vec<u8>,
}

impl FileStream {
    const CHUNK: usize = 256 * 1024;

    /// Streams `remaining` bytes from where `file` stands.
    pub(super) fn new(file: std::fs::File, remaining: u64) -> Self {
        Self { file: File::from_std(file), remaining, buffer: Vec::new() }
    }
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.remaining == 0 {
            return Poll::Ready(None);
        }
        let want =
            usize::try_from(this.remaining).map_or(Self::CHUNK, |remaining| remaining.min(Self::CHUNK));
        this.buffer.resize(want, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        let result = ready!(Pin::new(&mut this.file).poll_read(context, &mut buffer));
        let filled = buffer.filled().len();
        if let Err(error) = result {
            this.remaining = 0;
            return Poll::Ready(Some(Err(error)));
        }
        if filled == 0 {
            // The length was promised already, so the answer must break off rather than end.
            this.remaining = 0;
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        this.remaining -= filled as u64;
        let mut chunk = std::mem::take(&mut this.buffer);
        chunk.truncate(filled);
        Poll::Ready(Some(Ok(chunk.into())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::records::{Attributes, Stamp};
    use super::*;

    const AT: u64 = 1_700_000_000;

    fn object() -> Object {
        Object {
            etag: "e1".into(),
            stamp: Stamp { size: 10, modified_ns: AT as i64 * 1_000_000_000 + 999_999_999, inode: 1 },
            attributes: Attributes::default(),
            sums: super::super::checksums::Sums::default(),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn etag(text: &str) -> ETagCondition {
        text.parse().unwrap()
    }

    fn none() -> ReadConditions {
        ReadConditions::default()
    }

    #[test]
    fn conditions_are_weighed_as_http_says() {
        let check = |conditions: ReadConditions| conditions.check(&object()).ok();
        assert_eq!(check(none()), Some(Verdict::Send));
        assert_eq!(check(ReadConditions { matches: Some(etag("\"e1\"")), ..none() }), Some(Verdict::Send));
        assert_eq!(check(ReadConditions { matches: Some(etag("\"e2\"")), ..none() }), None);
        assert_eq!(
            check(ReadConditions { none_match: Some(etag("\"e1\"")), ..none() }),
            Some(Verdict::NotModified)
        );
        assert_eq!(
            check(ReadConditions { none_match: Some(etag("*")), ..none() }),
            Some(Verdict::NotModified)
        );
        // Seconds are all that a header can say.
        assert_eq!(
            check(ReadConditions { modified_since: Some(at(AT)), ..none() }),
            Some(Verdict::NotModified)
        );
        assert_eq!(check(ReadConditions { modified_since: Some(at(AT - 1)), ..none() }), Some(Verdict::Send));
        assert_eq!(check(ReadConditions { unmodified_since: Some(at(AT - 1)), ..none() }), None);
        let both =
            ReadConditions { matches: Some(etag("\"e1\"")), unmodified_since: Some(at(AT - 1)), ..none() };
        assert_eq!(check(both), Some(Verdict::Send));
        let both =
            ReadConditions { none_match: Some(etag("\"e2\"")), modified_since: Some(at(AT)), ..none() };
        assert_eq!(check(both), Some(Verdict::Send));
    }

    #[test]
    fn a_range_of_a_copy_lies_within_the_source() {
        assert_eq!(copy_range("bytes=2-9", 10).unwrap(), (2, 10));
        for bad in ["bytes=2-10", "bytes=3-2", "bytes=2-", "2-3", "bytes=a-b"] {
            assert!(copy_range(bad, 10).is_err(), "{bad}");
        }
    }
}
