//! The last 24 hours in two lanes: when critical alerts fired, when others did.

use super::grouping::Severity;
use crate::memo::live;
use crate::{
    client::{self, use_polled},
    pages::parts::time_text::{format_full, now_ms},
};
use leptos::prelude::*;

const SPAN_MS: i64 = 24 * 3_600_000;
/// 144 steps: finer than a pixel of a phone, coarse enough to be cheap.
const STEP_MS: i64 = 10 * 60_000;
const REFRESH_MS: u32 = 60_000;
const QUERY: &str = r#"count by (severity) (ALERTS{alertstate="firing"})"#;

/// A time during which something fired, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    from_ms: i64,
    to_ms: i64,
}

/// Joins the steps at which something fired; each stands for the time before it.
fn stretches(mut times_ms: Vec<i64>) -> Vec<Stretch> {
    times_ms.sort_unstable();
    let mut found: Vec<Stretch> = Vec::new();
    for at_ms in times_ms {
        match found.last_mut() {
            Some(last) if at_ms - STEP_MS <= last.to_ms => last.to_ms = last.to_ms.max(at_ms),
            _ => found.push(Stretch { from_ms: at_ms - STEP_MS, to_ms: at_ms }),
        }
    }
    found
}

/// Critical above, everything else below; the words say the same to those who listen.
#[component]
pub fn Lanes() -> impl IntoView {
    let history = use_polled(REFRESH_MS, || async {
        // On a round minute, so that a refresh does not make the stretches jump.
        let end_ms = now_ms() / 60_000 * 60_000;
        let series = client::operations::matrix(QUERY, end_ms - SPAN_MS, end_ms, STEP_MS).await?;
        let (mut critical, mut other) = (Vec::new(), Vec::new());
        for series in series {
            let severity = Severity::of(&series.metric);
            let lane = match severity {
                Severity::Critical => &mut critical,
                Severity::Warning => &mut other,
                Severity::Info => continue,
            };
            lane.extend(series.values.iter().map(|point| point.timestamp_ms));
        }
        Ok((end_ms, stretches(critical), stretches(other)))
    });
    let lane = move |word: &'static str, class: &'static str, end_ms: i64, found: Vec<Stretch>| {
        let name = match found.len() {
            0 => format!("{word}: nothing fired in the last 24 hours"),
            1 => format!("{word}: fired once in the last 24 hours"),
            times => format!("{word}: fired {times} times in the last 24 hours"),
        };
        let percent = move |ms: i64| (ms - (end_ms - SPAN_MS)) as f64 / SPAN_MS as f64 * 100.0;
        let bars = found.into_iter().map(|stretch| {
            let left = percent(stretch.from_ms).max(0.0);
            let width = (percent(stretch.to_ms).min(100.0) - left).max(0.3);
            let title = format!("{word}: {} to {}", format_full(stretch.from_ms), format_full(stretch.to_ms));
            view! { <i class=class style=format!("left:{left:.2}%;width:{width:.2}%") title=title></i> }
        });
        view! { <div class="lane" role="img" aria-label=name>{bars.collect_view()}</div> }
    };
    view! {
        <div class="al-lanes" data-t="lanes">
            <span class="dim small">"Last 24 h"</span>
            <div class="al-lane-box">
                {live(move || {
                    let (end_ms, critical, other) = history.data.get().unwrap_or_default();
                    view! {
                        {lane("Critical", "s-dn", end_ms, critical)}
                        {lane("Warning", "s-sl", end_ms, other)}
                    }
                })}
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_join() {
        let found = stretches(vec![3 * STEP_MS, 0, STEP_MS, STEP_MS]);
        assert_eq!(
            found,
            [Stretch { from_ms: -STEP_MS, to_ms: STEP_MS }, Stretch { from_ms: 2 * STEP_MS, to_ms: 3 * STEP_MS }]
        );
    }
}
