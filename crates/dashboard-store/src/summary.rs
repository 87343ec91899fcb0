//! What a list shows of a dashboard, read from either of Grafana's two forms.

use serde_json::Value;

/// Longest uid, as Grafana has it.
const UID_CHARACTERS_MAX: usize = 40;

#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) slug: String,
    /// Panels that are not rows.
    pub(crate) panels: u64,
    /// Title, tags and panel titles in lower case.
    pub(crate) haystack: String,
}

impl Summary {
    /// Reads the classic model, or a resource of `dashboard.grafana.app`.
    pub(crate) fn of(dashboard: &Value) -> Summary {
        let is_resource = dashboard["apiVersion"].as_str().is_some_and(|v| v.starts_with("dashboard.grafana.app/"));
        let (spec, uid) = if is_resource {
            (&dashboard["spec"], &dashboard["metadata"]["name"])
        } else {
            (dashboard, &dashboard["uid"])
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tags: Vec<String> = spec["tags"].as_array().into_iter().flatten().map(text).collect();
        let mut titles = Vec::new();
        panel_titles(spec, &mut titles);
        let title = text(&spec["title"]);
        let mut haystack = title.to_lowercase();
        for part in tags.iter().chain(&titles) {
            haystack.push('\n');
            haystack.push_str(&part.to_lowercase());
        }
        Summary {
            uid: text(uid),
            slug: slug(&title),
            title,
            description: text(&spec["description"]),
            tags,
            panels: titles.len() as u64,
            haystack,
        }
    }
}

fn panel_titles(spec: &Value, into: &mut Vec<String>) {
    for panel in spec["panels"].as_array().into_iter().flatten() {
        if panel["type"] == "row" {
            panel_titles(panel, into);
        } else {
            into.push(panel["title"].as_str().unwrap_or_default().to_owned());
        }
    }
    // Rows before version 16 hold their panels; a resource has them as named elements.
    for row in spec["rows"].as_array().into_iter().flatten() {
        panel_titles(row, into);
    }
    for element in spec["elements"].as_object().into_iter().flat_map(|elements| elements.values()) {
        into.push(element["spec"]["title"].as_str().unwrap_or_default().to_owned());
    }
}

/// The readable part of an address: lower case, words joined by `-`.
pub(crate) fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "dashboard".to_owned() } else { slug.to_owned() }
}

/// True for what may stand in a path: `[A-Za-z0-9_-]{1,40}`.
pub(crate) fn is_uid(text: &str) -> bool {
    (1..=UID_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_and_uids() {
        assert_eq!(slug("API  overview (v2)"), "api-overview-v2");
        assert_eq!(slug("!!"), "dashboard");
        assert!(is_uid("a_B-9") && !is_uid("") && !is_uid("../x") && !is_uid(&"a".repeat(41)));
    }

    #[test]
    fn resources_are_read_too() {
        let resource = serde_json::json!({
            "apiVersion": "dashboard.grafana.app/v2beta1", "metadata": {"name": "abc"},
            "spec": {"title": "T", "tags": ["x"], "elements": {"panel-1": {"spec": {"title": "Requests"}}}},
        });
        let summary = Summary::of(&resource);
        assert_eq!((summary.uid.as_str(), summary.panels), ("abc", 1));
        assert!(summary.haystack.contains("requests"));
    }
}
