//! The running part: joins alerts, groups, silences and notification log.

use crate::{
    alert::{AlertStore, StoredAlert, fingerprint},
    config::{Config, receivers::IntegrationConfig},
    files,
    group::{Group, Setup},
    metrics::Metrics,
    notification_log::NotificationLog,
    notify::{Delivery, Integration, undeliverable},
    route::Route,
    silence::Silences,
    template::Templates,
};
use model::Labels;
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use system::Clock;
use telemetry::{Registry, Value};
use tokio::{sync::watch, task::JoinHandle};

/// How often empty groups, resolved alerts and expired entries are forgotten.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(30);
/// Silences and the notification log are cleaned every so many maintenances: every quarter of an hour.
const MAINTENANCES_PER_CLEANING: u64 = 30;
/// How long a shutdown waits for notifications under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// What happened, for the event record. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A notification was sent, or given up after its retries.
    Notification {
        at_ms: i64,
        receiver: String,
        /// Name and index of the integration, as `webhook[0]`.
        integration: String,
        group_key: String,
        /// Number of alerts in it.
        alerts_firing: usize,
        alerts_resolved: usize,
        /// Empty when it was delivered.
        error: String,
    },
    /// A silence was created, replaced or expired.
    Silence { at_ms: i64, id: String, state: String, created_by: String, comment: String },
}

/// Where events go; called from tasks, must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// All that an Alertmanager needs from outside.
#[derive(Clone)]
pub struct AlertmanagerOptions {
    pub config: Config,
    /// Folder of silences and notification log, made if it is not there; `None`: nothing survives the process.
    pub data_dir: Option<PathBuf>,
    /// URL that links in notifications start with, without a slash at the end.
    pub external_url: String,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// How long expired silences and the notification log are kept; upstream: 120 h.
    pub retention: Duration,
    pub version: api::alerts::VersionInfo,
    /// How HTTP requests and mails leave: [`crate::notify::network`] but in tests.
    pub delivery: Arc<dyn Delivery>,
    pub events: Option<EventSink>,
}

/// Why an Alertmanager does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Config(String),
}

/// What a reload replaces.
struct Running {
    config: Arc<Config>,
    setup: Arc<Setup>,
    /// By index, without children.
    routes: Vec<Arc<Route>>,
    groups: BTreeMap<(usize, Labels), (Arc<Group>, JoinHandle<()>)>,
    stop: watch::Sender<bool>,
}

pub(crate) struct Inner {
    options: AlertmanagerOptions,
    metrics: Metrics,
    // Locked in this order: alerts, running, the alerts of a group.
    alerts: Mutex<AlertStore>,
    running: Mutex<Running>,
    silences: Silences,
    notification_log: NotificationLog,
    started_ms: i64,
}

/// A running Alertmanager. Clones share it.
#[derive(Clone)]
pub struct Alertmanager {
    inner: Arc<Inner>,
    maintenance: Arc<Mutex<Option<JoinHandle<()>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn setup(config: &Config, options: &AlertmanagerOptions) -> Result<Setup, StartError> {
    let mut receivers = HashMap::new();
    for receiver in &config.receivers {
        let mut integrations: Vec<Integration> = Vec::new();
        for own in &receiver.integrations {
            // The index counts integrations of one type.
            let index = integrations.iter().filter(|other| other.kind == own.kind()).count();
            let integration = Integration::new(own.clone(), index, &options.delivery).map_err(|error| {
                StartError::Config(format!("receiver {:?}, {}[{index}]: {error}", receiver.name, own.kind()))
            })?;
            integrations.push(integration);
        }
        receivers.insert(receiver.name.clone(), integrations);
    }
    let templates = Templates::load(&config.templates, &options.clock).map_err(StartError::Config)?;
    Ok(Setup { receivers, templates, time_intervals: config.time_intervals.clone() })
}

impl Running {
    fn new(config: Config, setup: Setup) -> Running {
        let mut routes = Vec::new();
        config.route.walk(&mut |route| routes.push(Arc::new(Route { routes: Vec::new(), ..route.clone() })));
        Running {
            config: Arc::new(config),
            setup: Arc::new(setup),
            routes,
            groups: BTreeMap::new(),
            stop: watch::channel(false).0,
        }
    }

