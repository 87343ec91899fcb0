//! Queries that do not repeat themselves, and the data for them.

use model::{FloatHistogram, Labels, SampleValue, histogram::Span};
use promql::Value;
use promql_syntax::{FUNCTIONS, ValueType};
use std::{collections::BTreeMap, sync::Arc};
use storage::{Samples, memory::MemoryStorage};

pub(crate) const STEP_MS: i64 = 15_000;

/// Counters with resets, gaps and ends, histograms, and a series that mixes both.
pub(crate) fn data() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let histogram = |n: f64| {
        SampleValue::Histogram(Arc::new(FloatHistogram {
            count: 3.0 * n + 1.0,
            sum: n * 1.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![n, 2.0 * n],
            ..FloatHistogram::default()
        }))
    };
    for (name, a, kind) in
        [("m", "1", 0), ("m", "2", 1), ("m", "3", 2), ("h", "1", 3), ("h", "2", 4), ("n", "1", 0), ("n", "2", 5)]
    {
        let mut samples = Samples::default();
        for index in 0..60_i64 {
            let n = (index * 7 % 23) as f64;
            let value = match kind {
                0 => SampleValue::Float(index as f64),
                1 => SampleValue::Float(n),
                2 if index % 9 > 5 => continue,
                2 if index % 9 == 5 => SampleValue::Float(model::stale::STALE_NAN),
                2 => SampleValue::Float(-n),
                3 => histogram(index as f64),
                4 => histogram(n),
                _ if index % 2 == 0 => histogram(n),
                _ => SampleValue::Float(if index % 5 == 0 { f64::NAN } else { n }),
            };
            samples.push(index * STEP_MS, value);
        }
        let le = if a == "1" { "1" } else { "+Inf" };
        storage.replace_series(Labels::from_pairs([("__name__", name), ("a", a), ("le", le)]), samples);
    }
    storage
}

/// A text of the given type, from numbers that decide.
pub(crate) fn generate(wanted: ValueType, depth: usize, choice: &mut impl FnMut(usize) -> usize) -> String {
    let selectors = ["m", "h", "n", "m{a=\"1\"}", "{a=~\"1|2\"}", "nothing", "m offset 30s", "m @ 300"];
    match wanted {
        ValueType::String => ["\"a\"", "\"le\"", "\"b\"", "\"$1\"", "\"(.*)\""][choice(5)].to_owned(),
        ValueType::Scalar if depth == 0 => ["1", "0", "-2.5", "0.9", "NaN", "Inf", "1e300"][choice(7)].to_owned(),
        ValueType::Scalar if choice(2) == 0 => generate(ValueType::Scalar, 0, choice),
        ValueType::Matrix if depth == 0 || choice(3) > 0 => {
            let range = ["[1m]", "[15s]", "[5m]", "[1m] offset 45s", "[2m] @ 400"][choice(5)];
            format!("{}{range}", selectors[choice(6)])
        }
        ValueType::Matrix => {
            format!("({})[2m:{}]", generate(ValueType::Vector, depth - 1, choice), ["", "20s"][choice(2)])
        }
        ValueType::Vector if depth == 0 => selectors[choice(selectors.len())].to_owned(),
        ValueType::Vector if choice(3) == 0 => {
            let op = ["+", "-", "*", "/", "%", "^", "==", "> bool", "and", "or", "unless", "</", ">/"][choice(13)];
            let right = if op.chars().all(char::is_alphabetic) || choice(2) == 0 {
                ValueType::Vector
            } else {
                ValueType::Scalar
            };
            let left = generate(ValueType::Vector, depth - 1, choice);
            format!("({left}) {op} ({})", generate(right, depth - 1, choice))
        }
        ValueType::Vector if choice(3) == 0 => {
            let op = ["sum", "avg", "max", "count", "stddev", "group", "topk", "quantile", "count_values"][choice(9)];
            let by = ["", " by (a)", " without (a)", " by (__name__)"][choice(4)];
            let param = match op {
                "topk" => "2, ",
                "quantile" => "0.3, ",
                "count_values" => "\"v\", ",
                _ => "",
            };
            format!("{op}{by} ({param}{})", generate(ValueType::Vector, depth - 1, choice))
        }
        wanted => {
            let functions: Vec<_> = (FUNCTIONS.iter())
                .filter(|f| f.returns == wanted && f.name != "info" && !f.name.starts_with("sort"))
                .filter(|f| !matches!(f.name, "start" | "end" | "step" | "range"))
                .collect();
            let function = functions[choice(functions.len())];
            let args: Vec<_> = function.args.iter().map(|arg| generate(*arg, depth - 1, choice)).collect();
            format!("{}({})", function.name, args.join(", "))
        }
    }
}

/// Points by labels, written so that NaN equals NaN.
pub(crate) fn at_step(value: &Value, time: i64) -> BTreeMap<String, String> {
    let show = |value: SampleValue| match value {
        // Different orders of summation may differ in the last digits.
        SampleValue::Float(value) => format!("{value:.9e}"),
        SampleValue::Histogram(h) => format!("{:.9e} {:.9e} {:?}", h.count, h.sum, h.positive_spans),
    };
    match value {
        Value::Scalar(value) => [("{}".to_owned(), show(SampleValue::Float(*value)))].into(),
        Value::String(_) => BTreeMap::new(),
        Value::Vector(samples) => samples.iter().map(|s| (s.labels.to_string(), show(s.value.clone()))).collect(),
        Value::Matrix(series) => (series.iter())
            .filter_map(|s| {
                let index = s.samples.timestamps.binary_search(&time).ok()?;
                Some((s.labels.to_string(), show(s.samples.value(index))))
            })
            .collect(),
    }
}
