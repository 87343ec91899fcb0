//! Everything that can be done with a text of a stranger.

use crate::common::at_step;
use promql::{Engine, EngineOptions, QueryError, QueryOptions, QueryOutput};
use promql_syntax::{format_pretty, parse, parse_metric, parse_metric_selector, tokens};
use std::time::Duration;
use storage::memory::MemoryStorage;

/// Pieces that queries are made of, and some that they are not.
pub(crate) const PIECES: &[&str] = &[
    "m",
    "h",
    "n",
    "a",
    "le",
    "nothing",
    "sum",
    "avg",
    "topk",
    "quantile",
    "count_values",
    "limitk",
    "limit_ratio",
    "stddev",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "bool",
    "offset",
    "@",
    "start()",
    "end()",
    "step()",
    "range()",
    "max_of",
    "min_of",
    "anchored",
    "smoothed",
    "and",
    "or",
    "unless",
    "atan2",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    ">",
    "<",
    ">=",
    "</",
    ">/",
    "=",
    "=~",
    "!~",
    "5m",
    "1h30m",
    "0s",
    "1ms",
    "292y",
    "30s",
    "0",
    "1",
    "-1",
    "1e300",
    "0x7f",
    "NaN",
    "Inf",
    "9223372036854775807",
    "\"a\"",
    "\"(.*)\"",
    "'$1'",
    "`\\`",
    "\"\\xff\"",
    "\"",
    "#",
    "\n",
    "é",
    "[5m]",
    "[5m:30s]",
    "(m)",
    "{a=\"1\"}",
    "1 + m",
];

/// With limits that end what grows.
pub(crate) fn engine() -> Engine {
    Engine::new(EngineOptions {
        max_samples: 1_000_000,
        max_memory_bytes: 64 << 20,
        timeout: Duration::from_secs(20),
        ..EngineOptions::default()
    })
}

/// Reads, prints, reads again, evaluates in both ways; the answers of what was printed are those of the text, and its price
/// can be told. What is wrong is told.
pub(crate) fn try_all(storage: &MemoryStorage, engine: &Engine, text: &str) -> Result<(), String> {
    let _ = (parse_metric(text), parse_metric_selector(text), tokens(text));
    let Ok(expr) = parse(text) else { return Ok(()) };
    let (printed, pretty) = (expr.to_string(), format_pretty(&expr));
    for other in [&printed, &pretty] {
        let again = parse(other).map_err(|error| format!("`{text}` became `{other}`: {error}"))?;
        if again.to_string() != printed {
            return Err(format!("`{text}`: `{printed}` and, printed twice, `{again}`"));
        }
    }
    let options = QueryOptions::default();
    let run = |query: &str, range: bool| match range {
        true => engine.range(storage, query, 200_000, 500_000, 50_000, &options),
        false => engine.instant(storage, query, 400_000, &options),
    };
    for range in [false, true] {
        let shown = |outcome: &Result<QueryOutput, QueryError>| match outcome {
            Ok(output) => Ok((at_step(&output.value, 400_000), output.warnings.len(), output.infos.len())),
            Err(_) => Err(()),
        };
        let (own, other) = (run(text, range), run(&printed, range));
        if let Err(QueryError::Timeout(after)) = &own {
            return Err(format!("`{text}` takes longer than {after:?}"));
        }
        if shown(&own) != shown(&other) {
            return Err(format!("`{text}` gives {:?} and `{printed}` {:?}", shown(&own), shown(&other)));
        }
    }
    Ok(())
}
