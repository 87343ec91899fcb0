//! The operations of `/api/v2`, without HTTP: parameters in, JSON types or an error with its status out.

use crate::{
    Alertmanager, Event,
    alert::{StoredAlert, fingerprint, order_of_sets},
    matchers::parse_matcher,
    silence::{Silence, SilenceError, api_time, to_matcher},
};
use api::alerts::{
    AlertGroup, AlertStatus, AlertmanagerConfigText, AlertmanagerStatus, ClusterStatus, GettableAlert, GettableSilence,
    LabelSet, PostableAlert, PostableSilence, ReceiverName, SilenceCreated,
};
use model::{Labels, MatchOp};
use regexp::{LabelMatcher, Regexp};
use std::{collections::BTreeMap, sync::Arc};

/// An answer that is no success: the status and the JSON body, as upstream sends them.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub status: u16,
    /// A JSON string for most errors, an object with `code` and `message` for errors of the request's form; null for
    /// an empty body.
    pub body: serde_json::Value,
}

impl ApiError {
    fn text(status: u16, message: impl Into<String>) -> Self {
        ApiError { status, body: message.into().into() }
    }

    fn empty(status: u16) -> Self {
        ApiError { status, body: serde_json::Value::Null }
    }
}

/// Parameters of `GET /alerts` and `GET /alerts/groups`.
#[derive(Clone, Debug)]
pub struct AlertsQuery {
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    pub unprocessed: bool,
    pub muted: bool,
    /// Matchers as text, all must hold.
    pub filter: Vec<String>,
    /// Regular expression on the receiver's name.
    pub receiver: Option<String>,
}

impl Default for AlertsQuery {
    fn default() -> Self {
        AlertsQuery {
            active: true,
            silenced: true,
            inhibited: true,
            unprocessed: true,
            muted: true,
            filter: Vec::new(),
            receiver: None,
        }
    }
}

impl AlertsQuery {
    /// Reads the URL's query pairs: `active=false&filter=a%3D"b"` decoded. Unknown names are ignored; a value that
    /// is no bool counts as false, as upstream does.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut query = AlertsQuery::default();
        let flag = |value: &str| {
            matches!(
                value.to_ascii_lowercase().as_str(),
                "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
            )
        };
        for (name, value) in pairs {
            match name {
                "active" => query.active = flag(value),
                "silenced" => query.silenced = flag(value),
                "inhibited" => query.inhibited = flag(value),
                "unprocessed" => query.unprocessed = flag(value),
                "muted" => query.muted = flag(value),
                "filter" => query.filter.push(value.to_owned()),
                "receiver" => query.receiver = Some(value.to_owned()).filter(|value| !value.is_empty()),
                _ => {}
            }
        }
        query
    }
}

