//! `POST /api/v1/query_batch`: the queries of a whole dashboard in one request, answered line by line in the order asked.

use super::query::Ask;
use crate::http::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::ndjson;
use crate::http::params::Params;
use crate::http::queries::Client;
use api::ApiResponse;
use axum::body::Bytes;
use axum::extract::State;
use http::HeaderMap;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Queries of one request: more than the panels of any dashboard.
const QUERIES_MAX: usize = 500;
/// Queries of one request that run or wait for their turn at one time. More would hold more finished answers in memory
/// while the first is still being sent.
const AHEAD: usize = 4;
/// Longest `id`, in bytes: it comes back with the answer.
const ID_BYTES_MAX: usize = 256;
/// What a query may say beside its `id`: the parameters of `query` and `query_range`.
const PARAMETERS: [&str; 11] =
    ["query", "time", "start", "end", "step", "timeout", "lookback_delta", "limit", "stats", "nocache", "units"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    queries: Vec<BTreeMap<String, Value>>,
}

/// One answer: the body of `query`, or why there is none.
type Done = Result<Vec<u8>, ApiError>;

/// One line to come.
struct Line {
    id: String,
    /// Number of the query among the different ones.
    query: usize,
}

/// Stops the query when the client is gone.
struct Running(JoinHandle<Done>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn batch(State(app): State<Arc<App>>, client: Client, headers: HeaderMap, body: Bytes) -> ApiResult {
    let (lines, different) = read(&body)?;
    // What is asked again later is kept until then.
    let mut wanted = vec![0_usize; different.len()];
    for line in &lines {
        wanted[line.query] += 1;
    }
    // Queries may be long, and all of them are read to find what they have in common.
    let asks = {
        let app = Arc::clone(&app);
        super::blocking(move || {
            // All that name no time mean the same one.
            let now_ms = app.clock.now_ms();
            let mut asks: Vec<ApiResult<Ask>> = different.iter().map(|params| Ask::of(&app, params, now_ms)).collect();
            Ask::share(&app, &mut asks);
            Ok(asks)
        })
        .await?
    };
    let (response, mut out) = ndjson::answer(&headers);
    tokio::spawn(async move {
        // Queries are numbered by their first line, so that they are wanted in this order.
        let mut to_start = asks.into_iter();
        let mut running: VecDeque<Running> = VecDeque::new();
        let mut kept: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        let mut finished = 0;
        for line in lines {
            if line.query == finished {
                while running.len() < AHEAD
                    && let Some(ask) = to_start.next()
                {
                    let (app, client) = (Arc::clone(&app), client.clone());
                    running.push_back(Running(tokio::spawn(
                        async move { Ok(ask?.run(&app, client).await?.into_bytes()) },
                    )));
                }
                let Some(mut next) = running.pop_front() else { return };
                let done = tokio::select! {
                    done = &mut next.0 => done,
                    () = out.closed() => return,
                };
                let done =
                    done.unwrap_or_else(|error| Err(ApiError::internal(format!("the query ended early: {error}"))));
                kept.insert(line.query, done.unwrap_or_else(error_body));
                finished += 1;
            }
            wanted[line.query] -= 1;
            let last = wanted[line.query] == 0;
            let body = if last { kept.remove(&line.query) } else { kept.get(&line.query).cloned() };
            if !out.send(with_id(&line.id, &body.unwrap_or_default())).await {
                return;
            }
        }
        out.finish().await;
    });
    Ok(response)
}

fn error_body(error: ApiError) -> Vec<u8> {
    let body = ApiResponse::<()>::Error {
        error_type: error.kind,
        error: error.message,
        warnings: Vec::new(),
        infos: Vec::new(),
    };
    // Our own types always serialize.
    serde_json::to_vec(&body).unwrap_or_else(|_| br#"{"status":"error"}"#.to_vec())
}

/// `{"id":"A","status":…}`.
fn with_id(id: &str, body: &[u8]) -> Vec<u8> {
    let mut line = br#"{"id":"#.to_vec();
    line.extend(Value::from(id).to_string().into_bytes());
    line.push(b',');
    line.extend_from_slice(body.strip_prefix(b"{").unwrap_or(body));
    line
}

/// The lines to write, and the different queries in the order of their first line.
fn read(body: &[u8]) -> ApiResult<(Vec<Line>, Vec<Params>)> {
    let batch: Batch = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_data(format!(
            "the body is no batch of queries: {error}; write {{\"queries\": [{{\"id\": \"A\", \"query\": \"up\"}}]}}"
        ))
    })?;
    if batch.queries.len() > QUERIES_MAX {
        return Err(ApiError::bad_data(format!(
            "{} queries, at most {QUERIES_MAX} at one time; send several batches",
            batch.queries.len()
        )));
    }
    let (mut lines, mut different) = (Vec::new(), Vec::new());
    let mut known: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    for (i, query) in batch.queries.into_iter().enumerate() {
        let mut id = i.to_string();
        let mut params = Vec::new();
        for (name, value) in query {
            let fault = |what: &str| ApiError::bad_data(format!("queries[{i}].{name}: {what}"));
            let value = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(true) => "1".to_owned(),
                Value::Bool(false) | Value::Null => String::new(),
                Value::Array(_) | Value::Object(_) => return Err(fault("expected a text or a number")),
            };
            if name == "id" {
                if value.len() > ID_BYTES_MAX {
                    return Err(fault(&format!("{} bytes, at most {ID_BYTES_MAX}", value.len())));
                }
                id = value;
            } else if PARAMETERS.contains(&name.as_str()) {
                params.push((name, value));
            } else {
                return Err(fault(&format!("not known; expected id, {}", PARAMETERS.join(", "))));
            }
        }
        let query = *known.entry(params).or_insert_with_key(|params| {
            different.push(Params::new(params.clone()));
            different.len() - 1
        });
        lines.push(Line { id, query });
    }
    Ok((lines, different))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body, and its lines as `id=number of the query`, or the fault.
    const CASES: &str = r#"
{"queries":[]} =>
{"queries":[{"query":"up"},{"id":"b","query":"x","start":0,"end":"10","step":"5s"},{"id":"c","query":"up"}]} => 0=0 b=1 c=0
{"queries":[{"query":"up","time":1},{"query":"up","time":2},{"time":1,"query":"up"}]} => 0=0 1=1 2=0
{"queries":[{"query":"up","tme":1}]} => queries[0].tme: not known; expected id, query, time, start, end, step, timeout, lookback_delta, limit, stats, nocache, units
{"queries":[{"query":["up"]}]} => queries[0].query: expected a text or a number
{"query":"up"} => the body is no batch of queries: unknown field `query`, expected `queries` at line 1 column 8; write {"queries": [{"id": "A", "query": "up"}]}
"#;

    #[test]
    fn bodies() {
        for case in CASES.trim().lines() {
            let (body, expected) = case.split_once(" =>").unwrap();
            let said = match read(body.as_bytes()) {
                Ok((lines, _)) => {
                    lines.iter().map(|line| format!("{}={}", line.id, line.query)).collect::<Vec<_>>().join(" ")
                }
                Err(error) => error.message,
            };
            assert_eq!(said, expected.trim_start(), "in case `{body}`");
        }
        let many = format!("{{\"queries\":[{}]}}", vec!["{\"query\":\"up\"}"; QUERIES_MAX + 1].join(","));
        assert_eq!(
            read(many.as_bytes()).err().map(|error| error.message).as_deref(),
            Some("501 queries, at most 500 at one time; send several batches")
        );
    }

    #[test]
    fn lines_bear_ids() {
        assert_eq!(with_id("a\"b", br#"{"status":"success"}"#), br#"{"id":"a\"b","status":"success"}"#);
    }
}
