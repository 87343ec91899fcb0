//! `slack_configs`, and those that speak nearly the same: `mattermost_configs`, `rocketchat_configs`.

use super::{HttpSender, Notification, NotifyError, json_request, secret, send, timeout, truncate};
use crate::config::receivers::{MattermostConfig, RocketchatConfig, SlackAction, SlackConfig, SlackField};
use serde_json::{Map, Value, json};

/// Slack cuts titles beyond this.
const TITLE_CHARS_MAX: usize = 1024;

/// Adds a text unless it is empty.
fn put(map: &mut Map<String, Value>, name: &str, text: String) {
    if !text.is_empty() {
        map.insert(name.into(), text.into());
    }
}

fn fields(fields: &[SlackField], short_default: bool, n: &Notification<'_>) -> Result<Vec<Value>, NotifyError> {
    fields
        .iter()
        .map(|field| {
            Ok(json!({
                "title": n.text(Some(&field.title), "")?,
                "value": n.text(Some(&field.value), "")?,
                "short": field.short.unwrap_or(short_default),
            }))
        })
        .collect()
}

fn action(action: &SlackAction, n: &Notification<'_>) -> Result<Value, NotifyError> {
    let mut map = Map::new();
    map.insert("type".into(), n.text(Some(&action.r#type), "")?.into());
    map.insert("text".into(), n.text(Some(&action.text), "")?.into());
    put(&mut map, "url", n.option(action.url.as_deref())?);
    put(&mut map, "style", n.option(action.style.as_deref())?);
    put(&mut map, "name", n.option(action.name.as_deref())?);
    put(&mut map, "value", n.option(action.value.as_deref())?);
    if let Some(confirm) = &action.confirm {
        let mut inner = Map::new();
        put(&mut inner, "title", n.option(confirm.title.as_deref())?);
        inner.insert("text".into(), n.text(Some(&confirm.text), "")?.into());
        put(&mut inner, "ok_text", n.option(confirm.ok_text.as_deref())?);
        put(&mut inner, "dismiss_text", n.option(confirm.dismiss_text.as_deref())?);
        map.insert("confirm".into(), inner.into());
    }
    Ok(map.into())
}

pub(super) async fn notify(
    config: &SlackConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let mut attachment = Map::new();
    let title = n.text(config.title.as_deref(), r#"{{ template "slack.default.title" . }}"#)?;
    put(&mut attachment, "title", truncate(title, TITLE_CHARS_MAX));
    put(
        &mut attachment,
        "title_link",
        n.text(config.title_link.as_deref(), r#"{{ template "slack.default.titlelink" . }}"#)?,
    );
    put(&mut attachment, "pretext", n.text(config.pretext.as_deref(), r#"{{ template "slack.default.pretext" . }}"#)?);
    attachment
        .insert("text".into(), n.text(config.text.as_deref(), r#"{{ template "slack.default.text" . }}"#)?.into());
    attachment.insert(
        "fallback".into(),
        n.text(config.fallback.as_deref(), r#"{{ template "slack.default.fallback" . }}"#)?.into(),
    );
    attachment.insert(
        "callback_id".into(),
        n.text(config.callback_id.as_deref(), r#"{{ template "slack.default.callbackid" . }}"#)?.into(),
    );
    if !config.fields.is_empty() {
        attachment.insert("fields".into(), fields(&config.fields, config.short_fields, n)?.into());
    }
    if !config.actions.is_empty() {
        let actions: Result<Vec<_>, _> = config.actions.iter().map(|own| action(own, n)).collect();
        attachment.insert("actions".into(), actions?.into());
    }
    put(&mut attachment, "image_url", n.option(config.image_url.as_deref())?);
    put(&mut attachment, "thumb_url", n.option(config.thumb_url.as_deref())?);
    attachment.insert(
        "footer".into(),
        n.text(config.footer.as_deref(), r#"{{ template "slack.default.footer" . }}"#)?.into(),
    );
    let color = n.text(config.color.as_deref(), r#"{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}"#)?;
    put(&mut attachment, "color", color);
    let mrkdwn =
        config.mrkdwn_in.clone().unwrap_or_else(|| ["fallback", "pretext", "text"].map(str::to_owned).to_vec());
    attachment.insert("mrkdwn_in".into(), mrkdwn.into());

    let mut message = Map::new();
    put(&mut message, "channel", n.option(config.channel.as_deref())?);
    put(&mut message, "username", n.text(config.username.as_deref(), r#"{{ template "slack.default.username" . }}"#)?);
    put(
        &mut message,
        "icon_emoji",
        n.text(config.icon_emoji.as_deref(), r#"{{ template "slack.default.iconemoji" . }}"#)?,
    );
    put(&mut message, "icon_url", n.text(config.icon_url.as_deref(), r#"{{ template "slack.default.iconurl" . }}"#)?);
    if config.link_names {
        message.insert("link_names".into(), true.into());
    }
    let text = n.option(config.message_text.as_deref())?;
    if text.is_empty() {
        message.insert("attachments".into(), vec![Value::from(attachment)].into());
    } else {
        message.insert("text".into(), text.into());
    }
    let url = secret(config.api_url.as_ref(), config.api_url_file.as_deref()).await?;
    let mut request = json_request(url.trim(), Value::from(message).to_string(), timeout(config.timeout.as_deref()));
    let token = secret(config.app_token.as_ref(), config.app_token_file.as_deref()).await?;
    if !token.is_empty() {
        request.headers.push(("Authorization".into(), format!("Bearer {token}")));
    }
    let response = send(client, request, &[429]).await?;
    // Slack's API answers 200 with `"ok": false` to what it refuses.
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    if answer.get("ok") == Some(&Value::Bool(false)) {
        let reason = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
        return Err(NotifyError { message: format!("Slack refused: {reason}"), retry: false, reason: "clientError" });
    }
    Ok(())
}

pub(super) async fn notify_mattermost(
    config: &MattermostConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let mut attachment = Map::new();
    for (name, own, default) in [
        ("fallback", &config.fallback, r#"{{ template "mattermost.default.fallback" . }}"#),
        ("color", &config.color, r#"{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}"#),
        ("pretext", &config.pretext, ""),
        ("text", &config.text, r#"{{ template "mattermost.default.text" . }}"#),
        ("author_name", &config.author_name, ""),
        ("author_link", &config.author_link, ""),
        ("author_icon", &config.author_icon, ""),
        ("title", &config.title, r#"{{ template "mattermost.default.title" . }}"#),
        ("title_link", &config.title_link, r#"{{ template "mattermost.default.titlelink" . }}"#),
        ("thumb_url", &config.thumb_url, ""),
        ("footer", &config.footer, ""),
        ("footer_icon", &config.footer_icon, ""),
        ("image_url", &config.image_url, ""),
    ] {
        put(&mut attachment, name, n.text(own.as_deref(), default)?);
    }
    if !config.fields.is_empty() {
        attachment.insert("fields".into(), fields(&config.fields, false, n)?.into());
    }
    let mut message = Map::new();
    put(&mut message, "channel", n.option(config.channel.as_deref())?);
    put(
        &mut message,
        "username",
        n.text(config.username.as_deref(), r#"{{ template "mattermost.default.username" . }}"#)?,
    );
    put(&mut message, "icon_url", n.option(config.icon_url.as_deref())?);
    put(&mut message, "icon_emoji", n.option(config.icon_emoji.as_deref())?);
    let attachments = if config.attachments.is_empty() {
        vec![Value::from(attachment)]
    } else {
        config.attachments.iter().map(|own| super::incident::render(own, n)).collect::<Result<_, _>>()?
    };
    message.insert("attachments".into(), attachments.into());
    if let Some(card) = config.props.as_ref().and_then(|props| props.card.as_deref()) {
        message.insert("props".into(), json!({ "card": n.text(Some(card), "")? }));
    }
    if let Some(priority) = &config.priority {
        message.insert(
            "priority".into(),
            json!({
                "priority": n.option(priority.priority.as_deref())?,
                "requested_ack": priority.requested_ack.unwrap_or(false),
                "persistent_notifications": priority.persistent_notifications.unwrap_or(false),
            }),
        );
    }
    let url = secret(config.webhook_url.as_ref(), config.webhook_url_file.as_deref()).await?;
    send(client, json_request(url, Value::from(message).to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn notify_rocketchat(
    config: &RocketchatConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let mut attachment = Map::new();
    put(
        &mut attachment,
        "title",
        truncate(n.text(config.title.as_deref(), r#"{{ template "rocketchat.default.title" . }}"#)?, TITLE_CHARS_MAX),
    );
    put(
        &mut attachment,
        "title_link",
        n.text(config.title_link.as_deref(), r#"{{ template "rocketchat.default.titlelink" . }}"#)?,
    );
    put(&mut attachment, "text", n.text(config.text.as_deref(), r#"{{ template "rocketchat.default.text" . }}"#)?);
    put(&mut attachment, "image_url", n.option(config.image_url.as_deref())?);
    put(&mut attachment, "thumb_url", n.option(config.thumb_url.as_deref())?);
    put(
        &mut attachment,
        "color",
        n.text(config.color.as_deref(), r#"{{ if eq .Status "firing" }}red{{ else }}green{{ end }}"#)?,
    );
    if !config.fields.is_empty() {
        let fields: Result<Vec<_>, NotifyError> = config
            .fields
            .iter()
            .map(|field| {
                Ok(json!({
                    "title": n.option(field.title.as_deref())?,
                    "value": n.option(field.value.as_deref())?,
                    "short": field.short.unwrap_or(config.short_fields),
                }))
            })
            .collect();
        attachment.insert("fields".into(), fields?.into());
    }
    if !config.actions.is_empty() {
        let actions: Result<Vec<_>, NotifyError> = config
            .actions
            .iter()
            .map(|action| {
                let mut map = Map::new();
                map.insert("type".into(), "button".into());
                put(&mut map, "text", n.option(action.text.as_deref())?);
                put(&mut map, "url", n.option(action.url.as_deref())?);
                put(&mut map, "msg", n.option(action.msg.as_deref())?);
                Ok(Value::from(map))
            })
            .collect();
        attachment.insert("actions".into(), actions?.into());
    }
    let mut message = Map::new();
    put(&mut message, "channel", n.option(config.channel.as_deref())?);
    put(&mut message, "emoji", n.text(config.emoji.as_deref(), r#"{{ template "rocketchat.default.emoji" . }}"#)?);
    put(
        &mut message,
        "avatar",
        n.text(config.icon_url.as_deref(), r#"{{ template "rocketchat.default.iconurl" . }}"#)?,
    );
    message.insert("attachments".into(), vec![Value::from(attachment)].into());
    let url = format!("{}api/v1/chat.postMessage", config.api_url.as_deref().unwrap_or_default());
    let mut request = json_request(url, Value::from(message).to_string(), timeout(None));
    let token = secret(config.token.as_ref(), config.token_file.as_deref()).await?;
    let token_id = secret(config.token_id.as_ref(), config.token_id_file.as_deref()).await?;
    request.headers.push(("X-Auth-Token".into(), token));
    request.headers.push(("X-User-Id".into(), token_id));
    send(client, request, &[429]).await.map(|_| ())
}
