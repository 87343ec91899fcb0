//! Unsaved changes outlive the page: kept in this browser as long as they are not saved, and offered again.

use super::kept::{self, KeptDraft};
use crate::{
    board::{Board, keys::is_typing},
    controls::icon::Glyph,
    pages::parts::Age,
};
use leptos::{ev, prelude::*};

/// Keeps the draft, warns before the page is closed, and offers what an earlier visit left.
#[component]
pub fn DraftGuard(board: Board) -> impl IntoView {
    let uid = StoredValue::new(board.dashboard.with_untracked(|dashboard| dashboard.uid.clone()));
    let left = uid.with_value(|uid| kept::read(uid)).filter(|kept| {
        board
            .dashboard
            .with_untracked(|dashboard| !super::difference::in_words(dashboard.json(), &kept.dashboard).is_empty())
    });
    let offered = RwSignal::new(left);
    Effect::new(move |was_dirty: Option<bool>| {
        let dirty = board.is_dirty();
        if dirty {
            board
                .dashboard
                .with(|dashboard| uid.with_value(|uid| kept::write(uid, dashboard.version, dashboard.json())));
        } else if was_dirty == Some(true) {
            uid.with_value(|uid| kept::forget(uid));
        }
        dirty
    });
    let leaving = window_event_listener(ev::beforeunload, move |event| {
        if board.history.with_untracked(dashboard::history::History::is_dirty) {
            event.prevent_default();
        }
    });
    let keys = window_event_listener(ev::keydown, move |event| {
        let plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key() && !event.default_prevented();
        let may = board.meta.with_untracked(|meta| meta.can_edit) && !board.editing.get_untracked();
        if plain && may && event.key() == "e" && !board.keys.pending() && !is_typing(&event) {
            event.prevent_default();
            board.editing.set(true);
        }
    });
    on_cleanup(move || {
        leaving.remove();
        keys.remove();
    });
    let restore = move |_| {
        let Some(kept) = offered.get_untracked() else { return };
        // Its version stays: whoever saved since then is found by the server, and nothing of theirs is overwritten.
        board.edit("Restore unsaved changes", false, move |json| *json = kept.dashboard);
        offered.set(None);
    };
    let forget = move |_| {
        offered.set(None);
        if !board.history.with_untracked(dashboard::history::History::is_dirty) {
            uid.with_value(|uid| kept::forget(uid));
        }
    };
    move || {
        offered.get().map(|KeptDraft { at_ms, version, .. }| {
            let older = board.stored.with(|stored| version_of(stored) != version);
            view! {
                <div class="kept" role="status" data-t="kept-draft">
                    {Glyph::Info.view()}
                    <span>
                        "Unsaved changes from "<Age at_ms=Some(at_ms) />" were kept in this browser."
                        {older.then_some(" Somebody has saved the dashboard since.")}
                    </span>
                    <button type="button" class="btn" data-t="kept-forget" on:click=forget>"Forget"</button>
                    <button type="button" class="btn pri" data-t="kept-restore" on:click=restore>"Restore"</button>
                </div>
            }
        })
    }
}

/// The version a dashboard's JSON carries.
pub fn version_of(json: &serde_json::Value) -> u64 {
    json.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0)
}
