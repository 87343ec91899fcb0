//! An address that no page has.

use crate::controls::page::Page;
use crate::memo::live;
use leptos::prelude::*;

/// Says so and leads back.
#[component]
pub fn NotFound() -> impl IntoView {
    let path = crate::router::use_path();
    view! {
        <Page title="Not found">
            <div class="state" data-t="not-found">
                <b>"There is no page at this address"</b>
                <span class="mono">{live(move || path.get())}</span>
                <span class="row">
                    <a class="btn out" href="/">"Home"</a>
                    <a class="btn" href="/dashboards">"All dashboards"</a>
                </span>
            </div>
        </Page>
    }
}
