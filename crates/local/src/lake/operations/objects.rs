//! Operations on single objects.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    ETagCondition, Error, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata,
    PutObjectInput, PutObjectOutput, Range, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::super::Lake;
use super::super::bucket::{Bucket, Draft, Object as Found, WriteCondition};
use super::super::checksums::{Expected, set_sums, sums_of};
use super::super::error::{from_io, no_such_key};
use super::super::intake::{blocking, receive};
use super::super::key::Key;
use super::super::read::{FileStream, ReadConditions, Verdict};
use super::super::records::Attributes;
use super::super::temp::Temp;

/// The content type of an object that was given none.
const BINARY: &str = "binary/octet-stream";

/// The most keys that one DeleteObjects takes.
const MOST_DELETES: usize = 1000;

/// Copies the headers that an object keeps from a request to put it.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::lake::records::Attributes {
            content_type: $input.content_type.take(),
            content_encoding: $input.content_encoding.take(),
            content_disposition: $input.content_disposition.take(),
            content_language: $input.content_language.take(),
            cache_control: $input.cache_control.take(),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(super) use attributes_of;

pub(in super::super) async fn put(
    lake: &Arc<Lake>,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    let condition = WriteCondition::new(input.if_match.take(), input.if_none_match.as_ref())?;
    let (bucket, temp) = make_room(lake, &input.bucket).await?;
    let expected = Expected::new(
        sums_of!(input),
        input.checksum_algorithm.as_ref(),
        &request.headers,
        request.trailing_headers,
    );
    let body = input.body.take();
    let received = receive(temp, body, input.content_length, input.content_md5.as_deref(), expected).await?;
    let attributes = attributes_of!(input);
    let draft = Draft { bytes: received.bytes, etag: received.md5, attributes, sums: received.sums };
    let object = blocking(move || bucket.write(&key, draft, &condition)).await?;
    let mut output = PutObjectOutput { e_tag: Some(ETag::Strong(object.etag)), ..PutObjectOutput::default() };
    set_sums!(output, &object.sums);
    Ok(output)
}

pub(in super::super) async fn get(
    lake: &Arc<Lake>,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    no_version(input.version_id.as_deref())?;
    no_part(input.part_number)?;
    let conditions = ReadConditions {
        matches: input.if_match.take(),
        none_match: input.if_none_match.take(),
        modified_since: input.if_modified_since.take(),
        unmodified_since: input.if_unmodified_since.take(),
    };
    let lake = Arc::clone(lake);
    let (file, object, range) = blocking(move || {
        let (mut file, object) = lake.bucket(&input.bucket)?.read(&key)?;
        send(&conditions, &object)?;
        let range = input.range.map(|range| satisfy(range, object.stamp.size)).transpose()?;
        if let Some((start, _)) = range {
            file.seek(SeekFrom::Start(start)).map_err(from_io)?;
        }
        Ok((file, object, range))
    })
    .await?;
    let size = object.stamp.size;
    let (start, end) = range.unwrap_or((0, size));
    let mut output = GetObjectOutput {
        body: Some(StreamingBlob::wrap(FileStream::new(file, end - start))),
        content_length: Some((end - start) as i64),
        content_range: range.map(|(start, end)| format!("bytes {start}-{}/{size}", end - 1)),
        accept_ranges: Some("bytes".into()),
        last_modified: Some(object.modified().into()),
        e_tag: Some(ETag::Strong(object.etag)),
        metadata: metadata(&object.attributes),
        content_type: Some(object.attributes.content_type.unwrap_or_else(|| BINARY.into())),
        content_encoding: object.attributes.content_encoding,
        content_disposition: object.attributes.content_disposition,
        content_language: object.attributes.content_language,
        cache_control: object.attributes.cache_control,
        ..GetObjectOutput::default()
    };
    // A checksum of the whole says nothing about a part of it.
    if range.is_none() && input.checksum_mode.is_some() {
        set_sums!(output, &object.sums);
    }
    Ok(output)
}

