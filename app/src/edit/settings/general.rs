//! Title, description, tags, time.

use crate::board::Board;
use crate::memo::memo;
use dashboard::model::set_at;
use leptos::prelude::*;
use serde_json::{Value, json};

/// A field bound to a place in the dashboard's JSON.
#[component]
fn Field(
    board: Board,
    word: &'static str,
    path: &'static [&'static str],
    test: &'static str,
    #[prop(optional)] placeholder: &'static str,
) -> impl IntoView {
    let value = memo(move || {
        board.dashboard.with(|dashboard| {
            let found = path.iter().try_fold(dashboard.json(), |at, key| at.get(key));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    });
    let write = move |event| {
        let text = event_target_value(&event);
        board.edit(&format!("Change {}", word.to_lowercase()), true, |json| set_at(json, path, text.into()));
    };
    view! {
        <label class="f">
            <span>{word}</span>
            <input class="inp" placeholder=placeholder data-t=test prop:value=move || value.get() on:input=write />
        </label>
    }
}

/// The part.
#[component]
pub fn General(board: Board) -> impl IntoView {
    let tags = memo(move || board.dashboard.with(|dashboard| dashboard.tags.join(", ")));
    let write_tags = move |event| {
        let text = event_target_value(&event);
        let tags: Vec<&str> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        board.edit("Change tags", false, |json| json["tags"] = json!(tags));
    };
    let cursor = memo(move || board.dashboard.with(|dashboard| dashboard.cursor as u8));
    let write_cursor = move |event| {
        let number: u8 = event_target_value(&event).parse().unwrap_or(0);
        board.edit("Change shared cursor", false, |json| json["graphTooltip"] = number.into());
    };
    let cursors = ["Off", "Crosshair", "Crosshair and tooltip"];
    let options = cursors.iter().zip(0_u8..).map(|(word, number)| {
        view! { <option value=number.to_string() selected=move || cursor.get() == number>{*word}</option> }
    });
    view! {
        <Field board word="Title" path=&["title"] test="settings-title" />
        <Field board word="Description" path=&["description"] test="settings-description" placeholder="Markdown" />
        <label class="f">
            <span>"Tags"</span>
            <input class="inp" placeholder="separated by commas" data-t="settings-tags" prop:value=move || tags.get() on:change=write_tags />
        </label>
        <Field board word="From" path=&["time", "from"] test="settings-from" placeholder="now-6h" />
        <Field board word="To" path=&["time", "to"] test="settings-to" placeholder="now" />
        <Field board word="Refresh" path=&["refresh"] test="settings-refresh" placeholder="off, or 30s" />
        <Field board word="Time zone" path=&["timezone"] test="settings-timezone" placeholder="browser, utc, Europe/Paris" />
        <label class="f">
            <span>"Shared cursor"</span>
            <select class="inp" data-t="settings-cursor" on:change=write_cursor>{options.collect_view()}</select>
        </label>
    }
}
