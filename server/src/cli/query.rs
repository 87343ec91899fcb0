//! `vigie query …`: questions to a running server, answered as promtool answers them, or as JSON.

use super::output::say;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use http_client::{HttpClient, HttpClientConfig, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;
/// How far back a range query begins that is not told.
const RANGE_MS: i64 = 5 * 60 * 1000;
/// Steps of a range query that is not told its step.
const STEPS: i64 = 250;

#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    /// An expression at one time.
    Instant {
        #[command(flatten)]
        how: How,
        /// As http://localhost:9090
        server: String,
        expression: String,
        /// RFC 3339 or Unix seconds; now unless given.
        #[arg(long)]
        time: Option<String>,
    },
    /// An expression over a range of time.
    Range {
        #[command(flatten)]
        how: How,
        server: String,
        expression: String,
        /// RFC 3339 or Unix seconds; five minutes before the end unless given.
        #[arg(long)]
        start: Option<String>,
        /// Now unless given.
        #[arg(long)]
        end: Option<String>,
        /// As 15s; a 250th of the range, at least a second, unless given.
        #[arg(long)]
        step: Option<String>,
        /// A header of the request, NAME=VALUE; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        header: Vec<String>,
    },
    /// Label sets of the series that selectors take.
    Series {
        #[command(flatten)]
        how: How,
        server: String,
        #[arg(long = "match", required = true, value_name = "SELECTOR")]
        matches: Vec<String>,
        #[arg(long)]
        start: Option<String>,
        #[arg(long)]
        end: Option<String>,
    },
    /// How many buckets of histograms are in use.
    Analyze {
        /// As http://localhost:9090
        #[arg(long)]
        server: String,
        /// What the metrics are: histogram.
        #[arg(long = "type", value_name = "TYPE")]
        metric_type: String,
        /// How far back to look.
        #[arg(long, default_value = "1h")]
        duration: String,
        /// RFC 3339 or Unix seconds; now unless given.
        #[arg(long)]
        time: Option<String>,
        #[arg(long = "match", required = true, value_name = "SELECTOR")]
        matches: Vec<String>,
        /// How to reach the server: a file with TLS, passwords and proxies as in `http_config`.
        #[arg(long = "http.config.file", value_name = "FILE")]
        http_config_file: Option<PathBuf>,
    },
    /// Values of a label.
    Labels {
        #[command(flatten)]
        how: How,
        server: String,
        name: String,
        #[arg(long = "match", value_name = "SELECTOR")]
        matches: Vec<String>,
        #[arg(long)]
        start: Option<String>,
        #[arg(long)]
        end: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Promql,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct How {
    /// How the answer is written.
    #[arg(short = 'o', long, value_enum, default_value = "promql")]
    format: Format,
    /// How to reach the server: a file with TLS, passwords and proxies as in `http_config`.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
}

type Pairs = Vec<(&'static str, String)>;

pub(crate) fn run(query: Query) -> Result<ExitCode> {
    let mut headers = Vec::new();
    let (how, server, path, pairs): (How, String, String, Pairs) = match query {
        Query::Instant { how, server, expression, time } => {
            let mut pairs = vec![("query", expression)];
            pairs.extend(time.map(|time| ("time", time)));
            (how, server, "query".to_owned(), pairs)
        }
        Query::Range { how, server, expression, start, end, step, header } => {
            for one in header {
                let (name, value) = one.split_once('=').with_context(|| format!("--header={one}: write NAME=VALUE"))?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            (how, server, "query_range".to_owned(), range(expression, start, end, step)?)
        }
        Query::Analyze { server, metric_type, duration, time, matches, http_config_file } => {
            if metric_type != "histogram" {
                bail!("analyze type is {metric_type}, must be 'histogram'");
            }
            return analyze(&server, &duration, time, &matches, http_config_file.as_deref());
        }
        Query::Series { how, server, matches, start, end } => {
            (how, server, "series".to_owned(), selection(matches, start, end))
        }
        Query::Labels { how, server, name, matches, start, end } => {
            (how, server, format!("label/{}/values", encode(&name)), selection(matches, start, end))
        }
    };
    let url = format!("{}/api/v1/{path}", server.trim_end_matches('/'));
    let config = http_config(how.http_config_file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let data = runtime.block_on(ask(&url, &pairs, &config, headers))?;
    if how.format == Format::Json {
        say(&data.get("result").unwrap_or(&data).to_string());
    } else {
        lines(&data).iter().for_each(|line| say(line));
    }
    Ok(ExitCode::SUCCESS)
}

fn analyze(
    server: &str,
    duration: &str,
    time: Option<String>,
    matches: &[String],
    http_config_file: Option<&Path>,
) -> Result<ExitCode> {
    super::duration_flag("duration", duration)?;
    let config = http_config(http_config_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = format!("{}/api/v1/query", server.trim_end_matches('/'));
    let mut matrices = Vec::new();
    for selector in matches {
        let mut pairs = vec![("query", format!("{selector}[{duration}]"))];
        pairs.extend(time.clone().map(|time| ("time", time)));
        matrices.push(runtime.block_on(ask(&url, &pairs, &config, Vec::new()))?);
    }
    super::analyze::report(&matrices)?;
    Ok(ExitCode::SUCCESS)
}

fn range(expression: String, start: Option<String>, end: Option<String>, step: Option<String>) -> Result<Pairs> {
    use crate::http::params::parse_time_ms;
    let time = |flag: &str, text: Option<String>, default: i64| match text {
        None => Ok(default),
        Some(text) => parse_time_ms(&text).map_err(|error| anyhow::anyhow!("--{flag}={text}: {error}")),
    };
    let end_ms = time("end", end, jiff::Timestamp::now().as_millisecond())?;
    let start_ms = time("start", start, end_ms.saturating_sub(RANGE_MS))?;
    let own_step = || format!("{}", (end_ms.saturating_sub(start_ms) / 1000 / STEPS).max(1));
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    Ok(vec![
        ("query", expression),
        ("start", seconds(start_ms)),
        ("end", seconds(end_ms)),
        ("step", step.unwrap_or_else(own_step)),
    ])
}

fn selection(matches: Vec<String>, start: Option<String>, end: Option<String>) -> Pairs {
    let mut pairs: Pairs = matches.into_iter().map(|one| ("match[]", one)).collect();
    pairs.extend(start.map(|start| ("start", start)));
    pairs.extend(end.map(|end| ("end", end)));
    pairs
}

/// The client's configuration from a file; the usual one without.
pub(super) fn http_config(file: Option<&Path>) -> Result<HttpClientConfig> {
    let Some(file) = file else { return Ok(HttpClientConfig::default()) };
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut config: HttpClientConfig = yaml::from_str(&file.display().to_string(), &text)?;
    config.resolve_paths(file.parent().unwrap_or(Path::new("")));
    Ok(config)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Asks a server of Prometheus' API; gives the `data` of its answer.
pub(super) async fn ask(
    url: &str,
    pairs: &[(&str, String)],
    config: &HttpClientConfig,
    headers: Vec<(String, String)>,
) -> Result<Value> {
    let client = HttpClient::new(config)?;
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let request = Request { headers, ..Request::get(format!("{url}?{}", query.join("&")), TIMEOUT, ANSWER_BYTES_MAX) };
    let response = client.send(request).await?;
    let body = response.decoded(ANSWER_BYTES_MAX)?;
    let mut answer: Value =
        serde_json::from_slice(&body).with_context(|| format!("{url}: HTTP {}", response.status_text()))?;
    if answer["status"] != "success" {
        bail!("{}: {}", answer["errorType"].as_str().unwrap_or("error"), answer["error"].as_str().unwrap_or_default());
    }
    Ok(answer["data"].take())
}

/// An answer as promtool prints it.
fn lines(data: &Value) -> Vec<String> {
    let result = data.get("result").unwrap_or(data);
    let items = result.as_array().map(Vec::as_slice).unwrap_or_default();
    match data["resultType"].as_str() {
        Some("scalar" | "string") => {
            let kind = data["resultType"].as_str().unwrap_or_default();
            vec![format!("{kind}: {}", at(result))]
        }
        Some("vector") => items
            .iter()
            .map(|item| {
                let sample = if item["value"].is_null() { &item["histogram"] } else { &item["value"] };
                format!("{} => {}", metric(&item["metric"]), at(sample))
            })
            .collect(),
        Some("matrix") => items
            .iter()
            .flat_map(|item| {
                let samples = ["values", "histograms"].into_iter().filter_map(|key| item[key].as_array()).flatten();
                std::iter::once(format!("{} =>", metric(&item["metric"]))).chain(samples.map(at)).collect::<Vec<_>>()
            })
            .collect(),
        _ => items
            .iter()
            .map(|item| match item {
                Value::String(text) => text.clone(),
                item => label_set(item, true),
            })
            .collect(),
    }
}

/// `value @[time]`.
fn at(sample: &Value) -> String {
    let value = match &sample[1] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{value} @[{}]", sample[0])
}

/// `name{label="value"}`.
pub(super) fn metric(labels: &Value) -> String {
    let name = labels["__name__"].as_str().unwrap_or_default();
    let others = label_set(labels, false);
    if !name.is_empty() && others == "{}" { name.to_owned() } else { format!("{name}{others}") }
}

/// As [`metric`], with braces even around nothing.
pub(super) fn metric_with_braces(labels: &Value) -> String {
    format!("{}{}", labels["__name__"].as_str().unwrap_or_default(), label_set(labels, false))
}

fn label_set(labels: &Value, with_name: bool) -> String {
    let pairs = labels.as_object().into_iter().flatten().filter(|(name, _)| with_name || *name != "__name__");
    model::Labels::from_pairs(pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default()))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server answers, and what is printed (`;` ends a line).
    const CASES: &str = r#"
{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"1"]},{"metric":{},"value":[2,"NaN"]}]} => up{job="a"} => 1 @[1.5];{} => NaN @[2]
{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1,"1"],[2,"0"]]}]} => up =>;1 @[1];0 @[2]
{"resultType":"scalar","result":[1,"2"]} => scalar: 2 @[1]
{"resultType":"string","result":[1,"a b"]} => string: a b @[1]
["a","b"] => a;b
[{"__name__":"up","job":"a"}] => {__name__="up", job="a"}
[] =>
"#;

    #[test]
    fn answers_as_text() {
        for case in CASES.trim().lines() {
            let (answer, expected) = case.split_once(" =>").unwrap();
            let shown = lines(&serde_json::from_str(answer).unwrap()).join(";");
            assert_eq!(shown, expected.trim_start(), "in case `{case}`");
        }
    }
}
