//! `prometheus.yml`: joins the sections, which the crates that obey them declare, and holds `global`.

use super::features::Enabled;
use discovery::{ConfigDuration, ConfigFault};
use remote::{RemoteReadConfig, RemoteWriteConfig};
use rules::alertmanager_client::AlertingConfig;
use scrape::{GlobalScrapeDefaults, ScrapeConfig, ScrapeJob};
use serde::{Deserialize, Serialize};
use shipper::ObjectStorageConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use yaml::{Fault, Faults, Places};

/// What runs when no file is given: this server and the machine it runs on, so often that rates are there within
/// seconds of the first start. `{address}` is our own address.
const BUILT_IN: &str = "\
global:
  scrape_interval: 2s
  scrape_timeout: 2s
scrape_configs:
  - job_name: vigie
    metrics_path: '{prefix}/metrics'
    static_configs:
      - targets: ['{address}']
  - job_name: node
    metrics_path: '{prefix}/metrics/host'
    static_configs:
      - targets: ['{address}']
";

/// Name that the built-in configuration goes by in messages.
const BUILT_IN_NAME: &str = "built-in configuration";

/// The file as written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    global: Global,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<Runtime>,
    rule_files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scrape_config_files: Vec<String>,
    scrape_configs: Vec<ScrapeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerting: Option<AlertingConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remote_write: Vec<RemoteWriteConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remote_read: Vec<RemoteReadConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<StorageSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<serde_json::Value>,
}

/// Go's garbage collector has no counterpart here; read so that files stay as they are.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Runtime {
    gogc: Option<i64>,
}

/// `global`, with Prometheus' defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Global {
    scrape_interval: ConfigDuration,
    scrape_timeout: Option<ConfigDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_protocols: Option<Vec<String>>,
    evaluation_interval: ConfigDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_query_offset: Option<ConfigDuration>,
    external_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_log_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_failure_log_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_size_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_name_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_value_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_dropped_targets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name_validation_scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name_escaping_scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_native_histograms: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    convert_classic_histograms_to_nhcb: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    always_scrape_classic_histograms: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_scrape_metrics: Option<bool>,
}

