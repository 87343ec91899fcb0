//! The `alerting:` section: alerts to external Alertmanagers.

use api::alerts::PostableAlert;
use discovery::{ConfigDuration, ConfigFault, Manager, TargetGroup};
use go_template::time::Time;
use http_client::{HttpClient, Request};
use model::{Alert, Labels};
use relabel::{RelabelConfig, Rules};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use telemetry::Registry;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Enough for an error message.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a shutdown goes on sending what waits.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const LATENCY_BOUNDS_SECONDS: [f64; 6] = [0.01, 0.1, 0.5, 1.0, 5.0, 10.0];

/// `alerting`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertingConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_relabel_configs: Vec<RelabelConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

discovery::with_discovery_fields! {
    /// `alerting.alertmanagers[]`.
    #[derive(Clone, Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct AlertmanagerConfig {
        /// `http` or `https`; `http` if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scheme: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub path_prefix: Option<String>,
        /// Of one request; 10 s if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub timeout: Option<ConfigDuration>,
        /// Only `v2` is left.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub api_version: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub relabel_configs: Vec<RelabelConfig>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub alert_relabel_configs: Vec<RelabelConfig>,
        /// Read, but requests are not signed yet.
        #[serde(skip_serializing)]
        pub sigv4: Option<serde_json::Value>,
    }
}

fn relabel_faults(path: &str, configs: &[RelabelConfig], faults: &mut Vec<ConfigFault>) {
    if let Err(errors) = Rules::new(configs) {
        faults.extend(errors.into_iter().map(|(i, error)| ConfigFault::new(format!("{path}[{i}]"), error.to_string())));
    }
}

impl AlertingConfig {
    /// Makes file names relative to `folder` and gives all faults, with paths inside the section.
    pub fn resolve(&mut self, folder: &Path) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        relabel_faults("alert_relabel_configs", &self.alert_relabel_configs, &mut faults);
        for (i, config) in self.alertmanagers.iter_mut().enumerate() {
            let path = format!("alertmanagers[{i}]");
            let found = config.http_client_config().faults().into_iter().chain(config.discovery_config().faults());
            for fault in found {
                faults.push(ConfigFault::new(format!("{path}.{}", fault.path), fault.message));
            }
            relabel_faults(&format!("{path}.relabel_configs"), &config.relabel_configs, &mut faults);
            relabel_faults(&format!("{path}.alert_relabel_configs"), &config.alert_relabel_configs, &mut faults);
            if !matches!(config.api_version.as_deref(), None | Some("" | "v2")) {
                let message = format!(
                    "expected Alertmanager api version to be one of [v2] but got {}",
                    config.api_version.as_deref().unwrap_or_default()
                );
                faults.push(ConfigFault::new(format!("{path}.api_version"), message));
            }
            config.resolve_http_paths(folder);
            for file in config.file_sd_configs.iter_mut().flatten().flat_map(|files| &mut files.files) {
                *file = folder.join(&*file).to_string_lossy().into_owned();
            }
            for http in config.http_sd_configs.iter_mut().flatten() {
                http.resolve_http_paths(folder);
            }
            for consul in config.consul_sd_configs.iter_mut().flatten() {
                consul.resolve_http_paths(folder);
            }
        }
        faults
    }
}

/// What flags say about the queues.
#[derive(Clone, Copy, Debug)]
pub struct NotifierLimits {
    /// `--alertmanager.notification-queue-capacity`: alerts that wait; older ones are dropped.
    pub queue_capacity: usize,
    /// `--alertmanager.notification-batch-size`: alerts in one request, 1 at least.
    pub batch_size: usize,
    /// `--alertmanager.drain-notification-queue-on-shutdown`: what waits is sent before the end.
    pub is_drained: bool,
}

impl Default for NotifierLimits {
    fn default() -> Self {
        NotifierLimits { queue_capacity: 10_000, batch_size: 256, is_drained: true }
    }
}

