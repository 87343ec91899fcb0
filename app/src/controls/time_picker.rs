//! The time range: one field that understands phrases, two fields for the ends, presets, steps to the side.

use super::{
    icon::Icon,
    popover::{ClosePopover, Popover},
};
use crate::memo::{live, memo};
use crate::zone::{Zone, now_ms};
use dashboard::{
    calendar::Calendar,
    interval::format_interval,
    model::QuickRange,
    time_range::{Span, TimeRange, parse_phrase},
};
use leptos::prelude::*;

/// Offered where the dashboard names none.
const PRESETS: [(&str, &str); 14] = [
    ("now-5m", "now"),
    ("now-15m", "now"),
    ("now-30m", "now"),
    ("now-1h", "now"),
    ("now-3h", "now"),
    ("now-6h", "now"),
    ("now-12h", "now"),
    ("now-24h", "now"),
    ("now-2d", "now"),
    ("now-7d", "now"),
    ("now-30d", "now"),
    ("now/d", "now/d"),
    ("now-1d/d", "now-1d/d"),
    ("now/w", "now"),
];

/// Button, steps and the window with the fields. `span` is what the range comes to now.
#[component]
pub fn TimePicker(
    #[prop(into)] range: Signal<TimeRange>,
    #[prop(into)] span: Signal<Span>,
    #[prop(into)] zone: Signal<Zone>,
    #[prop(optional, into)] presets: Signal<Vec<QuickRange>>,
    on_change: Callback<TimeRange>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let words = move || {
        let range = range.get();
        zone.with(|zone| zone.with_calendar(|calendar| range.describe_in(now_ms(), calendar)))
    };
    let step = move |new: Span| on_change.run(TimeRange::absolute(new));
    let trigger = move || {
        view! {
            {Icon::Clock.view()}
            <span class="sr">"Time range: "</span>
            <span>{words}</span>
            <span class="dim only-l">{live(move || zone.with(|zone| zone.word().to_owned()))}</span>
            {Icon::Down.view()}
        }
    };
    view! {
        <span class="seg" role="group" aria-label="Time range">
            <button class="btn sq only-l" aria-label="Shift back" data-t="time-back" on:click=move |_| step(span.get_untracked().shift(-1))>
                {Icon::Left.view()}
            </button>
            <Popover
                name=Signal::derive(move || format!("Time range: {}", words()))
                trigger=ViewFn::from(trigger)
                pop_class="pop timepick"
                test="time-picker"
                wordy=true
                open
            >
                <Fields range span zone on_change />
                <Presets range presets on_change />
            </Popover>
            <button class="btn sq only-l" aria-label="Shift forward" data-t="time-forward" on:click=move |_| step(span.get_untracked().shift(1))>
                {Icon::Right.view()}
            </button>
            <button class="btn sq only-l" aria-label="Zoom out" data-t="time-zoom-out" on:click=move |_| step(span.get_untracked().zoom_out())>
                {Icon::ZoomOut.view()}
            </button>
        </span>
    }
}

/// What a text means now: the range and its ends, or what is wrong.
fn understand(text: &str, zone: &Zone) -> Result<(TimeRange, Span), String> {
    zone.with_calendar(|calendar| {
        let now = now_ms();
        let range = parse_phrase(text, now, calendar).map_err(|error| error.to_string())?;
        let span = range.resolve(now, calendar).map_err(|error| error.to_string())?;
        Ok((range, span))
    })
}

fn ends(from: &str, to: &str, zone: &Zone) -> Result<(TimeRange, Span), String> {
    zone.with_calendar(|calendar| {
        let range = TimeRange::new(from.trim(), to.trim());
        let span = range.resolve(now_ms(), calendar).map_err(|error| error.to_string())?;
        Ok((range, span))
    })
}

fn told(span: Span, zone: &Zone) -> String {
    zone.with_calendar(|calendar: &Calendar<'_>| {
        let end = |ms| dashboard::time_range::format_local(ms, calendar);
        let length = format_interval((span.length_ms() / 1000).max(1) * 1000);
        format!("{} → {} {} · {length}", end(span.from_ms), end(span.to_ms), zone.word())
    })
}

