//! Saving: what changed, a message, and what to do when somebody else saved meanwhile.

use super::{
    conflict::{Conflict, ConflictView},
    difference::{LINES_MAX, Line, difference},
};
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
    let lines = board
        .dashboard
        .with_untracked(|dashboard| board.stored.with_untracked(|stored| difference(stored, dashboard.json())));
    let nothing = lines.is_empty() && !fresh;
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
                    if fresh {
                        board.url.go(&format!("/d/{}/{}", saved.uid, saved.slug));
                    }
                }
                Err(error) => match read_conflict(&error) {
                    Some(problem) => conflict.set(Some(Conflict { problem, mine: request })),
                    None => fault.set(Some(error.to_string())),
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
                {move || conflict.get().map(|conflict| view! { <ConflictView board conflict again on_overwrite=Callback::new(move |()| save(true)) /> })}
                {move || fault.get().map(|fault| view! { <p class="hint bad" role="alert" data-t="save-fault">{fault}</p> })}
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
                <Differences lines />
                {nothing.then(|| view! { <p class="hint">"Nothing has changed since the last save."</p> })}
            </div>
            <footer>
                <button type="button" class="btn" on:click=move |_| board.saving.set(false)>"Cancel"</button>
                <button class="btn pri" data-t="save-confirm" disabled=move || busy.get() || nothing>
                    {move || if busy.get() { "Saving…" } else { "Save" }}
                </button>
            </footer>
        </form>
    }
}

/// A list of differences.
#[component]
pub fn Differences(lines: Vec<Line>) -> impl IntoView {
    let more = lines.len().saturating_sub(LINES_MAX);
    let rows = lines.into_iter().take(LINES_MAX).map(|line| {
        view! {
            <li>
                <span class="diff-place">{line.place}</span>
                {(!line.before.is_empty()).then(|| view! { <del class="mono">{line.before}</del> })}
                <ins class="mono">{line.after}</ins>
            </li>
        }
    });
    view! {
        <ul class="diff" data-t="diff">{rows.collect_view()}</ul>
        {(more > 0).then(|| view! { <p class="hint">{format!("and {more} more")}</p> })}
    }
}

fn read_conflict(error: &ClientError) -> Option<DashboardProblem> {
    match error {
        ClientError::Refused { status: 412, body, .. } => serde_json::from_str(body).ok(),
        _ => None,
    }
}
