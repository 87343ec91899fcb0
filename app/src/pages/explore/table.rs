//! Values of one instant as a table: a column a label.

use super::answers::Answers;
use api::query::{HistogramJson, InstantSample, format_value};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// Rows drawn; more is for an export, not for eyes.
const ROWS_MAX: usize = 1_000;
/// Columns drawn; a series with more labels shows the rest in its title.
const COLUMNS_MAX: usize = 24;

fn histogram_text(histogram: &HistogramJson) -> String {
    format!("histogram: count {}, sum {}, {} buckets", histogram.count, histogram.sum, histogram.buckets.len())
}

fn value_text(sample: &InstantSample) -> String {
    match (&sample.value, &sample.histogram) {
        (Some(point), _) => format_value(point.value),
        (None, Some(point)) => histogram_text(&point.histogram),
        (None, None) => String::new(),
    }
}

#[component]
pub fn TableView(answers: Answers) -> impl IntoView {
    let samples = answers.samples();
    let several = answers.queries.len() > 1;
    let names: BTreeSet<&String> =
        samples.iter().flat_map(|(_, sample)| sample.metric.keys()).filter(|name| *name != "__name__").collect();
    let has_name = samples.iter().any(|(_, sample)| sample.metric.contains_key("__name__"));
    let columns: Vec<String> = has_name
        .then(|| "__name__".to_owned())
        .into_iter()
        .chain(names.into_iter().cloned())
        .take(COLUMNS_MAX)
        .collect();
    let head = |name: &String| {
        let word = if name == "__name__" { "Metric".to_owned() } else { name.clone() };
        view! { <th scope="col">{word}</th> }
    };
    let more = samples.len().saturating_sub(ROWS_MAX);
    let rows: Vec<_> = samples
        .iter()
        .take(ROWS_MAX)
        .map(|(query, sample)| {
            let cell = |name: &String| view! { <td>{sample.metric.get(name).cloned()}</td> };
            view! {
                <tr data-t="row">
                    {several.then(|| view! { <td class="dim">{query.name.clone()}</td> })}
                    {columns.iter().map(cell).collect_view()}
                    <td class="n">{value_text(sample)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="card ex-table" tabindex="0" role="region" aria-label="Values" data-t="table">
            <table class="tb">
                <thead>
                    <tr>
                        {several.then(|| view! { <th scope="col">"Query"</th> })}
                        {columns.iter().map(head).collect_view()}
                        <th scope="col" class="n">"Value"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {(more > 0).then(|| view! { <p class="hint">{format!("and {more} more rows; narrow the query to see them")}</p> })}
        </div>
    }
}
