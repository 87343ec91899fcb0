//! `/api/v1/openapi.yaml`: this API for programs that generate clients. A test compares it with the router.

use crate::http::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use std::sync::Arc;

const TEXT: &str = include_str!("openapi.yaml");

pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Response {
    let text = TEXT.replacen("version: VERSION", &format!("version: {}", env!("CARGO_PKG_VERSION")), 1).replacen(
        "PREFIX/api/v1",
        &app.front_end.outside("/api/v1"),
        1,
    );
    ([(header::CONTENT_TYPE, "application/yaml; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    type Routes = BTreeMap<String, BTreeSet<String>>;

    const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

    /// Words of `http::methods` for several at once.
    const WORDS: [(&str, &[&str]); 4] =
        [("read", &["get"]), ("ask", &["get", "post"]), ("send", &["post"]), ("act", &["post", "put"])];

    /// The routes of `/api/v1` as the source of the router has them.
    fn routed() -> Routes {
        let source = include_str!("../router.rs");
        let from = source.find("let api_v1 =").unwrap();
        let part = &source[from..from + source[from..].find("let api_v2 =").unwrap()];
        let mut routes = Routes::new();
        for route in part.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap().to_owned();
            // `get(…).post(…)`: behind a space or a dot.
            let is_there = |method: &str| [" ", "."].iter().any(|c| route.contains(&format!("{c}{method}(")));
            let words =
                METHODS.map(|method| (method, vec![method])).into_iter().chain(WORDS.map(|(w, m)| (w, m.to_vec())));
            let methods = words.filter(|(word, _)| is_there(word)).flat_map(|(_, methods)| methods);
            routes.insert(path, methods.map(str::to_owned).collect());
        }
        routes
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document: Value = yaml::from_str("openapi.yaml", TEXT).unwrap();
        let described: Routes = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| METHODS.contains(&key.as_str()));
                (path.clone(), methods.cloned().collect())
            })
            .collect();
        let routed = routed();
        assert!(routed.len() > 40, "{routed:?}");
        assert_eq!(described, routed);
    }

    /// Every `$ref` leads somewhere, and no two operations have one name.
    #[test]
    fn references_and_names_are_whole() {
        let document: Value = yaml::from_str("openapi.yaml", TEXT).unwrap();
        let (mut names, mut waiting, mut count) = (BTreeSet::new(), vec![&document], 0);
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(to) = map.get("$ref").and_then(Value::as_str) {
                        assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                        count += 1;
                    }
                    if let Some(name) = map.get("operationId").and_then(Value::as_str) {
                        assert!(names.insert(name), "{name} twice");
                    }
                    waiting.extend(map.values());
                }
                Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
        assert!(count > 100 && names.len() > 50, "{count} references, {} operations", names.len());
    }
}
