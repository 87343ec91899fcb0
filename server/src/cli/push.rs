//! `vigie push metrics`: metrics of files, or of standard input, sent to a server by remote write, as promtool does.

use super::output::{complain, say};
use super::query::http_config;
use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use exposition::{Entry, Format, Parser};
use http_client::{HttpClient, Request};
use model::{Labels, MetricType};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Most bytes of one file.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Push {
    /// Metrics in the text format or OpenMetrics; samples without a time get that of now.
    Metrics {
        /// Where remote write is taken, as http://localhost:9090/api/v1/write
        url: String,
        /// Standard input unless given.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A label for all series, NAME=VALUE; may be repeated.
        #[arg(long, value_name = "NAME=VALUE", default_value = "job=vigie")]
        label: Vec<String>,
        /// A header of the request, NAME=VALUE; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        header: Vec<String>,
        #[arg(long, value_name = "DURATION", default_value = "30s")]
        timeout: String,
        /// How to reach the server: a file with TLS, passwords and proxies as in `http_config`.
        #[arg(long = "http.config.file", value_name = "FILE")]
        http_config_file: Option<PathBuf>,
    },
}

pub(crate) fn run(push: Push) -> Result<ExitCode> {
    let Push::Metrics { url, files, label, header, timeout, http_config_file } = push;
    let labels = pairs("label", &label)?;
    let mut headers = pairs("header", &header)?;
    let fixed = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    headers.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let timeout = Duration::from_millis(crate::cli::duration_flag("timeout", &timeout)?.unsigned_abs());
    let client = HttpClient::new(&http_config(http_config_file.as_deref())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let files = if files.is_empty() { vec![PathBuf::from("-")] } else { files };
    let mut good = true;
    for file in &files {
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let sent = read(file).and_then(|body| {
            let (request, count) = write_request(&body, &labels, jiff::Timestamp::now().as_millisecond())?;
            let request = snap::raw::Encoder::new().compress_vec(&request)?;
            let request =
                Request { headers: headers.clone(), ..Request::post(&url, "", request, timeout, ANSWER_BYTES_MAX) };
            let response = runtime.block_on(client.send(request))?;
            if !response.is_success() {
                let body = response.decoded(ANSWER_BYTES_MAX).unwrap_or_default();
                bail!("{url}: HTTP {}: {}", response.status_text(), String::from_utf8_lossy(&body).trim());
            }
            Ok(count)
        });
        match sent {
            Ok(count) => say(&format!("{name}: {count} samples sent")),
            Err(error) => {
                good = false;
                complain(&format!("{name}: {error:#}"));
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>> {
    let split = |text: &String| {
        let (name, value) = text.split_once('=').with_context(|| format!("--{flag}={text}: write NAME=VALUE"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    texts.iter().map(split).collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut body)?;
    } else {
        std::fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut body)?;
    }
    ensure!(body.len() as u64 <= FILE_BYTES_MAX, "more than {FILE_BYTES_MAX} bytes; send it in parts");
    Ok(body)
}

/// A WriteRequest of remote write 1.0, not yet compressed, and the number of its samples.
fn write_request(body: &[u8], labels: &[(String, String)], now_ms: i64) -> Result<(Vec<u8>, usize)> {
    let is_openmetrics = body.trim_ascii_end().ends_with(b"# EOF");
    let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
    let (mut out, mut count) = (Vec::new(), 0);
    let mut families: BTreeMap<String, (MetricType, String)> = BTreeMap::new();
    let parser = Parser::new(body, format).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    for entry in parser {
        match entry.map_err(|fault| anyhow::anyhow!("{fault}"))? {
            Entry::Sample(sample) => {
                let own = sample.labels().map_err(|fault| anyhow::anyhow!("{fault}"))?;
                let mut builder = own.to_builder();
                for (name, value) in labels {
                    builder.set(name, value);
                }
                message(&mut out, 1, &series(&builder.build(), sample.value, sample.timestamp_ms.unwrap_or(now_ms)));
                count += 1;
            }
            Entry::Type { name, metric_type } => families.entry(name.into_owned()).or_default().0 = metric_type,
            Entry::Help { name, help } => families.entry(name.into_owned()).or_default().1 = help.into_owned(),
            Entry::Unit { .. } | Entry::Detailed(_) => {}
        }
    }
    for (family, (metric_type, help)) in &families {
        message(&mut out, 3, &metadata(family, metric_type_number(*metric_type), help));
    }
    Ok((out, count))
}

fn series(labels: &Labels, value: f64, time_ms: i64) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        message(&mut label, 1, name.as_bytes());
        message(&mut label, 2, value.as_bytes());
        message(&mut series, 1, &label);
    }
    let mut sample = vec![0x09];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    varint(&mut sample, u64::from_le_bytes(time_ms.to_le_bytes()));
    message(&mut series, 2, &sample);
    series
}

fn metadata(family: &str, metric_type: u8, help: &str) -> Vec<u8> {
    let mut out = vec![0x08, metric_type];
    message(&mut out, 2, family.as_bytes());
    message(&mut out, 4, help.as_bytes());
    out
}

/// As the protocol's enum MetricMetadata.MetricType numbers them.
fn metric_type_number(metric_type: MetricType) -> u8 {
    match metric_type {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

/// A field of protobuf with a length before its content.
fn message(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_byte_by_byte() {
        let labels = [("job".to_owned(), "j".to_owned())];
        let (request, count) = write_request(b"# TYPE a gauge\na 1\n", &labels, 300).unwrap();
        assert_eq!(count, 1);
        let metadata = [0x1a, 7, 0x08, 2, 0x12, 1, b'a', 0x22, 0];
        let name = [0x0a, 13, 0x0a, 8, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_', 0x12, 1, b'a'];
        let job = [0x0a, 8, 0x0a, 3, b'j', b'o', b'b', 0x12, 1, b'j'];
        let sample = [0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02];
        let series: Vec<u8> = [name.as_slice(), &job, &sample].concat();
        let expected = [[0x0a, 39].as_slice(), &series, &metadata].concat();
        assert_eq!(request, expected);
        assert!(write_request(b"a{ 1\n", &labels, 0).is_err());
    }
}
