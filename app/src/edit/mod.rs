//! Changing a dashboard: the panel editor, saving with conflicts, versions, settings.

mod comparison;
mod conflict;
mod difference;
mod draft;
mod field;
mod kept;
mod lists;
mod options;
mod panel_editor;
mod queries;
mod save;
mod settings;
mod thresholds;
mod versions;

pub use panel_editor::PanelEditor;

use crate::memo::{Memo, Show, live, memo};
use crate::{
    board::Board,
    controls::{
        icon::Icon,
        popover::{Menu, MenuItem},
    },
    panels::KINDS,
    url_state::Entry,
};
use leptos::prelude::*;

/// Adds a panel and opens it in the editor; a row only appears.
pub fn add_panel(board: Board, kind: &str) {
    if let Some(id) = board.add_panel(kind)
        && kind != "row"
    {
        board.url.change(Entry::Push, |location| location.edit_panel = id.to_string());
    }
}

/// Opens the window for saving, if something may be saved.
pub fn open_save(board: Board) {
    if board.meta.with_untracked(|meta| meta.can_save) {
        board.saving.set(true);
    }
}

/// What the top bar offers while editing, and the windows behind it. `again` loads the stored form anew.
#[component]
pub fn Actions(board: Board, again: Callback<()>) -> impl IntoView {
    let dirty = memo(move || board.is_dirty());
    let editing = move || board.editing.get() || board.url.with(|location| !location.edit_panel.is_empty());
    view! {
        <Show when=editing>
            <Steps board dirty />
            <AddMenu board />
            <Windows board />
            <Leave board dirty again />
            <button class="btn pri" data-t="save" on:click=move |_| open_save(board)>
                {Icon::Save.view()}
                <span class="only-l">"Save"</span>
            </button>
        </Show>
        <save::SaveDialog board again />
        <versions::VersionsDialog board again />
        <settings::SettingsDialog board />
        <draft::DraftGuard board />
    }
}

#[component]
fn Steps(board: Board, dirty: Memo<bool>) -> impl IntoView {
    let can_undo = move || board.history.with(dashboard::history::History::can_undo);
    let can_redo = move || board.history.with(dashboard::history::History::can_redo);
    let undo_name = move || {
        board
            .history
            .with(|history| history.undo_label().map_or_else(|| "Undo".to_owned(), |label| format!("Undo: {label}")))
    };
    view! {
        <span class="dim small only-l" data-t="dirty">{live(move || dirty.get().then_some("Unsaved changes"))}</span>
        <button class="btn sq" data-t="undo" aria-label=undo_name title=undo_name disabled=move || !can_undo() on:click=move |_| board.undo()>
            {Icon::Undo.view()}
        </button>
        <button class="btn sq" data-t="redo" aria-label="Redo" title="Redo" disabled=move || !can_redo() on:click=move |_| board.redo()>
            {Icon::Redo.view()}
        </button>
    }
}

#[component]
fn AddMenu(board: Board) -> impl IntoView {
    let in_editor = move || board.url.with(|location| !location.edit_panel.is_empty());
    let trigger = ViewFn::from(|| Icon::Down.view());
    view! {
        <Show when=move || !in_editor()>
            <button class="btn out" data-t="add-panel" on:click=move |_| add_panel(board, "timeseries")>
                {Icon::Plus.view()}
                <span class="only-l">"Panel"</span>
                <span class="sr">"Add a panel"</span>
            </button>
            <Menu name="Add a panel of another type, or a row" class="btn sq" right=true trigger=trigger.clone() test="add">
                {KINDS
                    .map(|(kind, word, icon)| {
                        view! { <MenuItem label=word icon test=format!("add-{kind}") on_choose=move || add_panel(board, kind) /> }
                    })
                    .collect_view()}
                <div class="menu-sep" role="none"></div>
                <MenuItem label="Row" icon=Icon::Row test="add-row" on_choose=move || add_panel(board, "row") />
            </Menu>
        </Show>
    }
}

/// The ways to settings and versions.
#[component]
fn Windows(board: Board) -> impl IntoView {
    let stored = move || board.dashboard.with(|dashboard| !dashboard.uid.is_empty());
    let open = move |word: &'static str| board.url.change(Entry::Push, |location| location.editview = word.to_owned());
    view! {
        <span class="only-l">
            <button class="btn sq" data-t="settings" aria-label="Dashboard settings" title="Settings" on:click=move |_| open("settings")>
                {Icon::Settings.view()}
            </button>
            <Show when=stored>
                <button class="btn sq" data-t="versions" aria-label="Versions" title="Versions" on:click=move |_| open("versions")>
                    {Icon::History.view()}
                </button>
            </Show>
        </span>
    }
}

/// Back to the dashboard from the editor, or out of edit mode, with what was changed or without.
#[component]
fn Leave(board: Board, dirty: Memo<bool>, again: Callback<()>) -> impl IntoView {
    let in_editor = memo(move || board.url.with(|location| !location.edit_panel.is_empty()));
    let back = move |_| board.url.change(Entry::Push, |location| location.edit_panel.clear());
    let stop = move |_| {
        if dirty.get_untracked() {
            while board.history.with_untracked(dashboard::history::History::is_dirty)
                && board.history.with_untracked(dashboard::history::History::can_undo)
            {
                board.undo();
            }
            if board.history.with_untracked(dashboard::history::History::is_dirty) {
                board.dashboard.with_untracked(|dashboard| kept::forget(&dashboard.uid));
                again.run(());
            }
        }
        board.editing.set(false);
    };
    let word = move || if dirty.get() { "Discard" } else { "Done" };
    move || {
        if in_editor.get() {
            view! { <button class="btn out" data-t="back" on:click=back><span class="only-l">"Back to dashboard"</span><span class="back-short">{Icon::Left.view()}<span class="sr">"Back to dashboard"</span></span></button> }.into_any()
        } else {
            view! { <button class="btn" data-t="discard" on:click=stop>{word}</button> }.into_any()
        }
    }
}
