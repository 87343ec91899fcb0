//! What queries cost, and which of them are under way.

use super::{
    Answer,
    transport::{delete, get_v1, post_form_v1},
};
use api::explain::{Cost, Estimate, Hint, Node, Place};
use serde_json::Value;
use web_sys::AbortSignal;

/// The tree of a query; after running with its cost, and the seconds that it took as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub tree: Node,
    pub seconds: Option<f64>,
}

// Read by hand: code that is made for each of these types is several times as much to download, for pages few open.

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn words(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_default()
}

fn list<T>(value: &Value, read: fn(&Value) -> T) -> Vec<T> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn place(value: &Value) -> Place {
    let at = |key| usize::try_from(count(&value["place"], key)).unwrap_or(usize::MAX);
    Place { start: at("start"), end: at("end") }
}

fn node(value: &Value) -> Node {
    let (estimate, cost) = (&value["estimate"], &value["cost"]);
    Node {
        place: place(value),
        kind: text(value, "kind"),
        title: text(value, "title"),
        value_type: text(value, "valueType"),
        metric_type: text(value, "metricType"),
        unit: words(value, "unit"),
        estimate: Estimate {
            series: estimate["series"].as_u64(),
            samples: estimate["samples"].as_u64(),
            bytes: estimate["bytes"].as_u64(),
        },
        cost: cost.is_object().then(|| Cost {
            series: count(cost, "series"),
            samples: count(cost, "samples"),
            bytes: count(cost, "bytes"),
            seconds: number(cost, "seconds"),
        }),
        hints: list(&value["hints"], |hint| Hint {
            kind: text(hint, "kind"),
            place: place(hint),
            text: text(hint, "text"),
            replacement: words(hint, "replacement"),
        }),
        children: list(&value["children"], node),
    }
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
    let path = if measured { "/api/v1/query_analyze" } else { "/api/v1/query_explain" };
    let (data, _): (Value, _) = post_form_v1(path, &form, signal).await?;
    let seconds = data["stats"]["timings"]["execTotalTime"].as_f64();
    Ok(Explained { tree: node(if measured { &data["tree"] } else { &data }), seconds })
}

/// A query that runs or waits for its turn.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay {
    pub id: u64,
    pub query: String,
    /// `queued` or `running`.
    pub state: String,
    /// Waiting and running together.
    pub seconds: f64,
    pub samples_read: u64,
    pub client_address: String,
    /// Empty where nobody says.
    pub user: String,
}

/// `GET /api/v1/queries`, oldest first.
pub async fn under_way() -> Answer<Vec<UnderWay>> {
    let (data, _): (Value, _) = get_v1("/api/v1/queries", None).await?;
    Ok(list(&data, |query| UnderWay {
        id: count(query, "id"),
        query: text(query, "query"),
        state: text(query, "state"),
        seconds: number(query, "queuedSeconds") + number(query, "runningSeconds"),
        samples_read: count(query, "samplesRead"),
        client_address: text(query, "clientAddress"),
        user: text(query, "user"),
    }))
}

/// `DELETE /api/v1/queries/<id>`; needs `--web.enable-admin-api`.
pub async fn end(id: u64) -> Answer<()> {
    delete(&format!("/api/v1/queries/{id}")).await
}

/// Functions and aggregations that the server refuses for want of a flag, by `GET /api/v1/features`.
pub async fn switched_off() -> Answer<Vec<String>> {
    let (data, _): (Value, _) = get_v1("/api/v1/features", None).await?;
    let of = |part: &str| data[part].as_object().into_iter().flatten().filter(|(_, on)| **on == Value::Bool(false));
    Ok(of("promql_functions").chain(of("promql_operators")).map(|(name, _)| name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the types of the server write is what is read.
    #[test]
    fn trees_read_back() {
        let leaf = Node {
            place: Place { start: 4, end: 9 },
            kind: "selector".to_owned(),
            title: "up".to_owned(),
            value_type: "vector".to_owned(),
            metric_type: "gauge".to_owned(),
            unit: None,
            estimate: Estimate { series: Some(3), samples: Some(u64::MAX), bytes: None },
            cost: Some(Cost { series: 2, samples: 5, bytes: 80, seconds: 0.25 }),
            hints: vec![Hint {
                kind: "move-matcher".to_owned(),
                place: Place { start: 4, end: 6 },
                text: "so".to_owned(),
                replacement: Some("up{a=\"b\"}".to_owned()),
            }],
            children: Vec::new(),
        };
        let tree = Node {
            place: Place { start: 0, end: 10 },
            unit: Some("bytes".to_owned()),
            cost: None,
            hints: Vec::new(),
            children: vec![leaf.clone(), leaf.clone()],
            ..leaf
        };
        assert_eq!(node(&serde_json::to_value(&tree).unwrap()), tree);
    }
}
