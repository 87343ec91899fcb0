//! Names of series: `legendFormat`, `__auto`, and the selector where nothing else is said.

use crate::frame::Labels;
use std::collections::BTreeSet;

/// Names of the series of one query, in order.
///
/// `{{label}}` is replaced by the label's value (empty if absent). `__auto` and an empty format name a single series
/// by the expression's selector and several by the values of the labels that differ.
pub fn series_names(legend_format: &str, expr: &str, series: &[&Labels]) -> Vec<String> {
    match legend_format {
        "__auto" => {
            let differing = differing_labels(series);
            series
                .iter()
                .map(|labels| {
                    let values: Vec<&str> = (differing.iter())
                        .filter_map(|name| labels.get(*name))
                        .map(String::as_str)
                        .filter(|value| !value.is_empty())
                        .collect();
                    if series.len() == 1 || values.is_empty() { selector_or(labels, expr) } else { values.join(" ") }
                })
                .collect()
        }
        "" => series.iter().map(|labels| selector_or(labels, expr)).collect(),
        format => series.iter().map(|labels| apply_format(format, labels)).collect(),
    }
}

/// Replaces every `{{label}}` of a format.
pub fn apply_format(format: &str, labels: &Labels) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        let name = name.trim();
        match labels.get(name) {
            Some(value) => out.push_str(value),
            // Kept readable where several queries of a panel share a format.
            None if labels.is_empty() => out.push_str(name),
            None => {}
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// `name{a="b", c="d"}`, as Prometheus writes a series.
pub fn selector(labels: &Labels) -> String {
    let mut out = labels.get("__name__").cloned().unwrap_or_default();
    let pairs: Vec<String> = (labels.iter())
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| {
            format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        })
        .collect();
    if !pairs.is_empty() {
        out.push('{');
        out.push_str(&pairs.join(", "));
        out.push('}');
    }
    out
}

fn selector_or(labels: &Labels, expr: &str) -> String {
    match selector(labels) {
        text if !text.is_empty() => text,
        _ if !expr.is_empty() => expr.to_owned(),
        _ => "Value".to_owned(),
    }
}

/// Names of the labels whose value is not the same in all series.
pub fn differing_labels<'a>(series: &[&'a Labels]) -> Vec<&'a str> {
    let names: BTreeSet<&str> = series.iter().flat_map(|labels| labels.keys()).map(String::as_str).collect();
    names
        .into_iter()
        .filter(|name| {
            let first = series.first().and_then(|labels| labels.get(*name));
            series.iter().any(|labels| labels.get(*name) != first)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let labels =
            |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect() };
        let a = labels(&[("__name__", "up"), ("job", "api"), ("code", "200")]);
        let b = labels(&[("__name__", "up"), ("job", "api"), ("code", "500")]);
        for (format, expected) in [
            ("__auto", ["200", "500"]),
            ("", ["up{code=\"200\", job=\"api\"}", "up{code=\"500\", job=\"api\"}"]),
            ("{{job}}/{{ code }}{{none}}", ["api/200", "api/500"]),
            ("open {{ job", ["open {{ job", "open {{ job"]),
        ] {
            assert_eq!(series_names(format, "x", &[&a, &b]), expected, "{format}");
        }
        assert_eq!(series_names("__auto", "sum(up)", &[&Labels::new()]), ["sum(up)"]);
        assert_eq!(series_names("__auto", "x", &[&a]), ["up{code=\"200\", job=\"api\"}"]);
    }
}
