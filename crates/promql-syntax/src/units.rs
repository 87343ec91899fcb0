//! What kind of number an expression gives and in which unit, as far as names and metadata tell.
//!
//! Units follow the naming rules of Prometheus and OpenMetrics: the last word of a metric's name before `_total`, `_sum`,
//! `_count` or `_bucket`, unless metadata name one.

use crate::ast::{AggregateExpr, AggregateOp, BinaryExpr, BinaryOp, Call, Expr, Span, VectorSelector};
use model::{MatchOp, Metadata, MetricType, labels::METRIC_NAME};
use std::{collections::BTreeMap, fmt};

/// A product of powers of named units: `bytes / second` is bytes¹ · seconds⁻¹. Empty for plain numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    powers: BTreeMap<String, i32>,
    /// A plain number that says how much of something: bytes of bytes, and not a count.
    is_ratio: bool,
}

impl Unit {
    /// A number without a unit: a count.
    pub fn one() -> Unit {
        Unit::default()
    }

    /// One quantity divided by another of its kind.
    pub fn ratio() -> Unit {
        Unit { is_ratio: true, ..Unit::default() }
    }

    /// A unit by its plural name: `bytes`. `ratio` is [`Unit::ratio`].
    pub fn named(name: &str) -> Unit {
        if name == "ratio" { Unit::ratio() } else { Unit::of(BTreeMap::from([(name.to_owned(), 1)])) }
    }

    fn of(powers: BTreeMap<String, i32>) -> Unit {
        Unit { powers, is_ratio: false }
    }

    /// A plain number: a count or a ratio.
    pub fn is_plain(&self) -> bool {
        self.powers.is_empty()
    }

    pub fn is_ratio(&self) -> bool {
        self.is_ratio
    }

    /// The name if the unit is a single one to the power of one.
    pub fn as_named(&self) -> Option<&str> {
        match self.powers.iter().next() {
            Some((name, 1)) if self.powers.len() == 1 => Some(name),
            _ => None,
        }
    }

    fn combined(&self, other: &Unit, sign: i32) -> Unit {
        let mut out = self.powers.clone();
        for (name, power) in &other.powers {
            let entry = out.entry(name.clone()).or_insert(0);
            *entry = entry.saturating_add(power.saturating_mul(sign));
        }
        out.retain(|_, power| *power != 0);
        Unit::of(out)
    }

    fn times(&self, other: &Unit) -> Unit {
        let mut out = self.combined(other, 1);
        out.is_ratio = self.is_ratio && other.is_ratio;
        out
    }

    fn over(&self, other: &Unit) -> Unit {
        let mut out = self.combined(other, -1);
        // A count by a ratio is a count.
        out.is_ratio = out.is_plain() && (self.is_ratio || !other.is_ratio);
        out
    }

    /// Whether values in both may be added; what they come to is a ratio only if both are.
    fn alike(&self, other: &Unit) -> Option<Unit> {
        let is_ratio = self.is_ratio && other.is_ratio;
        (self.powers == other.powers).then(|| Unit { powers: self.powers.clone(), is_ratio })
    }

    fn power(&self, exponent: i32) -> Unit {
        let raised = self.powers.iter().map(|(name, power)| (name.clone(), power.saturating_mul(exponent)));
        Unit::of(raised.filter(|(_, power)| *power != 0).collect())
    }

    fn root(&self) -> Option<Unit> {
        let halved = self.powers.iter().map(|(name, power)| (power % 2 == 0).then(|| (name.clone(), power / 2)));
        halved.collect::<Option<_>>().map(Unit::of)
    }

    /// The same with another name in place of one, if that stands above the line alone.
    fn replaced(&self, from: &str, to: &str) -> Option<Unit> {
        let mut out = self.powers.clone();
        if out.remove(from)? != 1 {
            return None;
        }
        out.insert(to.to_owned(), 1);
        Some(Unit::of(out))
    }
}

