//! Parameters of a request: those of a POSTed form first, then those of the address, as Go's `FormValue` reads them.

use super::api_v1::{TIME_MAX_MS, TIME_MIN_MS};
use super::error::ApiError;
use super::go;
use axum::extract::{FromRequest, Request};
use http::{Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::Matcher;

/// Longest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Most selectors (`match[]`) of a request: each walks the index.
const SELECTORS_MAX: usize = 1000;

/// All parameters in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// What was wrong with the first pair that was left out.
    fault: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let mut params = Params::default();
        let in_address = request.uri().query().unwrap_or_default().to_owned();
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        if is_form && [Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
            let body = Limited::new(request.into_body(), FORM_BYTES_MAX).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let limit = FORM_BYTES_MAX / 1024 / 1024;
                    return ApiError::bad_data(format!("the form is larger than {limit} MiB; ask for less at a time"));
                }
                ApiError::bad_data(format!("error parsing form values: {error}"))
            })?;
            params.read(&body.to_bytes());
        }
        params.read(in_address.as_bytes());
        Ok(params)
    }
}

impl Params {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Params {
        Params { pairs, fault: None }
    }

    /// Appends what is written as `a=b&c=d`. As Go does it, a pair that is wrong is left out and its fault kept.
    fn read(&mut self, text: &[u8]) {
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let decoded = if pair.contains(&b';') {
                Err("invalid semicolon separator in query".to_owned())
            } else {
                let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                let (name, value) = pair.split_at(split);
                go::query_unescape(name).and_then(|name| {
                    go::query_unescape(value.strip_prefix(b"=").unwrap_or_default()).map(|value| (name, value))
                })
            };
            match decoded {
                Ok(pair) => self.pairs.push(pair),
                Err(fault) => drop(self.fault.get_or_insert(fault)),
            }
        }
    }

    /// For the endpoints that refuse a request of which a pair was left out; the others go on without it.
    pub(crate) fn whole(&self) -> Result<(), ApiError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(ApiError::bad_data(format!("error parsing form values: {fault}"))),
        }
    }

    /// The first value of a parameter, "" if it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The first value of a parameter that is there and not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All values of a repeated parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect()
    }

    /// A time in Unix milliseconds, `default` if absent.
    pub(crate) fn time_ms(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        match self.filled(name) {
            None => Ok(default),
            Some(text) => parse_time_ms(text)
                .map_err(|error| ApiError::parameter(name, format!("invalid time value for '{name}': {error}"))),
        }
    }

    /// A duration in milliseconds, written as `5m` or as seconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<i64, ApiError> {
        parse_duration_ms(self.get(name)).map_err(|error| ApiError::parameter(name, error))
    }

    /// `limit`: 0, the default, is none.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.filled("limit") else { return Ok(0) };
        match go::atoi(text) {
            Ok(limit) if limit >= 0 => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            Ok(_) => Err(ApiError::parameter("limit", "limit must be non-negative")),
            Err(error) => Err(ApiError::parameter("limit", error)),
        }
    }

    /// The selectors of `match[]`, each a list of matchers. The fault is the bare text: some endpoints name the
    /// parameter before it, some do not.
    pub(crate) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let all = self.any_matchers()?;
        if all.iter().any(|matchers| matchers.iter().all(accepts_empty)) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        Ok(all)
    }

    /// As [`Params::matchers`], but a selector may select everything.
    pub(crate) fn any_matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let texts = self.all("match[]");
        if texts.len() > SELECTORS_MAX {
            return Err(format!(
                "{} selectors, and at most {SELECTORS_MAX} are read; join them with | in one matcher, or ask in parts",
                texts.len()
            ));
        }
        texts.iter().map(|text| promql_syntax::parse_metric_matchers(text).map_err(|error| error.to_string())).collect()
    }
}

/// True when the matcher also takes series that lack the label.
fn accepts_empty(matcher: &Matcher) -> bool {
    regexp::LabelMatcher::new(matcher).is_ok_and(|matcher| matcher.matches(""))
}

