//! Lines over time with a crosshair, and a legend that is a table.

use super::{
    PaneState,
    answers::{Answers, with_calendar},
};
use crate::memo::{live, memo};
use crate::pages::parts::{
    quantity::{format_value, say, ticks},
    sparkline::Line,
    time_text::format_rfc3339,
};
use dashboard::sorting::Order;
use dashboard::{
    calendar,
    legend::{differing_labels, selector},
    time_range::{Span, TimeRange, format_local},
};
use leptos::{html, prelude::*};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use web_sys::{KeyboardEvent, PointerEvent};

/// Lines drawn: more are a carpet. All of them are in the table.
const LINES_MAX: usize = 100;
/// Lines named beside the crosshair.
const TIP_MAX: usize = 10;
/// A shorter drag is a press with a trembling hand.
const DRAG_PX_MIN: f64 = 6.0;

/// One line with its name and colour.
#[derive(Clone, Debug)]
struct Drawn {
    /// The labels in which it differs from the others.
    name: String,
    /// All its labels.
    whole: String,
    color: String,
    dashes: &'static str,
    points: Vec<(i64, f64)>,
}

/// The n-th colour of the palette, with dashes from the ninth line on.
fn look(at: usize) -> (String, &'static str) {
    let dashes = match at {
        0..8 => "",
        8..16 => "7 4",
        _ => "2 3",
    };
    (format!("var(--c{})", at % 12 + 1), dashes)
}

