//! Bars above the panels: where one is, time, refresh, edit; below them variables and links.

use crate::memo::{Show, live, memo};
use crate::{
    board::Board,
    controls::{
        icon::{Glyph, Icon},
        popover::{Menu, MenuItem, MenuLink},
        refresh::Refresh,
        time_picker::TimePicker,
        variable_bar::VariableBar,
    },
    live::{firing_critical, use_live_alerts},
    pages::dashboard_list::Star,
    url_state::Entry,
};
use dashboard::model::{DashboardLink, LinkKind};
use leptos::prelude::*;

/// The top bar.
#[component]
pub fn Top(board: Board, title: Signal<String>, again: Callback<()>) -> impl IntoView {
    let folder = move || board.meta.with(|meta| meta.folder_title.clone());
    let uid = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
    let star =
        (!uid.is_empty()).then(|| view! { <span class="only-l"><Star uid title=title.get_untracked() /></span> });
    let editing_panel = move || board.url.with(|location| !location.edit_panel.is_empty());
    let crumb = move || {
        let key = board.url.with(|location| location.edit_panel.clone());
        if key.is_empty() {
            return view! { <h1 data-t="dashboard-title">{title}</h1> }.into_any();
        }
        let panel = board.panel(&key).map(|panel| board.fill(Some(&panel), &panel.title)).unwrap_or_default();
        let back = move |event: web_sys::MouseEvent| {
            event.prevent_default();
            board.url.change(Entry::Push, |location| location.edit_panel.clear());
        };
        view! { <a href="#" on:click=back class="ell">{title}</a><span class="sep">"/"</span><h1>{panel}</h1><span class="tag info">"Editing"</span> }.into_any()
    };
    view! {
        <header class="top" data-t="top">
            <div class="crumb">
                <Show when=move || !editing_panel() && !folder().is_empty()>
                    <a href="/dashboards" class="only-l">{folder}</a>
                    <span class="sep only-l">"/"</span>
                </Show>
                {crumb}
                {star}
                <span class="only-l"><Firing /></span>
            </div>
            <span class="grow"></span>
            <Time board />
            <crate::edit::Actions board again />
            <EditButton board />
            <More board again />
        </header>
    }
}

#[component]
fn Firing() -> impl IntoView {
    let alerts = use_live_alerts();
    let count = memo(move || alerts.data.with(|alerts| firing_critical(alerts.as_deref().unwrap_or_default())));
    view! {
        <Show when=move || count.get() != 0>
            <a class="tag crit" href="/alerts">{Glyph::Critical.view()} {live(move || count.get())} " firing"</a>
        </Show>
    }
}

#[component]
fn Time(board: Board) -> impl IntoView {
    let hidden = move || {
        board.url.with(|location| location.hide_time_picker)
            || board.dashboard.with(|dashboard| dashboard.timepicker.hidden)
    };
    let presets = Signal::derive(move || board.dashboard.with(|dashboard| dashboard.timepicker.quick_ranges.clone()));
    let offered =
        Signal::derive(move || board.dashboard.with(|dashboard| dashboard.timepicker.refresh_intervals.clone()));
    view! {
        <Show when=move || !hidden()>
            <TimePicker range=board.range span=board.span zone=board.zone presets on_change=Callback::new(move |range| board.set_range(range, Entry::Push)) />
            <span class="only-l">
                <Refresh
                    interval=board.refresh
                    offered
                    on_refresh=Callback::new(move |()| board.refresh_now())
                    on_interval=Callback::new(move |interval| board.url.change(Entry::Push, |location| location.refresh = Some(interval)))
                />
            </span>
        </Show>
    }
}

#[component]
fn EditButton(board: Board) -> impl IntoView {
    let shown = move || board.meta.with(|meta| meta.can_edit) && !board.editing.get();
    view! {
        <Show when=shown>
            <button class="btn out only-l" data-t="edit" on:click=move |_| board.editing.set(true)>
                {Icon::Edit.view()}
                "Edit"
            </button>
        </Show>
    }
}

