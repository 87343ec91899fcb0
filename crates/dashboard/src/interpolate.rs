//! Variables in texts: `$v`, `${v}`, `${v:format}`, `[[v]]`, and the built-in ones.

use crate::{
    calendar::{self, Calendar},
    frame::{Cell, Frame},
    interval,
    time_range::Span,
    url::query::{self, encode_strict, encode_uri},
};

/// Where the text goes, which decides how a value is written when no format says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A Prometheus expression: several values become a regular expression.
    PromQl,
    /// A title or text: several values become `a + b`.
    Text,
    /// An address: values are percent-encoded.
    Url,
}

/// A variable's selection as texts are filled with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariableValue {
    pub name: String,
    pub values: Vec<String>,
    /// What is shown for each value.
    pub texts: Vec<String>,
    /// It may hold several values, even if it holds one now.
    pub multi: bool,
    /// All is selected; `values` are then all options, unless `all_value` is set.
    pub all: bool,
    /// Inserted raw for All if not empty.
    pub all_value: String,
    /// Left out of addresses.
    pub skip_url_sync: bool,
    /// Ad hoc filters as the address writes them: `key|op|value`.
    pub filters: Vec<String>,
}

/// What texts may refer to. Every part is optional.
#[derive(Clone, Default)]
pub struct Scope<'a> {
    pub variables: Vec<VariableValue>,
    /// Values that go before the variables: of a repeated panel.
    pub scoped: Vec<VariableValue>,
    pub span: Option<Span>,
    /// `from` and `to` as the address has them, for links that keep a relative range.
    pub raw_range: Option<(String, String)>,
    pub timezone: String,
    pub interval_ms: Option<i64>,
    /// Scrape interval of the source, for `$__rate_interval`.
    pub scrape_interval_ms: Option<i64>,
    pub dashboard_uid: String,
    pub dashboard_title: String,
    pub user: String,
    pub org: String,
    /// `dark` or `light`.
    pub theme: String,
    /// Address of the page: path and query.
    pub url: String,
    /// The field and row a link belongs to.
    pub data: Option<DataScope<'a>>,
    /// For the `date` formats; UTC if absent.
    pub calendar: Option<Calendar<'a>>,
}

/// A place in the data.
#[derive(Clone, Copy)]
pub struct DataScope<'a> {
    pub frame: &'a Frame,
    pub field: usize,
    pub row: Option<usize>,
    /// The value as shown.
    pub text: &'a str,
    /// The reducer it comes from; empty for none.
    pub calc: &'a str,
}

/// An address that leads somewhere it must not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{scheme}:` links are refused: they run code or show foreign content inside this page")]
pub struct LinkRefused {
    pub scheme: String,
}

/// Values deeper than this within each other are left as they are.
const DEPTH_MAX: usize = 4;

/// Fills a text. What refers to nothing known stays as it is.
pub fn interpolate(template: &str, scope: &Scope<'_>, purpose: Purpose) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some(at) = rest.find(['$', '[']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(reference) = read_reference(rest) else {
            let first = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..first]);
            rest = &rest[first..];
            continue;
        };
        match resolve(&reference, scope, purpose) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&rest[..reference.length]),
        }
        rest = &rest[reference.length..];
    }
    out.push_str(rest);
    out
}

/// Fills an address and checks where it leads: `javascript:`, `data:`, `vbscript:` are refused.
///
/// # Errors
/// The scheme that is refused.
pub fn interpolate_url(template: &str, scope: &Scope<'_>) -> Result<String, LinkRefused> {
    let address = interpolate(template, scope, Purpose::Url);
    // Browsers skip white space and control characters within a scheme.
    let bare: String = address.chars().filter(|c| !c.is_whitespace() && !c.is_control()).take(40).collect();
    if let Some((scheme, _)) = bare.split_once(':') {
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "javascript" | "data" | "vbscript") {
            return Err(LinkRefused { scheme });
        }
    }
    Ok(address)
}