fn drawn(answers: &Answers) -> Vec<Drawn> {
    let several = answers.queries.len() > 1;
    let lines = answers.lines();
    let metrics: Vec<&BTreeMap<String, String>> = lines.iter().map(|(_, series)| &series.metric).collect();
    let differing = differing_labels(&metrics);
    lines
        .iter()
        .take(LINES_MAX)
        .enumerate()
        .map(|(at, (query, series))| {
            // What all lines share says nothing about one of them.
            let own = |name: &String| name == "__name__" && several || differing.contains(&name.as_str());
            let labels: BTreeMap<String, String> = series
                .metric
                .iter()
                .filter(|(name, _)| own(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let whole = if series.metric.is_empty() { query.expr.clone() } else { selector(&series.metric) };
            let name = if labels.is_empty() { whole.clone() } else { selector(&labels) };
            let (color, dashes) = look(at);
            Drawn {
                whole,
                name: if several { format!("{}: {name}", query.name) } else { name },
                color,
                dashes,
                points: series.values.iter().map(|point| (point.timestamp_ms, point.value)).collect(),
            }
        })
        .collect()
}

/// Lengths between labels of the time axis.
const TIME_STEPS_MS: [i64; 21] = [
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    2_592_000_000,
];

/// Round local times within the span, seven at most.
fn time_ticks(span: Span) -> Vec<(i64, String)> {
    let step_ms = TIME_STEPS_MS.into_iter().find(|step| span.length_ms() / step <= 7).unwrap_or(31_536_000_000);
    with_calendar(|calendar| {
        let offset_ms = (calendar.offset_ms)(span.from_ms);
        let first = (span.from_ms + offset_ms + step_ms - 1).div_euclid(step_ms) * step_ms - offset_ms;
        let pattern = match step_ms {
            0..60_000 => "HH:mm:ss",
            60_000..86_400_000 => "HH:mm",
            _ => "MM-DD",
        };
        let word = |at_ms: i64| calendar::format(calendar.civil(at_ms), (calendar.offset_ms)(at_ms), pattern);
        (0..8)
            .map(|at| first + at * step_ms)
            .take_while(|at_ms| *at_ms <= span.to_ms)
            .map(|at_ms| (at_ms, word(at_ms)))
            .collect()
    })
}

#[component]
pub fn GraphView(answers: Answers, pane: PaneState) -> impl IntoView {
    let span = answers.span;
    let total = answers.lines().len();
    let unit = answers.unit();
    let all = Arc::new(drawn(&answers));
    let only = RwSignal::new(BTreeSet::<usize>::new());
    let shown = {
        let all = all.clone();
        Memo::new_with_compare(
            move |_| {
                let only = only.get();
                let keep = |at: &usize| only.is_empty() || only.contains(at);
                (0..all.len()).filter(keep).collect::<Vec<usize>>()
            },
            |before, after| before != after,
        )
    };
    let plot = NodeRef::<html::Div>::new();
    // Where the crosshair stands, Unix milliseconds.
    let cross = RwSignal::new(None::<i64>);
    let dragged = RwSignal::new(None::<(f64, f64)>);
    // All lines share one window, whose edges the shown ones set.
    let window = {
        let all = all.clone();
        memo(move || {
            let points = shown.get().into_iter().filter_map(|at| all.get(at)).flat_map(|line| line.points.clone());
            Line { points: points.collect(), threshold: None, start_ms: span.from_ms, end_ms: span.to_ms }.window()
        })
    };
    let lines = {
        let all = all.clone();
        move || {
            let window = window.get();
            let path = |at: usize| {
                let line = all.get(at)?;
                let scaled =
                    Line { points: line.points.clone(), threshold: None, start_ms: span.from_ms, end_ms: span.to_ms };
                let style = format!("stroke:{};stroke-dasharray:{}", line.color, line.dashes);
                Some(view! { <path class="spark-line" style=style d=scaled.path_in(window) /> })
            };
            shown.get().into_iter().filter_map(path).collect_view()
        }
    };
    let grid = move || {
        let window = window.get();
        ticks(window.low, window.high, 6, unit)
            .into_iter()
            .map(|value| view! { <path class="course-grid" d=format!("M0 {:.2}H1000", window.y(value)) /> })
            .collect_view()
    };
    let y_words = move || {
        let window = window.get();
        ticks(window.low, window.high, 6, unit)
            .into_iter()
            .map(|value| view! { <span style=format!("top:{:.2}%", window.y(value))>{short(value, unit)}</span> })
            .collect_view()
    };
    let x_of = move |at_ms: i64| (at_ms - span.from_ms) as f64 / span.length_ms().max(1) as f64 * 100.0;
    let x_words = time_ticks(span).into_iter().map(|(at_ms, word)| {
        let x = x_of(at_ms);
        let class = if x < 3.0 {
            "first"
        } else if x > 94.0 {
            "last"
        } else {
            ""
        };
        view! { <span class=class style=format!("left:{x:.2}%")>{word}</span> }
    });
    let share = move |event: &PointerEvent| {
        let rect = plot.get_untracked()?.get_bounding_client_rect();
        Some(((f64::from(event.client_x()) - rect.left()) / rect.width().max(1.0)).clamp(0.0, 1.0))
    };
    let time_at = move |share: f64| span.from_ms + (share * span.length_ms() as f64) as i64;
    // The crosshair stands on a time that has a value.
    let nearest = {
        let all = all.clone();
        move |at_ms: i64| {
            let times = all.iter().flat_map(|line| {
                let at = line.points.partition_point(|(time, _)| *time < at_ms);
                [at.checked_sub(1), Some(at)]
                    .into_iter()
                    .flatten()
                    .filter_map(|at| line.points.get(at).map(|(time, _)| *time))
            });
            times.min_by_key(|time| (time - at_ms).abs())
        }
    };
    let nearest = StoredValue::new(nearest);
    let step_ms = answers.step_ms.max(1);
    let moved = move |event: PointerEvent| {
        let Some(share) = share(&event) else { return };
        if let Some((from, _)) = dragged.get_untracked() {
            dragged.set(Some((from, share)));
        }
        cross.set(nearest.with_value(|nearest| nearest(time_at(share))));
    };
    let pressed = move |event: PointerEvent| {
        // Touch scrolls the page; only a mouse or a pen draws a range.
        if event.button() == 0 && event.pointer_type() != "touch" {
            dragged.set(share(&event).map(|share| (share, share)));
        }
    };
    let released = move |_: PointerEvent| {
        let Some((from, to)) = dragged.get_untracked() else { return };
        dragged.set(None);
        let width = plot.get_untracked().map_or(0.0, |plot| plot.get_bounding_client_rect().width());
        if (to - from).abs() * width >= DRAG_PX_MIN {
            let (from, to) = (from.min(to), from.max(to));
            pane.set_range(TimeRange::absolute(Span { from_ms: time_at(from), to_ms: time_at(to) }));
        }
    };
    let keys = move |event: KeyboardEvent| {
        let steps = if event.shift_key() { 10 } else { 1 };
        let at_ms = cross.get_untracked().unwrap_or(span.to_ms);
        let to_ms = match event.key().as_str() {
            "ArrowLeft" => at_ms - steps * step_ms,
            "ArrowRight" => at_ms + steps * step_ms,
            "Home" => span.from_ms,
            "End" => span.to_ms,
            "Escape" => {
                dragged.set(None);
                return cross.set(None);
            }
            _ => return,
        };
        event.prevent_default();
        cross.set(nearest.with_value(|nearest| nearest(to_ms.clamp(span.from_ms, span.to_ms))));
    };
    // Name, value and colour of the lines at the crosshair, the largest first.
    let at_cross = {
        let all = all.clone();
        Memo::new_with_compare(
            move |_| {
                let at_ms = cross.get()?;
                let value = |at: usize| {
                    let line = all.get(at)?;
                    let found = line.points.binary_search_by_key(&at_ms, |(time, _)| *time).ok()?;
                    Some((line.name.clone(), line.points.get(found)?.1, line.color.clone()))
                };
                let mut values: Vec<_> = shown.get().into_iter().filter_map(value).collect();
                values.order_by(|a, b| b.1.total_cmp(&a.1));
                Some((at_ms, values))
            },
            |_, _| true,
        )
    };
    let tip = move || {
        let (at_ms, values) = at_cross.get()?;
        let window = window.get();
        let x = x_of(at_ms);
        let more = values.len().saturating_sub(TIP_MAX);
        let dots: Vec<_> = values
            .iter()
            .filter(|(_, value, _)| value.is_finite())
            .take(TIP_MAX)
            .map(|(_, value, color)| {
                view! { <i class="ex-dot" style=format!("left:{x:.2}%;top:{:.2}%;background:{color}", window.y(*value))></i> }
            })
            .collect();
        let rows: Vec<_> = values
            .into_iter()
            .take(TIP_MAX)
            .map(|(name, value, color)| {
                view! { <li><i style=format!("background:{color}")></i><span class="ell">{name}</span><b class="num">{short(value, unit)}</b></li> }
            })
            .collect();
        let side = if x > 55.0 { format!("right:{:.2}%", 100.0 - x + 1.5) } else { format!("left:{:.2}%", x + 1.5) };
        Some(view! {
            <i class="ex-cross" style=format!("left:{x:.2}%")></i>
            {dots}
            <div class="ex-tip" style=side data-t="tip">
                <p class="num dim">{with_calendar(|calendar| format_local(at_ms, calendar))}</p>
                <ul>{rows}</ul>
                {(more > 0).then(|| view! { <p class="dim">{format!("and {more} more")}</p> })}
            </div>
        })
    };
    let selection = move || {
        let (from, to) = dragged.get()?;
        let (left, right) = (from.min(to) * 100.0, from.max(to) * 100.0);
        Some(view! { <i class="ex-selection" style=format!("left:{left:.2}%;width:{:.2}%", right - left)></i> })
    };
    let spoken = move || {
        let (at_ms, values) = at_cross.get()?;
        let first: Vec<_> =
            values.iter().take(3).map(|(name, value, _)| format!("{name} {}", short(*value, unit))).collect();
        Some(format!("{}: {}", with_calendar(|calendar| format_local(at_ms, calendar)), first.join(", ")))
    };
    let says = format!(
        "{total} series from {} to {}. Arrow keys read the values.",
        format_rfc3339(span.from_ms),
        format_rfc3339(span.to_ms)
    );
    view! {
        <div class="card ex-graph" data-t="graph">
            {(total > LINES_MAX).then(|| {
                view! { <p class="hint">{format!("{LINES_MAX} of {total} series are drawn; narrow the query or use topk to choose them")}</p> }
            })}
            <div class="ex-chart">
                <div class="course-y num">{y_words}</div>
                <div
                    class="ex-plot"
                    node_ref=plot
                    tabindex="0"
                    role="application"
                    aria-roledescription="chart"
                    aria-label=says
                    on:pointermove=moved
                    on:pointerdown=pressed
                    on:pointerup=released
                    on:pointerleave=move |_| { cross.set(None); dragged.set(None); }
                    on:keydown=keys
                    on:blur=move |_| cross.set(None)
                >
                    <svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
                        {grid}
                        {lines}
                    </svg>
                    {selection}
                    {tip}
                </div>
                <div class="ex-x num">{x_words.collect_view()}</div>
            </div>
            <p class="sr" role="status">{spoken}</p>
            <Legend all=all only=only cross=cross unit=unit />
        </div>
    }
}

/// A value for an axis or a tip: with its unit, or where that is not known with `k`, `M`, `G` above ten thousand.
fn short(value: f64, unit: &str) -> String {
    if !unit.is_empty() {
        return say(value, unit);
    }
    let magnitude = value.abs();
    for (unit, factor) in [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)] {
        if magnitude >= factor * 10.0 || (magnitude >= factor && factor > 1e3) {
            return format!("{}\u{202f}{unit}", format_value(value / factor));
        }
    }
    format_value(value)
}

/// Last, smallest and largest value of each line; a press shows one line alone, with Ctrl it adds or takes away one.
#[component]
fn Legend(
    all: Arc<Vec<Drawn>>,
    only: RwSignal<BTreeSet<usize>>,
    cross: RwSignal<Option<i64>>,
    unit: &'static str,
) -> impl IntoView {
    let row = |(at, line): (usize, &Drawn)| {
        let values = line.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let low = values.clone().fold(f64::NAN, f64::min);
        let high = values.clone().fold(f64::NAN, f64::max);
        let points = line.points.clone();
        let now = move || {
            let found = match cross.get() {
                Some(at_ms) => {
                    points.binary_search_by_key(&at_ms, |(time, _)| *time).ok().and_then(|at| points.get(at))
                }
                None => points.last(),
            };
            found.map(|(_, value)| short(*value, unit))
        };
        let choose = move |event: web_sys::MouseEvent| {
            only.update(|only| {
                let alone = only.len() == 1 && only.contains(&at);
                if event.ctrl_key() || event.meta_key() {
                    if !only.remove(&at) {
                        only.insert(at);
                    }
                } else {
                    only.clear();
                    if !alone {
                        only.insert(at);
                    }
                }
            });
        };
        let on = move || only.with(|only| only.is_empty() || only.contains(&at));
        let swatch = if line.dashes.is_empty() {
            format!("background:{}", line.color)
        } else {
            format!("background:repeating-linear-gradient(90deg,{0} 0 4px,transparent 4px 6px)", line.color)
        };
        view! {
            <tr class:off=move || !on()>
                <td>
                    <button aria-pressed=move || only.with(|only| only.contains(&at)).to_string() data-t="legend-item" on:click=choose>
                        <i class="ex-swatch" style=swatch></i>
                        <span class="ell" title=line.whole.clone()>{line.name.clone()}</span>
                    </button>
                </td>
                <td class="n">{now}</td>
                <td class="n">{short(low, unit)}</td>
                <td class="n">{short(high, unit)}</td>
            </tr>
        }
    };
    let rows = all.iter().enumerate().map(row).collect_view();
    view! {
        <div class="ex-legend" tabindex="0" role="region" aria-label="Legend">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Series"</th>
                        <th scope="col" class="n">{live(move || if cross.with(Option::is_some) { "Value" } else { "Last" })}</th>
                        <th scope="col" class="n">"Min"</th>
                        <th scope="col" class="n">"Max"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values() {
        for (value, expected) in
            [(0.0, "0"), (999.0, "999"), (1234.5, "1234.5"), (12_345.0, "12.35\u{202f}k"), (2.5e6, "2.5\u{202f}M")]
        {
            assert_eq!(short(value, ""), expected);
        }
        assert_eq!(short(2.5e6, "decbytes"), "2.50 MB");
    }

    #[test]
    fn colours_then_dashes() {
        assert_eq!(look(0), ("var(--c1)".to_owned(), ""));
        assert_eq!(look(8), ("var(--c9)".to_owned(), "7 4"));
        assert_eq!(look(12).0, "var(--c1)");
    }
}
