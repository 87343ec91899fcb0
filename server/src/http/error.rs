//! Every domain error as a status and a body, in one place.

use api::{ApiResponse, ErrorType};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use promql::QueryError;
use storage::StorageError;

/// An error of `/api/v1`.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
}

pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        ApiError { kind, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        ApiError::new(ErrorType::BadData, message)
    }

    /// As Prometheus words it: `invalid parameter "step": …`.
    pub(crate) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        ApiError::new(ErrorType::Internal, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self.message, "a request failed");
        }
        let body = ApiResponse::<()>::Error {
            error_type: self.kind,
            error: self.message,
            warnings: Vec::new(),
            infos: Vec::new(),
        };
        json(status, &body)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Parse(error) => ApiError::parameter("query", error),
            QueryError::NotForRange(_) => ApiError::parameter("query", error),
            QueryError::Timeout(_) => ApiError::new(ErrorType::Timeout, error.to_string()),
            QueryError::Canceled => ApiError::new(ErrorType::Canceled, error.to_string()),
            QueryError::Storage(error) => ApiError::from(error),
            _ => ApiError::new(ErrorType::Execution, error.to_string()),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::BadMatcher(_) => ErrorType::BadData,
            StorageError::Unavailable { .. } => ErrorType::Unavailable,
            StorageError::TooLarge(_) => ErrorType::Execution,
            StorageError::Cancelled => ErrorType::Canceled,
            StorageError::Io { .. }
            | StorageError::Corrupt { .. }
            | StorageError::Remote(_)
            | StorageError::UnknownSeries => ErrorType::Internal,
        };
        ApiError::new(kind, error.to_string())
    }
}

/// Marks answers of this server itself.
const OWN_ANSWER: http::HeaderName = http::HeaderName::from_static("x-vigie");

/// A JSON answer.
pub(crate) fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        // The page takes a 502 to 504 without this header for an answer of somebody in between.
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json"), (OWN_ANSWER, "1")], bytes).into_response(),
        // Our own types always serialize; an answer is owed all the same.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `{"status":"success","data":…}`.
pub(crate) fn success<T: serde::Serialize>(data: T) -> Response {
    json(StatusCode::OK, &ApiResponse::success(data))
}

/// As [`success`], with warnings.
pub(crate) fn success_with<T: serde::Serialize>(data: T, warnings: Vec<String>) -> Response {
    json(StatusCode::OK, &ApiResponse::Success { data, warnings, infos: Vec::new() })
}

/// Marks answers that come from no route: pages of other origins need not read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// An answer to what is not there, or must not be done there.
pub(crate) fn refusal(status: StatusCode, body: &'static str) -> Response {
    let mut response = text(status, body);
    response.extensions_mut().insert(Refused);
    response
}

/// A plain text answer, as the lifecycle endpoints give it.
pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body.into()).into_response();
    if status.is_client_error() || status.is_server_error() {
        // A fault may quote what was sent; no browser should take it for a page.
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
