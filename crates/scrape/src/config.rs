//! `<scrape_config>` as written and as used. Source: the Prometheus configuration reference.

use discovery::{ConfigDuration, ConfigFault, DiscoveryConfig};
use exposition::{ScrapeProtocol, protobuf};
use http_client::HttpClientConfig;
use http_client::config::prefixed;
use model::duration::format_duration_ms;
use relabel::{RelabelConfig, Rules};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

discovery::with_discovery_fields! {
    /// One job as written. What is absent comes from `global`.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct ScrapeConfig {
        /// The value of the label `job`; each job has its own.
        pub job_name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scrape_interval: Option<ConfigDuration>,
        /// Not longer than the interval.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scrape_timeout: Option<ConfigDuration>,
        /// Formats to ask for, best first.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scrape_protocols: Option<Vec<String>>,
        /// The format of targets that send no or an unknown `Content-Type`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub fallback_scrape_protocol: Option<String>,
        /// `/metrics` if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub metrics_path: Option<String>,
        /// Labels of the target's samples win over those of the target.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub honor_labels: Option<bool>,
        /// Timestamps of the target count; true if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub honor_timestamps: Option<bool>,
        /// Series with timestamps of their own get staleness markers, too.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub track_timestamps_staleness: Option<bool>,
        /// `http` if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scheme: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub params: Option<BTreeMap<String, Vec<String>>>,
        /// Ask for compressed bodies; true if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub enable_compression: Option<bool>,
        /// Scrapes that fail are told there, a JSON object a line.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scrape_failure_log_file: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub relabel_configs: Option<Vec<Option<RelabelConfig>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub metric_relabel_configs: Option<Vec<Option<RelabelConfig>>>,
        /// With a unit: `10MB`. 0 or absent: no limit of the job's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body_size_limit: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sample_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub label_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub label_name_length_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub label_value_length_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub target_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub keep_dropped_targets: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub metric_name_validation_scheme: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub metric_name_escaping_scheme: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub native_histogram_bucket_limit: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub native_histogram_min_bucket_factor: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scrape_native_histograms: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub convert_classic_histograms_to_nhcb: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub always_scrape_classic_histograms: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub extra_scrape_metrics: Option<bool>,
    }
}

/// What `global` says for jobs that do not say it themselves; limits of 0 are none.
#[derive(Clone, Debug)]
pub struct GlobalScrapeDefaults {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub scrape_protocols: Option<Vec<String>>,
    pub scrape_failure_log_file: Option<String>,
    pub body_size_limit: Option<String>,
    pub sample_limit: u64,
    pub label_limit: u64,
    pub label_name_length_limit: u64,
    pub label_value_length_limit: u64,
    pub target_limit: u64,
    pub keep_dropped_targets: u64,
    pub metric_name_validation_scheme: Option<String>,
    pub metric_name_escaping_scheme: Option<String>,
    pub scrape_native_histograms: bool,
    pub convert_classic_histograms_to_nhcb: bool,
    pub always_scrape_classic_histograms: bool,
    pub extra_scrape_metrics: bool,
}

impl Default for GlobalScrapeDefaults {
    fn default() -> Self {
        GlobalScrapeDefaults {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            scrape_protocols: None,
            scrape_failure_log_file: None,
            body_size_limit: None,
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            target_limit: 0,
            keep_dropped_targets: 0,
            metric_name_validation_scheme: None,
            metric_name_escaping_scheme: None,
            scrape_native_histograms: false,
            convert_classic_histograms_to_nhcb: false,
            always_scrape_classic_histograms: false,
            extra_scrape_metrics: false,
        }
    }
}

/// Limits on what one scrape may bring; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) body_size: u64,
    pub(crate) samples: u64,
    pub(crate) labels: u64,
    pub(crate) label_name_length: u64,
    pub(crate) label_value_length: u64,
}

/// One job as used: nothing is left to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeJob {
    pub job_name: String,
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub scheme: String,
    pub metrics_path: String,
    pub params: BTreeMap<String, Vec<String>>,
    /// What will not do what its author may hope; the server logs it.
    pub warnings: Vec<String>,
    pub(crate) scrape_protocols: Vec<ScrapeProtocol>,
    pub(crate) fallback_scrape_protocol: Option<ScrapeProtocol>,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) enable_compression: bool,
    pub(crate) relabel_configs: Vec<RelabelConfig>,
    pub(crate) metric_relabel_configs: Vec<RelabelConfig>,
    pub(crate) limits: Limits,
    pub(crate) target_limit: u64,
    pub(crate) keep_dropped_targets: u64,
    pub(crate) legacy_names: bool,
    pub(crate) escaping: String,
    pub(crate) extra_scrape_metrics: bool,
    pub(crate) histograms: protobuf::Options,
    pub(crate) scrape_failure_log_file: Option<PathBuf>,
    pub(crate) http: HttpClientConfig,
    pub discovery: DiscoveryConfig,
}

