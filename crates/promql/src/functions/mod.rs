//! Functions: who evaluates what.

mod classic;
mod info;
mod label;
mod over_time;
mod range;
pub(crate) mod rate;
mod time;

pub(crate) use range::{RangePlan, keeps_name, matrix_argument};

use crate::error::QueryError;
use crate::eval::{Evaluator, unlabelled};
use crate::logarithm;
use crate::numbers::{largest, smallest};
use crate::select::Give;
use crate::stream::Stage;
use crate::trigonometry;
use crate::value::{At, Column, Grid, Intermediate, Kind, VectorSeries};
use model::{Labels, SampleValue};
use promql_syntax::{Call, Expr};
use std::{cmp::Ordering, sync::Arc};

fn math_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => trigonometry::acos,
        "acosh" => trigonometry::acosh,
        "asin" => trigonometry::asin,
        "asinh" => trigonometry::asinh,
        "atan" => f64::atan,
        "atanh" => trigonometry::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => logarithm::ln,
        "log10" => logarithm::log10,
        "log2" => logarithm::log2,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

impl Evaluator<'_> {
    pub(crate) fn eval_call(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let name = e.function.as_str();
        if range::is_range_function(name) {
            return Ok(Intermediate::Vector(self.range_call(e, grid)?));
        }
        if let Some(value) = self.histogram_call(e, grid)? {
            return Ok(Intermediate::Vector(value));
        }
        let scalar = |value: f64| Ok(Intermediate::Scalar(vec![value; grid.count]));
        let arg = |index: usize| self.eval_vector(&e.args[index], grid);
        let number = |index: usize| self.eval_scalar(&e.args[index], grid);
        Ok(match name {
            "pi" => return scalar(std::f64::consts::PI),
            "start" => return scalar(self.times.start as f64 / 1000.0),
            "end" => return scalar(self.times.end as f64 / 1000.0),
            "step" => return scalar(self.times.step as f64 / 1000.0),
            "range" => return scalar((self.times.end - self.times.start) as f64 / 1000.0),
            "time" => Intermediate::Scalar(grid.times().map(|time| time as f64 / 1000.0).collect()),
            "min_of" | "max_of" => {
                let choose = |(a, b): (f64, f64)| {
                    if name == "min_of" { smallest(a, b) } else { largest(a, b) }
                };
                Intermediate::Scalar(number(0)?.into_iter().zip(number(1)?).map(choose).collect())
            }
            "scalar" => Intermediate::Scalar(to_scalar(&arg(0)?, grid)),
            "vector" => Intermediate::Vector(unlabelled(Column::from_floats(number(0)?))),
            "absent" => self.absent(e, grid)?,
            "absent_over_time" => self.absent_over_time(e, grid)?,
            "timestamp" | "start_timestamp" => {
                let give = if name == "timestamp" { Give::Timestamp } else { Give::StartTimestamp };
                Intermediate::Vector(match e.args[0].unparenthesized() {
                    Expr::Selector(selector) => {
                        // As in Prometheus, a fixed time is not moved by an offset here.
                        let fixed = (selector.at.is_some() && name == "timestamp")
                            .then(|| promql_syntax::VectorSelector { offset: None, ..selector.clone() });
                        let mut series = self.instant_selector(fixed.as_ref().unwrap_or(selector), grid, give)?;
                        series.iter_mut().for_each(|series| series.drop_name = true);
                        series
                    }
                    _ if name == "timestamp" => {
                        let mut series = arg(0)?;
                        for one in &mut series {
                            one.drop_name = true;
                            for step in (0..grid.count).filter(|&step| one.column.is_present(step)).collect::<Vec<_>>()
                            {
                                one.column.set_float(step, grid.time(step) as f64 / 1000.0);
                            }
                        }
                        series
                    }
                    // Only stored samples have a start.
                    _ => Vec::new(),
                })
            }
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                if !self.times.instant {
                    let text = "sort is ineffective for range queries since results are always ordered by labels";
                    self.annotations.warn(e.span, text);
                }
                let labels = self.string_args(e, 1)?;
                Intermediate::Vector(sort(name, &labels, arg(0)?))
            }
            "label_replace" => Intermediate::Vector(self.label_replace(e, grid)?),
            "label_join" => Intermediate::Vector(self.label_join(e, grid)?),
            "info" => Intermediate::Vector(self.info(e, grid)?),
            _ => match time::date_part(name) {
                // With an argument it is a mapping.
                Some(part) => {
                    let values = grid.times().map(|time| part(time as f64 / 1000.0)).collect();
                    Intermediate::Vector(unlabelled(Column::from_floats(values)))
                }
                None => return Err(QueryError::Execution(format!("function {name} is unknown"))),
            },
        })
    }

    /// What a function that maps values one by one does to a series.
    pub(crate) fn mapping_stage<'e>(&'e self, e: &'e Call, grid: Grid) -> Result<Stage<'e>, QueryError> {
        let number = |index: usize| self.eval_scalar(&e.args[index], grid);
        let name = e.function.as_str();
        if let Some(function) = math_function(name).or_else(|| time::date_part(name)) {
            return Ok(Box::new(move |series| map_floats(series, |_, value| function(value))));
        }
        Ok(match name {
            "clamp" => {
                let (low, high) = (number(1)?, number(2)?);
                Box::new(move |series| {
                    map_floats(series, |step, value| largest(low[step], smallest(high[step], value)));
                    for step in (0..low.len()).filter(|&step| low[step] > high[step]) {
                        series.column.clear(step);
                    }
                })
            }
            "clamp_max" | "clamp_min" => {
                let (bound, is_max) = (number(1)?, name == "clamp_max");
                Box::new(move |series| {
                    map_floats(
                        series,
                        |step, value| {
                            if is_max { smallest(bound[step], value) } else { largest(bound[step], value) }
                        },
                    );
                })
            }
            "round" => {
                let to = if e.args.len() > 1 { number(1)? } else { vec![1.0; grid.count] };
                // Dividing by the inverse keeps `round(x, 0.1)` exact.
                Box::new(move |series| {
                    map_floats(series, |step, value| {
                        let inverse = 1.0 / to[step];
                        (value * inverse + 0.5).floor() / inverse
                    });
                })
            }
            _ => return Err(QueryError::Execution(format!("function {name} is unknown"))),
        })
    }

    pub(crate) fn string_args(&self, e: &Call, from: usize) -> Result<Vec<String>, QueryError> {
        (e.args.iter().skip(from))
            .map(|arg| match arg.unparenthesized() {
                Expr::String(text) => Ok(text.value.clone()),
                other => Err(QueryError::Execution(format!("{other} is no string"))),
            })
            .collect()
    }

    fn absent(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let input = self.eval_vector(&e.args[0], grid)?;
        let labels = match e.args[0].unparenthesized() {
            Expr::Selector(selector) => crate::select::fixed_labels(selector),
            _ => Labels::empty(),
        };
        let mut column = Column::empty(grid.count);
        for step in 0..grid.count {
            if !input.iter().any(|series| series.column.is_present(step)) {
                column.set_float(step, 1.0);
            }
        }
        Ok(Intermediate::Vector(only_filled(labels, column)))
    }

    fn absent_over_time(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let labels = match e.args[0].unparenthesized() {
            Expr::Matrix(matrix) => crate::select::fixed_labels(&matrix.selector),
            _ => Labels::empty(),
        };
        let times = self.range_times(&e.args[0])?;
        let mut column = Column::from_floats(vec![1.0; grid.count]);
        self.each_range(&e.args[0], grid, "absent_over_time", |series| {
            for step in 0..grid.count {
                let bounds = times.bounds(grid.time(step));
                let window = series.window(bounds.start, bounds.end);
                if let Some(counts) = self.counting() {
                    counts.add_window(step, &window);
                }
                if !window.is_empty() {
                    column.clear(step);
                }
            }
            Ok(())
        })?;
        Ok(Intermediate::Vector(only_filled(labels, column)))
    }
}

