//! `scrape_failure_log_file`: one JSON object a line for every scrape that failed, in the shape of Prometheus' log.

use crate::scrape_loop::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The files of all jobs, each open once.
#[derive(Default)]
pub(crate) struct FailureLogs {
    files: Mutex<BTreeMap<PathBuf, File>>,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    source: &'static str,
    msg: &'a str,
    job_name: &'a str,
    target: &'a str,
}

impl FailureLogs {
    /// Logs to just these files from now on. All are opened anew, so that they can be moved away before a reload.
    pub(crate) fn apply(&self, paths: BTreeSet<PathBuf>) {
        let mut files = BTreeMap::new();
        for path in paths {
            match File::options().create(true).append(true).open(&path) {
                Ok(file) => {
                    files.insert(path, file);
                }
                Err(error) => tracing::error!(
                    path = %path.display(), %error,
                    "scrape_failure_log_file cannot be opened; name a file that this user may write"
                ),
            }
        }
        *lock(&self.files) = files;
    }

    /// Writes a line, where the file is open. `now_ms` is Unix milliseconds. Blocks on the disk.
    pub(crate) fn write(&self, path: &Path, now_ms: i64, job: &str, url: &str, error: &str) {
        let mut files = lock(&self.files);
        let Some(file) = files.get_mut(path) else { return };
        let time = jiff::Timestamp::from_millisecond(now_ms).map_or_else(|_| String::new(), |time| time.to_string());
        let line = Line { time, level: "ERROR", source: "vigie", msg: error, job_name: job, target: url };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        if let Err(error) = file.write_all(&bytes) {
            tracing::error!(path = %path.display(), %error, "the log of failed scrapes is not written any more");
            // Otherwise the log would tell it again at every scrape.
            files.remove(path);
        }
    }
}