/// Names of the variables a text refers to, built-in ones left out, each once.
pub fn references(template: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['$', '[']) {
        rest = &rest[at..];
        match read_reference(rest) {
            Some(reference) => {
                if !reference.name.starts_with("__") && !names.iter().any(|name| name == reference.name) {
                    names.push(reference.name.to_owned());
                }
                rest = &rest[reference.length..];
            }
            None => rest = &rest[1..],
        }
    }
    names
}

#[derive(Debug)]
struct Reference<'t> {
    name: &'t str,
    /// Path behind the name: `labels.job`, `fields["x"].text`.
    path: &'t str,
    format: Option<&'t str>,
    length: usize,
}

fn read_reference(text: &str) -> Option<Reference<'_>> {
    let name_end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if let Some(body) = text.strip_prefix("[[") {
        let end = body.find("]]")?;
        let (name, format) =
            body[..end].split_once(':').map_or((&body[..end], None), |(name, format)| (name, Some(format)));
        return (name_end(name) == name.len() && !name.is_empty()).then_some(Reference {
            name,
            path: "",
            format,
            length: end + 4,
        });
    }
    let body = text.strip_prefix('$')?;
    if let Some(inner) = body.strip_prefix('{') {
        // A closing brace inside quotes belongs to a label's name.
        let mut quoted = false;
        let end = inner.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '}' && !quoted
        })?;
        let content = &inner[..end.0];
        let name_length = name_end(content);
        let (name, rest) = content.split_at(name_length);
        if name.is_empty() {
            return None;
        }
        let mut quoted = false;
        let colon = rest.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == ':' && !quoted
        });
        let (path, format) = match colon {
            Some((at, _)) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        return Some(Reference { name, path, format, length: end.0 + 3 });
    }
    let length = name_end(body);
    let starts = body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (length > 0 && starts).then(|| Reference { name: &body[..length], path: "", format: None, length: length + 1 })
}

fn resolve(reference: &Reference<'_>, scope: &Scope<'_>, purpose: Purpose) -> Option<String> {
    if let Some(text) = built_in(reference, scope, purpose) {
        return Some(text);
    }
    let variable = find(scope, reference.name)?;
    if variable.all
        && !variable.all_value.is_empty()
        && !matches!(reference.format, Some("text" | "queryparam" | "percentencode"))
    {
        // Inserted as it is; it may name other variables.
        return Some(nested(&variable.all_value, scope, purpose, 1));
    }
    Some(write(variable, reference.format, purpose, scope))
}

fn nested(text: &str, scope: &Scope<'_>, purpose: Purpose, depth: usize) -> String {
    if depth >= DEPTH_MAX || !text.contains('$') {
        text.to_owned()
    } else {
        let mut inner = scope.clone();
        inner.variables.retain(|variable| variable.all_value != text);
        interpolate(text, &inner, purpose)
    }
}

fn find<'s>(scope: &'s Scope<'_>, name: &str) -> Option<&'s VariableValue> {
    scope.scoped.iter().chain(&scope.variables).find(|variable| variable.name == name)
}

