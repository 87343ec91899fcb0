//! A time as its distance from now, with the full time behind it.

use super::time_text::{format_full, format_relative, format_rfc3339, format_span, now_ms};
use leptos::prelude::*;
use std::time::Duration;

/// How often relative times move on.
const TICK: Duration = Duration::from_secs(5);

thread_local! {
    static CLOCK: ArcRwSignal<i64> = {
        let clock = ArcRwSignal::new(now_ms());
        let ticking = clock.clone();
        // It lives as long as the program, for some page always shows an age.
        let tick = move || {
            if !document().hidden() {
                ticking.set(now_ms());
            }
        };
        // A browser without timers shows the ages of the moment.
        let _ = set_interval_with_handle(tick, TICK);
        clock
    };
}

/// Unix milliseconds, tracked: whoever reads it is drawn again every five seconds while somebody looks.
fn clock_ms() -> i64 {
    // Data may be newer than the last tick: the clock never runs behind.
    CLOCK.with(ArcRwSignal::clone).get().max(now_ms())
}

/// `14 min ago`, or without `ago` as a plain span; the title has the full time.
#[component]
pub fn Age(
    /// Unix milliseconds; `None` is shown as `never`.
    at_ms: Option<i64>,
    /// Show the span alone: `14 min`.
    #[prop(optional)]
    bare: bool,
) -> impl IntoView {
    match at_ms {
        None => view! { <span class="dim">"never"</span> }.into_any(),
        Some(at_ms) => {
            let text = move || {
                let now_ms = clock_ms();
                if bare { format_span((now_ms - at_ms).abs()) } else { format_relative(at_ms, now_ms) }
            };
            view! { <time class="num nowrap" datetime=format_rfc3339(at_ms) title=format_full(at_ms)>{text}</time> }
                .into_any()
        }
    }
}
