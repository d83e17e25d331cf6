//! The JSON of Batch's REST API: what requests and answers look like.

pub mod answers;
mod error;
pub mod requests;
pub mod shapes;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use error::ApiError;

/// Reads a request body. An empty one counts as an empty object, and a member that is null as absent.
pub fn parse(body: &[u8]) -> Result<Value, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let mut value: Value =
        serde_json::from_slice(body).map_err(|source| ApiError::Serialization(source.to_string()))?;
    if !value.is_object() {
        return Err(ApiError::Serialization("expected a JSON object".to_owned()));
    }
    drop_nulls(&mut value);
    Ok(value)
}

/// Reads the members of a request.
pub fn read<T: DeserializeOwned>(request: &Value) -> Result<T, ApiError> {
    T::deserialize(request).map_err(|source| ApiError::Serialization(source.to_string()))
}

/// Writes an answer.
pub fn write<T: Serialize>(answer: &T) -> Result<Value, ApiError> {
    serde_json::to_value(answer).map_err(|source| ApiError::Server(source.to_string()))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_are_absent_and_an_empty_body_is_an_empty_object() {
        assert_eq!(parse(b" ").unwrap(), json!({}));
        assert_eq!(parse(br#"{"a":null,"b":[null,{"c":null,"d":1}]}"#).unwrap(), json!({"b":[{"d":1}]}));
    }

    #[test]
    fn what_is_no_object_is_a_serialization_error() {
        for body in ["[1]", "{", "\"x\""] {
            assert!(matches!(parse(body.as_bytes()), Err(ApiError::Serialization(_))), "{body}");
        }
    }
}
