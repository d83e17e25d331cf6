//! From a request to the service it is signed for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode};

use crate::auth::{Keys, Refused, Scope, verify};
use crate::batch::Batch;

/// The largest body that Batch and the logs take, in bytes.
const LARGEST_CALL: usize = 1024 * 1024;

/// What answers, and for whom.
pub(super) struct Dispatch {
    pub(super) keys: Keys,
    pub(super) age: Duration,
    pub(super) s3: S3Service,
    pub(super) batch: Arc<Batch>,
}

/// The wire protocols spoken here; each has its own way to say what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    S3,
    Batch,
    Logs,
}

impl Protocol {
    fn of_service(service: &str) -> Option<Self> {
        match service {
            "s3" => Some(Self::S3),
            "batch" => Some(Self::Batch),
            "logs" => Some(Self::Logs),
            _ => None,
        }
    }

    /// What a request without a signature looks like.
    fn guess(parts: &Parts) -> Self {
        if parts.headers.contains_key("x-amz-target") {
            Self::Logs
        } else if parts.method == Method::POST && parts.uri.path().starts_with("/v1/") {
            Self::Batch
        } else {
            Self::S3
        }
    }
}

impl Dispatch {
    /// Answers one request; what goes wrong is an answer too.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.route(request).await;
        let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
        if let Ok(id) = id {
            let headers = response.headers_mut();
            for name in ["x-amz-request-id", "x-amzn-requestid"] {
                headers.entry(HeaderName::from_static(name)).or_insert_with(|| id.clone());
            }
        }
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        // A web page can make its own name lead to this machine, but not send another name's `Host`.
        if !Self::is_for_us(&request) {
            return plain(
                StatusCode::MISDIRECTED_REQUEST,
                "This server answers only to 127.0.0.1 and localhost.\n",
            );
        }
        let (parts, body) = request.into_parts();
        let Some(scope) = Scope::claimed(&parts) else {
            let malformed = parts.headers.contains_key(header::AUTHORIZATION);
            let refused = if malformed {
                Refused::Incomplete("Signature Version 4 (AWS4-HMAC-SHA256) with its parameters.")
            } else {
                Refused::Unsigned
            };
            return refuse(Protocol::guess(&parts), &refused);
        };
        match Protocol::of_service(&scope.service) {
            Some(Protocol::S3) => self.s3(Request::from_parts(parts, body)).await,
            Some(Protocol::Batch) => match self.read(Protocol::Batch, &parts, body).await {
                Ok(body) => {
                    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                    from_batch(self.batch.call(parts.method.as_str(), path, &body).await)
                }
                Err(refused) => *refused,
            },
            Some(Protocol::Logs) => match self.read(Protocol::Logs, &parts, body).await {
                Ok(body) => {
                    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
                    from_batch(self.batch.call_logs(target.unwrap_or_default(), &body).await)
                }
                Err(refused) => *refused,
            },
            None => json_error(
                StatusCode::NOT_FOUND,
                "UnknownServiceException",
                "Only s3, batch and logs are served here; the signature is for another service.",
            ),
        }
    }

    /// A loopback name, with any port or none: a page whose own name is made to lead here sends that name, whatever
    /// the port, while a tunnel or proxy on this machine sends its own port, which the signature covers.
    fn is_for_us(request: &Request<Incoming>) -> bool {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        host.is_some_and(is_loopback) && hosts.next().is_none() && authority.is_none_or(is_loopback)
    }

    async fn s3(&self, request: Request<Incoming>) -> Response<Body> {
        // Older ways to sign cannot be told apart once the request is in: only Version 4 dates what it signs.
        if has_version_2(&request) {
            return s3_error(
                S3ErrorCode::InvalidRequest,
                "Only Signature Version 4 (AWS4-HMAC-SHA256) is supported, in the header or the query.",
            );
        }
        match self.s3.call(with_content_hash(request).map(Body::from)).await {
            Ok(response) => escape_controls(response),
            Err(error) => {
                let error: s3s::StdError = error.into();
                s3_error(S3ErrorCode::InternalError, error.to_string())
            }
        }
    }

    /// The body of a call whose signature is right.
    async fn read(
        &self,
        protocol: Protocol,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Bytes, Box<Response<Body>>> {
        let body = match Limited::new(body, LARGEST_CALL).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Box::new(json_error(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "RequestEntityTooLargeException",
                    "The request is larger than 1 MiB.",
                )));
            }
            Err(_) => {
                let message = "The request ended before it was complete.";
                return Err(Box::new(json_error(StatusCode::BAD_REQUEST, "SerializationException", message)));
            }
        };
        match verify(&self.keys, parts, &body, self.age, Utc::now()) {
            Ok(()) => Ok(body),
            Err(refused) => Err(Box::new(refuse(protocol, &refused))),
        }
    }
}

