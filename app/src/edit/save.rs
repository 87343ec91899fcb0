//! Saving: what changed, a message, and what to do when somebody else saved meanwhile.

use super::{
    comparison::Comparison,
    conflict::{Conflict, ConflictView},
    difference::in_words,
};
use crate::memo::{Show, live, memo};
use crate::{
    board::Board,
    client::{self, ClientError},
    controls::{dialog::Dialog, notice::use_notices},
};
use api::dashboards::{DashboardProblem, SaveDashboard};
use leptos::{prelude::*, task::spawn_local};
use std::sync::Arc;

/// The window.
#[component]
pub fn SaveDialog(board: Board, again: Callback<()>) -> impl IntoView {
    view! {
        <Dialog open=board.saving title="Save dashboard" wide=true test="save-dialog">
            <Form board again />
        </Dialog>
    }
}

#[component]
fn Form(board: Board, again: Callback<()>) -> impl IntoView {
    let message = RwSignal::new(String::new());
    let title = RwSignal::new(board.dashboard.with_untracked(|dashboard| dashboard.title.clone()));
    let busy = RwSignal::new(false);
    let fault = RwSignal::new(None::<String>);
    let conflict = RwSignal::new(None::<Conflict>);
    let fresh = board.dashboard.with_untracked(|dashboard| dashboard.uid.is_empty());
    let notices = use_notices();
    let nothing = memo(move || {
        !fresh
            && board
                .dashboard
                .with(|dashboard| board.stored.with(|stored| in_words(stored, dashboard.json()).is_empty()))
    });
    let provisioned = board.meta.with_untracked(|meta| meta.provisioned);
    let changes = move || {
        let before = board.stored.with(|stored| serde_json::Value::clone(stored));
        let after = board.dashboard.with(|dashboard| dashboard.json().clone());
        view! { <Comparison before after /> }
    };
    let save = move |overwrite: bool| {
        let wanted = title.get_untracked();
        if wanted != board.dashboard.with_untracked(|dashboard| dashboard.title.clone()) {
            board.edit("Title", true, |json| json["title"] = wanted.into());
        }
        let request = SaveDashboard {
            dashboard: board.dashboard.with_untracked(|dashboard| dashboard.json().clone()),
            message: message.get_untracked(),
            overwrite,
            folder_uid: board.meta.with_untracked(|meta| meta.folder_uid.clone()),
        };
        busy.set(true);
        fault.set(None);
        spawn_local(async move {
            let answer = client::dashboards::save_dashboard(&request).await;
            busy.try_set(false);
            match answer {
                Ok(saved) => {
                    board.history.update(dashboard::history::History::mark_saved);
                    let mut model = dashboard::model::Dashboard::clone(&board.dashboard.get_untracked());
                    model.edit(|json| {
                        json["version"] = saved.version.into();
                        json["uid"] = saved.uid.clone().into();
                    });
                    board.stored.set(Arc::new(model.json().clone()));
                    board.dashboard.set(Arc::new(model));
                    board.meta.update(|meta| meta.version = saved.version);
                    notices.done(format!("Saved as version {}.", saved.version));
                    board.saving.set(false);
                    // A panel that is edited stays open: more may follow.
                    if board.url.peek(|location| location.edit_panel.is_empty()) {
                        board.editing.set(false);
                    }
                    if fresh {
                        board.url.go(&format!("/d/{}/{}", saved.uid, saved.slug));
                    }
                }
                Err(error) => match read_conflict(&error) {
                    Some(problem) => conflict.set(Some(Conflict { problem, mine: request })),
                    None => fault.set(Some(format!("Not saved: {error}. Your changes are still here."))),
                },
            }
        });
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        save(false);
    };
    view! {
        <form method="dialog" on:submit=submit class="save-form">
            <div class="dlg-body">
                {live(move || conflict.get().map(|found| view! { <ConflictView board conflict=found again on_overwrite=Callback::new(move |()| save(true)) resolved=Callback::new(move |()| conflict.set(None)) /> }))}
                {live(move || fault.get().map(|fault| view! { <p class="hint bad" role="alert" data-t="save-fault">{fault}</p> }))}
                {fresh.then(|| view! {
                    <label class="f">
                        <span>"Title"</span>
                        <input class="inp" autofocus data-t="save-title" prop:value=title on:input=move |event| title.set(event_target_value(&event)) />
                    </label>
                })}
                <label class="f">
                    <span>"What changed"</span>
                    <input class="inp" placeholder="For the version history" data-t="save-message" prop:value=message on:input=move |event| message.set(event_target_value(&event)) />
                </label>
                {provisioned.then(|| view! { <p class="hint">"This dashboard comes from a file. Saving makes a copy of it that takes precedence."</p> })}
                <Show when=move || conflict.with(Option::is_none)>
                    <h3 class="sec">"Changes"</h3>
                    {changes}
                </Show>
            </div>
            <footer>
                <button type="button" class="btn" on:click=move |_| board.saving.set(false)>"Cancel"</button>
                <button class="btn pri" data-t="save-confirm" disabled=move || busy.get() || nothing.get() || conflict.with(Option::is_some)>
                    {live(move || if busy.get() { "Saving…" } else { "Save" })}
                </button>
            </footer>
        </form>
    }
}

fn read_conflict(error: &ClientError) -> Option<DashboardProblem> {
    match error {
        ClientError::Refused { status: 412, body, .. } => {
            serde_json::from_str(body).ok().filter(|problem: &DashboardProblem| problem.status == "version-mismatch")
        }
        _ => None,
    }
}
