//! A configuration's text without its secrets.

use serde_json::Value;

/// Keys whose values are secret wherever they stand.
const SECRET_KEYS: [&str; 33] = [
    "smtp_auth_password",
    "smtp_auth_secret",
    "auth_password",
    "auth_secret",
    "password",
    "credentials",
    "bearer_token",
    "client_secret",
    "client_certificate_key",
    "slack_api_url",
    "slack_app_token",
    "app_token",
    "opsgenie_api_key",
    "victorops_api_key",
    "api_key",
    "wechat_api_secret",
    "api_secret",
    "telegram_bot_token",
    "bot_token",
    "rocketchat_token",
    "rocketchat_token_id",
    "token",
    "token_id",
    "mattermost_webhook_url",
    "webhook_url",
    "routing_key",
    "service_key",
    "user_key",
    "secret_key",
    "alert_source_token",
    "key",
    "secrets",
    "proxy_connect_header",
];

/// The document again, in its order, secrets replaced; comments are lost. An unreadable text gives "".
pub(super) fn redacted(text: &str) -> String {
    let Ok(mut value) = yaml::from_str::<Value>("", text) else { return String::new() };
    hide(&mut value, "");
    let mut out = String::new();
    write(&value, 0, false, &mut out);
    out
}

fn hide(value: &mut Value, section: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let is_secret = SECRET_KEYS.contains(&key.as_str())
                    // These are secret only in some sections.
                    || (key == "url" && matches!(section, "webhook_configs" | "incidentio_configs"))
                    || (key == "api_url" && section == "slack_configs");
                if is_secret && !value.is_null() {
                    *value = Value::from("<secret>");
                } else {
                    let inner = if key.ends_with("_configs") { key.as_str() } else { section };
                    hide(value, inner);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, section)),
        _ => {}
    }
}

fn write(value: &Value, indent: usize, in_list: bool, out: &mut String) {
    let blanks = "  ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (i, (key, value)) in map.iter().enumerate() {
                if !(in_list && i == 0) {
                    out.push_str(&blanks);
                }
                out.push_str(&scalar(key));
                out.push(':');
                nested(value, indent, out);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for value in values {
                out.push_str(&blanks);
                out.push_str("- ");
                match value {
                    Value::Object(map) if !map.is_empty() => write(value, indent + 1, true, out),
                    Value::Array(_) | Value::Object(_) => out.push_str(&format!("{value}\n")),
                    other => out.push_str(&format!("{}\n", plain(other))),
                }
            }
        }
        other => out.push_str(&format!("{}\n", plain(other))),
    }
}

fn nested(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write(value, indent + 1, false, out);
        }
        Value::Array(values) if !values.is_empty() => {
            out.push('\n');
            write(value, indent, false, out);
        }
        other => out.push_str(&format!(" {}\n", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        // JSON is YAML; empty lists and maps, numbers and bools read back the same.
        other => other.to_string(),
    }
}

/// A text that YAML reads back as this text: plain where nothing could be mistaken, else in quotes.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '<')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./<>@:".contains(c))
        && !text.ends_with(':')
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}