fn is_loopback(name: &str) -> bool {
    let (host, port) = name.split_once(':').unwrap_or((name, "80"));
    matches!(host, "127.0.0.1" | "localhost")
        && port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

/// curl before 8 signs a request without a body over the hash of nothing, but does not send that hash. S3 refuses such
/// a request, and so would we; the signature covers the hash all the same, so it may as well be read.
fn with_content_hash(mut request: Request<Incoming>) -> Request<Incoming> {
    const OF_NOTHING: HeaderValue =
        HeaderValue::from_static("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let bodiless = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
    if bodiless && request.headers().contains_key(header::AUTHORIZATION) {
        request.headers_mut().entry("x-amz-content-sha256").or_insert(OF_NOTHING);
    }
    request
}

fn has_version_2(request: &Request<Incoming>) -> bool {
    let old_header = request
        .headers()
        .get_all(header::AUTHORIZATION)
        .iter()
        .any(|value| !value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
    let form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"multipart/form-data"));
    let names = request.uri().query().unwrap_or_default().split('&');
    let old_query = names.map(|pair| pair.split('=').next().unwrap_or_default()).any(|name| {
        matches!(
            &*percent_encoding::percent_decode_str(name).decode_utf8_lossy(),
            "Signature" | "AWSAccessKeyId"
        )
    });
    old_header || old_query || (form && request.method() == Method::POST)
}

/// Writes the control characters of an XML answer as references, as S3 does: a parser would take a carriage
/// return in a key for a line feed, and the key would no longer be found.
fn escape_controls(response: Response<Body>) -> Response<Body> {
    let xml = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/xml"));
    let control = |byte: &u8| *byte < b' ' && *byte != b'\n' && *byte != b'\t';
    let Some(text) = response.body().bytes().filter(|text| xml && text.iter().any(control)) else {
        return response;
    };
    let mut escaped = Vec::with_capacity(text.len() + 64);
    for byte in &text {
        if control(byte) {
            escaped.extend_from_slice(format!("&#{byte};").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Bytes::from(escaped)))
}

fn refuse(protocol: Protocol, refused: &Refused) -> Response<Body> {
    match protocol {
        Protocol::S3 => s3_error(S3ErrorCode::AccessDenied, refused.to_string()),
        Protocol::Batch | Protocol::Logs => {
            json_error(StatusCode::FORBIDDEN, refused.name(), &refused.to_string())
        }
    }
}

fn s3_error(code: S3ErrorCode, message: impl Into<std::borrow::Cow<'static, str>>) -> Response<Body> {
    let error = S3Error::with_message(code, message);
    error.to_http_response().unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, ""))
}

/// An error in the shape that both REST JSON (the header) and JSON 1.1 (the member) are read for.
fn json_error(status: StatusCode, name: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "__type": name, "message": message }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(name) = HeaderValue::from_str(name) {
        headers.insert(HeaderName::from_static("x-amzn-errortype"), name);
    }
    response
}

fn from_batch((status, said, body): crate::batch::Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::with_capacity(said.len());
    for (name, value) in said {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    *response.headers_mut() = headers;
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
