//! `vigie check …`: files, without running anything. What is printed, and how it ends, is as promtool has it: 1 if
//! something is wrong, 3 if there are remarks and they are fatal.

mod config;
mod rules;
mod service_discovery;

use super::features::FeatureFlags;
use super::output::{complain, say};
use crate::http::web_config::WebConfig;
use ::rules::{Reading, UnknownFields};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// A prometheus.yml, with the rule files that it names and the targets that are in files.
    Config {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Leave out what the file names: rule files, targets in files.
        #[arg(long)]
        syntax_only: bool,
        /// Refuse what an agent of Prometheus, which only sends on, cannot have.
        #[arg(long)]
        agent: bool,
        /// all, duplicate-rules, too-long-scrape-interval or none.
        #[arg(long, default_value = "duplicate-rules")]
        lint: String,
        /// The longest interval of scrapes that leaves no gaps, for too-long-scrape-interval.
        #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m")]
        lookback_delta: String,
        #[command(flatten)]
        strictness: Strictness,
        #[command(flatten)]
        features: FeatureFlags,
    },
    /// Rule files; standard input unless some are named. Rules that are there twice are remarked on.
    Rules {
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// all, duplicate-rules or none.
        #[arg(long, default_value = "duplicate-rules")]
        lint: String,
        #[command(flatten)]
        strictness: Strictness,
        #[command(flatten)]
        features: FeatureFlags,
    },
    /// The targets of a job as its discovery finds them now, before and after relabelling, as JSON.
    ServiceDiscovery {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[arg(value_name = "JOB")]
        job: String,
        /// How long to wait for mechanisms that ask others. Targets that are in files are there at once.
        #[arg(long, value_name = "DURATION", default_value = "30s")]
        timeout: String,
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
    Healthy(Server),
    /// Whether a server answers queries.
    Ready(Server),
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Strictness {
    /// End with 3 if there are remarks.
    #[arg(long)]
    lint_fatal: bool,
    /// Leave fields of rule files that are not known to others.
    #[arg(long)]
    ignore_unknown_fields: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    #[arg(long, default_value = "http://localhost:9090")]
    url: String,
    /// How to reach it: a file with TLS, passwords and proxies as in `http_config`.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
}

/// What a check found: nothing wrong, perhaps with remarks, or faults.
type Found = std::result::Result<Vec<String>, String>;

/// What is looked for beyond what is wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Lint {
    duplicate_rules: bool,
    too_long_scrape_interval: bool,
}

impl Lint {
    fn of(names: &str) -> Lint {
        let mut lint = Lint::default();
        for name in names.split(',') {
            match name {
                "all" => lint = Lint { duplicate_rules: true, too_long_scrape_interval: true },
                "none" => {}
                "duplicate-rules" => lint.duplicate_rules = true,
                "too-long-scrape-interval" => lint.too_long_scrape_interval = true,
                other => complain(&format!("WARNING: unknown lint option: {other:?}")),
            }
        }
        lint
    }
}

/// How several checks went together.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    is_wrong: bool,
    has_remarks: bool,
}

/// With remarks, and nothing wrong.
const REMARKS: u8 = 3;

impl Outcome {
    fn and(self, other: Outcome) -> Outcome {
        Outcome { is_wrong: self.is_wrong || other.is_wrong, has_remarks: self.has_remarks || other.has_remarks }
    }

    fn code(self, remarks_are_fatal: bool) -> ExitCode {
        match self {
            Outcome { is_wrong: true, .. } => ExitCode::FAILURE,
            Outcome { has_remarks: true, .. } if remarks_are_fatal => ExitCode::from(REMARKS),
            _ => ExitCode::SUCCESS,
        }
    }
}

pub(crate) fn run(check: Check) -> Result<ExitCode> {
    let good = match check {
        Check::Config { files, syntax_only, agent, lint, lookback_delta, strictness, features } => {
            let lookback_ms = super::duration_flag("query.lookback-delta", &lookback_delta)?;
            let how = config::How {
                syntax_only,
                is_agent: agent,
                lint: Lint::of(&lint),
                lookback_ms,
                reading: strictness.reading(&features),
            };
            let outcome = files.iter().fold(Outcome::default(), |all, file| all.and(config::check(file, how)));
            return Ok(outcome.code(strictness.lint_fatal));
        }
        Check::Rules { files, lint, strictness, features } => {
            let outcome = rules::check(&files, Lint::of(&lint), strictness.reading(&features));
            return Ok(outcome.code(strictness.lint_fatal));
        }
        Check::ServiceDiscovery { file, job, timeout } => {
            let timeout_ms = super::duration_flag("timeout", &timeout)?;
            let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
            service_discovery::show(&file, &job, timeout)?
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
            files.iter().fold(true, |good, file| match WebConfig::load(file) {
                Ok(_) => {
                    // Where promtool says it, too.
                    complain(&format!("{} SUCCESS", file.display()));
                    good
                }
                Err(faults) => {
                    complain(&format!("{} FAILED: {faults}", file.display()));
                    false
                }
            })
        }
        Check::Metrics { lint } => return metrics(lint != "none"),
        Check::Healthy(server) => answers(&server, "healthy")?,
        Check::Ready(server) => answers(&server, "ready")?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Strictness {
    fn reading(self, features: &FeatureFlags) -> Reading {
        let unknown = if self.ignore_unknown_fields { UnknownFields::Ignore } else { UnknownFields::Refuse };
        Reading { unknown, features: features.language() }
    }
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

/// Asks a server's `/-/healthy` or `/-/ready`.
fn answers(server: &Server, what: &str) -> Result<bool> {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let url = format!("{}/-/{what}", server.url.trim_end_matches('/'));
    let client = ::http_client::HttpClient::new(&super::query::http_config(server.http_config_file.as_deref())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response = runtime.block_on(client.send(::http_client::Request::get(&url, TIMEOUT, 64 * 1024)))?;
    if response.is_success() {
        say(&format!("  SUCCESS: {}", String::from_utf8_lossy(&response.body)));
    } else {
        complain(&format!("check failed: URL={}, status={}", server.url, response.status));
    }
    Ok(response.is_success())
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
    Ok(if remarks.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REMARKS) })
}
