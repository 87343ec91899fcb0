//! Services that show a message: Pushover, Telegram, Discord, Microsoft Teams, Webex, WeChat.

use super::{ANSWER_BYTES_MAX, HttpSender, Notification, NotifyError, json_request, secret, send, timeout, truncate};
use crate::config::receivers::{
    DiscordConfig, MsteamsConfig, Msteamsv2Config, PushoverConfig, TelegramConfig, WebexConfig, WechatConfig,
};
use go_template::query_escape;
use http_client::Request;
use serde_json::{Map, Value, json};

const DISCORD_TITLE_CHARS_MAX: usize = 256;
const DISCORD_DESCRIPTION_CHARS_MAX: usize = 4096;
const DISCORD_CONTENT_CHARS_MAX: usize = 2000;
const DISCORD_COLOR_FIRING: u32 = 0x0099_2d22;
const DISCORD_COLOR_RESOLVED: u32 = 0x002e_cc71;
const TELEGRAM_MESSAGE_CHARS_MAX: usize = 4096;
const PUSHOVER_TITLE_CHARS_MAX: usize = 250;
const PUSHOVER_MESSAGE_CHARS_MAX: usize = 1024;
const PUSHOVER_URL_CHARS_MAX: usize = 512;
const WEBEX_MESSAGE_CHARS_MAX: usize = 7439;
const TEAMS_COLOR_FIRING: &str = "8C1A1A";
const TEAMS_COLOR_RESOLVED: &str = "2DC72D";

