//! `vigie check …`: files, without running anything. Ends with 1 if something is wrong.

use super::output::{complain, say};
use crate::config::prometheus_yml::PrometheusConfig;
use crate::http::web_config::WebConfig;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// A prometheus.yml, with the rule files that it names.
    Config {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Leave the rule files out.
        #[arg(long)]
        syntax_only: bool,
    },
    /// Rule files; standard input unless some are named. Rules that are there twice are remarked on.
    Rules {
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// all, duplicate-rules or none.
        #[arg(long, default_value = "duplicate-rules")]
        lint: String,
        /// End with 3 if there are remarks.
        #[arg(long)]
        lint_fatal: bool,
        /// Leave fields that are not known to others.
        #[arg(long)]
        ignore_unknown_fields: bool,
    },
    /// An alertmanager.yml.
    Alertmanager {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// A blackbox.yml.
    Blackbox {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// A file for --web.config.file, with the certificates and keys that it names.
    WebConfig {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Metrics in the text format, from standard input. Ends with 3 if there are remarks on their names.
    Metrics {
        /// all or none.
        #[arg(long, default_value = "all")]
        lint: String,
    },
    /// Whether a server runs.
    Healthy {
        #[arg(long, default_value = "http://localhost:9090")]
        url: String,
        /// How to reach it: a file with TLS, passwords and proxies as in `http_config`.
        #[arg(long = "http.config.file", value_name = "FILE")]
        http_config_file: Option<PathBuf>,
    },
    /// Whether a server answers queries.
    Ready {
        #[arg(long, default_value = "http://localhost:9090")]
        url: String,
        /// As for `healthy`.
        #[arg(long = "http.config.file", value_name = "FILE")]
        http_config_file: Option<PathBuf>,
    },
}

/// What a check found: nothing wrong, perhaps with remarks, or faults.
type Found = std::result::Result<Vec<String>, String>;

pub(crate) fn run(check: Check) -> Result<ExitCode> {
    let good = match check {
        Check::Config { files, syntax_only } => each(&files, |file| config(file, syntax_only)),
        Check::Rules { files, lint, lint_fatal, ignore_unknown_fields } => {
            let unknown =
                if ignore_unknown_fields { ::rules::UnknownFields::Ignore } else { ::rules::UnknownFields::Refuse };
            return rules(&files, lint != "none", lint_fatal, unknown);
        }
        Check::Alertmanager { files } => each(&files, |file| {
            alertmanager::Config::load(file)
                .map(|config| config.warnings().to_vec())
                .map_err(|faults| faults.to_string())
        }),
        Check::Blackbox { files } => each(&files, |file| {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            blackbox::Config::load(&file.display().to_string(), &text).map(|_| Vec::new()).map_err(|f| f.to_string())
        }),
        Check::WebConfig { files } => {
            ::http_client::install_default_provider();
            each(&files, |file| WebConfig::load(file).map(|_| Vec::new()).map_err(|faults| faults.to_string()))
        }
        Check::Metrics { lint } => return metrics(lint != "none"),
        Check::Healthy { url, http_config_file } => answers(&url, "healthy", http_config_file.as_deref())?,
        Check::Ready { url, http_config_file } => answers(&url, "ready", http_config_file.as_deref())?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn each(files: &[PathBuf], check: impl Fn(&Path) -> Found) -> bool {
    let mut good = true;
    for file in files {
        match check(file) {
            Ok(remarks) => {
                for remark in remarks {
                    complain(&format!("{}: warning: {remark}", file.display()));
                }
                say(&format!("{}: good", file.display()));
            }
            Err(faults) => {
                good = false;
                complain(&faults);
            }
        }
    }
    good
}

fn config(file: &Path, syntax_only: bool) -> Found {
    let loaded = PrometheusConfig::load(file).map_err(|error| error.to_string())?;
    let mut remarks = loaded.warnings.clone();
    if !syntax_only {
        // With the targets that are in files now.
        let clashes = scrape::label_clashes(&loaded.jobs, true);
        remarks.extend(clashes.into_iter().filter(|clash| !loaded.warnings.contains(clash)));
        let files = ::rules::load_rule_files(&loaded.rule_files, &loaded.folder)
            .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        if files.is_empty() && !loaded.rule_files.is_empty() {
            remarks.push(format!("no file matches rule_files: {}", loaded.rule_files.join(", ")));
        }
    }
    Ok(remarks)
}

/// With remarks, and nothing wrong.
const REMARKS: u8 = 3;

fn rules(files: &[PathBuf], lint: bool, lint_fatal: bool, unknown: ::rules::UnknownFields) -> Result<ExitCode> {
    let from_stdin = [PathBuf::from("-")];
    let (mut good, mut remarked) = (true, false);
    for file in if files.is_empty() { from_stdin.as_slice() } else { files } {
        let is_stdin = file == Path::new("-");
        let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
        let text = if is_stdin { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
        let checked = text
            .map_err(|error| format!("{name}: {error}"))
            .and_then(|text| ::rules::check_rules_with(&name, &text, unknown).map_err(|faults| faults.to_string()));
        match checked {
            Ok(checked) => {
                let count: usize = checked.groups.iter().map(|group| group.rules.len()).sum();
                say(&format!("{name}: good, {count} rules"));
                for remark in if lint { duplicates(&checked) } else { Vec::new() } {
                    remarked = true;
                    complain(&format!("{name}: warning: {remark}"));
                }
            }
            Err(faults) => {
                good = false;
                complain(&faults);
            }
        }
    }
    Ok(match (good, remarked && lint_fatal) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(REMARKS),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// Rules of one name with the same labels: what they record or alert on gets mixed up.
fn duplicates(file: &::rules::RuleFile) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &BTreeMap<String, String>), usize> = BTreeMap::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        *counts.entry((rule.name.as_str(), &rule.labels)).or_default() += 1;
    }
    let several = counts.into_iter().filter(|(_, count)| *count > 1);
    several
        .map(|((name, labels), count)| {
            let labels = model::Labels::from_pairs(labels);
            format!("{count} rules are named {name} and have the labels {labels}; their results get mixed up")
        })
        .collect()
}

/// Asks a server's `/-/healthy` or `/-/ready`.
fn answers(url: &str, what: &str, http_config_file: Option<&Path>) -> Result<bool> {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let url = format!("{}/-/{what}", url.trim_end_matches('/'));
    let client = ::http_client::HttpClient::new(&super::query::http_config(http_config_file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime.block_on(client.send(::http_client::Request::get(&url, TIMEOUT, 64 * 1024)))?;
    let good = response.is_success();
    let line = format!("{url}: {}", if good { what.to_owned() } else { format!("HTTP {}", response.status_text()) });
    if good {
        say(&line)
    } else {
        complain(&line)
    }
    Ok(good)
}

/// Most bytes that are read from standard input.
const METRICS_BYTES_MAX: u64 = 256 * 1024 * 1024;

fn metrics(lint: bool) -> Result<ExitCode> {
    let mut body = Vec::new();
    std::io::stdin().lock().take(METRICS_BYTES_MAX).read_to_end(&mut body).context("standard input")?;
    let faults = exposition::check::check_guessing(&body);
    for fault in &faults {
        complain(&fault.to_string());
    }
    if !faults.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let is_openmetrics = body.trim_ascii_end().ends_with(b"# EOF");
    let format = if is_openmetrics { exposition::Format::OpenMetrics } else { exposition::Format::Text };
    let remarks = if lint { super::metric_lint::remarks(&body, format) } else { Vec::new() };
    remarks.iter().for_each(|remark| complain(remark));
    if !remarks.is_empty() {
        return Ok(ExitCode::from(REMARKS));
    }
    say("standard input: good");
    Ok(ExitCode::SUCCESS)
}
