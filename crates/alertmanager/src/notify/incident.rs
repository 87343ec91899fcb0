//! Services that keep incidents: `pagerduty_configs`, `opsgenie_configs`, `victorops_configs`, `incidentio_configs`.

use super::{HttpSender, Notification, NotifyError, json_request, secret, send, timeout, truncate};
use crate::config::receivers::{IncidentioConfig, OpsgenieConfig, PagerdutyConfig, VictoropsConfig};
use go_template::{Object as _, query_escape};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const PAGERDUTY_SUMMARY_CHARS_MAX: usize = 1024;
const OPSGENIE_MESSAGE_CHARS_MAX: usize = 130;
const VICTOROPS_MESSAGE_CHARS_MAX: usize = 20_480;

/// Executes every text inside a JSON value. A text that is JSON afterwards becomes that value, so that `toJson` gives
/// structure and not a string.
pub(super) fn render(value: &Value, n: &Notification<'_>) -> Result<Value, NotifyError> {
    Ok(match value {
        Value::String(text) => {
            let done = n.text(Some(text), "")?;
            match serde_json::from_str::<Value>(&done) {
                Ok(parsed) if text.contains("{{") => sorted(parsed),
                _ => Value::from(done),
            }
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| render(value, n)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let mut done = Map::new();
            for (key, value) in map {
                done.insert(n.text(Some(key), "")?, render(value, n)?);
            }
            Value::Object(done)
        }
        other => other.clone(),
    })
}

/// Keys in order, and null for empty texts, as upstream's way over YAML leaves them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        Value::String(text) if text.is_empty() => Value::Null,
        other => other,
    }
}

