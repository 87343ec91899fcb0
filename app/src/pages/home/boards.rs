//! The starred dashboards, or all while nothing is starred, each with the course of its first number.

use crate::{
    client::{self, use_polled},
    kept::use_kept,
    pages::dashboard_list::Star,
};
use api::dashboards::SearchHit;
use leptos::prelude::*;

const INTERVAL_MS: u32 = 60_000;
const SHOWN_MAX: usize = 6;

/// The section.
#[component]
pub fn Boards() -> impl IntoView {
    let kept = use_kept();
    let list = use_polled(INTERVAL_MS, || client::dashboards::search("", &[]));
    let any_star = Memo::new(move |_| {
        list.data.with(|hits| hits.as_deref().unwrap_or_default().iter().any(|hit| kept.is_starred(&hit.uid) || hit.is_starred))
    });
    let shown = Memo::new(move |_| {
        list.data.with(|hits| {
            let hits = hits.as_deref().unwrap_or_default().iter();
            let starred = hits.filter(|hit| !any_star.get() || hit.is_starred || kept.is_starred(&hit.uid));
            starred.take(SHOWN_MAX).cloned().collect::<Vec<_>>()
        })
    });
    let title = move || if any_star.get() { "Starred" } else { "Dashboards" };
    view! {
        <section>
            <h2 class="sec">
                {title} <span class="grow"></span> <a href="/dashboards">"All dashboards"</a>
            </h2>
            <ul class="boards" data-t="home-boards">
                <For each=move || shown.get() key=|hit| hit.uid.clone() let:hit>
                    <Board hit />
                </For>
            </ul>
        </section>
    }
}

#[component]
fn Board(hit: SearchHit) -> impl IntoView {
    view! {
        <li class="card board">
            <div class="row">
                <a class="nm ell" href=hit.url.clone()>{hit.title.clone()}</a>
                <span class="grow"></span>
                <Star uid=hit.uid.clone() title=hit.title.clone() />
            </div>
            <span class="dim small">{hit.folder_title.clone()}</span>
        </li>
    }
}
