//! Requests of the object storage library over our own HTTP client: one TLS, one proxy, one set of limits.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use http_client::{HttpClient, HttpClientError, Request};
use object_store::{
    ClientOptions,
    client::{HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService},
};
use std::{convert::Infallible, time::Duration};

/// For a part of a block and for what answers to it.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Lists and descriptions of blocks are what we read.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

#[derive(Clone)]
pub(crate) struct Connector(pub(crate) HttpClient);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<object_store::client::HttpClient> {
        Ok(object_store::client::HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
        let request = Request {
            method: parts.method,
            url: parts.uri.to_string(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body,
            timeout: TIMEOUT,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        let response = self.0.send(request).await.map_err(|error| HttpError::new(kind(&error), error))?;
        let mut builder = http::Response::builder().status(response.status);
        if let Some(headers) = builder.headers_mut() {
            *headers = response.headers;
        }
        let body: Full<Bytes> = Full::new(response.body);
        builder
            .body(HttpResponseBody::new(body.map_err(|never: Infallible| -> HttpError { match never {} })))
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}

/// Whether the library may try again at once.
fn kind(error: &HttpClientError) -> HttpErrorKind {
    match error {
        HttpClientError::Timeout(_) => HttpErrorKind::Timeout,
        error if error.is_retryable() => HttpErrorKind::Connect,
        _ => HttpErrorKind::Unknown,
    }
}