/// Seconds with a fraction, or RFC 3339. What is beyond the years 1 to 9999 is refused, where Prometheus overflows;
/// of it only the two bounds that Prometheus' own clients send are known.
pub(crate) fn parse_time_ms(text: &str) -> Result<i64, String> {
    let fault = || format!("cannot parse {text:?} to a valid timestamp");
    if let Some(seconds) = go::parse_float(text) {
        // In two parts, for so the third place after the point is rounded as Prometheus rounds it.
        let ms = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        // Beyond this a float has no whole milliseconds any more.
        return if ms.abs() < 9.0e15 { Ok(ms as i64) } else { Err(fault()) };
    }
    match text {
        TIME_MIN_TEXT => Ok(TIME_MIN_MS),
        TIME_MAX_TEXT => Ok(TIME_MAX_MS),
        _ if go::is_rfc3339(text) => {
            text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond()).map_err(|_| fault())
        }
        _ => Err(fault()),
    }
}

/// How Prometheus' clients write the earliest and the latest time there is for them.
const TIME_MIN_TEXT: &str = "-292273086-05-16T16:47:06Z";
const TIME_MAX_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// Seconds with a fraction, or `1h30m`.
fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let fault = || format!("cannot parse {text:?} to a valid duration");
    if let Some(seconds) = go::parse_float(text) {
        let ms = seconds * 1000.0;
        // Prometheus counts nanoseconds in 64 bits.
        return if ms.abs() <= i64::MAX as f64 / 1e6 {
            Ok(ms as i64)
        } else {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        };
    }
    model::duration::parse_duration_ms(text).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus 3.5 reads them.
    const TIMES: &str = r#"
1735691400.5 => 1735691400500
1.0005 => 1000
-1.5 => -1500
.5 => 500
5. => 5000
1_000 => 1000000
1e3 => 1000000
2025-01-01T01:30:00.5+01:00 => 1735691400500
2025-01-01T00:30:00.123456789Z => 1735691400123
-292273086-05-16T16:47:06Z => -9000000000000000
292277025-08-18T07:12:54.999999999Z => 9000000000000000
x => cannot parse "x" to a valid timestamp
0x10 => cannot parse "0x10" to a valid timestamp
2025-01-01T00:30:00z => cannot parse "2025-01-01T00:30:00z" to a valid timestamp
2025-01-01t00:30:00Z => cannot parse "2025-01-01t00:30:00Z" to a valid timestamp
2025-01-01T00:30Z => cannot parse "2025-01-01T00:30Z" to a valid timestamp
2025-01-01T00:30:60Z => cannot parse "2025-01-01T00:30:60Z" to a valid timestamp
2025-01-01T00:30:00 => cannot parse "2025-01-01T00:30:00" to a valid timestamp
"#;

    #[test]
    fn times() {
        for case in TIMES.trim().lines() {
            let (text, expected) = case.split_once(" => ").unwrap();
            let said = parse_time_ms(text).map_or_else(|error| error, |ms| ms.to_string());
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration_ms("1m"), Ok(60_000));
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms(""), Err("cannot parse \"\" to a valid duration".to_owned()));
        let overflows = "cannot parse \"1e10\" to a valid duration. It overflows int64".to_owned();
        assert_eq!(parse_duration_ms("1e10"), Err(overflows));
    }

    #[test]
    fn pairs_that_are_wrong_are_left_out() {
        let read = |text: &str| {
            let mut params = Params::default();
            params.read(text.as_bytes());
            params
        };
        let good = read("a=1%2b1&b=x+y&&c&a=2=3");
        assert_eq!((good.get("a"), good.get("b"), good.all("c").len()), ("1+1", "x y", 1));
        assert_eq!(good.all("a"), ["1+1", "2=3"]);
        assert!(good.whole().is_ok());
        let bad = read("a=%zz&b=1&a=2;3");
        assert_eq!((bad.get("a"), bad.get("b")), ("", "1"));
        let fault = "error parsing form values: invalid URL escape \"%zz\"";
        assert_eq!(bad.whole().unwrap_err().message, fault);
    }
}
