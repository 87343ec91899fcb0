//! "Not connected, retrying": what is on the screen stays there.

use crate::memo::Show;
use crate::{client::connection, controls::icon::Glyph};
use leptos::prelude::*;

/// The bar at the bottom while the server does not answer.
#[component]
pub fn ConnectionBar() -> impl IntoView {
    let lost = connection::lost();
    view! {
        <div role="status" aria-live="polite">
            <Show when=move || lost.get()>
                <div class="offline" data-t="offline">
                    {Glyph::Warning.view()}
                    <span>"Not connected, retrying. What you see is the last answer."</span>
                </div>
            </Show>
        </div>
    }
}