pub(in super::super) async fn head(
    lake: &Arc<Lake>,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    no_version(input.version_id.as_deref())?;
    no_part(input.part_number)?;
    let conditions = ReadConditions {
        matches: input.if_match.take(),
        none_match: input.if_none_match.take(),
        modified_since: input.if_modified_since.take(),
        unmodified_since: input.if_unmodified_since.take(),
    };
    let lake = Arc::clone(lake);
    let object = blocking(move || lake.bucket(&input.bucket)?.find(&key)?.ok_or_else(no_such_key)).await?;
    send(&conditions, &object)?;
    let size = object.stamp.size;
    let range = input.range.map(|range| satisfy(range, size)).transpose()?;
    let (start, end) = range.unwrap_or((0, size));
    let mut output = HeadObjectOutput {
        content_length: Some((end - start) as i64),
        content_range: range.map(|(start, end)| format!("bytes {start}-{}/{size}", end - 1)),
        accept_ranges: Some("bytes".into()),
        last_modified: Some(object.modified().into()),
        e_tag: Some(ETag::Strong(object.etag)),
        metadata: metadata(&object.attributes),
        content_type: Some(object.attributes.content_type.unwrap_or_else(|| BINARY.into())),
        content_encoding: object.attributes.content_encoding,
        content_disposition: object.attributes.content_disposition,
        content_language: object.attributes.content_language,
        cache_control: object.attributes.cache_control,
        ..HeadObjectOutput::default()
    };
    if range.is_none() && input.checksum_mode.is_some() {
        set_sums!(output, &object.sums);
    }
    Ok(output)
}

pub(in super::super) async fn delete(
    lake: &Arc<Lake>,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    no_version(input.version_id.as_deref())?;
    let condition = WriteCondition::new(input.if_match.take(), None)?;
    let lake = Arc::clone(lake);
    blocking(move || lake.bucket(&input.bucket)?.delete(&key, &condition)).await?;
    Ok(DeleteObjectOutput::default())
}

pub(in super::super) async fn delete_many(
    lake: &Arc<Lake>,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let input = request.input;
    let quiet = input.delete.quiet == Some(true);
    if input.delete.objects.is_empty() || input.delete.objects.len() > MOST_DELETES {
        return Err(s3_error!(MalformedXML, "a request deletes 1 to 1000 keys"));
    }
    let lake = Arc::clone(lake);
    blocking(move || {
        let bucket = lake.bucket(&input.bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for named in input.delete.objects {
            let condition = WriteCondition::new(named.e_tag.clone().map(ETagCondition::ETag), None)?;
            let done = no_version(named.version_id.as_deref())
                .and_then(|()| Ok(Key::parse(&named.key)?))
                .and_then(|key| bucket.delete(&key, &condition));
            match done {
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(named.key), ..DeletedObject::default() });
                }
                Err(error) => errors.push(Error {
                    key: Some(named.key),
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        let deleted = (!quiet).then_some(deleted);
        Ok(DeleteObjectsOutput { deleted, errors: Some(errors), request_charged: None })
    })
    .await
}

/// A bucket, and a temporary file in it for what comes in.
pub(super) async fn make_room(lake: &Arc<Lake>, bucket: &str) -> S3Result<(Arc<Bucket>, Temp)> {
    let lake = Arc::clone(lake);
    let name = bucket.to_owned();
    blocking(move || {
        let bucket = lake.bucket(&name)?;
        let temp = bucket.temp()?;
        Ok((bucket, temp))
    })
    .await
}

/// Refuses what the conditions do not let through: 304 or 412.
fn send(conditions: &ReadConditions, object: &Found) -> S3Result<()> {
    if conditions.check(object)? == Verdict::Send {
        return Ok(());
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
        headers.insert(header::ETAG, value);
    }
    error.set_headers(headers);
    Err(error)
}

fn satisfy(range: Range, size: u64) -> S3Result<(u64, u64)> {
    match range.check(size) {
        Ok(range) if range.start < range.end => Ok((range.start, range.end)),
        _ => Err(s3_error!(InvalidRange, "The requested range is not satisfiable")),
    }
}

fn metadata(attributes: &Attributes) -> Option<Metadata> {
    (!attributes.metadata.is_empty()).then(|| attributes.metadata.clone().into_iter().collect())
}

/// Versions are not kept; `null` is the version of every object of a bucket without them.
fn no_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}

/// Where the parts of an upload met is not kept: the whole is part 1.
fn no_part(number: Option<i32>) -> S3Result<()> {
    match number {
        None | Some(1) => Ok(()),
        Some(_) => Err(s3_error!(InvalidRange, "The requested partnumber is not satisfiable")),
    }
}
