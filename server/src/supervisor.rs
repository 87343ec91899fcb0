//! Starts, reloads and stops the parts, in order.

use crate::auto_reload;
use crate::cli::{ServeFlags, duration_flag, size_flag};
use crate::config::prometheus_yml::PrometheusConfig;
use crate::http::web_config::WebConfigFile;
use crate::http::{self, App, FrontEnd, Lifecycle, Receivers, Settings, Workers};
use alertmanager::{Alertmanager, AlertmanagerOptions};
use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use remote::{ReadClient, RemoteWrite, RemoteWriteConfig, RemoteWriteOptions};
use rules::alertmanager_client::{Notifier, NotifierLimits};
use rules::{AlertSink, RuleManager, RuleManagerOptions, RulesConfig};
use shipper::{ObjectStorageConfig, Shipper, ShipperOptions};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::{Querier, Queryable, StorageError};
use system::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};
use tsdb::{SyncPolicy, Tsdb, TsdbOptions};

/// How often the engine looks whether there is something to compact or to drop.
const MAINTENANCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the head is to be cut: history that is sent at once would fill the memory otherwise.
const CUT_CHECK: Duration = Duration::from_secs(2);
/// How long a queue may take to send what it holds when it is stopped; the rest is sent after the next start.
/// All files are read at every look.
const AUTO_RELOAD_MIN: Duration = Duration::from_secs(1);
const QUEUE_FLUSH: Duration = Duration::from_secs(5);
/// How long expired silences and the notification log are kept, as Alertmanager does.
const NOTIFICATION_RETENTION: Duration = Duration::from_secs(120 * 3600);

