//! Multipart uploads.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload,
    Part, StorageClass, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::super::Lake;
use super::super::bucket::{Draft, WriteCondition};
use super::super::checksums::{Expected, Sums, set_sums, sums_of};
use super::super::intake::{blocking, receive};
use super::super::key::Key;
use super::super::uploads::{Claim, Uploads};
use super::objects::{attributes_of, make_room};

/// The most parts that one page of ListParts has.
const LARGEST_PAGE: i32 = 1000;

pub(in super::super) async fn create(
    lake: &Arc<Lake>,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    let attributes = attributes_of!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    let lake = Arc::clone(lake);
    let name = input.bucket.clone();
    let upload =
        blocking(move || Uploads::new(lake.bucket(&name)?.uploads()).create(&key, attributes, algorithm))
            .await?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(in super::super) async fn put_part(
    lake: &Arc<Lake>,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    check_number(input.part_number)?;
    let (bucket, temp) = make_room(lake, &input.bucket).await?;
    let uploads = Uploads::new(bucket.uploads());
    let upload = uploads.get(&key, &input.upload_id)?;
    let expected = Expected::new(
        sums_of!(input),
        input.checksum_algorithm.as_ref(),
        &request.headers,
        request.trailing_headers,
    );
    let md5 = input.content_md5.as_deref();
    let received = receive(temp, input.body.take(), input.content_length, md5, expected).await?;
    let part = blocking(move || uploads.put_part(&upload, input.part_number, received)).await?;
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(part.etag)), ..UploadPartOutput::default() };
    set_sums!(output, &part.sums);
    Ok(output)
}

pub(in super::super) async fn complete(
    lake: &Arc<Lake>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    let condition = WriteCondition::new(input.if_match.take(), input.if_none_match.as_ref())?;
    let mut claims = Vec::new();
    for mut part in input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default() {
        let (Some(number), Some(etag)) = (part.part_number, part.e_tag.take()) else {
            return Err(s3_error!(MalformedXML, "every part needs its PartNumber and its ETag"));
        };
        claims.push(Claim { number, etag: etag.into_value(), sums: sums_of!(part) });
    }
    // A checksum of the checksums (`…-3`) is already held by those of the parts.
    let whole = |sum: Option<String>| sum.filter(|sum| !sum.contains('-'));
    let said = sums_of!(input);
    let said = Sums {
        crc32: whole(said.crc32),
        crc32c: whole(said.crc32c),
        crc64nvme: whole(said.crc64nvme),
        sha1: whole(said.sha1),
        sha256: whole(said.sha256),
    };
    let expected = Expected::new(said, None, &http::HeaderMap::new(), None);
    let lake = Arc::clone(lake);
    let (name, text) = (input.bucket.clone(), input.key.clone());
    let object = blocking(move || {
        let bucket = lake.bucket(&input.bucket)?;
        let uploads = Uploads::new(bucket.uploads());
        let upload = uploads.get(&key, &input.upload_id)?;
        let mut bytes = bucket.temp()?;
        let mut hasher = expected.hasher();
        let etag = uploads.join(&upload, &claims, &mut bytes, &mut hasher)?;
        let sums = expected.verify(hasher)?;
        let draft = Draft { bytes, etag, attributes: upload.attributes.clone(), sums };
        let object = bucket.write(&key, draft, &condition)?;
        uploads.remove(&upload)?;
        Ok(object)
    })
    .await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{name}/{text}")),
        bucket: Some(name),
        key: Some(text),
        e_tag: Some(ETag::Strong(object.etag)),
        ..CompleteMultipartUploadOutput::default()
    };
    set_sums!(output, &object.sums);
    Ok(output)
}

pub(in super::super) async fn abort(
    lake: &Arc<Lake>,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let key = Key::parse(&input.key)?;
    let lake = Arc::clone(lake);
    blocking(move || {
        let uploads = Uploads::new(lake.bucket(&input.bucket)?.uploads());
        let upload = uploads.get(&key, &input.upload_id)?;
        uploads.remove(&upload)
    })
    .await?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(in super::super) async fn list_parts(
    lake: &Arc<Lake>,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let key = Key::parse(&input.key)?;
    let max = input.max_parts.map_or(LARGEST_PAGE, |asked| asked.clamp(0, LARGEST_PAGE));
    let marker = input.part_number_marker.unwrap_or(0);
    let lake = Arc::clone(lake);
    let (name, id) = (input.bucket.clone(), input.upload_id.clone());
    let (upload, mut held) = blocking(move || {
        let uploads = Uploads::new(lake.bucket(&name)?.uploads());
        let upload = uploads.get(&key, &id)?;
        let held = uploads.parts(&upload)?;
        Ok((upload, held))
    })
    .await?;
    held.retain(|part| part.number > marker);
    let truncated = held.len() > usize::try_from(max).unwrap_or_default();
    held.truncate(usize::try_from(max).unwrap_or_default());
    let next = held.last().filter(|_| truncated).map(|part| part.number);
    let parts = held.into_iter().map(|held| {
        let mut part = Part {
            part_number: Some(held.number),
            e_tag: Some(ETag::Strong(held.etag)),
            size: Some(held.size as i64),
            last_modified: Some(held.modified.into()),
            ..Part::default()
        };
        set_sums!(part, &held.sums);
        part
    });
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: next,
        max_parts: Some(max),
        is_truncated: Some(truncated),
        parts: Some(parts.collect()),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    })
}

/// All uploads of the bucket under a prefix, on one page: a folder on one machine has few at a time.
pub(in super::super) async fn list(
    lake: &Arc<Lake>,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    if input.delimiter.is_some() || input.key_marker.is_some() || input.upload_id_marker.is_some() {
        return Err(s3_error!(NotImplemented, "uploads are listed without delimiter and markers here"));
    }
    let lake = Arc::clone(lake);
    let name = input.bucket.clone();
    let mut all = blocking(move || Uploads::new(lake.bucket(&name)?.uploads()).all()).await?;
    all.retain(|upload| input.prefix.as_deref().is_none_or(|prefix| upload.key.starts_with(prefix)));
    let uploads = all.into_iter().map(|upload| MultipartUpload {
        key: Some(upload.key),
        upload_id: Some(upload.id),
        initiated: Some(upload.initiated.into()),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
        ..MultipartUpload::default()
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        is_truncated: Some(false),
        uploads: Some(uploads.collect()),
        ..ListMultipartUploadsOutput::default()
    })
}

/// Parts are numbered from 1 to 10,000.
pub(super) fn check_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}