impl fmt::Display for Unit {
    /// `bytes/second`, `1/second`, `joules·seconds`, `ratio`, `1` for other plain numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ratio {
            return f.write_str("ratio");
        }
        let part = |f: &mut fmt::Formatter<'_>, name: &str, power: u32, first: bool| {
            if !first {
                f.write_str("·")?;
            }
            f.write_str(name)?;
            if power > 1 { write!(f, "^{power}") } else { Ok(()) }
        };
        let mut first = true;
        for (name, power) in self.powers.iter().filter(|(_, power)| **power > 0) {
            part(f, name, power.unsigned_abs(), first)?;
            first = false;
        }
        if first {
            f.write_str("1")?;
        }
        let mut first = true;
        for (name, power) in self.powers.iter().filter(|(_, power)| **power < 0) {
            if first {
                f.write_str("/")?;
            }
            part(f, singular(name), power.unsigned_abs(), first)?;
            first = false;
        }
        Ok(())
    }
}

/// `seconds` to `second`, as it stands below the line.
fn singular(name: &str) -> &str {
    match name {
        "celsius" | "hertz" | "siemens" => name,
        _ => name.strip_suffix('s').unwrap_or(name),
    }
}

/// What is known about the values of an expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inferred {
    /// `Counter` while the values only grow, `Gauge` once they may fall; `Unknown` if nothing is known.
    pub metric_type: MetricType,
    /// `None` if nothing is known.
    pub unit: Option<Unit>,
    /// For histograms and the buckets of classic ones: the unit of what was observed.
    pub observed: Option<Unit>,
    /// Places where units do not fit together, with a sentence each.
    pub conflicts: Vec<(Span, String)>,
    /// The value, where it is a constant.
    constant: Option<f64>,
    /// Was multiplied by a hundred, and would be percent once it is divided by its like.
    is_hundredfold: bool,
}

impl Inferred {
    fn gauge(unit: Option<Unit>) -> Inferred {
        Inferred { metric_type: MetricType::Gauge, unit, ..Inferred::default() }
    }

    fn plain() -> Inferred {
        Inferred::gauge(Some(Unit::one()))
    }

    /// Other values in the same unit, no longer those of a counter.
    fn with_unit(self, unit: Option<Unit>) -> Inferred {
        Inferred { metric_type: MetricType::Gauge, unit, constant: None, ..self }
    }
}

/// Words that end metric names and are units.
const UNITS: [&str; 27] = [
    "seconds",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "bytes",
    "bits",
    "packets",
    "celsius",
    "fahrenheit",
    "kelvin",
    "meters",
    "grams",
    "joules",
    "watts",
    "volts",
    "amperes",
    "hertz",
    "ohms",
    "pascals",
    "ratio",
    "percent",
    "rpm",
    "cores",
    "decibels",
];

/// The unit that a metric's name tells, with the endings of counters and histograms taken off.
pub fn unit_of_name(name: &str) -> Option<Unit> {
    let base = base_name(name);
    let word = base.rsplit(['_', ':']).next().unwrap_or(base);
    UNITS.contains(&word).then(|| Unit::named(word))
}

fn base_name(name: &str) -> &str {
    let mut base = name;
    for suffix in ["_total", "_sum", "_count", "_bucket"] {
        base = base.strip_suffix(suffix).unwrap_or(base);
    }
    base
}

/// Infers type and unit of an expression. `metadata` gives what is known about a metric family, if anything.
pub fn infer(expr: &Expr, metadata: &dyn Fn(&str) -> Option<Metadata>) -> Inferred {
    match expr {
        Expr::Number(e) if e.is_duration => {
            Inferred { constant: Some(e.value), ..Inferred::gauge(Some(Unit::named("seconds"))) }
        }
        Expr::Number(e) => Inferred { constant: Some(e.value), ..Inferred::default() },
        Expr::String(_) => Inferred::default(),
        Expr::Paren(e) => infer(&e.inner, metadata),
        Expr::Unary(e) => {
            let inner = infer(&e.inner, metadata);
            let constant = inner.constant.map(|value| if e.negative { -value } else { value });
            if e.negative && constant.is_none() {
                let unit = inner.unit.clone();
                return inner.with_unit(unit);
            }
            Inferred { constant, ..inner }
        }
        Expr::Selector(e) => of_selector(e, metadata),
        Expr::Matrix(e) => of_selector(&e.selector, metadata),
        Expr::Subquery(e) => infer(&e.inner, metadata),
        Expr::Aggregate(e) => of_aggregate(e, metadata),
        Expr::Binary(e) => of_binary(e, metadata),
        Expr::Call(e) => of_call(e, metadata),
    }
}

