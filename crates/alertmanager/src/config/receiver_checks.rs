//! What each receiver type needs, and what `global` fills in.

use super::{check::Check, receivers::*};
use http_client::Secret;
use std::collections::BTreeSet;

const SLACK_BOT_URL: &str = "https://slack.com/api/chat.postMessage";

fn has(value: &Option<Secret>) -> bool {
    value.as_ref().is_some_and(|value| !value.is_empty())
}

fn has_text(value: &Option<String>) -> bool {
    value.as_ref().is_some_and(|value| !value.is_empty())
}

fn fill<T: Clone>(own: &mut Option<T>, global: &Option<T>) {
    if own.is_none() {
        own.clone_from(global);
    }
}

/// Takes both from `global` if the section has neither.
fn fill_pair(own: (&mut Option<Secret>, &mut Option<String>), global: (&Option<Secret>, &Option<String>)) {
    if !has(own.0) && !has_text(own.1) {
        own.0.clone_from(global.0);
        own.1.clone_from(global.1);
    }
}

fn fill_url(own: &mut Option<String>, global: &Option<String>, default: &str) {
    fill(own, global);
    let mut url = own.take().filter(|url| !url.is_empty()).unwrap_or_else(|| default.to_owned());
    if default.ends_with('/') && !url.ends_with('/') {
        url.push('/');
    }
    *own = Some(url);
}

/// As upstream: a scheme of HTTP and a host; templates are left alone.
fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    url.contains("{{") || rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

