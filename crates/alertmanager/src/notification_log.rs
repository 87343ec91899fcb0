//! What each integration was told last about each group, so that nothing is told twice, not even after a restart.

use crate::files;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The file is rewritten when it holds so many lines more than entries.
const SPARE_LINES_MAX: usize = 10_000;

/// One integration's last notification of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Group key, receiver, integration and its index.
    pub(crate) key: String,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) expires_ms: i64,
    /// Fingerprints.
    pub(crate) firing: BTreeSet<u64>,
    pub(crate) resolved: BTreeSet<u64>,
}

struct State {
    entries: HashMap<String, Entry>,
    file: Option<File>,
    lines: usize,
}

pub(crate) struct NotificationLog {
    state: Mutex<State>,
    path: Option<PathBuf>,
}

impl NotificationLog {
    /// Reads the file, if there is a folder and a file in it.
    pub(crate) fn open(folder: Option<&Path>, now_ms: i64) -> io::Result<NotificationLog> {
        let path = folder.map(|folder| folder.join("notification_log.json"));
        let mut entries = HashMap::new();
        if let Some(path) = &path {
            for entry in files::read_lines::<Entry>(path)? {
                entries.insert(entry.key.clone(), entry);
            }
            entries.retain(|_, entry| entry.expires_ms > now_ms);
        }
        let log = NotificationLog { state: Mutex::new(State { entries, file: None, lines: 0 }), path };
        log.rewrite(&mut log.lock())?;
        Ok(log)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewrite(&self, state: &mut State) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        files::write_lines(path, state.entries.values())?;
        state.file = Some(File::options().append(true).open(path)?);
        state.lines = state.entries.len();
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.lock().entries.get(key).cloned()
    }

    /// Notes a notification; durable when it returns `Ok`. Blocks for one write to disk.
    pub(crate) fn log(&self, entry: Entry) -> io::Result<()> {
        let mut state = self.lock();
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        state.entries.insert(entry.key.clone(), entry);
        state.lines += 1;
        if state.lines > state.entries.len() + SPARE_LINES_MAX {
            return self.rewrite(&mut state);
        }
        match &mut state.file {
            Some(file) => {
                file.write_all(&line)?;
                file.sync_data()
            }
            None => Ok(()),
        }
    }

    /// Forgets what has expired.
    pub(crate) fn collect_garbage(&self, now_ms: i64) -> io::Result<()> {
        let mut state = self.lock();
        let before = state.entries.len();
        state.entries.retain(|_, entry| entry.expires_ms > now_ms);
        if state.entries.len() == before { Ok(()) } else { self.rewrite(&mut state) }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }
}