    fn dispatch(&mut self, inner: &Arc<Inner>, alert: &Arc<StoredAlert>, now_ms: i64) {
        let config = Arc::clone(&self.config);
        for route in config.route.matching(&alert.labels) {
            let labels = route.group_labels(&alert.labels);
            let key = (route.index, labels);
            if let Some((group, _)) = self.groups.get(&key) {
                group.insert(Arc::clone(alert), now_ms);
                continue;
            }
            let Some(own) = self.routes.get(route.index) else { continue };
            let group = Arc::new(Group::new(Arc::clone(own), key.1.clone()));
            group.insert(Arc::clone(alert), now_ms);
            let task = Arc::clone(&group).run(Arc::clone(inner), Arc::clone(&self.setup), self.stop.subscribe());
            self.groups.insert(key, (group, tokio::spawn(task)));
        }
    }
}

impl Inner {
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.options.clock.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn silences(&self) -> &Silences {
        &self.silences
    }

    pub(crate) fn notification_log(&self) -> &NotificationLog {
        &self.notification_log
    }

    pub(crate) fn external_url(&self) -> &str {
        &self.options.external_url
    }

    pub(crate) fn retention_ms(&self) -> i64 {
        i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    pub(crate) fn version(&self) -> &api::alerts::VersionInfo {
        &self.options.version
    }

    pub(crate) fn inhibited_by(&self, labels: &Labels) -> Vec<u64> {
        lock(&self.alerts).inhibited_by(labels, self.clock().now_ms())
    }

    pub(crate) fn event(&self, event: Event) {
        if let Some(events) = &self.options.events {
            events(event);
        }
    }

    pub(crate) fn all_alerts(&self) -> Vec<Arc<StoredAlert>> {
        lock(&self.alerts).all().cloned().collect()
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.running).config)
    }

    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        lock(&self.running).groups.values().map(|(group, _)| Arc::clone(group)).collect()
    }

    /// Takes alerts in, in the order given.
    pub(crate) fn put(self: &Arc<Self>, alerts: Vec<StoredAlert>) {
        let mut store = lock(&self.alerts);
        let now_ms = self.clock().now_ms();
        for alert in alerts {
            self.metrics.received(alert.is_resolved_at(now_ms));
            let alert = store.put(alert);
            lock(&self.running).dispatch(self, &alert, now_ms);
        }
    }

    fn maintain(&self, count: u64) {
        let now_ms = self.clock().now_ms();
        lock(&self.alerts).collect_garbage(now_ms);
        lock(&self.running).groups.retain(|_, (group, task)| {
            let keep = !group.is_empty();
            if !keep {
                task.abort();
            }
            keep
        });
        if count.is_multiple_of(MAINTENANCES_PER_CLEANING) {
            if let Err(error) = self.silences.collect_garbage(now_ms) {
                tracing::error!("silences: {error}");
            }
            if let Err(error) = self.notification_log.collect_garbage(now_ms) {
                tracing::error!("notification log: {error}");
            }
        }
    }

    fn collect(&self, out: &mut telemetry::Collected) {
        let now_ms = self.clock().now_ms();
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let number = |count: usize| count as f64;
        for (state, count) in self.silences.counts(now_ms) {
            out.gauge("alertmanager_silences", "How many silences by state.", &[("state", state)], number(count));
        }
        let (mut active, mut suppressed) = (0, 0);
        for alert in self.all_alerts().iter().filter(|alert| !alert.is_resolved_at(now_ms)) {
            let is_suppressed = !self.silences.silenced_by(&alert.labels, now_ms).is_empty()
                || !self.inhibited_by(&alert.labels).is_empty();
            if is_suppressed { suppressed += 1 } else { active += 1 }
        }
        for (state, count) in [("active", active), ("suppressed", suppressed), ("unprocessed", 0)] {
            out.gauge("alertmanager_alerts", "How many alerts by state.", &[("state", state)], number(count));
        }
        out.gauge(
            "alertmanager_dispatcher_aggregation_groups",
            "Number of active aggregation groups",
            &[],
            number(self.groups().len()),
        );
        out.gauge(
            "alertmanager_nflog_entries",
            "Number of entries of the notification log.",
            &[],
            number(self.notification_log.len()),
        );
        let integrations = self.config().receivers.iter().map(|receiver| receiver.integrations.len()).sum();
        out.gauge("alertmanager_integrations", "Number of configured integrations.", &[], number(integrations));
        out.push(
            "alertmanager_receivers",
            "Number of configured receivers.",
            model::MetricType::Gauge,
            Labels::empty(),
            Value::Number(number(self.config().receivers.len())),
        );
    }
}

