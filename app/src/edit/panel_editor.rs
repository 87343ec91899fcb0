//! One panel with everything that can be changed about it: the drawing above its queries, options at the right.

use super::{
    field::{Edited, Field},
    lists::{LinksGroup, MappingsGroup},
    options::GROUPS,
    queries::Queries,
    thresholds::ThresholdsGroup,
};
use crate::memo::{Memo, Show, memo};
use crate::{
    board::Board,
    controls::icon::Icon,
    pages::dashboard::follow_width,
    panels::{KINDS, data::is_static, host::PanelHost},
    url_state::Entry,
};
use leptos::{html, prelude::*};
use serde_json::Value;

/// The editor of the panel that the address names.
#[component]
pub fn PanelEditor(board: Board, panel_key: String) -> impl IntoView {
    let Some(id) =
        board.id_of(&panel_key).filter(|id| board.dashboard.with_untracked(|dashboard| dashboard.panel(*id).is_some()))
    else {
        let back = move |_| board.url.change(Entry::Push, |location| location.edit_panel.clear());
        return view! {
            <div class="state" data-t="not-found">
                <b>"This panel is not on the dashboard"</b>
                <button class="btn out" on:click=back>"Back to dashboard"</button>
            </div>
        }
        .into_any();
    };
    board.editing.set(true);
    let edited = Edited { board, id };
    let place = NodeRef::<html::Div>::new();
    follow_width(board, place);
    let width = Signal::derive(move || board.width.get() - 26.0);
    let asks = memo(move || !is_static(&edited.kind()));
    view! {
        <div class="ed" data-t="panel-editor">
            <div class="ed-left" node_ref=place>
                <div class="ed-preview"><PanelHost board key=panel_key width solo=true /></div>
                <Show when=move || asks.get()>
                    <Queries edited />
                </Show>
            </div>
            <Options edited />
        </div>
    }
    .into_any()
}

#[component]
fn Options(edited: Edited) -> impl IntoView {
    let search = RwSignal::new(String::new());
    let kind = memo(move || edited.kind());
    let groups = move || {
        let (kind, words) = (kind.get(), search.with(|text| text.to_lowercase()));
        GROUPS
            .iter()
            .filter_map(|(title, options)| {
                let shown: Vec<_> = options
                    .iter()
                    .filter(|opt| opt.only.is_empty() || opt.only.contains(&kind.as_str()))
                    .filter(|opt| {
                        words.is_empty()
                            || opt.word.to_lowercase().contains(&words)
                            || title.to_lowercase().contains(&words)
                    })
                    .copied()
                    .collect();
                (!shown.is_empty()).then(|| view! { <Group edited title=*title options=shown /> })
            })
            .collect_view()
    };
    let finds = move |words: &str| search.with(|text| text.is_empty() || words.contains(&text.to_lowercase()));
    let thresholds_or = move |words: &str| {
        let values =
            matches!(kind.get().as_str(), "timeseries" | "trend" | "graph" | "stat" | "gauge" | "bargauge" | "table");
        values && finds(words)
    };
    let thresholds = move || thresholds_or("thresholds");
    view! {
        <aside class="p opt" aria-label="Options">
            <label class="find opt-find">
                {Icon::Search.view()}
                <input type="search" placeholder="Find an option" aria-label="Find an option" data-t="option-search" prop:value=search on:input=move |event| search.set(event_target_value(&event)) />
            </label>
            <Kinds edited kind />
            {groups}
            <Show when=thresholds>
                <ThresholdsGroup edited />
            </Show>
            <Show when=move || thresholds_or("value mappings")>
                <MappingsGroup edited />
            </Show>
            <Show when=move || thresholds_or("data links")>
                <LinksGroup edited title="Data links" path="fieldConfig.defaults.links" test="data-links" />
            </Show>
            <Show when=move || finds("panel links")>
                <LinksGroup edited title="Panel links" path="links" test="panel-links" />
            </Show>
        </aside>
    }
}

#[component]
fn Group(edited: Edited, title: &'static str, options: Vec<super::field::Opt>) -> impl IntoView {
    let paths: Vec<&'static str> = options.iter().map(|opt| opt.path).collect();
    let changed = move || match paths.iter().filter(|path| **path != "title" && edited.get(path).is_some()).count() {
        0 => String::new(),
        count => format!("{count} set"),
    };
    view! {
        <section class="grp">
            <h3>{title}<span class="n num">{changed}</span></h3>
            {options.into_iter().map(|opt| view! { <Field edited opt /> }).collect_view()}
        </section>
    }
}

/// The panel types. The options of the type before are kept, so that going back restores them.
#[component]
fn Kinds(edited: Edited, kind: Memo<String>) -> impl IntoView {
    let left = StoredValue::new(Vec::<(String, Value)>::new());
    let choose = move |wanted: &'static str| {
        let before = kind.get_untracked();
        if before == wanted {
            return;
        }
        let options = edited.get("options").unwrap_or_else(|| serde_json::json!({}));
        left.update_value(|left| {
            left.retain(|(kind, _)| *kind != before);
            left.push((before, options.clone()));
        });
        let restored =
            left.with_value(|left| left.iter().find(|(kind, _)| kind == wanted).map(|(_, options)| options.clone()));
        edited.board.edit_panel(edited.id, "Type", false, |panel| {
            panel["type"] = wanted.into();
            if let Some(restored) = restored {
                panel["options"] = restored;
            }
        });
    };
    let buttons = KINDS.map(|(id, word, icon)| {
        view! {
            <button type="button" class="viz" aria-pressed=move || (kind.get() == id).to_string() data-t=format!("type-{id}") on:click=move |_| choose(id)>
                {icon.view()}
                {word}
            </button>
        }
    });
    view! { <div class="viz-grid" role="group" aria-label="Type" data-t="panel-type">{buttons.collect_view()}</div> }
}