#[component]
fn Fields(
    range: Signal<TimeRange>,
    span: Signal<Span>,
    zone: Signal<Zone>,
    on_change: Callback<TimeRange>,
) -> impl IntoView {
    let close = use_context::<ClosePopover>();
    let phrase = RwSignal::new(String::new());
    let first = range.get_untracked();
    let shown = |text: &str| {
        // Epoch milliseconds are for addresses; people read dates.
        match text.parse::<i64>() {
            Ok(ms) => zone.with_untracked(|zone| {
                zone.with_calendar(|calendar| dashboard::time_range::format_local(ms, calendar))
            }),
            Err(_) => text.to_owned(),
        }
    };
    let from = RwSignal::new(shown(&first.from));
    let to = RwSignal::new(shown(&first.to));
    let wanted = memo(move || {
        let zone = zone.get();
        let text = phrase.get();
        if text.trim().is_empty() { ends(&from.get(), &to.get(), &zone) } else { understand(&text, &zone) }
    });
    let note = move || match wanted.get() {
        Ok((_, span)) => {
            view! { <p class="hint num" data-t="time-resolved">{zone.with(|zone| told(span, zone))}</p> }.into_any()
        }
        Err(fault) => view! { <p class="hint bad" data-t="time-fault" role="alert">{fault}</p> }.into_any(),
    };
    let apply = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if let Ok((range, span)) = wanted.get_untracked() {
            // Dates typed in the viewer's zone become instants: a link shows the same everywhere.
            on_change.run(if range.is_relative() { range } else { TimeRange::absolute(span) });
            if let Some(close) = close {
                close.close();
            }
        }
    };
    let _ = span;
    view! {
        <form class="timepick-left" on:submit=apply>
            <h2 class="sec">"Time range"</h2>
            <label class="fld">
                <span class="sr">"Time range in words"</span>
                <input
                    autofocus
                    placeholder="yesterday 14:00 for 2h"
                    data-t="time-phrase"
                    prop:value=phrase
                    on:input=move |event| phrase.set(event_target_value(&event))
                />
                <kbd>"↵"</kbd>
            </label>
            <div class="two">
                <label>
                    <span>"From"</span>
                    <input class="inp num" data-t="time-from" prop:value=from on:input=move |event| { phrase.set(String::new()); from.set(event_target_value(&event)) } />
                </label>
                <label>
                    <span>"To"</span>
                    <input class="inp num" data-t="time-to" prop:value=to on:input=move |event| { phrase.set(String::new()); to.set(event_target_value(&event)) } />
                </label>
            </div>
            {note}
            <div class="row">
                <span class="grow"></span>
                <button class="btn pri" data-t="time-apply" disabled=move || wanted.with(Result::is_err)>"Apply"</button>
            </div>
        </form>
    }
}

#[component]
fn Presets(
    range: Signal<TimeRange>,
    presets: Signal<Vec<QuickRange>>,
    on_change: Callback<TimeRange>,
) -> impl IntoView {
    let close = use_context::<ClosePopover>();
    let items = move || {
        let now = range.get();
        let own = presets.get();
        let all: Vec<(TimeRange, String)> = if own.is_empty() {
            PRESETS
                .iter()
                .map(|(from, to)| TimeRange::new(from, to))
                .map(|range| (range.clone(), range.describe()))
                .collect()
        } else {
            own.into_iter().map(|preset| (TimeRange::new(&preset.from, &preset.to), preset.display)).collect()
        };
        all.into_iter()
            .map(|(range, word)| {
                let current = (range == now).then_some("true");
                let choose = move |_| {
                    on_change.run(range.clone());
                    if let Some(close) = close {
                        close.close();
                    }
                };
                view! { <button type="button" class="preset" aria-current=current on:click=choose>{word}</button> }
            })
            .collect_view()
    };
    view! { <div class="timepick-right">{items}</div> }
}
