//! Requests as bytes: send, notice a lost connection, turn refusals into errors.

use super::{Answer, ClientError, connection};
use crate::router::outside;
use gloo_net::http::{Request, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{fmt::Write as _, pin::Pin};
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

/// A good answer before it is read.
struct Said {
    path: String,
    body: String,
}

/// A question under way. Boxed, and the same for every endpoint: what the endpoints differ in is only the reading, and
/// a state machine for each of them is much code to download.
pub(super) type Asked<T> = Pin<Box<dyn Future<Output = Answer<T>>>>;

fn ask(request: Result<Request, gloo_net::Error>, signal: Option<AbortSignal>) -> Asked<Said> {
    Box::pin(async move {
        let response = send(request, signal).await?;
        let path = response.url();
        let status = response.status();
        let body = match response.text().await {
            Ok(body) => body,
            Err(error) => return Err(ClientError::Unreadable { path, message: error.to_string() }),
        };
        if (200..300).contains(&status) { Ok(Said { path, body }) } else { Err(refusal(status, body)) }
    })
}

fn unreadable(path: &str, error: serde_json::Error) -> ClientError {
    ClientError::Unreadable { path: path.to_owned(), message: error.to_string() }
}

#[inline(never)]
fn read<T: DeserializeOwned>(path: &str, body: &str) -> Answer<T> {
    serde_json::from_str(body).map_err(|error| unreadable(path, error))
}

/// Reads what stands in `{"status":"success","data":…}`, with the warnings beside it.
fn read_v1<T: DeserializeOwned>(said: &Said) -> Answer<(T, Vec<String>)> {
    let (data, warnings) = unwrap(said)?;
    Ok((read(&said.path, data)?, warnings))
}

fn unwrap(said: &Said) -> Answer<(&str, Vec<String>)> {
    /// `api::ApiResponse` with the data as they came.
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        status: String,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        #[serde(default)]
        error: String,
        #[serde(default)]
        warnings: Vec<String>,
        #[serde(default)]
        infos: Vec<String>,
    }
    let envelope: Envelope<'_> = serde_json::from_str(&said.body).map_err(|error| unreadable(&said.path, error))?;
    if envelope.status != "success" {
        let message = envelope.error;
        return Err(ClientError::Refused { status: 200, kind: String::new(), message, body: String::new() });
    }
    let mut warnings = envelope.warnings;
    warnings.extend(envelope.infos);
    Ok((envelope.data.map_or("null", RawValue::get), warnings))
}

fn with(builder: RequestBuilder, signal: Option<&AbortSignal>) -> RequestBuilder {
    match signal {
        Some(_) => builder.abort_signal(signal),
        None => builder,
    }
}

/// GET of JSON.
pub(super) fn get<T: DeserializeOwned + 'static>(url: &str, signal: Option<AbortSignal>) -> Asked<T> {
    let question = ask(with(Request::get(&outside(url)), signal.as_ref()).build(), signal);
    Box::pin(async move {
        let said = question.await?;
        read(&said.path, &said.body)
    })
}

fn v1<T: DeserializeOwned + 'static>(question: Asked<Said>) -> Asked<(T, Vec<String>)> {
    Box::pin(async move { read_v1(&question.await?) })
}

/// GET of what stands in `{"status":"success","data":…}`, with the warnings beside it.
pub(super) fn get_v1<T: DeserializeOwned + 'static>(url: &str, signal: Option<AbortSignal>) -> Asked<(T, Vec<String>)> {
    v1(ask(with(Request::get(&outside(url)), signal.as_ref()).build(), signal))
}

/// POST of a form to `/api/v1`.
pub(super) fn post_form_v1<T: DeserializeOwned + 'static>(
    url: &str,
    pairs: &[(&str, &str)],
    signal: Option<AbortSignal>,
) -> Asked<(T, Vec<String>)> {
    let request = with(Request::post(&outside(url)), signal.as_ref())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(encode_pairs(pairs.iter().copied()));
    v1(ask(request, signal))
}

/// POST of JSON.
pub(super) fn post<B: Serialize, T: DeserializeOwned + 'static>(url: &str, body: &B) -> Asked<T> {
    let question = ask(Request::post(&outside(url)).json(body), None);
    Box::pin(async move {
        let said = question.await?;
        read(&said.path, &said.body)
    })
}

/// DELETE; what the answer says does not matter.
pub(super) async fn delete(url: &str) -> Answer<()> {
    ask(Request::delete(&outside(url)).build(), None).await.map(|_| ())
}
