//! `/api/v1/query` and `/api/v1/query_range`.

use crate::number::go_float;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeTuple,
};
use std::collections::BTreeMap;

/// `{"resultType":"matrix","result":[…]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub enum QueryResult {
    Matrix(Vec<RangeSeries>),
    Vector(Vec<InstantSample>),
    Scalar(Point),
    String(StringPoint),
}

/// `data` of both endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "FlatData")]
pub struct QueryData {
    // `flatten` is fine here: this is JSON of our own making, not a configuration file.
    #[serde(flatten)]
    pub result: QueryResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<serde_json::Value>,
    /// With `units`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inferred: Option<Inferred>,
}

/// What kind of values a query gives, as far as names and metadata tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inferred {
    /// `gauge`, `counter`, …, `unknown`.
    pub metric_type: String,
    /// `bytes/second`, `ratio`, `1` for counts; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Of what histograms and buckets count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// What a query cost; with `stats`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    pub timings: Timings,
    pub samples: SampleStats,
}

/// Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    #[serde(serialize_with = "go_float")]
    pub eval_total_time: f64,
    #[serde(serialize_with = "go_float")]
    pub result_sort_time: f64,
    #[serde(serialize_with = "go_float")]
    pub query_preparation_time: f64,
    #[serde(serialize_with = "go_float")]
    pub inner_eval_time: f64,
    #[serde(serialize_with = "go_float")]
    pub exec_queue_time: f64,
    #[serde(serialize_with = "go_float")]
    pub exec_total_time: f64,
}

