//! The options of a variable: filtered as one types, drawn only as far as they are seen.

use super::State;
use crate::memo::{Show, memo};
use crate::{board::Board, controls::icon::Icon, controls::popover::walk};
use dashboard::{
    model::VariableOption,
    variables::{ALL, Status},
};
use leptos::{html, prelude::*};

/// Height of an option in CSS pixels, on desktops and on phones.
const ROW_PX: f64 = 28.0;
const PHONE_ROW_PX: f64 = 44.0;
/// Options drawn at once: more than fit into the list.
const DRAWN: usize = 40;

/// The list. One choice closes; several are taken over when the list closes.
#[component]
pub fn Options(board: Board, name: StoredValue<String>, state: State, open: RwSignal<bool>) -> impl IntoView {
    let filter = RwSignal::new(String::new());
    let list = NodeRef::<html::Div>::new();
    let scrolled = RwSignal::new(0.0_f64);
    let multi = move || state.with(|state| state.as_ref().is_some_and(|state| state.variable.multi));
    let first = state.with_untracked(|state| {
        state
            .as_ref()
            .map(|state| state.selected.iter().map(|option| option.value.clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    });
    let picked = RwSignal::new(first.clone());
    on_cleanup(move || {
        let now = picked.get_untracked();
        if now != first {
            board.select(&name.get_value(), now);
        }
    });
    let row_px = if board.width.get_untracked() < 760.0 { PHONE_ROW_PX } else { ROW_PX };
    let matching = memo(move || {
        let words = filter.with(|text| text.to_lowercase());
        state.with(|state| {
            let Some(state) = state else { return Vec::new() };
            let all = state.variable.include_all.then(|| VariableOption::new("All", ALL));
            let options = all.into_iter().chain(state.options.iter().cloned());
            options.filter(|option| words.is_empty() || option.text.to_lowercase().contains(&words)).collect::<Vec<_>>()
        })
    });
    let pick = move |value: String| {
        if !multi() {
            picked.set(vec![value]);
            open.set(false);
            return;
        }
        picked.update(|picked| {
            if value == ALL {
                *picked = vec![ALL.to_owned()];
                return;
            }
            picked.retain(|other| other != ALL);
            match picked.iter().position(|other| *other == value) {
                Some(at) => {
                    picked.remove(at);
                }
                None => picked.push(value),
            }
        });
    };
    let rows = move || {
        let start = ((scrolled.get() / row_px) as usize).saturating_sub(8);
        let (multi, chosen) = (multi(), picked.get());
        matching.with(|options| {
            let above = start.min(options.len());
            let drawn = options.iter().skip(start).take(DRAWN).map(|option| {
                let (value, on) = (option.value.clone(), chosen.contains(&option.value));
                view! { <Row text=option.text.clone() on multi on_pick=move || pick(value.clone()) /> }
            });
            let drawn = drawn.collect_view();
            let below = options.len().saturating_sub(above + DRAWN);
            view! {
                <div style=format!("height:{}px", above as f64 * row_px)></div>
                {drawn}
                <div style=format!("height:{}px", below as f64 * row_px)></div>
            }
        })
    };
    let take_first = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let custom = filter.get_untracked();
        let found = matching.with_untracked(|options| options.first().map(|option| option.value.clone()));
        let allowed =
            state.with_untracked(|state| state.as_ref().is_some_and(|state| state.variable.allow_custom_value));
        if let Some(value) = found.or_else(|| (allowed && !custom.is_empty()).then_some(custom)) {
            pick(value);
        }
    };
    let count = move || {
        let shown = matching.with(Vec::len);
        let waiting = state.with(|state| state.as_ref().is_some_and(|state| state.status == Status::Waiting));
        if waiting { "Loading…".to_owned() } else { format!("{shown} values") }
    };
    let take_matches = move |_| {
        let all: Vec<String> = matching.with_untracked(|options| {
            options.iter().map(|option| option.value.clone()).filter(|value| value != ALL).collect()
        });
        picked.set(all);
    };
    let fault = move || super::fault(state).map(|why| view! { <p class="hint bad">{why}</p> });
    view! {
        <form on:submit=take_first>
            <label class="fld">
                {Icon::Search.view()}
                <span class="sr">"Filter values"</span>
                <input autofocus placeholder="Filter" data-t="var-filter" prop:value=filter on:input=move |event| { scrolled.set(0.0); filter.set(event_target_value(&event)) } />
            </label>
        </form>
        {fault}
        <div
            class="options-list"
            role="listbox"
            aria-label="Values"
            aria-multiselectable=move || multi().to_string()
            node_ref=list
            on:scroll=move |_| if let Some(list) = list.get_untracked() { scrolled.set(f64::from(list.scroll_top())) }
            on:keydown=walk
        >
            {rows}
        </div>
        <div class="options-foot num">
            <span>{count}</span>
            <Show when=move || multi() && !filter.with(String::is_empty)>
                <button type="button" class="btn" on:click=take_matches>"Select these"</button>
            </Show>
        </div>
    }
}

#[component]
fn Row(text: String, on: bool, multi: bool, on_pick: impl Fn() + 'static) -> impl IntoView {
    let check = multi.then(|| view! { <span class="box">{on.then(|| Icon::Check.view())}</span> });
    view! {
        <button type="button" class="option" role="option" aria-selected=on.to_string() data-t="var-option" title=text.clone() on:click=move |_| on_pick()>
            {check}
            <span class="ell">{text.clone()}</span>
        </button>
    }
}