/// Runs the server until it is told to stop.
///
/// # Errors
/// Anything that keeps it from starting: a bad configuration, a taken port, a data folder in use.
pub(crate) async fn run(flags: ServeFlags, receivers: Receivers) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let started_at_ms = clock.now_ms();
    ::http_client::install_default_provider();
    // What is wrong with the configuration is told before anything is opened.
    let address = flags.listen_address.first().cloned().unwrap_or_default();
    let configs = Configs::load(&flags, &own_address(&address))?;
    let web = flags.web_config_file.as_deref().map(WebConfigFile::open).transpose()?.map(Arc::new);
    let mut listeners = Vec::new();
    for address in &flags.listen_address {
        let listener = TcpListener::bind(normalize(address))
            .await
            .with_context(|| format!("--web.listen-address={address}: cannot listen there"))?;
        listeners.push(listener);
    }

    let registry = telemetry::Registry::new();
    http::register_process(&registry, started_at_ms);
    let tsdb = open_tsdb(&flags, &configs.prometheus, &registry, &clock).await?;
    tracing::info!(path = %flags.storage_path.display(), "the data folder is open");
    let external_url = external_url(&flags, &address);
    let prefix = route_prefix(&flags, &external_url);

    // Found wrong at the start, not at the end.
    flag_duration("storage.remote.flush-deadline", &flags.remote_flush_deadline)?;
    let queryable = Arc::new(Queryables::default());
    let engine = Arc::new(promql::Engine::new(promql::EngineOptions {
        lookback_delta_ms: duration_flag("query.lookback-delta", &flags.lookback_delta)?,
        max_samples: flags.query_max_samples,
        max_series: Some(flags.query_max_series).filter(|max| *max > 0),
        max_memory_bytes: flags.query_max_memory_bytes,
        timeout: flag_duration("query.timeout", &flags.query_timeout)?,
        default_step_ms: i64::try_from(configs.prometheus.evaluation_interval.as_millis()).unwrap_or(60_000),
        // The API checks the resolution of a range itself, as Prometheus does.
        max_steps: usize::MAX,
        use_start_timestamps: flags.enabled().use_start_timestamps,
        delayed_name_removal: flags.enabled().delayed_name_removal,
        features: flags.enabled().language,
        ..promql::EngineOptions::default()
    }));
    let alertmanager = Alertmanager::start(AlertmanagerOptions {
        config: configs.alertmanager.clone(),
        data_dir: Some(flags.storage_path.join("alertmanager")),
        external_url: external_url.clone(),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        retention: NOTIFICATION_RETENTION,
        version: alertmanager_version(),
        delivery: alertmanager::notify::network(),
        events: None,
    })?;
    let notifier = Arc::new(Notifier::new(
        &registry,
        NotifierLimits {
            queue_capacity: flags.notification_queue_capacity,
            batch_size: flags.notification_batch_size.max(1),
            is_drained: flags.drain_notification_queue,
        },
    ));
    let query_log: Arc<http::queries::log::QueryLog> = Arc::default();
    let rules = Arc::new(RuleManager::new(RuleManagerOptions {
        engine: Arc::clone(&engine),
        queryable: Arc::clone(&queryable) as Arc<dyn Queryable>,
        ingest: Arc::clone(&tsdb) as Arc<dyn storage::Ingest>,
        alerts: Arc::new(Alerts { alertmanager: alertmanager.clone(), notifier: Arc::clone(&notifier) }),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        external_url: external_url.clone(),
        outage_tolerance: flag_duration("rules.alert.for-outage-tolerance", &flags.for_outage_tolerance)?,
        for_grace_period: flag_duration("rules.alert.for-grace-period", &flags.for_grace_period)?,
        resend_delay: flag_duration("rules.alert.resend-delay", &flags.resend_delay)?,
        query_log: Some(Arc::new(http::queries::log::OfRules::new(Arc::clone(&query_log), Arc::clone(&clock)))),
    }));
    let mut scrape_options =
        scrape::ScrapeOptions::new(Arc::clone(&tsdb) as Arc<dyn storage::Ingest>, Arc::clone(&clock), registry.clone());
    scrape_options.external_host = host_of(&external_url);
    let scrape_threads = ScrapeThreads::start()?;
    scrape_options.threads = scrape_threads.handle();
    let scrape = Arc::new(scrape::ScrapeManager::new(scrape_options));
    let dashboards = dashboard_store::DashboardStore::open(
        &flags.storage_path.join("dashboards"),
        flags.dashboards_path.as_deref(),
        Arc::clone(&clock),
    )?;
    let (stop, stopped) = watch::channel(false);
    let supervisor = Arc::new(Supervisor {
        flags: flags.clone(),
        own_address: own_address(&address),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        tsdb: Arc::clone(&tsdb),
        queryable: Arc::clone(&queryable),
        scrape: Arc::clone(&scrape),
        rules: Arc::clone(&rules),
        alertmanager: alertmanager.clone(),
        notifier: Arc::clone(&notifier),
        remote_writes: Mutex::default(),
        shipper: Mutex::default(),
        blackbox_config: Arc::new(ArcSwap::from_pointee(configs.blackbox.clone())),
        app: OnceLock::new(),
        reloading: Mutex::new(()),
        stop,
    });
    let app = Arc::new(App {
        flags: flags.clone(),
        clock: Arc::clone(&clock),
        started_at_ms,
        registry: registry.clone(),
        tsdb: Arc::clone(&tsdb),
        receiver: remote::receive::Receiver::default(),
        receivers,
        queryable: Arc::clone(&queryable) as Arc<dyn Queryable>,
        engine,
        result_cache: result_cache(&flags, &registry),
        queries: http::queries::Queries::new(query_limits(&flags)?, Arc::clone(&clock), &registry),
        workers: Workers::new(tokio::runtime::Handle::current()),
        query_log,
        scrape: Arc::clone(&scrape),
        rules: Arc::clone(&rules),
        alertmanager: alertmanager.clone(),
        blackbox: blackbox::Handler::new(&registry),
        blackbox_config: Arc::clone(&supervisor.blackbox_config),
        dashboards: Arc::new(dashboards),
        settings: ArcSwap::from_pointee(Settings::default()),
        lifecycle: Arc::clone(&supervisor) as Arc<dyn Lifecycle>,
        stopping: stopped.clone(),
        listeners: Arc::new(Semaphore::new(flags.max_notifications_subscribers.min(Semaphore::MAX_PERMITS))),
        read_timeout: http::body_in_time::timeout(&flags)?,
        front_end: FrontEnd::new(flags.front_end.clone(), page_prefix(&flags, &external_url, &prefix)),
        metrics: http::HttpMetrics::new(&registry),
    });
    let _ = supervisor.app.set(Arc::clone(&app));
    supervisor.apply(configs).await.map_err(|error| anyhow!(error))?;

    let maintenance = spawn_maintenance(Arc::clone(&tsdb), stopped.clone());
    spawn_signals(Arc::clone(&supervisor));
    if flags.auto_reload || flags.enabled().auto_reload {
        let interval = flag_duration("config.auto-reload-interval", &flags.auto_reload_interval)?;
        let supervisor = Arc::clone(&supervisor);
        tokio::spawn(auto_reload::run(flags.clone(), interval.max(AUTO_RELOAD_MIN), stopped.clone(), move || {
            let supervisor = Arc::clone(&supervisor);
            // What went wrong is in the log.
            async move { drop(supervisor.reload_now().await) }
        }));
    }
    let router = http::router(app, &prefix, web.as_ref());
    for address in &flags.listen_address {
        tracing::info!("listening on {address}; the pages are at {external_url}");
    }
    let servers: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(http::serve::serve(
                listener,
                router.clone(),
                flags.max_connections,
                web.clone(),
                stopped.clone(),
            ))
        })
        .collect();
    for server in servers {
        server.await?;
    }

    tracing::info!("stopping");
    scrape.shutdown().await;
    drop(scrape_threads);
    rules.shutdown().await;
    supervisor.stop_remote_writes().await;
    supervisor.stop_shipper().await;
    notifier.shutdown().await;
    alertmanager.shutdown().await;
    maintenance.await?;
    tokio::task::spawn_blocking(move || tsdb.close()).await??;
    tracing::info!("stopped; everything is on disk");
    Ok(())
}

