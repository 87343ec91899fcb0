//! `/api/v1/query_explain` and `/api/v1/query_analyze`.

use serde::{Deserialize, Serialize};

/// Bytes of the query, from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub start: usize,
    pub end: usize,
}

/// One part of a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub place: Place,
    /// `aggregation`, `operator`, `function`, `selector`, `range selector`, `subquery`, `number`, `string`,
    /// `parentheses` or `sign`.
    pub kind: String,
    pub title: String,
    pub value_type: String,
    /// `gauge`, `counter`, …
    pub metric_type: String,
    /// `bytes/second`; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub estimate: Estimate,
    /// Only after running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    pub hints: Vec<Hint>,
    pub children: Vec<Node>,
}

/// What is expected; `null` where it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    pub series: Option<u64>,
    pub samples: Option<u64>,
    pub bytes: Option<u64>,
}

/// What a part took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub series: u64,
    pub samples: u64,
    pub bytes: u64,
    /// Of all threads together.
    pub seconds: f64,
}

/// What would make the query right, quicker or cheaper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// A name that does not change, as `rate-of-gauge`.
    pub kind: String,
    pub place: Place,
    pub text: String,
    /// What to write in place of the part, if that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

/// What `/api/v1/query_analyze` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    pub tree: Node,
    pub stats: crate::query::Stats,
}
