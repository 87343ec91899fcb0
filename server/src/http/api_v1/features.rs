//! `/api/v1/features`: what clients may use, by category, as Prometheus names it. A name that is not there is not known here.

use crate::http::App;
use crate::http::error::success;
use axum::extract::State;
use axum::response::Response;
use promql_syntax::{AGGREGATIONS, FUNCTIONS};
use std::collections::BTreeMap;
use std::sync::Arc;

type Features = BTreeMap<&'static str, BTreeMap<&'static str, bool>>;

/// What is always on or always off. In Prometheus some of it waits for a flag.
#[rustfmt::skip]
const FIXED: [(&str, &[&str], &[&str]); 9] = [
    (
        "api",
        &["exclude_alerts", "label_values_match", "openapi_3.1", "query_stats", "query_warnings", "time_range_labels", "time_range_series"],
        &["openapi_3.2", "otlp_write_receiver"],
    ),
    ("otlp_receiver", &[], &["delta_conversion", "native_delta_ingestion"]),
    ("prometheus", &["server_mode"], &["agent_mode", "auto_reload_config"]),
    (
        "promql",
        &[
            "anchored", "at_modifier", "bool", "by", "duration_expr", "fill", "fill_left", "fill_right", "group_left",
            "group_right", "ignoring", "negative_offset", "offset", "on", "per_query_lookback_delta", "smoothed",
            "subqueries", "without",
        ],
        &["per_step_stats"],
    ),
    (
        "promql_operators",
        &[
            "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^", "and", "atan2", "or",
            "unless",
        ],
        &[],
    ),
    ("rules", &["keep_firing_for", "query_offset"], &[]),
    ("service_discovery_providers", &["dns", "file", "http", "static"], &[]),
    (
        "templating_functions",
        &[
            "args", "externalURL", "first", "graphLink", "humanize", "humanize1024", "humanizeDuration",
            "humanizePercentage", "humanizeTimestamp", "label", "match", "now", "parseDuration", "pathPrefix", "query",
            "reReplaceAll", "safeHtml", "sortByLabel", "stripDomain", "stripPort", "strvalue", "tableLink", "title",
            "toDuration", "toLower", "toTime", "toUpper", "urlQueryEscape", "value",
        ],
        &[],
    ),
    ("tsdb", &["exemplar_storage", "native_histograms"], &[]),
];

pub(crate) async fn features(State(app): State<Arc<App>>) -> Response {
    let flags = &app.flags;
    success(collected(flags.enable_admin_api, flags.enable_lifecycle, flags.enable_remote_write_receiver))
}

fn collected(admin: bool, lifecycle: bool, remote_write_receiver: bool) -> Features {
    let mut all = Features::new();
    for (category, on, off) in FIXED {
        let known = all.entry(category).or_default();
        known.extend(on.iter().map(|name| (*name, true)));
        known.extend(off.iter().map(|name| (*name, false)));
    }
    all.entry("api").or_default().extend([
        ("admin", admin),
        ("lifecycle", lifecycle),
        ("remote_write_receiver", remote_write_receiver),
    ]);
    all.entry("promql_functions").or_default().extend(FUNCTIONS.iter().map(|function| (function.name, true)));
    all.entry("promql_operators").or_default().extend(AGGREGATIONS.iter().map(|(name, _)| (*name, true)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_is_there() {
        let all = collected(true, false, true);
        assert_eq!((all["api"]["admin"], all["api"]["lifecycle"]), (true, false));
        assert!(all["promql_functions"]["info"] && all["promql_operators"]["limitk"]);
        // Every operator and keyword that is claimed parses.
        for query in [
            "a % b ^ c atan2 d",
            "a and b or c unless d",
            "a @ 5 offset -5m",
            "sum without (x) (max_over_time(a[5m:]))",
            "rate(a[5m] anchored)",
            "rate(a[5m] smoothed)",
            "a[5m + step()]",
            "a + on (x) group_left (y) b",
            "a == bool b",
            "a + ignoring (x) group_right b",
            "a + fill(0) b",
            "a + fill_left(1) fill_right(2) b",
            "a{b!=\"c\",d=~\"e\",f!~\"g\"}",
        ] {
            assert!(promql_syntax::parse(query).is_ok(), "{query}: {:?}", promql_syntax::parse(query).err());
        }
    }
}
