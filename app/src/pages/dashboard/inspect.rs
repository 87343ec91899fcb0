//! What is behind a panel: its data, the queries as asked and how long they took, its JSON.

use crate::memo::{Memo, memo};
use crate::{
    board::Board,
    controls::dialog::Dialog,
    panels::{PanelInput, data::Asked, export, values::cell_text},
    url_state::Entry,
};
use dashboard::{
    field::{auto_bounds, value_bounds},
    frame::Frame,
};
use leptos::prelude::*;

/// Rows of data shown; the CSV has all.
const ROWS_MAX: usize = 100;

const TABS: [(&str, &str); 3] = [("data", "Data"), ("query", "Query"), ("json", "JSON")];

/// The window; open while `inspect=` is in the address.
#[component]
pub fn Inspector(board: Board) -> impl IntoView {
    let key = memo(move || board.url.with(|location| location.inspect.clone()));
    let open = RwSignal::new(false);
    // Open follows the address; closing writes it.
    Effect::new(move |_| open.set(!key.with(String::is_empty)));
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        if before == Some(true) && !now {
            board.url.change(Entry::Push, |location| {
                location.inspect.clear();
                location.inspect_tab.clear();
            });
        }
        now
    });
    let title = Signal::derive(move || {
        let panel = board.panel(&key.get());
        panel.map_or_else(String::new, |panel| format!("Inspect: {}", board.fill(Some(&panel), &panel.title)))
    });
    view! {
        <Dialog open title wide=true test="inspector">
            <Tabs board />
            <div class="dlg-body">
                <Content board key />
            </div>
        </Dialog>
    }
}

fn tab(board: Board) -> String {
    match board.url.with(|location| location.inspect_tab.clone()) {
        tab if TABS.iter().any(|(id, _)| *id == tab) => tab,
        _ => "data".to_owned(),
    }
}

#[component]
fn Tabs(board: Board) -> impl IntoView {
    let tabs = TABS.map(|(id, word)| {
        let choose = move |_| board.url.change(Entry::Replace, |location| location.inspect_tab = id.to_owned());
        view! { <button role="tab" aria-selected=move || (tab(board) == id).to_string() on:click=choose>{word}</button> }
    });
    view! { <div class="tabs inspect-tabs" role="tablist">{tabs.collect_view()}</div> }
}

#[component]
fn Content(board: Board, key: Memo<String>) -> impl IntoView {
    let input = move || crate::panels::host::drawn(board, &key.get());
    move || match tab(board).as_str() {
        "json" => {
            let text = board
                .panel(&key.get())
                .and_then(|panel| serde_json::to_string_pretty(panel.json()).ok())
                .unwrap_or_default();
            view! { <pre class="json" tabindex="0" data-t="inspect-json">{text}</pre> }.into_any()
        }
        "query" => {
            let asked = input().and_then(|input| input.data.with(|data| data.as_ref().map(|data| data.asked.clone())));
            view! { <Queries asked=asked.unwrap_or_default() /> }.into_any()
        }
        _ => match input() {
            Some(input) => view! { <Data input /> }.into_any(),
            None => view! { <p class="mut">"The panel has not asked yet."</p> }.into_any(),
        },
    }
}

#[component]
fn Queries(asked: Vec<Asked>) -> impl IntoView {
    asked
        .into_iter()
        .map(|asked| {
            let stats = format!(
                "{} series · {} · step {}",
                asked.series,
                dashboard::units::format_text(asked.took_ms, "ms", None),
                dashboard::interval::format_interval(asked.step_ms.max(1)),
            );
            view! {
                <section>
                    <h3 class="sec">{asked.ref_id} <span class="num">{stats}</span></h3>
                    <pre class="json" tabindex="0" data-t="inspect-query">{asked.expr}</pre>
                </section>
            }
        })
        .collect_view()
}

#[component]
fn Data(input: PanelInput) -> impl IntoView {
    let tables = move || {
        let look = input.look.get();
        input.data.with(|data| {
            let frames = data.as_ref().map(|data| data.frames.as_slice()).unwrap_or_default();
            frames.iter().take(20).map(|frame| table(frame, &look)).collect_view()
        })
    };
    view! {
        <div class="row">
            <button class="btn out" on:click=move |_| export::download_csv(input)>"Download CSV"</button>
        </div>
        {tables}
    }
}

fn table(frame: &Frame, look: &crate::panels::values::Look) -> impl IntoView + use<> {
    let heads =
        frame.fields.iter().map(|field| view! { <th scope="col">{field.display_name.clone()}</th> }).collect_view();
    let rows = (0..frame.rows().min(ROWS_MAX))
        .map(|row| {
            let cells = frame.fields.iter().map(|field| {
                let bounds = value_bounds(&field.config, auto_bounds(std::iter::once(field)));
                let text = cell_text(field, field.cell(row), look, bounds).text.to_string();
                view! { <td class="num">{text}</td> }
            });
            view! { <tr>{cells.collect_view()}</tr> }
        })
        .collect_view();
    let more = frame.rows().saturating_sub(ROWS_MAX);
    view! {
        <table class="tb"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>
        {(more > 0).then(|| view! { <p class="hint">{format!("{more} more rows; the CSV has all.")}</p> })}
    }
}
