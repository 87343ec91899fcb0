//! `/api/v1/search/{metric_names,label_names,label_values}`: names that fit a few letters, best first if asked, in batches.
//! Source: Prometheus 3.14 (`--enable-feature=search-api`; always on here).

mod score;

use crate::http::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::go;
use crate::http::ndjson;
use crate::http::params::{Params, parse_time_ms};
use crate::http::queries::{Asked, Client, Kind};
use axum::extract::State;
use http::HeaderMap;
use score::{Algorithm, Terms};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far back names are looked for unless `start` says otherwise.
const LOOK_BACK_MS: i64 = 3_600_000;
/// Results, and results a line, unless the request says otherwise.
const RESULTS: usize = 100;
/// Most results a line.
const BATCH_MAX: usize = 10_000;
/// Terms of one search, and characters of one of them: each is compared with every name.
const TERMS_MAX: usize = 16;
const TERM_CHARS_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    Score,
}

/// What a request asks for.
struct Search {
    selectors: Vec<Vec<model::Matcher>>,
    terms: Terms,
    order: Order,
    include_score: bool,
    start_ms: i64,
    end_ms: i64,
    limit: usize,
    batch: usize,
}

#[derive(serde::Serialize)]
struct Found<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    metric_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
}

#[derive(serde::Serialize)]
struct Batch<'a> {
    results: Vec<Found<'a>>,
}

#[derive(serde::Serialize)]
struct Trailer {
    status: &'static str,
    has_more: bool,
}

pub(crate) async fn metric_names(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    params: Params,
) -> ApiResult {
    let search = Search::parse(&app, &params, "metric_names")?;
    let metadata = if flag(&params, "include_metadata", false)? { known_metadata(&app) } else { BTreeMap::new() };
    answer(app, client, &headers, search, Some(model::labels::METRIC_NAME.to_owned()), metadata).await
}

pub(crate) async fn label_names(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    params: Params,
) -> ApiResult {
    let search = Search::parse(&app, &params, "label_names")?;
    answer(app, client, &headers, search, None, BTreeMap::new()).await
}

pub(crate) async fn label_values(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    params: Params,
) -> ApiResult {
    let search = Search::parse(&app, &params, "label_values")?;
    let Some(label) = params.filled("label") else {
        return Err(ApiError::bad_data("missing required parameter \"label\""));
    };
    answer(app, client, &headers, search, Some(label.to_owned()), BTreeMap::new()).await
}

fn known_metadata(app: &App) -> BTreeMap<String, model::Metadata> {
    app.scrape.metadata().into_iter().flat_map(|target| target.metadata).collect()
}

fn flag(params: &Params, name: &str, default: bool) -> ApiResult<bool> {
    match params.get(name) {
        "" => Ok(default),
        text => {
            go::parse_bool(text).map_err(|_| ApiError::bad_data(format!("invalid {name} {text:?}: must be boolean")))
        }
    }
}

fn count(params: &Params, name: &str) -> ApiResult<usize> {
    match params.filled(name) {
        None => Ok(RESULTS),
        Some(text) => match text.parse::<usize>() {
            Ok(0) => Ok(RESULTS),
            Ok(count) => Ok(count),
            Err(_) => Err(ApiError::bad_data(format!("invalid {name} {text:?}: must be non-negative integer"))),
        },
    }
}

impl Search {
    fn parse(app: &App, params: &Params, endpoint: &str) -> ApiResult<Search> {
        params.whole()?;
        let now_ms = app.clock.now_ms();
        let time = |name: &str, default: i64| match params.filled(name) {
            None => Ok(default),
            Some(text) => parse_time_ms(text)
                .map_err(|error| ApiError::bad_data(format!("invalid time value for '{name}': {error}"))),
        };
        let start_ms = time("start", now_ms - LOOK_BACK_MS)?;
        let end_ms = time("end", now_ms)?;
        let selectors = params.matchers().map_err(ApiError::bad_data)?;
        let threshold = match params.filled("fuzz_threshold") {
            None => 0.0,
            Some(text) => text
                .parse::<u8>()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(f64::from)
                .ok_or_else(|| ApiError::bad_data(format!("invalid fuzz_threshold {text:?}: must be 0-100")))?,
        } / 100.0;
        let algorithm = match params.filled("fuzz_alg") {
            None => Algorithm::default(),
            Some(text) => {
                Algorithm::NAMES.iter().find(|(name, _)| *name == text).map(|(_, a)| *a).ok_or_else(|| {
                    let names = Algorithm::NAMES.map(|(name, _)| name).join(" ");
                    ApiError::bad_data(format!("unsupported fuzz_alg {text:?}: must be one of [{names}]"))
                })?
            }
        };
        let case_sensitive = flag(params, "case_sensitive", true)?;
        let include_score = flag(params, "include_score", false)?;
        let mut terms = params.all("search[]");
        if terms.len() > TERMS_MAX || terms.iter().any(|term| term.chars().count() > TERM_CHARS_MAX) {
            return Err(ApiError::bad_data(format!(
                "search[] takes at most {TERMS_MAX} terms of {TERM_CHARS_MAX} characters; search for less at a time"
            )));
        }
        if !case_sensitive {
            terms = terms.iter().map(|term| term.to_lowercase()).collect();
        }
        let (sort_by, direction) = (params.get("sort_by"), params.get("sort_dir"));
        if !direction.is_empty() && sort_by.is_empty() {
            return Err(ApiError::bad_data("sort_dir is only valid when sort_by is set"));
        }
        if !direction.is_empty() && sort_by == "score" {
            return Err(ApiError::bad_data("sort_dir is not supported for sort_by=score"));
        }
        if !matches!(direction, "" | "asc" | "dsc") {
            return Err(ApiError::bad_data(format!("invalid sort_dir {direction:?}: must be \"asc\" or \"dsc\"")));
        }
        let order = match sort_by {
            "" | "alpha" if direction == "dsc" => Order::Descending,
            "" | "alpha" => Order::Ascending,
            "score" if terms.is_empty() => {
                return Err(ApiError::bad_data("sort_by=score requires search[] to be set"));
            }
            "score" => Order::Score,
            other => {
                return Err(ApiError::bad_data(format!(
                    "invalid sort_by {other:?} for {endpoint}: must be \"alpha\" or \"score\""
                )));
            }
        };
        let (limit, batch) = (count(params, "limit")?, count(params, "batch_size")?.min(BATCH_MAX));
        let terms = Terms { terms, algorithm, threshold, case_sensitive };
        Ok(Search { selectors, terms, order, include_score, start_ms, end_ms, limit, batch })
    }

