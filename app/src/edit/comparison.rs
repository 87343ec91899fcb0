//! The difference of two states of a dashboard as people read it: sentences, and behind a fold the lines of JSON.

use super::difference::{Line, in_lines, in_words};
use leptos::prelude::*;
use serde_json::Value;

/// With more changed lines the fold starts closed.
const OPEN_MAX: usize = 24;

/// Sentences and lines. `closed` keeps the fold closed however few lines there are.
#[component]
pub fn Comparison(before: Value, after: Value, #[prop(optional)] closed: bool) -> impl IntoView {
    let words = in_words(&before, &after);
    let lines = in_lines(&before, &after);
    let count = lines.iter().filter(|line| matches!(line, Line::Gone(_) | Line::New(_))).count();
    if words.is_empty() {
        return view! { <p class="hint" data-t="diff">"No differences."</p> }.into_any();
    }
    let lines = lines
        .into_iter()
        .map(|line| match line {
            Line::Same(text) => view! { <span>{format!("  {text}\n")}</span> }.into_any(),
            Line::Gone(text) => view! { <del>{format!("- {text}\n")}</del> }.into_any(),
            Line::New(text) => view! { <ins>{format!("+ {text}\n")}</ins> }.into_any(),
            Line::Skipped(count) => view! { <span class="dim">{format!("  … {count} lines\n")}</span> }.into_any(),
        })
        .collect_view();
    let summary = if count == 1 { "JSON, 1 line".to_owned() } else { format!("JSON, {count} lines") };
    view! {
        <ul class="changes" data-t="diff">{words.into_iter().map(|words| view! { <li>{words}</li> }).collect_view()}</ul>
        <details class="json-diff" open=!closed && count <= OPEN_MAX>
            <summary>{summary}</summary>
            <pre class="json" tabindex="0" aria-label="Difference as JSON" data-t="json-diff">{lines}</pre>
        </details>
    }
    .into_any()
}
