//! What a page shows before, instead of, and beside its data.

use crate::controls::icon::{Glyph, Icon};
use leptos::prelude::*;

/// Faint lines where the data will stand.
#[component]
pub fn Skeleton(#[prop(default = 6)] lines: usize) -> impl IntoView {
    view! {
        <div class="card ops-skeleton" role="status" data-t="loading">
            <span class="sr">"Loading"</span>
            {(0..lines).map(|_| view! { <i></i> }).collect_view()}
        </div>
    }
}

/// The first load failed: why, and a way to try again.
#[component]
pub fn ErrorState(#[prop(into)] what: String, #[prop(into)] error: Signal<String>, retry: Callback<()>) -> impl IntoView {
    view! {
        <div class="card ops-state" role="alert" data-t="error">
            {Glyph::Critical.view()}
            <b>{what}</b>
            <p class="mono small">{error}</p>
            <button class="btn out" data-t="retry" on:click=move |_| retry.run(())>
                {Icon::Refresh.view()}
                "Retry"
            </button>
        </div>
    }
}

/// A later load failed: the old data stay, and this line says so.
#[component]
pub fn StaleNote(error: RwSignal<Option<String>>, #[prop(into)] has_data: Signal<bool>) -> impl IntoView {
    move || {
        let error = error.get().filter(|_| has_data.get())?;
        Some(view! {
            <p class="ops-stale" role="status" data-t="stale">
                {Glyph::Warning.view()}
                <span>"Not updated: " {error}</span>
            </p>
        })
    }
}
