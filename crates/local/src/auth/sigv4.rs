//! The arithmetic of Signature Version 4, for services other than S3.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use crate::lake::hex;

/// What is never encoded in a canonical request.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What of a request is signed.
pub(super) struct Canonical<'a> {
    pub(super) method: &'a str,
    /// As it was sent.
    pub(super) path: &'a str,
    /// As it was sent, without the question mark.
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// Lower-case names.
    pub(super) signed_headers: &'a [String],
    pub(super) body: &'a [u8],
}

impl Canonical<'_> {
    /// The SHA-256 of the canonical request, hexadecimal.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(self.request()))
    }

    /// The canonical request; bytes, because header values need not be text.
    pub(super) fn request(&self) -> Vec<u8> {
        let mut names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        names.sort_unstable();
        let mut text = format!("{}\n{}\n{}\n", self.method, path(self.path), query(self.query)).into_bytes();
        for name in &names {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(&value(self.headers, name));
            text.push(b'\n');
        }
        text.extend_from_slice(
            format!("\n{}\n{}", names.join(";"), hex(&Sha256::digest(self.body))).as_bytes(),
        );
        text
    }
}

/// The path without dot segments and doubled slashes, encoded once more than it was sent.
fn path(sent: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut text = String::from("/");
    for (at, segment) in segments.iter().enumerate() {
        if at > 0 {
            text.push('/');
        }
        text.extend(percent_encode(segment.as_bytes(), &UNRESERVED));
    }
    let folder = ["/", "/.", "/.."].iter().any(|end| sent.ends_with(end));
    if folder && !segments.is_empty() {
        text.push('/');
    }
    text
}

/// The pairs of a query, decoded. A plus sign is itself.
pub(super) fn query_pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn query(sent: &str) -> String {
    let encode = |bytes: &[u8]| percent_encode(bytes, &UNRESERVED).to_string();
    let mut pairs: Vec<(String, String)> =
        query_pairs(sent).iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// All values of a header, trimmed, with runs of spaces made one.
fn value(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for (at, value) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        for (at, word) in
            value.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty()).enumerate()
        {
            if at > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    text
}

/// The key of one day, Region and service.
pub(super) fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    [date, region, service, "aws4_request"].iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| {
        mac(&key, part).finalize().into_bytes().to_vec()
    })
}

/// Whether `signature` (hexadecimal) is that of the text, found out in constant time.
pub(super) fn agrees(key: &[u8], string_to_sign: &str, signature: &str) -> bool {
    let bytes: Option<Vec<u8>> = (signature.len() == 64 && signature.is_ascii())
        .then(|| (0..32).map(|at| u8::from_str_radix(&signature[2 * at..2 * at + 2], 16).ok()).collect())
        .flatten();
    bytes.is_some_and(|bytes| mac(key, string_to_sign).verify_slice(&bytes).is_ok())
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    // A key of exactly one block is the form that cannot be refused.
    let mut block = [0; 64];
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(text.as_bytes());
    mac
}
