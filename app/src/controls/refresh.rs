//! Renewing now, and by itself.

use super::{
    icon::Icon,
    popover::{Menu, MenuItem},
};
use leptos::prelude::*;

/// A button that renews and a menu with intervals. `interval` is `30s`, `auto`, or empty for off.
#[component]
pub fn Refresh(
    #[prop(into)] interval: Signal<String>,
    #[prop(into)] offered: Signal<Vec<String>>,
    on_refresh: Callback<()>,
    on_interval: Callback<String>,
) -> impl IntoView {
    let word = move || match interval.get() {
        interval if interval.is_empty() => String::new(),
        interval if interval == "auto" => "Auto".to_owned(),
        interval => interval,
    };
    let trigger = move || view! { <span class="sr">"Refresh interval "</span><span class="num">{word}</span> {Icon::Down.view()} };
    let items = move || {
        let words = ["".to_owned(), "auto".to_owned()].into_iter().chain(offered.get());
        words
            .map(|value| {
                let label = match value.as_str() {
                    "" => "Off".to_owned(),
                    "auto" => "Auto".to_owned(),
                    other => other.to_owned(),
                };
                let (chosen, mine) = (value.clone(), value);
                let on = Signal::derive(move || interval.get() == mine);
                view! { <MenuItem label on on_choose=move || on_interval.run(chosen.clone()) /> }
            })
            .collect_view()
    };
    view! {
        <span class="seg" role="group" aria-label="Refresh">
            <button class="btn sq" aria-label="Refresh" data-t="refresh" on:click=move |_| on_refresh.run(())>
                {Icon::Refresh.view()}
            </button>
            <Menu name="Refresh interval" right=true wordy=true trigger=ViewFn::from(trigger) test="refresh-interval">
                {items}
            </Menu>
        </span>
    }
}
