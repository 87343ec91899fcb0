//! `/api/v1/rules` and `/api/v1/alerts`.

use super::units;
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::go;
use crate::http::params::Params;
use ::rules::RulesFilter;
use api::rules::{AlertsData, Rule};
use axum::extract::State;
use std::sync::Arc;

pub(crate) async fn rules(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    params.whole()?;
    let exclude_alerts = match params.filled("exclude_alerts") {
        None => false,
        Some(text) => go::parse_bool(text).map_err(|error| {
            ApiError::parameter("exclude_alerts", format!("error converting exclude_alerts: {error}"))
        })?,
    };
    let group_limit = match params.filled("group_limit") {
        None => 0,
        Some(text) => match go::parse_int(text) {
            Ok(limit) if limit > 0 => usize::try_from(limit).unwrap_or(usize::MAX),
            Ok(_) => return Err(ApiError::parameter("group_limit", "group_limit needs to be greater than 0")),
            Err(error) => {
                let message = format!("group_limit needs to be a valid number: {error}");
                return Err(ApiError::parameter("group_limit", message));
            }
        },
    };
    if group_limit == 0 && params.filled("group_next_token").is_some() {
        let message = "group_limit needs to be present in order to paginate over the groups";
        return Err(ApiError::parameter("group_next_token", message));
    }
    let filter = RulesFilter {
        rule_type: params.get("type").to_lowercase(),
        rule_names: params.all("rule_name[]"),
        rule_groups: params.all("rule_group[]"),
        files: params.all("file[]"),
        matches: params.all("match[]"),
        exclude_alerts,
        group_limit,
        group_next_token: params.get("group_next_token").to_owned(),
    };
    let with_units = units::are_wanted(&params)?;
    let mut data = app.rules.rules(&filter).map_err(ApiError::bad_data)?;
    if with_units {
        units::add_to_alerts(&app, &mut data);
    }
    Ok(success(data))
}

pub(crate) async fn alerts(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    if !units::are_wanted(&params)? {
        return Ok(success(app.rules.alerts()));
    }
    // Alerts alone do not know what they come from.
    let filter = RulesFilter { rule_type: "alert".to_owned(), ..RulesFilter::default() };
    let mut data = app.rules.rules(&filter).map_err(ApiError::bad_data)?;
    units::add_to_alerts(&app, &mut data);
    let alerts = data.groups.into_iter().flat_map(|group| group.rules).filter_map(|rule| match rule {
        Rule::Alerting { alerts, .. } => alerts,
        Rule::Recording { .. } => None,
    });
    Ok(success(AlertsData { alerts: alerts.flatten().collect() }))
}
