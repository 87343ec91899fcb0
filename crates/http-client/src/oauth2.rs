//! OAuth 2.0 client credentials (RFC 6749 §4.4): one token, kept until shortly before it expires.

use crate::client::{basic, secret};
use crate::{HttpClient, HttpClientConfig, HttpClientError, OAuth2, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed so long before it expires, for requests on their way.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Tokens with many claims reach some kilobytes.
const TOKEN_RESPONSE_BYTES_MAX: usize = 1 << 20;

/// All but the characters that RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) struct TokenSource {
    config: OAuth2,
    client: HttpClient,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    header: String,
    expires: Option<Instant>,
}

#[derive(serde::Deserialize)]
struct TokenResponse {
    access_token: Option<String>,
    token_type: Option<String>,
    /// Seconds; some servers send it as text.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl TokenSource {
    pub(crate) fn new(config: &OAuth2) -> Result<Self, HttpClientError> {
        let client = HttpClient::new(&HttpClientConfig {
            tls_config: config.tls_config.clone(),
            proxy_url: config.proxy_url.clone(),
            no_proxy: config.no_proxy.clone(),
            proxy_from_environment: Some(config.proxy_from_environment),
            proxy_connect_header: config.proxy_connect_header.clone(),
            ..HttpClientConfig::default()
        })?;
        Ok(TokenSource { config: config.clone(), client, token: Mutex::new(None) })
    }

    pub(crate) fn forget(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The value of the `Authorization` header.
    pub(crate) async fn authorization(&self) -> Result<String, HttpClientError> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = known
            && token.expires.is_none_or(|expires| Instant::now() + EXPIRY_MARGIN < expires)
        {
            return Ok(token.header);
        }
        let token = Box::pin(self.fetch()).await?;
        let header = token.header.clone();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(header)
    }

    async fn fetch(&self) -> Result<Token, HttpClientError> {
        let config = &self.config;
        let client_secret =
            secret(config.client_secret.as_ref(), config.client_secret_file.as_deref()).await?.unwrap_or_default();
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        if !config.scopes.is_empty() {
            form.push(("scope", config.scopes.join(" ")));
        }
        for (name, value) in &config.endpoint_params {
            form.push((name, value.clone()));
        }
        // RFC 6749 §2.3.1 wants the credentials in a header; servers that do not know it take them in the form.
        let header = basic(&encode(&config.client_id), &encode(&client_secret));
        let by_header = self.post(&form, Some(header)).await?;
        let response = if (400..500).contains(&by_header.status) {
            form.push(("client_id", config.client_id.clone()));
            form.push(("client_secret", client_secret));
            self.post(&form, None).await?
        } else {
            by_header
        };
        let body = response.decoded(TOKEN_RESPONSE_BYTES_MAX)?;
        let parsed = serde_json::from_slice::<TokenResponse>(&body);
        let token = match parsed {
            Ok(TokenResponse { access_token: Some(token), token_type, expires_in, .. }) if response.is_success() => {
                let token_type = token_type.filter(|t| !t.is_empty() && !t.eq_ignore_ascii_case("bearer"));
                let seconds = expires_in.and_then(|value| match value {
                    serde_json::Value::String(text) => text.parse().ok(),
                    other => other.as_u64(),
                });
                Token {
                    header: format!("{} {token}", token_type.as_deref().unwrap_or("Bearer")),
                    expires: seconds
                        .filter(|s| *s > 0)
                        .and_then(|s| Instant::now().checked_add(Duration::from_secs(s))),
                }
            }
            Ok(TokenResponse { error: Some(error), error_description, .. }) => {
                let description = error_description.map(|text| format!(": {text}")).unwrap_or_default();
                return Err(HttpClientError::OAuth2(format!("{} answered {error:?}{description}", config.token_url)));
            }
            _ => {
                let status = response.status_text();
                return Err(HttpClientError::OAuth2(format!("{} answered {status} without a token", config.token_url)));
            }
        };
        Ok(token)
    }

    async fn post(
        &self,
        form: &[(&str, String)],
        authorization: Option<String>,
    ) -> Result<crate::Response, HttpClientError> {
        let body = form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>();
        let mut request = Request::post(
            &self.config.token_url,
            "application/x-www-form-urlencoded",
            body.join("&"),
            TOKEN_TIMEOUT,
            TOKEN_RESPONSE_BYTES_MAX,
        );
        if let Some(value) = authorization {
            request.headers.push(("Authorization".into(), value));
        }
        self.client.send(request).await
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
