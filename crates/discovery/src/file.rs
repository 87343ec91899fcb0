//! `file_sd_configs`: groups of targets in JSON and YAML files.

use crate::config::{FILE_REFRESH_DEFAULT, FileSdConfig, FilesChecked};
use crate::group::{parse_json, parse_yaml};
use crate::{Running, Sink, TargetGroup};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use system::glob::has_wildcards;
use telemetry::Counter;
use tokio::time::Instant;

/// How often the files' times of change are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Larger files are a mistake.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Prometheus' rule: a known ending, wildcards in the last part only.
pub(crate) fn is_valid_pattern(pattern: &str) -> bool {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !folder.contains('*') && matches!(ending.as_deref(), Some("json" | "yml" | "yaml"))
}

struct File {
    stamp: Stamp,
    /// What the file said when it could last be read.
    groups: Vec<TargetGroup>,
}

type Stamp = (u64, Option<SystemTime>);

pub(crate) fn run(config: FileSdConfig, sink: Arc<dyn Sink>, read_errors: Counter) -> Running {
    Box::pin(async move {
        let refresh = config.refresh_interval.unwrap_or(FILE_REFRESH_DEFAULT).as_duration();
        let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
        let mut refreshed: Option<Instant> = None;
        loop {
            let all = refreshed.is_none_or(|last| last.elapsed() >= refresh);
            if all {
                refreshed = Some(Instant::now());
            }
            let patterns = config.files.clone();
            let errors = read_errors.clone();
            // Files are read on the blocking pool.
            let step = tokio::task::spawn_blocking(move || {
                let changed = read_changed(&patterns, &mut files, all, &errors);
                (files, changed)
            });
            let Ok((back, changed)) = step.await else { return };
            files = back;
            if changed {
                sink.publish(files.values().flat_map(|file| file.groups.iter().cloned()).collect());
            }
            tokio::time::sleep(POLL_INTERVAL.min(refresh).max(Duration::from_millis(100))).await;
        }
    })
}

/// Reads new and changed files (`all`: every file) and forgets those that are gone. True when something changed.
fn read_changed(patterns: &[String], files: &mut BTreeMap<PathBuf, File>, all: bool, errors: &Counter) -> bool {
    let found: BTreeMap<PathBuf, Stamp> = patterns
        .iter()
        .flat_map(|pattern| expand(pattern))
        .filter_map(|path| {
            let metadata = std::fs::metadata(&path).ok()?;
            Some((path, (metadata.len(), metadata.modified().ok())))
        })
        .collect();
    let before = files.len();
    files.retain(|path, _| found.contains_key(path));
    // The first look publishes even nothing: then the section is known to be empty.
    let mut changed = files.len() != before || all;
    for (path, stamp) in found {
        if !all && files.get(&path).is_some_and(|file| file.stamp == stamp) {
            continue;
        }
        match read(&path, stamp.0) {
            Ok(groups) => {
                files.insert(path, File { stamp, groups });
                changed = true;
            }
            Err(error) => {
                errors.inc();
                tracing::error!(file = %path.display(), %error, "file_sd: the file cannot be read; its previous groups stay");
                // Not told again until the file changes.
                files.entry(path).or_insert(File { stamp, groups: Vec::new() }).stamp = stamp;
            }
        }
    }
    changed
}

/// The groups of all files that can be read.
pub(crate) fn read_now(patterns: &[String]) -> Vec<TargetGroup> {
    let files: std::collections::BTreeSet<PathBuf> = patterns.iter().flat_map(|pattern| expand(pattern)).collect();
    files.iter().filter_map(|path| read(path, std::fs::metadata(path).ok()?.len()).ok()).flatten().collect()
}

/// Notes which files are missing and which cannot be read.
pub(crate) fn check_now(patterns: &[String], checked: &mut FilesChecked) {
    for pattern in patterns {
        for path in expand(pattern) {
            match std::fs::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    checked.missing.push(path.display().to_string());
                }
                Err(error) => checked.faults.push(format!("{}: {error}", path.display())),
                Ok(metadata) => {
                    if let Err(fault) = read(&path, metadata.len()) {
                        checked.faults.push(format!("{}: {fault}", path.display()));
                    }
                }
            }
        }
    }
}

fn read(path: &Path, length: u64) -> Result<Vec<TargetGroup>, String> {
    if length > FILE_BYTES_MAX {
        return Err(format!("{length} bytes, more than {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.to_string_lossy();
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let groups = if is_json { parse_json(text.as_bytes())? } else { parse_yaml(&name, &text)? };
    let meta = [("__meta_filepath", name.as_ref())];
    Ok(groups.into_iter().enumerate().map(|(i, group)| group.into_group(format!("{name}:{i}"), &meta)).collect())
}

/// The files that a pattern means, sorted; relative patterns start from `folder`. Wildcards (`*`, `?`, `[…]`) may
/// stand in the last part only. A pattern without wildcards is that file, whether it is there or not.
///
/// # Errors
/// A pattern with wildcards in its folders.
pub fn glob(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, std::io::Error> {
    let path = pattern.rsplit_once('/').map_or("", |(path, _)| path);
    if has_wildcards(path) {
        let message = format!("invalid file path {pattern:?}: wildcards may stand in its last part only");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
    }
    Ok(expand(&folder.join(pattern).to_string_lossy()))
}

/// The files that a pattern means, sorted.
fn expand(pattern: &str) -> Vec<PathBuf> {
    if !has_wildcards(pattern) {
        return vec![PathBuf::from(pattern)];
    }
    system::glob::glob(Path::new(pattern)).unwrap_or_default()
}
