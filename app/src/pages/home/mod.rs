//! What needs attention, the dashboards at hand, the server's health, where one was.

mod attention;
mod boards;
mod counts;
mod places;
mod server;

use crate::controls::{icon::Icon, page::Page};
use crate::router::{self, Go};
use leptos::prelude::*;

/// The page.
#[component]
pub fn Home() -> impl IntoView {
    let actions = || {
        view! {
            <a class="btn out" href="/dashboard/new" data-t="new-dashboard">
                {Icon::Plus.view()}
                "New dashboard"
            </a>
        }
    };
    view! {
        <Page title="Home" actions=actions>
            <div class="home">
                <div class="home-main">
                    <Find />
                    <counts::Counts />
                    <attention::Attention />
                    <boards::Boards />
                </div>
                <div class="home-side">
                    <server::Server />
                    <places::Places />
                </div>
            </div>
        </Page>
    }
}

/// The search field; Enter opens the list of dashboards.
#[component]
fn Find() -> impl IntoView {
    let text = RwSignal::new(String::new());
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let query = crate::pages::parts::address::query_text(&[("query".to_owned(), text.get_untracked())]);
        router::go(&format!("/dashboards{query}"), Go::Visit);
    };
    view! {
        <form class="ask" role="search" on:submit=submit>
            {Icon::Search.view()}
            <input
                type="search"
                aria-label="Find a dashboard"
                placeholder="Find a dashboard"
                data-t="home-find"
                prop:value=text
                on:input=move |event| text.set(event_target_value(&event))
            />
            <kbd class="only-l">"↵"</kbd>
        </form>
    }
}

/// A value with its unit.
fn text(value: f64, unit: &str) -> String {
    dashboard::units::format_text(value, unit, None)
}
