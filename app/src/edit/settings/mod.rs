//! Settings of the dashboard as a whole: general, variables, links, and the JSON itself.

mod general;
mod json;
mod links;
mod variables;

use crate::memo::memo;
use crate::{
    board::Board,
    client,
    controls::{dialog::Dialog, notice::use_notices},
    edit::kept,
    url_state::Entry,
};
use leptos::{prelude::*, task::spawn_local};

/// `editview` and word of each part.
const TABS: [(&str, &str); 4] =
    [("settings", "General"), ("variables", "Variables"), ("links", "Links"), ("dashboard_json", "JSON model")];

/// A signal for a window that is open while `editview` in the address is one of the words.
pub fn open_while(board: Board, words: &'static [&'static str]) -> RwSignal<bool> {
    let open = RwSignal::new(false);
    let wanted = memo(move || board.url.with(|location| words.contains(&location.editview.as_str())));
    Effect::new(move |_| open.set(wanted.get()));
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        if before == Some(true) && !now && board.url.peek(|location| words.contains(&location.editview.as_str())) {
            board.url.change(Entry::Push, |location| location.editview.clear());
        }
        now
    });
    open
}

/// The window; open while `editview` names one of its parts.
#[component]
pub fn SettingsDialog(board: Board) -> impl IntoView {
    let open = open_while(board, &["settings", "variables", "links", "dashboard_json"]);
    view! {
        <Dialog open title="Dashboard settings" wide=true test="settings-dialog">
            <Parts board />
        </Dialog>
    }
}

#[component]
fn Parts(board: Board) -> impl IntoView {
    let tab = memo(move || {
        let wanted = board.url.with(|location| location.editview.clone());
        TABS.iter().map(|(id, _)| *id).find(|id| *id == wanted).unwrap_or("settings")
    });
    let choose = move |id: &'static str| board.url.change(Entry::Replace, |location| location.editview = id.to_owned());
    let tabs = TABS.map(|(id, word)| {
        view! {
            <button type="button" role="tab" aria-selected=move || (tab.get() == id).to_string() data-t=format!("settings-tab-{id}") on:click=move |_| choose(id)>
                {word}
            </button>
        }
    });
    let part = move || match tab.get() {
        "variables" => view! { <variables::Variables board /> }.into_any(),
        "links" => view! { <links::Links board /> }.into_any(),
        "dashboard_json" => view! { <json::JsonModel board /> }.into_any(),
        _ => view! { <general::General board /> }.into_any(),
    };
    let stored = board.dashboard.with_untracked(|dashboard| !dashboard.uid.is_empty());
    let notices = use_notices();
    let delete = move |_| {
        let (uid, title) = board.dashboard.with_untracked(|dashboard| (dashboard.uid.clone(), dashboard.title.clone()));
        let sure = leptos::tachys::dom::window().confirm_with_message(&format!("Delete \"{title}\" and its versions?"));
        if !sure.unwrap_or(false) {
            return;
        }
        spawn_local(async move {
            match client::dashboards::delete_dashboard(&uid).await {
                Ok(()) => {
                    // Nothing is left to save or to come back to.
                    board.history.update(dashboard::history::History::mark_saved);
                    kept::forget(&uid);
                    notices.done("Deleted.");
                    board.url.go("/dashboards");
                }
                Err(error) => notices.failed(format!("Not deleted: {error}")),
            }
        });
    };
    view! {
        <div class="tabs settings-tabs" role="tablist" aria-label="Parts of the settings">{tabs.collect_view()}</div>
        <div class="dlg-body settings-body" role="tabpanel">{part}</div>
        <footer>
            {stored.then(|| view! { <button type="button" class="btn danger" data-t="delete-dashboard" on:click=delete>"Delete dashboard"</button> })}
            <span class="hint grow">"Changes belong to the draft: undo takes them back, Save stores them."</span>
            <button type="button" class="btn pri" data-t="settings-done" on:click=move |_| board.url.change(Entry::Push, |location| location.editview.clear())>"Done"</button>
        </footer>
    }
}
