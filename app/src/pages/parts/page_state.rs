//! What a page shows before, instead of, and beside its data.

use crate::memo::memo;
use crate::{
    client::{ClientError, Polled},
    controls::icon::{Glyph, Icon},
};
use leptos::prelude::*;

/// Shows its children as soon as there are data; before that faint lines, or why there are none and a way to try again.
/// Once shown the children stay: a later fault is a line above them.
#[component]
pub fn Await<T: Send + Sync + 'static>(
    of: Polled<T>,
    /// Says what failed: `The targets could not be read`.
    fault: &'static str,
    children: ChildrenFn,
) -> impl IntoView {
    let has_data = memo(move || of.data.with(Option::is_some));
    let failed = memo(move || of.error.with(Option::is_some));
    move || {
        if has_data.get() {
            view! {
                <StaleNote error=of.error />
                {children()}
            }
            .into_any()
        } else if failed.get() {
            let error = move || of.error.get().map(|error| error.to_string());
            view! {
                <div class="card ops-state" role="alert" data-t="error">
                    {Glyph::Critical.view()}
                    <b>{fault}</b>
                    <p class="mono small">{error}</p>
                    <button class="btn out" data-t="retry" on:click=move |_| of.reload()>
                        {Icon::Refresh.view()}
                        "Retry"
                    </button>
                </div>
            }
            .into_any()
        } else {
            view! { <Skeleton /> }.into_any()
        }
    }
}

/// Faint lines where the data will stand.
#[component]
pub fn Skeleton() -> impl IntoView {
    view! {
        <div class="card ops-skeleton" role="status" data-t="loading">
            <span class="sr">"Loading"</span>
            {(0..6).map(|_| view! { <i></i> }).collect_view()}
        </div>
    }
}

/// A later load failed: the old data stay, and this line says so.
#[component]
pub fn StaleNote(error: ReadSignal<Option<ClientError>>) -> impl IntoView {
    move || {
        let error = error.get()?.to_string();
        Some(view! {
            <p class="ops-stale" role="status" data-t="stale">
                {Glyph::Warning.view()}
                <span>"Not updated: " {error}</span>
            </p>
        })
    }
}

/// Nothing to show: why, and what to do about it.
#[component]
pub fn EmptyState(
    #[prop(optional)] glyph: Option<Glyph>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional, into)] text: Option<Signal<String>>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="card ops-state" data-t="empty">
            {glyph.map(Glyph::view)}
            <b>{title}</b>
            {text.map(|text| view! { <p>{text}</p> })}
            {children.map(|children| children())}
        </div>
    }
}
