use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::*;

/// Finds nothing, as a laptop does on which nobody has signed in.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nobody has signed in")))
    }
}

impl Connection {
    pub(crate) fn without_credentials(self) -> Self {
        let sdk =
            self.sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(Nobody)).build();
        Self { sdk, ..self }
    }
}

fn local(url: &str) -> LocalEndpoint {
    LocalEndpoint {
        url: url.into(),
        region: "eu-west-1".into(),
        access_key_id: "AKID".into(),
        secret_access_key: "hidden".into(),
    }
}

#[tokio::test]
async fn a_url_without_a_scheme_is_refused() {
    let settings = Settings { endpoint_url: Some("127.0.0.1:4100".into()), ..Settings::default() };
    let error = connect(settings).await.err().unwrap();
    assert!(error.what.contains("127.0.0.1:4100"), "{error:?}");
    assert!(error.hint.unwrap().contains("http://"));
}

#[tokio::test]
async fn the_local_engine_is_another_endpoint_for_all_three_services() {
    let connection = connect(Settings { local: Some(local("http://127.0.0.1:4100")), ..Settings::default() });
    let connection = connection.await.unwrap();
    assert_eq!(connection.region(), "eu-west-1");
    for service in ["S3", "Batch", "CloudWatch Logs"] {
        assert_eq!(connection.endpoint(service), "http://127.0.0.1:4100");
    }
}

#[tokio::test]
async fn without_an_endpoint_the_region_names_the_place() {
    let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let connection = Connection { sdk, region: "ap-northeast-1".into() };
    assert_eq!(connection.endpoint("S3"), "S3 in ap-northeast-1");
}

#[test]
fn secrets_are_not_shown() {
    let shown =
        format!("{:?}", Settings { local: Some(local("http://127.0.0.1:4100")), ..Settings::default() });
    assert!(shown.contains("4100") && !shown.contains("hidden"), "{shown}");
}
