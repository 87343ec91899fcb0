//! What could stand at the caret: functions, metrics, labels, values, variables.

use crate::client;
use dashboard::sorting::Order;
use promql_syntax::{AGGREGATIONS, FUNCTIONS, TokenKind, tokens};
use std::{cell::RefCell, collections::HashMap};

/// More than this nobody reads; typing narrows it.
const OFFERED_MAX: usize = 50;

/// One suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is put in.
    pub insert: String,
    /// What is shown.
    pub label: String,
    /// What it is: `function`, `metric`, `label` …
    pub kind: &'static str,
    pub doc: String,
}

/// What is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A metric, a function, an aggregation, a variable.
    Expression,
    /// The name of a label: in braces, or after `by (`.
    LabelName { metric: String },
    /// A value of this label; the caret is within the quotes.
    LabelValue { metric: String, label: String },
}

/// The word before the caret, where it starts (bytes), and what is wanted there.
pub fn at_caret(text: &str, caret: usize) -> Option<(usize, String, Wanted)> {
    let before = text.get(..caret)?;
    let all = tokens(before);
    let (mut in_braces, mut in_by, mut metric, mut label) = (false, false, String::new(), String::new());
    let mut previous = None;
    for token in &all {
        let token_text = token.text(before);
        match token.kind {
            TokenKind::LeftBrace => in_braces = true,
            TokenKind::RightBrace => in_braces = false,
            TokenKind::LeftParen => {
                in_by = matches!(previous, Some("by" | "without" | "on" | "ignoring" | "group_left" | "group_right"));
            }
            TokenKind::RightParen => in_by = false,
            TokenKind::Identifier if in_braces => label = token_text.to_owned(),
            TokenKind::Identifier if !in_by => metric = token_text.to_owned(),
            _ => {}
        }
        previous = Some(token_text);
    }
    // An open quote is an error token up to the end.
    if in_braces && let Some(open) = open_quote(before) {
        let word = before.get(open..)?.to_owned();
        return Some((open, word, Wanted::LabelValue { metric, label }));
    }
    let start = before
        .rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':' | '$'))
        .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let word = before.get(start..)?.to_owned();
    let wanted = if in_braces || in_by { Wanted::LabelName { metric } } else { Wanted::Expression };
    Some((start, word, wanted))
}

/// Byte after the quote that is still open at the end.
fn open_quote(before: &str) -> Option<usize> {
    let (mut open, mut escaped) = (None::<(char, usize)>, false);
    for (at, c) in before.char_indices() {
        match open {
            _ if escaped => escaped = false,
            Some((quote, _)) if c == '\\' && quote != '`' => escaped = true,
            Some((quote, _)) if c == quote => open = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => open = Some((c, at + 1)),
            None => {}
        }
    }
    open.map(|(_, at)| at)
}

thread_local! {
    /// Answers of this visit, by what was asked: names change rarely, and typing asks often.
    static KNOWN: RefCell<HashMap<String, Vec<String>>> = RefCell::new(HashMap::new());
}

async fn remembered(key: String, ask: impl Future<Output = client::Answer<Vec<String>>>) -> Vec<String> {
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
        return known;
    }
    let answer = ask.await.unwrap_or_default();
    KNOWN.with_borrow_mut(|known| known.insert(key, answer.clone()));
    answer
}

fn of_metric(metric: &str) -> Vec<String> {
    // A variable in the selector makes no metric name.
    let plain = !metric.is_empty() && metric.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    if plain { vec![metric.to_owned()] } else { Vec::new() }
}

/// Suggestions for `word`, best first: those that start with it, then those that contain it.
pub async fn offers(word: &str, wanted: Wanted, variables: &[String]) -> Vec<Offer> {
    let mut all = Vec::new();
    let offer =
        |insert: &str, kind| Offer { insert: insert.to_owned(), label: insert.to_owned(), kind, doc: String::new() };
    match wanted {
        Wanted::Expression => {
            all.extend(variables.iter().map(|name| offer(&format!("${name}"), "variable")));
            if !word.starts_with('$') {
                let off = remembered("switched off".to_owned(), client::queries::switched_off()).await;
                let is_on = |name: &str| !off.iter().any(|other| other == name);
                all.extend(FUNCTIONS.iter().filter(|function| is_on(function.name)).map(|function| Offer {
                    insert: format!("{}(", function.name),
                    doc: function.doc.to_owned(),
                    ..offer(function.name, "function")
                }));
                all.extend(AGGREGATIONS.iter().filter(|(name, _)| is_on(name)).map(|(name, doc)| Offer {
                    insert: format!("{name}("),
                    doc: (*doc).to_owned(),
                    ..offer(name, "aggregation")
                }));
                let names =
                    remembered("metrics".to_owned(), client::prometheus::label_values("__name__", &[], None)).await;
                all.extend(names.iter().map(|name| offer(name, "metric")));
            }
        }
        Wanted::LabelName { metric } => {
            let of_metric = of_metric(&metric);
            let names = remembered(format!("labels {metric}"), client::prometheus::label_names(&of_metric, None)).await;
            all.extend(names.iter().filter(|name| *name != "__name__").map(|name| offer(name, "label")));
        }
        Wanted::LabelValue { metric, label } => {
            all.extend(variables.iter().map(|name| offer(&format!("${name}"), "variable")));
            let of_metric = of_metric(&metric);
            let values = remembered(
                format!("values {metric} {label}"),
                client::prometheus::label_values(&label, &of_metric, None),
            )
            .await;
            all.extend(values.iter().map(|value| offer(value, "value")));
        }
    }
    ranked(word, all)
}

fn ranked(word: &str, all: Vec<Offer>) -> Vec<Offer> {
    let word = word.to_lowercase();
    let mut scored: Vec<(usize, Offer)> = all
        .into_iter()
        .filter_map(|offer| {
            let label = offer.label.to_lowercase();
            let place = label.find(&word)?;
            // Exactly what stands there already is no suggestion.
            (label != word || offer.insert.len() > offer.label.len()).then_some((if place == 0 { 0 } else { 1 }, offer))
        })
        .collect();
    scored.order_by_key(|(rank, offer)| (*rank, offer.label.len()));
    scored.truncate(OFFERED_MAX);
    scored.into_iter().map(|(_, offer)| offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted() {
        let metric = || "up".to_owned();
        let cases = [
            ("ra", 0, "ra", Wanted::Expression),
            ("sum(ra", 4, "ra", Wanted::Expression),
            ("up{jo", 3, "jo", Wanted::LabelName { metric: metric() }),
            ("up{job=\"no", 8, "no", Wanted::LabelValue { metric: metric(), label: "job".to_owned() }),
            ("sum by (in", 8, "in", Wanted::LabelName { metric: String::new() }),
            ("up{job=\"a\"} + ", 14, "", Wanted::Expression),
        ];
        for (text, start, word, wanted) in cases {
            assert_eq!(at_caret(text, text.len()), Some((start, word.to_owned(), wanted)), "in case `{text}`");
        }
    }
}
