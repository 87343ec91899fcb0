//! `/probe`, `/logs` and `/config` without HTTP serving itself.

use crate::{Config, ProbeResult, probe};
use exposition::format::Served;
use std::{
    collections::VecDeque,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use telemetry::{Counter, Registry};

/// Upstream's default of `--history.limit`.
const HISTORY_MAX: usize = 100;
/// Taken off the scrape's timeout, so that the answer is there in time: upstream's `--timeout-offset`.
const TIMEOUT_OFFSET_SECONDS: f64 = 0.5;
/// Without a module's and a scrape's timeout.
const TIMEOUT_DEFAULT_SECONDS: f64 = 120.0;

/// The query of `/probe`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub struct ProbeParams {
    #[serde(default)]
    pub target: String,
    /// `http_2xx` if absent.
    #[serde(default)]
    pub module: String,
    #[serde(default)]
    pub hostname: String,
    /// `true` asks for the log beside the metrics.
    #[serde(default)]
    pub debug: String,
}

/// What to answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    fn error(status: u16, message: impl Into<String>) -> Self {
        let body = format!("{}\n", message.into());
        Answer { status, content_type: "text/plain; charset=utf-8".into(), body }
    }

    fn text(body: String) -> Self {
        Answer { status: 200, content_type: "text/plain".into(), body }
    }
}

/// A probe of the past, for the list and for `/logs`.
#[derive(Clone, Debug)]
pub struct PastProbe {
    /// From 1, in order of their ends.
    pub id: u64,
    pub module: String,
    pub target: String,
    pub success: bool,
    /// The debug page.
    pub output: String,
}

#[derive(Default)]
struct History {
    last_id: u64,
    probes: VecDeque<PastProbe>,
}

/// The probing endpoints. One for the whole program; the configuration is handed to each call, so that a reload
/// needs nothing here.
pub struct Handler {
    history: Mutex<History>,
    modules_unknown: Counter,
}

impl Handler {
    pub fn new(registry: &Registry) -> Self {
        let help = "Count of unknown modules requested by probes";
        let modules_unknown = registry.counter("blackbox_module_unknown_total", help, &[]);
        Handler { history: Mutex::default(), modules_unknown }
    }

    /// Answers `/probe`. `scrape_timeout` is the header `X-Prometheus-Scrape-Timeout-Seconds`, `served` the format that
    /// the scraper asked for.
    pub async fn probe(
        &self,
        config: &Arc<Config>,
        params: &ProbeParams,
        scrape_timeout: Option<&str>,
        served: Served,
    ) -> Answer {
        let module_name = if params.module.is_empty() { "http_2xx" } else { &params.module };
        let Some(module) = config.modules.get(module_name) else {
            self.modules_unknown.inc();
            return Answer::error(400, format!("Unknown module {module_name:?}"));
        };
        let timeout = match timeout(module.timeout.map(|timeout| timeout.0), scrape_timeout) {
            Ok(timeout) => timeout,
            Err(error) => return Answer::error(500, error),
        };
        if params.target.is_empty() {
            return Answer::error(400, "Target parameter is missing");
        }
        if !crate::prober::is_known(&module.prober) {
            return Answer::error(400, format!("Unknown prober {:?}", module.prober));
        }
        if !params.hostname.is_empty()
            && let Some(host) = module.http.host_header()
            && module.prober == "http"
            && host != params.hostname
        {
            let message = format!(
                "host header defined both in module configuration ({host}) and with URL-parameter 'hostname' ({})",
                params.hostname
            );
            return Answer::error(400, message);
        }
        let result = probe(module_name, module, &params.target, &params.hostname, timeout).await;
        let debug = debug_page(&result, &module.to_yaml());
        self.remember(module_name, &params.target, result.success, debug.clone());
        if params.debug == "true" {
            return Answer::text(debug);
        }
        let body = telemetry::encode(&result.families, served);
        Answer { status: 200, content_type: served.content_type(), body }
    }

    /// Answers `/logs`: by `id`, or the last probe of `target` with `module`.
    pub fn logs(&self, id: Option<&str>, target: Option<&str>, module: Option<&str>) -> Answer {
        let history = self.history();
        let found = match (id, target, module) {
            (Some(id), ..) if !id.is_empty() => match id.parse::<u64>() {
                Ok(id) => history.probes.iter().find(|probe| probe.id == id),
                Err(_) => return Answer::error(400, "Invalid probe id"),
            },
            (_, Some(target), Some(module)) => {
                history.probes.iter().rev().find(|probe| probe.target == target && probe.module == module)
            }
            _ => None,
        };
        match found {
            Some(probe) => Answer::text(probe.output.clone()),
            None => Answer::error(404, "Probe id not found"),
        }
    }

    /// The last probes, newest first.
    pub fn recent(&self) -> Vec<PastProbe> {
        self.history().probes.iter().rev().cloned().collect()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Failures are worth more than successes: the oldest success goes first.
    fn remember(&self, module: &str, target: &str, success: bool, output: String) {
        let mut history = self.history();
        history.last_id += 1;
        let id = history.last_id;
        if history.probes.len() >= HISTORY_MAX {
            let oldest = history.probes.iter().position(|probe| probe.success).unwrap_or(0);
            history.probes.remove(oldest);
        }
        history.probes.push_back(PastProbe { id, module: module.into(), target: target.into(), success, output });
    }
}

/// The smaller of the module's timeout and the scrape's, less the offset.
fn timeout(module: Option<Duration>, scrape: Option<&str>) -> Result<Duration, String> {
    let mut seconds = TIMEOUT_DEFAULT_SECONDS;
    if let Some(text) = scrape.filter(|text| !text.is_empty()) {
        let parsed = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        seconds = parsed.ok_or_else(|| {
            format!("Failed to parse timeout from Prometheus header: {text:?} is no number of seconds")
        })?;
        if seconds == 0.0 {
            seconds = TIMEOUT_DEFAULT_SECONDS;
        }
        if seconds > TIMEOUT_OFFSET_SECONDS {
            seconds -= TIMEOUT_OFFSET_SECONDS;
        }
    }
    let scrape = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    Ok(module.filter(|module| !module.is_zero()).map_or(scrape, |module| module.min(scrape)))
}

fn debug_page(result: &ProbeResult, module: &str) -> String {
    let mut page = String::from("Logs for the probe:\n");
    for line in result.log.iter().filter(|line| line.level != "INFO") {
        // Writing to a `String` cannot fail.
        let _ = writeln!(page, "{line}");
    }
    let metrics = telemetry::encode(&result.families, Served::TEXT);
    let _ =
        write!(page, "\n\n\nMetrics that would have been returned:\n{metrics}\n\n\nModule configuration:\n{module}");
    page
}
