//! Values of one instant as a table: a column a label.

use super::answers::{Answers, bounds};
use crate::pages::parts::quantity::say;
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

fn value_text(sample: &InstantSample, unit: &str) -> String {
    match (&sample.value, &sample.histogram) {
        (Some(point), _) if unit.is_empty() => format_value(point.value),
        (Some(point), _) => say(point.value, unit),
        (None, Some(point)) => histogram_text(&point.histogram),
        (None, None) => String::new(),
    }
}

/// All digits, where a unit hides some.
fn exact(sample: &InstantSample, unit: &str) -> Option<String> {
    sample.value.filter(|_| !unit.is_empty()).map(|point| format_value(point.value))
}

#[component]
pub fn TableView(answers: Answers) -> impl IntoView {
    let samples = answers.samples();
    // Each query has its own unit, for nothing is compared by eye along an axis.
    let units: Vec<(String, &'static str)> = answers
        .queries
        .iter()
        .map(|query| {
            let own = samples.iter().filter(|(other, _)| other.name == query.name);
            let values = own.filter_map(|(_, sample)| sample.value.map(|point| point.value));
            (query.name.clone(), query.unit(bounds(values)))
        })
        .collect();
    let unit_of = |name: &str| units.iter().find(|(own, _)| own == name).map_or("", |(_, unit)| unit);
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
                    <td class="n" title=exact(sample, unit_of(&query.name))>{value_text(sample, unit_of(&query.name))}</td>
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
