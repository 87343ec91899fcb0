//! The query log: one JSON object a line for every query that ran, in the shape of Prometheus' `global.query_log_file`.

use super::Client;
use arc_swap::ArcSwapOption;
use promql::QueryStats;
use rules::{RuleQuery, RuleQueryLog};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use system::Clock;

/// Where queries are logged, if they are.
#[derive(Default)]
pub(crate) struct QueryLog {
    open: ArcSwapOption<Open>,
}

struct Open {
    path: PathBuf,
    file: Mutex<File>,
}

/// What is logged of a query.
pub(crate) struct Logged<'a> {
    pub(crate) query: &'a str,
    /// Unix milliseconds.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) origin: Origin<'a>,
    pub(crate) stats: QueryStats,
    pub(crate) waited: Duration,
    pub(crate) error: Option<&'a str>,
}

/// Who asked.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    Request(&'a Client),
    RuleGroup { file: &'a str, name: &'a str },
}

#[derive(serde::Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    source: &'static str,
    msg: &'static str,
    params: Params<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    stats: api::query::Stats,
    #[serde(rename = "spanID")]
    span_id: &'static str,
    #[serde(rename = "httpRequest", skip_serializing_if = "Option::is_none")]
    http_request: Option<HttpRequest<'a>>,
    #[serde(rename = "ruleGroup", skip_serializing_if = "Option::is_none")]
    rule_group: Option<RuleGroup<'a>>,
}

#[derive(serde::Serialize)]
struct RuleGroup<'a> {
    file: &'a str,
    name: &'a str,
}

#[derive(serde::Serialize)]
struct Params<'a> {
    end: String,
    query: &'a str,
    start: String,
    /// Whole seconds, as upstream writes it.
    step: i64,
}

#[derive(serde::Serialize)]
struct HttpRequest<'a> {
    #[serde(rename = "clientIP")]
    client_ip: &'a str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
}

impl QueryLog {
    /// Logs to `path` from now on; `None` ends the log. The file is opened anew each time, so that it can be moved away
    /// before a reload.
    ///
    /// # Errors
    /// The file cannot be opened; what was logged to stays.
    pub(crate) fn apply(&self, path: Option<&Path>) -> Result<(), String> {
        let Some(path) = path else {
            self.open.store(None);
            return Ok(());
        };
        let file = File::options().create(true).append(true).open(path).map_err(|error| {
            format!("global.query_log_file: {}: {error}; name a file that this user may write", path.display())
        })?;
        self.open.store(Some(Arc::new(Open { path: path.to_owned(), file: Mutex::new(file) })));
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load().is_some()
    }

    /// Writes a line, if there is a log. `now_ms` is Unix milliseconds. Blocks on the disk.
    pub(crate) fn write(&self, now_ms: i64, logged: &Logged<'_>) {
        let Some(open) = self.open.load_full() else { return };
        let (http_request, rule_group) = match logged.origin {
            Origin::Request(client) => {
                let (method, path) = (client.method.as_str(), client.path.as_str());
                (Some(HttpRequest { client_ip: &client.address, method, path, user: &client.user }), None)
            }
            Origin::RuleGroup { file, name } => (None, Some(RuleGroup { file, name })),
        };
        let line = Line {
            time: time(now_ms),
            level: "INFO",
            source: "vigie",
            msg: "promql query logged",
            params: Params {
                end: time(logged.end_ms),
                query: logged.query,
                start: time(logged.start_ms),
                step: logged.step_ms / 1000,
            },
            error: logged.error,
            stats: stats(&logged.stats, logged.waited),
            span_id: "0000000000000000",
            http_request,
            rule_group,
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        let mut file = open.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&bytes) {
            tracing::warn!(%error, path = %open.path.display(), "a query was not logged");
        }
    }
}

/// Brings the queries of rules into the log.
pub(crate) struct OfRules {
    log: Arc<QueryLog>,
    clock: Arc<dyn Clock>,
}

impl OfRules {
    pub(crate) fn new(log: Arc<QueryLog>, clock: Arc<dyn Clock>) -> Self {
        OfRules { log, clock }
    }
}

impl RuleQueryLog for OfRules {
    fn ran(&self, query: &RuleQuery<'_>) {
        if !self.log.is_open() {
            return;
        }
        self.log.write(
            self.clock.now_ms(),
            &Logged {
                query: query.query,
                start_ms: query.time_ms,
                end_ms: query.time_ms,
                step_ms: 0,
                origin: Origin::RuleGroup { file: query.file, name: query.group },
                stats: query.stats,
                waited: Duration::ZERO,
                error: query.error,
            },
        );
    }
}

/// A query's cost in the shape of the API.
pub(crate) fn stats(stats: &QueryStats, waited: Duration) -> api::query::Stats {
    let seconds = |duration: Duration| duration.as_secs_f64();
    api::query::Stats {
        timings: api::query::Timings {
            eval_total_time: seconds(stats.parse + stats.evaluation),
            result_sort_time: 0.0,
            query_preparation_time: seconds(stats.parse),
            inner_eval_time: seconds(stats.evaluation),
            exec_queue_time: seconds(waited),
            exec_total_time: seconds(waited + stats.parse + stats.evaluation),
        },
        samples: api::query::SampleStats {
            total_queryable_samples_per_step: Vec::new(),
            total_queryable_samples: stats.samples_read,
            peak_samples: stats.samples_peak,
        },
    }
}

fn time(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Beyond the calendar: the number says it as well.
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("query.log"), folder.path().join("query.log.1"));
        let client = Client {
            address: "127.0.0.1".to_owned(),
            method: "GET".to_owned(),
            path: "/api/v1/query_range".to_owned(),
            ..Client::default()
        };
        let logged = |error| Logged {
            query: "up < 1",
            start_ms: 0,
            end_ms: 10_500,
            step_ms: 5_000,
            origin: Origin::Request(&client),
            stats: QueryStats { samples_read: 7, samples_peak: 3, ..QueryStats::default() },
            waited: Duration::from_millis(2),
            error,
        };
        let log = QueryLog::default();
        log.write(0, &logged(None));
        log.apply(Some(&path)).unwrap();
        log.write(1_500, &logged(None));
        std::fs::rename(&path, &moved).unwrap();
        log.apply(Some(&path)).unwrap();
        log.write(2_000, &logged(Some("query timed out")));
        log.apply(None).unwrap();
        log.write(3_000, &logged(None));
        assert_eq!(
            std::fs::read_to_string(&moved).unwrap(),
            "{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"INFO\",\"source\":\"vigie\",\"msg\":\"promql query logged\",\
             \"params\":{\"end\":\"1970-01-01T00:00:10.500Z\",\"query\":\"up < 1\",\"start\":\"1970-01-01T00:00:00.000Z\",\"step\":5},\
             \"stats\":{\"timings\":{\"evalTotalTime\":0,\"resultSortTime\":0,\"queryPreparationTime\":0,\"innerEvalTime\":0,\
             \"execQueueTime\":0.002,\"execTotalTime\":0.002},\"samples\":{\"totalQueryableSamples\":7,\"peakSamples\":3}},\
             \"spanID\":\"0000000000000000\",\"httpRequest\":{\"clientIP\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/api/v1/query_range\"}}\n"
        );
        let second = std::fs::read_to_string(&path).unwrap();
        assert_eq!(second.lines().count(), 1);
        assert!(second.contains("\"error\":\"query timed out\""), "{second}");
        assert!(log.apply(Some(Path::new("/nowhere/at/all"))).unwrap_err().contains("query_log_file"));
    }
}
