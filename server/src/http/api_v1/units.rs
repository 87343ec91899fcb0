//! Type and unit of what queries and rules give: `units=true`.

use crate::http::App;
use crate::http::error::ApiError;
use crate::http::go;
use crate::http::params::Params;
use api::query::Inferred;
use api::rules::{Rule, RulesData};

/// Whether they are asked for.
pub(super) fn are_wanted(params: &Params) -> Result<bool, ApiError> {
    let wanted = params.filled("units").map(go::parse_bool).transpose();
    wanted.map(Option::unwrap_or_default).map_err(|error| ApiError::parameter("units", error))
}

/// `None` for what cannot be parsed.
pub(super) fn of_query(app: &App, query: &str) -> Option<Inferred> {
    let expr = promql_syntax::parse_low(query, app.engine.options().features).ok()?;
    // What targets say is noted in the engine, too, so that few names are looked up and no list of all is made.
    let inferred = promql_syntax::infer(&expr, &|family| app.tsdb.metadata_of(family));
    Some(Inferred {
        metric_type: inferred.metric_type.as_str().to_owned(),
        unit: inferred.unit.map(|unit| unit.to_string()),
        observed: inferred.observed.map(|unit| unit.to_string()),
    })
}

/// Writes its unit beside the value of each alert.
pub(super) fn add_to_alerts(app: &App, data: &mut RulesData) {
    for rule in data.groups.iter_mut().flat_map(|group| &mut group.rules) {
        let Rule::Alerting { query, alerts: Some(alerts), .. } = rule else { continue };
        if alerts.is_empty() {
            continue;
        }
        let unit = of_query(app, query).and_then(|inferred| inferred.unit);
        alerts.iter_mut().for_each(|alert| alert.unit.clone_from(&unit));
    }
}
