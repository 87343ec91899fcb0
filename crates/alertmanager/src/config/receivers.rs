//! The `<type>_configs` sections as written. Texts are templates unless said; secrets never are shown.
//!
//! Source of keys: Alertmanager's configuration reference.

use http_client::{HttpClientConfig, Secret, TlsConfig};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A section with the two keys that every receiver type has beside its own.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($field:ident : $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Whether resolved alerts are told, too; each type has its own default.
            pub send_resolved: Option<bool>,
            pub http_config: Option<HttpClientConfig>,
            $(pub $field: $type,)*
        }
    };
}

/// A structure inside a section.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($field:ident : $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(pub $field: $type,)*
        }
    };
}

type Text = Option<String>;
type Hidden = Option<Secret>;
type Texts = BTreeMap<String, String>;

section!(WebhookConfig {
    url: Hidden,
    url_file: Text,
    max_alerts: u64,
    timeout: Text,
    payload: Option<serde_json::Value>,
});
section!(EmailConfig {
    to: Text,
    from: Text,
    smarthost: Text,
    hello: Text,
    auth_username: Text,
    auth_password: Hidden,
    auth_password_file: Text,
    auth_secret: Hidden,
    auth_secret_file: Text,
    auth_identity: Text,
    require_tls: Option<bool>,
    force_implicit_tls: Option<bool>,
    tls_config: Option<TlsConfig>,
    html: Text,
    text: Text,
    headers: Texts,
    threading: EmailThreading,
});
part!(EmailThreading { enabled: bool, thread_by_date: Text });
section!(SlackConfig {
    api_url: Hidden,
    api_url_file: Text,
    app_token: Hidden,
    app_token_file: Text,
    app_url: Text,
    channel: Text,
    username: Text,
    color: Text,
    title: Text,
    title_link: Text,
    pretext: Text,
    text: Text,
    message_text: Text,
    fields: Vec<SlackField>,
    short_fields: bool,
    footer: Text,
    fallback: Text,
    callback_id: Text,
    icon_emoji: Text,
    icon_url: Text,
    image_url: Text,
    thumb_url: Text,
    link_names: bool,
    mrkdwn_in: Option<Vec<String>>,
    actions: Vec<SlackAction>,
    timeout: Text,
    update_message: bool,
});
part!(SlackField { title: String, value: String, short: Option<bool> });
part!(SlackAction {
    r#type: String,
    text: String,
    url: Text,
    style: Text,
    name: Text,
    value: Text,
    confirm: Option<SlackConfirm>,
});
part!(SlackConfirm { text: String, title: Text, ok_text: Text, dismiss_text: Text });
section!(PagerdutyConfig {
    routing_key: Hidden,
    routing_key_file: Text,
    service_key: Hidden,
    service_key_file: Text,
    url: Text,
    client: Text,
    client_url: Text,
    description: Text,
    details: BTreeMap<String, serde_json::Value>,
    images: Vec<PagerdutyImage>,
    links: Vec<PagerdutyLink>,
    source: Text,
    severity: Text,
    class: Text,
    component: Text,
    group: Text,
    timeout: Text,
});
part!(PagerdutyImage { href: Text, src: Text, alt: Text });
part!(PagerdutyLink { href: Text, text: Text });
section!(OpsgenieConfig {
    api_key: Hidden,
    api_key_file: Text,
    api_url: Text,
    message: Text,
    description: Text,
    source: Text,
    details: Texts,
    entity: Text,
    responders: Vec<OpsgenieResponder>,
    actions: Text,
    tags: Text,
    note: Text,
    priority: Text,
    update_alerts: bool,
});
part!(OpsgenieResponder { id: Text, name: Text, username: Text, r#type: String });
section!(VictoropsConfig {
    api_key: Hidden,
    api_key_file: Text,
    api_url: Text,
    routing_key: Text,
    message_type: Text,
    state_message: Text,
    entity_display_name: Text,
    monitoring_tool: Text,
    custom_fields: Texts,
});
section!(PushoverConfig {
    user_key: Hidden,
    user_key_file: Text,
    token: Hidden,
    token_file: Text,
    title: Text,
    message: Text,
    url: Text,
    url_title: Text,
    device: Text,
    sound: Text,
    priority: Text,
    retry: Text,
    expire: Text,
    ttl: Text,
    html: bool,
    monospace: bool,
});
section!(TelegramConfig {
    api_url: Text,
    bot_token: Hidden,
    bot_token_file: Text,
    chat_id: Option<i64>,
    chat_id_file: Text,
    message_thread_id: Option<i64>,
    message: Text,
    disable_notifications: bool,
    parse_mode: Text,
});
section!(DiscordConfig {
    webhook_url: Hidden,
    webhook_url_file: Text,
    content: Text,
    title: Text,
    message: Text,
    username: Text,
    avatar_url: Text,
});
section!(MsteamsConfig { webhook_url: Hidden, webhook_url_file: Text, title: Text, summary: Text, text: Text });
section!(Msteamsv2Config { webhook_url: Hidden, webhook_url_file: Text, title: Text, text: Text });
section!(WebexConfig { api_url: Text, message: Text, room_id: Text });
section!(SnsConfig {
    api_url: Text,
    sigv4: Sigv4Config,
    topic_arn: Text,
    phone_number: Text,
    target_arn: Text,
    subject: Text,
    message: Text,
    attributes: Texts,
    use_aws_http_client: Option<bool>,
});
part!(Sigv4Config {
    region: Text,
    access_key: Text,
    secret_key: Hidden,
    profile: Text,
    role_arn: Text,
    external_id: Text,
    use_fips_sts_endpoint: Option<bool>,
});
section!(WechatConfig {
    api_secret: Hidden,
    api_secret_file: Text,
    corp_id: Text,
    message: Text,
    api_url: Text,
    to_user: Text,
    to_party: Text,
    to_tag: Text,
    agent_id: Text,
    message_type: Text,
});
section!(RocketchatConfig {
    api_url: Text,
    token: Hidden,
    token_file: Text,
    token_id: Hidden,
    token_id_file: Text,
    channel: Text,
    color: Text,
    title: Text,
    title_link: Text,
    text: Text,
    fields: Vec<RocketchatField>,
    short_fields: bool,
    emoji: Text,
    icon_url: Text,
    image_url: Text,
    thumb_url: Text,
    link_names: bool,
    actions: Vec<RocketchatAction>,
});
part!(RocketchatField { title: Text, value: Text, short: Option<bool> });
part!(RocketchatAction { r#type: Text, text: Text, url: Text, msg: Text });
section!(JiraConfig {
    api_url: Text,
    api_type: Text,
    project: Text,
    summary: Option<serde_json::Value>,
    description: Option<serde_json::Value>,
    labels: Vec<String>,
    priority: Text,
    issue_type: Text,
    resolve_transition: Text,
    reopen_transition: Text,
    wont_fix_resolution: Text,
    reopen_duration: Text,
    fields: BTreeMap<String, serde_json::Value>,
    custom_fields: BTreeMap<String, serde_json::Value>,
});
section!(IncidentioConfig {
    url: Hidden,
    url_file: Text,
    alert_source_token: Hidden,
    alert_source_token_file: Text,
    max_alerts: u64,
    timeout: Text,
});
section!(MattermostConfig {
    webhook_url: Hidden,
    webhook_url_file: Text,
    channel: Text,
    username: Text,
    icon_url: Text,
    icon_emoji: Text,
    fallback: Text,
    color: Text,
    pretext: Text,
    text: Text,
    author_name: Text,
    author_link: Text,
    author_icon: Text,
    title: Text,
    title_link: Text,
    fields: Vec<SlackField>,
    thumb_url: Text,
    footer: Text,
    footer_icon: Text,
    image_url: Text,
    attachments: Vec<serde_json::Value>,
    props: Option<MattermostProps>,
    priority: Option<MattermostPriority>,
});
part!(MattermostProps { card: Text });
part!(MattermostPriority { priority: Text, requested_ack: Option<bool>, persistent_notifications: Option<bool> });

/// `receivers[]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverConfig {
    pub name: String,
    /// For filters of the API.
    pub labels: Texts,
    pub webhook_configs: Vec<WebhookConfig>,
    pub email_configs: Vec<EmailConfig>,
    pub slack_configs: Vec<SlackConfig>,
    pub pagerduty_configs: Vec<PagerdutyConfig>,
    pub opsgenie_configs: Vec<OpsgenieConfig>,
    pub victorops_configs: Vec<VictoropsConfig>,
    pub pushover_configs: Vec<PushoverConfig>,
    pub telegram_configs: Vec<TelegramConfig>,
    pub discord_configs: Vec<DiscordConfig>,
    pub msteams_configs: Vec<MsteamsConfig>,
    pub msteamsv2_configs: Vec<Msteamsv2Config>,
    pub webex_configs: Vec<WebexConfig>,
    pub sns_configs: Vec<SnsConfig>,
    pub wechat_configs: Vec<WechatConfig>,
    pub rocketchat_configs: Vec<RocketchatConfig>,
    pub jira_configs: Vec<JiraConfig>,
    pub incidentio_configs: Vec<IncidentioConfig>,
    pub mattermost_configs: Vec<MattermostConfig>,
}

/// One integration of a receiver, with what `global` fills in.
#[derive(Clone, Debug)]
pub enum IntegrationConfig {
    Webhook(WebhookConfig),
    Email(EmailConfig),
    Slack(SlackConfig),
    Pagerduty(PagerdutyConfig),
    Opsgenie(OpsgenieConfig),
    Victorops(VictoropsConfig),
    Pushover(PushoverConfig),
    Telegram(TelegramConfig),
    Discord(DiscordConfig),
    Msteams(MsteamsConfig),
    Msteamsv2(Msteamsv2Config),
    Webex(WebexConfig),
    Sns(SnsConfig),
    Wechat(WechatConfig),
    Rocketchat(RocketchatConfig),
    Jira(JiraConfig),
    Incidentio(IncidentioConfig),
    Mattermost(MattermostConfig),
}

impl IntegrationConfig {
    /// Upstream's name of the type, as in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            IntegrationConfig::Webhook(_) => "webhook",
            IntegrationConfig::Email(_) => "email",
            IntegrationConfig::Slack(_) => "slack",
            IntegrationConfig::Pagerduty(_) => "pagerduty",
            IntegrationConfig::Opsgenie(_) => "opsgenie",
            IntegrationConfig::Victorops(_) => "victorops",
            IntegrationConfig::Pushover(_) => "pushover",
            IntegrationConfig::Telegram(_) => "telegram",
            IntegrationConfig::Discord(_) => "discord",
            IntegrationConfig::Msteams(_) => "msteams",
            IntegrationConfig::Msteamsv2(_) => "msteamsv2",
            IntegrationConfig::Webex(_) => "webex",
            IntegrationConfig::Sns(_) => "sns",
            IntegrationConfig::Wechat(_) => "wechat",
            IntegrationConfig::Rocketchat(_) => "rocketchat",
            IntegrationConfig::Jira(_) => "jira",
            IntegrationConfig::Incidentio(_) => "incidentio",
            IntegrationConfig::Mattermost(_) => "mattermost",
        }
    }

    /// Whether resolved alerts are told, too, with the type's default.
    pub fn send_resolved(&self) -> bool {
        let (own, default) = match self {
            IntegrationConfig::Webhook(c) => (c.send_resolved, true),
            IntegrationConfig::Email(c) => (c.send_resolved, false),
            IntegrationConfig::Slack(c) => (c.send_resolved, false),
            IntegrationConfig::Pagerduty(c) => (c.send_resolved, true),
            IntegrationConfig::Opsgenie(c) => (c.send_resolved, true),
            IntegrationConfig::Victorops(c) => (c.send_resolved, true),
            IntegrationConfig::Pushover(c) => (c.send_resolved, true),
            IntegrationConfig::Telegram(c) => (c.send_resolved, true),
            IntegrationConfig::Discord(c) => (c.send_resolved, true),
            IntegrationConfig::Msteams(c) => (c.send_resolved, true),
            IntegrationConfig::Msteamsv2(c) => (c.send_resolved, true),
            IntegrationConfig::Webex(c) => (c.send_resolved, true),
            IntegrationConfig::Sns(c) => (c.send_resolved, true),
            IntegrationConfig::Wechat(c) => (c.send_resolved, false),
            IntegrationConfig::Rocketchat(c) => (c.send_resolved, false),
            IntegrationConfig::Jira(c) => (c.send_resolved, true),
            IntegrationConfig::Incidentio(c) => (c.send_resolved, true),
            IntegrationConfig::Mattermost(c) => (c.send_resolved, true),
        };
        own.unwrap_or(default)
    }

    /// `http_config`; email has none.
    pub fn http_config(&self) -> HttpClientConfig {
        match self {
            IntegrationConfig::Webhook(c) => &c.http_config,
            IntegrationConfig::Email(c) => &c.http_config,
            IntegrationConfig::Slack(c) => &c.http_config,
            IntegrationConfig::Pagerduty(c) => &c.http_config,
            IntegrationConfig::Opsgenie(c) => &c.http_config,
            IntegrationConfig::Victorops(c) => &c.http_config,
            IntegrationConfig::Pushover(c) => &c.http_config,
            IntegrationConfig::Telegram(c) => &c.http_config,
            IntegrationConfig::Discord(c) => &c.http_config,
            IntegrationConfig::Msteams(c) => &c.http_config,
            IntegrationConfig::Msteamsv2(c) => &c.http_config,
            IntegrationConfig::Webex(c) => &c.http_config,
            IntegrationConfig::Sns(c) => &c.http_config,
            IntegrationConfig::Wechat(c) => &c.http_config,
            IntegrationConfig::Rocketchat(c) => &c.http_config,
            IntegrationConfig::Jira(c) => &c.http_config,
            IntegrationConfig::Incidentio(c) => &c.http_config,
            IntegrationConfig::Mattermost(c) => &c.http_config,
        }
        .clone()
        .unwrap_or_default()
    }
}