#[component]
fn More(board: Board, again: Callback<()>) -> impl IntoView {
    let json = move || {
        let (name, text) = board.dashboard.with_untracked(|dashboard| {
            (dashboard.slug(), serde_json::to_string_pretty(dashboard.json()).unwrap_or_default())
        });
        crate::panels::export::download(&format!("{name}.json"), "application/json", &text);
    };
    let kiosk = move || board.url.change(Entry::Push, |location| location.kiosk = dashboard::url::Kiosk::Full);
    let versions = move || board.url.change(Entry::Push, |location| location.editview = "versions".to_owned());
    let settings = move || board.url.change(Entry::Push, |location| location.editview = "settings".to_owned());
    let _ = again;
    view! {
        <Menu name="More" class="btn sq" right=true trigger=ViewFn::from(|| Icon::More.view()) test="board-menu">
            <MenuItem label="Edit" icon=Icon::Edit on_choose=move || board.editing.set(true) />
            <MenuItem label="Refresh" icon=Icon::Refresh key="d r" on_choose=move || board.refresh_now() />
            <MenuItem label="Kiosk" icon=Icon::Expand key="d k" test="menu-kiosk" on_choose=kiosk />
            <div class="menu-sep" role="none"></div>
            <MenuItem label="Settings" icon=Icon::Settings key="d s" test="menu-settings" on_choose=settings />
            <MenuItem label="Version history" icon=Icon::History test="menu-versions" on_choose=versions />
            <MenuItem label="Download JSON" icon=Icon::Download on_choose=json />
        </Menu>
    }
}

/// The second bar.
#[component]
pub fn Variables(board: Board) -> impl IntoView {
    let hide_variables = move || board.url.with(|location| location.hide_variables);
    let hide_links = move || board.url.with(|location| location.hide_links);
    let panels = move || match board.dashboard.with(|dashboard| dashboard.all_panels().count()) {
        1 => "1 panel".to_owned(),
        count => format!("{count} panels"),
    };
    view! {
        <div class="vars" role="toolbar" aria-label="Variables and links">
            <Show when=move || !hide_variables()>
                <VariableBar board />
            </Show>
            <span class="grow"></span>
            <Show when=move || !hide_links()>
                <Links board />
            </Show>
            <span class="vsep only-l"></span>
            <span class="link only-l num dim">{panels}</span>
        </div>
    }
}

#[component]
fn Links(board: Board) -> impl IntoView {
    let links = move || {
        let links = board.dashboard.with(|dashboard| dashboard.links.clone());
        links
            .into_iter()
            .filter(|link| !link.in_controls_menu)
            .map(|link| view! { <OneLink board link /> })
            .collect_view()
    };
    view! { {links} }
}

#[component]
fn OneLink(board: Board, link: DashboardLink) -> impl IntoView {
    let (keep, include) = (link.keep_time, link.include_vars);
    let suffix = Signal::derive(move || crate::board::link_suffix(board, keep, include));
    let title = untrack(|| board.fill(None, &link.title));
    match link.kind {
        LinkKind::Link => {
            let base = board
                .with_scope(None, None, |scope| dashboard::interpolate::interpolate_url(&link.url, scope))
                .unwrap_or_default();
            let href = move || match (base.contains('?'), suffix.get()) {
                (true, suffix) => format!("{base}{}", suffix.replacen('?', "&", 1)),
                (false, suffix) => format!("{base}{suffix}"),
            };
            let tooltip = if link.tooltip.is_empty() { title.clone() } else { link.tooltip.clone() };
            view! {
                <a class="link" href=href title=tooltip target=link.target_blank.then_some("_blank") rel="noopener noreferrer" data-t="dashboard-link">
                    {Icon::Link.view()} {title}
                </a>
            }
            .into_any()
        }
        LinkKind::Dashboards => view! { <Tagged board link suffix title /> }.into_any(),
    }
}

/// All dashboards with the link's tags: in a menu, or side by side.
#[component]
fn Tagged(board: Board, link: DashboardLink, suffix: Signal<String>, title: String) -> impl IntoView {
    let tags = link.tags.clone();
    let found = LocalResource::new(move || {
        let tags = tags.clone();
        async move { crate::client::dashboards::search("", &tags).await.unwrap_or_default() }
    });
    let own = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
    let hits = memo(move || {
        found.get().map(|hits| hits.into_iter().filter(|hit| hit.uid != own).collect::<Vec<_>>()).unwrap_or_default()
    });
    let new_tab = link.target_blank;
    let href = move |url: String| Signal::derive(move || format!("{url}{}", suffix.get()));
    let items = move || {
        hits.get()
            .into_iter()
            .map(|hit| view! { <MenuLink label=hit.title href=href(hit.url) new_tab /> })
            .collect_view()
    };
    let name = if title.is_empty() { "Dashboards".to_owned() } else { title };
    if link.as_dropdown {
        let shown = name.clone();
        let trigger = ViewFn::from(move || view! { {Icon::Dashboards.view()} {shown.clone()} {Icon::Down.view()} });
        let empty = move || {
            hits.with(Vec::is_empty).then(|| view! { <span class="menu-item dim">"None with these tags"</span> })
        };
        return view! { <Menu name class="link" right=true trigger>{items} {empty}</Menu> }.into_any();
    }
    let flat = move || {
        hits.get()
            .into_iter()
            .map(|hit| view! { <a class="link" href=href(hit.url)>{Icon::Dashboards.view()} {hit.title}</a> })
            .collect_view()
    };
    view! { {flat} }.into_any()
}
