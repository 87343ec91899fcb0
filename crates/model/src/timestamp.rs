//! Times as the HTTP API and the query language write them.

/// Writes Unix milliseconds as seconds with up to three decimals, as Prometheus' JSON does: `1.5`, `1435781451.781`.
pub fn format_seconds(timestamp_ms: i64) -> String {
    let sign = if timestamp_ms < 0 { "-" } else { "" };
    let (seconds, millis) = (timestamp_ms.unsigned_abs() / 1000, timestamp_ms.unsigned_abs() % 1000);
    if millis == 0 { format!("{sign}{seconds}") } else { format!("{sign}{seconds}.{millis:03}") }
}