    /// Names with scores, in order, and whether there were more.
    fn run(&self, names: BTreeSet<String>) -> (Vec<(String, f64)>, bool) {
        let mut found: Vec<(String, f64)> =
            names.into_iter().filter_map(|name| self.terms.score(&name).map(|score| (name, score))).collect();
        match self.order {
            Order::Ascending => {}
            Order::Descending => found.reverse(),
            // Stable: equals stay in the order of the alphabet.
            Order::Score => found.sort_by(|a, b| b.1.total_cmp(&a.1)),
        }
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        (found, has_more)
    }
}

/// `label` is the label whose values are wanted; `None`: the names of labels.
async fn answer(
    app: Arc<App>,
    client: Client,
    headers: &HeaderMap,
    search: Search,
    label: Option<String>,
    metadata: BTreeMap<String, model::Metadata>,
) -> ApiResult {
    let ticket = app.queries.admit(Asked::of(client, Kind::Search, label.as_deref().unwrap_or_default())).await?;
    let include_score = search.include_score;
    let batch = search.batch;
    let (found, has_more) = super::evaluating(&app.workers.clone(), move || {
        let _ticket = ticket;
        let querier = app.queryable.querier(search.start_ms, search.end_ms)?;
        let ask = |matchers: &[model::Matcher]| match &label {
            Some(name) => querier.label_values(name, matchers),
            None => querier.label_names(matchers),
        };
        let mut names = BTreeSet::new();
        if search.selectors.is_empty() {
            names.extend(ask(&[])?);
        }
        for matchers in &search.selectors {
            names.extend(ask(matchers)?);
        }
        Ok(search.run(names))
    })
    .await?;
    let (response, mut lines) = ndjson::answer(headers);
    tokio::spawn(async move {
        // Even nothing is told in a batch.
        for some in found.chunks(batch).chain(found.is_empty().then_some(&[][..])) {
            let results = some
                .iter()
                .map(|(name, score)| {
                    let known = metadata.get(name);
                    Found {
                        name,
                        score: include_score.then_some(*score),
                        metric_type: known.map_or("", |known| known.metric_type.as_str()),
                        help: known.map_or("", |known| known.help.as_str()),
                        unit: known.map_or("", |known| known.unit.as_str()),
                    }
                })
                .collect();
            if !lines.send_json(&Batch { results }).await {
                return;
            }
        }
        if lines.send_json(&Trailer { status: "success", has_more }).await {
            lines.finish().await;
        }
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(terms: &[&str], order: Order, limit: usize) -> Search {
        Search {
            selectors: Vec::new(),
            terms: Terms {
                terms: terms.iter().map(ToString::to_string).collect(),
                case_sensitive: true,
                ..Terms::default()
            },
            order,
            include_score: false,
            start_ms: 0,
            end_ms: 0,
            limit,
            batch: RESULTS,
        }
    }

    #[test]
    fn order_and_limit() {
        let names = || ["node_load1", "up", "node_cpu_seconds_total", "load"].map(str::to_owned).into();
        let run = |search: Search| {
            let (found, more) = search.run(names());
            (found.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "), more)
        };
        let all = "load node_cpu_seconds_total node_load1 up".to_owned();
        assert_eq!(run(search(&[], Order::Ascending, 9)), (all, false));
        assert_eq!(run(search(&[], Order::Descending, 1)), ("up".to_owned(), true));
        assert_eq!(run(search(&["load"], Order::Score, 9)), ("load node_load1".to_owned(), false));
        assert_eq!(run(search(&["load", "u"], Order::Score, 2)), ("load up".to_owned(), true));
    }
}
