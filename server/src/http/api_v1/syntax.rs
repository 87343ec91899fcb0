//! `/api/v1/format_query`.

use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;

pub(crate) async fn format(params: Params) -> ApiResult {
    let expr = promql_syntax::parse(params.get("query")).map_err(|error| ApiError::parameter("query", error))?;
    Ok(success(promql_syntax::format_pretty(&expr)))
}
