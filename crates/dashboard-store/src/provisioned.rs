//! Dashboards that nobody saved here: inside the program, and in a folder of files.

use crate::files::{json_files, read_json};
use crate::summary::{Summary, is_uid, slug};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The dashboards that come with Vigie.
const EMBEDDED: [(&str, &str); 4] = [
    ("overview.json", include_str!("../provisioned/overview.json")),
    ("host.json", include_str!("../provisioned/host.json")),
    ("probe.json", include_str!("../provisioned/probe.json")),
    ("vigie.json", include_str!("../provisioned/vigie.json")),
];

#[derive(Clone, Debug)]
pub(crate) struct Provisioned {
    /// File name, for people.
    pub(crate) source: String,
    /// Title of the folder, "" for none.
    pub(crate) folder: String,
    pub(crate) summary: Summary,
    pub(crate) data: Arc<Value>,
}

/// A file that is no dashboard.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) name: String,
    pub(crate) problem: String,
}

/// What a folder looked like, to see whether it must be read again.
pub(crate) type Seen = Vec<(std::path::PathBuf, Option<SystemTime>, u64)>;

pub(crate) fn look(folder: &Path) -> Seen {
    json_files(folder)
        .into_iter()
        .map(|(path, _)| {
            let metadata = path.metadata().ok();
            let modified = metadata.as_ref().and_then(|m| m.modified().ok());
            (path, modified, metadata.map_or(0, |m| m.len()))
        })
        .collect()
}

/// The embedded dashboards.
pub(crate) fn embedded() -> Vec<Provisioned> {
    EMBEDDED
        .iter()
        .filter_map(|(name, text)| {
            // A test reads all of them; a broken one cannot be shipped.
            let data: Value = serde_json::from_str(text).ok()?;
            Some(Provisioned {
                source: (*name).to_owned(),
                folder: "Vigie".to_owned(),
                summary: Summary::of(&data),
                data: Arc::new(data),
            })
        })
        .collect()
}

/// Reads a folder of dashboards. A file that is broken, or whose uid is taken by an earlier one, affects only itself.
pub(crate) fn read_folder(folder: &Path) -> (Vec<Provisioned>, Vec<Broken>) {
    let (mut good, mut broken): (Vec<Provisioned>, Vec<Broken>) = (Vec::new(), Vec::new());
    for (path, folder_title) in json_files(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_json::<Value>(&path).and_then(|data| check(data, &name)) {
            Ok((summary, data)) => {
                if let Some(first) = good.iter().find(|other| other.summary.uid == summary.uid) {
                    let problem = format!(
                        "{}: uid {:?} is taken by {}; give one of them another",
                        path.display(),
                        summary.uid,
                        first.source
                    );
                    broken.push(Broken { name, problem });
                } else {
                    good.push(Provisioned { source: name, folder: folder_title, summary, data: Arc::new(data) });
                }
            }
            Err(problem) => broken.push(Broken { name, problem }),
        }
    }
    (good, broken)
}

fn check(mut data: Value, name: &str) -> Result<(Summary, Value), String> {
    // Grafana's API and its file export wrap the dashboard.
    if data["dashboard"].is_object() && data["panels"].is_null() {
        data = data["dashboard"].take();
    }
    if !data.is_object() {
        return Err(format!("{name}: a dashboard is a JSON object"));
    }
    let mut summary = Summary::of(&data);
    if summary.title.is_empty() {
        return Err(format!("{name}: the dashboard has no title"));
    }
    if !is_uid(&summary.uid) {
        // Exports for sharing have no uid: the file's name is as stable.
        let stem = slug(name.trim_end_matches(".json"));
        summary.uid = stem.chars().filter(char::is_ascii).take(40).collect();
        data["uid"] = Value::String(summary.uid.clone());
    }
    Ok((summary, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_embedded_dashboards_are_read() {
        let all = embedded();
        assert_eq!(all.len(), EMBEDDED.len());
        for one in all {
            assert!(is_uid(&one.summary.uid) && one.summary.panels > 3, "{}", one.source);
            let dashboard = one.data.as_object().unwrap();
            let mut ids: Vec<i64> = Vec::new();
            for panel in dashboard["panels"].as_array().unwrap() {
                let grid = &panel["gridPos"];
                assert!(grid["x"].as_u64().unwrap() + grid["w"].as_u64().unwrap() <= 24, "{}: {grid}", one.source);
                ids.push(panel["id"].as_i64().unwrap());
            }
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{}: panel ids repeat", one.source);
        }
    }
}
