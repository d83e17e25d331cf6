//! The checksums that a client may send with its bytes, and get back.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto;
use s3s::{S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

/// Checksums of one object or part, base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// Moves the checksum fields of a request of S3 into [`Sums`].
macro_rules! sums_of {
    ($input:expr) => {
        $crate::lake::checksums::Sums {
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64nvme: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
            sha256: $input.checksum_sha256.take(),
        }
    };
}

/// Sets the checksum fields of an answer of S3.
macro_rules! set_sums {
    ($output:expr, $sums:expr) => {{
        let sums = $sums;
        $output.checksum_crc32 = sums.crc32.clone();
        $output.checksum_crc32c = sums.crc32c.clone();
        $output.checksum_crc64nvme = sums.crc64nvme.clone();
        $output.checksum_sha1 = sums.sha1.clone();
        $output.checksum_sha256 = sums.sha256.clone();
    }};
}

pub(super) use {set_sums, sums_of};

/// Which checksums to compute while bytes come in, and what they must be.
pub(super) struct Expected {
    sums: Sums,
    trailing: Option<TrailingHeaders>,
    /// Of checksums that are announced for the end of the body, or asked for without a value.
    announced: Vec<String>,
}

impl Expected {
    /// `sums`: what the headers say; `algorithm`: what `x-amz-sdk-checksum-algorithm` says.
    pub(super) fn new(
        sums: Sums,
        algorithm: Option<&dto::ChecksumAlgorithm>,
        headers: &HeaderMap,
        trailing: Option<TrailingHeaders>,
    ) -> Self {
        let mut announced: Vec<String> = headers
            .get_all("x-amz-trailer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| {
                name.trim().to_ascii_lowercase().strip_prefix("x-amz-checksum-").map(str::to_owned)
            })
            .collect();
        announced.extend(algorithm.map(|algorithm| algorithm.as_str().to_ascii_lowercase()));
        Self { sums, trailing, announced }
    }

    /// A hasher of all that is asked for.
    pub(super) fn hasher(&self) -> ChecksumHasher {
        let wanted = |given: &Option<String>, name: &str| {
            given.is_some() || self.announced.iter().any(|announced| announced == name)
        };
        ChecksumHasher {
            crc32: wanted(&self.sums.crc32, "crc32").then(s3s::crypto::Crc32::new),
            crc32c: wanted(&self.sums.crc32c, "crc32c").then(s3s::crypto::Crc32c::new),
            sha1: wanted(&self.sums.sha1, "sha1").then(s3s::crypto::Sha1::new),
            sha256: wanted(&self.sums.sha256, "sha256").then(s3s::crypto::Sha256::new),
            crc64nvme: wanted(&self.sums.crc64nvme, "crc64nvme").then(s3s::crypto::Crc64Nvme::new),
        }
    }

    /// Compares what was computed with what was sent, once the body was read.
    pub(super) fn verify(self, hasher: ChecksumHasher) -> S3Result<Sums> {
        let mut computed = hasher.finalize();
        let computed = sums_of!(computed);
        let trailer = |name: &str| {
            let header = format!("x-amz-checksum-{name}");
            self.trailing.as_ref()?.read(|headers| headers.get(header)?.to_str().ok().map(str::to_owned))?
        };
        for (name, sent, computed) in [
            ("crc32", &self.sums.crc32, &computed.crc32),
            ("crc32c", &self.sums.crc32c, &computed.crc32c),
            ("crc64nvme", &self.sums.crc64nvme, &computed.crc64nvme),
            ("sha1", &self.sums.sha1, &computed.sha1),
            ("sha256", &self.sums.sha256, &computed.sha256),
        ] {
            let sent = sent.clone().or_else(|| trailer(name));
            if sent.is_some() && sent != *computed {
                let name = name.to_ascii_uppercase();
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(computed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sums: Sums, headers: &HeaderMap) -> S3Result<Sums> {
        let expected = Expected::new(sums, None, headers, None);
        let mut hasher = expected.hasher();
        hasher.update(b"hello");
        expected.verify(hasher)
    }

    #[test]
    fn a_checksum_that_was_sent_must_be_right() {
        let right = Sums { crc32: Some("NhCmhg==".into()), ..Sums::default() };
        assert_eq!(check(right.clone(), &HeaderMap::new()).unwrap(), right);
        let wrong = Sums { sha256: Some("AAAA".into()), ..Sums::default() };
        let error = check(wrong, &HeaderMap::new()).unwrap_err();
        assert_eq!(error.code().as_str(), "BadDigest");
        assert!(error.message().unwrap().contains("SHA256"));
    }

    #[test]
    fn an_announced_checksum_is_computed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-trailer", "x-amz-checksum-crc32".parse().unwrap());
        assert_eq!(check(Sums::default(), &headers).unwrap().crc32.as_deref(), Some("NhCmhg=="));
    }
}
