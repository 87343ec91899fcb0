//! A time as its distance from now, with the full time behind it.

use super::time_text::{format_full, format_relative, format_rfc3339, format_span, now_ms};
use crate::client::every_while_visible;
use leptos::prelude::*;

/// A clock that all relative times of a page share; it ticks every five seconds while somebody looks.
#[derive(Clone, Copy)]
pub struct Clock(RwSignal<i64>);

impl Clock {
    /// The clock of this page, made at the first call.
    pub fn here() -> Clock {
        use_context::<Clock>().unwrap_or_else(|| {
            let clock = Clock(RwSignal::new(now_ms()));
            every_while_visible(5_000, move || {
                clock.0.try_set(now_ms());
            });
            provide_context(clock);
            clock
        })
    }

    /// Unix milliseconds; tracked.
    pub fn now_ms(self) -> i64 {
        // Data may be newer than the last tick: the clock never runs behind.
        self.0.get().max(now_ms())
    }
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
    let clock = Clock::here();
    match at_ms {
        None => view! { <span class="dim">"never"</span> }.into_any(),
        Some(at_ms) => {
            let text = move || {
                let now_ms = clock.now_ms();
                if bare { format_span((now_ms - at_ms).abs()) } else { format_relative(at_ms, now_ms) }
            };
            view! { <time class="num nowrap" datetime=format_rfc3339(at_ms) title=format_full(at_ms)>{text}</time> }
                .into_any()
        }
    }
}
