//! `/api/v1/query` and `/api/v1/query_range`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeTuple};
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
pub struct QueryData {
    // `flatten` is fine here: this is JSON of our own making, not a configuration file.
    #[serde(flatten)]
    pub result: QueryResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<serde_json::Value>,
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

/// A value as Prometheus' JSON API writes it: Go's shortest `'f'` format, with an exponent below 1e-6 and from 1e21 on.
pub fn format_value(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude.is_finite() && !(1e-6..1e21).contains(&magnitude) {
        // Rust writes `1e-7`, Go `1e-07`: at least two digits and a sign.
        let text = format!("{value:e}");
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
    }
    model::float::format_float(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let data = QueryData {
            result: QueryResult::Vector(vec![InstantSample {
                metric: BTreeMap::from([("__name__".to_owned(), "up".to_owned())]),
                value: Some(Point { timestamp_ms: 1_435_781_451_781, value: 1.0 }),
                histogram: None,
            }]),
            stats: None,
        };
        let text = serde_json::to_string(&data).unwrap();
        assert_eq!(
            text,
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1435781451.781,"1"]}]}"#
        );
        assert_eq!(serde_json::from_str::<QueryData>(&text).unwrap(), data);
    }
}
