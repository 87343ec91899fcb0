//! The time range of a pane: what people type, presets, shifting and zooming.

use super::{PaneState, answers::with_calendar};
use crate::memo::{Memo, live, memo};
use crate::{
    controls::{
        icon::Icon,
        popover::{ClosePopover, Popover},
    },
    pages::parts::time_text::now_ms,
};
use dashboard::{
    time_range::{QUICK_RANGES, Span, TimeRange, format_local, parse_phrase},
    url::ExplorePane,
};
use leptos::prelude::*;

/// Of the presets, those that fit into one look.
const PRESETS: usize = 11;

#[component]
pub fn RangeBar(pane: PaneState, now: Memo<ExplorePane>, again: Trigger) -> impl IntoView {
    let range = memo(move || now.with(|pane| pane.range.clone()));
    let words = move || range.with(|range| with_calendar(|calendar| range.describe_in(now_ms(), calendar)));
    let step = move |change: fn(&Span) -> Span| {
        let span = range.with_untracked(|range| with_calendar(|calendar| range.resolve(now_ms(), calendar)));
        if let Ok(span) = span {
            pane.set_range(TimeRange::absolute(change(&span)));
        }
    };
    let trigger = move || {
        view! {
            {Icon::Clock.view()}
            <span class="sr">"Time range: "</span>
            <span data-t="range-words">{words}</span>
            {Icon::Down.view()}
        }
    };
    view! {
        <span class="seg">
            <button class="btn sq" aria-label="Earlier" data-t="shift-back" on:click=move |_| step(|span| span.shift(-1))>
                {Icon::Left.view()}
            </button>
            <Popover name="Time range" wordy=true trigger=trigger.into() class="btn ex-range" pop_class="pop menu right ex-range-pop" test="range">
                <Choices pane=pane range=range />
            </Popover>
            <button class="btn sq" aria-label="Later" data-t="shift-forward" on:click=move |_| step(|span| span.shift(1))>
                {Icon::Right.view()}
            </button>
            <button class="btn sq" aria-label="Zoom out" data-t="zoom-out" on:click=move |_| step(Span::zoom_out)>
                {Icon::ZoomOut.view()}
            </button>
            <button class="btn sq" aria-label="Refresh" data-t="refresh" on:click=move |_| again.notify()>
                {Icon::Refresh.view()}
            </button>
        </span>
    }
}

#[component]
fn Choices(pane: PaneState, range: Memo<TimeRange>) -> impl IntoView {
    let close = expect_context::<ClosePopover>();
    let typed = RwSignal::new(range.with_untracked(|range| format!("{} to {}", range.from, range.to)));
    let read = move || typed.with(|text| with_calendar(|calendar| parse_phrase(text, now_ms(), calendar)));
    let says = move || match read() {
        Ok(range) => match with_calendar(|calendar| range.resolve(now_ms(), calendar)) {
            Ok(span) => with_calendar(|calendar| {
                (false, format!("{} → {}", format_local(span.from_ms, calendar), format_local(span.to_ms, calendar)))
            }),
            Err(error) => (true, error.to_string()),
        },
        Err(error) => (true, error.to_string()),
    };
    let apply = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if let Ok(range) = untrack(read) {
            pane.set_range(range);
            close.close();
        }
    };
    let preset = move |(from, to, word): &'static (&'static str, &'static str, &'static str)| {
        let on = range.with_untracked(|range| range.from == *from && range.to == *to);
        let pick = move |_| {
            pane.set_range(TimeRange::new(from, to));
            close.close();
        };
        view! { <button class="menu-item" class:on=on on:click=pick>{*word}</button> }
    };
    view! {
        <form class="ex-range-form" on:submit=apply>
            <input
                class="inp"
                type="text"
                aria-label="Time range, for example yesterday 14:00 for 2h"
                data-t="range-input"
                spellcheck="false"
                prop:value=typed
                aria-invalid=move || says().0.to_string()
                on:input=move |event| typed.set(event_target_value(&event))
            />
            <p class="hint" class:bad=move || says().0>{live(move || says().1)}</p>
        </form>
        <div class="menu-sep"></div>
        {QUICK_RANGES.iter().take(PRESETS).map(preset).collect_view()}
    }
}
