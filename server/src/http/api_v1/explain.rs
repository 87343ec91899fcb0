//! `/api/v1/query_explain` and `/api/v1/query_analyze`: a query as a tree with what each part is expected to cost, or did
//! cost, with units and hints. `start`, `end` and `step` ask about a range, `time` or nothing about an instant.

use super::query::{Times, asked, log_query, options};
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success, success_with};
use crate::http::params::Params;
use crate::http::queries::log::stats;
use crate::http::queries::{Client, Kind};
use api::explain::{Analysis, Cost, Estimate, Hint, Node, Place};
use axum::extract::State;
use promql::ExplainTimes;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) async fn explain(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    run(app, client, params, false).await
}

pub(crate) async fn analyze(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    run(app, client, params, true).await
}

async fn run(app: Arc<App>, client: Client, params: Params, analyze: bool) -> ApiResult {
    let is_range = ["start", "end", "step"].iter().any(|name| params.filled(name).is_some());
    let times = if is_range { Times::range(&params)? } else { Times::instant(app.clock.now_ms(), &params)? };
    let mut options = options(&params)?;
    let text = params.get("query").to_owned();
    let ticket = app.queries.admit(asked(client, Kind::Explain, &text, &times, &options)).await?;
    let _cancel = ticket.cancel_on_drop();
    options.cancel = Some(ticket.cancel());
    options.samples_read = Some(ticket.samples_read());
    super::evaluating(&app.workers.clone(), move || {
        let known = known_metadata(&app);
        let metadata = |name: &str| known.get(name).cloned();
        let times = ExplainTimes { start_ms: times.start_ms, end_ms: times.end_ms, step_ms: times.step_ms };
        let storage = app.queryable.as_ref();
        let fail = |error| ticket.explain(ApiError::from(error));
        if !analyze {
            let tree = app.engine.explain(storage, &text, times, &options, &metadata).map_err(fail)?;
            return Ok(success(node(tree)));
        }
        let done = app.engine.analyze(storage, &text, times, &options, &metadata).map_err(fail);
        log_query(&app, &ticket, done.as_ref().map(|(output, _)| output.stats));
        let (output, tree) = done?;
        let stats = stats(&output.stats, ticket.waited);
        Ok(success_with(Analysis { tree: node(tree), stats }, output.warnings))
    })
    .await
}

fn known_metadata(app: &App) -> HashMap<String, model::Metadata> {
    // What targets say now goes before what was once written to us.
    app.tsdb
        .metadata()
        .into_iter()
        .chain(app.scrape.metadata().into_iter().flat_map(|target| target.metadata))
        .collect()
}

fn place(span: promql_syntax::Span) -> Place {
    Place { start: span.start, end: span.end }
}

fn node(tree: promql::ExplainNode) -> Node {
    Node {
        place: place(tree.span),
        kind: tree.kind.to_owned(),
        title: tree.title,
        value_type: tree.value_type.as_str().to_owned(),
        metric_type: tree.metric_type.to_owned(),
        unit: tree.unit,
        estimate: Estimate { series: tree.estimate.series, samples: tree.estimate.samples, bytes: tree.estimate.bytes },
        cost: tree.cost.map(|cost| Cost {
            series: cost.series,
            samples: cost.samples,
            bytes: cost.bytes,
            seconds: cost.time.as_secs_f64(),
        }),
        hints: tree
            .hints
            .into_iter()
            .map(|hint| Hint {
                kind: hint.kind.to_owned(),
                place: place(hint.span),
                text: hint.text,
                replacement: hint.replacement,
            })
            .collect(),
        children: tree.children.into_iter().map(node).collect(),
    }
}
