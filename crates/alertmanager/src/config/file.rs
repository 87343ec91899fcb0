//! The root of `alertmanager.yml` as written.

use super::receivers::ReceiverConfig;
use crate::time_interval::TimeIntervalConfig;
use http_client::{HttpClientConfig, Secret, TlsConfig};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) global: Option<Global>,
    pub(super) route: Option<RouteConfig>,
    pub(super) inhibit_rules: Vec<Option<InhibitConfig>>,
    pub(super) receivers: Vec<ReceiverConfig>,
    pub(super) templates: Vec<String>,
    pub(super) mute_time_intervals: Vec<NamedIntervals>,
    pub(super) time_intervals: Vec<NamedIntervals>,
    pub(super) tracing: Option<serde_json::Value>,
    pub(super) event_recorder: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NamedIntervals {
    pub(super) name: String,
    pub(super) time_intervals: Vec<TimeIntervalConfig>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InhibitConfig {
    pub(super) name: Option<String>,
    pub(super) source_match: BTreeMap<String, Option<String>>,
    pub(super) source_match_re: BTreeMap<String, Option<String>>,
    pub(super) source_matchers: Vec<String>,
    pub(super) target_match: BTreeMap<String, Option<String>>,
    pub(super) target_match_re: BTreeMap<String, Option<String>>,
    pub(super) target_matchers: Vec<String>,
    pub(super) equal: Vec<String>,
}

/// `route`, and each of `routes`. What is absent is taken from the parent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RouteConfig {
    pub(super) receiver: Option<String>,
    pub(super) group_by: Option<Vec<String>>,
    pub(super) r#match: BTreeMap<String, Option<String>>,
    pub(super) match_re: BTreeMap<String, Option<String>>,
    pub(super) matchers: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) mute_time_intervals: Vec<String>,
    pub(super) active_time_intervals: Vec<String>,
    pub(super) r#continue: bool,
    pub(super) routes: Vec<RouteConfig>,
    pub(super) group_wait: Option<String>,
    pub(super) group_interval: Option<String>,
    pub(super) repeat_interval: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Global {
    pub(super) resolve_timeout: Option<String>,
    pub(super) http_config: Option<HttpClientConfig>,
    pub(super) smtp_from: Option<String>,
    pub(super) smtp_hello: Option<String>,
    pub(super) smtp_smarthost: Option<String>,
    pub(super) smtp_auth_username: Option<String>,
    pub(super) smtp_auth_password: Option<Secret>,
    pub(super) smtp_auth_password_file: Option<String>,
    pub(super) smtp_auth_secret: Option<Secret>,
    pub(super) smtp_auth_secret_file: Option<String>,
    pub(super) smtp_auth_identity: Option<String>,
    pub(super) smtp_require_tls: Option<bool>,
    pub(super) smtp_tls_config: Option<TlsConfig>,
    pub(super) smtp_force_implicit_tls: Option<bool>,
    pub(super) slack_api_url: Option<Secret>,
    pub(super) slack_api_url_file: Option<String>,
    pub(super) slack_app_token: Option<Secret>,
    pub(super) slack_app_token_file: Option<String>,
    pub(super) slack_app_url: Option<String>,
    pub(super) pagerduty_url: Option<String>,
    pub(super) opsgenie_api_url: Option<String>,
    pub(super) opsgenie_api_key: Option<Secret>,
    pub(super) opsgenie_api_key_file: Option<String>,
    pub(super) wechat_api_url: Option<String>,
    pub(super) wechat_api_secret: Option<Secret>,
    pub(super) wechat_api_secret_file: Option<String>,
    pub(super) wechat_api_corp_id: Option<String>,
    pub(super) victorops_api_url: Option<String>,
    pub(super) victorops_api_key: Option<Secret>,
    pub(super) victorops_api_key_file: Option<String>,
    pub(super) telegram_api_url: Option<String>,
    pub(super) telegram_bot_token: Option<Secret>,
    pub(super) telegram_bot_token_file: Option<String>,
    pub(super) webex_api_url: Option<String>,
    pub(super) jira_api_url: Option<String>,
    pub(super) rocketchat_api_url: Option<String>,
    pub(super) rocketchat_token: Option<Secret>,
    pub(super) rocketchat_token_file: Option<String>,
    pub(super) rocketchat_token_id: Option<Secret>,
    pub(super) rocketchat_token_id_file: Option<String>,
    pub(super) mattermost_webhook_url: Option<Secret>,
    pub(super) mattermost_webhook_url_file: Option<String>,
}
