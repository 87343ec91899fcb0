//! What queries cost, and which of them are under way.

use super::{
    Answer,
    transport::{delete, get_v1, post_form_v1},
};
use api::explain::Node;
use serde::Deserialize;
use web_sys::AbortSignal;

/// The tree of a query; after running with its cost, and the seconds that it took as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub tree: Node,
    pub seconds: Option<f64>,
}

#[derive(Deserialize)]
struct Analyzed {
    tree: Node,
    stats: Stats,
}

#[derive(Deserialize)]
struct Stats {
    timings: Timings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timings {
    exec_total_time: f64,
}

/// `POST /api/v1/query_explain`, or with `measured` `query_analyze`, which runs the query; times and step in milliseconds.
pub async fn explain(
    expr: &str,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
    measured: bool,
    signal: Option<AbortSignal>,
) -> Answer<Explained> {
    let [start, end, step] = [start_ms, end_ms, step_ms].map(|ms| api::query::format_value(ms as f64 / 1000.0));
    let form = [("query", expr), ("start", start.as_str()), ("end", end.as_str()), ("step", step.as_str())];
    if !measured {
        let (tree, _) = post_form_v1("/api/v1/query_explain", &form, signal).await?;
        return Ok(Explained { tree, seconds: None });
    }
    let (found, _): (Analyzed, _) = post_form_v1("/api/v1/query_analyze", &form, signal).await?;
    Ok(Explained { tree: found.tree, seconds: Some(found.stats.timings.exec_total_time) })
}

/// A query that runs or waits for its turn.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnderWay {
    pub id: u64,
    pub kind: String,
    pub query: String,
    /// `queued` or `running`.
    pub state: String,
    pub queued_seconds: f64,
    pub running_seconds: f64,
    pub samples_read: u64,
    pub client_address: String,
    pub user: Option<String>,
}

/// `GET /api/v1/queries`, oldest first.
pub async fn under_way() -> Answer<Vec<UnderWay>> {
    get_v1("/api/v1/queries", None).await.map(|(list, _)| list)
}

/// `DELETE /api/v1/queries/<id>`; needs `--web.enable-admin-api`.
pub async fn end(id: u64) -> Answer<()> {
    delete(&format!("/api/v1/queries/{id}")).await
}
