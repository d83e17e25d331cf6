//! What went wrong, in one line: what was asked, what came back, and what to do.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dayfill_engine::ports::{ErrorKind, PortError};

/// A request, as far as its failure is to be explained.
pub(crate) struct Asked<'a> {
    /// Completes "cannot …": `list s3://bucket/prefix`.
    pub doing: String,
    /// The permission that it takes: `s3:ListBucket on arn:aws:s3:::bucket`.
    pub permission: String,
    /// Where it was sent.
    pub endpoint: &'a str,
    /// The Region that it was sent to.
    pub region: &'a str,
}

/// What to do without credentials, or with expired ones.
pub(crate) const SIGN_IN: &str = "sign in again (for example `aws sso login`) or set new keys, then run the same command again: nothing is lost, and jobs that were submitted go on";

/// Codes by which a service says that it refused a request before it did anything, because of who asked.
const EXPIRED: [&str; 4] =
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
const UNKNOWN_CALLER: [&str; 9] = [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "OptInRequired",
];
const BAD_SIGNATURE: [&str; 3] =
    ["SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed"];
const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "NotAuthorized", "AllAccessDisabled"];
/// Codes by which S3 says that a bucket is in another Region.
const ELSEWHERE: [&str; 3] =
    ["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];
const THROTTLED: [&str; 7] = [
    "TooManyRequestsException",
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
];

/// The service said "slower".
pub(crate) fn is_throttling(code: &str) -> bool {
    THROTTLED.contains(&code)
}

/// The service does not know who asks, or no longer: that has nothing to do with what was asked.
pub(crate) fn is_signed_out(code: &str) -> bool {
    EXPIRED.contains(&code) || UNKNOWN_CALLER.contains(&code)
}

/// The service refused the caller, so it did nothing.
pub(crate) fn refuses_caller(code: &str) -> bool {
    [&EXPIRED[..], &UNKNOWN_CALLER[..], &BAD_SIGNATURE[..], &DENIED[..]]
        .iter()
        .any(|codes| codes.contains(&code))
}

/// The error of a request as the engine knows errors.
pub(crate) fn port_error<E>(error: &SdkError<E, HttpResponse>, asked: &Asked<'_>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let cannot = |kind, said: String| PortError::new(kind, format!("cannot {}: {said}", asked.doing));
    match error {
        SdkError::ServiceError(e) => service_error(e.err(), e.raw(), asked),
        SdkError::TimeoutError(_) => {
            cannot(ErrorKind::Unreachable, format!("no answer from {} in time", asked.endpoint))
                .hint("run the same command again; if it stays so, check the network and the endpoint")
        }
        SdkError::ResponseError(e) => {
            let status = e.raw().status().as_u16();
            let said = format!("the answer of {} (HTTP {status}) cannot be read: {}", asked.endpoint, cause(error));
            cannot(ErrorKind::Other, said)
        }
        _ if find::<CredentialsError>(error).is_some() => {
            cannot(ErrorKind::Credentials, format!("no credentials: {}", cause(error)))
                .hint("sign in (for example `aws sso login`), name a profile as `aws.profile`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        }
        SdkError::DispatchFailure(e) if e.is_io() || e.is_timeout() => {
            cannot(ErrorKind::Unreachable, format!("nobody answers at {}: {}", asked.endpoint, cause(error)))
                .hint("check the network, the Region and the endpoint URL")
        }
        _ => cannot(ErrorKind::Other, cause(error)),
    }
}

fn service_error<E: ProvideErrorMetadata + Error + 'static>(
    error: &E,
    response: &HttpResponse,
    asked: &Asked<'_>,
) -> PortError {
    let status = response.status().as_u16();
    let code = error.code().unwrap_or_default();
    let cannot = |kind, said: String| PortError::new(kind, format!("cannot {}: {said}", asked.doing));
    let bucket_region = response.headers().get("x-amz-bucket-region").filter(|r| *r != asked.region);
    if code == "NoSuchBucket" {
        return cannot(ErrorKind::NotFound, "the bucket does not exist".to_owned())
            .hint("create the bucket, or correct its name in the YAML");
    }
    if let Some(region) = bucket_region.filter(|_| code.is_empty() || ELSEWHERE.contains(&code)) {
        return cannot(
            ErrorKind::Other,
            format!("the bucket is in Region {region}, not in {}", asked.region),
        )
        .hint(format!("set `aws.region: {region}` in the YAML, or AWS_REGION"));
    }
    let said = said(code, error.message(), status);
    let (kind, hint) = if let Some(hint) = caller_hint(code) {
        (ErrorKind::Credentials, Some(hint.to_owned()))
    } else if DENIED.contains(&code) || (code.is_empty() && status == 403) {
        (ErrorKind::Denied, Some(format!("these credentials need {}", asked.permission)))
    } else if is_throttling(code) || status == 429 {
        (ErrorKind::Throttled, Some("run the same command again in a minute: nothing is lost".to_owned()))
    } else if code == "InsufficientStorage" || status == 507 {
        (
            ErrorKind::Full,
            Some("make room there, then run the same command again: nothing is lost".to_owned()),
        )
    } else if status == 404 || (code == "ClientException" && names_nothing(error.message())) {
        (ErrorKind::NotFound, None)
    } else {
        (ErrorKind::Other, None)
    };
    let port = cannot(kind, said);
    match hint {
        Some(hint) => port.hint(hint),
        None => port,
    }
}

/// Batch has one code for all that a client may do wrong.
fn names_nothing(message: Option<&str>) -> bool {
    message.is_some_and(|m| m.contains("does not exist") || m.contains("not found"))
}

/// What to do where a service refuses the credentials themselves.
pub(crate) fn caller_hint(code: &str) -> Option<&'static str> {
    if EXPIRED.contains(&code) {
        Some(SIGN_IN)
    } else if code == "RequestTimeTooSkewed" {
        Some("set this machine's clock, then run the same command again")
    } else if BAD_SIGNATURE.contains(&code) {
        Some("check the secret key, and that this machine's clock is right")
    } else if UNKNOWN_CALLER.contains(&code) {
        Some("check AWS_ACCESS_KEY_ID, AWS_PROFILE and `aws.profile`: the service does not know these keys")
    } else {
        None
    }
}

/// Code and message of a service's answer.
pub(crate) fn said(code: &str, message: Option<&str>, status: u16) -> String {
    match (code, message.map(str::trim).filter(|m| !m.is_empty())) {
        ("", None) => format!("HTTP {status}"),
        ("", Some(message)) => format!("{message} (HTTP {status})"),
        (code, None) => format!("{code} (HTTP {status})"),
        (code, Some(message)) => format!("{message} ({code}, HTTP {status})"),
    }
}

/// The innermost error of a chain: the one that says what really happened.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The first error of this type in a chain.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