/// The one name that a selector allows.
pub fn selected_name(selector: &VectorSelector) -> Option<&str> {
    selector.name.as_deref().or_else(|| {
        let mut names = selector.matchers.iter().filter(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        names.next().map(|matcher| matcher.value.as_str())
    })
}

fn of_selector(selector: &VectorSelector, metadata: &dyn Fn(&str) -> Option<Metadata>) -> Inferred {
    let Some(name) = selected_name(selector) else { return Inferred::default() };
    let known = metadata(name).or_else(|| metadata(base_name(name))).unwrap_or_default();
    let unit = if known.unit.is_empty() { unit_of_name(name) } else { Some(Unit::named(&known.unit)) };
    let is_part = |suffix: &str| name.ends_with(suffix) && (known.metric_type != MetricType::Gauge);
    if is_part("_bucket") {
        return Inferred {
            metric_type: MetricType::Counter,
            unit: Some(Unit::one()),
            observed: unit,
            ..Inferred::default()
        };
    }
    if is_part("_count") {
        return Inferred { metric_type: MetricType::Counter, unit: Some(Unit::one()), ..Inferred::default() };
    }
    let counts = known.metric_type == MetricType::Counter
        || known.metric_type == MetricType::Unknown && name.ends_with("_total")
        || is_part("_sum");
    if counts {
        // A counter whose name has no unit counts things.
        let unit = unit.or(Some(Unit::one()));
        return Inferred { metric_type: MetricType::Counter, unit, ..Inferred::default() };
    }
    match known.metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => {
            Inferred { metric_type: known.metric_type, observed: unit, ..Inferred::default() }
        }
        MetricType::Info | MetricType::StateSet => Inferred { metric_type: known.metric_type, ..Inferred::plain() },
        metric_type => Inferred { metric_type, unit, ..Inferred::default() },
    }
}

fn of_aggregate(e: &AggregateExpr, metadata: &dyn Fn(&str) -> Option<Metadata>) -> Inferred {
    let inner = infer(&e.inner, metadata);
    let conflicts = inner.conflicts.clone();
    let unit = inner.unit.clone();
    match e.op {
        AggregateOp::Count | AggregateOp::CountValues | AggregateOp::Group => {
            Inferred { conflicts, ..Inferred::plain() }
        }
        AggregateOp::Stdvar => inner.with_unit(unit.map(|unit| unit.power(2))),
        AggregateOp::Sum | AggregateOp::Limitk | AggregateOp::LimitRatio => inner,
        _ if inner.metric_type == MetricType::Histogram => inner,
        _ => inner.with_unit(unit),
    }
}

