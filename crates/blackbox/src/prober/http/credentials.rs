//! Who we say we are: `basic_auth`, `authorization`, `bearer_token`, `oauth2`, `http_headers`.

use super::HttpProbe;
use crate::probe::Run;
use base64::{Engine, engine::general_purpose::STANDARD};
use http_client::{HttpClient, HttpClientConfig, OAuth2, Request, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A token's answer is short.
const TOKEN_BYTES_MAX: usize = 1 << 20;
/// What a form encodes.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The headers of `http_headers`, files read now.
pub(super) fn http_headers(options: &HttpProbe) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (name, header) in options.http_headers.iter().flatten() {
        headers.extend(header.values.iter().map(|value| (name.clone(), value.clone())));
        headers.extend(header.secrets.iter().map(|secret| (name.clone(), secret.expose().to_owned())));
        for file in &header.files {
            headers.push((name.clone(), read(file)?));
        }
    }
    Ok(headers)
}

/// The `Authorization` header, if one is configured.
pub(super) async fn authorization(run: &Run, options: &HttpProbe) -> Result<Option<String>, String> {
    if let Some(basic) = &options.basic_auth {
        let username = match &basic.username_file {
            Some(file) => read(file)?,
            None => basic.username.clone(),
        };
        let password = secret(basic.password.as_ref(), basic.password_file.as_ref())?;
        return Ok(Some(encoded(&username, &password)));
    }
    if let Some(authorization) = &options.authorization {
        let credentials = secret(authorization.credentials.as_ref(), authorization.credentials_file.as_ref())?;
        let kind = authorization.auth_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Bearer");
        return Ok(Some(format!("{kind} {credentials}")));
    }
    if options.bearer_token.is_some() || options.bearer_token_file.is_some() {
        let token = secret(options.bearer_token.as_ref(), options.bearer_token_file.as_ref())?;
        return Ok(Some(format!("Bearer {token}")));
    }
    match &options.oauth2 {
        Some(oauth2) => token(run, oauth2).await.map(Some).map_err(|error| format!("oauth2: {error}")),
        None => Ok(None),
    }
}

pub(super) fn encoded(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn secret(text: Option<&Secret>, file: Option<&PathBuf>) -> Result<String, String> {
    match file {
        Some(file) => read(file),
        None => Ok(text.map(|secret| secret.expose().to_owned()).unwrap_or_default()),
    }
}

/// Files of secrets are small and local.
fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// Client credentials: the secret in the header first, in the form where the server wants it so.
async fn token(run: &Run, oauth2: &OAuth2) -> Result<String, String> {
    let config = HttpClientConfig {
        tls_config: oauth2.tls_config.clone(),
        proxy_url: oauth2.proxy_url.clone(),
        no_proxy: oauth2.no_proxy.clone(),
        proxy_from_environment: Some(oauth2.proxy_from_environment),
        proxy_connect_header: oauth2.proxy_connect_header.clone(),
        ..HttpClientConfig::default()
    };
    let client = HttpClient::new(&config).map_err(|error| error.to_string())?;
    let secret = secret(oauth2.client_secret.as_ref(), oauth2.client_secret_file.as_ref())?;
    let form = |text: &str| utf8_percent_encode(text, FORM).to_string();
    let mut fields = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
    if !oauth2.scopes.is_empty() {
        fields.push(("scope".into(), oauth2.scopes.join(" ")));
    }
    for (name, value) in &oauth2.endpoint_params {
        fields.retain(|(own, _)| own != name);
        fields.push((name.clone(), value.clone()));
    }
    let mut said = String::new();
    for in_header in [true, false] {
        let mut fields = fields.clone();
        if !in_header {
            fields.push(("client_id".into(), oauth2.client_id.clone()));
            fields.push(("client_secret".into(), secret.clone()));
        }
        let body = fields.iter().map(|(name, value)| format!("{}={}", form(name), form(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let left = run.deadline.duration_since(tokio::time::Instant::now()).max(Duration::from_millis(1));
        let mut request =
            Request::post(&oauth2.token_url, "application/x-www-form-urlencoded", body, left, TOKEN_BYTES_MAX);
        if in_header {
            // RFC 6749, 2.3.1: both are encoded as in a form before.
            request.headers.push(("Authorization".into(), encoded(&form(&oauth2.client_id), &form(&secret))));
        }
        let response = run.limit(client.send(request)).await?;
        if response.is_success() {
            let answer: serde_json::Value =
                serde_json::from_slice(&response.body).map_err(|error| format!("the token is no JSON: {error}"))?;
            let token = answer["access_token"].as_str().ok_or("the server's answer has no access_token")?;
            let kind = answer["token_type"].as_str().filter(|kind| !kind.eq_ignore_ascii_case("bearer"));
            return Ok(format!("{} {token}", kind.unwrap_or("Bearer")));
        }
        said = format!("{} answers {}", oauth2.token_url, response.status_text());
    }
    Err(said)
}
