//! Errors as the service answers them.

use serde_json::json;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request is not what the service accepts; the text says why.
    #[error("{0}")]
    Client(String),
    /// The same, in the longer form in which the service reports what it finds while executing a request.
    #[error("error while executing the request: {0}")]
    Executing(String),
    /// The body is not the JSON of this operation.
    #[error("{0}")]
    Serialization(String),
    /// There is no such operation here.
    #[error("{0}")]
    UnknownOperation(String),
    /// The engine could not do what it should.
    #[error("{0}")]
    Server(String),
}

impl ApiError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Client(_) | Self::Executing(_) | Self::Serialization(_) => 400,
            Self::UnknownOperation(_) => 404,
            Self::Server(_) => 500,
        }
    }

    /// The value of `x-amzn-ErrorType`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Executing(_) => "ClientException",
            Self::Serialization(_) => "SerializationException",
            Self::UnknownOperation(_) => "UnknownOperationException",
            Self::Server(_) => "ServerException",
        }
    }

    /// The text that the client sees.
    pub fn message(&self, request_id: &str) -> String {
        match self {
            Self::Client(text)
            | Self::Serialization(text)
            | Self::UnknownOperation(text)
            | Self::Server(text) => text.clone(),
            Self::Executing(text) => {
                format!("Error executing request, Exception : {text}, RequestId: {request_id}")
            }
        }
    }

    /// The body of the answer.
    pub fn body(&self, request_id: &str) -> Vec<u8> {
        json!({ "message": self.message(request_id) }).to_string().into_bytes()
    }
}