fn write(variable: &VariableValue, format: Option<&str>, purpose: Purpose, scope: &Scope<'_>) -> String {
    let (format, argument) = match format.map(|format| format.split_once(':').unwrap_or((format, ""))) {
        Some(("", _)) | None => ("", ""),
        Some(pair) => pair,
    };
    let values = &variable.values;
    let one = values.len() == 1;
    let joined = |separator: &str| values.join(separator);
    let quoted = |quote: char, escaped: &str| {
        values
            .iter()
            .map(|value| format!("{quote}{}{quote}", value.replace(quote, escaped)))
            .collect::<Vec<_>>()
            .join(",")
    };
    let glob = || if one { values[0].clone() } else { format!("{{{}}}", joined(",")) };
    match format {
        "" => match purpose {
            Purpose::PromQl => {
                if variable.multi || variable.all {
                    regex(values, true)
                } else {
                    joined(",")
                }
            }
            Purpose::Text => {
                if variable.all {
                    "All".to_owned()
                } else {
                    variable.texts.join(" + ")
                }
            }
            Purpose::Url => encode_strict(&glob()),
        },
        "regex" => regex(values, false),
        "raw" | "csv" => joined(","),
        "pipe" => joined("|"),
        "json" => {
            if one {
                serde_json::Value::from(values[0].as_str()).to_string()
            } else {
                serde_json::Value::from(values.clone()).to_string()
            }
        }
        "join" => joined(if argument.is_empty() { "," } else { argument }),
        "singlequote" => quoted('\'', "\\'"),
        "doublequote" => quoted('"', "\\\""),
        "sqlstring" => quoted('\'', "''"),
        "queryparam" => query_parameters(&format!("var-{}", variable.name), "", variable),
        "customqueryparam" => {
            let (name, prefix) = argument.split_once(':').unwrap_or((argument, ""));
            query_parameters(if name.is_empty() { &variable.name } else { name }, prefix, variable)
        }
        "percentencode" => encode_strict(&glob()),
        "uriencode" => encode_uri(&glob()),
        "text" => {
            if variable.all {
                "All".to_owned()
            } else {
                variable.texts.join(" + ")
            }
        }
        "html" => escape_html(&values.join(", ")),
        "lucene" => {
            if values.is_empty() {
                "__empty__".to_owned()
            } else if one {
                lucene(&values[0])
            } else {
                let terms: Vec<String> = values.iter().map(|value| format!("\"{}\"", lucene(value))).collect();
                format!("({})", terms.join(" OR "))
            }
        }
        "distributed" => values
            .iter()
            .enumerate()
            .map(|(i, value)| if i == 0 { value.clone() } else { format!("{}={value}", variable.name) })
            .collect::<Vec<_>>()
            .join(","),
        "date" => values
            .first()
            .and_then(|value| value.parse::<i64>().ok())
            .map_or_else(|| joined(","), |ms| date(ms, argument, scope)),
        // Unknown formats are written like this.
        _ => glob(),
    }
}

/// `(a\.1|b)`; inside a PromQL string every backslash is doubled.
fn regex(values: &[String], in_string: bool) -> String {
    let escape = |value: &String| {
        let mut out = String::with_capacity(value.len());
        for c in value.chars() {
            if "\\^$*+?.()|[]{}/".contains(c) && c != '/' {
                out.push_str(if in_string { "\\\\" } else { "\\" });
            }
            out.push(c);
            if in_string && c == '\\' {
                out.push('\\');
            }
        }
        out
    };
    let parts: Vec<String> = values.iter().map(escape).collect();
    if parts.len() == 1 { parts[0].clone() } else { format!("({})", parts.join("|")) }
}

