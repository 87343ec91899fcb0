//! Parameters of a request: those of a POSTed form first, then those of the address, as Go's `FormValue` reads them.

use super::error::ApiError;
use axum::extract::{FromRequest, Query, Request};
use axum::{Form, RequestExt};
use http::header;
use model::Matcher;

/// Longest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Most selectors (`match[]`) of a request: each walks the index.
const SELECTORS_MAX: usize = 1000;

/// All parameters in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let Query(mut in_address) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
            .map_err(|error| ApiError::bad_data(error.to_string()))?;
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if !is_form || request.method() == http::Method::GET {
            return Ok(Params(in_address));
        }
        let request = request.map(|body| axum::body::Body::new(http_body_util::Limited::new(body, FORM_BYTES_MAX)));
        let Form(mut all) = request
            .extract::<Form<Vec<(String, String)>>, _>()
            .await
            .map_err(|error| ApiError::bad_data(error.to_string()))?;
        all.append(&mut in_address);
        Ok(Params(all))
    }
}

impl Params {
    /// The first value of a parameter, "" if it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The first value of a parameter that is there and not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All values of a repeated parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect()
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
        match text.parse::<i64>() {
            Ok(limit) if limit >= 0 => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            Ok(_) => Err(ApiError::parameter("limit", "limit must be non-negative")),
            Err(_) => Err(ApiError::parameter("limit", format!("cannot parse {text:?} to a number"))),
        }
    }

    /// The selectors of `match[]`, each a list of matchers. The fault is the bare text: some endpoints name the
    /// parameter before it, some do not.
    pub(crate) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let texts = self.all("match[]");
        if texts.len() > SELECTORS_MAX {
            return Err(format!(
                "{} selectors, and at most {SELECTORS_MAX} are read; join them with | in one matcher, or ask in parts",
                texts.len()
            ));
        }
        texts
            .iter()
            .map(|text| {
                let empty = || "match[] must contain at least one non-empty matcher".to_owned();
                let matchers = promql_syntax::parse_metric_selector(text).map_err(|error| {
                    // The parser's own words for it are about a query.
                    if error.to_string().contains("non-empty matcher") { empty() } else { error.to_string() }
                })?;
                if matchers.iter().all(accepts_empty) { Err(empty()) } else { Ok(matchers) }
            })
            .collect()
    }
}

/// True when the matcher also takes series that lack the label.
fn accepts_empty(matcher: &Matcher) -> bool {
    regexp::LabelMatcher::new(matcher).is_ok_and(|matcher| matcher.matches(""))
}

/// Seconds with a fraction, or RFC 3339.
pub(crate) fn parse_time_ms(text: &str) -> Result<i64, String> {
    let fault = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        // Beyond this a float has no whole milliseconds any more.
        return if ms.abs() < 9.0e15 { Ok(ms as i64) } else { Err(fault()) };
    }
    text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond()).map_err(|_| fault())
}

/// Seconds with a fraction, or `1h30m`.
fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let fault = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        return if ms.abs() < 9.0e15 {
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

    #[test]
    fn times_and_durations() {
        assert_eq!(parse_time_ms("1735691400.5"), Ok(1_735_691_400_500));
        assert_eq!(parse_time_ms("2025-01-01T01:30:00.5+01:00"), Ok(1_735_691_400_500));
        assert_eq!(parse_time_ms("x"), Err("cannot parse \"x\" to a valid timestamp".to_owned()));
        assert_eq!(parse_duration_ms("1m"), Ok(60_000));
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms(""), Err("cannot parse \"\" to a valid duration".to_owned()));
    }
}
