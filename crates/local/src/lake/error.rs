//! What goes wrong with files, as S3 says it.

use std::io;

use s3s::{S3Error, S3ErrorCode, s3_error};

use super::key::BadKey;

/// An error of the file system as a client of S3 should hear it.
pub(super) fn from_io(error: io::Error) -> S3Error {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied => {
            s3_error!(error, AccessDenied, "the folder of this bucket does not permit it")
        }
        Kind::ReadOnlyFilesystem => {
            s3_error!(error, AccessDenied, "the folder of this bucket is on a read-only file system")
        }
        Kind::StorageFull | Kind::QuotaExceeded => {
            // Not one of the codes that clients try again.
            let mut full = s3_error!(InternalError, "no room is left on the disk that holds this bucket");
            full.set_code(S3ErrorCode::Custom("InsufficientStorage".into()));
            full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
            full
        }
        Kind::InvalidFilename => {
            s3_error!(error, KeyTooLongError, "the key is too long for a file on this machine")
        }
        _ => {
            let message = format!("the folder of this bucket cannot be used: {error}");
            let mut internal = S3Error::with_message(S3ErrorCode::InternalError, message);
            internal.set_source(Box::new(error));
            internal
        }
    }
}

impl From<BadKey> for S3Error {
    fn from(bad: BadKey) -> Self {
        let code = match bad {
            BadKey::TooLong => S3ErrorCode::KeyTooLongError,
            _ => S3ErrorCode::InvalidArgument,
        };
        Self::with_message(code, bad.to_string())
    }
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(super) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