/// The threads of scraping: a scrape is fetched, read and stored on one of them, so that it waits for no other, and
/// requests wait for no scrape.
struct ScrapeThreads(Option<tokio::runtime::Runtime>);

impl ScrapeThreads {
    fn start() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let threads = builder.worker_threads(cores).thread_name("scrape").enable_all().build()?;
        Ok(ScrapeThreads(Some(threads)))
    }

    fn handle(&self) -> Option<tokio::runtime::Handle> {
        self.0.as_ref().map(|threads| threads.handle().clone())
    }
}

impl Drop for ScrapeThreads {
    fn drop(&mut self) {
        // Waiting for them here would block a thread that answers requests.
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

fn query_limits(flags: &ServeFlags) -> Result<http::queries::Limits> {
    Ok(http::queries::Limits {
        running: flags.query_max_concurrency,
        waiting: flags.query_max_queue,
        wait: flag_duration("query.queue-timeout", &flags.query_queue_timeout)?,
    })
}

/// All files, read and checked together: none is applied if one is bad.
struct Configs {
    prometheus: PrometheusConfig,
    rule_files: Vec<rules::RuleFile>,
    alertmanager: alertmanager::Config,
    blackbox: blackbox::Config,
}

impl Configs {
    fn load(flags: &ServeFlags, own_address: &str) -> Result<Configs> {
        let mut faults = Vec::new();
        let reading = rules::Reading { features: flags.enabled().language, ..rules::Reading::default() };
        let prometheus = match &flags.config_file {
            Some(path) => PrometheusConfig::load_with(path, flags.enabled()),
            None => {
                let prefix = route_prefix(flags, flags.external_url.as_deref().unwrap_or_default());
                PrometheusConfig::built_in(own_address, &prefix)
            }
        };
        let prometheus = prometheus.map_err(|all| faults.push(all.to_string())).ok();
        let rule_files = prometheus.as_ref().and_then(|config| {
            rules::load_rule_files(&config.rule_files, &config.folder, reading)
                .map_err(|all| faults.extend(all.iter().map(ToString::to_string)))
                .ok()
        });
        let alertmanager = match &flags.alertmanager_config_file {
            Some(path) => alertmanager::Config::load(path).map_err(|all| faults.push(all.to_string())).ok(),
            None => Some(alertmanager::Config::empty()),
        };
        let blackbox = match &flags.blackbox_config_file {
            Some(path) => load_blackbox(path).map_err(|all| faults.push(all)).ok(),
            None => blackbox::Config::default_modules().map_err(|all| faults.push(all.to_string())).ok(),
        };
        match (prometheus, rule_files, alertmanager, blackbox) {
            (Some(prometheus), Some(rule_files), Some(alertmanager), Some(blackbox)) => {
                Ok(Configs { prometheus, rule_files, alertmanager, blackbox })
            }
            _ => Err(anyhow!("the configuration is not good:\n{}", faults.join("\n"))),
        }
    }
}

fn load_blackbox(path: &Path) -> Result<blackbox::Config, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut config = blackbox::Config::load(&path.display().to_string(), &text).map_err(|faults| faults.to_string())?;
    config.resolve_paths(path.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// A `remote_write` section at work.
struct RunningQueue {
    config: RemoteWriteConfig,
    external_labels: model::Labels,
    queue: RemoteWrite,
}

/// The `object_storage` section at work.
struct RunningShipper {
    config: ObjectStorageConfig,
    external_labels: model::Labels,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

/// The oldest time that our own engine has; `i64::MAX` if it is empty.
fn local_start_ms(tsdb: &Tsdb) -> i64 {
    let head = tsdb.status(0);
    let oldest_block = tsdb.blocks().iter().map(|block| block.min_time_ms).min();
    let oldest = if head.series > 0 { Some(head.min_time_ms) } else { None };
    oldest_block.into_iter().chain(oldest).min().unwrap_or(i64::MAX)
}

/// The running parts, for reloads.
struct Supervisor {
    flags: ServeFlags,
    own_address: String,
    clock: Arc<dyn Clock>,
    registry: telemetry::Registry,
    tsdb: Arc<Tsdb>,
    queryable: Arc<Queryables>,
    scrape: Arc<scrape::ScrapeManager>,
    rules: Arc<RuleManager>,
    alertmanager: Alertmanager,
    notifier: Arc<Notifier>,
    /// Running queues with what they were started from.
    remote_writes: Mutex<Vec<RunningQueue>>,
    shipper: Mutex<Option<RunningShipper>>,
    blackbox_config: Arc<ArcSwap<blackbox::Config>>,
    app: OnceLock<Arc<App>>,
    /// One reload at a time.
    reloading: Mutex<()>,
    stop: watch::Sender<bool>,
}

impl Supervisor {
    /// Hands every part what the files say to it.
    async fn apply(&self, configs: Configs) -> Result<(), String> {
        let Configs { prometheus, rule_files, alertmanager, blackbox } = configs;
        for warning in &prometheus.warnings {
            tracing::warn!("{warning}");
        }
        let now_ms = self.clock.now_ms();
        if let Some(app) = self.app.get() {
            app.query_log.apply(prometheus.query_log_file.as_deref())?;
        }
        self.alertmanager.reload(alertmanager).map_err(|error| error.to_string())?;
        self.blackbox_config.store(Arc::new(blackbox));
        let readers = self.readers(&prometheus)?;
        self.queryable.set(Arc::clone(&self.tsdb), readers);
        self.apply_remote_writes(&prometheus.remote_write, &prometheus.external_labels).await?;
        self.apply_shipper(prometheus.object_storage.as_ref(), &prometheus.external_labels).await?;
        let alertmanagers = self
            .notifier
            .apply(prometheus.alerting.as_ref(), &prometheus.external_labels)
            .map_err(|error| error.to_string())?;
        self.rules.apply(RulesConfig {
            files: rule_files,
            evaluation_interval: prometheus.evaluation_interval,
            query_offset: prometheus.rule_query_offset,
            external_labels: prometheus.external_labels.clone(),
        });
        self.tsdb.set_budgets(prometheus.budgets.clone());
        let retention = retention(&self.flags, &prometheus).map_err(|error| format!("{error:#}"))?;
        self.tsdb.set_retention(retention).map_err(|error| error.to_string())?;
        self.tsdb.set_out_of_order_window(prometheus.out_of_order_window_ms);
        self.scrape.apply(prometheus.jobs.clone()).await;
        if let Some(app) = self.app.get() {
            app.settings.store(Arc::new(Settings {
                config_text: prometheus.shown,
                external_labels: prometheus.external_labels,
                reloaded_at_ms: now_ms,
                reload_ok: true,
                reload_failed_at_ms: 0,
                retention: retention_text(&self.flags, prometheus.retention_ms, prometheus.retention_bytes),
                scrape_interval_ms: i64::try_from(prometheus.scrape_interval.as_millis()).unwrap_or(i64::MAX),
                alertmanagers,
            }));
        }
        self.reload_gauges(true, now_ms);
        Ok(())
    }

    fn readers(&self, prometheus: &PrometheusConfig) -> Result<Vec<Arc<dyn Queryable>>, String> {
        let mut readers: Vec<Arc<dyn Queryable>> = Vec::new();
        for config in &prometheus.remote_read {
            let tsdb = Arc::clone(&self.tsdb);
            let options = remote::read::ReadClientOptions {
                external_labels: prometheus.external_labels.clone(),
                local_start_ms: Arc::new(move || local_start_ms(&tsdb)),
                runtime: tokio::runtime::Handle::current(),
            };
            let name = config.resolved_name();
            let client =
                ReadClient::new(config.clone(), options).map_err(|error| format!("remote_read {name:?}: {error}"))?;
            readers.push(Arc::new(client));
        }
        Ok(readers)
    }

    /// Queues that did not change go on; the others end, keep their place in the log, and start anew.
    async fn apply_remote_writes(
        &self,
        configs: &[RemoteWriteConfig],
        external_labels: &model::Labels,
    ) -> Result<(), String> {
        let mut running = self.remote_writes.lock().await;
        let mut kept = Vec::new();
        for queue in running.drain(..) {
            if configs.contains(&queue.config) && queue.external_labels == *external_labels {
                kept.push(queue);
            } else {
                queue.queue.stop(QUEUE_FLUSH).await;
            }
        }
        *running = kept;
        for config in configs {
            if running.iter().any(|queue| queue.config == *config) {
                continue;
            }
            let options = RemoteWriteOptions {
                tsdb: Arc::clone(&self.tsdb),
                external_labels: external_labels.clone(),
                dir: self.flags.storage_path.join("remote"),
                registry: self.registry.clone(),
                clock: Arc::clone(&self.clock),
            };
            let queue = RemoteWrite::start(config.clone(), options).map_err(|error| error.to_string())?;
            running.push(RunningQueue { config: config.clone(), external_labels: external_labels.clone(), queue });
        }
        Ok(())
    }

    /// A shipper that did not change goes on; another takes up what it left.
    async fn apply_shipper(
        &self,
        config: Option<&ObjectStorageConfig>,
        external_labels: &model::Labels,
    ) -> Result<(), String> {
        let same =
            |running: &RunningShipper| Some(&running.config) == config && running.external_labels == *external_labels;
        if self.shipper.lock().await.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.stop_shipper().await;
        // Until a shipper knows what it has sent, everything may be still to be sent.
        self.tsdb.hold_from(config.map(|_| i64::MIN));
        let Some(config) = config else { return Ok(()) };
        let (engine, complete, clock) = (Arc::clone(&self.tsdb), Arc::clone(&self.tsdb), Arc::clone(&self.clock));
        let (held, blocks) = (Arc::clone(&self.tsdb), Arc::clone(&self.tsdb));
        let options = ShipperOptions {
            source: Arc::clone(&self.tsdb) as Arc<dyn Queryable>,
            extents: Arc::new(move || engine.extents()),
            blocks: Arc::new(move || {
                let raw = blocks.blocks().into_iter().filter(|block| block.resolution_ms.is_none());
                raw.map(|block| (block.ulid, block.min_time_ms, block.max_time_ms)).collect()
            }),
            complete_before_ms: Arc::new(move || complete.complete_before_ms()),
            now_ms: Arc::new(move || clock.now_ms()),
            hold_from: Arc::new(move |from_ms| held.hold_from(Some(from_ms))),
            dir: self.flags.storage_path.clone(),
            external_labels: external_labels.clone(),
            registry: self.registry.clone(),
        };
        let shipper = Shipper::new(config, options).map_err(|error| error.to_string())?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(shipper.run(stopped));
        let running = RunningShipper { config: config.clone(), external_labels: external_labels.clone(), stop, task };
        *self.shipper.lock().await = Some(running);
        Ok(())
    }

    async fn stop_shipper(&self) {
        if let Some(running) = self.shipper.lock().await.take() {
            running.stop.send_replace(true);
            if let Err(error) = running.task.await {
                tracing::error!(%error, "the shipper ended early");
            }
        }
    }

    async fn stop_remote_writes(&self) {
        let flush = flag_duration("storage.remote.flush-deadline", &self.flags.remote_flush_deadline);
        for queue in self.remote_writes.lock().await.drain(..) {
            queue.queue.stop(*flush.as_ref().unwrap_or(&QUEUE_FLUSH)).await;
        }
    }

    fn reload_gauges(&self, ok: bool, now_ms: i64) {
        self.registry
            .gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
                &[],
            )
            .set(if ok { 1.0 } else { 0.0 });
        if ok {
            self.registry
                .gauge(
                    "prometheus_config_last_reload_success_timestamp_seconds",
                    "Timestamp of the last successful configuration reload.",
                    &[],
                )
                .set(now_ms as f64 / 1000.0);
        }
    }

    async fn reload_now(&self) -> Result<(), String> {
        let _one = self.reloading.lock().await;
        let (flags, own_address) = (self.flags.clone(), self.own_address.clone());
        let loaded = tokio::task::spawn_blocking(move || Configs::load(&flags, &own_address)).await;
        let done = match loaded {
            Ok(Ok(configs)) => self.apply(configs).await,
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(error) => Err(error.to_string()),
        };
        match &done {
            Ok(()) => tracing::info!("the configuration was read again"),
            Err(error) => {
                tracing::error!("the running configuration stays: {error}");
                self.reload_gauges(false, self.clock.now_ms());
                if let Some(app) = self.app.get() {
                    let mut settings = Settings::clone(&app.settings.load());
                    settings.reload_ok = false;
                    settings.reload_failed_at_ms = self.clock.now_ms();
                    app.settings.store(Arc::new(settings));
                }
            }
        }
        done
    }
}

impl Lifecycle for Supervisor {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(self.reload_now())
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Alerts of our rules go to our own routing and to the Alertmanagers of the `alerting` section.
struct Alerts {
    alertmanager: Alertmanager,
    notifier: Arc<Notifier>,
}

impl AlertSink for Alerts {
    fn send(&self, alerts: Vec<model::Alert>) {
        self.notifier.send(&alerts);
        self.alertmanager.push_alerts(alerts);
    }
}

/// The cache of range queries, unless it is switched off, with its metrics.
fn result_cache(flags: &ServeFlags, registry: &telemetry::Registry) -> Option<Arc<promql::ResultCache>> {
    let max_bytes = Some(flags.query_result_cache_bytes).filter(|bytes| *bytes > 0)?;
    let options = promql::CacheOptions { max_bytes, ..promql::CacheOptions::default() };
    let cache = Arc::new(promql::ResultCache::new(options));
    let shown = Arc::clone(&cache);
    registry.collector(move |out| {
        let stats = shown.stats();
        let name = "vigie_query_result_cache_requests_total";
        let help = "Range queries of which some steps were in the cache (hit) or none (miss).";
        out.counter(name, help, &[("result", "hit")], stats.hits as f64);
        out.counter(name, help, &[("result", "miss")], stats.misses as f64);
        let name = "vigie_query_result_cache_steps_total";
        let help = "Steps of range queries that were in the cache (reused), and that were not (evaluated).";
        out.counter(name, help, &[("how", "reused")], stats.steps_reused as f64);
        out.counter(name, help, &[("how", "evaluated")], stats.steps_evaluated as f64);
        let help = "Range queries of which steps are in the cache.";
        out.gauge("vigie_query_result_cache_entries", help, &[], stats.entries as f64);
        let help = "Memory that the cache of range queries takes, about.";
        out.gauge("vigie_query_result_cache_bytes", help, &[], stats.bytes as f64);
    });
    Some(cache)
}

/// Our engine and the servers that are read from, exchanged as a whole by a reload.
#[derive(Default)]
struct Queryables(ArcSwap<Option<storage::fanout::Fanout>>);

impl Queryables {
    fn set(&self, tsdb: Arc<Tsdb>, readers: Vec<Arc<dyn Queryable>>) {
        let on_warning: storage::fanout::OnWarning = Arc::new(
            |error| tracing::warn!(%error, "a server that is read from did not answer; results lack what only it has"),
        );
        self.0.store(Arc::new(Some(storage::fanout::Fanout::new(tsdb, readers, on_warning))));
    }
}

impl Queryable for Queryables {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        match self.0.load().as_ref() {
            Some(fanout) => fanout.querier(start_ms, end_ms),
            None => Err(StorageError::Unavailable { reason: "the server is starting".to_owned() }),
        }
    }

    fn is_local(&self) -> bool {
        self.0.load().as_ref().as_ref().is_some_and(Queryable::is_local)
    }

    fn deletions(&self) -> u64 {
        self.0.load().as_ref().as_ref().map_or(0, Queryable::deletions)
    }

    fn history(&self) -> Option<storage::History> {
        self.0.load().as_ref().as_ref()?.history()
    }
}

async fn open_tsdb(
    flags: &ServeFlags,
    config: &PrometheusConfig,
    registry: &telemetry::Registry,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Tsdb>> {
    let mut options = TsdbOptions::new(&flags.storage_path);
    options.sync = match flag_duration("storage.sync", &flags.storage_sync)? {
        Duration::ZERO => SyncPolicy::EveryAppend,
        interval => SyncPolicy::Interval(interval),
    };
    let retention = retention(flags, config)?;
    options.retention_ms = retention.time_ms;
    options.retention_bytes = retention.bytes;
    options.retention_rules = retention.rules;
    options.out_of_order_window_ms = config.out_of_order_window_ms;
    if let Some(exemplars) = config.max_exemplars {
        options.exemplars_max = exemplars;
    }
    options.registry = registry.clone();
    options.clock = Arc::clone(clock);
    Ok(tokio::task::spawn_blocking(move || Tsdb::open(options)).await??)
}

/// What is kept how long: the file goes before the flags.
fn retention(flags: &ServeFlags, config: &PrometheusConfig) -> Result<tsdb::Retention> {
    let time = match &flags.retention_time {
        Some(text) => Some(duration_flag("storage.tsdb.retention.time", text)?).filter(|ms| *ms > 0),
        None => None,
    };
    let size = match &flags.retention_size {
        Some(text) => Some(size_flag("storage.tsdb.retention.size", text)?).filter(|bytes| *bytes > 0),
        None => None,
    };
    let (time, size) = (config.retention_ms.or(time), config.retention_bytes.or(size));
    // The time limit is there by default only where nothing else limits, as in Prometheus.
    let time_ms = time.unwrap_or(if size.is_some() { 0 } else { tsdb::RETENTION_MS_DEFAULT });
    Ok(tsdb::Retention { time_ms, bytes: size.unwrap_or(0), rules: config.retention_rules.clone() })
}

fn retention_text(flags: &ServeFlags, time_ms: Option<i64>, bytes: Option<u64>) -> String {
    let time = time_ms.map(model::duration::format_duration_ms).or_else(|| flags.retention_time.clone());
    let size = bytes.map(|bytes| format!("{bytes}B")).or_else(|| flags.retention_size.clone());
    match (time, size) {
        (Some(time), Some(size)) => format!("{time} or {size}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "15d".to_owned(),
    }
}

fn spawn_maintenance(tsdb: Arc<Tsdb>, mut stopped: watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut waited = Duration::ZERO;
        let mut failed = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(CUT_CHECK) => waited += CUT_CHECK,
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            // After a failure, of a full disk for example, there is no haste.
            if waited < MAINTENANCE && (failed || !tsdb.is_maintenance_due()) {
                continue;
            }
            (waited, failed) = (Duration::ZERO, true);
            let tsdb = Arc::clone(&tsdb);
            match tokio::task::spawn_blocking(move || tsdb.maintain()).await {
                Ok(Ok(())) => failed = false,
                Ok(Err(error)) => tracing::error!(%error, "compaction or retention failed; it is tried again"),
                Err(error) => tracing::error!(%error, "compaction or retention ended early"),
            }
        }
    })
}

/// SIGTERM and SIGINT stop, SIGHUP reloads.
fn spawn_signals(supervisor: Arc<Supervisor>) {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
        else {
            tracing::error!("signals cannot be received; the process can only be killed");
            return;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                // What went wrong is in the log.
                _ = hang_up.recv() => drop(supervisor.reload_now().await),
            }
        }
        supervisor.stop();
    });
}

