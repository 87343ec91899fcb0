//! Where one was.

use crate::memo::Show;
use crate::{kept::use_kept, pages::parts::Age};
use leptos::prelude::*;

const SHOWN_MAX: usize = 5;

/// The section; absent before the first visit of anything.
#[component]
pub fn Places() -> impl IntoView {
    let kept = use_kept();
    let rows = move || {
        kept.places.with(|places| {
            places
                .iter()
                .take(SHOWN_MAX)
                .map(|place| {
                    view! {
                        <li>
                            <a class="li" href=place.url.clone()>
                                <span class="nm">{place.title.clone()} " " <span class="dim small">{place.detail.clone()}</span></span>
                                <span class="grow"></span>
                                <span class="dim num small nowrap"><Age at_ms=Some(place.at_ms) bare=true /></span>
                            </a>
                        </li>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <Show when=move || kept.places.with(|places| !places.is_empty())>
            <section>
                <h2 class="sec">"Where you were"</h2>
                <ul class="card">{rows}</ul>
            </section>
        </Show>
    }
}
