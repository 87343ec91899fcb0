//! Settings of the dashboard as a whole.

use crate::{
    board::Board,
    client,
    controls::{dialog::Dialog, notice::use_notices},
    url_state::Entry,
};
use dashboard::model::set_at;
use leptos::{prelude::*, task::spawn_local};
use serde_json::{Value, json};

/// A signal for a window that is open while `editview=<word>` is in the address.
pub fn open_while(board: Board, word: &'static str) -> RwSignal<bool> {
    let open = RwSignal::new(false);
    let wanted = Memo::new(move |_| board.url.with(|location| location.editview == word));
    Effect::new(move |_| open.set(wanted.get()));
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        if before == Some(true) && !now && board.url.peek(|location| location.editview == word) {
            board.url.change(Entry::Push, |location| location.editview.clear());
        }
        now
    });
    open
}

/// The window; open while `editview=settings` is in the address.
#[component]
pub fn SettingsDialog(board: Board) -> impl IntoView {
    let open = open_while(board, "settings");
    view! {
        <Dialog open title="Dashboard settings" wide=true test="settings-dialog">
            <Form board />
        </Dialog>
    }
}

fn set(board: Board, label: &str, path: &'static [&'static str], value: Value) {
    board.edit(label, true, |json| set_at(json, path, value));
}

#[component]
fn Form(board: Board) -> impl IntoView {
    let model = board.dashboard.get_untracked();
    let cursor = match model.cursor {
        dashboard::model::CursorSync::Off => "0",
        dashboard::model::CursorSync::Crosshair => "1",
        dashboard::model::CursorSync::Tooltip => "2",
    };
    let tags = move |event| {
        let tags: Vec<String> = event_target_value(&event)
            .split(',')
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        set(board, "Tags", &["tags"], json!(tags));
    };
    let templating = serde_json::to_string_pretty(model.json().pointer("/templating/list").unwrap_or(&json!([])))
        .unwrap_or_default();
    let fault = RwSignal::new(None::<String>);
    let variables = move |event| match serde_json::from_str::<Value>(&event_target_value(&event)) {
        Ok(list @ Value::Array(_)) => {
            fault.set(None);
            set(board, "Variables", &["templating", "list"], list);
            board.rebuild_variables();
        }
        Ok(_) => fault.set(Some("The variables are a list: [ … ].".to_owned())),
        Err(error) => fault.set(Some(error.to_string())),
    };
    let stored = !model.uid.is_empty();
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
                    notices.done("Deleted.");
                    board.url.go("/dashboards");
                }
                Err(error) => notices.failed(format!("Not deleted: {error}")),
            }
        });
    };
    let sync = [("0", "Off"), ("1", "Crosshair"), ("2", "Crosshair and tooltip")];
    view! {
        <div class="dlg-body">
            <label class="f">
                <span>"Title"</span>
                <input class="inp" data-t="settings-title" prop:value=model.title.clone() on:input=move |event| set(board, "Title", &["title"], event_target_value(&event).into()) />
            </label>
            <label class="f">
                <span>"Description"</span>
                <input class="inp" prop:value=model.description.clone() on:input=move |event| set(board, "Description", &["description"], event_target_value(&event).into()) />
            </label>
            <label class="f">
                <span>"Tags"</span>
                <input class="inp" placeholder="separated by commas" prop:value=model.tags.join(", ") on:change=tags />
            </label>
            <label class="f">
                <span>"Time zone"</span>
                <input class="inp" placeholder="browser, utc, Europe/Paris" prop:value=model.timezone.clone() on:change=move |event| set(board, "Time zone", &["timezone"], event_target_value(&event).into()) />
            </label>
            <label class="f">
                <span>"Refresh"</span>
                <input class="inp" placeholder="off, or 30s" prop:value=model.refresh.clone() on:change=move |event| set(board, "Refresh", &["refresh"], event_target_value(&event).into()) />
            </label>
            <label class="f">
                <span>"Shared cursor"</span>
                <select class="inp" on:change=move |event| set(board, "Shared cursor", &["graphTooltip"], json!(event_target_value(&event).parse::<u8>().unwrap_or(0)))>
                    {sync.map(|(value, word)| view! { <option value=value selected=value == cursor>{word}</option> }).collect_view()}
                </select>
            </label>
            <label class="stack">
                <span class="sec">"Variables, as JSON"</span>
                <textarea class="inp mono" rows="10" data-t="settings-variables" prop:value=templating on:change=variables></textarea>
            </label>
            {move || fault.get().map(|fault| view! { <p class="hint bad" role="alert">{fault}</p> })}
        </div>
        <footer>
            {stored.then(|| view! { <button class="btn danger" data-t="delete-dashboard" on:click=delete>"Delete dashboard"</button> })}
            <span class="grow"></span>
            <button class="btn pri" on:click=move |_| board.url.change(Entry::Push, |location| location.editview.clear())>"Done"</button>
        </footer>
    }
}