impl Default for Global {
    fn default() -> Self {
        Global {
            scrape_interval: ConfigDuration(60_000),
            scrape_timeout: None,
            scrape_protocols: None,
            evaluation_interval: ConfigDuration(60_000),
            rule_query_offset: None,
            external_labels: BTreeMap::new(),
            query_log_file: None,
            scrape_failure_log_file: None,
            body_size_limit: None,
            sample_limit: None,
            label_limit: None,
            label_name_length_limit: None,
            label_value_length_limit: None,
            target_limit: None,
            keep_dropped_targets: None,
            metric_name_validation_scheme: None,
            metric_name_escaping_scheme: None,
            scrape_native_histograms: None,
            convert_classic_histograms_to_nhcb: None,
            always_scrape_classic_histograms: None,
            extra_scrape_metrics: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct StorageSection {
    tsdb: Option<TsdbSection>,
    exemplars: Option<ExemplarsSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_storage: Option<ObjectStorageConfig>,
    /// Ours: how long the samples of some series are kept, raw or down-sampled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retention_rules: Vec<RetentionRuleSection>,
    /// Ours.
    cardinality: Option<CardinalitySection>,
}

/// How many series there may be; see [`tsdb::CardinalityBudgets`].
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct CardinalitySection {
    job_series: Option<u64>,
    metric_series: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    jobs: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metrics: BTreeMap<String, u64>,
}

/// Of several rules of one resolution, the first that accepts a series counts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RetentionRuleSection {
    /// A selector of series, as in PromQL.
    #[serde(rename = "match")]
    selector: String,
    keep: ConfigDuration,
    /// Length of the windows of down-sampled history; without it the rule is about raw samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolution: Option<ConfigDuration>,
}

/// Windows of down-sampled history are not shorter: a minute has a few samples at the least.
const RESOLUTION_MS_MIN: i64 = 60_000;
/// History is down-sampled day by day.
const RESOLUTION_MS_MAX: i64 = 24 * 3_600_000;
/// Each is run for every series of every block.
const RETENTION_RULES_MAX: usize = 100;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct TsdbSection {
    out_of_order_time_window: Option<ConfigDuration>,
    stale_series_compaction_threshold: Option<f64>,
    chunk_encoding: Option<serde_json::Value>,
    retention: Option<RetentionSection>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionSection {
    time: Option<ConfigDuration>,
    size: Option<String>,
    percentage: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ExemplarsSection {
    max_exemplars: Option<i64>,
}

/// A checked configuration, with nothing left to be filled in.
#[derive(Clone, Debug)]
pub(crate) struct PrometheusConfig {
    /// For `/api/v1/status/config`: defaults filled in, secrets hidden.
    pub(crate) shown: String,
    /// Folder that relative file names start from.
    pub(crate) folder: PathBuf,
    pub(crate) external_labels: model::Labels,
    pub(crate) scrape_interval: Duration,
    pub(crate) evaluation_interval: Duration,
    pub(crate) rule_query_offset: Duration,
    pub(crate) rule_files: Vec<String>,
    pub(crate) scrape_config_files: Vec<String>,
    pub(crate) jobs: Vec<ScrapeJob>,
    pub(crate) alerting: Option<AlertingConfig>,
    pub(crate) remote_write: Vec<RemoteWriteConfig>,
    pub(crate) remote_read: Vec<RemoteReadConfig>,
    pub(crate) out_of_order_window_ms: i64,
    /// From `storage.tsdb.retention`, above the flags.
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<u64>,
    /// From `storage.retention_rules`.
    pub(crate) retention_rules: Vec<tsdb::RetentionRule>,
    pub(crate) max_exemplars: Option<usize>,
    pub(crate) budgets: tsdb::CardinalityBudgets,
    pub(crate) object_storage: Option<ObjectStorageConfig>,
    /// `global.query_log_file`, below the folder of the configuration unless it is absolute.
    pub(crate) query_log_file: Option<PathBuf>,
    /// What loads but will not do what its author may hope.
    pub(crate) warnings: Vec<String>,
}

impl PrometheusConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong in it; a file that cannot be read is a fault without a place.
    pub(crate) fn load(path: &Path) -> Result<Self, Faults> {
        PrometheusConfig::load_with(path, Enabled::default())
    }

    /// As [`PrometheusConfig::load`], with the defaults of the features that are switched on.
    ///
    /// # Errors
    /// As [`PrometheusConfig::load`].
    pub(crate) fn load_with(path: &Path, enabled: Enabled) -> Result<Self, Faults> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&name, &error))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        parse_with(&name, &text, &folder, enabled)
    }

    /// What runs when no file is given: this server at `own_address`, below `route_prefix` ("" for none), and its machine.
    ///
    /// # Errors
    /// None in practice: the text is our own.
    pub(crate) fn built_in(own_address: &str, route_prefix: &str) -> Result<Self, Faults> {
        let text = BUILT_IN.replace("{address}", own_address).replace("{prefix}", &route_prefix.replace('\'', "''"));
        parse(BUILT_IN_NAME, &text, Path::new(""))
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Faults {
    let fault = Fault { line: 0, column: 0, path: String::new(), message: error.to_string() };
    Faults { file: name.to_owned(), faults: vec![fault] }
}

/// Gathers faults that are found after reading.
struct Checks<'a> {
    places: &'a Places,
    faults: Vec<Fault>,
}

impl Checks<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(self.places.fault(path, message));
    }
}

fn parse(name: &str, text: &str, folder: &Path) -> Result<PrometheusConfig, Faults> {
    parse_with(name, text, folder, Enabled::default())
}

