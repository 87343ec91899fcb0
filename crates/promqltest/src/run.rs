//! Commands in order on one storage.

use crate::compare::{same_float, same_value};
use crate::nhcb;
use crate::script::{CommandKind, Eval, LoadedSeries, TextMatch, When, parse_script};
use crate::series::SeriesLine;
use model::{FloatHistogram, Labels, SampleValue, histogram::CounterResetHint};
use promql::{Engine, EngineOptions, MatrixSeries, QueryOptions, QueryOutput, Value};
use promql_syntax::{At, Expr};
use std::{collections::BTreeMap, sync::Arc};
use storage::{Samples, memory::MemoryStorage};

/// A case that did not give what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From 1.
    pub line: usize,
    pub query: String,
    pub reason: String,
}

/// The outcome of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Cases that went as expected.
    pub passed: usize,
    pub failed: Vec<Failure>,
}

/// Functions whose result depends on the time of evaluation, for which `@` proves nothing.
const TIME_DEPENDENT: [&str; 17] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "start_timestamp",
    "step",
    "time",
    "timestamp",
    "year",
    "info",
];
/// How long a range query around an instant reaches to both sides, which is also its step.
const AROUND_MS: i64 = 60_000;

/// Runs a file's commands and reports on every `eval`. A file that cannot be read fails as a whole, in one failure.
pub fn run_file(name: &str, text: &str) -> FileReport {
    let mut report = FileReport::default();
    let commands = match parse_script(text) {
        Ok(commands) => commands,
        Err(error) => {
            let reason = format!("{name}: {}", error.reason);
            report.failed.push(Failure { line: error.line, query: String::new(), reason });
            return report;
        }
    };
    let storage = MemoryStorage::new();
    let engine =
        Engine::new(EngineOptions { max_samples: 100_000, delayed_name_removal: true, ..EngineOptions::default() });
    for command in commands {
        match command.kind {
            CommandKind::Clear => storage.clear(),
            CommandKind::Load { step_ms, with_nhcb, series } => {
                if let Err(reason) = load(&storage, step_ms, with_nhcb, &series) {
                    report.failed.push(Failure { line: command.line, query: "load".to_owned(), reason });
                }
            }
            CommandKind::Eval(eval) => match run_eval(&engine, &storage, &eval) {
                Ok(()) => report.passed += 1,
                Err(reason) => report.failed.push(Failure { line: command.line, query: eval.query, reason }),
            },
        }
    }
    report
}

fn load(storage: &MemoryStorage, step_ms: i64, with_nhcb: bool, series: &[LoadedSeries]) -> Result<(), String> {
    let mut loaded: BTreeMap<Labels, Samples> = BTreeMap::new();
    for one in series {
        let mut samples = Samples::default();
        for (index, value) in one.line.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let time = i64::try_from(index).ok().and_then(|index| index.checked_mul(step_ms));
            let time = time.ok_or("the series reaches beyond what a timestamp holds")?;
            samples.push(time, value.clone());
            if let Some(Some(offset)) = one.starts.get(index) {
                samples.set_last_start_timestamp(time + offset);
            }
        }
        loaded.insert(one.line.labels.clone(), samples);
    }
    loaded.values_mut().for_each(note_counter_resets);
    if with_nhcb {
        loaded.extend(nhcb::convert(&loaded).map_err(|error| error.to_string())?);
    }
    for (labels, samples) in &loaded {
        storage.extend_series(labels, samples);
    }
    Ok(())
}

/// Gives histograms the hints that they have when read from Prometheus' storage: what follows its predecessor without
/// a reset says so, what was reset says nothing, since its values do.
pub(crate) fn note_counter_resets(samples: &mut Samples) {
    for index in 1..samples.histograms.len() {
        let (before, rest) = samples.histograms.split_at_mut(index);
        let (Some(Some(before)), Some(Some(own))) = (before.last(), rest.first_mut()) else { continue };
        if own.counter_reset_hint == CounterResetHint::Gauge || own.is_stale() || before.is_stale() {
            continue;
        }
        let plain = FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..FloatHistogram::clone(own) };
        let reset = promql::histogram::is_reset(&plain, before) || before.counter_reset_hint == CounterResetHint::Gauge;
        let hint = match own.counter_reset_hint {
            _ if reset => CounterResetHint::Unknown,
            CounterResetHint::Reset => CounterResetHint::Reset,
            _ => CounterResetHint::NotReset,
        };
        Arc::make_mut(own).counter_reset_hint = hint;
    }
}

