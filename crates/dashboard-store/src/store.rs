//! The store itself.

use crate::files::{VersionFile, io_error, read_json, version_numbers, write_atomically};
use crate::provisioned::{Broken, Provisioned, Seen, embedded, look, read_folder};
use crate::summary::{Summary, is_uid, slug};
use crate::{SearchQuery, StoreError};
use api::dashboards::{
    DashboardFull, DashboardMeta, DashboardVersion, DashboardVersions, SaveDashboard, SavedDashboard, SearchHit,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use system::Clock;

/// Versions kept of a dashboard; the oldest go.
const VERSIONS_MAX: usize = 200;
/// How often a provisioning folder is looked at.
const LOOK_AGAIN_MS: i64 = 2_000;
/// Version that a provisioned dashboard has.
const PROVISIONED_VERSION: u64 = 1;
/// Longest message of a version, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// All dashboards. Calls read and write files: from async code, call in `spawn_blocking`.
pub struct DashboardStore {
    dir: PathBuf,
    provisioning: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    saved: BTreeMap<String, Saved>,
    provisioned: BTreeMap<String, Provisioned>,
    broken: Vec<Broken>,
    looked_at_ms: i64,
    seen: Seen,
}

/// The newest version of a saved dashboard.
struct Saved {
    file: VersionFile,
    summary: Summary,
    first_created: String,
    first_created_by: String,
    /// Files of this dashboard that cannot be read.
    problems: Vec<String>,
}

impl DashboardStore {
    /// Opens the folder of saved dashboards; `provisioning` is a folder of files that are only read.
    ///
    /// # Errors
    /// The folder cannot be made or listed.
    pub fn open(dir: &Path, provisioning: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(io_error(dir))?;
        let mut inner = Inner { looked_at_ms: i64::MIN, ..Inner::default() };
        for entry in std::fs::read_dir(dir).map_err(io_error(dir))?.flatten() {
            let uid = entry.file_name().to_string_lossy().into_owned();
            if !entry.path().is_dir() || !is_uid(&uid) {
                continue;
            }
            match read_saved(&entry.path()) {
                Ok(Some(saved)) => drop(inner.saved.insert(uid, saved)),
                Ok(None) => {}
                Err(problem) => inner.broken.push(Broken { name: uid, problem }),
            }
        }
        let store = DashboardStore {
            dir: dir.to_path_buf(),
            provisioning: provisioning.map(Path::to_path_buf),
            clock,
            inner: Mutex::new(inner),
        };
        drop(store.lock());
        Ok(store)
    }

    /// True when there is a dashboard with this uid.
    pub fn exists(&self, uid: &str) -> bool {
        let inner = self.lock();
        inner.saved.contains_key(uid) || inner.provisioned.contains_key(uid)
    }

    /// Dashboards by title; files that cannot be read are hits with a `problem`.
    pub fn search(&self, query: &SearchQuery) -> Vec<SearchHit> {
        let inner = self.lock();
        let mut hits = Vec::new();
        for (uid, saved) in &inner.saved {
            let folder = if saved.file.folder_uid.is_empty() {
                inner.provisioned.get(uid).map(|p| p.folder.clone()).unwrap_or_default()
            } else {
                saved.file.folder_uid.clone()
            };
            if query.accepts(&saved.summary, &folder_uid(&folder)) {
                hits.push(hit(uid, &saved.summary, &folder, &saved.file.created));
            }
        }
        for (uid, provisioned) in &inner.provisioned {
            let folder = &provisioned.folder;
            if !inner.saved.contains_key(uid) && query.accepts(&provisioned.summary, &folder_uid(folder)) {
                hits.push(hit(uid, &provisioned.summary, folder, ""));
            }
        }
        hits.sort_by_key(|hit| hit.title.to_lowercase());
        if query.tags.is_empty() && query.folder_uids.is_empty() {
            let text = query.text.to_lowercase();
            hits.extend(inner.broken.iter().filter(|broken| broken.name.to_lowercase().contains(&text)).map(
                |broken| SearchHit {
                    title: broken.name.clone(),
                    kind: "dash-db".to_owned(),
                    problem: broken.problem.clone(),
                    ..SearchHit::default()
                },
            ));
        }
        if query.limit > 0 {
            hits.truncate(query.limit);
        }
        hits
    }

    /// A dashboard as it is shown and edited.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn load(&self, uid: &str) -> Result<DashboardFull, StoreError> {
        let inner = self.lock();
        let provisioned = inner.provisioned.get(uid);
        let (summary, version, mut dashboard, mut meta) = match (inner.saved.get(uid), provisioned) {
            (Some(saved), _) => {
                let meta = DashboardMeta {
                    created: saved.first_created.clone(),
                    created_by: saved.first_created_by.clone(),
                    updated: saved.file.created.clone(),
                    updated_by: saved.file.created_by.clone(),
                    folder_title: saved.file.folder_uid.clone(),
                    problems: saved.problems.clone(),
                    ..DashboardMeta::default()
                };
                (&saved.summary, saved.file.version, saved.file.data.clone(), meta)
            }
            (None, Some(provisioned)) => {
                let data = Value::clone(&provisioned.data);
                (&provisioned.summary, PROVISIONED_VERSION, data, DashboardMeta::default())
            }
            (None, None) => return Err(StoreError::NotFound(uid.to_owned())),
        };
        dashboard["version"] = version.into();
        if let Some(provisioned) = provisioned {
            meta.provisioned = true;
            meta.provisioned_external_id.clone_from(&provisioned.source);
            if meta.folder_title.is_empty() {
                meta.folder_title.clone_from(&provisioned.folder);
            }
        }
        meta.folder_uid = folder_uid(&meta.folder_title);
        meta.slug.clone_from(&summary.slug);
        meta.url = url(uid, &summary.slug);
        meta.version = version;
        (meta.can_edit, meta.can_save) = (true, true);
        Ok(DashboardFull { dashboard, meta })
    }

    /// Saves a new version, or a new dashboard. On disk when it returns.
    ///
    /// # Errors
    /// `Conflict` when `dashboard.version` is not the stored one and `overwrite` is not set; `Bad` for what is
    /// no dashboard; `Io`.
    pub fn save(&self, request: &SaveDashboard, user: &str) -> Result<SavedDashboard, StoreError> {
        let mut data = request.dashboard.clone();
        if !data.is_object() {
            return Err(StoreError::Bad("`dashboard` must be a JSON object".to_owned()));
        }
        let mut summary = Summary::of(&data);
        if summary.title.trim().is_empty() {
            return Err(StoreError::Bad("a dashboard needs a title".to_owned()));
        }
        if summary.uid.is_empty() {
            summary.uid = new_uid();
            data["uid"] = Value::String(summary.uid.clone());
        }
        let uid = summary.uid.clone();
        if !is_uid(&uid) {
            return Err(StoreError::Bad(format!("uid {uid:?} may have up to 40 letters, digits, `-` and `_`")));
        }
        let edited = data["version"].as_u64().unwrap_or(0);
        let mut inner = self.lock();
        let stored = inner.stored_version(&uid);
        if stored > 0 && edited != stored && !request.overwrite {
            let (by, at) = match inner.saved.get(&uid) {
                Some(saved) => (saved.file.created_by.clone(), saved.file.created.clone()),
                None => (String::new(), String::new()),
            };
            let by = if by.is_empty() { "somebody else".to_owned() } else { by };
            return Err(StoreError::Conflict { stored, edited, by, at });
        }
        let version = stored + 1;
        data["version"] = version.into();
        let folder_uid = if request.folder_uid.is_empty() {
            inner.saved.get(&uid).map(|saved| saved.file.folder_uid.clone()).unwrap_or_default()
        } else {
            request.folder_uid.clone()
        };
        let file = VersionFile {
            version,
            created: self.now(),
            created_by: user.to_owned(),
            message: request.message.chars().take(MESSAGE_CHARACTERS_MAX).collect(),
            folder_uid,
            data,
        };
        self.write(&uid, &file)?;
        let (first_created, first_created_by) = match inner.saved.get(&uid) {
            Some(saved) => (saved.first_created.clone(), saved.first_created_by.clone()),
            None => (file.created.clone(), file.created_by.clone()),
        };
        let answer = SavedDashboard {
            status: "success".to_owned(),
            url: url(&uid, &summary.slug),
            slug: summary.slug.clone(),
            uid: uid.clone(),
            version,
        };
        inner.saved.insert(uid, Saved { file, summary, first_created, first_created_by, problems: Vec::new() });
        Ok(answer)
    }

    /// Deletes what was saved. Its files are put aside under `.deleted`; a provisioned dashboard comes back as it was.
    ///
    /// # Errors
    /// `NotFound` for what was never saved (a provisioned file is not ours to delete), `Io`.
    pub fn delete(&self, uid: &str) -> Result<(), StoreError> {
        let mut inner = self.lock();
        if !inner.saved.contains_key(uid) {
            return Err(if inner.provisioned.contains_key(uid) {
                StoreError::Bad("this dashboard comes from a file; remove the file to delete it".to_owned())
            } else {
                StoreError::NotFound(uid.to_owned())
            });
        }
        let aside = self.dir.join(".deleted");
        std::fs::create_dir_all(&aside).map_err(io_error(&aside))?;
        let folder = self.dir.join(uid);
        std::fs::rename(&folder, aside.join(format!("{uid}-{}", self.clock.now_ms()))).map_err(io_error(&folder))?;
        inner.saved.remove(uid);
        Ok(())
    }

    /// All versions, newest first, without their data.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn versions(&self, uid: &str) -> Result<DashboardVersions, StoreError> {
        let inner = self.lock();
        let mut versions: Vec<DashboardVersion> = Vec::new();
        if inner.saved.contains_key(uid) {
            for number in version_numbers(&self.dir.join(uid)).into_iter().rev() {
                // A file that cannot be read is told with the dashboard itself.
                if let Ok(file) = read_json::<VersionFile>(&self.version_path(uid, number)) {
                    versions.push(describe(file, false));
                }
            }
        }
        if let Some(provisioned) = inner.provisioned.get(uid) {
            versions.push(DashboardVersion {
                version: PROVISIONED_VERSION,
                message: format!("as provisioned by {}", provisioned.source),
                ..DashboardVersion::default()
            });
        }
        if versions.is_empty() {
            return Err(StoreError::NotFound(uid.to_owned()));
        }
        Ok(DashboardVersions { versions })
    }

    /// One version with its data.
    ///
    /// # Errors
    /// `NotFound`, `NoVersion`.
    pub fn version(&self, uid: &str, version: u64) -> Result<DashboardVersion, StoreError> {
        let inner = self.lock();
        if inner.stored_version(uid) == 0 {
            return Err(StoreError::NotFound(uid.to_owned()));
        }
        if let Ok(file) = read_json::<VersionFile>(&self.version_path(uid, version)) {
            return Ok(describe(file, true));
        }
        match inner.provisioned.get(uid) {
            Some(provisioned) if version == PROVISIONED_VERSION => Ok(DashboardVersion {
                version,
                data: Some(Value::clone(&provisioned.data)),
                ..DashboardVersion::default()
            }),
            _ => Err(StoreError::NoVersion { uid: uid.to_owned(), version }),
        }
    }

    /// Saves an old version as the newest.
    ///
    /// # Errors
    /// As [`DashboardStore::version`] and [`DashboardStore::save`].
    pub fn restore(&self, uid: &str, version: u64, user: &str) -> Result<SavedDashboard, StoreError> {
        let dashboard = self.version(uid, version)?.data.unwrap_or_default();
        let message = format!("restored version {version}");
        self.save(&SaveDashboard { dashboard, message, overwrite: true, folder_uid: String::new() }, user)
    }

    fn write(&self, uid: &str, file: &VersionFile) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(file).map_err(|error| StoreError::Bad(error.to_string()))?;
        write_atomically(&self.version_path(uid, file.version), &bytes)?;
        let numbers = version_numbers(&self.dir.join(uid));
        for old in numbers.iter().take(numbers.len().saturating_sub(VERSIONS_MAX)) {
            if let Err(error) = std::fs::remove_file(self.version_path(uid, *old)) {
                tracing::warn!(%uid, version = old, %error, "an old version could not be removed");
            }
        }
        Ok(())
    }

    fn version_path(&self, uid: &str, version: u64) -> PathBuf {
        self.dir.join(uid).join(format!("{version}.json"))
    }

    fn now(&self) -> String {
        jiff::Timestamp::from_millisecond(self.clock.now_ms()).unwrap_or_default().to_string()
    }

    /// The state, after a look at the provisioning folder if the last one is long ago.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panic elsewhere left behind is still a whole map.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        if inner.looked_at_ms == i64::MIN || now_ms.saturating_sub(inner.looked_at_ms) >= LOOK_AGAIN_MS {
            let first = inner.looked_at_ms == i64::MIN;
            inner.looked_at_ms = now_ms;
            let seen = self.provisioning.as_deref().map(look).unwrap_or_default();
            if first || seen != inner.seen {
                inner.seen = seen;
                inner.take_provisioned(self.provisioning.as_deref());
            }
        }
        inner
    }
}