fn parse_with(name: &str, text: &str, folder: &Path, enabled: Enabled) -> Result<PrometheusConfig, Faults> {
    let (mut written, places): (Written, Places) = yaml::from_str_with_places(name, text)?;
    let mut checks = Checks { places: &places, faults: Vec::new() };
    let mut warnings = Vec::new();
    if enabled.extra_scrape_metrics {
        written.global.extra_scrape_metrics.get_or_insert(true);
    }
    let global = written.global.clone();

    let scrape_interval = global.scrape_interval.as_duration();
    let evaluation_interval = global.evaluation_interval.as_duration();
    for (path, interval) in
        [("global.scrape_interval", scrape_interval), ("global.evaluation_interval", evaluation_interval)]
    {
        if interval.is_zero() {
            checks.fault(path, "must be longer than 0; leave it out for 1m");
        }
    }
    let scrape_timeout = match global.scrape_timeout {
        Some(timeout) => {
            if timeout > global.scrape_interval {
                checks.fault(
                    "global.scrape_timeout",
                    "global scrape timeout greater than scrape interval; lower the one or raise the other",
                );
            }
            timeout.as_duration()
        }
        // Prometheus' default, shortened with the interval.
        None => Duration::from_secs(10).min(scrape_interval),
    };
    written.global.scrape_timeout = Some(ConfigDuration(i64::try_from(scrape_timeout.as_millis()).unwrap_or(0)));
    let rule_query_offset = global.rule_query_offset.map_or(Duration::ZERO, ConfigDuration::as_duration);
    let external_labels = external_labels(&global, &mut checks);

    let defaults = GlobalScrapeDefaults {
        scrape_interval,
        scrape_timeout,
        scrape_protocols: global.scrape_protocols.clone(),
        scrape_failure_log_file: global.scrape_failure_log_file.clone(),
        body_size_limit: global.body_size_limit.clone(),
        sample_limit: global.sample_limit.unwrap_or(0),
        label_limit: global.label_limit.unwrap_or(0),
        label_name_length_limit: global.label_name_length_limit.unwrap_or(0),
        label_value_length_limit: global.label_value_length_limit.unwrap_or(0),
        target_limit: global.target_limit.unwrap_or(0),
        keep_dropped_targets: global.keep_dropped_targets.unwrap_or(0),
        metric_name_validation_scheme: global.metric_name_validation_scheme.clone(),
        metric_name_escaping_scheme: global.metric_name_escaping_scheme.clone(),
        scrape_native_histograms: global.scrape_native_histograms.unwrap_or(false),
        convert_classic_histograms_to_nhcb: global.convert_classic_histograms_to_nhcb.unwrap_or(false),
        always_scrape_classic_histograms: global.always_scrape_classic_histograms.unwrap_or(false),
        extra_scrape_metrics: global.extra_scrape_metrics.unwrap_or(false),
    };
    let mut jobs = Vec::new();
    let mut names = BTreeSet::new();
    for (i, config) in written.scrape_configs.iter().enumerate() {
        let path = format!("scrape_configs[{i}]");
        resolve_job(config, &path, &defaults, folder, &mut names, &mut checks, &mut jobs, &mut warnings);
    }
    let mut faults = std::mem::take(&mut checks.faults);
    include_files(
        &written.scrape_config_files,
        folder,
        &defaults,
        &mut names,
        &mut jobs,
        &mut warnings,
        &mut faults,
        name,
    )?;
    checks.faults = faults;

    for (i, config) in written.remote_write.iter_mut().enumerate() {
        config.resolve_http_paths(folder);
        for fault in config.faults() {
            checks.fault(&join(&format!("remote_write[{i}]"), &fault.path), fault.message);
        }
    }
    let mut queue_names = BTreeSet::new();
    for (i, config) in written.remote_write.iter().enumerate() {
        if !queue_names.insert(config.resolved_name()) {
            checks.fault(
                &format!("remote_write[{i}].name"),
                format!(
                    "found multiple remote write configs with job name {:?}; give one of them another",
                    config.resolved_name()
                ),
            );
        }
    }
    for (i, config) in written.remote_read.iter_mut().enumerate() {
        config.resolve_http_paths(folder);
        for fault in config.faults() {
            checks.fault(&join(&format!("remote_read[{i}]"), &fault.path), fault.message);
        }
    }
    if let Some(alerting) = &mut written.alerting {
        for fault in alerting.resolve(folder) {
            checks.fault(&join("alerting", &fault.path), fault.message);
        }
    }
    for (i, pattern) in written.rule_files.iter().enumerate() {
        if pattern.contains('*')
            && !pattern.rsplit('/').next().unwrap_or_default().contains('*')
            && pattern.ends_with('/')
        {
            checks.fault(&format!("rule_files[{i}]"), format!("invalid rule file path {pattern:?}"));
        }
    }
    if written.otlp.is_some() {
        warnings.push("`otlp` has no effect: OTLP is not received yet".to_owned());
    }
    if written.tracing.is_some() {
        warnings.push("`tracing` has no effect: traces of this server are not sent yet".to_owned());
    }
    let storage = written.storage.clone().unwrap_or_default();
    let tsdb = storage.tsdb.unwrap_or_default();
    let object_storage = object_storage(storage.object_storage, &external_labels, folder, &mut checks);
    let out_of_order_window_ms = tsdb.out_of_order_time_window.map_or(0, |window| window.0);
    let retention = tsdb.retention.unwrap_or_default();
    let retention_ms = retention.time.map(|time| time.0);
    let retention_bytes = match retention.size.as_ref().map(|text| crate::cli::size_flag("size", text)) {
        Some(Err(error)) => {
            checks.fault("storage.tsdb.retention.size", format!("{error:#}"));
            None
        }
        Some(Ok(bytes)) => Some(bytes),
        None => None,
    };
    let retention_rules = retention_rules(&storage.retention_rules, &mut checks);
    if retention.percentage.is_some() {
        warnings.push("`storage.tsdb.retention.percentage` has no effect yet; use `size`".to_owned());
    }

    if !checks.faults.is_empty() {
        checks.faults.sort_by_key(|fault| (fault.line, fault.column));
        return Err(Faults { file: name.to_owned(), faults: checks.faults });
    }
    warnings.extend(scrape::label_clashes(&jobs, false));
    let shown = serde_json::to_value(&written).map(|value| super::show::yaml(&value)).unwrap_or_default();
    Ok(PrometheusConfig {
        shown,
        folder: folder.to_path_buf(),
        external_labels,
        scrape_interval,
        evaluation_interval,
        rule_query_offset,
        rule_files: written.rule_files,
        scrape_config_files: written.scrape_config_files,
        jobs,
        alerting: written.alerting,
        remote_write: written.remote_write,
        remote_read: written.remote_read,
        out_of_order_window_ms,
        retention_ms: retention_ms.filter(|ms| *ms > 0),
        retention_bytes: retention_bytes.filter(|bytes| *bytes > 0),
        retention_rules,
        query_log_file: global.query_log_file.as_ref().filter(|file| !file.is_empty()).map(|file| folder.join(file)),
        budgets: storage.cardinality.map_or_else(tsdb::CardinalityBudgets::default, |section| {
            let CardinalitySection { job_series, metric_series, jobs, metrics } = section;
            // 0 is no limit, as elsewhere in this file.
            let positive = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
            tsdb::CardinalityBudgets {
                job_series: positive(job_series),
                metric_series: positive(metric_series),
                jobs: jobs.into_iter().map(|(job, limit)| (job, positive(Some(limit)).unwrap_or(u64::MAX))).collect(),
                metrics: (metrics.into_iter())
                    .map(|(metric, limit)| (metric, positive(Some(limit)).unwrap_or(u64::MAX)))
                    .collect(),
            }
        }),
        object_storage,
        max_exemplars: storage.exemplars.and_then(|e| e.max_exemplars).and_then(|n| usize::try_from(n).ok()),
        warnings,
    })
}

