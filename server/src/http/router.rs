//! Every route on one screen.

use super::api_v1::{
    admin, explain, features, labels, notifications, openapi, pool_config, queries, query, query_batch, remote_read,
    remote_write, rules, search, series, status, syntax, targets,
};
use super::web_config::{self, Gate, WebConfigFile};
use super::{App, api_v2, body_in_time, dashboards, federate, health, markdown, metrics, probe};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, delete, get, post};
use http::{HeaderValue, Method, StatusCode, header};
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

/// Largest body of a request, where a route sets no limit of its own.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Largest compressed body of a remote write.
const WRITE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// All routes, below `prefix` ("" for none).
pub(crate) fn router(app: Arc<App>, prefix: &str, web: Option<&Arc<WebConfigFile>>) -> Router {
    let routes = below_prefix(app, prefix);
    match web {
        // Around everything, also where nothing is found.
        Some(file) => {
            let gate = Arc::new(Gate::new(Arc::clone(file)));
            Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(gate, web_config::guard))
        }
        None => routes,
    }
}

fn below_prefix(app: Arc<App>, prefix: &str) -> Router {
    let api_v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_batch", post(query_batch::batch))
        .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/format_query", get(syntax::format).post(syntax::format))
        .route("/parse_query", get(syntax::parse).post(syntax::parse))
        .route("/query_explain", get(explain::explain).post(explain::explain))
        .route("/query_analyze", get(explain::analyze).post(explain::analyze))
        .route("/queries", get(queries::list))
        .route("/queries/{id}", delete(queries::kill))
        .route("/search/metric_names", get(search::metric_names).post(search::metric_names))
        .route("/search/label_names", get(search::label_names).post(search::label_names))
        .route("/search/label_values", get(search::label_values).post(search::label_values))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get(series::series).post(series::series))
        .route("/metadata", get(targets::metadata))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::targets_metadata))
        .route("/targets/relabel_steps", get(pool_config::relabel_steps))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/scrape_pools/config", get(pool_config::config))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/features", get(features::features))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/openapi.yaml", get(openapi::openapi))
        .route("/notifications", get(notifications::list))
        .route("/notifications/live", get(notifications::live))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/self_metrics", get(metrics::self_metrics))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/cardinality", get(status::cardinality))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/walreplay", get(status::walreplay))
        .route("/write", post(remote_write::write).layer(DefaultBodyLimit::max(WRITE_BYTES_MAX)))
        .route("/read", post(remote_read::read))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/compact", post(admin::compact).put(admin::compact))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .method_not_allowed_fallback(other_method)
        .fallback(unknown_api);

    let api_v2 = Router::new()
        .route("/alerts", get(api_v2::get_alerts).post(api_v2::post_alerts))
        .route("/alerts/groups", get(api_v2::get_alert_groups))
        .route("/silences", get(api_v2::get_silences).post(api_v2::post_silences))
        .route("/silence/{id}", get(api_v2::get_silence).delete(api_v2::delete_silence))
        .route("/receivers", get(api_v2::get_receivers))
        .route("/status", get(api_v2::get_status))
        .method_not_allowed_fallback(other_method)
        .fallback(unknown_api);

    let grafana = Router::new()
        .route("/search", get(dashboards::search))
        .route("/dashboards/db", post(dashboards::save))
        .route("/dashboards/uid/{uid}", get(dashboards::load))
        .route("/dashboards/uid/{uid}", delete(dashboards::remove))
        .route("/dashboards/uid/{uid}/versions", get(dashboards::versions))
        .route("/dashboards/uid/{uid}/versions/{version}", get(dashboards::version))
        .route("/dashboards/uid/{uid}/restore", post(dashboards::restore))
        .route("/datasources", get(dashboards::datasources))
        .route("/markdown", post(markdown::render).layer(DefaultBodyLimit::max(markdown::BYTES_MAX)))
        .route("/health", get(dashboards::health));

    let routes = Router::new()
        .nest("/api/v1", api_v1)
        .nest("/api/v2", api_v2)
        .nest("/api", grafana)
        .route("/api/{*rest}", any(unknown_api))
        .route("/federate", get(federate::federate))
        .route("/probe", get(probe::probe))
        .route("/probe/history", get(probe::history))
        .route("/probe/logs", get(probe::logs))
        .route("/metrics", get(metrics::own))
        .route("/metrics/host", get(metrics::host))
        .route("/-/healthy", get(health::healthy).head(health::healthy))
        .route("/-/ready", get(health::ready).head(health::ready))
        .route("/-/reload", any(health::reload))
        .route("/-/quit", any(health::quit))
        .route("/version", get(health::version))
        .route("/graph", get(explore))
        .route("/query", get(explore))
        .fallback(page)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new().gzip(true).zstd(true).deflate(true))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), body_in_time::read_in_time))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), cors))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .with_state(app);
    if prefix.is_empty() {
        return routes;
    }
    // Nesting matches `/vigie` and `/vigie/d`, but not `/vigie/`.
    let home = format!("{prefix}/");
    let root = routes.clone();
    let at_home = any(move |mut request: Request| async move {
        let query = request.uri().query().map(|query| format!("/?{query}"));
        if let Ok(uri) = query.as_deref().unwrap_or("/").parse() {
            *request.uri_mut() = uri;
        }
        root.oneshot(request).await
    });
    let to_home = home.clone();
    let redirect = get(move || async move { Redirect::temporary(&to_home) });
    Router::new().nest(prefix, routes).route(&home, at_home).route("/", redirect)
}

async fn unknown_api() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

async fn other_method() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed; the Allow header names those that are\n").into_response()
}

/// Where Prometheus has its expression browser.
async fn explore(State(app): State<Arc<App>>, request: Request) -> Redirect {
    let to = app.front_end.outside("/explore");
    match request.uri().query() {
        Some(query) => Redirect::temporary(&format!("{to}?{query}")),
        None => Redirect::temporary(&to),
    }
}

/// Paths of the browser's own routes; must agree with `app/src/routes.rs`.
const PAGES: [&str; 17] = [
    "",
    "d",
    "d-solo",
    "dashboard",
    "dashboards",
    "explore",
    "alerts",
    "alerting",
    "rules",
    "targets",
    "service-discovery",
    "probes",
    "federation",
    "status",
    "tsdb-status",
    "flags",
    "config",
];

/// A file of the front end, or the page; the status says whether the address means anything.
async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, "Only GET here\n").into_response();
    }
    let path = request.uri().path();
    if path != "/"
        && let Some(file) = app.front_end.file(path, request.headers())
    {
        return file;
    }
    let mut parts = path.trim_matches('/').split('/');
    let first = parts.next().unwrap_or_default();
    let known = match first {
        // A dashboard that does not exist is not found, although the page can say so more kindly.
        "d" | "d-solo" => parts.next().is_some_and(|uid| app.dashboards.exists(uid)),
        _ => PAGES.contains(&first),
    };
    app.front_end.page(if known { StatusCode::OK } else { StatusCode::NOT_FOUND }, request.headers())
}

/// Lets pages of other origins ask, as Prometheus does: all of them unless `--web.cors.origin` says less.
/// Only reading: no credentials are involved.
async fn cors(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    // Caches must not give one origin's answer to another.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let is_allowed = app.flags.cors_origin == ".*"
        || regexp::Regexp::anchored(&app.flags.cors_origin)
            .is_ok_and(|regex| regex.is_match(origin.to_str().unwrap_or_default()));
    if is_allowed {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date"));
    }
    response
}
