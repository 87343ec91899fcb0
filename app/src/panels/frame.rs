//! The frame of a panel: title, states, menu, focus and keys. What is inside depends on the type and the state.

use super::{Body, PanelInput, data::PanelState};
use crate::memo::{Memo, Show, live, memo};
use crate::{
    board::Board,
    controls::{
        icon::{Glyph, Icon},
        notice::use_notices,
        popover::{Menu, MenuItem, MenuLink},
    },
    url_state::Entry,
};
use leptos::prelude::*;
use web_sys::KeyboardEvent;

/// A panel with its frame. `solo` is one that has the page to itself.
#[component]
pub fn PanelFrame(input: PanelInput, state: Signal<PanelState>, #[prop(optional)] solo: bool) -> impl IntoView {
    let board = input.board;
    let key = input.key.get_value();
    let title = memo(move || input.panel.with(|panel| input.fill.run((panel.title.clone(), "text"))));
    let unit = memo(move || input.panel.with(|panel| header_note(panel)));
    let clear = move || input.panel.with(|panel| panel.transparent);
    let word = move || state.with(PanelState::word);
    let hot = move || board.selected.with(|selected| *selected == input.key.get_value());
    let name = move || match title.get() {
        title if title.is_empty() => "Panel without title".to_owned(),
        title => title,
    };
    let key_of = key.clone();
    let keys = move |event: KeyboardEvent| panel_keys(&event, board, &key_of, input);
    let key_focus = key.clone();
    view! {
        <section
            class="p"
            class:clear=clear
            class:hot=hot
            tabindex="0"
            aria-label=name
            aria-busy=move || matches!(word(), "loading" | "stale").to_string()
            data-t="panel"
            data-panel-id=key
            data-state=word
            on:keydown=keys
            on:focus=move |_| board.selected.set(key_focus.clone())
        >
            <Show when=move || state.with(|state| state.busy)>
                <i class="prog"></i>
            </Show>
            <header data-drag>
                <h2 title=move || title.get()>{live(move || title.get())}</h2>
                <Description input />
                <span class="u">{live(move || if word() == "stale" { "updating…".to_owned() } else { unit.get() })}</span>
                <span class="grow"></span>
                <StatePill state />
                <PanelMenu input title solo />
            </header>
            <div class="body"><Inside input state /></div>
        </section>
    }
}

/// Beside the title: a time of its own, a panel type that is not drawn.
fn header_note(panel: &dashboard::model::Panel) -> String {
    if panel.hide_time_override {
        return String::new();
    }
    match (panel.time_from.as_str(), panel.time_shift.as_str()) {
        ("", "") => String::new(),
        (from, "") => format!("last {from}"),
        ("", shift) => format!("{shift} earlier"),
        (from, shift) => format!("last {from}, {shift} earlier"),
    }
}

#[component]
fn Description(input: PanelInput) -> impl IntoView {
    let text = memo(move || input.panel.with(|panel| panel.description.clone()));
    view! {
        <Show when=move || text.with(|text| !text.trim().is_empty())>
            <span class="dim" role="img" aria-label=move || text.get() title=move || text.get()>{Icon::Info.view()}</span>
        </Show>
    }
}

#[component]
fn StatePill(state: Signal<PanelState>) -> impl IntoView {
    let pill = move || {
        state.with(|state| {
            if state.error.is_some() {
                return Some(
                    view! { <span class="tag crit">{Glyph::Critical.view()} "Query failed"</span> }.into_any(),
                );
            }
            if state.notices.is_empty() {
                return None;
            }
            let all = state.notices.join("\n");
            let word = match state.notices.len() {
                1 => "1 note".to_owned(),
                count => format!("{count} notes"),
            };
            Some(
                view! { <span class="tag warn" title=all data-t="notices">{Glyph::Warning.view()} {word}</span> }
                    .into_any(),
            )
        })
    };
    view! { {pill} }
}

/// Loading, error, empty, or the drawing.
#[component]
fn Inside(input: PanelInput, state: Signal<PanelState>) -> impl IntoView {
    let shown = memo(move || state.with(PanelState::shown));
    move || match shown.get() {
        "loading" => {
            view! { <div class="skel" aria-hidden="true"><i></i><i></i><i></i><i></i><i></i></div> }.into_any()
        }
        "error" => view! { <Failed input state /> }.into_any(),
        "empty" => view! { <Nothing input state /> }.into_any(),
        _ => view! { <Body input /> }.into_any(),
    }
}

#[component]
fn Failed(input: PanelInput, state: Signal<PanelState>) -> impl IntoView {
    let board = input.board;
    let notices = use_notices();
    let error = move || state.with(|state| state.error.clone());
    let expression = move || {
        error().and_then(|error| {
            let (start, end) = error.fault?;
            let part = |from: usize, to: usize| error.expr.get(from..to).unwrap_or_default().to_owned();
            let (start, end) = (start.min(error.expr.len()), end.min(error.expr.len()));
            Some(view! {
                <span class="mono small" data-t="error-expression">
                    {part(0, start)} <span class="squig">{part(start, end)}</span> {part(end, error.expr.len())}
                </span>
            })
        })
    };
    let message = move || error().map(|error| error.message);
    let copy = move |_| {
        if let Some(error) = error() {
            super::clipboard::copy(format!("{}\n{}", error.message, error.expr), notices);
        }
    };
    let edit = move |_| {
        let key = input.key.get_value();
        board.url.change(Entry::Push, |url| url.edit_panel = key);
    };
    view! {
        <div class="state left" role="alert" data-t="panel-error">
            <b data-t="error-message">{message}</b>
            {expression}
            <span class="row">
                <button class="btn out" on:click=edit>"Fix in editor"</button>
                <button class="btn" data-t="retry" on:click=move |_| board.refresh_now()>"Retry"</button>
                <button class="btn" on:click=copy>"Copy details"</button>
            </span>
        </div>
    }
}