fn of_binary(e: &BinaryExpr, metadata: &dyn Fn(&str) -> Option<Metadata>) -> Inferred {
    let (left, right) = (infer(&e.left, metadata), infer(&e.right, metadata));
    let mut conflicts = left.conflicts.clone();
    conflicts.extend(right.conflicts.iter().cloned());
    let observed = left.observed.clone().or_else(|| right.observed.clone());
    let constant = match (left.constant, right.constant, e.op) {
        (Some(a), Some(b), BinaryOp::Add) => Some(a + b),
        (Some(a), Some(b), BinaryOp::Sub) => Some(a - b),
        (Some(a), Some(b), BinaryOp::Mul) => Some(a * b),
        (Some(a), Some(b), BinaryOp::Div) => Some(a / b),
        (Some(a), Some(b), BinaryOp::Pow) => Some(a.powf(b)),
        _ => None,
    };
    if constant.is_some() {
        return Inferred { constant, unit: left.unit.or(right.unit), conflicts, ..Inferred::default() };
    }
    let mut together = |what: &str| match (&left.unit, &right.unit) {
        (Some(a), Some(b)) => {
            let unit = a.alike(b);
            if unit.is_none() {
                conflicts.push((e.span, format!("{what} values in {a} and values in {b}")));
            }
            unit
        }
        (Some(a), _) => Some(a.clone()),
        (None, b) => b.clone(),
    };
    let unit = match e.op {
        BinaryOp::Add => together("adds"),
        BinaryOp::Sub => together("subtracts"),
        BinaryOp::Mod => left.unit.clone(),
        op if op.is_comparison() => {
            let unit = together("compares");
            if e.return_bool { Some(Unit::one()) } else { left.unit.clone().or(unit) }
        }
        BinaryOp::And | BinaryOp::Unless | BinaryOp::TrimLower | BinaryOp::TrimUpper => {
            return Inferred { conflicts, constant: None, ..left };
        }
        BinaryOp::Or => together("joins"),
        BinaryOp::Mul => match (left.constant, right.constant) {
            (Some(factor), _) => right.unit.as_ref().map(|unit| scaled(unit, factor)),
            (_, Some(factor)) => left.unit.as_ref().map(|unit| scaled(unit, factor)),
            _ => left.unit.as_ref().zip(right.unit.as_ref()).map(|(a, b)| a.times(b)),
        },
        BinaryOp::Div => match (left.constant, right.constant) {
            (_, Some(divisor)) => left.unit.as_ref().map(|unit| scaled(unit, 1.0 / divisor)),
            (Some(_), _) => right.unit.as_ref().map(|unit| unit.power(-1)),
            _ => left.unit.as_ref().zip(right.unit.as_ref()).map(|(a, b)| match a.over(b) {
                unit if unit.is_ratio && left.is_hundredfold => Unit::named("percent"),
                unit => unit,
            }),
        },
        BinaryOp::Pow => match right.constant {
            Some(exponent) if exponent.trunc() == exponent && exponent.abs() <= 8.0 => {
                // Checked to be a small whole number.
                left.unit.as_ref().map(|unit| unit.power(exponent as i32))
            }
            _ => None,
        },
        _ => None,
    };
    let factor = if e.op == BinaryOp::Mul { left.constant.or(right.constant) } else { None };
    // Of a ratio it is percent already.
    let is_hundredfold = factor == Some(100.0) && unit.as_ref().and_then(Unit::as_named) != Some("percent");
    Inferred { metric_type: MetricType::Gauge, unit, observed, conflicts, constant: None, is_hundredfold }
}

/// The unit of values that were multiplied by a constant: where the factor is that between two units, the other one.
fn scaled(unit: &Unit, factor: f64) -> Unit {
    let near = |wanted: f64| (factor / wanted - 1.0).abs() < 1e-9;
    const BYTES: [(f64, &str); 7] = [
        (8.0, "bits"),
        (1.0 / 1024.0, "kibibytes"),
        (1.0 / 1_048_576.0, "mebibytes"),
        (1.0 / 1_073_741_824.0, "gibibytes"),
        (1e-3, "kilobytes"),
        (1e-6, "megabytes"),
        (1e-9, "gigabytes"),
    ];
    const SECONDS: [(f64, &str); 6] = [
        (1e3, "milliseconds"),
        (1e6, "microseconds"),
        (1e9, "nanoseconds"),
        (1.0 / 60.0, "minutes"),
        (1.0 / 3600.0, "hours"),
        (1.0 / 86_400.0, "days"),
    ];
    for (from, table) in [("bytes", BYTES.as_slice()), ("seconds", SECONDS.as_slice())] {
        let found = table.iter().find(|(wanted, _)| near(*wanted));
        if let Some(unit) = found.and_then(|(_, to)| unit.replaced(from, to)) {
            return unit;
        }
    }
    const STEPS: [(&str, f64, &str); 7] = [
        ("kibibytes", 1.0 / 1024.0, "mebibytes"),
        ("mebibytes", 1.0 / 1024.0, "gibibytes"),
        ("kilobytes", 1e-3, "megabytes"),
        ("megabytes", 1e-3, "gigabytes"),
        ("milliseconds", 1e-3, "seconds"),
        ("microseconds", 1e-6, "seconds"),
        ("nanoseconds", 1e-9, "seconds"),
    ];
    for (from, wanted, to) in STEPS {
        if let Some(unit) = unit.replaced(from, to).filter(|_| near(wanted)) {
            return unit;
        }
    }
    if unit.is_ratio && near(100.0) {
        return Unit::named("percent");
    }
    if unit.as_named() == Some("percent") && near(0.01) {
        return Unit::ratio();
    }
    unit.clone()
}

