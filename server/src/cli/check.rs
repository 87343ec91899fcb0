//! `vigie check …`: files, without running anything. Ends with 1 if something is wrong.

use super::output::{complain, say};
use crate::config::prometheus_yml::PrometheusConfig;
use crate::http::web_config::WebConfig;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Rule files.
    Rules {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
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
    /// Metrics in the text format, from standard input.
    Metrics,
}

/// What a check found: nothing wrong, perhaps with remarks, or faults.
type Found = std::result::Result<Vec<String>, String>;

pub(crate) fn run(check: Check) -> Result<ExitCode> {
    let good = match check {
        Check::Config { files, syntax_only } => each(&files, |file| config(file, syntax_only)),
        Check::Rules { files } => each(&files, rules),
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
        Check::Metrics => metrics()?,
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
        let files = rules::load_rule_files(&loaded.rule_files, &loaded.folder)
            .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        if files.is_empty() && !loaded.rule_files.is_empty() {
            remarks.push(format!("no file matches rule_files: {}", loaded.rule_files.join(", ")));
        }
    }
    Ok(remarks)
}

fn rules(file: &Path) -> Found {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    rules::check_rules(&file.display().to_string(), &text).map(|_| Vec::new()).map_err(|faults| faults.to_string())
}

/// Most bytes that are read from standard input.
const METRICS_BYTES_MAX: u64 = 256 * 1024 * 1024;

fn metrics() -> Result<bool> {
    let mut body = Vec::new();
    std::io::stdin().lock().take(METRICS_BYTES_MAX).read_to_end(&mut body).context("standard input")?;
    let faults = exposition::check::check_guessing(&body);
    for fault in &faults {
        complain(&fault.to_string());
    }
    if faults.is_empty() {
        say("standard input: good");
    }
    Ok(faults.is_empty())
}
