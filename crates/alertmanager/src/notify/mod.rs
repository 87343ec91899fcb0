//! How notifications leave: what to send is composed here, one file per receiver type; [`Delivery`] sends it.

mod chat;
mod email;
mod incident;
mod network;
mod slack;
mod webhook;

use crate::{
    config::receivers::IntegrationConfig,
    template::{NotificationData, Templates},
};
use http_client::{HttpClientConfig, Request, Response, Secret};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

pub use email::{Mail, MailAuth};
pub use network::network;

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Most bytes read of an answer: enough for an error message.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// For one request, unless the receiver says otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends HTTP requests by one `http_config`.
pub trait HttpSender: Send + Sync {
    /// Sends, and answers with whatever came back.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, String>>;
}

/// Sends what the integrations have composed. Tests put their own in place of [`network()`].
pub trait Delivery: Send + Sync {
    /// A client for one `http_config`.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    fn http_client(&self, config: &HttpClientConfig) -> Result<Arc<dyn HttpSender>, String>;

    /// Sends a mail.
    fn mail(&self, mail: Mail) -> BoxFuture<'_, Result<(), NotifyError>>;
}

/// Why a notification was not delivered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    pub message: String,
    /// Another attempt may succeed.
    pub retry: bool,
    /// `clientError`, `serverError` or `other`, as in `alertmanager_notifications_failed_total`.
    pub reason: &'static str,
}

impl NotifyError {
    /// Another attempt would fail the same way.
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        NotifyError { message: message.into(), retry: false, reason: "other" }
    }

    /// The network or the other side may recover.
    pub(crate) fn temporary(message: impl Into<String>) -> Self {
        NotifyError { message: message.into(), retry: true, reason: "other" }
    }
}

/// One notification for one integration.
pub(crate) struct Notification<'a> {
    pub(crate) data: &'a NotificationData,
    pub(crate) group_key: &'a str,
    pub(crate) templates: &'a Templates,
    pub(crate) now_ms: i64,
}

impl Notification<'_> {
    /// A text of the configuration, or its default, executed.
    fn text(&self, own: Option<&str>, default: &str) -> Result<String, NotifyError> {
        self.templates.text(own.unwrap_or(default), self.data).map_err(NotifyError::permanent)
    }

    /// A text of the configuration; "" if it is not there.
    fn option(&self, own: Option<&str>) -> Result<String, NotifyError> {
        self.text(own, "")
    }

    /// The group key in a form that fits every service: SHA-256 in hex.
    fn key_hash(&self) -> String {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(self.group_key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An integration, ready to send.
pub(crate) struct Integration {
    pub(crate) kind: &'static str,
    pub(crate) index: usize,
    pub(crate) send_resolved: bool,
    config: IntegrationConfig,
    client: Arc<dyn HttpSender>,
    delivery: Arc<dyn Delivery>,
}

impl Integration {
    pub(crate) fn new(config: IntegrationConfig, index: usize, delivery: &Arc<dyn Delivery>) -> Result<Self, String> {
        Ok(Integration {
            kind: config.kind(),
            index,
            send_resolved: config.send_resolved(),
            client: delivery.http_client(&config.http_config())?,
            config,
            delivery: Arc::clone(delivery),
        })
    }

    pub(crate) async fn notify(&self, notification: &Notification<'_>) -> Result<(), NotifyError> {
        let client = self.client.as_ref();
        match &self.config {
            IntegrationConfig::Webhook(config) => webhook::notify(config, client, notification).await,
            IntegrationConfig::Email(config) => {
                let mail = email::compose(config, notification)?;
                self.delivery.mail(mail).await
            }
            IntegrationConfig::Slack(config) => slack::notify(config, client, notification).await,
            IntegrationConfig::Mattermost(config) => slack::notify_mattermost(config, client, notification).await,
            IntegrationConfig::Rocketchat(config) => slack::notify_rocketchat(config, client, notification).await,
            IntegrationConfig::Pagerduty(config) => incident::pagerduty(config, client, notification).await,
            IntegrationConfig::Opsgenie(config) => incident::opsgenie(config, client, notification).await,
            IntegrationConfig::Victorops(config) => incident::victorops(config, client, notification).await,
            IntegrationConfig::Incidentio(config) => incident::incidentio(config, client, notification).await,
            IntegrationConfig::Pushover(config) => chat::pushover(config, client, notification).await,
            IntegrationConfig::Telegram(config) => chat::telegram(config, client, notification).await,
            IntegrationConfig::Discord(config) => chat::discord(config, client, notification).await,
            IntegrationConfig::Msteams(config) => chat::msteams(config, client, notification).await,
            IntegrationConfig::Msteamsv2(config) => chat::msteamsv2(config, client, notification).await,
            IntegrationConfig::Webex(config) => chat::webex(config, client, notification).await,
            IntegrationConfig::Wechat(config) => chat::wechat(config, client, notification).await,
            IntegrationConfig::Sns(_) | IntegrationConfig::Jira(_) => {
                Err(NotifyError::permanent(undeliverable(self.kind).unwrap_or_default()))
            }
        }
    }
}

/// What a receiver type cannot do yet; told at load and at every notification.
pub(crate) fn undeliverable(kind: &str) -> Option<String> {
    ["sns", "jira"].contains(&kind).then(|| {
        format!("{kind}_configs load but cannot deliver yet: every notification to them fails; use a webhook instead")
    })
}

/// A secret, from its file if it is not written in the configuration. Files are read each time, so that they can change.
async fn secret(value: Option<&Secret>, file: Option<&str>) -> Result<String, NotifyError> {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        return Ok(value.expose().to_owned());
    }
    match file.filter(|file| !file.is_empty()) {
        Some(file) => match tokio::fs::read_to_string(file).await {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(NotifyError::permanent(format!("{file}: {error}"))),
        },
        None => Ok(String::new()),
    }
}

fn timeout(text: Option<&str>) -> Duration {
    let ms = text.and_then(|text| model::duration::parse_duration_ms(text).ok()).filter(|ms| *ms > 0);
    ms.map_or(REQUEST_TIMEOUT, |ms| Duration::from_millis(ms.unsigned_abs()))
}

/// A POST of JSON.
fn json_request(url: impl Into<String>, body: impl Into<Vec<u8>>, timeout: Duration) -> Request {
    let mut request = Request::post(url, "application/json", body.into(), timeout, ANSWER_BYTES_MAX);
    request
        .headers
        .push(("User-Agent".into(), concat!("Alertmanager/0.33.1 Vigie/", env!("CARGO_PKG_VERSION")).into()));
    request
}

/// Sends and judges the answer: 2xx is success; 5xx and the statuses of `retry_on` may succeed later.
async fn send(client: &dyn HttpSender, request: Request, retry_on: &[u16]) -> Result<Response, NotifyError> {
    let host = request.url.split('/').take(3).collect::<Vec<_>>().join("/");
    // Urls are secret beyond their host; the client's errors name the host only through this prefix.
    let response = client.send(request).await.map_err(|error| NotifyError::temporary(format!("{host}: {error}")))?;
    if response.is_success() {
        return Ok(response);
    }
    let body: String = String::from_utf8_lossy(&response.body).chars().take(500).collect();
    Err(NotifyError {
        message: format!("{host}: unexpected status code {}: {body}", response.status),
        retry: response.status / 100 == 5 || retry_on.contains(&response.status),
        reason: match response.status / 100 {
            4 => "clientError",
            5 => "serverError",
            _ => "other",
        },
    })
}

/// At most `most` characters, the last one an ellipsis where something was cut.
fn truncate(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
