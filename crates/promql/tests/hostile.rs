//! What strangers may send: no text and no bytes make parser, printer or evaluator panic or run away.

mod common;
mod trial;

use common::{data, generate};
use model::Labels;
use promql::{Engine, EngineOptions, QueryOptions};
use promql_syntax::{FUNCTIONS, ValueType, parse_metric_selector};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use storage::{Samples, memory::MemoryStorage};
use trial::{PIECES, engine};

fn try_all(storage: &MemoryStorage, engine: &Engine, text: &str) -> Result<(), TestCaseError> {
    trial::try_all(storage, engine, text).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_means_the_same(numbers in proptest::collection::vec(0_usize..1000, 60)) {
        let mut next = 0;
        let mut choice = |below: usize| {
            next += 1;
            numbers[next % numbers.len()] % below
        };
        let wanted = [ValueType::Vector, ValueType::Scalar, ValueType::Matrix][numbers[0] % 3];
        let text = generate(wanted, 3, &mut choice);
        try_all(&data(), &engine(), &text)?;
    }

    #[test]
    fn pieces_in_any_order(words in proptest::collection::vec(0_usize..PIECES.len() + FUNCTIONS.len(), 1..14)) {
        let word = |index: usize| PIECES.get(index).copied().unwrap_or_else(|| FUNCTIONS[index - PIECES.len()].name);
        let text = words.iter().map(|index| word(*index)).collect::<Vec<_>>().join(" ");
        try_all(&data(), &engine(), &text)?;
    }

    /// What is nearly a query gets farther than noise does.
    #[test]
    fn queries_with_a_fault(
        numbers in proptest::collection::vec(0_usize..1000, 60),
        faults in proptest::collection::vec((0.0..1.0, 0_usize..4, 0_usize..PIECES.len()), 1..4),
    ) {
        let mut next = 0;
        let mut choice = |below: usize| {
            next += 1;
            numbers[next % numbers.len()] % below
        };
        let mut text = generate(ValueType::Vector, 3, &mut choice);
        for (place, kind, piece) in faults {
            let mut at = (place * text.len() as f64) as usize;
            while !text.is_char_boundary(at) {
                at += 1;
            }
            match kind {
                0 => text.truncate(at),
                1 if at < text.len() => drop(text.remove(at)),
                _ => text.insert_str(at, PIECES[piece]),
            }
        }
        try_all(&data(), &engine(), &text)?;
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        try_all(&data(), &engine(), &String::from_utf8_lossy(&bytes))?;
    }
}

/// `count` calls, each around the one before.
fn nested(count: usize, inner: &str, wrap: impl Fn(&str) -> String) -> String {
    (0..count).fold(inner.to_owned(), |text, _| wrap(&text))
}