#[component]
fn Nothing(input: PanelInput, state: Signal<PanelState>) -> impl IntoView {
    let board = input.board;
    let no_query = move || input.panel.with(|panel| panel.targets.iter().all(|target| target.expr.trim().is_empty()));
    let title = move || if no_query() { "Nothing is asked yet" } else { "No series match" };
    let why = move || {
        if no_query() {
            return "Edit the panel and write a query.".to_owned();
        }
        state.with(|state| state.empty.clone())
    };
    let edit = move |_| {
        let key = input.key.get_value();
        board.url.change(Entry::Push, |url| url.edit_panel = key);
    };
    let wider = move |_| {
        let span = board.span.get_untracked();
        board.set_range(dashboard::time_range::TimeRange::absolute(span.zoom_out()), Entry::Push);
    };
    view! {
        <div class="state" data-t="panel-empty">
            <b>{title}</b>
            <span>{why}</span>
            <span class="row">
                {live(move || if no_query() {
                    view! { <button class="btn out" on:click=edit>"Edit"</button> }.into_any()
                } else {
                    view! { <button class="btn out" on:click=wider>"Look at a longer range"</button> }.into_any()
                })}
            </span>
        </div>
    }
}

#[component]
fn PanelMenu(input: PanelInput, title: Memo<String>, solo: bool) -> impl IntoView {
    let board = input.board;
    let key = input.key;
    let open_panel = move |edit: bool| {
        let key = key.get_value();
        board.url.change(Entry::Push, |url| if edit { url.edit_panel = key } else { url.view_panel = key });
    };
    let close_panel = move || board.url.change(Entry::Push, |url| url.view_panel.clear());
    let notices = use_notices();
    let inspect = move || {
        let key = key.get_value();
        board.url.change(Entry::Push, |url| url.inspect = key);
    };
    let explore = Signal::derive(move || super::links::explore_address(input));
    let copy_link = move || super::clipboard::copy(super::links::panel_address(input), notices);
    let links = move || {
        super::links::panel_links(input)
            .into_iter()
            .map(|link| view! { <MenuLink label=link.title href=link.href icon=Icon::Link new_tab=link.new_tab /> })
            .collect_view()
    };
    let name = Signal::derive(move || format!("Menu of {}", title.get()));
    view! {
        <Menu name class="panel-menu" right=true trigger=ViewFn::from(|| Icon::More.view()) test="panel-menu">
            {if solo {
                view! { <MenuItem label="Back to dashboard" icon=Icon::Left key="Esc" on_choose=close_panel /> }.into_any()
            } else {
                view! { <MenuItem label="View" icon=Icon::Expand key="v" test="menu-view" on_choose=move || open_panel(false) /> }.into_any()
            }}
            <MenuItem label="Edit" icon=Icon::Edit key="e" test="menu-edit" on_choose=move || open_panel(true) />
            <MenuLink label="Explore" icon=Icon::Explore href=explore />
            <MenuItem label="Inspect" icon=Icon::Info key="i" test="menu-inspect" on_choose=inspect />
            {links}
            <div class="menu-sep" role="none"></div>
            <MenuItem label="Copy link" icon=Icon::Link on_choose=copy_link />
            <MenuItem label="Download CSV" icon=Icon::Download test="menu-csv" on_choose=move || super::export::download_csv(input) />
            <div class="menu-sep" role="none"></div>
            <MenuItem label="Duplicate" icon=Icon::Copy key="p d" test="menu-duplicate" on_choose=move || board.duplicate(&key.get_value()) />
            <MenuItem label="Remove" icon=Icon::Trash danger=true key="p r" test="menu-remove" on_choose=move || board.remove(&key.get_value()) />
        </Menu>
    }
}

/// Letters on a focused panel: `e` edit, `v` view, `i` inspect, `x` explore, `p d` duplicate, `p r` remove; the rest is
/// the dashboard's.
fn panel_keys(event: &KeyboardEvent, board: Board, key: &str, input: PanelInput) {
    let typing = crate::board::keys::is_typing(event);
    if typing || event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let own = board.keys.is('p');
    if board.keys.pending() && !own {
        return;
    }
    let key = key.to_owned();
    match event.key().as_str() {
        "d" if own => board.duplicate(&key),
        "r" if own => board.remove(&key),
        _ if own => return,
        "p" => board.keys.begin('p'),
        "e" => board.url.change(Entry::Push, |url| url.edit_panel = key),
        "v" => board.url.change(Entry::Push, |url| {
            if url.view_panel == key {
                url.view_panel.clear();
            } else {
                url.view_panel = key;
            }
        }),
        "i" => board.url.change(Entry::Push, |url| url.inspect = key),
        "x" => board.url.go(&super::links::explore_address(input)),
        "Delete" if board.editing.get_untracked() => board.remove(&key),
        _ => return,
    }
    if own {
        board.keys.take();
    }
    event.prevent_default();
    event.stop_propagation();
}