fn flag_duration(name: &str, text: &str) -> Result<Duration> {
    Ok(Duration::from_millis(u64::try_from(duration_flag(name, text)?).unwrap_or(0)))
}

/// Go's `:9090` means every interface.
fn normalize(address: &str) -> String {
    if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() }
}

/// The address that this server can reach itself by.
fn own_address(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or(("", "9090"));
    match host {
        "" | "0.0.0.0" | "[::]" => format!("localhost:{port}"),
        host => format!("{host}:{port}"),
    }
}

fn external_url(flags: &ServeFlags, listen: &str) -> String {
    match &flags.external_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", own_address(listen)),
    }
}

/// The host of a URL, without its port.
fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    (!host.is_empty()).then(|| host.to_owned())
}

/// "" or `/path` without a slash at the end.
fn route_prefix(flags: &ServeFlags, external_url: &str) -> String {
    let path = match &flags.route_prefix {
        Some(prefix) => prefix.clone(),
        None => {
            let after_scheme = external_url.split_once("://").map_or(external_url, |(_, rest)| rest);
            after_scheme.split_once('/').map(|(_, path)| path.to_owned()).unwrap_or_default()
        }
    };
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// Path below which browsers find the pages: that of the external address, for a proxy in between may take it away;
/// without one, what the routes have.
fn page_prefix(flags: &ServeFlags, external_url: &str, route_prefix: &str) -> String {
    if flags.external_url.is_none() {
        return route_prefix.to_owned();
    }
    let after_scheme = external_url.split_once("://").map_or(external_url, |(_, rest)| rest);
    let path = after_scheme.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// amtool asks for the version of the API's owner.
fn alertmanager_version() -> api::alerts::VersionInfo {
    api::alerts::VersionInfo {
        branch: "vigie".to_owned(),
        version: "0.34.0".to_owned(),
        revision: format!("vigie-{}", env!("CARGO_PKG_VERSION")),
        ..api::alerts::VersionInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(own_address("0.0.0.0:9090"), "localhost:9090");
        assert_eq!(own_address(":9090"), "localhost:9090");
        assert_eq!(own_address("127.0.0.1:1"), "127.0.0.1:1");
        assert_eq!(normalize(":9090"), "[::]:9090");
    }
}
