//! `{"status":"success","data":…}` around every answer of `/api/v1`.

use serde::{Deserialize, Serialize};

/// Prometheus' error types, with the HTTP status each goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "canceled")]
    Canceled,
    #[serde(rename = "execution")]
    Execution,
    BadData,
    #[serde(rename = "internal")]
    Internal,
    #[serde(rename = "unavailable")]
    Unavailable,
    NotFound,
    NotAcceptable,
}

impl ErrorType {
    /// The HTTP status that Prometheus answers with.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorType::Timeout | ErrorType::Unavailable => 503,
            ErrorType::Canceled => 499,
            ErrorType::Execution => 422,
            ErrorType::BadData => 400,
            ErrorType::Internal => 500,
            ErrorType::NotFound => 404,
            ErrorType::NotAcceptable => 406,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ApiResponse<T> {
    Success {
        data: T,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        infos: Vec<String>,
    },
    Error {
        #[serde(rename = "errorType")]
        error_type: ErrorType,
        error: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        infos: Vec<String>,
    },
}

impl<T> ApiResponse<T> {
    pub fn success(data: T) -> Self {
        ApiResponse::Success { data, warnings: Vec::new(), infos: Vec::new() }
    }
}
