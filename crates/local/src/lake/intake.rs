//! Bytes that come in: written to a temporary file, hashed on the way, and refused when they are not what was announced.

use std::io::{self, Write};

use bytes::Bytes;
use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, StdError, s3_error};

use super::bucket::hex;
use super::checksums::{Expected, Sums};
use super::error::from_io;
use super::temp::Temp;

/// How many bytes are gathered before they are hashed and written in one go.
const GATHER: usize = 256 * 1024;

/// A body that was received whole and is right.
pub(super) struct Received {
    pub(super) bytes: Temp,
    pub(super) size: u64,
    /// MD5 of the bytes, hexadecimal: the ETag of an object that is put in one piece.
    pub(super) md5: String,
    pub(super) sums: Sums,
}

struct Sink {
    temp: Temp,
    size: u64,
    md5: Md5,
    sums: ChecksumHasher,
}

impl Sink {
    fn take(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for chunk in chunks {
            self.md5.update(chunk);
            self.sums.update(chunk);
            self.temp.file().write_all(chunk)?;
            self.size += chunk.len() as u64;
        }
        Ok(())
    }
}

/// Receives `body` into `temp`. `length` and `md5` (base64, as in `Content-MD5`): what the client announced.
pub(super) async fn receive(
    temp: Temp,
    body: Option<StreamingBlob>,
    length: Option<i64>,
    md5: Option<&str>,
    expected: Expected,
) -> S3Result<Received> {
    let mut sink = Sink { temp, size: 0, md5: Md5::new(), sums: expected.hasher() };
    if let Some(mut body) = body {
        let mut chunks = Vec::new();
        let mut gathered = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(broken_body)?;
            gathered += chunk.len();
            chunks.push(chunk);
            if gathered >= GATHER {
                sink = pour(sink, std::mem::take(&mut chunks)).await?;
                gathered = 0;
            }
        }
        sink = pour(sink, chunks).await?;
    }
    if length.is_some_and(|length| u64::try_from(length) != Ok(sink.size)) {
        return Err(s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header"
        ));
    }
    let digest = sink.md5.finalize();
    if let Some(md5) = md5 {
        let decoded = base64_simd::STANDARD.decode_to_vec(md5).ok().filter(|bytes| bytes.len() == 16);
        let Some(decoded) = decoded else {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        };
        if decoded != digest {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
    }
    let sums = expected.verify(sink.sums)?;
    Ok(Received { bytes: sink.temp, size: sink.size, md5: hex(&digest), sums })
}

async fn pour(mut sink: Sink, chunks: Vec<Bytes>) -> S3Result<Sink> {
    blocking(move || {
        sink.take(&chunks).map_err(from_io)?;
        Ok(sink)
    })
    .await
}

/// Runs what waits for the disk where it may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(S3Error::internal_error(error)),
    }
}

fn broken_body(error: StdError) -> S3Error {
    // The types behind these are private to the library that speaks S3; their texts name the variant.
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let mut mismatch = s3_error!(
            InvalidRequest,
            "The provided 'x-amz-content-sha256' header does not match what was computed."
        );
        mismatch.set_code(s3s::S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()));
        mismatch.set_status_code(http::StatusCode::BAD_REQUEST);
        mismatch
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "The signature of a chunk of the body does not match.")
    } else {
        s3_error!(IncompleteBody, "The body ended before it was complete: {}", text)
    }
}
