//! The dashboard's JSON, to read, copy and change.

use crate::memo::{Show, live, memo};
use crate::{board::Board, edit::draft::version_of};
use leptos::{html, prelude::*};
use serde_json::Value;

/// Where text stops being JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    message: String,
    line: usize,
    column: usize,
    /// UTF-16 units from the start, where a text area counts.
    at: u32,
}

/// Reads a dashboard, or says where it breaks.
fn read(text: &str) -> Result<Value, Fault> {
    match serde_json::from_str::<Value>(text) {
        Ok(json @ Value::Object(_)) => Ok(json),
        Ok(_) => Err(Fault { message: "a dashboard is an object: { … }".to_owned(), line: 1, column: 1, at: 0 }),
        Err(error) => {
            let (line, column) = (error.line().max(1), error.column().max(1));
            let before: u32 =
                text.split_inclusive('\n').take(line - 1).map(|line| line.encode_utf16().count() as u32).sum();
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            Err(Fault { message, line, column, at: before + column as u32 - 1 })
        }
    }
}

/// The part.
#[component]
pub fn JsonModel(board: Board) -> impl IntoView {
    let stored = memo(move || {
        board.dashboard.with(|dashboard| serde_json::to_string_pretty(dashboard.json()).unwrap_or_default())
    });
    let text = RwSignal::new(stored.get_untracked());
    let fault = memo(move || text.with(|text| read(text).err()));
    let differs = move || text.with(|text| stored.with(|stored| text != stored));
    let area = NodeRef::<html::Textarea>::new();
    let show = move |_| {
        if let (Some(area), Some(fault)) = (area.get_untracked(), fault.get_untracked()) {
            let _ = area.focus();
            let _ = area.set_selection_range(fault.at, fault.at + 1);
        }
    };
    let apply = move |_| {
        let Ok(mut json) = read(&text.get_untracked()) else { return };
        // The version says what was edited: a text copied from elsewhere must not claim another.
        let (uid, version) =
            board.dashboard.with_untracked(|dashboard| (dashboard.uid.clone(), version_of(dashboard.json())));
        json["uid"] = uid.into();
        json["version"] = version.into();
        board.edit("Edit the JSON", false, |now| *now = json);
        board.rebuild_variables();
        text.set(stored.get_untracked());
    };
    view! {
        <label class="stack">
            <span class="sr">"JSON model of the dashboard"</span>
            <textarea
                class="inp mono json-area" rows="20" spellcheck="false" data-t="json-model" node_ref=area
                aria-invalid=move || fault.with(Option::is_some).to_string()
                prop:value=text on:input=move |event| text.set(event_target_value(&event))
            ></textarea>
        </label>
        <div class="row">
            <button type="button" class="btn out" data-t="json-apply" disabled=move || fault.with(Option::is_some) || !differs() on:click=apply>"Apply to the draft"</button>
            <Show when=differs>
                <button type="button" class="btn" on:click=move |_| text.set(stored.get_untracked())>"Reset"</button>
            </Show>
            {live(move || fault.get().map(|fault| view! {
                <span class="hint bad" role="alert" data-t="json-fault">{format!("Line {}, column {}: {}", fault.line, fault.column, fault.message)}</span>
                <button type="button" class="btn" on:click=show>"Show"</button>
            }))}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn places() {
        assert!(read("{\"title\": \"a\"}").is_ok());
        let fault = read("{\n  \"é\": 1,\n  \"b\" 2\n}").unwrap_err();
        assert_eq!((fault.line, fault.column, fault.at), (3, 7, 18));
        assert_eq!(read("[]").unwrap_err().line, 1);
    }
}
