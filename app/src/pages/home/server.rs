//! The server's own figures of the last hour.

use crate::{
    client::{self, Answer, use_polled},
    controls::sparkline::Sparkline,
    pages::parts::time_text::now_ms,
};
use api::query::QueryResult;
use leptos::prelude::*;

const INTERVAL_MS: u32 = 30_000;
const SPAN_MS: i64 = 3_600_000;
const STEP_MS: i64 = 60_000;

/// What is asked: the word, the query, the unit, the colour.
const FIGURES: [(&str, &str, &str, &str); 4] = [
    ("Samples ingested", "sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))", "cps", "var(--c3)"),
    ("Active series", "sum(prometheus_tsdb_head_series)", "short", "var(--c1)"),
    (
        "Rule evaluation",
        "sum(rate(prometheus_rule_evaluation_duration_seconds_sum[5m])) / sum(rate(prometheus_rule_evaluation_duration_seconds_count[5m]))",
        "s",
        "var(--c4)",
    ),
    ("Memory", "max(process_resident_memory_bytes{job=~\"prometheus|vigie\"})", "bytes", "var(--c2)"),
];

#[derive(Clone, Debug, PartialEq)]
struct Figure {
    word: &'static str,
    unit: &'static str,
    color: &'static str,
    values: Vec<f64>,
}

async fn read(word: &'static str, query: &'static str, unit: &'static str, color: &'static str) -> Answer<Figure> {
    let end = now_ms() / STEP_MS * STEP_MS;
    let found = client::prometheus::query_range(query, end - SPAN_MS, end, STEP_MS, None).await?;
    let values = match found.result {
        QueryResult::Matrix(series) => series.into_iter().next().map(|series| series.values).unwrap_or_default(),
        _ => Vec::new(),
    };
    Ok(Figure { word, unit, color, values: values.iter().map(|point| point.value).collect() })
}

/// The section.
#[component]
pub fn Server() -> impl IntoView {
    view! {
        <section>
            <h2 class="sec">"This server" <span class="grow"></span> <a href="/status">"Status"</a></h2>
            <ul class="card" data-t="home-server">
                {FIGURES.map(|(word, query, unit, color)| view! { <Row word query unit color /> }).collect_view()}
            </ul>
        </section>
    }
}

#[component]
fn Row(word: &'static str, query: &'static str, unit: &'static str, color: &'static str) -> impl IntoView {
    let figure = use_polled(INTERVAL_MS, move || read(word, query, unit, color));
    let line = move || {
        let values = figure.data.with(|figure| figure.as_ref().map(|figure| figure.values.clone()))?;
        (values.len() > 1).then(|| view! { <Sparkline values color /> })
    };
    let latest = move || {
        let latest = figure.data.with(|figure| figure.as_ref().and_then(|figure| figure.values.last().copied()));
        latest.map_or_else(|| "–".to_owned(), |value| crate::pages::home::text(value, unit))
    };
    view! {
        <li class="li figure">
            <span class="mut ell">{word}</span>
            <span class="grow"></span>
            <span class="figure-line">{line}</span>
            <b class="num nowrap figure-value">{latest}</b>
        </li>
    }
}
