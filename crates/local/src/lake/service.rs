//! The service that the server forwards requests for S3 to.

use std::sync::Arc;
use std::time::Duration;

use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::Lake;
use super::operations::{buckets, copies, listings, multipart, objects};

/// The S3 API over `lake`, for whoever signs with this key; a signature may be `age` old.
pub(crate) fn service(lake: Lake, access_key_id: &str, secret: &str, age: Duration) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Api(Arc::new(lake)));
    builder.set_auth(OneKey { id: access_key_id.to_owned(), secret: secret.into() });
    let mut config = S3Config::default();
    // The library's name for it is narrower than its use: header signatures are held to it too.
    config.presigned_url_max_skew_time_secs = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

struct OneKey {
    id: String,
    secret: SecretKey,
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.id {
            return Ok(self.secret.clone());
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records."
        ))
    }
}

struct Api(Arc<Lake>);

/// Forwards each operation to the function that performs it.
macro_rules! forward {
    ($($name:ident($input:ty) -> $output:ty = $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                Ok(S3Response::new($function(&self.0, request).await?))
            })*
        }
    };
}

forward! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = buckets::versioning;
    list_objects(ListObjectsInput) -> ListObjectsOutput = listings::list;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = listings::list_v2;
    get_object(GetObjectInput) -> GetObjectOutput = objects::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = objects::head;
    put_object(PutObjectInput) -> PutObjectOutput = objects::put;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = objects::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = objects::delete_many;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copies::copy;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copies::copy_part;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::put_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput
        = multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = multipart::list_parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = multipart::list;
}
