//! Credentials, Region and endpoints, found once.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;
use dayfill_engine::ports::{ErrorKind, PortError};

/// Time to reach a service.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for one request and its answer.
const ATTEMPT: Duration = Duration::from_mins(1);
/// Idle connections are dropped sooner than services close them, so that no request meets a dead one: a SubmitJob
/// that does has an unknown outcome.
const IDLE: Duration = Duration::from_secs(20);

/// Where to find AWS. What is left out is found as any AWS tool finds it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Such as `ap-northeast-1`.
    pub region: Option<String>,
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Another endpoint for all services.
    pub endpoint_url: Option<String>,
    /// The local engine instead of AWS; everything else here is then ignored.
    pub local: Option<LocalEndpoint>,
}

/// A running local engine.
#[derive(Clone)]
pub struct LocalEndpoint {
    /// Such as `http://127.0.0.1:4100`.
    pub url: String,
    /// The Region that it signs for.
    pub region: String,
    /// Its key.
    pub access_key_id: String,
    /// Its key's secret.
    pub secret_access_key: String,
}

impl fmt::Debug for LocalEndpoint {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEndpoint")
            .field("url", &self.url)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// How to reach S3, Batch and CloudWatch Logs.
#[derive(Clone)]
pub struct Connection {
    sdk: SdkConfig,
    region: String,
}

/// Finds credentials, Region and endpoints. Nothing is sent yet, so wrong credentials show at the first request.
pub async fn connect(settings: Settings) -> Result<Connection, PortError> {
    let url = settings.local.as_ref().map(|l| &l.url).or(settings.endpoint_url.as_ref());
    if let Some(url) = url.filter(|u| !u.starts_with("http://") && !u.starts_with("https://")) {
        return Err(PortError::new(ErrorKind::Other, format!("the endpoint URL `{url}` is no URL"))
            .hint("write it with its scheme, such as http://127.0.0.1:4100"));
    }
    let sdk = match settings.local {
        Some(local) => local_config(local),
        None => aws_sdk_config(settings).await,
    };
    let Some(region) = sdk.region().map(ToString::to_string) else {
        return Err(PortError::new(ErrorKind::Other, "no AWS Region is set")
            .hint("set `aws.region` in the YAML, AWS_REGION, or `region` in the profile"));
    };
    Ok(Connection { sdk, region })
}

async fn aws_sdk_config(settings: Settings) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .retry_config(retries())
        .timeout_config(timeouts());
    if let Ok(name) = AppName::new("dayfill") {
        loader = loader.app_name(name);
    }
    if let Some(region) = settings.region {
        loader = loader.region(Region::new(region));
    }
    if let Some(profile) = settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// The same with nothing read from the environment: a profile of the user's must not leak into the local engine. Its
/// clock is ours, so dates are never shifted; its signatures may live so short that a slow answer shifted them too far.
fn local_config(local: LocalEndpoint) -> SdkConfig {
    let keys = Credentials::new(local.access_key_id, local.secret_access_key, None, None, "local engine");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .retry_config(retries())
        .timeout_config(timeouts())
        .region(Region::new(local.region))
        .endpoint_url(local.url)
        .disable_clock_skew_correction(true)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// More attempts than the SDK's three, closer together: about eight seconds in all before a failure is told.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(5))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build()
}

impl Connection {
    /// The Region that requests go to.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where requests to Batch go, where that is not AWS's own endpoint in the Region.
    pub fn batch_url(&self) -> Option<String> {
        self.custom_endpoint("Batch")
    }

    pub(crate) fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.sdk.credentials_provider()
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let mut config = aws_sdk_s3::config::Builder::from(&self.sdk);
        // `bucket.127.0.0.1` is no name, and few servers beside AWS answer to `bucket.host`.
        config.set_force_path_style(self.custom_endpoint("S3").map(|_| true));
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub(crate) fn batch(&self) -> aws_sdk_batch::Client {
        aws_sdk_batch::Client::new(&self.sdk)
    }

    /// A client for SubmitJob, which has no client token: it sends every request once, and waits at most `timeout`.
    ///
    /// It signs by this machine's clock alone. The SDK would shift the date by what the last answer's `Date` seemed to
    /// say; where that answer was slow or wrong, the next signature would live for minutes longer than its intent
    /// allows for.
    pub(crate) fn batch_once(&self, timeout: Duration) -> aws_sdk_batch::Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(timeout).build();
        let config = aws_sdk_batch::config::Builder::from(&self.sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .disable_clock_skew_correction(true)
            .build();
        aws_sdk_batch::Client::from_conf(config)
    }

    pub(crate) fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.sdk)
    }

    /// Where requests to a service go, for messages.
    pub(crate) fn endpoint(&self, service: &str) -> String {
        self.custom_endpoint(service).unwrap_or_else(|| format!("{service} in {}", self.region))
    }

    /// The endpoint of a service (by its id in the SDK) where it is not AWS's own, by the SDK's own rules.
    fn custom_endpoint(&self, service: &str) -> Option<String> {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let explicit = self.sdk.get_origin("endpoint_url").is_client_config();
        let of_service = if explicit {
            None
        } else {
            self.sdk.service_config().zip(key.ok()).and_then(|(c, k)| c.load_config(k))
        };
        of_service.or_else(|| self.sdk.endpoint_url().map(ToOwned::to_owned))
    }
}

#[cfg(test)]
mod tests;