/// Queries that would take hours or all memory end soon, with a word about what stopped them.
#[test]
fn what_grows_is_stopped() {
    let storage = MemoryStorage::new();
    for index in 0..50_i64 {
        let labels = Labels::from_pairs([("__name__", "c"), ("i", &"x".repeat(200)), ("n", &index.to_string())]);
        let mut samples = Samples::default();
        for step in 0..200 {
            samples.push_float(step * 15_000, (step * index % 97) as f64);
        }
        storage.replace_series(labels, samples);
    }
    let twenty = "$1".repeat(20);
    let own = "\"i\"".to_owned() + &", \"i\"".repeat(19);
    let replaced =
        |count, wrap: &str| nested(count, "c", |e| format!("label_replace({e}, \"i\", \"{wrap}\", \"i\", \"(.*)\")"));
    let cases: Vec<(String, &str)> = vec![
        (replaced(1, &twenty), "ok"),
        (replaced(2, &twenty), "longer than 65536 bytes"),
        (replaced(90, "$1$1"), "longer than 65536 bytes"),
        (nested(6, "c", |e| format!("label_join({e}, \"i\", \"\", {own})")), "longer than 65536 bytes"),
        // Many labels, each below the limit.
        (
            (0..90).fold(replaced(1, &"$1".repeat(300)), |e, n| {
                format!("label_replace({e}, \"l{n}\", \"$1\", \"i\", \"(.*)\")")
            }),
            "too much memory",
        ),
        ("max_over_time(c[1y:1ms])".to_owned(), "too many samples"),
        ("sum_over_time(c[292y:1ms])".to_owned(), "too"),
        ("max_over_time((sum(c))[1000d:1ms])".to_owned(), "too"),
        ("sum_over_time(vector(1)[1d:1ms])".to_owned(), "too"),
        (nested(8, "c", |e| format!("max_over_time({e}[1d:1s])")), "too"),
        (nested(30, "vector(1)", |e| format!("sum_over_time({e}[5m:1s])")), "ok"),
        ("c and on () c * on () group_left () c".to_owned(), "many"),
        (format!("c{}", " or c * 2".repeat(200)), "ok"),
        (format!("c{{i=~\"{}\"}}", "(a|b|x)*".repeat(40)), "ok"),
        ("{i=~\"(((((x{1,100}){1,100}){1,100}){1,100}){1,100}\"}".to_owned(), "error parsing regexp"),
        ("{i=~\"((x{100}){100}){100}\"}".to_owned(), "error parsing regexp"),
        ("{i=~\"(\\\\pL{900}|\\\\pN{900}){1}(\\\\pL{1000})\"}".to_owned(), "expression too large"),
        ("{i=~\"(x+x+)+y\"}".to_owned(), "ok"),
        (format!("c{{i=~\"{}x*\"}}", "(".repeat(5000)), "error parsing regexp"),
        (format!("{{i=~\"{}\"}}", "x?".repeat(2000) + &"x".repeat(2000)), "ok"),
        ("label_replace(c, \"a\", \"$1\", \"i\", \"((x*)*)*y\")".to_owned(), "ok"),
        (
            format!(
                "label_replace({}, \"a\", \"$1\", \"i\", \"(((x|xx)*)+.?){{1,50}}y?\")",
                replaced(1, &"$1".repeat(30))
            ),
            "timed out",
        ),
        (
            format!("label_replace({}, \"a\", \"$1\", \"i\", \"(\\\\pL{{0,20}})y?\")", replaced(1, &"$1".repeat(300))),
            "too much work",
        ),
    ];
    let options = EngineOptions { max_samples: 2_000_000, max_memory_bytes: 16 << 20, ..EngineOptions::default() };
    // A busy machine must not time out where another limit is asked for.
    let hasty = Engine::new(EngineOptions { timeout: Duration::from_secs(1), ..options.clone() });
    let patient = Engine::new(options);
    let mut wrong = Vec::new();
    for (query, expected) in &cases {
        let shown: String = query.chars().take(100).collect();
        let engine = if *expected == "timed out" { &hasty } else { &patient };
        let begin = Instant::now();
        let outcome = engine.range(&storage, query, 0, 2_000_000, 5_500, &QueryOptions::default());
        let text = outcome.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        if !text.contains(expected) || begin.elapsed() > Duration::from_secs(40) {
            let text: String = text.chars().take(200).collect();
            wrong.push(format!("`{shown}` gave `{text}` after {:?}", begin.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Deep and long texts are refused, not followed to the end of the stack.
#[test]
fn what_is_deep_is_refused() {
    let engine = engine();
    let storage = data();
    for (open, inner, close) in [
        ("(", "m", ")"),
        ("-", "m", ""),
        ("sum(", "m", ")"),
        ("abs(", "m", ")"),
        ("m and (", "m", ")"),
        ("max_over_time((", "m", ")[1m:])"),
        ("label_replace(", "m", ", \"a\", \"\", \"b\", \"\")"),
        ("m[", "5m", "]"),
        ("m ^ ", "m", ""),
        ("m[5m + (", "1m", ")]"),
        ("{", "", "}"),
        ("m @ ", "1", ""),
        ("m offset ", "1m", ""),
        ("m offset -(", "1m", ")"),
    ] {
        for count in [50, 99, 101, 500, 20_000] {
            let text = open.repeat(count) + inner + &close.repeat(count);
            // Either is right; only the stack must hold.
            let _ = engine.instant(&storage, &text, 400_000, &QueryOptions::default());
            let _ = parse_metric_selector(&text);
        }
    }
}
