//! Alertmanager's own page keeps its place behind `#`; such links stand in notifications that were sent before Vigie.

/// The path of ours for the hash of an Alertmanager link, with its parameters; `None` if it is no such hash.
pub fn rewrite(hash: &str) -> Option<String> {
    let route = hash.strip_prefix("#/")?;
    let (path, query) =
        route.split_once('?').map_or((route, String::new()), |(path, query)| (path, format!("?{query}")));
    let path = path.trim_end_matches('/');
    match path.split_once('/') {
        None if matches!(path, "alerts" | "") => Some(format!("/alerts{query}")),
        None if path == "silences" => Some(format!("/alerts/silences{query}")),
        None if path == "status" => Some("/status".to_owned()),
        Some(("silences", "new")) => Some(format!("/alerts/silences/new{query}")),
        Some(("silences", id)) => {
            let id = id.trim_end_matches("/edit");
            let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain.then(|| format!("/alerts/silences/{id}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = r#"
#/alerts?silenced=false&filter=%7Ba%3D%22b%22%7D => /alerts?silenced=false&filter=%7Ba%3D%22b%22%7D
#/                                               => /alerts
#/silences                                       => /alerts/silences
#/silences/new?filter={a="b"}                    => /alerts/silences/new?filter={a="b"}
#/silences/8f1e-22                               => /alerts/silences/8f1e-22
#/silences/8f1e-22/edit                          => /alerts/silences/8f1e-22
#/silences/../../x                               => none
#/status                                         => /status
#main                                            => none
"#;

    #[test]
    fn links() {
        for case in CASES.trim().lines() {
            let (hash, expected) = case.split_once("=> ").unwrap();
            assert_eq!(rewrite(hash.trim_end()).unwrap_or("none".to_owned()), expected, "in case `{case}`");
        }
    }
}