fn run_eval(engine: &Engine, storage: &MemoryStorage, eval: &Eval) -> Result<(), String> {
    let options = QueryOptions::default();
    let expr = promql_syntax::parse(&eval.query).map_err(|error| error.to_string())?;
    let run = |expr: &Expr, when: When| match when {
        When::Instant(time) => engine.instant_expr(storage, expr, &eval.query, time, &options),
        When::Range { start, end, step } => engine.range_expr(storage, expr, &eval.query, (start, end, step), &options),
    };
    let when = match (eval.when, eval.expect.range_vector) {
        (_, Some((_, end, _))) => When::Instant(end),
        (when, None) => when,
    };
    let check = |expr: &Expr, when: When| -> Result<(), String> {
        let outcome = run(expr, when);
        if let Some(expected) = &eval.expect.fail {
            return match outcome {
                Ok(_) => Err("expected to fail, but gave a result".to_owned()),
                Err(error) if matches(expected, &error.to_string()) => Ok(()),
                Err(error) => Err(format!("failed as expected, but with: {error}")),
            };
        }
        let output = outcome.map_err(|error| error.to_string())?;
        check_annotations(eval, &output)?;
        check_value(eval, &output.value)
    };
    check(&expr, when)?;
    let When::Instant(time) = eval.when else { return Ok(()) };
    if eval.expect.range_vector.is_some() {
        return Ok(());
    }
    // Fixed to its time by `@`, the query must give the same whenever it is evaluated.
    if !calls_any(&expr, &TIME_DEPENDENT) {
        let mut fixed = expr.clone();
        fix_time(&mut fixed, time);
        let times = if time == 0 { vec![-1000, 0, 1000] } else { vec![-10 * time, 0, time / 5, time, 10 * time] };
        for at in times {
            check(&fixed, When::Instant(at))
                .map_err(|reason| format!("with @ {time} ms, evaluated at {at} ms: {reason}"))?;
        }
    }
    let plain = eval.expect.fail.is_none() && eval.expect.string.is_none() && !eval.expect.ordered;
    let depends = ["start()", "end()", "range()", "step()"].iter().any(|call| eval.query.contains(call));
    if plain && !depends {
        let around = When::Range { start: time - AROUND_MS, end: time + AROUND_MS, step: AROUND_MS };
        let output = run(&expr, around).map_err(|error| format!("as a range query: {error}"))?;
        check_middle(eval, output, time).map_err(|reason| format!("as a range query: {reason}"))?;
    }
    Ok(())
}

fn calls_any(expr: &Expr, names: &[&str]) -> bool {
    if let Expr::Call(call) = expr
        && names.contains(&call.function.as_str())
    {
        return true;
    }
    expr.children().into_iter().any(|child| calls_any(child, names))
}

/// Puts `@ time` on every selector and subquery that has none.
fn fix_time(expr: &mut Expr, time: i64) {
    let at = Some(At::Timestamp(time));
    match expr {
        Expr::Selector(e) => e.at = e.at.or(at),
        Expr::Matrix(e) => e.selector.at = e.selector.at.or(at),
        Expr::Subquery(e) => e.at = e.at.or(at),
        Expr::Aggregate(e) => {
            fix_time(&mut e.inner, time);
            if let Some(param) = &mut e.param {
                fix_time(param, time);
            }
        }
        Expr::Binary(e) => {
            fix_time(&mut e.left, time);
            fix_time(&mut e.right, time);
        }
        Expr::Call(e) => e.args.iter_mut().for_each(|arg| fix_time(arg, time)),
        Expr::Paren(e) => fix_time(&mut e.inner, time),
        Expr::Unary(e) => fix_time(&mut e.inner, time),
        Expr::Number(_) | Expr::String(_) => {}
    }
}

fn matches(expected: &TextMatch, text: &str) -> bool {
    match expected {
        TextMatch::Anything => true,
        TextMatch::Equal(expected) => expected == text,
        TextMatch::Regex(pattern) => pattern.is_match(text),
    }
}

fn check_annotations(eval: &Eval, output: &QueryOutput) -> Result<(), String> {
    let levels = [
        ("warning", &eval.expect.warn, eval.expect.no_warn, &output.warnings),
        ("info", &eval.expect.info, eval.expect.no_info, &output.infos),
    ];
    for (level, expected, none, got) in levels {
        if none && !got.is_empty() {
            return Err(format!("expected no {level}, got {got:?}"));
        }
        if expected.is_empty() {
            continue;
        }
        if let Some(missing) = expected.iter().find(|expected| !got.iter().any(|text| matches(expected, text))) {
            return Err(format!("expected {level} {missing:?}, got {got:?}"));
        }
        if let Some(extra) = got.iter().find(|text| !expected.iter().any(|expected| matches(expected, text))) {
            return Err(format!("unexpected {level} {extra}"));
        }
    }
    Ok(())
}

