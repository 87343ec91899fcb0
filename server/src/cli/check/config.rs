//! `vigie check config`.

use super::{Lint, Outcome, complain, rules, say};
use crate::config::prometheus_yml::PrometheusConfig;
use ::rules::Reading;
use std::path::{Path, PathBuf};
use system::glob::has_wildcards;

#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) syntax_only: bool,
    /// For Prometheus' agent mode.
    pub(super) is_agent: bool,
    pub(super) lint: Lint,
    /// Scrapes further apart leave gaps in graphs.
    pub(super) lookback_ms: i64,
    pub(super) reading: Reading,
}

pub(super) fn check(file: &Path, how: How) -> Outcome {
    say(&format!("Checking {}", file.display()));
    let failed = |faults: &str| {
        complain(&format!("  FAILED: {faults}"));
        say("");
        Outcome { is_wrong: true, ..Outcome::default() }
    };
    let loaded = match PrometheusConfig::load(file) {
        Ok(loaded) => loaded,
        Err(faults) => return failed(&faults.to_string()),
    };
    if let Some(field) = not_of_agents(&loaded).filter(|_| how.is_agent) {
        return failed(&format!("field {field} is not allowed in agent mode"));
    }
    let mut remarks = loaded.warnings.clone();
    let mut rule_files = Vec::new();
    if !how.syntax_only {
        // With the targets that are in files now.
        let clashes = scrape::label_clashes(&loaded.jobs, true);
        remarks.extend(clashes.into_iter().filter(|clash| !loaded.warnings.contains(clash)));
        match named_rule_files(&loaded) {
            Ok(files) => rule_files = files,
            Err(faults) => return failed(&faults),
        }
        match target_files(&loaded) {
            Ok(missing) => remarks.extend(missing),
            Err(faults) => return failed(&faults),
        }
    }
    for remark in remarks {
        say(&format!("  WARNING: {remark}"));
    }
    if !rule_files.is_empty() {
        say(&format!("  SUCCESS: {} rule files found", rule_files.len()));
    }
    say(&format!(" SUCCESS: {} is valid prometheus config file syntax", file.display()));
    say("");
    let mut outcome = Outcome::default();
    if how.lint.too_long_scrape_interval && !how.syntax_only {
        for job in &loaded.jobs {
            let interval_ms = i64::try_from(job.scrape_interval.as_millis()).unwrap_or(i64::MAX);
            if interval_ms >= how.lookback_ms {
                outcome.has_remarks = true;
                complain(&format!(
                    "  FAILED: too long scrape interval found, data point will be marked as stale - job: {}, interval: {}",
                    job.job_name,
                    model::duration::format_duration_ms(interval_ms)
                ));
            }
        }
    }
    if rule_files.is_empty() { outcome } else { outcome.and(rules::check(&rule_files, how.lint, how.reading)) }
}

/// The first section that agents refuse, in the order in which Prometheus looks.
fn not_of_agents(loaded: &PrometheusConfig) -> Option<&'static str> {
    let sections = [
        (loaded.alerting.is_some(), "alerting"),
        (!loaded.rule_files.is_empty(), "rule_files"),
        (!loaded.remote_read.is_empty(), "remote_read"),
    ];
    sections.into_iter().find(|(is_there, _)| *is_there).map(|(_, name)| name)
}

/// The files that `rule_files` means, each once. A name without wildcards must be there.
fn named_rule_files(loaded: &PrometheusConfig) -> Result<Vec<PathBuf>, String> {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for written in &loaded.rule_files {
        let pattern = loaded.folder.join(written);
        match system::glob::glob(&pattern) {
            Ok(found) if found.iter().all(|path| path.is_file()) && !found.is_empty() => {
                files.extend(found.into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>());
            }
            Ok(_) if has_wildcards(written) => {}
            Ok(_) => faults.push(format!("{:?} does not point to an existing file", pattern.display().to_string())),
            Err(error) => faults.push(format!("{written}: {error}")),
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults.join("\n  ")) }
}

/// Sentences on files of targets that are missing.
///
/// # Errors
/// What is wrong with those that are there.
fn target_files(loaded: &PrometheusConfig) -> Result<Vec<String>, String> {
    let (mut missing, mut faults) = (Vec::new(), Vec::new());
    for job in &loaded.jobs {
        let checked = job.discovery.check_files();
        let sentence =
            |file: &String| format!("file {file:?} for file_sd in scrape job {:?} does not exist", job.job_name);
        missing.extend(checked.missing.iter().map(sentence));
        faults.extend(checked.faults.iter().map(|fault| format!("checking SD file: {fault}")));
    }
    if faults.is_empty() { Ok(missing) } else { Err(faults.join("\n  ")) }
}