/// Pairs of seconds and a number, the seconds as Go prints them.
fn steps<S: Serializer>(steps: &[(f64, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Step(#[serde(serialize_with = "go_float")] f64, u64);
    serializer.collect_seq(steps.iter().map(|(seconds, samples)| Step(*seconds, *samples)))
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleStats {
    /// Time of each step in seconds, and samples; left out if it was not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "steps")]
    pub total_queryable_samples_per_step: Vec<(f64, u64)>,
    pub total_queryable_samples: u64,
    pub peak_samples: u64,
}

/// What `QueryData` is read as: one pass without a buffer, whichever of `result` and `resultType` comes first.
#[derive(Deserialize)]
struct FlatData {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Item>,
    #[serde(default)]
    stats: Option<serde_json::Value>,
    #[serde(default)]
    inferred: Option<Inferred>,
}

/// An element of any kind of `result`.
enum Item {
    Series(Box<AnySeries>),
    Number(f64),
    Text(String),
}

/// A series of a matrix or of a vector.
#[derive(Deserialize)]
struct AnySeries {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Point>,
    #[serde(default)]
    histograms: Vec<HistogramPoint>,
    #[serde(default)]
    value: Option<Point>,
    #[serde(default)]
    histogram: Option<HistogramPoint>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Item;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a series, a timestamp or a text")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                AnySeries::deserialize(MapAccessDeserializer::new(map)).map(|series| Item::Series(Box::new(series)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
                Ok(Item::Number(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
                Ok(Item::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
                Ok(Item::Number(number as f64))
            }

            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl TryFrom<FlatData> for QueryData {
    type Error = String;

    fn try_from(flat: FlatData) -> Result<Self, String> {
        let misfit = || format!("no {} in `result`", flat.result_type);
        let all_series = |items: Vec<Item>| {
            items.into_iter().map(|item| match item {
                Item::Series(series) => Ok(*series),
                Item::Number(_) | Item::Text(_) => Err(misfit()),
            })
        };
        let point = |items: Vec<Item>| match <[Item; 2]>::try_from(items) {
            Ok([Item::Number(seconds), Item::Text(text)]) => Ok((millis::<serde::de::value::Error>(seconds), text)),
            _ => Err(misfit()),
        };
        let result = match flat.result_type.as_str() {
            "matrix" => QueryResult::Matrix(
                all_series(flat.result)
                    .map(|series| {
                        let AnySeries { metric, values, histograms, .. } = series?;
                        Ok(RangeSeries { metric, values, histograms })
                    })
                    .collect::<Result<_, String>>()?,
            ),
            "vector" => QueryResult::Vector(
                all_series(flat.result)
                    .map(|series| {
                        let AnySeries { metric, value, histogram, .. } = series?;
                        Ok(InstantSample { metric, value, histogram })
                    })
                    .collect::<Result<_, String>>()?,
            ),
            "scalar" => {
                let (timestamp_ms, text) = point(flat.result)?;
                let value = model::float::parse_float(&text).ok_or_else(misfit)?;
                QueryResult::Scalar(Point { timestamp_ms: timestamp_ms.map_err(|error| error.to_string())?, value })
            }
            "string" => {
                let (timestamp_ms, value) = point(flat.result)?;
                QueryResult::String(StringPoint {
                    timestamp_ms: timestamp_ms.map_err(|error| error.to_string())?,
                    value,
                })
            }
            other => return Err(format!("unknown resultType `{other}`")),
        };
        Ok(QueryData { result, stats: flat.stats, inferred: flat.inferred })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RangeSeries {
    pub metric: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Point>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histograms: Vec<HistogramPoint>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstantSample {
    pub metric: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Point>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<HistogramPoint>,
}

/// `[1435781451.781, "1"]`: seconds, and the value as text, for JSON has no NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub timestamp_ms: i64,
    pub value: f64,
}

/// `[1435781451.781, "text"]`.
#[derive(Clone, Debug, PartialEq)]
pub struct StringPoint {
    pub timestamp_ms: i64,
    pub value: String,
}

/// `[1435781451.781, {"count":"…","sum":"…","buckets":[…]}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    pub timestamp_ms: i64,
    pub histogram: HistogramJson,
}

/// A native histogram; numbers as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramJson {
    pub count: String,
    pub sum: String,
    /// Boundary rule (0 open left, 1 open right, 2 open both, 3 closed both), lower, upper, count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(u8, String, String, String)>,
}

/// Seconds with millisecond precision as a JSON number without a needless fraction.
fn seconds(timestamp_ms: i64) -> serde_json::Number {
    if timestamp_ms % 1000 == 0 {
        return serde_json::Number::from(timestamp_ms / 1000);
    }
    // Exact for |ms| < 2^53, which is the year 287396.
    serde_json::Number::from_f64(timestamp_ms as f64 / 1000.0).unwrap_or_else(|| serde_json::Number::from(0))
}

fn millis<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    let ms = (seconds * 1000.0).round();
    if ms.abs() < 9.0e15 { Ok(ms as i64) } else { Err(E::custom("timestamp out of range")) }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&seconds(self.timestamp_ms))?;
        tuple.serialize_element(&format_value(self.value))?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, value) = <(f64, String)>::deserialize(deserializer)?;
        let value = model::float::parse_float(&value).ok_or_else(|| D::Error::custom("not a number"))?;
        Ok(Point { timestamp_ms: millis(seconds)?, value })
    }
}

impl Serialize for StringPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (seconds(self.timestamp_ms), &self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StringPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, value) = <(f64, String)>::deserialize(deserializer)?;
        Ok(StringPoint { timestamp_ms: millis(seconds)?, value })
    }
}

impl Serialize for HistogramPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (seconds(self.timestamp_ms), &self.histogram).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HistogramPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, histogram) = <(f64, HistogramJson)>::deserialize(deserializer)?;
        Ok(HistogramPoint { timestamp_ms: millis(seconds)?, histogram })
    }
}

/// Appends what [`format_value`] gives.
pub fn push_value(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude == 0.0 || !magnitude.is_finite() || (1e-6..1e21).contains(&magnitude) {
        return model::float::push_float(out, value);
    }
    // Rust writes `1e-7`, Go `1e-07`: at least two digits and a sign.
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    out.push_str(&format!("{mantissa}e{sign}{digits:0>2}"));
}

