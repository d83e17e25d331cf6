//! What only `dayfill doctor` asks: which credentials there are, and what time a service has.

use aws_credential_types::provider::ProvideCredentials;
use chrono::{DateTime, Utc};
use dayfill_engine::ports::{ErrorKind, PortError};

use crate::connection::Connection;
use crate::error::cause;
use crate::headers::ServiceClock;

/// Finds the credentials that requests are signed with, and returns their access key id, which is no secret. Nothing
/// is asked of the services themselves, so they may still refuse them.
pub async fn credentials(connection: &Connection) -> Result<String, PortError> {
    let missing = |why: String| {
        PortError::new(ErrorKind::Credentials, format!("no credentials: {why}")).hint(
            "sign in (for example `aws sso login`), name a profile as `aws.profile`, or set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY",
        )
    };
    let provider =
        connection.credentials().ok_or_else(|| missing("nothing says where to find any".to_owned()))?;
    let found = provider.provide_credentials().await.map_err(|e| missing(cause(&e)))?;
    Ok(found.access_key_id().to_owned())
}

/// What S3's clock shows, from whatever it answers to a listing of this bucket: a refusal tells the time as well.
/// Nothing where it does not answer.
pub async fn service_time(connection: &Connection, bucket: &str) -> Option<DateTime<Utc>> {
    let clock = ServiceClock::default();
    let list = connection.s3().list_objects_v2().bucket(bucket).max_keys(1);
    // What it says about the bucket is told elsewhere; here only its date counts.
    let _ = list.customize().interceptor(clock.clone()).send().await;
    clock.read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reply, Server, connection_to};

    #[tokio::test]
    async fn a_refusal_tells_the_time_as_well() {
        let date = "Thu, 04 Oct 2018 05:06:07 GMT";
        for status in [200, 403] {
            let server = Server::start(move |_, _| {
                let body = "<ListBucketResult></ListBucketResult>".to_owned();
                Reply::Http(status, vec![("date", date.into())], body)
            })
            .await;
            let time = service_time(&server.connection().await, "logs").await.unwrap();
            assert_eq!(time, DateTime::parse_from_rfc2822(date).unwrap());
        }
        let silent = Server::start(|_, _| Reply::xml(403, "")).await;
        assert_eq!(service_time(&silent.connection().await, "logs").await, None);
    }

    #[tokio::test]
    async fn credentials_are_found_without_asking_anybody() {
        // Port 1 is reserved, and nobody listens there.
        let connection = connection_to("http://127.0.0.1:1").await;
        assert_eq!(credentials(&connection).await.unwrap(), "AKID");
    }
}
