//! Listing a bucket.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, Object};
use chrono::{DateTime, Utc};
use dayfill_engine::ports::{ErrorKind, ListedObject, Page, PageRequest, PortError, Source};
use percent_encoding::percent_decode_str;

use crate::connection::Connection;
use crate::error::{Asked, port_error};

/// The keys of one bucket.
#[derive(Clone)]
pub struct S3Source {
    client: Client,
    bucket: String,
    endpoint: String,
    region: String,
}

impl S3Source {
    /// The keys of `bucket`.
    pub fn new(connection: &Connection, bucket: impl Into<String>) -> Self {
        Self {
            client: connection.s3(),
            bucket: bucket.into(),
            endpoint: connection.endpoint("S3"),
            region: connection.region().to_owned(),
        }
    }

    fn asked(&self, prefix: &str) -> Asked<'_> {
        Asked {
            doing: format!("list s3://{}/{prefix}", self.bucket),
            permission: format!("s3:ListBucket on arn:aws:s3:::{}", self.bucket),
            endpoint: &self.endpoint,
            region: &self.region,
        }
    }
}

#[async_trait]
impl Source for S3Source {
    async fn page(&self, request: PageRequest<'_>) -> Result<Page, PortError> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(request.prefix)
            .set_delimiter(request.folders.then(|| "/".to_owned()))
            .set_continuation_token(request.token.map(ToOwned::to_owned))
            .max_keys(1000)
            // XML cannot carry every character that a key can.
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|e| port_error(&e, &self.asked(request.prefix)))?;
        let encoded = listed.encoding_type() == Some(&EncodingType::Url);
        let unreadable = |what: &str| {
            let what = format!("cannot {}: {what}", self.asked(request.prefix).doing);
            PortError::new(ErrorKind::Other, what)
        };
        let mut page = Page::default();
        for object in listed.contents() {
            page.objects.push(listed_object(object, encoded).map_err(|e| unreadable(&e))?);
        }
        for prefix in listed.common_prefixes() {
            let prefix = prefix.prefix().ok_or_else(|| unreadable("a common prefix without a name"))?;
            page.prefixes.push(decoded(prefix, encoded).map_err(|e| unreadable(&e))?);
        }
        if listed.is_truncated() == Some(true) {
            let next =
                listed.next_continuation_token().ok_or_else(|| unreadable("the listing breaks off"))?;
            page.next = Some(next.to_owned());
        }
        Ok(page)
    }
}

fn listed_object(object: &Object, encoded: bool) -> Result<ListedObject, String> {
    let key = decoded(object.key().ok_or("an object without a key")?, encoded)?;
    let size =
        object.size().and_then(|s| u64::try_from(s).ok()).ok_or_else(|| format!("no size for {key}"))?;
    let modified = object.last_modified().and_then(timestamp).ok_or_else(|| format!("no date for {key}"))?;
    Ok(ListedObject { key, size, etag: object.e_tag().unwrap_or_default().to_owned(), modified })
}

/// Undoes `encoding-type=url`, in which a space is a `+`.
pub(crate) fn decoded(key: &str, encoded: bool) -> Result<String, String> {
    if !encoded {
        return Ok(key.to_owned());
    }
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(key) => Ok(key.into_owned()),
        Err(_) => Err(format!("the key {key} is not UTF-8")),
    }
}

/// A moment as the SDK tells it.
pub(crate) fn timestamp(at: &aws_smithy_types::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}

#[cfg(test)]
mod tests;
