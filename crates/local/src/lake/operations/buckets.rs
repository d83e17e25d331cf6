//! Operations on buckets.

use std::sync::Arc;

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Result};

use super::super::Lake;
use super::super::intake::blocking;

pub(in super::super) async fn list(
    lake: &Arc<Lake>,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let lake = Arc::clone(lake);
    let prefix = request.input.prefix;
    let found = blocking(move || lake.buckets()).await?;
    let begins = |name: &str| prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix));
    let buckets = found.into_iter().filter(|(name, _)| begins(name)).map(|(name, created)| Bucket {
        name: Some(name),
        creation_date: Some(created.into()),
        bucket_region: None,
    });
    Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..ListBucketsOutput::default() })
}

pub(in super::super) async fn create(
    lake: &Arc<Lake>,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let lake = Arc::clone(lake);
    let location = format!("/{}", request.input.bucket);
    blocking(move || lake.create(&request.input.bucket)).await?;
    Ok(CreateBucketOutput { location: Some(location) })
}

pub(in super::super) async fn head(
    lake: &Arc<Lake>,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    let region = lake.region.clone();
    find(lake, request.input.bucket).await?;
    Ok(HeadBucketOutput { bucket_region: Some(region), ..HeadBucketOutput::default() })
}

pub(in super::super) async fn delete(
    lake: &Arc<Lake>,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    let lake = Arc::clone(lake);
    blocking(move || lake.delete(&request.input.bucket)).await?;
    Ok(DeleteBucketOutput {})
}

pub(in super::super) async fn location(
    lake: &Arc<Lake>,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    let region = lake.region.clone();
    find(lake, request.input.bucket).await?;
    // The oldest Region has no location constraint.
    let location_constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
    Ok(GetBucketLocationOutput { location_constraint })
}

/// Versions are not kept, and clients that ask are told so.
pub(in super::super) async fn versioning(
    lake: &Arc<Lake>,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    find(lake, request.input.bucket).await?;
    Ok(GetBucketVersioningOutput::default())
}

async fn find(lake: &Arc<Lake>, name: String) -> S3Result<()> {
    let lake = Arc::clone(lake);
    blocking(move || lake.bucket(&name).map(drop)).await
}