fn query_parameters(name: &str, prefix: &str, variable: &VariableValue) -> String {
    let pair = |value: &str| format!("{}={}{}", encode_strict(name), encode_strict(prefix), encode_strict(value));
    if variable.all {
        return format!("{}=$__all", encode_strict(name));
    }
    let values = if variable.filters.is_empty() { &variable.values } else { &variable.filters };
    values.iter().map(|value| pair(value)).collect::<Vec<_>>().join("&")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn lucene(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r#"+-=&|><!(){}[]^"~*?:\/"#.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn date(ms: i64, format: &str, scope: &Scope<'_>) -> String {
    let calendar = scope.calendar.unwrap_or(Calendar::utc());
    match format {
        "seconds" => ms.div_euclid(1000).to_string(),
        "ms" => ms.to_string(),
        "" | "iso" => calendar::format(calendar::Civil::from_ms(ms), 0, "YYYY-MM-DD[T]HH:mm:ss.SSS[Z]"),
        pattern => calendar::format(calendar.civil(ms), (calendar.offset_ms)(ms), pattern),
    }
}

fn built_in(reference: &Reference<'_>, scope: &Scope<'_>, purpose: Purpose) -> Option<String> {
    let encoded = |text: String| {
        if purpose == Purpose::Url && reference.format != Some("raw") { encode_strict(&text) } else { text }
    };
    let scrape_ms = scope.scrape_interval_ms.unwrap_or(15_000);
    match reference.name {
        "__interval" => Some(interval::format_interval(scope.interval_ms?)),
        "__interval_ms" => Some(scope.interval_ms?.to_string()),
        "__rate_interval" => Some(interval::format_interval(interval::rate_interval_ms(scope.interval_ms?, scrape_ms))),
        "__rate_interval_ms" => Some(interval::rate_interval_ms(scope.interval_ms?, scrape_ms).to_string()),
        "__range" => Some(format!("{}s", (scope.span?.length_ms() + 500) / 1000)),
        "__range_s" => Some(((scope.span?.length_ms() + 500) / 1000).to_string()),
        "__range_ms" => Some(scope.span?.length_ms().to_string()),
        "__from" | "__to" => {
            let span = scope.span?;
            let ms = if reference.name == "__from" { span.from_ms } else { span.to_ms };
            Some(match reference.format {
                Some(format) if format == "date" || format.starts_with("date:") => {
                    encoded(date(ms, format.strip_prefix("date").unwrap_or("").trim_start_matches(':'), scope))
                }
                _ => ms.to_string(),
            })
        }
        "__url_time_range" => {
            let (from, to) = match (&scope.raw_range, scope.span) {
                (Some(raw), _) => raw.clone(),
                (None, Some(span)) => (span.from_ms.to_string(), span.to_ms.to_string()),
                (None, None) => return None,
            };
            let mut pairs = vec![("from", from.as_str()), ("to", to.as_str())];
            if !scope.timezone.is_empty() && scope.timezone != "browser" {
                pairs.push(("timezone", &scope.timezone));
            }
            Some(query::format(&pairs))
        }
        "__all_variables" => Some(all_variables(scope)),
        "__dashboard" => match reference.path {
            ".uid" => Some(encoded(scope.dashboard_uid.clone())),
            "" | ".name" | ".title" => Some(encoded(scope.dashboard_title.clone())),
            _ => None,
        },
        "__user" => match reference.path {
            ".login" | "" => Some(encoded(scope.user.clone())),
            ".email" | ".id" => Some(String::new()),
            _ => None,
        },
        "__org" => Some(encoded(scope.org.clone())),
        "__theme" => Some(scope.theme.clone()),
        "__timezone" => Some(encoded(scope.timezone.clone())),
        "__url" => {
            let (path, parameters) = scope.url.split_once('?').unwrap_or((&scope.url, ""));
            match reference.path {
                "" => Some(scope.url.clone()),
                ".path" => Some(path.to_owned()),
                ".params" => {
                    let pairs = query::parse(parameters);
                    let kept: Vec<(String, String)> = match reference.format.and_then(|format| format.split_once(':')) {
                        Some(("include", names)) => {
                            pairs.into_iter().filter(|(key, _)| names.split(',').any(|name| name == key)).collect()
                        }
                        Some(("exclude", names)) => {
                            pairs.into_iter().filter(|(key, _)| !names.split(',').any(|name| name == key)).collect()
                        }
                        _ => pairs,
                    };
                    // Grafana's links write `${__url.path}${__url.params}`.
                    Some(if kept.is_empty() { String::new() } else { format!("?{}", query::format(&kept)) })
                }
                _ => None,
            }
        }
        "__field" | "__series" | "__value" | "__data" | "__cell" | "__cell_0" => {
            let text = data_value(reference, scope.data.as_ref()?)?;
            Some(encoded(match reference.format {
                Some(format) if format == "date" || format.starts_with("date:") => {
                    text.parse::<i64>().map_or(text, |ms| {
                        date(ms, format.strip_prefix("date").unwrap_or("").trim_start_matches(':'), scope)
                    })
                }
                _ => text,
            }))
        }
        _ => None,
    }
}

fn all_variables(scope: &Scope<'_>) -> String {
    let shadowed = |variable: &&VariableValue| !scope.scoped.iter().any(|scoped| scoped.name == variable.name);
    scope
        .scoped
        .iter()
        .chain(scope.variables.iter().filter(shadowed))
        .filter(|variable| !variable.skip_url_sync)
        .map(|variable| query_parameters(&format!("var-{}", variable.name), "", variable))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("&")
}

fn data_value(reference: &Reference<'_>, data: &DataScope<'_>) -> Option<String> {
    let field = data.frame.fields.get(data.field)?;
    let cell = data.row.map_or(Cell::Null, |row| field.cell(row));
    match reference.name {
        "__field" | "__series" => {
            let expression = format!("{}{}", reference.name, reference.path);
            crate::field::field_expression(&expression, field, &field.display_name, &data.frame.name)
        }
        "__cell" | "__cell_0" => Some(cell.to_text()),
        "__value" => match reference.path {
            "" | ".raw" => Some(cell.to_text()),
            ".numeric" => Some(crate::units::plain(cell.to_number())),
            ".text" => Some(data.text.to_owned()),
            ".calc" => Some(data.calc.to_owned()),
            ".time" => {
                let time = data.frame.time_field()?;
                Some(time.cell(data.row?).to_text())
            }
            _ => None,
        },
        _ => {
            // ${__data.fields[0]}, ${__data.fields["name"].text}, ${__data.fields.name}
            let rest = reference.path.strip_prefix(".fields")?;
            let (name, rest) = match rest.strip_prefix('[') {
                Some(inner) => {
                    let (name, rest) = inner.split_once(']')?;
                    (name.trim_matches(['"', '\'']), rest)
                }
                None => {
                    let inner = rest.strip_prefix('.')?;
                    inner.split_at(inner.find('.').unwrap_or(inner.len()))
                }
            };
            let by_name = data.frame.fields.iter().find(|field| field.name == name || field.display_name == name);
            let field = by_name.or_else(|| data.frame.fields.get(name.parse::<usize>().ok()?))?;
            let cell = data.row.map_or(Cell::Null, |row| field.cell(row));
            match rest {
                "" | ".text" => Some(cell.to_text()),
                ".numeric" => Some(crate::units::plain(cell.to_number())),
                _ => {
                    let label = rest.strip_prefix(".labels.")?;
                    Some(field.labels.get(label).cloned().unwrap_or_default())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Field, Values};
    use proptest::prelude::*;

    fn variable(name: &str, values: &[&str]) -> VariableValue {
        VariableValue {
            name: name.to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            texts: values.iter().map(|v| v.to_uppercase()).collect(),
            multi: values.len() > 1,
            ..VariableValue::default()
        }
    }

    fn scope() -> Scope<'static> {
        Scope {
            variables: vec![
                variable("one", &["a.1"]),
                variable("v", &["a.1", "b"]),
                variable("quote", &["it's \"x\"<"]),
                variable("empty", &[]),
                VariableValue { all: true, multi: true, ..variable("all", &["x", "y"]) },
                VariableValue { all: true, all_value: ".+$one".to_owned(), ..variable("raw", &["x"]) },
                VariableValue { skip_url_sync: true, ..variable("hidden", &["h"]) },
            ],
            span: Some(Span { from_ms: 1_795_356_000_000, to_ms: 1_795_359_600_000 }),
            interval_ms: Some(30_000),
            scrape_interval_ms: Some(15_000),
            dashboard_uid: "u 1".to_owned(),
            url: "/d/u?a=1&var-x=2".to_owned(),
            ..Scope::default()
        }
    }

    #[test]
    fn formats() {
        const CASES: &str = r#"
$one ${one} [[one]] => a.1 a.1 a.1
$v => (a\\.1|b)
${v:regex} ${one:regex} => (a\.1|b) a\.1
${v:raw} ${v:csv} ${v:pipe} ${v:glob} ${v:unheard} => a.1,b a.1,b a.1|b {a.1,b} {a.1,b}
${v:json} ${one:json} ${v:join:X} ${v:join} => ["a.1","b"] "a.1" a.1Xb a.1,b
${v:singlequote} ${quote:singlequote} ${quote:doublequote} ${quote:sqlstring} => 'a.1','b' 'it\'s "x"<' "it's \"x\"<" 'it''s "x"<'
${v:queryparam} ${one:customqueryparam:n:p-} ${all:queryparam} => var-v=a.1&var-v=b n=p-a.1 var-all=$__all
${v:percentencode} ${v:uriencode} => %7Ba.1%2Cb%7D %7Ba.1,b%7D
${v:text} ${all:text} ${quote:html} => A.1 + B All it&#39;s &quot;x&quot;&lt;
${v:lucene} ${empty:lucene} ${v:distributed} => ("a.1" OR "b") __empty__ a.1,v=b
$all $raw => (x|y) .+a.1
$nobody ${nobody:csv} $ $5 [[x => $nobody ${nobody:csv} $ $5 [[x
rate(x[$__rate_interval]) [$__interval] $__interval_ms $__range $__range_s => rate(x[1m]) [30s] 30000 3600s 3600
$__from ${__from:date} ${__to:date:seconds} ${__from:date:YYYY-MM} => 1795356000000 2026-11-22T14:00:00.000Z 1795359600 2026-11
${__all_variables} => var-one=a.1&var-v=a.1&var-v=b&var-quote=it%27s%20%22x%22%3C&var-all=$__all&var-raw=$__all
${__url_time_range} => from=1795356000000&to=1795359600000
${__url.path}${__url.params:exclude:a} ${__url.params:include:a} => /d/u?var-x=2 ?a=1
"#;
        for case in CASES.trim().lines() {
            let (template, expected) = case.split_once(" => ").unwrap();
            assert_eq!(interpolate(template, &scope(), Purpose::PromQl), expected, "in case `{case}`");
        }
        assert_eq!(interpolate("$v $all", &scope(), Purpose::Text), "A.1 + B All");
        assert_eq!(references("$a ${b.c:csv} [[d]] $__interval $a"), ["a", "b", "d"]);
    }

    #[test]
    fn data_links() {
        let mut frame = Frame {
            name: "series 1".to_owned(),
            fields: vec![
                Field::new("Time", Values::Time(vec![7, 8])),
                Field::new("Value", Values::Number(vec![1.5, 2.0]))
                    .with_labels([("job".to_owned(), "a/b".to_owned()), ("x.y".to_owned(), "z".to_owned())].into()),
                Field::new("Pod", Values::Text(vec![Some("p 1".into()), None])),
            ],
            ..Frame::default()
        };
        frame.fields[1].display_name = "shown".to_owned();
        let mut scope = scope();
        scope.data = Some(DataScope { frame: &frame, field: 1, row: Some(0), text: "1.50 s", calc: "mean" });
        for (template, expected) in [
            ("/d/h?var-job=${__field.labels.job}&${__field.labels[\"x.y\"]}", "/d/h?var-job=a%2Fb&z"),
            ("/x?${__series.name}&${__field.name}&${__field.displayName}", "/x?series%201&Value&shown"),
            ("/${__value.raw}/${__value.text}/${__value.time}/${__value.calc}", "/1.5/1.50%20s/7/mean"),
            (
                "/${__data.fields.Pod}/${__data.fields[\"Pod\"]:raw}/${__data.fields[1].numeric}/${__data.fields.Value.labels.job}",
                "/p%201/p 1/1.5/a%2Fb",
            ),
            ("/${__dashboard.uid}", "/u%201"),
        ] {
            assert_eq!(interpolate_url(template, &scope).unwrap(), expected, "{template}");
        }
        scope.variables.push(variable("evil", &["javascript"]));
        for evil in ["javascript:alert(1)", " java\nscript:x", "DATA:text/html,x", "${evil}:alert(1)"] {
            assert!(interpolate_url(evil, &scope).is_err(), "{evil}");
        }
        assert!(interpolate_url("https://example.org/a:b", &scope).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(template in r#"[$\[\]{}:.v"a-c_é ]{0,30}"#) {
            interpolate(&template, &scope(), Purpose::Url);
            references(&template);
        }
    }
}