fn label_set(labels: &Labels) -> LabelSet {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn parse_filter(texts: &[String]) -> Result<Vec<LabelMatcher>, ApiError> {
    texts.iter().map(|text| parse_matcher(text).map_err(|error| ApiError::text(400, error))).collect()
}

fn receiver_regex(receiver: Option<&str>) -> Result<Option<Regexp>, ApiError> {
    receiver
        .map(Regexp::anchored)
        .transpose()
        .map_err(|error| ApiError::text(400, format!("failed to parse receiver param: {error}")))
}

/// As upstream filters: `name=""` asks for alerts without the label.
fn filter_matches(matchers: &[LabelMatcher], get: impl Fn(&str) -> Option<String>) -> bool {
    matchers.iter().all(|matcher| matcher.matches(&get(matcher.name()).unwrap_or_default()))
}

impl Alertmanager {
    fn status_of(&self, alert: &StoredAlert, now_ms: i64) -> AlertStatus {
        let silenced_by = self.inner().silences().silenced_by(&alert.labels, now_ms);
        let inhibited_by: Vec<_> =
            self.inner().inhibited_by(&alert.labels).into_iter().map(|fp| format!("{fp:016x}")).collect();
        let state = if silenced_by.is_empty() && inhibited_by.is_empty() { "active" } else { "suppressed" };
        AlertStatus { state: state.into(), silenced_by, inhibited_by, muted_by: Vec::new() }
    }

    /// The alert as JSON, or `None` where the query does not want it.
    fn wanted(
        &self,
        query: &AlertsQuery,
        filter: &[LabelMatcher],
        alert: &StoredAlert,
        now_ms: i64,
    ) -> Option<AlertStatus> {
        if alert.ends_at_ms < now_ms || !filter_matches(filter, |name| alert.labels.get(name).map(str::to_owned)) {
            return None;
        }
        let status = self.status_of(alert, now_ms);
        let hidden = (!query.active && status.state == "active")
            || (!query.silenced && !status.silenced_by.is_empty())
            || (!query.inhibited && !status.inhibited_by.is_empty());
        (!hidden).then_some(status)
    }

    fn to_api(alert: &StoredAlert, status: AlertStatus, receivers: Vec<String>) -> GettableAlert {
        GettableAlert {
            annotations: label_set(&alert.annotations),
            ends_at: api_time(alert.ends_at_ms),
            fingerprint: format!("{:016x}", alert.fingerprint),
            receivers: receivers.into_iter().map(|name| ReceiverName { name }).collect(),
            starts_at: api_time(alert.starts_at_ms),
            status,
            updated_at: api_time(alert.updated_at_ms),
            generator_url: Some(alert.generator_url.clone()).filter(|url| !url.is_empty()),
            labels: label_set(&alert.labels),
        }
    }

    /// `GET /alerts`.
    ///
    /// # Errors
    /// 400 for a bad filter or receiver.
    pub fn get_alerts(&self, query: &AlertsQuery) -> Result<Vec<GettableAlert>, ApiError> {
        let filter = parse_filter(&query.filter)?;
        let receiver = receiver_regex(query.receiver.as_deref())?;
        let (config, now_ms) = (self.inner().config(), self.inner().clock().now_ms());
        let mut found = Vec::new();
        for alert in self.inner().all_alerts() {
            let receivers: Vec<String> =
                config.route.matching(&alert.labels).into_iter().map(|route| route.receiver.clone()).collect();
            if receiver.as_ref().is_some_and(|regex| !receivers.iter().any(|name| regex.is_match(name))) {
                continue;
            }
            if let Some(status) = self.wanted(query, &filter, &alert, now_ms) {
                found.push(Self::to_api(&alert, status, receivers));
            }
        }
        Ok(found)
    }

    /// `GET /alerts/groups`.
    ///
    /// # Errors
    /// As [`Alertmanager::get_alerts`].
    pub fn get_alert_groups(&self, query: &AlertsQuery) -> Result<Vec<AlertGroup>, ApiError> {
        let filter = parse_filter(&query.filter)?;
        let receiver = receiver_regex(query.receiver.as_deref())?;
        let now_ms = self.inner().clock().now_ms();
        let mut kept = Vec::new();
        let mut receivers: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for group in self.inner().groups() {
            if receiver.as_ref().is_some_and(|regex| !regex.is_match(&group.route.receiver)) {
                continue;
            }
            let muted_by = group.muted_by();
            if !query.muted && !muted_by.is_empty() {
                continue;
            }
            let mut alerts: Vec<(Arc<StoredAlert>, AlertStatus)> = Vec::new();
            for alert in group.alerts() {
                let Some(mut status) = self.wanted(query, &filter, &alert, now_ms) else { continue };
                if !muted_by.is_empty() {
                    status.muted_by.clone_from(&muted_by);
                    status.state = "suppressed".into();
                }
                receivers.entry(alert.fingerprint).or_default().push(group.route.receiver.clone());
                alerts.push((alert, status));
            }
            if !alerts.is_empty() {
                kept.push((group, alerts));
            }
        }
        receivers.values_mut().for_each(|names| names.sort());
        kept.sort_by(|(a, _), (b, _)| {
            order_of_sets(&a.labels, &b.labels).then_with(|| a.route.receiver.cmp(&b.route.receiver))
        });
        let groups = kept.into_iter().map(|(group, alerts)| AlertGroup {
            alerts: alerts
                .into_iter()
                .map(|(alert, status)| {
                    let names = receivers.get(&alert.fingerprint).cloned().unwrap_or_default();
                    Self::to_api(&alert, status, names)
                })
                .collect(),
            labels: label_set(&group.labels),
            receiver: ReceiverName { name: group.route.receiver.clone() },
        });
        Ok(groups.collect())
    }

    /// `POST /alerts`: valid alerts are taken even if others of the call are not.
    ///
    /// # Errors
    /// 400 with all that is wrong.
    pub fn post_alerts(&self, alerts: &[PostableAlert]) -> Result<(), ApiError> {
        let now_ms = self.inner().clock().now_ms();
        let timeout_ms = i64::try_from(self.inner().config().resolve_timeout.as_millis()).unwrap_or(i64::MAX);
        let (mut valid, mut faults) = (Vec::new(), Vec::new());
        for alert in alerts {
            match stored(alert, now_ms, timeout_ms) {
                Ok(alert) => valid.push(alert),
                Err(fault) => {
                    self.inner().metrics().invalid();
                    faults.push(fault);
                }
            }
        }
        self.inner().put(valid);
        if faults.is_empty() { Ok(()) } else { Err(ApiError::text(400, faults.join("; "))) }
    }

    /// `GET /silences`.
    ///
    /// # Errors
    /// 400 for a bad filter.
    pub fn get_silences(&self, filter: &[String]) -> Result<Vec<GettableSilence>, ApiError> {
        let filter = parse_filter(filter)?;
        let now_ms = self.inner().clock().now_ms();
        let matches = |silence: &Silence| {
            let value = |name: &str| {
                silence.matchers.iter().find(|matcher| matcher.name == name).map(|matcher| to_matcher(matcher).value)
            };
            filter.iter().all(|matcher| match (value(matcher.name()), matcher.matcher().op) {
                (Some(value), _) => matcher.matches(&value),
                // A silence that says nothing about the label is not excluded by what the label must not be.
                (None, MatchOp::NotEqual | MatchOp::NotRegex) => matcher.matches(""),
                (None, _) => matcher.matches(""),
            })
        };
        Ok(self
            .inner()
            .silences()
            .list(now_ms)
            .iter()
            .filter(|silence| matches(silence))
            .map(|s| s.to_api(now_ms))
            .collect())
    }

    /// `POST /silences`: creates, or replaces the one with the same id. Durable when it returns; blocks for one write to disk.
    ///
    /// # Errors
    /// 400 for a silence that is not valid, 404 for an unknown id, 500 where it cannot be written.
    pub fn post_silence(&self, silence: &PostableSilence) -> Result<SilenceCreated, ApiError> {
        let now_ms = self.inner().clock().now_ms();
        let silence = self.inner().silences().set(silence, now_ms).map_err(api_error)?;
        self.silence_event(&silence, now_ms);
        Ok(SilenceCreated { silence_id: silence.id })
    }

    fn silence_event(&self, silence: &Silence, now_ms: i64) {
        self.inner().event(Event::Silence {
            at_ms: now_ms,
            id: silence.id.clone(),
            state: silence.state(now_ms).as_str().into(),
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
        });
    }

    /// `GET /silence/{id}`.
    ///
    /// # Errors
    /// 422 for an id that is no UUID, 404 with an empty body for an unknown one.
    pub fn get_silence(&self, id: &str) -> Result<GettableSilence, ApiError> {
        check_id(id)?;
        let now_ms = self.inner().clock().now_ms();
        self.inner().silences().get(id).map(|silence| silence.to_api(now_ms)).ok_or(ApiError::empty(404))
    }

    /// `DELETE /silence/{id}`: expires it. Blocks for one write to disk.
    ///
    /// # Errors
    /// As [`Alertmanager::get_silence`]; 500 where it cannot be written.
    pub fn delete_silence(&self, id: &str) -> Result<(), ApiError> {
        check_id(id)?;
        let now_ms = self.inner().clock().now_ms();
        match self.inner().silences().expire(id, now_ms) {
            Ok(silence) => {
                self.silence_event(&silence, now_ms);
                Ok(())
            }
            Err(SilenceError::NotFound) => Err(ApiError::empty(404)),
            Err(error) => Err(ApiError::text(500, error.to_string())),
        }
    }

    /// `GET /receivers`: objects with `name` and `labels`.
    pub fn get_receivers(&self) -> Vec<serde_json::Value> {
        let config = self.inner().config();
        let receivers = config.receivers.iter().map(|receiver| {
            let mut labels = receiver.labels.clone();
            labels.insert("name".into(), receiver.name.clone());
            serde_json::json!({ "labels": labels, "name": receiver.name })
        });
        receivers.collect()
    }

    /// `GET /status`.
    pub fn get_status(&self) -> AlertmanagerStatus {
        AlertmanagerStatus {
            cluster: ClusterStatus { name: None, peers: Vec::new(), status: "disabled".into() },
            config: AlertmanagerConfigText { original: self.inner().config().shown() },
            uptime: api_time(self.inner().started_ms()),
            version_info: self.inner().version().clone(),
        }
    }
}

fn api_error(error: SilenceError) -> ApiError {
    let status = match error {
        SilenceError::NotFound => 404,
        SilenceError::Invalid(_) => 400,
        SilenceError::Io(_) => 500,
    };
    ApiError::text(status, error.to_string())
}

fn check_id(id: &str) -> Result<(), ApiError> {
    if uuid::Uuid::parse_str(id).is_ok() {
        return Ok(());
    }
    let message = format!("silenceID in path must be of type uuid: {id:?}");
    Err(ApiError { status: 422, body: serde_json::json!({ "code": 601, "message": message }) })
}

fn stored(alert: &PostableAlert, now_ms: i64, timeout_ms: i64) -> Result<StoredAlert, String> {
    let time = |text: &Option<String>, name: &str| -> Result<Option<i64>, String> {
        // Go's zero time means that there is none.
        let Some(text) = text.as_deref().filter(|text| !text.is_empty() && !text.starts_with("0001-01-01T00:00:00"))
        else {
            return Ok(None);
        };
        let parsed =
            text.parse::<jiff::Timestamp>().map_err(|_| format!("{name} {text:?} is no time; write RFC 3339"))?;
        Ok(Some(parsed.as_millisecond()))
    };
    let labels = Labels::from_pairs(&alert.labels);
    let ends_at_ms = time(&alert.ends_at, "endsAt")?;
    let starts_at_ms = time(&alert.starts_at, "startsAt")?.unwrap_or_else(|| ends_at_ms.unwrap_or(now_ms));
    let timeout = ends_at_ms.is_none();
    let ends_at_ms = ends_at_ms.unwrap_or(now_ms.saturating_add(timeout_ms));
    if ends_at_ms < starts_at_ms {
        return Err("start time must be before end time".into());
    }
    if labels.is_empty() {
        return Err("at least one label pair required".into());
    }
    for (kind, set) in [("label", &alert.labels), ("annotation", &alert.annotations)] {
        if set.contains_key("") {
            return Err(format!("invalid {kind} set: invalid name \"\""));
        }
    }
    Ok(StoredAlert {
        fingerprint: fingerprint(&labels),
        labels,
        annotations: Labels::from_pairs(&alert.annotations),
        starts_at_ms,
        ends_at_ms,
        generator_url: alert.generator_url.clone().unwrap_or_default(),
        updated_at_ms: now_ms,
        timeout,
    })
}
