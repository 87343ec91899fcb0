//! `/api/v1/labels` and `/api/v1/label/{name}/values`.

use super::{TIME_MAX_MS, TIME_MIN_MS, TRUNCATED};
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success_with};
use crate::http::params::Params;
use crate::http::queries::{Asked, Client, Kind};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) async fn names(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    answer(app, client, &params, None).await
}

pub(crate) async fn values(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    client: Client,
    params: Params,
) -> ApiResult {
    // No UTF-8.
    let Path(name) = name.map_err(|error| ApiError::bad_data(format!("invalid label name: {error}")))?;
    let name = unescape(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    answer(app, client, &params, Some(name)).await
}

async fn answer(app: Arc<App>, client: Client, params: &Params, label: Option<String>) -> ApiResult {
    let limit = params.limit()?;
    let start_ms = params.time_ms("start", TIME_MIN_MS)?;
    let end_ms = params.time_ms("end", TIME_MAX_MS)?;
    let selectors = params.matchers().map_err(ApiError::bad_data)?;
    let asked = Asked::of(client, Kind::Labels, params.all("match[]").join(" "));
    let ticket = app.queries.admit(asked).await?;
    super::evaluating(&app.workers.clone(), move || {
        let _ticket = ticket;
        if end_ms < start_ms {
            return Ok(success_with(Vec::<String>::new(), Vec::new()));
        }
        let querier = app.queryable.querier(start_ms, end_ms)?;
        let ask = |matchers: &[model::Matcher]| match &label {
            Some(name) => querier.label_values(name, matchers),
            None => querier.label_names(matchers),
        };
        let mut found: Vec<String> = if selectors.is_empty() {
            ask(&[])?
        } else {
            let mut all = BTreeSet::new();
            for matchers in &selectors {
                all.extend(ask(matchers)?);
            }
            all.into_iter().collect()
        };
        let truncated = limit > 0 && found.len() > limit;
        if truncated {
            found.truncate(limit);
        }
        Ok(success_with(found, if truncated { vec![TRUNCATED.to_owned()] } else { Vec::new() }))
    })
    .await
}

/// Undoes the escaping of UTF-8 names in paths: `U__a_2e_b` is `a.b`, `__` an underscore.
/// Source: Prometheus' "values escaping" of names.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '_' {
            out.push(c);
        } else if let Some(tail) = rest.strip_prefix('_') {
            out.push('_');
            rest = tail;
        } else {
            let decoded = rest
                .split_once('_')
                .and_then(|(hex, tail)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, tail)));
            let Some((c, tail)) = decoded else { return name.to_owned() };
            out.push(c);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn escaped_names() {
        assert_eq!(super::unescape("U__a_2e_b"), "a.b");
        assert_eq!(super::unescape("U__a__b"), "a_b");
        assert_eq!(super::unescape("U__a_zz_b"), "U__a_zz_b");
        assert_eq!(super::unescape("job"), "job");
    }
}