impl ScrapeConfig {
    /// Fills in what is absent, checks, and makes file names start from `base`.
    ///
    /// # Errors
    /// Everything that contradicts itself, with paths within the job.
    pub fn resolve(&self, defaults: &GlobalScrapeDefaults, base: &Path) -> Result<ScrapeJob, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        if self.job_name.is_empty() {
            faults.push(ConfigFault::new("job_name", "job_name is empty; give each scrape config a name of its own"));
        }
        let interval = self.scrape_interval.map_or(defaults.scrape_interval, ConfigDuration::as_duration);
        if interval.is_zero() {
            faults.push(ConfigFault::new("scrape_interval", "must be longer than 0; leave it out for the global one"));
        }
        let timeout = match self.scrape_timeout {
            Some(timeout) if timeout.as_duration() > interval => {
                faults.push(ConfigFault::new(
                    "scrape_timeout",
                    format!(
                        "scrape timeout greater than scrape interval for scrape config with job name {:?}: {} exceeds {}; \
                         lower the one or raise the other",
                        self.job_name,
                        shown(timeout.as_duration()),
                        shown(interval)
                    ),
                ));
                interval
            }
            Some(timeout) if timeout.0 > 0 => timeout.as_duration(),
            _ => defaults.scrape_timeout.min(interval),
        };
        let scheme = self.scheme.clone().unwrap_or_else(|| "http".into());
        if scheme != "http" && scheme != "https" {
            faults
                .push(ConfigFault::new("scheme", format!("{scheme:?} is no scheme for a scrape; write http or https")));
        }
        let native = self.scrape_native_histograms.unwrap_or(defaults.scrape_native_histograms);
        let scrape_protocols = self.protocols(defaults, native, &mut faults);
        let fallback_scrape_protocol = self.fallback_scrape_protocol.as_deref().and_then(|text| {
            let parsed = ScrapeProtocol::parse(text);
            if parsed.is_none() {
                let message = format!(
                    "invalid fallback_scrape_protocol for scrape config with job name {:?}: {}",
                    self.job_name,
                    unknown_protocol(text)
                );
                faults.push(ConfigFault::new("fallback_scrape_protocol", message));
            }
            parsed
        });
        let relabel_configs = rules(&self.relabel_configs, "relabel_configs", &mut faults);
        let metric_relabel_configs = rules(&self.metric_relabel_configs, "metric_relabel_configs", &mut faults);
        let body_size = self.body_size_limit.as_ref().or(defaults.body_size_limit.as_ref());
        let body_size = body_size.map_or(Ok(0), |text| parse_size(text)).unwrap_or_else(|message| {
            faults.push(ConfigFault::new("body_size_limit", message));
            0
        });
        let validation =
            self.metric_name_validation_scheme.as_ref().or(defaults.metric_name_validation_scheme.as_ref());
        let legacy_names = match validation.map(String::as_str) {
            None | Some("" | "utf8") => false,
            Some("legacy") => true,
            Some(other) => {
                let message = format!("unrecognized ValidationScheme: {other:?}; write utf8 or legacy");
                faults.push(ConfigFault::new("metric_name_validation_scheme", message));
                false
            }
        };
        let escaping = self.metric_name_escaping_scheme.as_ref().or(defaults.metric_name_escaping_scheme.as_ref());
        let escaping = match escaping.map(String::as_str) {
            None | Some("") => if legacy_names { "underscores" } else { "allow-utf-8" }.to_owned(),
            Some("allow-utf-8") if legacy_names => {
                let message = "utf8 metric names requested but validation scheme is not set to UTF8";
                faults.push(ConfigFault::new("metric_name_escaping_scheme", message));
                String::new()
            }
            Some(known @ ("allow-utf-8" | "underscores" | "dots" | "values")) => known.to_owned(),
            Some(other) => {
                let message =
                    format!("unknown escaping scheme {other:?}; known are allow-utf-8, underscores, dots, values");
                faults.push(ConfigFault::new("metric_name_escaping_scheme", message));
                String::new()
            }
        };
        let mut http = self.http_client_config();
        faults.extend(http.faults());
        http.resolve_paths(base);
        let mut discovery = self.discovery_config();
        faults.extend(discovery.faults());
        if relabel_configs.is_empty() {
            faults.extend(discovery.static_target_faults());
        }
        discovery.resolve_paths(base);
        if self.static_configs.iter().flatten().any(Option::is_none) {
            faults.push(ConfigFault::new("static_configs", "empty or null section in static_configs"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let limit = |own: Option<u64>, global: u64| own.filter(|own| *own > 0).unwrap_or(global);
        let histograms = protobuf::Options {
            native,
            classic_always: self.always_scrape_classic_histograms.unwrap_or(defaults.always_scrape_classic_histograms),
            custom_buckets: (self.convert_classic_histograms_to_nhcb)
                .unwrap_or(defaults.convert_classic_histograms_to_nhcb),
            schema_max: protobuf::schema_for_factor(self.native_histogram_min_bucket_factor.unwrap_or(0.0)),
            buckets_max: usize::try_from(self.native_histogram_bucket_limit.unwrap_or(0)).unwrap_or(usize::MAX),
        };
        Ok(ScrapeJob {
            warnings: discovery.warnings(&format!("job {:?}", self.job_name)),
            job_name: self.job_name.clone(),
            scrape_interval: interval,
            scrape_timeout: timeout,
            scheme,
            metrics_path: self
                .metrics_path
                .clone()
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| "/metrics".into()),
            params: self.params.clone().unwrap_or_default(),
            scrape_protocols,
            fallback_scrape_protocol,
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            enable_compression: self.enable_compression.unwrap_or(true),
            relabel_configs,
            metric_relabel_configs,
            limits: Limits {
                body_size,
                samples: limit(self.sample_limit, defaults.sample_limit),
                labels: limit(self.label_limit, defaults.label_limit),
                label_name_length: limit(self.label_name_length_limit, defaults.label_name_length_limit),
                label_value_length: limit(self.label_value_length_limit, defaults.label_value_length_limit),
            },
            target_limit: limit(self.target_limit, defaults.target_limit),
            keep_dropped_targets: limit(self.keep_dropped_targets, defaults.keep_dropped_targets),
            legacy_names,
            escaping,
            extra_scrape_metrics: self.extra_scrape_metrics.unwrap_or(defaults.extra_scrape_metrics),
            histograms,
            scrape_failure_log_file: (self.scrape_failure_log_file.as_ref())
                .or(defaults.scrape_failure_log_file.as_ref())
                .filter(|file| !file.is_empty())
                .map(|file| base.join(file)),
            http,
            discovery,
        })
    }

    fn protocols(
        &self,
        defaults: &GlobalScrapeDefaults,
        native: bool,
        faults: &mut Vec<ConfigFault>,
    ) -> Vec<ScrapeProtocol> {
        let Some(names) = self.scrape_protocols.as_ref().or(defaults.scrape_protocols.as_ref()) else {
            // Only protobuf has words for native histograms.
            let first = native.then_some(ScrapeProtocol::PrometheusProto);
            return first.into_iter().chain(ScrapeProtocol::DEFAULT).collect();
        };
        let owner = format!("for scrape config with job name {:?}", self.job_name);
        let mut protocols = Vec::new();
        for name in names {
            match ScrapeProtocol::parse(name) {
                None => {
                    let message = format!("scrape_protocols: {} {owner}", unknown_protocol(name));
                    faults.push(ConfigFault::new("scrape_protocols", message));
                }
                Some(protocol) if protocols.contains(&protocol) => {
                    let message = format!("duplicated protocol in scrape_protocols, got [{}] {owner}", names.join(" "));
                    faults.push(ConfigFault::new("scrape_protocols", message));
                }
                Some(protocol) => protocols.push(protocol),
            }
        }
        if names.is_empty() {
            faults.push(ConfigFault::new("scrape_protocols", format!("scrape_protocols cannot be empty {owner}")));
        }
        protocols
    }
}

fn unknown_protocol(name: &str) -> String {
    format!(
        "unknown scrape protocol {name}, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto \
         PrometheusText0.0.4 PrometheusText1.0.0]"
    )
}

/// The rules without their wrapping; a fault for each that is empty or refused.
fn rules(written: &Option<Vec<Option<RelabelConfig>>>, key: &str, faults: &mut Vec<ConfigFault>) -> Vec<RelabelConfig> {
    let mut configs = Vec::new();
    for (i, config) in written.iter().flatten().enumerate() {
        match config {
            None => {
                let kind = if key == "relabel_configs" { "target" } else { "metric" };
                let message = format!("empty or null {kind} relabeling rule in scrape config");
                faults.push(ConfigFault::new(format!("{key}[{i}]"), message));
            }
            Some(config) => {
                if let Err(errors) = Rules::new(std::slice::from_ref(config)) {
                    let errors = errors.into_iter().map(|(_, error)| ConfigFault::new("", error.to_string())).collect();
                    faults.extend(prefixed(&format!("{key}[{i}]"), errors));
                }
                configs.push(config.clone());
            }
        }
    }
    configs
}

pub(crate) fn shown(duration: Duration) -> String {
    format_duration_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// A size with a unit of 1024: `512KB`, `10MB`, `1GiB`, `100B`; `0` needs no unit.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 6] = [("", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
    if text == "0" || text.is_empty() {
        return Ok(0);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let letter = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B'));
    let shift = letter.and_then(|letter| UNITS.iter().find(|(known, _)| *known == letter)).map(|(_, shift)| *shift);
    let Some(shift) = shift else {
        return Err(format!("units: unknown unit in {text}; write for example 10MB"));
    };
    let number: f64 = digits.parse().map_err(|_| format!("units: invalid {text}; write for example 10MB"))?;
    Ok((number * (1_u64 << shift) as f64) as u64)
}
