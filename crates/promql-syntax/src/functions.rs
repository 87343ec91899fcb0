//! What can be called: names, types, one line of documentation each.
//! Source: Prometheus 3.14, `promql/parser/functions.go` (signatures).

use crate::ast::ValueType;
use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// A function's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments; the last one repeats in variadic functions.
    pub args: &'static [ValueType],
    /// 0: all arguments are required. n > 0: the last argument of `args` may be left out, and given up to n times.
    /// -1: it may be given any number of times.
    pub variadic: i32,
    pub returns: ValueType,
    /// Behind a feature flag in Prometheus.
    pub experimental: bool,
    /// One line for completion.
    pub doc: &'static str,
}

/// The signature of `name`, which is case-sensitive.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const fn f(name: &'static str, args: &'static [ValueType], returns: ValueType, doc: &'static str) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false, doc }
}

const fn v(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i32,
    returns: ValueType,
    doc: &'static str,
) -> Function {
    Function { name, args, variadic, returns, experimental: false, doc }
}

const fn x(function: Function) -> Function {
    Function { experimental: true, ..function }
}

/// Every function, sorted by name.
#[rustfmt::skip]
pub const FUNCTIONS: &[Function] = &[
    f("abs", &[V], V, "Absolute value of every sample"),
    f("absent", &[V], V, "1 if the vector is empty, nothing otherwise"),
    f("absent_over_time", &[M], V, "1 if the range holds no sample at all, nothing otherwise"),
    f("acos", &[V], V, "Arc cosine, in radians"),
    f("acosh", &[V], V, "Inverse hyperbolic cosine"),
    f("asin", &[V], V, "Arc sine, in radians"),
    f("asinh", &[V], V, "Inverse hyperbolic sine"),
    f("atan", &[V], V, "Arc tangent, in radians"),
    f("atanh", &[V], V, "Inverse hyperbolic tangent"),
    f("avg_over_time", &[M], V, "Average of the samples in the range"),
    f("ceil", &[V], V, "Rounds up to the next integer"),
    f("changes", &[M], V, "How often the value changed in the range"),
    f("clamp", &[V, S, S], V, "Limits values to between min and max"),
    f("clamp_max", &[V, S], V, "Limits values to at most max"),
    f("clamp_min", &[V, S], V, "Limits values to at least min"),
    f("cos", &[V], V, "Cosine of radians"),
    f("cosh", &[V], V, "Hyperbolic cosine"),
    f("count_over_time", &[M], V, "Number of samples in the range"),
    v("day_of_month", &[V], 1, V, "Day of the month in UTC, 1 to 31"),
    v("day_of_week", &[V], 1, V, "Day of the week in UTC, 0 (Sunday) to 6"),
    v("day_of_year", &[V], 1, V, "Day of the year in UTC, 1 to 366"),
    v("days_in_month", &[V], 1, V, "Number of days of the month in UTC, 28 to 31"),
    f("deg", &[V], V, "Radians to degrees"),
    f("delta", &[M], V, "Difference between the ends of the range, for gauges, extrapolated to the whole range"),
    f("deriv", &[M], V, "Slope per second by linear regression, for gauges"),
    x(f("double_exponential_smoothing", &[M, S, S], V, "Smoothed value with smoothing and trend factors, for gauges")),
    x(f("end", &[], S, "End of the query, in seconds since 1970")),
    f("exp", &[V], V, "e to the power of every sample"),
    f("first_over_time", &[M], V, "Oldest sample in the range"),
    f("floor", &[V], V, "Rounds down to the next integer"),
    f("histogram_avg", &[V], V, "Average of the observations in native histograms"),
    f("histogram_count", &[V], V, "Count of observations in native histograms"),
    f("histogram_fraction", &[S, S, V], V, "Estimated fraction of observations between lower and upper"),
    f("histogram_quantile", &[S, V], V, "Estimated quantile of classic or native histograms"),
    x(v("histogram_quantiles", &[V, T, S, S], 9, V, "Several estimated quantiles at once, each with its value in a label")),
    f("histogram_stddev", &[V], V, "Estimated standard deviation of the observations in native histograms"),
    f("histogram_stdvar", &[V], V, "Estimated variance of the observations in native histograms"),
    f("histogram_sum", &[V], V, "Sum of observations in native histograms"),
    v("hour", &[V], 1, V, "Hour of the day in UTC, 0 to 23"),
    f("idelta", &[M], V, "Difference between the last two samples, for gauges"),
    f("increase", &[M], V, "How much a counter grew over the range, extrapolated"),
    x(v("info", &[V, V], 1, V, "Adds labels of matching info metrics such as target_info")),
    f("irate", &[M], V, "Growth of a counter per second between the last two samples"),
    v("label_join", &[V, T, T, T], -1, V, "Joins the values of labels with a separator into a new label"),
    f("label_replace", &[V, T, T, T, T], V, "Sets a label from a regular expression's match on another"),
    f("last_over_time", &[M], V, "Newest sample in the range"),
    f("ln", &[V], V, "Natural logarithm"),
    f("log10", &[V], V, "Logarithm to base 10"),
    f("log2", &[V], V, "Logarithm to base 2"),
    x(f("mad_over_time", &[M], V, "Median absolute deviation of the samples in the range")),
    x(f("max_of", &[S, S], S, "The larger of two scalars")),
    f("max_over_time", &[M], V, "Largest sample in the range"),
    x(f("min_of", &[S, S], S, "The smaller of two scalars")),
    f("min_over_time", &[M], V, "Smallest sample in the range"),
    v("minute", &[V], 1, V, "Minute of the hour in UTC, 0 to 59"),
    v("month", &[V], 1, V, "Month in UTC, 1 to 12"),
    f("pi", &[], S, "The number pi"),
    f("predict_linear", &[M, S], V, "Value in so many seconds by linear regression, for gauges"),
    f("present_over_time", &[M], V, "1 for every series with a sample in the range"),
    f("quantile_over_time", &[S, M], V, "Quantile of the samples in the range"),
    f("rad", &[V], V, "Degrees to radians"),
    x(f("range", &[], S, "End of the query minus its start, in seconds")),
    f("rate", &[M], V, "Growth of a counter per second, averaged over the range"),
    f("resets", &[M], V, "How often a counter was reset in the range"),
    v("round", &[V, S], 1, V, "Rounds to the nearest integer, or multiple of the second argument"),
    f("scalar", &[V], S, "Value of a vector with one element as a scalar, NaN otherwise"),
    f("sgn", &[V], V, "Sign: 1, 0 or -1"),
    f("sin", &[V], V, "Sine of radians"),
    f("sinh", &[V], V, "Hyperbolic sine"),
    f("sort", &[V], V, "Sorts by value, ascending; instant queries only"),
    x(v("sort_by_label", &[V, T], -1, V, "Sorts by the values of labels, ascending; instant queries only")),
    x(v("sort_by_label_desc", &[V, T], -1, V, "Sorts by the values of labels, descending; instant queries only")),
    f("sort_desc", &[V], V, "Sorts by value, descending; instant queries only"),
    f("sqrt", &[V], V, "Square root"),
    x(f("start", &[], S, "Start of the query, in seconds since 1970")),
    x(f("start_timestamp", &[V], V, "When each sample's counter started, in seconds since 1970")),
    f("stddev_over_time", &[M], V, "Standard deviation of the samples in the range"),
    f("stdvar_over_time", &[M], V, "Variance of the samples in the range"),
    x(f("step", &[], S, "Step of the query, in seconds")),
    f("sum_over_time", &[M], V, "Sum of the samples in the range"),
    f("tan", &[V], V, "Tangent of radians"),
    f("tanh", &[V], V, "Hyperbolic tangent"),
    f("time", &[], S, "Time of the evaluation, in seconds since 1970"),
    f("timestamp", &[V], V, "Time of each sample, in seconds since 1970"),
    x(f("ts_of_first_over_time", &[M], V, "Time of the oldest sample in the range")),
    x(f("ts_of_last_over_time", &[M], V, "Time of the newest sample in the range")),
    x(f("ts_of_max_over_time", &[M], V, "Time of the largest sample in the range")),
    x(f("ts_of_min_over_time", &[M], V, "Time of the smallest sample in the range")),
    f("vector", &[S], V, "A scalar as a vector without labels"),
    v("year", &[V], 1, V, "Year in UTC"),
];

/// Aggregations with one line each, for completion.
#[rustfmt::skip]
pub const AGGREGATIONS: &[(&str, &str)] = &[
    ("avg", "Average of the group"),
    ("bottomk", "The k smallest elements of each group"),
    ("count", "Number of elements of the group"),
    ("count_values", "Number of elements with the same value, which goes into a label"),
    ("group", "1 for every group"),
    ("limit_ratio", "A pseudo-random share of each group, the same every time"),
    ("limitk", "At most k elements of each group"),
    ("max", "Largest value of the group"),
    ("min", "Smallest value of the group"),
    ("quantile", "Quantile of the group"),
    ("stddev", "Standard deviation of the group"),
    ("stdvar", "Variance of the group"),
    ("sum", "Sum of the group"),
    ("topk", "The k largest elements of each group"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        for pair in FUNCTIONS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} stands before {}", pair[0].name, pair[1].name);
        }
        assert_eq!(function("rate").unwrap().returns, V);
        assert!(function("RATE").is_none());
        for (name, _) in AGGREGATIONS {
            assert!(crate::AggregateOp::from_name(name).is_some(), "{name}");
        }
    }
}