fn of_call(e: &Call, metadata: &dyn Fn(&str) -> Option<Metadata>) -> Inferred {
    let vector =
        e.args.iter().find(|arg| matches!(arg.value_type(), crate::ValueType::Vector | crate::ValueType::Matrix));
    let inner = vector.or(e.args.first()).map(|arg| infer(arg, metadata)).unwrap_or_default();
    let conflicts = inner.conflicts.clone();
    let (unit, observed) = (inner.unit.clone(), inner.observed.clone());
    let seconds = || Some(Unit::named("seconds"));
    let is_histogram = matches!(inner.metric_type, MetricType::Histogram | MetricType::GaugeHistogram);
    match e.function.as_str() {
        "rate" | "irate" | "deriv" => {
            let unit = unit.map(|unit| unit.over(&Unit::named("seconds")));
            if is_histogram {
                Inferred { metric_type: MetricType::GaugeHistogram, ..inner }
            } else {
                inner.with_unit(unit)
            }
        }
        "time" | "timestamp" | "start_timestamp" | "start" | "end" | "step" | "range" => {
            Inferred { conflicts, ..Inferred::gauge(seconds()) }
        }
        name if name.starts_with("ts_of_") => Inferred { conflicts, ..Inferred::gauge(seconds()) },
        "changes" | "resets" | "count_over_time" | "present_over_time" | "absent" | "absent_over_time" | "sgn"
        | "histogram_count" | "day_of_month" | "day_of_week" | "day_of_year" | "days_in_month" | "hour" | "minute"
        | "month" | "year" | "pi" => Inferred { conflicts, ..Inferred::plain() },
        "histogram_fraction" => Inferred { conflicts, ..Inferred::gauge(Some(Unit::ratio())) },
        "histogram_quantile" | "histogram_quantiles" | "histogram_avg" | "histogram_stddev" | "histogram_sum" => {
            Inferred { conflicts, ..Inferred::gauge(observed) }
        }
        "histogram_stdvar" => Inferred { conflicts, ..Inferred::gauge(observed.map(|unit| unit.power(2))) },
        "stdvar_over_time" => inner.with_unit(unit.map(|unit| unit.power(2))),
        "sqrt" => inner.with_unit(unit.and_then(|unit| unit.root())),
        "exp" | "ln" | "log2" | "log10" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh"
        | "tanh" | "asinh" | "acosh" | "atanh" | "deg" | "rad" => Inferred { conflicts, ..Inferred::gauge(None) },
        "last_over_time" | "first_over_time" | "label_replace" | "label_join" | "info" | "sort" | "sort_desc"
        | "sort_by_label" | "sort_by_label_desc" | "scalar" | "vector" => Inferred { constant: None, ..inner },
        _ if is_histogram => inner,
        _ => inner.with_unit(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = r#"
rate(node_network_receive_bytes_total[5m])                              => gauge bytes/second
rate(node_network_receive_bytes_total[5m]) * 8                          => gauge bits/second
sum by (job) (rate(http_requests_total[5m]))                            => gauge 1/second
increase(http_requests_total[1h])                                       => gauge 1
http_requests_total                                                     => counter 1
node_memory_MemFree_bytes / 1024 / 1024                                 => gauge mebibytes
100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m])))          => gauge percent
node_memory_MemFree_bytes / node_memory_MemTotal_bytes                  => gauge ratio
histogram_quantile(0.9, sum by (le) (rate(http_duration_seconds_bucket[5m]))) => gauge seconds
rate(http_duration_seconds_sum[5m]) / rate(http_duration_seconds_count[5m])   => gauge seconds
histogram_quantile(0.5, rate(lat[5m]))                                  => gauge seconds
histogram_count(rate(lat[5m]))                                          => gauge 1
time() - process_start_time_seconds                                     => gauge seconds
node_temp_celsius + node_memory_MemFree_bytes                           => gauge ?, 0: adds values in celsius and values in bytes
stdvar(request_size_bytes)                                              => gauge bytes^2
sqrt(stdvar(request_size_bytes))                                        => gauge bytes
count(up)                                                               => gauge 1
queue                                                                   => gauge ?
temperature                                                             => gauge kelvin
x > bool 1                                                              => gauge 1
rate(energy_joules_total[1m])                                           => gauge joules/second
up and http_requests_total                                              => unknown ?
5m                                                                      => gauge seconds
max_over_time(rate(disk_read_bytes_total[5m])[1h:])                     => gauge bytes/second
-http_requests_total                                                    => gauge 1
request_seconds * 1e3                                                   => gauge milliseconds
rate(errors_total[5m]) / rate(requests_total[5m])                       => gauge ratio
100 * rate(errors_total[5m]) / rate(requests_total[5m])                 => gauge percent
(a_bytes - b_bytes) / a_bytes * 100                                     => gauge percent
100 * sum(a_bytes) / 2                                                  => gauge bytes
100 * count(up)                                                         => gauge 1
1 - a_bytes / b_bytes                                                   => gauge ratio
usage_ratio                                                             => unknown ratio
usage_percent / 100                                                     => gauge ratio
rate(process_cpu_seconds_total[5m])                                     => gauge ratio
count(up == 1) / count(up)                                              => gauge ratio
sum(a_bytes) / count(a_bytes)                                           => gauge bytes
avg(usage_ratio) * sum(a_bytes)                                         => gauge bytes
usage_ratio + requests_total                                            => gauge 1
count(up) / usage_ratio                                                 => gauge 1
histogram_fraction(0, 1, rate(lat[5m]))                                 => gauge ratio
rate(http_duration_seconds_count[5m])                                   => gauge 1/second
bytes_a_bytes > 100                                                     => gauge bytes
100 < x_bytes                                                           => gauge bytes
a_bytes or b_seconds                                                    => gauge ?, 0: joins values in bytes and values in seconds
a_bytes or vector(0)                                                    => gauge bytes
topk(3, rate(b_bytes_total[1m]))                                        => gauge bytes/second
quantile_over_time(0.9, room_celsius[1h])                               => gauge celsius
delta(room_celsius[1h])                                                 => gauge celsius
"#;

    #[test]
    fn types_and_units() {
        let metadata = |name: &str| {
            let (metric_type, unit) = match name {
                "lat" => (MetricType::Histogram, "seconds"),
                "queue" => (MetricType::Gauge, ""),
                "temperature" => (MetricType::Gauge, "kelvin"),
                _ => return None,
            };
            Some(Metadata { metric_type, unit: unit.to_owned(), help: String::new() })
        };
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=>").unwrap();
            let got = infer(&crate::parse(text.trim()).unwrap(), &metadata);
            let unit = got.unit.map_or("?".to_owned(), |unit| unit.to_string());
            let mut shown = format!("{} {unit}", got.metric_type.as_str());
            for (span, text) in got.conflicts {
                shown.push_str(&format!(", {}: {text}", span.start));
            }
            assert_eq!(shown, expected.trim(), "in case `{}`", text.trim());
        }
    }
}
