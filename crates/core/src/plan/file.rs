//! The file of a plan, and the digest that is its name.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Plan, SCHEMA_VERSION};
use crate::hex::hex;

/// The digest of a plan: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// All digits; a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A `plan.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Not JSON, or not a plan.
    #[error("it is not a plan file of dayfill")]
    NotAPlan(#[source] serde_json::Error),
    /// Written by a newer program.
    #[error(
        "its schema version is {0}, and this program knows {SCHEMA_VERSION}: use the dayfill that made it, or plan again"
    )]
    Newer(u64),
    /// Edited after it was made.
    #[error("its content does not match its digest: it was edited; change the YAML and plan again instead")]
    Edited,
}

#[derive(Serialize)]
struct PlanFile<'a> {
    digest: PlanDigest,
    #[serde(flatten)]
    plan: &'a Plan,
}

impl Plan {
    /// The digest of all that the plan says.
    pub fn digest(&self) -> PlanDigest {
        // A plan is made of types that always serialize; an empty text would fail the comparison, never pass it.
        let text = serde_json::to_vec(self).unwrap_or_default();
        PlanDigest(hex(&Sha256::digest(&text)))
    }

    /// The text of `plan.json`.
    pub fn to_json(&self) -> String {
        let file = PlanFile { digest: self.digest(), plan: self };
        let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a `plan.json`.
    pub fn from_json(text: &str) -> Result<Self, PlanFileError> {
        let mut value: serde_json::Value = serde_json::from_str(text).map_err(PlanFileError::NotAPlan)?;
        let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
        if let Some(version) = version
            && version > u64::from(SCHEMA_VERSION)
        {
            return Err(PlanFileError::Newer(version));
        }
        let digest = value.as_object_mut().and_then(|o| o.remove("digest"));
        let plan: Self = serde_json::from_value(value).map_err(PlanFileError::NotAPlan)?;
        match digest {
            Some(serde_json::Value::String(d)) if d == plan.digest().as_str() => Ok(plan),
            _ => Err(PlanFileError::Edited),
        }
    }
}