/// Appends Unix milliseconds as seconds, as [`model::timestamp::format_seconds`] writes them.
pub fn push_seconds(out: &mut String, timestamp_ms: i64) {
    if timestamp_ms < 0 {
        out.push('-');
    }
    let (seconds, millis) = (timestamp_ms.unsigned_abs() / 1000, timestamp_ms.unsigned_abs() % 1000);
    let mut buffer = itoa::Buffer::new();
    out.push_str(buffer.format(seconds));
    if millis > 0 {
        // A leading one keeps the zeros.
        let digits = buffer.format(1000 + millis);
        out.push('.');
        out.push_str(&digits[1..]);
    }
}

/// A value as Prometheus' JSON API writes it: Go's shortest `'f'` format, with an exponent below 1e-6 and from 1e21 on.
pub fn format_value(value: f64) -> String {
    let mut out = String::new();
    push_value(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_read_back_and_times_are_seconds(bits in any::<u64>(), small in -1e6..1e6, exponent in -12..22, ms in any::<i64>()) {
            let scaled = small * 10_f64.powi(exponent);
            for value in [f64::from_bits(bits), small, scaled, scaled.trunc()].into_iter().filter(|value| !value.is_nan()) {
                prop_assert_eq!(format_value(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
            }
            for ms in [ms, ms % 1_000_000, ms / 1000] {
                let mut out = String::new();
                push_seconds(&mut out, ms);
                prop_assert_eq!(out, model::timestamp::format_seconds(ms));
            }
        }
    }

    #[test]
    fn shapes() {
        let data = QueryData {
            result: QueryResult::Vector(vec![InstantSample {
                metric: BTreeMap::from([("__name__".to_owned(), "up".to_owned())]),
                value: Some(Point { timestamp_ms: 1_435_781_451_781, value: 1.0 }),
                histogram: None,
            }]),
            stats: None,
            inferred: None,
        };
        let text = serde_json::to_string(&data).unwrap();
        assert_eq!(
            text,
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1435781451.781,"1"]}]}"#
        );
        assert_eq!(serde_json::from_str::<QueryData>(&text).unwrap(), data);
    }

    #[test]
    fn every_kind_of_result_reads_back_in_any_order() {
        for (text, other) in [
            (
                r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"],[2.5,"NaN"]]}]}"#,
                r#"{"result":[{"values":[[1,"1"],[2.5,"NaN"]],"metric":{"a":"b"}}],"resultType":"matrix"}"#,
            ),
            (
                r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"1","sum":"2","buckets":[[0,"0","1","1"]]}]]}]}"#,
                r#"{"result":[{"metric":{},"histograms":[[1,{"sum":"2","count":"1","buckets":[[0,"0","1","1"]]}]]}],"resultType":"matrix"}"#,
            ),
            (
                r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"+Inf"]}],"stats":{"a":1}}"#,
                r#"{"stats":{"a":1},"result":[{"metric":{},"value":[1,"+Inf"]}],"resultType":"vector"}"#,
            ),
            (
                r#"{"resultType":"vector","result":[],"inferred":{"metricType":"gauge","unit":"bytes"}}"#,
                r#"{"inferred":{"unit":"bytes","metricType":"gauge"},"result":[],"resultType":"vector"}"#,
            ),
            (r#"{"resultType":"scalar","result":[1.5,"-3"]}"#, r#"{"result":[1.5,"-3"],"resultType":"scalar"}"#),
            (r#"{"resultType":"string","result":[-1,"x"]}"#, r#"{"result":[-1,"x"],"resultType":"string"}"#),
            (r#"{"resultType":"vector","result":[]}"#, r#"{"result":[],"resultType":"vector"}"#),
        ] {
            for text_in in [text, other] {
                let data: QueryData = serde_json::from_str(text_in).unwrap();
                assert_eq!(serde_json::to_string(&data).unwrap(), text);
            }
        }
        for text in [
            r#"{"resultType":"vector","result":[1,"1"]}"#,
            r#"{"resultType":"scalar","result":[{"metric":{}}]}"#,
            r#"{"resultType":"scalar","result":[1]}"#,
            r#"{"resultType":"scalar","result":[1e300,"1"]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"one"]]}]}"#,
            r#"{"resultType":"tensor","result":[]}"#,
            r#"{"result":[]}"#,
        ] {
            assert!(serde_json::from_str::<QueryData>(text).is_err(), "{text}");
        }
    }
}
