//! From what is written to what is used: defaults, inheritance, contradictions.

use super::{
    Config, InhibitRule, Receiver,
    file::{File, Global, InhibitConfig, RouteConfig},
    receivers::{IntegrationConfig, ReceiverConfig},
};
use crate::{
    matchers::{compile, matchers_text, parse_matchers},
    route::{GroupBy, Route},
    time_interval::TimeInterval,
};
use http_client::{HttpClientConfig, Secret};
use model::{MatchOp, Matcher, duration::parse_duration_ms};
use regexp::LabelMatcher;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};
use yaml::{Fault, Faults, Places};

/// Deeper trees of routes are refused: they are walked recursively.
const ROUTE_DEPTH_MAX: usize = 50;

pub(super) struct Check<'a> {
    places: &'a Places,
    base: PathBuf,
    faults: Vec<Fault>,
    warnings: Vec<String>,
    global: Global,
}

/// Options that a route takes from its parent.
#[derive(Clone)]
struct Inherited {
    receiver: String,
    group_by: GroupBy,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    labels: BTreeMap<String, String>,
    key: String,
    id: String,
}

pub(super) fn check(file: File, places: &Places, base: &Path, original: &str) -> Result<Config, Faults> {
    let mut check = Check {
        places,
        base: base.to_owned(),
        faults: Vec::new(),
        warnings: Vec::new(),
        global: file.global.clone().unwrap_or_default(),
    };
    let resolve_timeout =
        check.duration("global.resolve_timeout", check.global.resolve_timeout.clone().as_deref(), 300_000, true);
    if let Some(http_config) = check.global.http_config.clone() {
        check.http_config("global.http_config", &http_config);
    }
    check.global_pairs();
    let time_intervals = check.time_intervals(&file);
    let receivers = check.receivers(&file.receivers);
    let names: BTreeSet<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    let route = check.root(file.route.as_ref(), &names, &time_intervals);
    let inhibit_rules =
        file.inhibit_rules.iter().enumerate().map(|(i, rule)| check.inhibit_rule(i, rule.as_ref())).collect();
    if file.tracing.is_some() {
        check.warnings.push("`tracing` is read but has no effect: Vigie exports no spans of notifications".into());
    }
    if file.event_recorder.is_some() {
        check.warnings.push("`event_recorder` is read but has no effect: Vigie keeps its own record of events".into());
    }
    let templates = file.templates.iter().map(|glob| check.base.join(glob).to_string_lossy().into_owned()).collect();
    let Check { faults, mut warnings, .. } = check;
    warnings.extend(crate::manager::receiver_warnings(&receivers));
    places.check(faults)?;
    let Some(route) = route else {
        return Err(Faults {
            file: places.file.clone(),
            faults: vec![places.fault("", "no route provided in config")],
        });
    };
    Ok(Config {
        original: original.to_owned(),
        file: places.file.clone(),
        resolve_timeout,
        route,
        inhibit_rules,
        receivers,
        templates,
        time_intervals,
        warnings,
    })
}