fn only_filled(labels: Labels, column: Column) -> Vec<VectorSeries> {
    if column.is_empty() { Vec::new() } else { vec![VectorSeries { labels, drop_name: false, column }] }
}

/// True for functions that map the values of a vector one by one.
pub(crate) fn is_mapping(e: &Call) -> bool {
    let name = e.function.as_str();
    matches!(name, "clamp" | "clamp_max" | "clamp_min" | "round")
        || math_function(name).is_some()
        || !e.args.is_empty() && time::date_part(name).is_some()
}

/// Floats changed one by one; histograms vanish.
fn map_floats(series: &mut VectorSeries, f: impl Fn(usize, f64) -> f64) {
    series.drop_name = true;
    let column = &mut series.column;
    for step in 0..column.kinds.len() {
        match column.kinds[step] {
            Kind::Float => column.values[step] = f(step, column.values[step]),
            Kind::Histogram => column.clear(step),
            Kind::Absent => {}
        }
    }
}

/// The value of the only element at each step, if it is a float.
fn to_scalar(series: &[VectorSeries], grid: Grid) -> Vec<f64> {
    (0..grid.count)
        .map(|step| {
            let mut floats = series.iter().filter_map(|series| match series.column.get(step) {
                Some(At::Float(value)) => Some(value),
                _ => None,
            });
            match (floats.next(), floats.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        })
        .collect()
}

fn sort(name: &str, labels: &[String], mut series: Vec<VectorSeries>) -> Vec<VectorSeries> {
    let descending = name.ends_with("_desc");
    if name.starts_with("sort_by_label") {
        series.sort_by(|a, b| {
            let by_label = labels
                .iter()
                .map(|label| natural(a.labels.get(label).unwrap_or_default(), b.labels.get(label).unwrap_or_default()));
            // Equal labels fall back on the whole set, so that the order is always the same.
            let order = by_label.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        return series;
    }
    let value = |series: &VectorSeries| match series.column.get(0) {
        Some(At::Float(value)) => Some(value),
        _ => None,
    };
    for one in &mut series {
        for step in 0..one.column.kinds.len() {
            if one.column.kinds[step] == Kind::Histogram {
                one.column.clear(step);
            }
        }
    }
    series.retain(|series| !series.column.is_empty());
    series.sort_by(|a, b| {
        let (a, b) = (value(a).unwrap_or(f64::NAN), value(b).unwrap_or(f64::NAN));
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        }
    });
    series
}

/// Compares texts with the numbers in them as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let ((own, a_rest), (other, b_rest)) = (a.split_at(digits(a)), b.split_at(digits(b)));
                let (p, q) = (own.trim_start_matches('0'), other.trim_start_matches('0'));
                let order = p.len().cmp(&q.len()).then_with(|| p.cmp(q)).then_with(|| own.len().cmp(&other.len()));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (a_rest, b_rest);
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(&y);
                }
                (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
            }
        }
    }
}

pub(crate) fn float(value: f64) -> Option<SampleValue> {
    Some(SampleValue::Float(value))
}

pub(crate) fn whole(value: model::FloatHistogram) -> Option<SampleValue> {
    Some(SampleValue::Histogram(Arc::new(value)))
}
