//! Copies from object to object.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::SystemTime;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective,
    UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::super::Lake;
use super::super::bucket::{Bucket, Draft, Object as Found, WriteCondition, hex};
use super::super::checksums::Sums;
use super::super::error::{from_io, precondition_failed};
use super::super::intake::{Received, blocking};
use super::super::key::Key;
use super::super::read::{ReadConditions, Verdict, copy_range};
use super::super::temp::Temp;
use super::super::uploads::Uploads;
use super::objects::attributes_of;

pub(in super::super) async fn copy(
    lake: &Arc<Lake>,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let replace =
        input.metadata_directive.as_ref().is_some_and(|said| said.as_str() == MetadataDirective::REPLACE);
    if !replace && from_bucket == input.bucket && from_key == key {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata."
        ));
    }
    let conditions = ReadConditions {
        matches: input.copy_source_if_match.take(),
        none_match: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let said = attributes_of!(input);
    let lake = Arc::clone(lake);
    let object = blocking(move || {
        let bucket = lake.bucket(&input.bucket)?;
        let (mut file, found) = open(&*lake.bucket(&from_bucket)?, &from_key, &conditions)?;
        let (bytes, _, etag) = transfer(&mut file, bucket.temp()?)?;
        let attributes = if replace { said } else { found.attributes };
        let draft = Draft { bytes, etag, attributes, sums: Sums::default() };
        bucket.write(&key, draft, &WriteCondition::Always)
    })
    .await?;
    let result = CopyObjectResult {
        last_modified: Some(object.modified().into()),
        e_tag: Some(ETag::Strong(object.etag)),
        ..CopyObjectResult::default()
    };
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
}

pub(in super::super) async fn copy_part(
    lake: &Arc<Lake>,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let mut input = request.input;
    let key = Key::parse(&input.key)?;
    super::multipart::check_number(input.part_number)?;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let conditions = ReadConditions {
        matches: input.copy_source_if_match.take(),
        none_match: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let lake = Arc::clone(lake);
    let part = blocking(move || {
        let bucket = lake.bucket(&input.bucket)?;
        let uploads = Uploads::new(bucket.uploads());
        let upload = uploads.get(&key, &input.upload_id)?;
        let (mut file, found) = open(&*lake.bucket(&from_bucket)?, &from_key, &conditions)?;
        let size = found.stamp.size;
        let range = input.copy_source_range.as_deref().map(|text| copy_range(text, size)).transpose()?;
        let (start, end) = range.unwrap_or((0, size));
        file.seek(SeekFrom::Start(start)).map_err(from_io)?;
        let (bytes, size, md5) = transfer(&mut file.take(end - start), bucket.temp()?)?;
        uploads.put_part(&upload, input.part_number, Received { bytes, size, md5, sums: Sums::default() })
    })
    .await?;
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(SystemTime::now().into()),
        ..CopyPartResult::default()
    };
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
}

fn source(source: &CopySource) -> S3Result<(String, Key)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket.to_string(), Key::parse(key)?)),
        _ => Err(s3_error!(NotImplemented, "only an object of a bucket, without a version, can be copied")),
    }
}

fn open(bucket: &Bucket, key: &Key, conditions: &ReadConditions) -> S3Result<(File, Found)> {
    let (file, found) = bucket.read(key)?;
    if conditions.check(&found)? == Verdict::NotModified {
        return Err(precondition_failed());
    }
    Ok((file, found))
}

/// Copies the bytes; gives them with their number and MD5.
fn transfer(from: &mut impl Read, mut temp: Temp) -> S3Result<(Temp, u64, String)> {
    let mut md5 = Md5::new();
    let mut size = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut buffer).map_err(from_io)?;
        if read == 0 {
            return Ok((temp, size, hex(&md5.finalize())));
        }
        md5.update(&buffer[..read]);
        std::io::Write::write_all(temp.file(), &buffer[..read]).map_err(from_io)?;
        size += read as u64;
    }
}