impl Check<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(self.places.fault(path, message));
    }

    fn duration(&mut self, path: &str, text: Option<&str>, default_ms: i64, zero_allowed: bool) -> Duration {
        let ms = match text.map(parse_duration_ms) {
            None => default_ms,
            Some(Ok(0)) if !zero_allowed => {
                self.fault(path, format!("{} cannot be zero", path.rsplit('.').next().unwrap_or(path)));
                default_ms
            }
            Some(Ok(ms)) => ms,
            Some(Err(error)) => {
                self.fault(path, error.to_string());
                default_ms
            }
        };
        Duration::from_millis(ms.unsigned_abs())
    }

    fn at_most_one(&mut self, path: &str, first: (&str, bool), second: (&str, bool)) {
        if first.1 && second.1 {
            self.fault(path, format!("at most one of {} & {} must be configured", first.0, second.0));
        }
    }

    fn global_pairs(&mut self) {
        let g = self.global.clone();
        let secret = |value: &Option<Secret>| value.as_ref().is_some_and(|value| !value.is_empty());
        let text = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        for (name, value, file_name, file) in [
            ("smtp_auth_password", &g.smtp_auth_password, "smtp_auth_password_file", &g.smtp_auth_password_file),
            ("smtp_auth_secret", &g.smtp_auth_secret, "smtp_auth_secret_file", &g.smtp_auth_secret_file),
            ("slack_app_token", &g.slack_app_token, "slack_app_token_file", &g.slack_app_token_file),
            ("slack_api_url", &g.slack_api_url, "slack_api_url_file", &g.slack_api_url_file),
            ("opsgenie_api_key", &g.opsgenie_api_key, "opsgenie_api_key_file", &g.opsgenie_api_key_file),
            ("victorops_api_key", &g.victorops_api_key, "victorops_api_key_file", &g.victorops_api_key_file),
            ("telegram_bot_token", &g.telegram_bot_token, "telegram_bot_token_file", &g.telegram_bot_token_file),
            ("wechat_api_secret", &g.wechat_api_secret, "wechat_api_secret_file", &g.wechat_api_secret_file),
            ("rocketchat_token", &g.rocketchat_token, "rocketchat_token_file", &g.rocketchat_token_file),
            ("rocketchat_token_id", &g.rocketchat_token_id, "rocketchat_token_id_file", &g.rocketchat_token_id_file),
            (
                "mattermost_webhook_url",
                &g.mattermost_webhook_url,
                "mattermost_webhook_url_file",
                &g.mattermost_webhook_url_file,
            ),
        ] {
            self.at_most_one(&format!("global.{file_name}"), (name, secret(value)), (file_name, text(file)));
        }
        let is_bot_api =
            |url: &Option<Secret>| url.as_ref().is_none_or(|url| url.expose().ends_with("/chat.postMessage"));
        let has_token = secret(&g.slack_app_token) || text(&g.slack_app_token_file);
        let has_url = (secret(&g.slack_api_url) && !is_bot_api(&g.slack_api_url)) || text(&g.slack_api_url_file);
        if has_token && has_url {
            self.fault(
                "global.slack_app_token",
                "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured",
            );
        }
    }

    fn time_intervals(&mut self, file: &File) -> BTreeMap<String, Vec<TimeInterval>> {
        let mut found = BTreeMap::new();
        for (section, list) in
            [("mute_time_intervals", &file.mute_time_intervals), ("time_intervals", &file.time_intervals)]
        {
            for (i, named) in list.iter().enumerate() {
                let path = format!("{section}[{i}]");
                if named.name.is_empty() {
                    self.fault(&path, "missing name in time interval");
                }
                let mut intervals = Vec::new();
                for (j, config) in named.time_intervals.iter().enumerate() {
                    match TimeInterval::new(config) {
                        Ok(interval) => intervals.push(interval),
                        Err(message) => self.fault(&format!("{path}.time_intervals[{j}]"), message),
                    }
                }
                if found.insert(named.name.clone(), intervals).is_some() {
                    self.fault(&format!("{path}.name"), format!("time interval {:?} is not unique", named.name));
                }
            }
        }
        found
    }

    fn root(
        &mut self,
        root: Option<&RouteConfig>,
        receivers: &BTreeSet<&str>,
        intervals: &BTreeMap<String, Vec<TimeInterval>>,
    ) -> Option<Route> {
        let Some(root) = root else {
            self.fault("", "no route provided in config");
            return None;
        };
        if root.receiver.as_deref().unwrap_or_default().is_empty() {
            self.fault("route", "root route must specify a default receiver");
        }
        if !root.r#match.is_empty() || !root.match_re.is_empty() || !root.matchers.is_empty() {
            self.fault("route", "root route must not have any matchers");
        }
        if !root.mute_time_intervals.is_empty() {
            self.fault("route.mute_time_intervals", "root route must not have any mute time intervals");
        }
        if !root.active_time_intervals.is_empty() {
            self.fault("route.active_time_intervals", "root route must not have any active time intervals");
        }
        if root.r#continue {
            self.fault("route.continue", "cannot have continue in root route");
        }
        let defaults = Inherited {
            receiver: String::new(),
            group_by: GroupBy::Labels(Vec::new()),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
            labels: BTreeMap::new(),
            key: String::new(),
            id: String::new(),
        };
        let mut count = 0;
        self.route("route", root, &defaults, receivers, intervals, (&mut count, 0, 0))
    }

    fn route(
        &mut self,
        path: &str,
        config: &RouteConfig,
        parent: &Inherited,
        receivers: &BTreeSet<&str>,
        intervals: &BTreeMap<String, Vec<TimeInterval>>,
        (count, depth, sibling): (&mut usize, usize, usize),
    ) -> Option<Route> {
        if depth > ROUTE_DEPTH_MAX {
            self.fault(path, format!("routes are nested more than {ROUTE_DEPTH_MAX} deep"));
            return None;
        }
        let receiver =
            config.receiver.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| parent.receiver.clone());
        if !receiver.is_empty() && !receivers.contains(receiver.as_str()) && config.receiver.is_some() {
            self.fault(&format!("{path}.receiver"), format!("undefined receiver {receiver:?} used in route"));
        }
        for (key, names) in [
            ("mute_time_intervals", &config.mute_time_intervals),
            ("active_time_intervals", &config.active_time_intervals),
        ] {
            for name in names {
                if !intervals.contains_key(name) {
                    self.fault(&format!("{path}.{key}"), format!("undefined time interval {name:?} used in route"));
                }
            }
        }
        let group_by = match &config.group_by {
            None => parent.group_by.clone(),
            Some(names) => self.group_by(&format!("{path}.group_by"), names),
        };
        let mut matchers = self.equals(&format!("{path}.match"), &config.r#match);
        matchers.extend(self.regexes(&format!("{path}.match_re"), &config.match_re));
        matchers.extend(self.matchers(&format!("{path}.matchers"), &config.matchers));
        sort_matchers(&mut matchers);
        let mut labels = parent.labels.clone();
        labels.extend(config.labels.clone());
        let text = matchers_text(&matchers);
        let (key, id) = if depth == 0 {
            (text.clone(), text)
        } else {
            (format!("{}/{text}", parent.key), format!("{}/{text}/{sibling}", parent.id))
        };
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let own = Inherited {
            group_wait: self.duration(
                &format!("{path}.group_wait"),
                config.group_wait.as_deref(),
                ms(parent.group_wait),
                true,
            ),
            group_interval: self.duration(
                &format!("{path}.group_interval"),
                config.group_interval.as_deref(),
                ms(parent.group_interval),
                false,
            ),
            repeat_interval: self.duration(
                &format!("{path}.repeat_interval"),
                config.repeat_interval.as_deref(),
                ms(parent.repeat_interval),
                false,
            ),
            receiver,
            group_by,
            labels,
            key,
            id,
        };
        let index = *count;
        *count += 1;
        let routes = config
            .routes
            .iter()
            .enumerate()
            .filter_map(|(i, route)| {
                self.route(&format!("{path}.routes[{i}]"), route, &own, receivers, intervals, (count, depth + 1, i))
            })
            .collect();
        Some(Route {
            index,
            key: own.key,
            id: own.id,
            receiver: own.receiver,
            group_by: own.group_by,
            group_wait: own.group_wait,
            group_interval: own.group_interval,
            repeat_interval: own.repeat_interval,
            mute_time_intervals: config.mute_time_intervals.clone(),
            active_time_intervals: config.active_time_intervals.clone(),
            labels: own.labels,
            matchers,
            goes_on: config.r#continue,
            routes,
        })
    }

    fn group_by(&mut self, path: &str, names: &[String]) -> GroupBy {
        if names.iter().any(|name| name == "...") {
            if names.len() > 1 {
                self.fault(path, "cannot have wildcard group_by (`...`) and other labels at the same time");
            }
            return GroupBy::All;
        }
        let mut seen = BTreeSet::new();
        for (i, name) in names.iter().enumerate() {
            let path = format!("{path}[{i}]");
            if name.is_empty() {
                self.fault(&path, format!("invalid label name {name:?} in group_by list"));
            }
            if !seen.insert(name) {
                self.fault(&path, format!("duplicated label {name:?} in group_by"));
            }
        }
        GroupBy::Labels(names.to_vec())
    }

    fn equals(&mut self, path: &str, pairs: &BTreeMap<String, Option<String>>) -> Vec<LabelMatcher> {
        self.compiled(path, pairs, MatchOp::Equal)
    }

    fn regexes(&mut self, path: &str, pairs: &BTreeMap<String, Option<String>>) -> Vec<LabelMatcher> {
        for (name, value) in pairs {
            if value.is_none() {
                self.fault(&format!("{path}.{name}"), format!("invalid regexp value for {name:?}: write a pattern"));
            }
        }
        self.compiled(path, pairs, MatchOp::Regex)
    }

    fn compiled(&mut self, path: &str, pairs: &BTreeMap<String, Option<String>>, op: MatchOp) -> Vec<LabelMatcher> {
        let mut matchers = Vec::new();
        for (name, value) in pairs {
            let path = format!("{path}.{name}");
            if name.is_empty() || (op == MatchOp::Equal && !model::labels::is_legacy_label_name(name)) {
                self.fault(&path, format!("invalid label name {name:?}"));
            }
            match compile(&Matcher::new(name.clone(), op, value.clone().unwrap_or_default())) {
                Ok(matcher) => matchers.push(matcher),
                Err(message) => self.fault(&path, message),
            }
        }
        matchers
    }

    fn matchers(&mut self, path: &str, texts: &[String]) -> Vec<LabelMatcher> {
        let mut matchers = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            match parse_matchers(text) {
                Ok(found) => matchers.extend(found),
                Err(message) => self.fault(&format!("{path}[{i}]"), message),
            }
        }
        matchers
    }

    fn inhibit_rule(&mut self, index: usize, config: Option<&InhibitConfig>) -> InhibitRule {
        let default = InhibitConfig::default();
        let config = config.unwrap_or(&default);
        let path = format!("inhibit_rules[{index}]");
        let mut source = self.equals(&format!("{path}.source_match"), &config.source_match);
        source.extend(self.regexes(&format!("{path}.source_match_re"), &config.source_match_re));
        source.extend(self.matchers(&format!("{path}.source_matchers"), &config.source_matchers));
        let mut target = self.equals(&format!("{path}.target_match"), &config.target_match);
        target.extend(self.regexes(&format!("{path}.target_match_re"), &config.target_match_re));
        target.extend(self.matchers(&format!("{path}.target_matchers"), &config.target_matchers));
        for (i, name) in config.equal.iter().enumerate() {
            if name.is_empty() {
                self.fault(&format!("{path}.equal[{i}]"), "invalid label name \"\" in equal list");
            }
        }
        InhibitRule { name: config.name.clone().unwrap_or_default(), source, target, equal: config.equal.clone() }
    }

    pub(super) fn http_config(&mut self, path: &str, config: &HttpClientConfig) {
        for fault in config.faults() {
            let path = if fault.path.is_empty() { path.to_owned() } else { format!("{path}.{}", fault.path) };
            self.fault(&path, fault.message);
        }
    }

    fn receivers(&mut self, configs: &[ReceiverConfig]) -> Vec<Receiver> {
        let mut names = BTreeSet::new();
        let mut receivers = Vec::new();
        for (i, config) in configs.iter().enumerate() {
            let path = format!("receivers[{i}]");
            if config.name.is_empty() {
                self.fault(&path, "missing name in receiver");
            } else if !names.insert(config.name.as_str()) {
                self.fault(
                    &format!("{path}.name"),
                    format!("notification config name {:?} is not unique", config.name),
                );
            }
            let integrations = self.integrations(&path, config);
            receivers.push(Receiver { name: config.name.clone(), labels: config.labels.clone(), integrations });
        }
        receivers
    }

    fn integrations(&mut self, path: &str, config: &ReceiverConfig) -> Vec<IntegrationConfig> {
        let mut found = Vec::new();
        macro_rules! take {
            ($field:ident, $variant:ident, $check:ident) => {
                for (i, section) in config.$field.iter().enumerate() {
                    let path = format!("{path}.{}[{i}]", stringify!($field));
                    let mut section = section.clone();
                    let mut http =
                        section.http_config.take().or_else(|| self.global.http_config.clone()).unwrap_or_default();
                    self.http_config(&format!("{path}.http_config"), &http);
                    http.resolve_paths(&self.base);
                    section.http_config = Some(http);
                    self.$check(&path, &mut section);
                    found.push(IntegrationConfig::$variant(section));
                }
            };
        }
        take!(webhook_configs, Webhook, webhook);
        take!(email_configs, Email, email);
        take!(slack_configs, Slack, slack);
        take!(pagerduty_configs, Pagerduty, pagerduty);
        take!(opsgenie_configs, Opsgenie, opsgenie);
        take!(victorops_configs, Victorops, victorops);
        take!(pushover_configs, Pushover, pushover);
        take!(telegram_configs, Telegram, telegram);
        take!(discord_configs, Discord, discord);
        take!(msteams_configs, Msteams, msteams);
        take!(msteamsv2_configs, Msteamsv2, msteamsv2);
        take!(webex_configs, Webex, webex);
        take!(sns_configs, Sns, sns);
        take!(wechat_configs, Wechat, wechat);
        take!(rocketchat_configs, Rocketchat, rocketchat);
        take!(jira_configs, Jira, jira);
        take!(incidentio_configs, Incidentio, incidentio);
        take!(mattermost_configs, Mattermost, mattermost);
        found
    }

    pub(super) fn global(&self) -> &Global {
        &self.global
    }

    pub(super) fn add_fault(&mut self, path: &str, message: &str) {
        self.fault(path, message);
    }

    /// Exactly one of a value and a file, which then is made relative to the configuration's folder.
    pub(super) fn one_of(
        &mut self,
        path: &str,
        missing: &str,
        names: (&str, &str),
        value: &Option<Secret>,
        file: &mut Option<String>,
    ) {
        let has_value = value.as_ref().is_some_and(|value| !value.is_empty());
        let has_file = file.as_ref().is_some_and(|file| !file.is_empty());
        if has_value && has_file {
            self.fault(path, format!("at most one of {} & {} must be configured", names.0, names.1));
        } else if !has_value && !has_file {
            self.fault(path, missing);
        }
        self.resolve_file(file);
    }

    pub(super) fn resolve_file(&self, file: &mut Option<String>) {
        if let Some(file) = file {
            *file = self.base.join(&*file).to_string_lossy().into_owned();
        }
    }

    pub(super) fn resolve_path_in(&self, tls: &mut Option<http_client::TlsConfig>) {
        if let Some(tls) = tls {
            tls.resolve_paths(&self.base);
        }
    }

    pub(super) fn check_duration(&mut self, path: &str, text: Option<&str>) {
        self.duration(path, text, 0, true);
    }
}

fn sort_matchers(matchers: &mut [LabelMatcher]) {
    matchers.sort_by(|a, b| {
        let (a, b) = (a.matcher(), b.matcher());
        (&a.name, &a.value, a.op).cmp(&(&b.name, &b.value, b.op))
    });
}