impl Alertmanager {
    /// Reads what is on disk and starts the timers; call it inside a tokio runtime. Blocks on the disk.
    ///
    /// # Errors
    /// Files that cannot be read, templates or receivers that cannot be built.
    pub fn start(options: AlertmanagerOptions) -> Result<Alertmanager, StartError> {
        let retention_ms = i64::try_from(options.retention.as_millis()).unwrap_or(i64::MAX);
        let now_ms = options.clock.now_ms();
        let folder = options.data_dir.as_deref();
        let io = |source| StartError::Io { path: folder.map(PathBuf::from).unwrap_or_default(), source };
        if let Some(folder) = folder {
            files::make_folder(folder).map_err(io)?;
        }
        let silences = Silences::open(folder, retention_ms).map_err(io)?;
        let notification_log = NotificationLog::open(folder, now_ms).map_err(io)?;
        let running = Running::new(options.config.clone(), setup(&options.config, &options)?);
        let mut alerts = AlertStore::default();
        alerts.set_rules(options.config.inhibit_rules.clone());
        for warning in options.config.warnings() {
            tracing::warn!("{}: {warning}", options.config.file());
        }
        let inner = Arc::new(Inner {
            metrics: Metrics::new(&options.registry),
            alerts: Mutex::new(alerts),
            running: Mutex::new(running),
            silences,
            notification_log,
            started_ms: now_ms,
            options,
        });
        let weak = Arc::downgrade(&inner);
        inner.options.registry.collector(move |out| {
            if let Some(inner) = weak.upgrade() {
                inner.collect(out);
            }
        });
        let weak = Arc::downgrade(&inner);
        let maintenance = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(MAINTENANCE_INTERVAL);
            ticks.tick().await;
            for count in 1.. {
                ticks.tick().await;
                let Some(inner) = weak.upgrade() else { return };
                inner.maintain(count);
            }
        });
        Ok(Alertmanager { inner, maintenance: Arc::new(Mutex::new(Some(maintenance))) })
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Takes a new configuration: groups start anew, what was notified is not notified again. Reads template files.
    ///
    /// # Errors
    /// Templates or receivers that cannot be built; the old configuration stays.
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let setup = setup(&config, &self.inner.options)?;
        for warning in config.warnings() {
            tracing::warn!("{}: {warning}", config.file());
        }
        let mut alerts = lock(&self.inner.alerts);
        alerts.set_rules(config.inhibit_rules.clone());
        let mut running = lock(&self.inner.running);
        running.stop.send_replace(true);
        *running = Running::new(config, setup);
        let now_ms = self.inner.clock().now_ms();
        for alert in alerts.all() {
            running.dispatch(&self.inner, alert, now_ms);
        }
        Ok(())
    }

    /// The configuration that runs.
    pub fn config(&self) -> Arc<Config> {
        self.inner.config()
    }

    /// Takes alerts from rules. Call inside the runtime; does not block on disk or network.
    pub fn push_alerts(&self, alerts: Vec<model::Alert>) {
        let now_ms = self.inner.clock().now_ms();
        let timeout_ms = i64::try_from(self.inner.config().resolve_timeout.as_millis()).unwrap_or(i64::MAX);
        let alerts = alerts.into_iter().filter(|alert| !alert.labels.is_empty()).map(|alert| StoredAlert {
            fingerprint: fingerprint(&alert.labels),
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at_ms: alert.starts_at_ms,
            timeout: alert.ends_at_ms.is_none(),
            ends_at_ms: alert.ends_at_ms.unwrap_or(now_ms.saturating_add(timeout_ms)),
            generator_url: alert.generator_url,
            updated_at_ms: now_ms,
        });
        self.inner.put(alerts.collect());
    }

    /// Stops the timers and waits for flushes to end, at most ten seconds. What was delivered is on disk already.
    pub async fn shutdown(&self) {
        if let Some(task) = lock(&self.maintenance).take() {
            task.abort();
        }
        let groups: Vec<_> = {
            let mut running = lock(&self.inner.running);
            running.stop.send_replace(true);
            std::mem::take(&mut running.groups).into_values().map(|(_, task)| task).collect()
        };
        let all = async {
            for task in groups {
                // A group that panicked has nothing more to say.
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    }
}

/// What of a receiver type cannot be delivered; for warnings at load.
pub(crate) fn receiver_warnings(config: &[crate::config::Receiver]) -> Vec<String> {
    let mut warnings = Vec::new();
    for receiver in config {
        for integration in &receiver.integrations {
            if let Some(warning) = undeliverable(integration.kind()) {
                warnings.push(format!("receiver {:?}: {warning}", receiver.name));
            }
            if let IntegrationConfig::Slack(slack) = integration
                && slack.update_message
            {
                warnings.push(format!(
                    "receiver {:?}: update_message has no effect yet: every notification is a message of its own",
                    receiver.name
                ));
            }
        }
    }
    warnings
}