pub(super) async fn discord(
    config: &DiscordConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let title = truncate(
        n.text(config.title.as_deref(), r#"{{ template "discord.default.title" . }}"#)?,
        DISCORD_TITLE_CHARS_MAX,
    );
    let description = truncate(
        n.text(config.message.as_deref(), r#"{{ template "discord.default.message" . }}"#)?,
        DISCORD_DESCRIPTION_CHARS_MAX,
    );
    let content = truncate(
        n.text(config.content.as_deref(), r#"{{ template "discord.default.content" . }}"#)?,
        DISCORD_CONTENT_CHARS_MAX,
    );
    let color = if n.data.is_firing() { DISCORD_COLOR_FIRING } else { DISCORD_COLOR_RESOLVED };
    let mut body = Map::new();
    body.insert("content".into(), content.into());
    body.insert("embeds".into(), json!([{ "title": title, "description": description, "color": color }]));
    for (name, text) in [("username", &config.username), ("avatar_url", &config.avatar_url)] {
        let text = n.option(text.as_deref())?;
        if !text.is_empty() {
            body.insert(name.into(), text.into());
        }
    }
    let url = secret(config.webhook_url.as_ref(), config.webhook_url_file.as_deref()).await?;
    send(client, json_request(url, Value::from(body).to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn msteams(
    config: &MsteamsConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let body = json!({
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": n.text(config.title.as_deref(), r#"{{ template "msteams.default.title" . }}"#)?,
        "summary": n.text(config.summary.as_deref(), r#"{{ template "msteams.default.summary" . }}"#)?,
        "text": n.text(config.text.as_deref(), r#"{{ template "msteams.default.text" . }}"#)?,
        "themeColor": if n.data.is_firing() { TEAMS_COLOR_FIRING } else { TEAMS_COLOR_RESOLVED },
    });
    let url = secret(config.webhook_url.as_ref(), config.webhook_url_file.as_deref()).await?;
    send(client, json_request(url, body.to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn msteamsv2(
    config: &Msteamsv2Config,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let title = n.text(config.title.as_deref(), r#"{{ template "msteamsv2.default.title" . }}"#)?;
    let text = n.text(config.text.as_deref(), r#"{{ template "msteamsv2.default.text" . }}"#)?;
    let color = if n.data.is_firing() { "Attention" } else { "Good" };
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": [
                    { "type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": true,
                      "style": "heading", "color": color },
                    { "type": "TextBlock", "text": text, "wrap": true },
                ],
                "msteams": { "width": "full" },
            },
        }],
    });
    let url = secret(config.webhook_url.as_ref(), config.webhook_url_file.as_deref()).await?;
    send(client, json_request(url, body.to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn webex(
    config: &WebexConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let message = n.text(config.message.as_deref(), r#"{{ template "webex.default.message" . }}"#)?;
    let body = json!({
        "markdown": truncate(message, WEBEX_MESSAGE_CHARS_MAX),
        "roomId": n.option(config.room_id.as_deref())?,
    });
    let url = config.api_url.clone().unwrap_or_default();
    send(client, json_request(url, body.to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn telegram(
    config: &TelegramConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let parse_mode = config.parse_mode.as_deref().unwrap_or("HTML");
    let own = config.message.as_deref().unwrap_or(r#"{{ template "telegram.default.message" . }}"#);
    // In HTML mode the labels of alerts must not become tags.
    let text = if parse_mode == "HTML" {
        n.templates.html(own, n.data).map_err(NotifyError::permanent)?
    } else {
        n.text(Some(own), "")?
    };
    let text = truncate(text, TELEGRAM_MESSAGE_CHARS_MAX);
    let chat_id = match config.chat_id.filter(|id| *id != 0) {
        Some(id) => id.to_string(),
        None => secret(None, config.chat_id_file.as_deref()).await?,
    };
    let token = secret(config.bot_token.as_ref(), config.bot_token_file.as_deref()).await?;
    let mut body = Map::new();
    body.insert("chat_id".into(), chat_id.into());
    if let Some(thread) = config.message_thread_id.filter(|id| *id != 0) {
        body.insert("message_thread_id".into(), thread.to_string().into());
    }
    body.insert("text".into(), text.into());
    if !parse_mode.is_empty() {
        body.insert("parse_mode".into(), parse_mode.into());
    }
    body.insert("disable_web_page_preview".into(), true.into());
    if config.disable_notifications {
        body.insert("disable_notification".into(), true.into());
    }
    let base = config.api_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let request = json_request(format!("{base}/bot{token}/sendMessage"), Value::from(body).to_string(), timeout(None));
    send(client, request, &[429]).await.map(|_| ()).map_err(|mut error| {
        // The token is part of the address.
        error.message = error.message.replace(&token, "<secret>");
        error
    })
}

pub(super) async fn pushover(
    config: &PushoverConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let token = secret(config.token.as_ref(), config.token_file.as_deref()).await?;
    let user = secret(config.user_key.as_ref(), config.user_key_file.as_deref()).await?;
    let message = n.text(config.message.as_deref(), r#"{{ template "pushover.default.message" . }}"#)?;
    // Pushover refuses an empty message.
    let message = if message.trim().is_empty() { "(no details)".to_owned() } else { message };
    let priority = n.text(config.priority.as_deref(), r#"{{ if eq .Status "firing" }}2{{ else }}0{{ end }}"#)?;
    let seconds = |text: Option<&str>, default: i64| {
        text.and_then(|text| model::duration::parse_duration_ms(text).ok()).map_or(default, |ms| ms / 1000)
    };
    let mut form = vec![
        ("token", n.text(Some(&token), "")?),
        ("user", n.text(Some(&user), "")?),
        (
            "title",
            truncate(
                n.text(config.title.as_deref(), r#"{{ template "pushover.default.title" . }}"#)?,
                PUSHOVER_TITLE_CHARS_MAX,
            ),
        ),
        ("message", truncate(message, PUSHOVER_MESSAGE_CHARS_MAX)),
        (
            "url",
            truncate(
                n.text(config.url.as_deref(), r#"{{ template "pushover.default.url" . }}"#)?,
                PUSHOVER_URL_CHARS_MAX,
            ),
        ),
        ("url_title", n.option(config.url_title.as_deref())?),
        ("priority", priority),
        ("retry", seconds(config.retry.as_deref(), 60).to_string()),
        ("expire", seconds(config.expire.as_deref(), 3600).to_string()),
        ("ttl", config.ttl.as_deref().map_or_else(String::new, |ttl| seconds(Some(ttl), 0).to_string())),
        ("device", n.option(config.device.as_deref())?),
        ("sound", n.option(config.sound.as_deref())?),
    ];
    if config.html {
        form.push(("html", "1".into()));
    }
    if config.monospace {
        form.push(("monospace", "1".into()));
    }
    let body: Vec<_> = form
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| format!("{name}={}", query_escape(text)))
        .collect();
    let request = Request::post(
        "https://api.pushover.net/1/messages.json",
        "application/x-www-form-urlencoded",
        body.join("&").into_bytes(),
        timeout(None),
        ANSWER_BYTES_MAX,
    );
    send(client, request, &[429]).await.map(|_| ())
}

pub(super) async fn wechat(
    config: &WechatConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let base = config.api_url.as_deref().unwrap_or_default();
    let key = secret(config.api_secret.as_ref(), config.api_secret_file.as_deref()).await?;
    let corp = n.option(config.corp_id.as_deref())?;
    let url =
        format!("{base}gettoken?corpid={}&corpsecret={}", query_escape(&corp), query_escape(&n.text(Some(&key), "")?));
    let answer = send(client, Request::get(url, timeout(None), ANSWER_BYTES_MAX), &[429]).await?;
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let Some(token) = answer.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty()) else {
        return Err(NotifyError::permanent("WeChat gave no access token; look at api_secret and corp_id"));
    };
    let message = n.text(config.message.as_deref(), r#"{{ template "wechat.default.message" . }}"#)?;
    let kind = config.message_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("text");
    let (text, markdown) = if kind == "markdown" { (String::new(), message) } else { (message, String::new()) };
    let mut body = Map::new();
    body.insert("text".into(), json!({ "content": text }));
    for (name, own, template) in [
        ("touser", &config.to_user, "wechat.default.to_user"),
        ("toparty", &config.to_party, "wechat.default.to_party"),
        ("totag", &config.to_tag, "wechat.default.to_tag"),
        ("agentid", &config.agent_id, "wechat.default.agent_id"),
    ] {
        let text = n.text(own.as_deref(), &format!("{{{{ template {template:?} . }}}}"))?;
        if !text.is_empty() {
            body.insert(name.into(), text.into());
        }
    }
    body.insert("safe".into(), "0".into());
    body.insert("msgtype".into(), kind.into());
    body.insert("markdown".into(), json!({ "content": markdown }));
    let url = format!("{base}message/send?access_token={}", query_escape(token));
    let answer = send(client, json_request(url, Value::from(body).to_string(), timeout(None)), &[429]).await?;
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    match answer.get("errcode").and_then(Value::as_i64) {
        None | Some(0) => Ok(()),
        // -1: the service is busy; 42001: the token is too old.
        Some(code) => Err(NotifyError {
            message: format!(
                "WeChat refused: {code} {}",
                answer.get("errmsg").and_then(Value::as_str).unwrap_or_default()
            ),
            retry: matches!(code, -1 | 42001),
            reason: "clientError",
        }),
    }
}
