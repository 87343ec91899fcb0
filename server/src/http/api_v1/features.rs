//! `/api/v1/features`: what clients may use, by category, as Prometheus names it. A name that is not there is not known here.

use crate::config::features::Enabled;
use crate::http::App;
use crate::http::error::success;
use axum::extract::State;
use axum::response::Response;
use promql_syntax::{AggregateOp, FUNCTIONS};
use std::collections::BTreeMap;
use std::sync::Arc;

type Features = BTreeMap<&'static str, BTreeMap<&'static str, bool>>;

/// What is always on or always off. In Prometheus some of it waits for a flag (docs/command-line.md).
#[rustfmt::skip]
const FIXED: [(&str, &[&str], &[&str]); 9] = [
    (
        "api",
        &["exclude_alerts", "label_values_match", "openapi_3.1", "query_stats", "query_warnings", "time_range_labels", "time_range_series"],
        &["openapi_3.2", "otlp_write_receiver"],
    ),
    ("otlp_receiver", &[], &["delta_conversion", "native_delta_ingestion"]),
    ("prometheus", &["server_mode"], &["agent_mode"]),
    (
        "promql",
        &[
            "at_modifier", "bool", "by", "duration_expr", "group_left", "group_right", "ignoring", "negative_offset",
            "offset", "on", "per_query_lookback_delta", "subqueries", "without",
        ],
        &[],
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
    let switches = Switches {
        admin: flags.enable_admin_api,
        lifecycle: flags.enable_lifecycle,
        remote_write_receiver: flags.enable_remote_write_receiver,
        enabled: Enabled { auto_reload: flags.auto_reload || flags.enabled().auto_reload, ..flags.enabled() },
    };
    success(collected(switches))
}

/// What flags switch.
struct Switches {
    admin: bool,
    lifecycle: bool,
    remote_write_receiver: bool,
    enabled: Enabled,
}

fn collected(switches: Switches) -> Features {
    let language = switches.enabled.language;
    let mut all = Features::new();
    for (category, on, off) in FIXED {
        let known = all.entry(category).or_default();
        known.extend(on.iter().map(|name| (*name, true)));
        known.extend(off.iter().map(|name| (*name, false)));
    }
    all.entry("api").or_default().extend([
        ("admin", switches.admin),
        ("lifecycle", switches.lifecycle),
        ("remote_write_receiver", switches.remote_write_receiver),
    ]);
    all.entry("prometheus").or_default().insert("auto_reload_config", switches.enabled.auto_reload);
    let promql = all.entry("promql").or_default();
    promql.extend(["anchored", "smoothed"].map(|name| (name, language.extended_range_selectors)));
    promql.extend(["fill", "fill_left", "fill_right"].map(|name| (name, language.fill_modifiers)));
    promql.insert("per_step_stats", switches.enabled.per_step_stats);
    let is_on = |experimental: bool| !experimental || language.experimental_functions;
    let functions = FUNCTIONS.iter().map(|function| (function.name, is_on(function.experimental)));
    all.entry("promql_functions").or_default().extend(functions);
    let aggregations = AggregateOp::ALL.map(|op| (op.as_str(), is_on(op.is_experimental())));
    all.entry("promql_operators").or_default().extend(aggregations);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(names: &str) -> (Features, promql_syntax::Features) {
        let (enabled, _) = Enabled::read(&[names.to_owned()]);
        let switches = Switches { admin: true, lifecycle: false, remote_write_receiver: true, enabled };
        (collected(switches), enabled.language)
    }

    /// The category and name that must be claimed for a query to be understood, and is then.
    const QUERIES: &str = "
promql_operators % | a % b ^ c atan2 d
promql_operators unless | a and b or c unless d
promql at_modifier | a @ 5 offset -5m
promql subqueries | sum without (x) (max_over_time(a[5m:]))
promql anchored | rate(a[5m] anchored)
promql smoothed | rate(a[5m] smoothed)
promql duration_expr | a[5m + step()]
promql group_left | a + on (x) group_left (y) b
promql bool | a == bool b
promql group_right | a + ignoring (x) group_right b
promql fill | a + fill(0) b
promql fill_left | a + fill_left(1) b
promql fill_right | a + fill_right(2) b
promql_operators !~ | a{b!=\"c\",d=~\"e\",f!~\"g\"}
promql_operators limitk | limitk(1, a)
promql_operators limit_ratio | limit_ratio(0.5, a)
promql_functions info | info(a)
promql_functions mad_over_time | mad_over_time(a[5m])
promql_functions first_over_time | first_over_time(a[5m])
promql_functions step | vector(step())
";

    #[test]
    fn what_is_claimed_is_there_and_nothing_else() {
        for names in [
            "",
            "promql-experimental-functions",
            "promql-extended-range-selectors,promql-per-step-stats",
            "promql-binop-fill-modifiers",
        ] {
            let (all, language) = with(names);
            assert_eq!((all["api"]["admin"], all["api"]["lifecycle"]), (true, false));
            assert_eq!(all["promql"]["per_step_stats"], names.contains("per-step-stats"));
            for line in QUERIES.trim().lines() {
                let (name, query) = line.split_once(" | ").unwrap();
                let (category, name) = name.split_once(' ').unwrap();
                let parsed = promql_syntax::parse_with(query, language);
                assert_eq!(parsed.is_ok(), all[category][name], "{query} with {names:?}: {:?}", parsed.err());
            }
        }
    }
}
