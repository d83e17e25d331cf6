//! Who may call: Signature Version 4 with the one pair of keys that this start made up.

mod sigv4;

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::request::Parts;

use sigv4::{Canonical, signing_key};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How `X-Amz-Date` is written.
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The letters of base 32, five bits each.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A pair of keys. No `Debug`: the secret must not end up in a log.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Keys {
    /// Keys that nobody had before.
    pub(crate) fn fresh() -> Result<Self, getrandom::Error> {
        // The prefix tells them from keys that open something: scanners for leaked ones leave these alone.
        Ok(Self { id: format!("LOCAL{}", random_text::<15>()?), secret: random_text::<40>()? })
    }
}

fn random_text<const LENGTH: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// What a signature claims to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    access_key_id: String,
    date: String,
    region: String,
    pub(crate) service: String,
}

impl Scope {
    fn parse(credential: &str) -> Option<Self> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = parts[..] else { return None };
        let text = str::to_owned;
        Some(Self {
            access_key_id: text(access_key_id),
            date: text(date),
            region: text(region),
            service: text(service),
        })
    }

    /// The scope that a request names in its `Authorization` header or in its query, verified by nobody yet.
    pub(crate) fn claimed(parts: &Parts) -> Option<Self> {
        if let Some(authorization) = Authorization::of(&parts.headers) {
            return Some(authorization.scope);
        }
        let credential = sigv4::query_pairs(parts.uri.query()?)
            .into_iter()
            .find_map(|(name, value)| (name == b"X-Amz-Credential").then_some(value))?;
        Self::parse(std::str::from_utf8(&credential).ok()?)
    }
}

struct Authorization {
    scope: Scope,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = single(headers, "authorization")?.strip_prefix(ALGORITHM)?;
        let (mut scope, mut signed, mut signature) = (None, None, None);
        for field in text.split(',') {
            match field.trim().split_once('=')? {
                ("Credential", value) => scope = Some(Scope::parse(value)?),
                ("SignedHeaders", value) => signed = Some(value.split(';').map(str::to_owned).collect()),
                ("Signature", value) => signature = Some(value.to_owned()),
                _ => return None,
            }
        }
        Some(Self { scope: scope?, signed_headers: signed?, signature: signature? })
    }
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("Missing Authentication Token")]
    Unsigned,
    #[error("Authorization header requires {0}")]
    Incomplete(&'static str),
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - {minutes} min.)")]
    Expired { signed: String, earliest: String, now: String, minutes: i64 },
    #[error("Signature not yet current: {signed} is still later than {latest} ({now} + {minutes} min.)")]
    NotYet { signed: String, latest: String, now: String, minutes: i64 },
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl Refused {
    /// The name that the services which speak JSON give to it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unsigned => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired { .. } | Self::NotYet { .. } | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// Checks the signature of a request to a service other than S3, which signs its paths differently.
pub(crate) fn verify(
    keys: &Keys,
    parts: &Parts,
    body: &[u8],
    age: Duration,
    now: DateTime<Utc>,
) -> Result<(), Refused> {
    if !parts.headers.contains_key("authorization") {
        return Err(Refused::Unsigned);
    }
    let authorization = Authorization::of(&parts.headers)
        .ok_or(Refused::Incomplete("'Credential', 'SignedHeaders' and 'Signature' parameters."))?;
    let scope = &authorization.scope;
    if scope.access_key_id != keys.id {
        return Err(Refused::UnknownKey);
    }
    let date = single(&parts.headers, "x-amz-date")
        .ok_or(Refused::Incomplete("existence of either a 'X-Amz-Date' or a 'Date' header."))?;
    let signed_at = NaiveDateTime::parse_from_str(date, DATE_FORMAT)
        .map_err(|_| Refused::Incomplete("a valid 'X-Amz-Date' header."))?
        .and_utc();
    // What is not signed could be changed by whoever repeats the request.
    for needed in ["host", "x-amz-date"] {
        if !authorization.signed_headers.iter().any(|name| name == needed) {
            return Err(Refused::Incomplete("'host' and 'x-amz-date' among the signed headers."));
        }
    }
    if !date.starts_with(&scope.date) || scope.date.len() != 8 {
        return Err(Refused::Mismatch);
    }
    let canonical = Canonical {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        signed_headers: &authorization.signed_headers,
        body,
    };
    let key = signing_key(&keys.secret, &scope.date, &scope.region, &scope.service);
    let credential_scope = format!("{}/{}/{}/aws4_request", scope.date, scope.region, scope.service);
    let string_to_sign = format!("{ALGORITHM}\n{date}\n{credential_scope}\n{}", canonical.digest());
    if !sigv4::agrees(&key, &string_to_sign, &authorization.signature) {
        return Err(Refused::Mismatch);
    }
    check_age(signed_at, age, now)
}

fn check_age(signed_at: DateTime<Utc>, age: Duration, now: DateTime<Utc>) -> Result<(), Refused> {
    let allowed = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    let text = |at: DateTime<Utc>| at.format(DATE_FORMAT).to_string();
    let bound = |at: Option<DateTime<Utc>>| at.map(text).unwrap_or_default();
    let (signed, minutes) = (text(signed_at), allowed.num_minutes());
    // `X-Amz-Date` has whole seconds.
    let off = (now - signed_at).num_seconds();
    if off > allowed.num_seconds() {
        let earliest = bound(now.checked_sub_signed(allowed));
        return Err(Refused::Expired { signed, earliest, now: text(now), minutes });
    }
    if -off > allowed.num_seconds() {
        let latest = bound(now.checked_add_signed(allowed));
        return Err(Refused::NotYet { signed, latest, now: text(now), minutes });
    }
    Ok(())
}

/// The value of a header that must be there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