/// One entry of `alertmanagers`, at work.
struct Section {
    limits: NotifierLimits,
    queue: Mutex<VecDeque<Alert>>,
    wake: Notify,
    external_labels: Labels,
    alert_rules: Vec<Rules>,
    client: HttpClient,
    timeout: Duration,
    targets: Targets,
    groups: watch::Receiver<discovery::Groups>,
    name: String,
    registry: Registry,
}

/// From targets to URLs.
struct Targets {
    scheme: String,
    alerts_path: String,
    rules: Rules,
}

impl Targets {
    fn urls(&self, groups: &[TargetGroup]) -> Vec<String> {
        let mut urls = Vec::new();
        for group in groups {
            for target in &group.targets {
                let mut labels = target.to_builder();
                for (name, value) in &group.labels {
                    if labels.get(name).is_none() {
                        labels.set(name, value);
                    }
                }
                for (name, value) in [("__scheme__", &self.scheme), ("__alerts_path__", &self.alerts_path)] {
                    if labels.get(name).is_none() {
                        labels.set(name, value);
                    }
                }
                if !self.rules.apply_to(&mut labels) {
                    continue;
                }
                let get = |name| labels.get(name).unwrap_or_default();
                let url = format!("{}://{}{}", get("__scheme__"), get("__address__"), get("__alerts_path__"));
                if !get("__address__").is_empty() && !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        urls
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Section {
    fn urls(&self) -> Vec<String> {
        let groups = self.groups.borrow().clone();
        self.targets.urls(groups.get(&self.name).map_or([].as_slice(), Vec::as_slice))
    }

    fn dropped(&self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "numbers of alerts are small")]
        self.registry
            .counter(
                "prometheus_notifications_dropped_total",
                "Total number of alerts dropped due to errors when sending to Alertmanager.",
                &[],
            )
            .add(count as f64);
    }

    fn push(&self, alerts: &[Alert]) {
        let mut queue = lock(&self.queue);
        for alert in alerts {
            let mut labels = alert.labels.to_builder();
            for (name, value) in &self.external_labels {
                if labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            if self.alert_rules.iter().all(|rules| rules.apply_to(&mut labels)) {
                queue.push_back(Alert { labels: labels.build(), ..alert.clone() });
            }
        }
        let excess = queue.len().saturating_sub(self.limits.queue_capacity);
        if excess > 0 {
            queue.drain(..excess);
            tracing::warn!("the queue for Alertmanager is full: {excess} alerts dropped");
            self.dropped(excess);
        }
        drop(queue);
        self.wake.notify_one();
    }

    async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let batch: Vec<Alert> = {
                let mut queue = lock(&self.queue);
                let count = queue.len().min(self.limits.batch_size.max(1));
                queue.drain(..count).collect()
            };
            if !batch.is_empty() {
                self.send(&batch).await;
                continue;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn send(&self, alerts: &[Alert]) {
        let postable: Vec<_> = alerts.iter().map(postable).collect();
        let Ok(body) = serde_json::to_vec(&postable) else { return };
        let mut requests = JoinSet::new();
        for url in self.urls() {
            let request = Request::post(url, "application/json", body.clone(), self.timeout, ANSWER_BYTES_MAX);
            let client = self.client.clone();
            requests.spawn(async move {
                let (url, begun) = (request.url.clone(), tokio::time::Instant::now());
                let result = match client.send(request).await {
                    Ok(response) if response.is_success() => Ok(()),
                    Ok(response) => Err(format!("bad response status {}", response.status_text())),
                    Err(error) => Err(error.to_string()),
                };
                (url, begun.elapsed(), result)
            });
        }
        let mut taken = false;
        while let Some(done) = requests.join_next().await {
            let Ok((url, took, result)) = done else { continue };
            let labels = [("alertmanager", url.as_str())];
            #[expect(clippy::cast_precision_loss, reason = "numbers of alerts are small")]
            let count = alerts.len() as f64;
            self.registry
                .counter("prometheus_notifications_sent_total", "Total number of alerts sent.", &labels)
                .add(count);
            self.registry
                .histogram(
                    "prometheus_notifications_latency_seconds",
                    "Latency quantiles for sending alert notifications.",
                    &labels,
                    &LATENCY_BOUNDS_SECONDS,
                )
                .observe(took.as_secs_f64());
            match result {
                Ok(()) => taken = true,
                Err(error) => {
                    tracing::error!(alertmanager = url, count = alerts.len(), "error sending alerts: {error}");
                    self.registry
                        .counter(
                            "prometheus_notifications_errors_total",
                            "Total number of sent alerts affected by errors.",
                            &labels,
                        )
                        .add(count);
                }
            }
        }
        if !taken {
            self.dropped(alerts.len());
        }
    }
}

fn postable(alert: &Alert) -> PostableAlert {
    let map = |labels: &Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    PostableAlert {
        labels: map(&alert.labels),
        annotations: map(&alert.annotations),
        starts_at: Some(Time::from_unix_ms(alert.starts_at_ms).rfc3339_nano()),
        ends_at: alert.ends_at_ms.map(|ms| Time::from_unix_ms(ms).rfc3339_nano()),
        generator_url: Some(alert.generator_url.clone()).filter(|url| !url.is_empty()),
    }
}

#[derive(Default)]
struct Running {
    sections: Vec<Arc<Section>>,
    tasks: Vec<JoinHandle<()>>,
    stop: Option<watch::Sender<bool>>,
}

/// Sends alerts to the Alertmanagers of the `alerting` section.
pub struct Notifier {
    limits: NotifierLimits,
    registry: Registry,
    discovery: Manager,
    running: Arc<Mutex<Running>>,
}

impl Notifier {
    /// A notifier that knows no Alertmanager yet.
    pub fn new(registry: &Registry, limits: NotifierLimits) -> Notifier {
        let running: Arc<Mutex<Running>> = Arc::default();
        let weak = Arc::downgrade(&running);
        registry.collector(move |out| {
            let Some(running) = weak.upgrade() else { return };
            let sections = lock(&running).sections.clone();
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let number = |count: usize| count as f64;
            let waiting = sections.iter().map(|section| lock(&section.queue).len()).sum();
            let found = sections.iter().map(|section| section.urls().len()).sum();
            for (name, help, value) in [
                (
                    "prometheus_notifications_alertmanagers_discovered",
                    "The number of alertmanagers discovered and active.",
                    found,
                ),
                ("prometheus_notifications_queue_length", "The number of alert notifications in the queue.", waiting),
                (
                    "prometheus_notifications_queue_capacity",
                    "The capacity of the alert notifications queue.",
                    limits.queue_capacity,
                ),
            ] {
                out.gauge(name, help, &[], number(value));
            }
        });
        Notifier { limits, registry: registry.clone(), discovery: Manager::new("notify", registry), running }
    }

    /// Takes a new section; alerts that wait go to the new Alertmanagers. Gives the URLs known at once. Call inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// A client or rule that cannot be built; the old section stays.
    pub fn apply(&self, config: Option<&AlertingConfig>, external_labels: &Labels) -> Result<Vec<String>, String> {
        let default = AlertingConfig::default();
        let config = config.unwrap_or(&default);
        let rules = |configs: &[RelabelConfig]| {
            Rules::new(configs)
                .map_err(|errors| errors.into_iter().map(|(_, error)| error.to_string()).collect::<Vec<_>>().join("; "))
        };
        let mut sections = Vec::new();
        let mut discovered = BTreeMap::new();
        for (i, own) in config.alertmanagers.iter().enumerate() {
            if own.sigv4.is_some() {
                tracing::warn!(
                    "alerting.alertmanagers[{i}].sigv4 has no effect: requests to Alertmanager are not signed yet"
                );
            }
            let name = format!("config-{i}");
            discovered.insert(name.clone(), own.discovery_config());
            let prefix = own.path_prefix.as_deref().unwrap_or_default().trim_matches('/');
            let alerts_path =
                if prefix.is_empty() { "/api/v2/alerts".into() } else { format!("/{prefix}/api/v2/alerts") };
            sections.push(Arc::new(Section {
                limits: self.limits,
                queue: Mutex::default(),
                wake: Notify::new(),
                external_labels: external_labels.clone(),
                alert_rules: vec![rules(&config.alert_relabel_configs)?, rules(&own.alert_relabel_configs)?],
                client: HttpClient::new(&own.http_client_config()).map_err(|error| error.to_string())?,
                timeout: own.timeout.map_or(TIMEOUT_DEFAULT, ConfigDuration::as_duration),
                targets: Targets {
                    scheme: own.scheme.clone().unwrap_or_else(|| "http".into()),
                    alerts_path,
                    rules: rules(&own.relabel_configs)?,
                },
                groups: self.discovery.subscribe(),
                name,
                registry: self.registry.clone(),
            }));
        }
        self.discovery.apply(discovered);
        let (stop, stopped) = watch::channel(false);
        let tasks = sections.iter().map(|section| tokio::spawn(Arc::clone(section).run(stopped.clone()))).collect();
        let old = std::mem::replace(&mut *lock(&self.running), Running { sections, tasks, stop: Some(stop) });
        // The queues of all old sections hold the same alerts, but for their relabelling.
        let waiting: Vec<Alert> =
            old.sections.first().map_or_else(Vec::new, |section| lock(&section.queue).drain(..).collect());
        for section in &old.sections {
            lock(&section.queue).clear();
        }
        if let Some(stop) = old.stop {
            stop.send_replace(true);
        }
        if !waiting.is_empty() {
            self.send(&waiting);
        }
        Ok(self.alertmanagers())
    }

    /// URLs of the Alertmanagers that are known now.
    pub fn alertmanagers(&self) -> Vec<String> {
        lock(&self.running).sections.clone().iter().flat_map(|section| section.urls()).collect()
    }

    /// Puts alerts into the queues. Does not block.
    pub fn send(&self, alerts: &[Alert]) {
        for section in &lock(&self.running).sections {
            section.push(alerts);
        }
    }

    /// Sends what waits, at most ten seconds, unless the limits say that it is dropped; and stops.
    pub async fn shutdown(&self) {
        let running = std::mem::take(&mut *lock(&self.running));
        if !self.limits.is_drained {
            running.sections.iter().for_each(|section| lock(&section.queue).clear());
        }
        if let Some(stop) = running.stop {
            stop.send_replace(true);
        }
        let all = async {
            for task in running.tasks {
                // A task that panicked has nothing more to send.
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, all).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_targets_to_urls() {
        let config: AlertmanagerConfig = yaml::from_str(
            "a.yml",
            "scheme: https\npath_prefix: /am/\nstatic_configs: [{targets: ['a:1', 'b:2']}]\nrelabel_configs: [{source_labels: [__address__], regex: 'b:.*', action: drop}]\n",
        )
        .unwrap();
        let targets = Targets {
            scheme: config.scheme.clone().unwrap(),
            alerts_path: "/am/api/v2/alerts".into(),
            rules: Rules::new(&config.relabel_configs).unwrap(),
        };
        let addresses = ["a:1".to_owned(), "b:2".to_owned()];
        let groups = [TargetGroup::new("0", Labels::empty(), addresses)];
        assert_eq!(targets.urls(&groups), ["https://a:1/am/api/v2/alerts"]);
    }

    #[test]
    fn faults_have_paths() {
        let mut config: AlertingConfig = yaml::from_str(
            "a.yml",
            "alertmanagers:\n- api_version: v1\n  bearer_token: a\n  basic_auth: {username: b}\n  relabel_configs: [{action: hashmod}]\n",
        )
        .unwrap();
        let faults = config.resolve(Path::new("/"));
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let expected = ["alertmanagers[0].", "alertmanagers[0].relabel_configs[0]", "alertmanagers[0].api_version"];
        assert_eq!(paths, expected, "{faults:?}");
    }
}
