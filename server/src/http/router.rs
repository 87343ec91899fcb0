//! Every route on one screen.

use super::api_v1::{
    admin, explain, features, labels, notifications, openapi, pool_config, queries, query, query_batch, remote_read,
    remote_write, rules, search, self_metrics, series, status, syntax, targets,
};
use super::error::{Refused, refusal};
use super::methods::{self, act, ask, read, refused, send};
use super::web_config::{self, Gate, WebConfigFile};
use super::{App, api_v2, body_in_time, dashboards, federate, health, markdown, metrics, probe};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, delete, get, post};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use std::future::ready;
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
        .route("/query", ask(query::instant))
        .route("/query_range", ask(query::range))
        .route("/query_batch", send(query_batch::batch))
        .route("/query_exemplars", ask(query::exemplars))
        .route("/format_query", ask(syntax::format))
        .route("/parse_query", ask(syntax::parse))
        .route("/query_explain", ask(explain::explain))
        .route("/query_analyze", ask(explain::analyze))
        .route("/queries", read(queries::list))
        .route("/queries/{id}", methods::only("DELETE, OPTIONS", delete(queries::kill)))
        .route("/search/metric_names", ask(search::metric_names))
        .route("/search/label_names", ask(search::label_names))
        .route("/search/label_values", ask(search::label_values))
        .route("/labels", ask(labels::names))
        .route("/label/{name}/values", read(labels::values))
        .route(
            "/series",
            methods::only(
                "DELETE, GET, OPTIONS, POST",
                get(series::series)
                    .head(|| ready(refused("DELETE, GET, OPTIONS, POST")))
                    .post(series::series)
                    .delete(series::delete),
            ),
        )
        .route("/metadata", read(targets::metadata))
        .route("/targets", read(targets::targets))
        .route("/targets/metadata", read(targets::targets_metadata))
        .route("/targets/relabel_steps", read(pool_config::relabel_steps))
        .route("/scrape_pools", read(targets::scrape_pools))
        .route("/scrape_pools/config", read(pool_config::config))
        .route("/rules", read(rules::rules))
        .route("/alerts", read(rules::alerts))
        .route("/features", read(features::features))
        .route("/alertmanagers", read(status::alertmanagers))
        .route("/openapi.yaml", read(openapi::openapi))
        .route("/notifications", read(notifications::list))
        .route("/notifications/live", read(notifications::live))
        .route("/status/buildinfo", read(status::buildinfo))
        .route("/status/config", read(status::config))
        .route("/status/flags", read(status::flags))
        .route("/status/runtimeinfo", read(status::runtimeinfo))
        .route("/status/self_metrics", read(self_metrics::self_metrics))
        .route("/status/tsdb", read(status::tsdb))
        .route("/status/cardinality", read(status::cardinality))
        .route("/status/tsdb/blocks", read(status::blocks))
        .route("/status/walreplay", read(status::walreplay))
        .route("/admin/tsdb/delete_series", act(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", act(admin::clean_tombstones))
        .route("/admin/tsdb/compact", act(admin::compact))
        .route("/admin/tsdb/snapshot", act(admin::snapshot))
        .fallback(unknown_api)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), cors))
        // Not for pages of other origins.
        .route("/write", send(remote_write::write).layer(DefaultBodyLimit::max(WRITE_BYTES_MAX)))
        .route("/read", send(remote_read::read));

    let api_v2 = Router::new()
        .route("/alerts", get(api_v2::get_alerts).post(api_v2::post_alerts))
        .route("/alerts/groups", get(api_v2::get_alert_groups))
        .route("/silences", get(api_v2::get_silences).post(api_v2::post_silences))
        .route("/silence/{id}", get(api_v2::get_silence).delete(api_v2::delete_silence))
        .route("/receivers", get(api_v2::get_receivers))
        .route("/status", get(api_v2::get_status))
        .method_not_allowed_fallback(other_method)
        .fallback(unknown_api)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), cors));

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
        .route("/health", get(dashboards::health))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), cors));

    let routes = Router::new()
        .nest("/api/v1", api_v1)
        .nest("/api/v2", api_v2)
        .nest("/api", grafana)
        .route("/api", any(unknown_api))
        .route("/api/{*rest}", any(unknown_api).layer(middleware::from_fn_with_state(Arc::clone(&app), cors)))
        .route("/federate", read(federate::federate))
        .route("/probe", get(probe::probe))
        .route("/probe/history", get(probe::history))
        .route("/probe/logs", get(probe::logs))
        .route("/metrics", read(metrics::own))
        .route("/metrics/host", get(metrics::host))
        .route("/-/healthy", methods::only("GET, HEAD, OPTIONS", get(health::healthy)))
        .route("/-/ready", methods::only("GET, HEAD, OPTIONS", get(health::ready)))
        .route("/-/reload", any(health::reload))
        .route("/-/quit", any(health::quit))
        .route("/version", read(health::version))
        .route("/graph", get(explore))
        .route("/query", get(explore))
        .fallback(page)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new().gzip(true).zstd(true).deflate(true))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), body_in_time::read_in_time))
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

async fn unknown_api(State(app): State<Arc<App>>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        // What pages of other origins ask before they ask is not looked at closely.
        return StatusCode::NO_CONTENT.into_response();
    }
    tidier(&app, request.uri(), request.method())
        .unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, "404 page not found\n"))
}

async fn other_method() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

/// The way from a path with `//` in it, as a base URL that ends with a slash makes them, to the one that was meant.
fn tidier(app: &App, uri: &Uri, method: &Method) -> Option<Response> {
    if !uri.path().contains("//") {
        return None;
    }
    let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let slash = if uri.path().ends_with('/') && !parts.is_empty() { "/" } else { "" };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let to = app.front_end.outside(&format!("/{}{slash}{query}", parts.join("/")));
    // A method other than GET, and a body, must survive the way.
    let status = if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    Some((status, [(header::LOCATION, to)]).into_response())
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
    if let Some(way) = tidier(&app, request.uri(), request.method()) {
        return way;
    }
    if request.method() == Method::OPTIONS {
        return refusal(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "Only GET here\n");
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
    if response.extensions().get::<Refused>().is_some() {
        return response;
    }
    // Caches must not give one origin's answer to another.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let is_allowed = app.flags.cors_origin == ".*"
        || regexp::Regexp::anchored(&app.flags.cors_origin)
            .is_ok_and(|regex| regex.is_match(origin.to_str().unwrap_or_default()));
    let headers = response.headers_mut();
    if is_allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    // Without the one above, a browser heeds none of these.
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date"));
    response
}
