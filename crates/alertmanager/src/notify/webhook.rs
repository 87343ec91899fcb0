//! `webhook_configs`: the notification as JSON, version 4 of upstream's format.

use super::{HttpSender, Notification, NotifyError, json_request, secret, send, timeout};
use crate::{config::receivers::WebhookConfig, template::NotificationData};
use go_template::{Object as _, Value};

pub(super) async fn notify(
    config: &WebhookConfig,
    client: &dyn HttpSender,
    notification: &Notification<'_>,
) -> Result<(), NotifyError> {
    let url = secret(config.url.as_ref(), config.url_file.as_deref()).await?;
    let url = notification.text(Some(&url), "")?;
    let body = body(config, notification)?;
    send(client, json_request(url.trim(), body, timeout(config.timeout.as_deref())), &[429]).await.map(|_| ())
}

fn body(config: &WebhookConfig, notification: &Notification<'_>) -> Result<String, NotifyError> {
    let mut data: NotificationData = notification.data.clone();
    let most = usize::try_from(config.max_alerts).unwrap_or(usize::MAX);
    let truncated = if most == 0 { 0 } else { data.alerts.len().saturating_sub(most) };
    let mut fields = data.json_fields().unwrap_or_default();
    if let Some(payload) = &config.payload {
        let payload = super::incident::render(payload, notification)?;
        return Ok(payload.to_string());
    }
    if truncated > 0 {
        data.alerts.truncate(most);
        // Only the list is cut: common labels are those of all alerts.
        let cut = data.json_fields().unwrap_or_default();
        for (field, cut) in fields.iter_mut().zip(cut) {
            if field.0 == "alerts" {
                field.1 = cut.1;
            }
        }
    }
    fields.push(("version", Value::str("4")));
    fields.push(("groupKey", Value::str(notification.group_key)));
    fields.push(("truncatedAlerts", Value::Int(i64::try_from(truncated).unwrap_or(i64::MAX))));
    Ok(Value::object(Fields(fields)).json())
}

struct Fields(Vec<(&'static str, Value)>);

impl go_template::Object for Fields {
    fn type_name(&self) -> &str {
        "webhook.Message"
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.0.clone())
    }
}