impl Inner {
    fn stored_version(&self, uid: &str) -> u64 {
        match self.saved.get(uid) {
            Some(saved) => saved.file.version,
            None if self.provisioned.contains_key(uid) => PROVISIONED_VERSION,
            None => 0,
        }
    }

    fn take_provisioned(&mut self, folder: Option<&Path>) {
        let (from_folder, broken) = folder.map(read_folder).unwrap_or_default();
        // Broken files of the saved ones stay named; a file of the folder goes before one of ours.
        self.broken.retain(|broken| is_uid(&broken.name));
        for one in &broken {
            tracing::warn!(file = %one.name, "a dashboard cannot be read: {}", one.problem);
        }
        self.broken.extend(broken);
        self.provisioned = embedded().into_iter().chain(from_folder).map(|p| (p.summary.uid.clone(), p)).collect();
    }
}

fn read_saved(folder: &Path) -> Result<Option<Saved>, String> {
    let numbers = version_numbers(folder);
    let Some(first) = numbers.first() else { return Ok(None) };
    let mut problems = Vec::new();
    for number in numbers.iter().rev() {
        match read_json::<VersionFile>(&folder.join(format!("{number}.json"))) {
            Ok(file) => {
                let oldest = read_json::<VersionFile>(&folder.join(format!("{first}.json"))).unwrap_or_default();
                let summary = Summary::of(&file.data);
                return Ok(Some(Saved {
                    file,
                    summary,
                    first_created: oldest.created,
                    first_created_by: oldest.created_by,
                    problems,
                }));
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(problems.join("; "))
}

fn describe(file: VersionFile, with_data: bool) -> DashboardVersion {
    DashboardVersion {
        version: file.version,
        created: file.created,
        created_by: file.created_by,
        message: file.message,
        data: with_data.then_some(file.data),
    }
}

fn hit(uid: &str, summary: &Summary, folder: &str, updated: &str) -> SearchHit {
    SearchHit {
        uid: uid.to_owned(),
        title: summary.title.clone(),
        url: url(uid, &summary.slug),
        kind: "dash-db".to_owned(),
        tags: summary.tags.clone(),
        is_starred: false,
        folder_uid: folder_uid(folder),
        folder_title: folder.to_owned(),
        description: summary.description.clone(),
        panels: summary.panels,
        updated: updated.to_owned(),
        problem: String::new(),
    }
}

fn folder_uid(title: &str) -> String {
    if title.is_empty() { String::new() } else { slug(title) }
}

fn url(uid: &str, slug: &str) -> String {
    format!("/d/{uid}/{slug}")
}

/// As Grafana's, short enough for a path: 14 hexadecimal digits of a random UUID.
fn new_uid() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(14).collect()
}
