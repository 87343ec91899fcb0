//! Version history: who saved when and why, what changed, and back to it.

use super::comparison::Comparison;
use crate::memo::Show;
use crate::{
    board::Board,
    client,
    controls::{dialog::Dialog, icon::Icon, notice::use_notices},
    pages::parts::{Age, time_text::parse_rfc3339_ms},
    url_state::Entry,
};
use api::dashboards::DashboardVersion;
use leptos::{prelude::*, task::spawn_local};
use serde_json::Value;

/// The window; open while `editview=versions` is in the address.
#[component]
pub fn VersionsDialog(board: Board, again: Callback<()>) -> impl IntoView {
    let open = super::settings::open_while(board, &["versions"]);
    view! {
        <Dialog open title="Version history" wide=true test="versions-dialog">
            <Versions board again />
        </Dialog>
    }
}

#[component]
fn Versions(board: Board, again: Callback<()>) -> impl IntoView {
    let uid = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
    let list = LocalResource::new(move || {
        let uid = uid.clone();
        async move { client::dashboards::versions(&uid).await }
    });
    move || match list.get() {
        None => view! { <div class="dlg-body"><p class="mut">"Reading the versions…"</p></div> }.into_any(),
        Some(Err(error)) => {
            view! { <div class="dlg-body"><p class="hint bad" role="alert">{error.to_string()}</p></div> }.into_any()
        }
        Some(Ok(versions)) => {
            let newest = versions.first().map_or(0, |version| version.version);
            let rows =
                versions.into_iter().map(|version| view! { <Version board version newest again /> }).collect_view();
            view! { <div class="dlg-body"><ul class="card" data-t="version-list">{rows}</ul></div> }.into_any()
        }
    }
}

#[component]
fn Version(board: Board, version: DashboardVersion, newest: u64, again: Callback<()>) -> impl IntoView {
    let number = version.version;
    let open = RwSignal::new(false);
    let notices = use_notices();
    let restore = move |_| {
        let uid = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
        spawn_local(async move {
            match client::dashboards::restore_version(&uid, number).await {
                Ok(saved) => {
                    notices.done(format!("Version {number} is back, as version {}.", saved.version));
                    board.url.change(Entry::Replace, |location| location.editview.clear());
                    again.run(());
                }
                Err(error) => notices.failed(format!("Not restored: {error}")),
            }
        });
    };
    let message = if version.message.is_empty() { "No message".to_owned() } else { version.message.clone() };
    let by = version.created_by.clone();
    view! {
        <li data-t="version">
            <div class="li">
                <b class="num">{number}</b>
                <button class="btn sq" data-t="compare" aria-label=format!("Compare version {number} with what is stored") aria-expanded=move || open.get().to_string() on:click=move |_| open.update(|open| *open = !*open)>
                    {Icon::Down.view()}
                </button>
                <span class="nm">{message}</span>
                <span class="grow"></span>
                <span class="dim small">{by}</span>
                <span class="dim small"><Age at_ms=parse_rfc3339_ms(&version.created) /></span>
                {if number == newest {
                    view! { <span class="tag ok">"Now"</span> }.into_any()
                } else {
                    view! { <button class="btn out" data-t="restore" on:click=restore>"Restore"</button> }.into_any()
                }}
            </div>
            <Show when=move || open.get()>
                <Change board number />
            </Show>
        </li>
    }
}

/// What restoring this version would change.
#[component]
fn Change(board: Board, number: u64) -> impl IntoView {
    let uid = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
    let full = LocalResource::new(move || {
        let uid = uid.clone();
        async move { client::dashboards::version(&uid, number).await }
    });
    move || match full.get() {
        None => view! { <p class="hint pad">"Reading…"</p> }.into_any(),
        Some(Err(error)) => view! { <p class="hint bad pad" role="alert">{error.to_string()}</p> }.into_any(),
        Some(Ok(version)) => match version.data {
            Some(after) => {
                let before = Value::clone(&board.stored.get_untracked());
                view! { <div class="pad" data-t="version-diff"><Comparison before after /></div> }.into_any()
            }
            None => view! { <p class="hint pad">"The server keeps no data of this version."</p> }.into_any(),
        },
    }
}
