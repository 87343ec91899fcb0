//! Drafts that outlive the page: one per dashboard, in this browser's storage.

use crate::pages::parts::time_text::now_ms;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A draft with unsaved changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptDraft {
    /// Unix milliseconds of the last change.
    pub at_ms: i64,
    /// Number of the version it began with.
    pub version: u64,
    pub dashboard: Value,
}

fn key(uid: &str) -> String {
    format!("vigie.draft.{}", if uid.is_empty() { "new" } else { uid })
}

fn storage() -> Option<web_sys::Storage> {
    leptos::prelude::window().local_storage().ok().flatten()
}

/// The draft kept of a dashboard; an empty uid is the new one.
pub fn read(uid: &str) -> Option<KeptDraft> {
    let text = storage()?.get_item(&key(uid)).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// Keeps a draft. A browser that keeps nothing (private mode, full storage) just forgets.
pub fn write(uid: &str, version: u64, dashboard: &Value) {
    #[derive(Serialize)]
    struct Written<'a> {
        at_ms: i64,
        version: u64,
        dashboard: &'a Value,
    }
    let text = serde_json::to_string(&Written { at_ms: now_ms(), version, dashboard });
    if let (Some(storage), Ok(text)) = (storage(), text) {
        let _ = storage.set_item(&key(uid), &text);
    }
}

/// Forgets the draft.
pub fn forget(uid: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(&key(uid));
    }
}