fn check_value(eval: &Eval, value: &Value) -> Result<(), String> {
    match (value, eval.when, eval.expect.range_vector) {
        (Value::String(got), ..) => match &eval.expect.string {
            Some(expected) if expected == got => Ok(()),
            expected => Err(format!("got string {got:?}, expected {expected:?}")),
        },
        (Value::Scalar(got), ..) => check_scalar(eval, *got),
        (Value::Vector(got), ..) => {
            if let Some(scalar) = eval.scalar {
                return Err(format!("expected scalar {scalar}, got a vector"));
            }
            check_vector(eval, got.iter().map(|sample| (&sample.labels, &sample.value)).collect())
        }
        (Value::Matrix(got), _, Some((start, _, step))) => check_matrix(eval, got, start, step),
        (Value::Matrix(got), When::Range { start, step, .. }, None) => check_matrix(eval, got, start, step),
        (Value::Matrix(_), When::Instant(_), None) => Err("got a range vector".to_owned()),
    }
}

fn check_scalar(eval: &Eval, got: f64) -> Result<(), String> {
    match eval.scalar {
        Some(expected) if same_float(got, expected) => Ok(()),
        Some(expected) => Err(format!("got scalar {got}, expected {expected}")),
        None => Err(format!("got scalar {got}")),
    }
}

fn check_vector(eval: &Eval, got: Vec<(&Labels, &SampleValue)>) -> Result<(), String> {
    let mut expected: BTreeMap<&Labels, (usize, &SeriesLine)> = BTreeMap::new();
    for (position, line) in eval.series.iter().enumerate() {
        if expected.insert(&line.labels, (position, line)).is_some() {
            return Err(format!("{} is expected twice", line.labels));
        }
    }
    for (position, (labels, value)) in got.iter().enumerate() {
        let Some((place, line)) = expected.remove(*labels) else {
            return Err(format!("unexpected {labels} {}", show(value)));
        };
        if eval.expect.ordered && place != position {
            return Err(format!("{labels} stands in place {position}, expected {place}"));
        }
        let Some(Some(wanted)) = line.values.first() else {
            return Err(format!("unexpected {labels} {}", show(value)));
        };
        if !same_value(value, wanted, line.hinted[0]) {
            return Err(format!("{labels}: got {}, expected {}", show(value), show(wanted)));
        }
    }
    match expected.keys().next() {
        Some(missing) => Err(format!("{missing} is missing")),
        None => Ok(()),
    }
}

fn check_matrix(eval: &Eval, got: &[MatrixSeries], start: i64, step: i64) -> Result<(), String> {
    if !got.is_sorted_by(|a, b| a.labels < b.labels) {
        return Err("the series are not sorted by labels".to_owned());
    }
    // A range query of a scalar gives one series without labels, written as a number or as `{}`.
    let mut expected: BTreeMap<&Labels, &SeriesLine> = BTreeMap::new();
    for line in &eval.series {
        if expected.insert(&line.labels, line).is_some() {
            return Err(format!("{} is expected twice", line.labels));
        }
    }
    for series in got {
        let Some(line) = expected.remove(&series.labels) else {
            return Err(format!("unexpected series {}", series.labels));
        };
        let mut next = 0;
        for (index, wanted) in line.values.iter().enumerate() {
            let Some(wanted) = wanted else { continue };
            let time = start + step * i64::try_from(index).unwrap_or(i64::MAX);
            if series.samples.timestamps.get(next) != Some(&time) {
                let found = series.samples.timestamps.get(next);
                return Err(format!("{}: expected {} at {time} ms, next is at {found:?}", series.labels, show(wanted)));
            }
            let value = series.samples.value(next);
            if !same_value(&value, wanted, line.hinted[index]) {
                return Err(format!("{} at {time} ms: got {}, expected {}", series.labels, show(&value), show(wanted)));
            }
            next += 1;
        }
        if next < series.samples.len() {
            let (time, value) = (series.samples.timestamps[next], series.samples.value(next));
            return Err(format!("{}: unexpected {} at {time} ms", series.labels, show(&value)));
        }
    }
    match expected.iter().find(|(_, line)| line.values.iter().any(Option::is_some)) {
        Some((missing, _)) => Err(format!("{missing} is missing")),
        None => Ok(()),
    }
}

/// The middle step of a range query around an instant must give what the instant query gives.
fn check_middle(eval: &Eval, output: QueryOutput, time: i64) -> Result<(), String> {
    let Value::Matrix(series) = output.value else { return Err("a range query gave no matrix".to_owned()) };
    let mut middle = Vec::new();
    for one in &series {
        if let Ok(index) = one.samples.timestamps.binary_search(&time) {
            middle.push((one.labels.clone(), one.samples.value(index)));
        }
    }
    if eval.scalar.is_some() {
        return match middle.as_slice() {
            [(_, SampleValue::Float(got))] => check_scalar(eval, *got),
            _ => Err("expected one float".to_owned()),
        };
    }
    check_vector(eval, middle.iter().map(|(labels, value)| (labels, value)).collect())
}

fn show(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}
