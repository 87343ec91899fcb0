//! The variables of a dashboard as chips: name, selection, and what it can be.

mod filters;
mod options;

use crate::memo::{Memo, each_name, live, memo};
use crate::{board::Board, controls::icon::Icon, controls::popover::Popover};
use dashboard::{
    model::{VariableHide, VariableKind},
    variables::{ALL, Status, VariableState},
};
use leptos::prelude::*;

/// All variables that are not hidden.
#[component]
pub fn VariableBar(board: Board) -> impl IntoView {
    let names = memo(move || {
        board.variables.with(|set| {
            let shown = set.states().iter().filter(|state| is_shown(state));
            shown.map(|state| state.variable.name.clone()).collect::<Vec<_>>()
        })
    });
    each_name(move || names.get(), move |name| view! { <Chip board name /> })
}

fn is_shown(state: &VariableState) -> bool {
    !matches!(state.variable.hide, VariableHide::Hidden) && state.variable.kind != VariableKind::Constant
}

/// One variable, by its kind.
#[component]
fn Chip(board: Board, name: String) -> impl IntoView {
    let name = StoredValue::new(name);
    let state = memo(move || name.with_value(|name| board.variables.with(|set| set.get(name).cloned())));
    let kind = memo(move || state.with(|state| state.as_ref().map(|state| state.variable.kind.clone())));
    move || match kind.get() {
        Some(VariableKind::TextBox) => view! { <TextChip board name state /> }.into_any(),
        Some(VariableKind::AdHoc) => view! { <filters::Filters board name state /> }.into_any(),
        Some(_) => view! { <ListChip board name state /> }.into_any(),
        None => ().into_any(),
    }
}

type State = Memo<Option<VariableState>>;

/// Before the value; nothing where the dashboard hides it.
fn shown_name(state: &VariableState) -> String {
    if state.variable.hide == VariableHide::HideLabel { String::new() } else { state.variable.shown_name().to_owned() }
}

fn fault(state: State) -> Option<String> {
    state.with(|state| match state.as_ref().map(|state| &state.status) {
        Some(Status::Failed(why)) => Some(why.clone()),
        _ => None,
    })
}

#[component]
fn TextChip(board: Board, name: StoredValue<String>, state: State) -> impl IntoView {
    let label = move || state.with(|state| state.as_ref().map(shown_name));
    let value = move || {
        state
            .with(|state| state.as_ref().and_then(|state| state.selected.first().map(|option| option.value.clone())))
            .unwrap_or_default()
    };
    let commit = move |event| board.select(&name.get_value(), vec![event_target_value(&event)]);
    view! {
        <label class="var" data-t=format!("var-{}", name.get_value())>
            <i>{label}</i>
            <input prop:value=value on:change=commit aria-label=move || name.get_value() />
        </label>
    }
}

/// What a chip says: two values in words, then a number.
fn summary(state: &VariableState) -> (String, String) {
    let all = state.selected.iter().any(|option| option.value == ALL);
    if all {
        return ("All".to_owned(), state.options.len().to_string());
    }
    let texts: Vec<&str> = state.selected.iter().take(2).map(|option| option.text.as_str()).collect();
    let more = state.selected.len().saturating_sub(2);
    let words = if texts.is_empty() { "None".to_owned() } else { texts.join(", ") };
    (words, if more > 0 { format!("+{more}") } else { String::new() })
}

#[component]
fn ListChip(board: Board, name: StoredValue<String>, state: State) -> impl IntoView {
    let open = RwSignal::new(false);
    let label = move || state.with(|state| state.as_ref().map(shown_name)).unwrap_or_default();
    let words = move || state.with(|state| state.as_ref().map(summary)).unwrap_or_default();
    let unlabelled = move || label().is_empty().then(|| view! { <span class="sr">{name.get_value()} " "</span> });
    let waiting = move || state.with(|state| state.as_ref().is_some_and(|state| state.status == Status::Waiting));
    let trigger = move || {
        view! {
            {unlabelled}
            <i>{label}</i>
            <b class:dim=waiting>
                <span class="ell">{live(move || words().0)}</span>
                {live(move || Some(words().1).filter(|more| !more.is_empty()).map(|more| view! { <span class="more num">{more}</span> }))}
            </b>
            {Icon::Down.view()}
        }
    };
    view! {
        <span class:varbad=move || fault(state).is_some() title=move || fault(state)>
            <Popover name=name.get_value() wordy=true trigger=ViewFn::from(trigger) class="var" pop_class="pop options" test=format!("var-{}", name.get_value()) open>
                <options::Options board name state open />
            </Popover>
        </span>
    }
}