fn retention_rules(written: &[RetentionRuleSection], checks: &mut Checks<'_>) -> Vec<tsdb::RetentionRule> {
    if written.len() > RETENTION_RULES_MAX {
        let message = format!("{} rules; at most {RETENTION_RULES_MAX} are followed", written.len());
        checks.fault("storage.retention_rules", message);
    }
    let mut rules = Vec::with_capacity(written.len());
    for (at, rule) in written.iter().enumerate() {
        let path = |field: &str| format!("storage.retention_rules[{at}].{field}");
        let resolution_ms = rule.resolution.map(|resolution| resolution.0);
        if rule.keep.0 <= 0 {
            checks.fault(&path("keep"), "must be longer than 0; a rule without effect is left out");
        }
        if let Some(ms) = resolution_ms
            && (!(RESOLUTION_MS_MIN..=RESOLUTION_MS_MAX).contains(&ms) || RESOLUTION_MS_MAX % ms != 0)
        {
            let message =
                "must divide a day evenly and be 1m at least, for example 5m, 1h or 1d; leave it out for raw samples";
            checks.fault(&path("resolution"), message);
        }
        match promql_syntax::parse_metric_selector(&rule.selector) {
            Ok(matchers) => rules.push(tsdb::RetentionRule {
                selector: rule.selector.clone(),
                matchers,
                keep_ms: rule.keep.0,
                resolution_ms,
            }),
            Err(error) => checks.fault(&path("match"), error.to_string()),
        }
    }
    rules
}

