//! `vigie query …`: questions to a running server, answered as JSON lines.

use super::output::say;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use http_client::{HttpClient, HttpClientConfig, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    /// An expression at one time.
    Instant {
        /// As http://localhost:9090
        server: String,
        expression: String,
        /// RFC 3339 or Unix seconds; now unless given.
        #[arg(long)]
        time: Option<String>,
    },
    /// An expression over a range of time.
    Range {
        server: String,
        expression: String,
        #[arg(long)]
        start: String,
        #[arg(long)]
        end: String,
        #[arg(long, default_value = "1m")]
        step: String,
    },
    /// Label sets of the series that a selector takes.
    Series {
        server: String,
        #[arg(long = "match", required = true)]
        matches: Vec<String>,
    },
    /// Values of a label.
    Labels { server: String, name: String },
}

pub(crate) fn run(query: Query) -> Result<ExitCode> {
    let (server, path, pairs) = match query {
        Query::Instant { server, expression, time } => {
            let mut pairs = vec![("query".to_owned(), expression)];
            pairs.extend(time.map(|time| ("time".to_owned(), time)));
            (server, "query".to_owned(), pairs)
        }
        Query::Range { server, expression, start, end, step } => {
            let pairs = [("query", expression), ("start", start), ("end", end), ("step", step)];
            (server, "query_range".to_owned(), pairs.map(|(name, value)| (name.to_owned(), value)).to_vec())
        }
        Query::Series { server, matches } => {
            (server, "series".to_owned(), matches.into_iter().map(|one| ("match[]".to_owned(), one)).collect())
        }
        Query::Labels { server, name } => (server, format!("label/{}/values", encode(&name)), Vec::new()),
    };
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let url = format!("{}/api/v1/{path}?{}", server.trim_end_matches('/'), query.join("&"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let data = runtime.block_on(ask(url))?;
    match data.get("result").unwrap_or(&data) {
        Value::Array(items) => items.iter().for_each(|item| say(&item.to_string())),
        other => say(&other.to_string()),
    }
    Ok(ExitCode::SUCCESS)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn ask(url: String) -> Result<Value> {
    let client = HttpClient::new(&HttpClientConfig::default())?;
    let response = client.send(Request::get(&url, TIMEOUT, ANSWER_BYTES_MAX)).await?;
    let body = response.decoded(ANSWER_BYTES_MAX)?;
    let mut answer: Value =
        serde_json::from_slice(&body).with_context(|| format!("{url}: HTTP {}", response.status_text()))?;
    if answer["status"] != "success" {
        bail!("{}: {}", answer["errorType"].as_str().unwrap_or("error"), answer["error"].as_str().unwrap_or_default());
    }
    Ok(answer["data"].take())
}
