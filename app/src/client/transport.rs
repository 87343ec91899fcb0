//! Requests as bytes: send, notice a lost connection, turn refusals into errors.

use super::{Answer, ClientError, connection};
use api::ApiResponse;
use gloo_net::http::{Request, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write as _;
use web_sys::{AbortController, AbortSignal};

/// Takes its requests back when dropped.
#[derive(Debug)]
pub struct Abort(Option<AbortController>);

impl Default for Abort {
    fn default() -> Self {
        Abort(AbortController::new().ok())
    }
}

impl Abort {
    /// The same signal for a task that outlives this handle; dropping the copy takes nothing back.
    pub fn watch(&self) -> Watch {
        Watch(self.signal())
    }

    /// The signal to hand to a request.
    pub fn signal(&self) -> Option<AbortSignal> {
        self.0.as_ref().map(AbortController::signal)
    }
}

/// Tells a task whether it was taken back.
#[derive(Clone, Debug, Default)]
pub struct Watch(Option<AbortSignal>);

impl Watch {
    /// The signal to hand to a request.
    pub fn signal(&self) -> Option<AbortSignal> {
        self.0.clone()
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// `a=1&b=2`, percent-encoded.
pub(super) fn encode_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let separator = if text.is_empty() { "" } else { "&" };
        let _ = write!(text, "{separator}{}={}", encode(name), encode(value));
    }
    text
}

/// One part of a path or of a query, percent-encoded.
pub(super) fn encode(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}

async fn send(request: Result<Request, gloo_net::Error>, signal: Option<AbortSignal>) -> Answer<Response> {
    let request =
        request.map_err(|error| ClientError::Unreadable { path: "request".into(), message: error.to_string() })?;
    match request.send().await {
        Ok(response) => {
            // 502 to 504 come from a proxy in between whose server is gone.
            connection::report(!matches!(response.status(), 502..=504) || response.headers().get("x-vigie").is_some());
            Ok(response)
        }
        Err(_) if signal.is_some_and(|signal| signal.aborted()) => Err(ClientError::Aborted),
        Err(_) => {
            connection::report(false);
            Err(ClientError::Unreachable)
        }
    }
}

fn refusal(status: u16, body: String) -> ClientError {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Said {
        #[serde(rename = "errorType")]
        error_type: String,
        status: String,
        error: String,
        message: String,
    }
    let said: Said = serde_json::from_str(&body).unwrap_or_default();
    let kind = if said.error_type.is_empty() { said.status } else { said.error_type };
    let mut message = if said.error.is_empty() { said.message } else { said.error };
    // Alertmanager answers with a JSON string, others with plain text.
    if message.is_empty() {
        message = serde_json::from_str::<String>(&body).unwrap_or_default();
    }
    if message.is_empty() && body.len() < 400 && !body.trim_start().starts_with(['<', '{']) {
        message = body.trim().to_owned();
    }
    ClientError::Refused { status, kind, message, body }
}

async fn read<T: DeserializeOwned>(response: Response) -> Answer<T> {
    let path = response.url();
    let status = response.status();
    let unreadable = |message: String| ClientError::Unreadable { path: path.clone(), message };
    let body = response.text().await.map_err(|error| unreadable(error.to_string()))?;
    if !(200..300).contains(&status) {
        return Err(refusal(status, body));
    }
    serde_json::from_str(&body).map_err(|error| unreadable(error.to_string()))
}

fn with(builder: RequestBuilder, signal: Option<&AbortSignal>) -> RequestBuilder {
    match signal {
        Some(_) => builder.abort_signal(signal),
        None => builder,
    }
}

/// GET of JSON.
pub(super) async fn get<T: DeserializeOwned>(url: &str, signal: Option<AbortSignal>) -> Answer<T> {
    read(send(with(Request::get(url), signal.as_ref()).build(), signal).await?).await
}

/// GET of what stands in `{"status":"success","data":…}`, with the warnings beside it.
pub(super) async fn get_v1<T: DeserializeOwned>(url: &str, signal: Option<AbortSignal>) -> Answer<(T, Vec<String>)> {
    unwrap(get(url, signal).await?)
}

/// POST of a form to `/api/v1`.
pub(super) async fn post_form_v1<T: DeserializeOwned>(
    url: &str,
    pairs: &[(&str, &str)],
    signal: Option<AbortSignal>,
) -> Answer<(T, Vec<String>)> {
    let request = with(Request::post(url), signal.as_ref())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(encode_pairs(pairs.iter().copied()));
    unwrap(read(send(request, signal).await?).await?)
}

fn unwrap<T>(answer: ApiResponse<T>) -> Answer<(T, Vec<String>)> {
    match answer {
        ApiResponse::Success { data, mut warnings, infos } => {
            warnings.extend(infos);
            Ok((data, warnings))
        }
        ApiResponse::Error { error, .. } => {
            Err(ClientError::Refused { status: 200, kind: String::new(), message: error, body: String::new() })
        }
    }
}

/// POST of JSON.
pub(super) async fn post<B: Serialize, T: DeserializeOwned>(url: &str, body: &B) -> Answer<T> {
    read(send(Request::post(url).json(body), None).await?).await
}

/// DELETE; what the answer says does not matter.
pub(super) async fn delete(url: &str) -> Answer<()> {
    let response = send(Request::delete(url).build(), None).await?;
    let status = response.status();
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(refusal(status, response.text().await.unwrap_or_default()))
}
