//! `thanos.shipper.json` in the data folder: what was sent. Thanos' fields, and beside them the windows.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub(crate) const STATE_FILE: &str = "thanos.shipper.json";
const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// Names of all blocks sent.
    pub(crate) uploaded: Vec<String>,
    /// The block of each window, by the window's number: its start divided by its length.
    #[serde(default)]
    pub(crate) windows: BTreeMap<i64, String>,
    /// Blocks of what came to a window when it was sent already.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) late: BTreeMap<i64, Vec<String>>,
    /// What was in a window when all of it was found to be sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) seen: BTreeMap<i64, Seen>,
}

/// A window of which everything is in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Tells the blocks of the engine that the window lay in.
    pub(crate) blocks: u64,
    /// Tells the samples.
    pub(crate) digest: u64,
}

impl State {
    /// `None` when it is not there or cannot be used: then the bucket has to tell.
    pub(crate) fn load(dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(STATE_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.version == VERSION => Ok(Some(state)),
            Ok(state) => {
                tracing::error!(path = %path.display(), version = state.version, "not a state of version 1");
                Ok(None)
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the state is damaged");
                Ok(None)
            }
        }
    }

    pub(crate) fn note(&mut self, window: i64, ulid: &str) {
        if self.windows.insert(window, ulid.to_owned()).as_deref() != Some(ulid) && !self.has(ulid) {
            self.uploaded.push(ulid.to_owned());
        }
    }

    /// A block of what came late is about to be sent.
    pub(crate) fn note_late(&mut self, window: i64, ulid: &str) {
        let own = self.late.entry(window).or_default();
        if !own.iter().any(|known| known == ulid) {
            own.push(ulid.to_owned());
        }
    }

    pub(crate) fn is_late(&self, window: i64, ulid: &str) -> bool {
        self.late.get(&window).is_some_and(|own| own.iter().any(|known| known == ulid))
    }

    pub(crate) fn note_uploaded(&mut self, ulid: &str) {
        if !self.has(ulid) {
            self.uploaded.push(ulid.to_owned());
        }
    }

    pub(crate) fn has(&self, ulid: &str) -> bool {
        self.uploaded.iter().any(|own| own == ulid)
    }

    /// After a crash either the old state is there or the new one.
    pub(crate) fn save(&self, dir: &Path) -> io::Result<()> {
        let state = State { version: VERSION, ..self.clone() };
        let temporary = dir.join(format!("{STATE_FILE}.tmp"));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&state)?)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(STATE_FILE))?;
        File::open(dir)?.sync_all()
    }
}
