//! ListObjects, old and new.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, Owner,
};
use s3s::{S3Request, S3Result, s3_error};

use super::super::Lake;
use super::super::bucket::Line;
use super::super::intake::blocking;
use super::super::listing::Query;

/// The most keys that one page has.
const LARGEST_PAGE: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const PLAIN: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

struct Found {
    contents: Vec<Object>,
    common_prefixes: Vec<CommonPrefix>,
    /// Where the next page goes on; absent: this was the last.
    next: Option<String>,
}

/// Percent-encodes what S3 says in a listing, if the client asked for it.
#[derive(Clone, Copy)]
struct Encoding(bool);

impl Encoding {
    fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some(EncodingType::URL) => Ok(Self(true)),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    fn text(self, text: String) -> String {
        if self.0 { utf8_percent_encode(&text, &PLAIN).to_string() } else { text }
    }

    fn option(self, text: Option<String>) -> Option<String> {
        text.map(|text| self.text(text))
    }
}

pub(in super::super) async fn list_v2(
    lake: &Arc<Lake>,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let max = page_size(input.max_keys)?;
    // A token is where the page before it ended; it outweighs `start-after`, which the client sends again.
    let after = match &input.continuation_token {
        Some(token) => Some(read_token(token)?),
        None => input.start_after.clone(),
    };
    let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), after, max);
    let mut found = find(lake, input.bucket.clone(), query, encoding).await?;
    if input.fetch_owner == Some(true) {
        for object in &mut found.contents {
            object.owner = Some(owner());
        }
    }
    let count = found.contents.len() + found.common_prefixes.len();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.unwrap_or_default())),
        delimiter: encoding.option(input.delimiter),
        start_after: encoding.option(input.start_after),
        max_keys: Some(max),
        key_count: Some(count as i32),
        continuation_token: input.continuation_token,
        is_truncated: Some(found.next.is_some()),
        next_continuation_token: found.next.map(|next| token(&next)),
        contents: Some(found.contents),
        common_prefixes: Some(found.common_prefixes),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub(in super::super) async fn list(
    lake: &Arc<Lake>,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let max = page_size(input.max_keys)?;
    let marker = input.marker.clone().filter(|marker| !marker.is_empty());
    let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), marker, max);
    let mut found = find(lake, input.bucket.clone(), query, encoding).await?;
    for object in &mut found.contents {
        object.owner = Some(owner());
    }
    let is_truncated = found.next.is_some();
    // S3 names the next marker only where the last key would not do.
    let next_marker = found.next.filter(|_| input.delimiter.is_some());
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.unwrap_or_default())),
        marker: Some(encoding.text(input.marker.unwrap_or_default())),
        delimiter: encoding.option(input.delimiter),
        max_keys: Some(max),
        is_truncated: Some(is_truncated),
        next_marker: encoding.option(next_marker),
        contents: Some(found.contents),
        common_prefixes: Some(found.common_prefixes),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

async fn find(lake: &Arc<Lake>, bucket: String, query: Query, encoding: Encoding) -> S3Result<Found> {
    let lake = Arc::clone(lake);
    let (lines, next) = blocking(move || lake.bucket(&bucket)?.list(&query)).await?;
    let mut found = Found { contents: Vec::new(), common_prefixes: Vec::new(), next };
    for line in lines {
        match line {
            Line::CommonPrefix(prefix) => {
                found.common_prefixes.push(CommonPrefix { prefix: Some(encoding.text(prefix)) });
            }
            Line::Object(key, object) => found.contents.push(Object {
                key: Some(encoding.text(key)),
                size: Some(object.stamp.size as i64),
                last_modified: Some(object.modified().into()),
                e_tag: Some(ETag::Strong(object.etag)),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Object::default()
            }),
        }
    }
    Ok(found)
}

fn query(prefix: Option<&String>, delimiter: Option<&String>, after: Option<String>, max: i32) -> Query {
    Query {
        prefix: prefix.cloned().unwrap_or_default(),
        delimiter: delimiter.cloned(),
        after,
        max: usize::try_from(max).unwrap_or_default(),
    }
}

fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => {
            Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        asked => Ok(asked.map_or(LARGEST_PAGE, |asked| asked.min(LARGEST_PAGE))),
    }
}

/// Opaque to clients, and plain text on the wire whatever the key.
fn token(next: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(next)
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn owner() -> Owner {
    Owner { display_name: Some("local".into()), id: Some("local".into()) }
}