pub(super) async fn pagerduty(
    config: &PagerdutyConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let mut details: BTreeMap<&str, Value> = [
        ("firing", "{{ .Alerts.Firing | toJson }}"),
        ("resolved", "{{ .Alerts.Resolved | toJson }}"),
        ("num_firing", "{{ .Alerts.Firing | len }}"),
        ("num_resolved", "{{ .Alerts.Resolved | len }}"),
    ]
    .into_iter()
    .map(|(name, text)| (name, Value::from(text)))
    .collect();
    details.extend(config.details.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut rendered = Map::new();
    for (name, value) in details {
        rendered.insert(name.to_owned(), render(&value, n)?);
    }
    let event = if n.data.is_firing() { "trigger" } else { "resolve" };
    let description = n.text(config.description.as_deref(), r#"{{ template "pagerduty.default.description" . }}"#)?;
    let summary = truncate(description, PAGERDUTY_SUMMARY_CHARS_MAX);
    let client_name = n.text(config.client.as_deref(), r#"{{ template "pagerduty.default.client" . }}"#)?;
    let client_url = n.text(config.client_url.as_deref(), r#"{{ template "pagerduty.default.clientURL" . }}"#)?;
    let service_key =
        n.text(Some(&secret(config.service_key.as_ref(), config.service_key_file.as_deref()).await?), "")?;
    let mut url = config.url.clone().unwrap_or_default();
    let message = if service_key.is_empty() {
        let routing_key =
            n.text(Some(&secret(config.routing_key.as_ref(), config.routing_key_file.as_deref()).await?), "")?;
        if routing_key.is_empty() {
            return Err(NotifyError::permanent("routing key cannot be empty"));
        }
        let mut payload = Map::new();
        payload.insert("summary".into(), summary.into());
        payload.insert(
            "source".into(),
            n.text(
                config.source.as_deref(),
                config.client.as_deref().unwrap_or(r#"{{ template "pagerduty.default.client" . }}"#),
            )?
            .into(),
        );
        payload.insert("severity".into(), n.text(config.severity.as_deref(), "error")?.into());
        for (name, text) in [("class", &config.class), ("component", &config.component), ("group", &config.group)] {
            let text = n.option(text.as_deref())?;
            if !text.is_empty() {
                payload.insert(name.into(), text.into());
            }
        }
        payload.insert("custom_details".into(), rendered.into());
        let mut message = Map::new();
        message.insert("routing_key".into(), routing_key.into());
        message.insert("dedup_key".into(), n.key_hash().into());
        message.insert("event_action".into(), event.into());
        message.insert("payload".into(), payload.into());
        message.insert("client".into(), client_name.into());
        message.insert("client_url".into(), client_url.into());
        let mut images = Vec::new();
        for image in &config.images {
            let (src, alt, href) =
                (n.option(image.src.as_deref())?, n.option(image.alt.as_deref())?, n.option(image.href.as_deref())?);
            if !src.is_empty() {
                images.push(json!({ "src": src, "alt": alt, "href": href }));
            }
        }
        let mut links = Vec::new();
        for link in &config.links {
            let (href, text) = (n.option(link.href.as_deref())?, n.option(link.text.as_deref())?);
            if !href.is_empty() {
                links.push(json!({ "href": href, "text": text }));
            }
        }
        if !images.is_empty() {
            message.insert("images".into(), images.into());
        }
        if !links.is_empty() {
            message.insert("links".into(), links.into());
        }
        Value::from(message)
    } else {
        // A service key belongs to the first version of the events API.
        if url == "https://events.pagerduty.com/v2/enqueue" {
            url = "https://events.pagerduty.com/generic/2010-04-15/create_event.json".into();
        }
        json!({
            "service_key": service_key,
            "incident_key": n.key_hash(),
            "event_type": event,
            "description": summary,
            "details": rendered,
            "client": client_name,
            "client_url": client_url,
        })
    };
    send(client, json_request(url, message.to_string(), timeout(config.timeout.as_deref())), &[403, 429])
        .await
        .map(|_| ())
}

pub(super) async fn opsgenie(
    config: &OpsgenieConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let key = secret(config.api_key.as_ref(), config.api_key_file.as_deref()).await?;
    let authorization = format!("GenieKey {}", n.text(Some(&key), "")?);
    let source = n.text(config.source.as_deref(), r#"{{ template "opsgenie.default.source" . }}"#)?;
    let alias = n.key_hash();
    let base = config.api_url.as_deref().unwrap_or_default();
    let post = |url: String, body: Value| {
        let mut request = json_request(url, body.to_string(), timeout(None));
        request.headers.push(("Authorization".into(), authorization.clone()));
        request
    };
    if !n.data.is_firing() {
        let url = format!("{base}v2/alerts/{alias}/close?identifierType=alias");
        return send(client, post(url, json!({ "source": source })), &[429]).await.map(|_| ());
    }
    let message = truncate(
        n.text(config.message.as_deref(), r#"{{ template "opsgenie.default.message" . }}"#)?,
        OPSGENIE_MESSAGE_CHARS_MAX,
    );
    let description = n.text(config.description.as_deref(), r#"{{ template "opsgenie.default.description" . }}"#)?;
    let mut details: BTreeMap<String, String> =
        n.data.common_labels().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, text) in &config.details {
        details.insert(name.clone(), n.text(Some(text), "")?);
    }
    let mut responders = Vec::new();
    for responder in &config.responders {
        let mut map = Map::new();
        for (name, text) in [("id", &responder.id), ("name", &responder.name), ("username", &responder.username)] {
            let text = n.option(text.as_deref())?;
            if !text.is_empty() {
                map.insert(name.into(), text.into());
            }
        }
        let kind = n.text(Some(&responder.r#type), "")?.to_lowercase();
        if map.is_empty() {
            continue;
        }
        if kind == "teams" {
            // `teams` is a list of names in one text.
            let names = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            responders.extend(names.split(',').map(|name| json!({ "name": name.trim(), "type": "team" })));
            continue;
        }
        map.insert("type".into(), kind.into());
        responders.push(Value::from(map));
    }
    let mut body = Map::new();
    body.insert("alias".into(), alias.clone().into());
    body.insert("message".into(), message.clone().into());
    body.insert("description".into(), description.clone().into());
    body.insert("details".into(), json!(details));
    body.insert("source".into(), source.into());
    if !responders.is_empty() {
        body.insert("responders".into(), responders.into());
    }
    let split = |text: String| -> Vec<String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let tags = split(n.option(config.tags.as_deref())?);
    if !tags.is_empty() {
        body.insert("tags".into(), tags.into());
    }
    for (name, text) in [("note", &config.note), ("priority", &config.priority), ("entity", &config.entity)] {
        let text = n.option(text.as_deref())?;
        if !text.is_empty() {
            body.insert(name.into(), text.into());
        }
    }
    let actions = split(n.option(config.actions.as_deref())?);
    if !actions.is_empty() {
        body.insert("actions".into(), actions.into());
    }
    send(client, post(format!("{base}v2/alerts"), body.into()), &[429]).await?;
    if config.update_alerts {
        // A repeated alert keeps its first texts unless they are set one by one.
        for (name, text) in [("message", message), ("description", description)] {
            let url = format!("{base}v2/alerts/{alias}/{name}?identifierType=alias");
            let mut request = post(url, json!({ name: text }));
            request.method = http::Method::PUT;
            send(client, request, &[429]).await?;
        }
    }
    Ok(())
}

pub(super) async fn victorops(
    config: &VictoropsConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let kind = n.text(config.message_type.as_deref(), "CRITICAL")?;
    let kind = match (n.data.is_firing(), kind.as_str()) {
        (false, _) => "RECOVERY".to_owned(),
        (true, "CRITICAL" | "WARNING" | "INFO") => kind,
        (true, _) => "CRITICAL".to_owned(),
    };
    let message = n.text(config.state_message.as_deref(), r#"{{ template "victorops.default.state_message" . }}"#)?;
    let mut body: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in &config.custom_fields {
        body.insert(name.clone(), n.text(Some(text), "")?);
    }
    body.insert("message_type".into(), kind);
    body.insert("entity_id".into(), n.key_hash());
    body.insert("state_message".into(), truncate(message, VICTOROPS_MESSAGE_CHARS_MAX));
    body.insert(
        "entity_display_name".into(),
        n.text(config.entity_display_name.as_deref(), r#"{{ template "victorops.default.entity_display_name" . }}"#)?,
    );
    body.insert(
        "monitoring_tool".into(),
        n.text(config.monitoring_tool.as_deref(), r#"{{ template "victorops.default.monitoring_tool" . }}"#)?,
    );
    let key = secret(config.api_key.as_ref(), config.api_key_file.as_deref()).await?;
    let routing_key = n.option(config.routing_key.as_deref())?;
    let url = format!("{}{key}/{}", config.api_url.as_deref().unwrap_or_default(), query_escape(&routing_key));
    send(client, json_request(url, json!(body).to_string(), timeout(None)), &[429]).await.map(|_| ())
}

pub(super) async fn incidentio(
    config: &IncidentioConfig,
    client: &dyn HttpSender,
    n: &Notification<'_>,
) -> Result<(), NotifyError> {
    let mut data = n.data.clone();
    let most = usize::try_from(config.max_alerts).unwrap_or(usize::MAX);
    let truncated = if most == 0 { 0 } else { data.alerts.len().saturating_sub(most) };
    if truncated > 0 {
        data.alerts.truncate(most);
    }
    let mut fields = Map::new();
    for (name, value) in data.json_fields().unwrap_or_default() {
        fields.insert(name.into(), serde_json::from_str(&value.json()).unwrap_or(Value::Null));
    }
    fields.insert("version".into(), "4".into());
    fields.insert("groupKey".into(), n.group_key.into());
    fields.insert("truncatedAlerts".into(), truncated.into());
    let url = secret(config.url.as_ref(), config.url_file.as_deref()).await?;
    let token = secret(config.alert_source_token.as_ref(), config.alert_source_token_file.as_deref()).await?;
    let mut request = json_request(url, Value::from(fields).to_string(), timeout(config.timeout.as_deref()));
    if !token.is_empty() {
        request.headers.push(("Authorization".into(), format!("Bearer {token}")));
    }
    send(client, request, &[429]).await.map(|_| ())
}
