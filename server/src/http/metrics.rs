//! `/metrics` and `/metrics/host`, and the counting of requests.

use super::App;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use model::MetricType;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use telemetry::{Collected, Counter, Histogram, Registry};

const BUCKETS_SECONDS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];

/// Handles for the request counters.
pub(crate) struct HttpMetrics {
    registry: Registry,
    /// By route. Looking a handle up in the registry takes longer than some requests.
    routes: RwLock<HashMap<String, RouteMetrics>>,
}

struct RouteMetrics {
    duration: Histogram,
    /// By status.
    requests: Vec<(u16, Counter)>,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        HttpMetrics { registry: registry.clone(), routes: RwLock::default() }
    }

    fn note(&self, route: &str, status: u16, seconds: f64) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = routes.get(route)
            && let Some((_, requests)) = own.requests.iter().find(|(code, _)| *code == status)
        {
            requests.inc();
            own.duration.observe(seconds);
            return;
        }
        drop(routes);
        let (name, help) = ("prometheus_http_requests_total", "Counter of HTTP requests.");
        let requests = self.registry.counter(name, help, &[("handler", route), ("code", &status.to_string())]);
        let name = "prometheus_http_request_duration_seconds";
        let help = "Histogram of latencies for HTTP requests.";
        let duration = self.registry.histogram(name, help, &[("handler", route)], &BUCKETS_SECONDS);
        requests.inc();
        duration.observe(seconds);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let own = routes.entry(route.to_owned()).or_insert_with(|| RouteMetrics { duration, requests: Vec::new() });
        if own.requests.iter().all(|(code, _)| *code != status) {
            own.requests.push((status, requests));
        }
    }
}

/// Counts a request by its route, not by its path: a stranger must not be able to make series.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("/", MatchedPath::as_str);
    app.metrics.note(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

pub(crate) async fn own(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    encode(&app.registry.collect(), &headers)
}

pub(crate) async fn host(headers: HeaderMap) -> Response {
    let families = tokio::task::spawn_blocking(|| {
        let mut collected = Collected::default();
        host::collect(&mut collected);
        collected.into_families()
    })
    .await
    .unwrap_or_default();
    encode(&families, &headers)
}

fn encode(families: &[telemetry::MetricFamily], headers: &HeaderMap) -> Response {
    let served = served(headers);
    ([(header::CONTENT_TYPE, served.content_type())], telemetry::encode(families, served)).into_response()
}

/// The exposition format that a scraper asks for.
pub(crate) fn served(headers: &HeaderMap) -> telemetry::Format {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    telemetry::Format::negotiate(accept)
}

/// Registers what is known about the process: Go's client libraries' `process_*` and the build.
pub(crate) fn register_process(registry: &Registry, started_at_ms: i64) {
    registry.collector(move |out| {
        out.push(
            "prometheus_build_info",
            "A metric with a constant '1' value labeled by version, revision and branch.",
            MetricType::Gauge,
            model::Labels::from_pairs([("version", env!("CARGO_PKG_VERSION")), ("branch", "vigie")]),
            telemetry::Value::Number(1.0),
        );
        out.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            &[],
            started_at_ms as f64 / 1000.0,
        );
        process(out);
    });
}

#[cfg(target_os = "linux")]
fn process(out: &mut Collected) {
    // Fields of /proc/self/stat behind the name in parentheses; proc(5) counts them from 3.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let seconds = (user + system) / ticks;
        out.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", &[], seconds);
    }
    if let Some(bytes) = field(23) {
        out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[], bytes);
    }
    if let Some(pages) = field(24) {
        let bytes = pages * rustix::param::page_size() as f64;
        out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", &[], bytes);
    }
    if let Some(threads) = field(20) {
        out.gauge("process_threads", "Number of threads.", &[], threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        out.gauge("process_open_fds", "Number of open file descriptors.", &[], open.count() as f64);
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        out.gauge("process_max_fds", "Maximum number of open file descriptors.", &[], limit as f64);
    }
}

#[cfg(not(target_os = "linux"))]
fn process(_out: &mut Collected) {}