fn object_storage(
    written: Option<ObjectStorageConfig>,
    external_labels: &model::Labels,
    folder: &Path,
    checks: &mut Checks<'_>,
) -> Option<ObjectStorageConfig> {
    let mut config = written?;
    let section = "storage.object_storage";
    for fault in config.faults() {
        checks.fault(&join(section, &fault.path), fault.message);
    }
    if external_labels.is_empty() {
        let message = "global.external_labels must tell this history from that of others in the bucket; set one, \
                       for example `site: berlin`";
        checks.fault(section, message);
    }
    config.resolve_paths(folder);
    Some(config)
}

/// `${NAME}` and `$NAME` come from the environment, `$$` is a dollar.
fn external_labels(global: &Global, checks: &mut Checks<'_>) -> model::Labels {
    let mut builder = model::LabelsBuilder::default();
    for (name, value) in &global.external_labels {
        if name.is_empty() || name == model::labels::METRIC_NAME {
            checks.fault(&format!("global.external_labels.{name}"), format!("{name:?} is not a valid label name"));
        }
        builder.set(name, &expand_env(value));
    }
    builder.build()
}

fn expand_env(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = rest.strip_prefix('{').and_then(|body| body.split_once('}')) {
            out.push_str(&std::env::var(name).unwrap_or_default());
            rest = tail;
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            out.push_str(&std::env::var(&rest[..end]).unwrap_or_default());
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

#[expect(clippy::too_many_arguments, reason = "one loop body, used for the main file and for included ones")]
fn resolve_job(
    config: &ScrapeConfig,
    path: &str,
    defaults: &GlobalScrapeDefaults,
    folder: &Path,
    names: &mut BTreeSet<String>,
    checks: &mut Checks<'_>,
    jobs: &mut Vec<ScrapeJob>,
    warnings: &mut Vec<String>,
) {
    match config.resolve(defaults, folder) {
        Ok(job) => {
            if !names.insert(job.job_name.clone()) {
                checks.fault(
                    &join(path, "job_name"),
                    format!("found multiple scrape configs with job name {:?}; rename one of them", job.job_name),
                );
            }
            warnings.extend(job.warnings.iter().cloned());
            jobs.push(job);
        }
        Err(faults) => {
            for ConfigFault { path: below, message } in faults {
                checks.fault(&join(path, &below), message);
            }
        }
    }
}

/// What an included file holds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Included {
    scrape_configs: Vec<ScrapeConfig>,
}

#[expect(clippy::too_many_arguments, reason = "the state of one load")]
fn include_files(
    globs: &[String],
    folder: &Path,
    defaults: &GlobalScrapeDefaults,
    names: &mut BTreeSet<String>,
    jobs: &mut Vec<ScrapeJob>,
    warnings: &mut Vec<String>,
    faults: &mut Vec<Fault>,
    name: &str,
) -> Result<(), Faults> {
    for pattern in globs {
        let files = discovery::glob(folder, pattern).map_err(|error| Faults {
            file: name.to_owned(),
            faults: vec![Fault {
                line: 0,
                column: 0,
                path: "scrape_config_files".to_owned(),
                message: error.to_string(),
            }],
        })?;
        for file in files {
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&shown, &error))?;
            let (included, places): (Included, Places) = yaml::from_str_with_places(&shown, &text)?;
            let mut checks = Checks { places: &places, faults: Vec::new() };
            let base = file.parent().unwrap_or(folder);
            for (i, config) in included.scrape_configs.iter().enumerate() {
                let path = format!("scrape_configs[{i}]");
                resolve_job(config, &path, defaults, base, names, &mut checks, jobs, warnings);
            }
            if !checks.faults.is_empty() {
                // Faults of the main file would be lost otherwise: one file at a time is shown, the included one first.
                faults.clear();
                return Err(Faults { file: shown, faults: checks.faults });
            }
        }
    }
    Ok(())
}