impl Check<'_> {
    fn url(&mut self, path: &str, url: Option<&str>) {
        if let Some(url) = url.filter(|url| !url.is_empty() && !is_url(url)) {
            let scheme = url.split(':').next().unwrap_or_default();
            let message = if url.contains("://") && scheme != "http" && scheme != "https" {
                format!("unsupported scheme {scheme:?} for URL")
            } else {
                "missing host for URL".to_owned()
            };
            self.add_fault(path, &message);
        }
    }

    pub(super) fn webhook(&mut self, path: &str, section: &mut WebhookConfig) {
        self.one_of(
            path,
            "one of url or url_file must be configured",
            ("url", "url_file"),
            &section.url,
            &mut section.url_file,
        );
        self.url(&format!("{path}.url"), section.url.as_ref().map(Secret::expose));
        self.check_duration(&format!("{path}.timeout"), section.timeout.as_deref());
    }

    pub(super) fn email(&mut self, path: &str, section: &mut EmailConfig) {
        let global = self.global().clone();
        if !has_text(&section.to) {
            self.add_fault(path, "missing to address in email config");
        }
        let mut seen = BTreeSet::new();
        for name in section.headers.keys() {
            if !seen.insert(name.to_ascii_lowercase()) {
                self.add_fault(&format!("{path}.headers"), &format!("duplicate header {name:?} in email config"));
            }
        }
        fill(&mut section.from, &global.smtp_from);
        fill(&mut section.smarthost, &global.smtp_smarthost);
        fill(&mut section.hello, &global.smtp_hello);
        fill(&mut section.auth_username, &global.smtp_auth_username);
        fill(&mut section.auth_identity, &global.smtp_auth_identity);
        fill_pair(
            (&mut section.auth_password, &mut section.auth_password_file),
            (&global.smtp_auth_password, &global.smtp_auth_password_file),
        );
        fill_pair(
            (&mut section.auth_secret, &mut section.auth_secret_file),
            (&global.smtp_auth_secret, &global.smtp_auth_secret_file),
        );
        fill(&mut section.require_tls, &global.smtp_require_tls);
        fill(&mut section.force_implicit_tls, &global.smtp_force_implicit_tls);
        fill(&mut section.tls_config, &global.smtp_tls_config);
        if has(&section.auth_password) && has_text(&section.auth_password_file) {
            self.add_fault(path, "at most one of auth_password & auth_password_file must be configured");
        }
        match section.smarthost.as_deref().filter(|host| !host.is_empty()) {
            None => self.add_fault(path, "no global SMTP smarthost set"),
            Some(host) if host.rsplit_once(':').is_none_or(|(_, port)| port.is_empty()) => {
                self.add_fault(path, &format!("address {host}: missing port; write host:port"));
            }
            Some(_) => {}
        }
        if !has_text(&section.from) {
            self.add_fault(path, "no global SMTP from set");
        }
        if !matches!(section.threading.thread_by_date.as_deref(), None | Some("" | "daily" | "none")) {
            self.add_fault(&format!("{path}.threading.thread_by_date"), "thread_by_date must be \"daily\" or \"none\"");
        }
        self.resolve_file(&mut section.auth_password_file);
        self.resolve_file(&mut section.auth_secret_file);
        self.resolve_path_in(&mut section.tls_config);
    }

    pub(super) fn slack(&mut self, path: &str, section: &mut SlackConfig) {
        let global = self.global().clone();
        if has(&section.api_url) && has_text(&section.api_url_file) {
            self.add_fault(path, "at most one of api_url & api_url_file must be configured");
        }
        if has(&section.app_token) && has_text(&section.app_token_file) {
            self.add_fault(path, "at most one of app_token & app_token_file must be configured");
        }
        let own_url = has(&section.api_url) || has_text(&section.api_url_file);
        let own_token = has(&section.app_token) || has_text(&section.app_token_file);
        if own_url && own_token {
            self.add_fault(path, "at most one of app_token/app_token_file & api_url/api_url_file must be configured");
        }
        if !own_url {
            fill_pair(
                (&mut section.app_token, &mut section.app_token_file),
                (&global.slack_app_token, &global.slack_app_token_file),
            );
        }
        let with_own_credentials = section.http_config.as_ref().is_some_and(|http| http.authorization.is_some());
        let has_token = has(&section.app_token) || has_text(&section.app_token_file);
        fill(&mut section.app_url, &global.slack_app_url);
        if has_token && !with_own_credentials {
            let url = section.app_url.clone().filter(|url| !url.is_empty()).unwrap_or_else(|| SLACK_BOT_URL.into());
            section.api_url = Some(Secret::new(url));
        } else if !own_url {
            fill_pair(
                (&mut section.api_url, &mut section.api_url_file),
                (&global.slack_api_url, &global.slack_api_url_file),
            );
        }
        if !has(&section.api_url) && !has_text(&section.api_url_file) {
            self.add_fault(path, "no Slack API URL nor App token set either inline or in a file");
        }
        if section.update_message && section.api_url.as_ref().map(Secret::expose) != Some(SLACK_BOT_URL) {
            self.add_fault(
                &format!("{path}.update_message"),
                "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage",
            );
        }
        for (i, field) in section.fields.iter().enumerate() {
            if field.title.is_empty() {
                self.add_fault(&format!("{path}.fields[{i}]"), "missing title in Slack field configuration");
            }
            if field.value.is_empty() {
                self.add_fault(&format!("{path}.fields[{i}]"), "missing value in Slack field configuration");
            }
        }
        for (i, action) in section.actions.iter().enumerate() {
            let path = format!("{path}.actions[{i}]");
            if action.r#type.is_empty() {
                self.add_fault(&path, "missing type in Slack action configuration");
            }
            if action.text.is_empty() {
                self.add_fault(&path, "missing text in Slack action configuration");
            }
            if !has_text(&action.url) && !has_text(&action.name) {
                self.add_fault(&path, "missing name or url in Slack action configuration");
            }
            if action.confirm.as_ref().is_some_and(|confirm| confirm.text.is_empty()) {
                self.add_fault(&path, "missing text in Slack confirmation configuration");
            }
        }
        self.url(&format!("{path}.api_url"), section.api_url.as_ref().map(Secret::expose));
        self.check_duration(&format!("{path}.timeout"), section.timeout.as_deref());
        self.resolve_file(&mut section.api_url_file);
        self.resolve_file(&mut section.app_token_file);
    }

    pub(super) fn pagerduty(&mut self, path: &str, section: &mut PagerdutyConfig) {
        let routing = has(&section.routing_key) || has_text(&section.routing_key_file);
        let service = has(&section.service_key) || has_text(&section.service_key_file);
        if !routing && !service {
            self.add_fault(path, "missing service or routing key in PagerDuty config");
        }
        if has(&section.routing_key) && has_text(&section.routing_key_file) {
            self.add_fault(path, "at most one of routing_key & routing_key_file must be configured");
        }
        if has(&section.service_key) && has_text(&section.service_key_file) {
            self.add_fault(path, "at most one of service_key & service_key_file must be configured");
        }
        let global = self.global().pagerduty_url.clone();
        fill_url(&mut section.url, &global, "https://events.pagerduty.com/v2/enqueue");
        self.url(&format!("{path}.url"), section.url.as_deref());
        self.check_duration(&format!("{path}.timeout"), section.timeout.as_deref());
        self.resolve_file(&mut section.routing_key_file);
        self.resolve_file(&mut section.service_key_file);
    }

    pub(super) fn opsgenie(&mut self, path: &str, section: &mut OpsgenieConfig) {
        let global = self.global().clone();
        if has(&section.api_key) && has_text(&section.api_key_file) {
            self.add_fault(path, "at most one of api_key & api_key_file must be configured");
        }
        fill_pair(
            (&mut section.api_key, &mut section.api_key_file),
            (&global.opsgenie_api_key, &global.opsgenie_api_key_file),
        );
        if !has(&section.api_key) && !has_text(&section.api_key_file) {
            self.add_fault(path, "no global OpsGenie API Key set either inline or in a file");
        }
        fill_url(&mut section.api_url, &global.opsgenie_api_url, "https://api.opsgenie.com/");
        for (i, responder) in section.responders.iter().enumerate() {
            let path = format!("{path}.responders[{i}]");
            if !has_text(&responder.id) && !has_text(&responder.name) && !has_text(&responder.username) {
                self.add_fault(
                    &path,
                    "opsGenieConfig responder has to have at least one of id, username or name specified",
                );
            }
            let known =
                ["team", "teams", "user", "escalation", "schedule"].contains(&responder.r#type.to_lowercase().as_str());
            if !known && !responder.r#type.contains("{{") {
                self.add_fault(&path, &format!("opsGenieConfig responder type {:?} is not valid", responder.r#type));
            }
        }
        self.resolve_file(&mut section.api_key_file);
    }

    pub(super) fn victorops(&mut self, path: &str, section: &mut VictoropsConfig) {
        let global = self.global().clone();
        if has(&section.api_key) && has_text(&section.api_key_file) {
            self.add_fault(path, "at most one of api_key & api_key_file must be configured");
        }
        fill_pair(
            (&mut section.api_key, &mut section.api_key_file),
            (&global.victorops_api_key, &global.victorops_api_key_file),
        );
        if !has(&section.api_key) && !has_text(&section.api_key_file) {
            self.add_fault(path, "no global VictorOps API Key set");
        }
        if !has_text(&section.routing_key) {
            self.add_fault(path, "missing Routing key in VictorOps config");
        }
        for name in section.custom_fields.keys() {
            if [
                "routing_key",
                "message_type",
                "state_message",
                "entity_display_name",
                "monitoring_tool",
                "entity_id",
                "entity_state",
            ]
            .contains(&name.as_str())
            {
                self.add_fault(&format!("{path}.custom_fields"), &format!("victorOps config contains custom field {name} which cannot be used as it conflicts with the fixed/static fields"));
            }
        }
        fill_url(
            &mut section.api_url,
            &global.victorops_api_url,
            "https://alert.victorops.com/integrations/generic/20131114/alert/",
        );
        self.resolve_file(&mut section.api_key_file);
    }

    pub(super) fn pushover(&mut self, path: &str, section: &mut PushoverConfig) {
        self.one_of(
            path,
            "one of user_key or user_key_file must be configured",
            ("user_key", "user_key_file"),
            &section.user_key,
            &mut section.user_key_file,
        );
        self.one_of(
            path,
            "one of token or token_file must be configured",
            ("token", "token_file"),
            &section.token,
            &mut section.token_file,
        );
        if section.html && section.monospace {
            self.add_fault(path, "at most one of monospace & html must be configured");
        }
        for (key, text) in [("retry", &section.retry), ("expire", &section.expire), ("ttl", &section.ttl)] {
            self.check_duration(&format!("{path}.{key}"), text.as_deref());
        }
    }

    pub(super) fn telegram(&mut self, path: &str, section: &mut TelegramConfig) {
        let global = self.global().clone();
        if has(&section.bot_token) && has_text(&section.bot_token_file) {
            self.add_fault(path, "at most one of telegram_bot_token & telegram_bot_token_file must be configured (here bot_token & bot_token_file)");
        }
        fill_pair(
            (&mut section.bot_token, &mut section.bot_token_file),
            (&global.telegram_bot_token, &global.telegram_bot_token_file),
        );
        if !has(&section.bot_token) && !has_text(&section.bot_token_file) {
            self.add_fault(path, "missing bot_token or bot_token_file on telegram_config");
        }
        match (section.chat_id.unwrap_or(0), has_text(&section.chat_id_file)) {
            (0, false) => self.add_fault(path, "missing chat_id or chat_id_file on telegram_config"),
            (id, true) if id != 0 => self.add_fault(path, "at most one of chat_id & chat_id_file must be configured"),
            _ => {}
        }
        if !matches!(section.parse_mode.as_deref(), None | Some("" | "Markdown" | "MarkdownV2" | "HTML")) {
            self.add_fault(
                &format!("{path}.parse_mode"),
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string",
            );
        }
        fill_url(&mut section.api_url, &global.telegram_api_url, "https://api.telegram.org");
        self.resolve_file(&mut section.bot_token_file);
        self.resolve_file(&mut section.chat_id_file);
    }

    pub(super) fn discord(&mut self, path: &str, section: &mut DiscordConfig) {
        self.one_of(
            path,
            "missing webhook_url or webhook_url_file on discord_config",
            ("webhook_url", "webhook_url_file"),
            &section.webhook_url,
            &mut section.webhook_url_file,
        );
        self.url(&format!("{path}.webhook_url"), section.webhook_url.as_ref().map(Secret::expose));
    }

    pub(super) fn msteams(&mut self, path: &str, section: &mut MsteamsConfig) {
        self.one_of(
            path,
            "missing webhook_url or webhook_url_file on msteams_config",
            ("webhook_url", "webhook_url_file"),
            &section.webhook_url,
            &mut section.webhook_url_file,
        );
        self.url(&format!("{path}.webhook_url"), section.webhook_url.as_ref().map(Secret::expose));
    }

    pub(super) fn msteamsv2(&mut self, path: &str, section: &mut Msteamsv2Config) {
        self.one_of(
            path,
            "missing webhook_url or webhook_url_file on msteamsv2_config",
            ("webhook_url", "webhook_url_file"),
            &section.webhook_url,
            &mut section.webhook_url_file,
        );
        self.url(&format!("{path}.webhook_url"), section.webhook_url.as_ref().map(Secret::expose));
    }

    pub(super) fn webex(&mut self, path: &str, section: &mut WebexConfig) {
        let global = self.global().webex_api_url.clone();
        fill_url(&mut section.api_url, &global, "https://webexapis.com/v1/messages");
        if !has_text(&section.room_id) {
            self.add_fault(path, "missing room_id on webex_config");
        }
        if section.http_config.as_ref().is_none_or(|http| http.authorization.is_none()) {
            self.add_fault(path, "missing webex_configs.http_config.authorization");
        }
    }

    pub(super) fn sns(&mut self, path: &str, section: &mut SnsConfig) {
        if !has_text(&section.target_arn) && !has_text(&section.topic_arn) && !has_text(&section.phone_number) {
            self.add_fault(path, "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config");
        }
        if has_text(&section.sigv4.access_key) != has(&section.sigv4.secret_key) {
            self.add_fault(
                &format!("{path}.sigv4"),
                "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
            );
        }
    }

    pub(super) fn wechat(&mut self, path: &str, section: &mut WechatConfig) {
        let global = self.global().clone();
        if has(&section.api_secret) && has_text(&section.api_secret_file) {
            self.add_fault(path, "at most one of api_secret & api_secret_file must be configured");
        }
        fill_pair(
            (&mut section.api_secret, &mut section.api_secret_file),
            (&global.wechat_api_secret, &global.wechat_api_secret_file),
        );
        if !has(&section.api_secret) && !has_text(&section.api_secret_file) {
            self.add_fault(path, "no global Wechat Api Secret set either inline or in a file");
        }
        fill(&mut section.corp_id, &global.wechat_api_corp_id);
        if !has_text(&section.corp_id) {
            self.add_fault(path, "no global Wechat CorpID set");
        }
        if !matches!(section.message_type.as_deref(), None | Some("" | "text" | "markdown")) {
            self.add_fault(
                &format!("{path}.message_type"),
                "weChat message type does not match valid options text or markdown",
            );
        }
        fill_url(&mut section.api_url, &global.wechat_api_url, "https://qyapi.weixin.qq.com/cgi-bin/");
        self.resolve_file(&mut section.api_secret_file);
    }

    pub(super) fn rocketchat(&mut self, path: &str, section: &mut RocketchatConfig) {
        let global = self.global().clone();
        if has(&section.token) && has_text(&section.token_file) {
            self.add_fault(path, "at most one of token & token_file must be configured");
        }
        if has(&section.token_id) && has_text(&section.token_id_file) {
            self.add_fault(path, "at most one of token_id & token_id_file must be configured");
        }
        fill_pair(
            (&mut section.token, &mut section.token_file),
            (&global.rocketchat_token, &global.rocketchat_token_file),
        );
        fill_pair(
            (&mut section.token_id, &mut section.token_id_file),
            (&global.rocketchat_token_id, &global.rocketchat_token_id_file),
        );
        if !has(&section.token) && !has_text(&section.token_file) {
            self.add_fault(path, "no global Rocketchat Token set either inline or in a file");
        }
        if !has(&section.token_id) && !has_text(&section.token_id_file) {
            self.add_fault(path, "no global Rocketchat TokenID set either inline or in a file");
        }
        fill_url(&mut section.api_url, &global.rocketchat_api_url, "https://open.rocket.chat/");
        self.resolve_file(&mut section.token_file);
        self.resolve_file(&mut section.token_id_file);
    }

    pub(super) fn jira(&mut self, path: &str, section: &mut JiraConfig) {
        if !has_text(&section.project) {
            self.add_fault(path, "missing project in jira_config");
        }
        if !has_text(&section.issue_type) {
            self.add_fault(path, "missing issue_type in jira_config");
        }
        if !matches!(section.api_type.as_deref(), None | Some("" | "auto" | "cloud" | "datacenter")) {
            self.add_fault(
                &format!("{path}.api_type"),
                "unknown api_type on jira_config, must be auto, cloud or datacenter",
            );
        }
        let global = self.global().jira_api_url.clone();
        fill(&mut section.api_url, &global);
        if !has_text(&section.api_url) {
            self.add_fault(path, "no global Jira Cloud URL set");
        } else {
            fill_url(&mut section.api_url, &None, "/");
        }
        self.check_duration(&format!("{path}.reopen_duration"), section.reopen_duration.as_deref());
    }

    pub(super) fn incidentio(&mut self, path: &str, section: &mut IncidentioConfig) {
        self.one_of(
            path,
            "one of url or url_file must be configured",
            ("url", "url_file"),
            &section.url,
            &mut section.url_file,
        );
        let credentials = section.http_config.as_ref().is_some_and(|http| http.authorization.is_some());
        let token = has(&section.alert_source_token) || has_text(&section.alert_source_token_file);
        if !token && !credentials {
            self.add_fault(path, "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured");
        }
        if has(&section.alert_source_token) && has_text(&section.alert_source_token_file) {
            self.add_fault(path, "at most one of alert_source_token & alert_source_token_file must be configured");
        }
        self.url(&format!("{path}.url"), section.url.as_ref().map(Secret::expose));
        self.check_duration(&format!("{path}.timeout"), section.timeout.as_deref());
        self.resolve_file(&mut section.alert_source_token_file);
    }

    pub(super) fn mattermost(&mut self, path: &str, section: &mut MattermostConfig) {
        let global = self.global().clone();
        if has(&section.webhook_url) && has_text(&section.webhook_url_file) {
            self.add_fault(path, "at most one of webhook_url & webhook_url_file must be configured");
        }
        fill_pair(
            (&mut section.webhook_url, &mut section.webhook_url_file),
            (&global.mattermost_webhook_url, &global.mattermost_webhook_url_file),
        );
        if !has(&section.webhook_url) && !has_text(&section.webhook_url_file) {
            self.add_fault(path, "missing webhook_url or webhook_url_file on mattermost_config");
        }
        self.url(&format!("{path}.webhook_url"), section.webhook_url.as_ref().map(Secret::expose));
        self.resolve_file(&mut section.webhook_url_file);
    }
}
