//! One dashboard: loading it, its frame, and the three ways to look at it: all panels, one panel, one panel edited.

mod cell;
mod grid;
mod inspect;
mod keyboard;
mod top;

pub use grid::follow_width;

use crate::memo::{Show, memo};
use crate::{
    board::Board,
    client::{self, ClientError},
    controls::{
        icon::Icon,
        page::{Page, use_document_title},
    },
    kept::{Place, use_kept},
    panels::host::PanelHost,
    routes::use_param,
    url_state::{Entry, UrlState},
    zone::now_ms,
};
use api::dashboards::{DashboardFull, DashboardMeta};
use dashboard::{model::Dashboard as Model, url::Kiosk};
use leptos::{prelude::*, task::spawn_local};

/// The page of a stored dashboard.
#[component]
pub fn Dashboard() -> impl IntoView {
    let url = UrlState::here();
    let uid = use_param("uid");
    let answer = RwSignal::new(None::<Result<DashboardFull, ClientError>>);
    let reload = RwSignal::new(0_u32);
    Effect::new(move |_| {
        let uid = uid.get().unwrap_or_default();
        reload.track();
        answer.set(None);
        spawn_local(async move {
            let found = client::dashboards::dashboard(&uid).await;
            answer.try_set(Some(found));
        });
    });
    let again = Callback::new(move |()| reload.update(|reload| *reload += 1));
    move || match answer.get() {
        None => {
            view! { <Page title="Dashboard"><div class="state" data-t="loading">"Loading the dashboard…"</div></Page> }
                .into_any()
        }
        Some(Ok(full)) => view! { <Open model=read(full.dashboard) meta=full.meta url again /> }.into_any(),
        Some(Err(error)) => view! { <Missing error again /> }.into_any(),
    }
}

/// The page of a dashboard that is not stored yet.
#[component]
pub fn NewDashboard() -> impl IntoView {
    let url = UrlState::here();
    let meta = DashboardMeta { can_edit: true, can_save: true, ..DashboardMeta::default() };
    view! { <Open model=Model::new("", "New dashboard") meta url again=Callback::new(|()| ()) fresh=true /> }
}

/// Reads any published form of a dashboard.
fn read(json: serde_json::Value) -> Model {
    match dashboard::import::import(json.clone()) {
        Ok(import) => import.dashboard,
        // Not even a dashboard: shown as far as it can be read.
        Err(_) => Model::read(json),
    }
}

#[component]
fn Missing(error: ClientError, again: Callback<()>) -> impl IntoView {
    let (title, text) = match error.status() {
        Some(404) => ("This dashboard does not exist", "It was deleted, or the link is wrong.".to_owned()),
        Some(401 | 403) => {
            ("You may not see this dashboard", "Ask somebody with the rights to share it with you.".to_owned())
        }
        _ => ("The dashboard could not be read", error.to_string()),
    };
    view! {
        <Page title=title>
            <div class="state" data-t="not-found">
                <b>{title}</b>
                <span>{text}</span>
                <span class="row">
                    <a class="btn out" href="/dashboards">"All dashboards"</a>
                    <button class="btn" on:click=move |_| again.run(())>"Retry"</button>
                </span>
            </div>
        </Page>
    }
}

/// A dashboard that is there.
#[component]
fn Open(
    model: Model,
    meta: DashboardMeta,
    url: UrlState,
    again: Callback<()>,
    #[prop(optional)] fresh: bool,
) -> impl IntoView {
    let board = Board::open(model, meta, url);
    if fresh {
        board.editing.set(true);
    }
    let title = Signal::derive(move || board.dashboard.with(|dashboard| board.fill(None, &dashboard.title)));
    use_document_title(title);
    remember(board, title);
    hide_frame(board);
    keyboard::listen(board);
    let view_key = memo(move || url.with(|location| location.view_panel.clone()));
    let edit_key = memo(move || url.with(|location| location.edit_panel.clone()));
    let bars = move || board.kiosk() != Kiosk::Full && edit_key.with(String::is_empty);
    let body = move || {
        if !edit_key.with(String::is_empty) {
            view! { <crate::edit::PanelEditor board panel_key=edit_key.get() /> }.into_any()
        } else if !view_key.with(String::is_empty) {
            view! { <Alone board panel_key=view_key.get() /> }.into_any()
        } else {
            view! { <grid::Grid board /> }.into_any()
        }
    };
    view! {
        <Show when=move || board.kiosk() == Kiosk::Off || edit_key.with(|key| !key.is_empty())>
            <top::Top board title again />
        </Show>
        <Show when=bars>
            <top::Variables board />
        </Show>
        {body}
        <inspect::Inspector board />
    }
}

/// One panel on the whole page.
#[component]
fn Alone(board: Board, panel_key: String) -> impl IntoView {
    let missing = board.panel(&panel_key).is_none();
    let width = Signal::derive(move || board.width.get());
    let back = move |_| board.url.change(Entry::Push, |location| location.view_panel.clear());
    let place = NodeRef::new();
    follow_width(board, place);
    if missing {
        return view! {
            <div class="state" data-t="not-found">
                <b>"This panel is not on the dashboard"</b>
                <button class="btn out" on:click=back>{Icon::Left.view()} "Back to dashboard"</button>
            </div>
        }
        .into_any();
    }
    view! {
        <div class="alone" data-t="view-panel" node_ref=place>
            <PanelHost board key=panel_key width solo=true />
        </div>
    }
    .into_any()
}

/// Keeps this visit for the home page.
fn remember(board: Board, title: Signal<String>) {
    let kept = use_kept();
    Effect::new(move |_| {
        let location = board.url.with(Clone::clone);
        if location.uid.is_empty() {
            return;
        }
        let detail: Vec<String> = location
            .variables
            .iter()
            .filter(|(_, values)| values.iter().any(|value| !value.is_empty() && value != dashboard::variables::ALL))
            .map(|(name, values)| format!("{name}={}", values.join(",")))
            .collect();
        let place = Place { url: location.format(), title: title.get(), detail: detail.join(" "), at_ms: now_ms() };
        kept.visit(place);
    });
}

/// Kiosk: the rail goes away as long as this page is open.
fn hide_frame(board: Board) {
    let root = || document().document_element();
    Effect::new(move |_| {
        if let Some(root) = root() {
            let _ = match board.kiosk() {
                Kiosk::Off => root.remove_attribute("data-kiosk"),
                _ => root.set_attribute("data-kiosk", "on"),
            };
        }
    });
    on_cleanup(move || {
        if let Some(root) = root() {
            let _ = root.remove_attribute("data-kiosk");
        }
    });
}