fn join(path: &str, below: &str) -> String {
    if below.is_empty() {
        path.to_owned()
    } else if below.starts_with('[') {
        format!("{path}{below}")
    } else {
        format!("{path}.{below}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_is_good() {
        let config = PrometheusConfig::built_in("localhost:9090", "").unwrap();
        assert_eq!(config.jobs.len(), 2);
        assert!(config.shown.contains("metrics_path: /metrics/host"), "{}", config.shown);
    }

    #[test]
    fn faults_come_all_at_once() {
        let text =
            "global: {scrape_interval: 5s, scrape_timeout: 10s}\nscrape_configs:\n- {job_name: a}\n- {job_name: a}\n";
        let faults = parse("p.yml", text, Path::new("")).unwrap_err();
        let said = faults.to_string();
        assert!(said.contains("p.yml:1:") && said.contains("p.yml:4:"), "{said}");
        assert!(said.contains("multiple scrape configs with job name \"a\""), "{said}");
    }

    #[test]
    fn retention_rules_are_read() {
        let text = "storage:\n  retention_rules:\n  - {match: '{__name__=~\"kpi:.*\"}', keep: 5y, resolution: 5m}\n  - {match: 'up', keep: 90d}\n";
        let config = parse("p.yml", text, Path::new("")).unwrap();
        let rules: Vec<_> = config.retention_rules.iter().map(|rule| (rule.keep_ms, rule.resolution_ms)).collect();
        assert_eq!(rules, [(5 * 365 * 86_400_000, Some(300_000)), (90 * 86_400_000, None)]);
        assert!(config.shown.contains("keep: 90d"), "{}", config.shown);
        let rule = |rule: &str| {
            parse("p.yml", &format!("storage:\n  retention_rules:\n  - {rule}\n"), Path::new(""))
                .unwrap_err()
                .to_string()
        };
        assert!(rule("{match: 'up', keep: 1y, resolution: 7m}").contains("p.yml:3:"), "a place");
        assert!(rule("{match: 'up', keep: 1y, resolution: 7m}").contains("must divide a day evenly"));
        assert!(rule("{match: 'up', keep: 1y, resolution: 2d}").contains("must divide a day evenly"));
        assert!(rule("{match: 'up{', keep: 1y}").contains("retention_rules[0].match"));
        assert!(rule("{match: 'up', keep: 0s}").contains("must be longer than 0"));
        assert!(rule("{match: 'up'}").contains("keep"));
        assert!(rule("{match: 'up', keep: 1y, until: 5}").contains("until"));
    }

    #[test]
    fn budgets_of_series_are_read() {
        let text = "storage: {cardinality: {job_series: 100000, metric_series: 0, jobs: {web: 5, db: 0}}}\n";
        let config = parse("p.yml", text, Path::new("")).unwrap();
        let expected = tsdb::CardinalityBudgets {
            job_series: Some(100_000),
            jobs: [("web".to_owned(), 5), ("db".to_owned(), u64::MAX)].into(),
            ..tsdb::CardinalityBudgets::default()
        };
        assert_eq!(config.budgets, expected);
        let faults = parse("p.yml", "storage: {cardinality: {jobs_series: 1}}\n", Path::new("")).unwrap_err();
        assert!(faults.to_string().contains("jobs_series"), "{faults}");
    }

    #[test]
    fn object_storage_wants_external_labels_and_a_whole_section() {
        let parse = |text: &str| parse("prometheus.yml", text, Path::new("/etc/vigie"));
        let good = "global: {external_labels: {site: a}}\n\
                    storage: {object_storage: {type: FILESYSTEM, config: {directory: bucket}}}";
        let config = parse(good).unwrap();
        let directory = config.object_storage.unwrap().config.directory;
        assert_eq!(directory.as_deref(), Some(Path::new("/etc/vigie/bucket")));
        for (text, message) in [
            ("storage: {object_storage: {type: FILESYSTEM, config: {directory: b}}}", "external_labels"),
            (
                "global: {external_labels: {a: b}}\nstorage: {object_storage: {type: S3, config: {}}}",
                "wants the key bucket",
            ),
        ] {
            let faults = parse(text).unwrap_err().to_string();
            assert!(faults.contains(message) && faults.contains("storage.object_storage"), "{faults}");
        }
    }

    #[test]
    fn environment_variables_fill_external_labels() {
        assert_eq!(expand_env("a$$b"), "a$b");
        assert_eq!(expand_env("${NO_SUCH_VARIABLE_HERE}x"), "x");
    }
}
