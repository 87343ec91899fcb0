//! `/d/<uid>/<slug>?…`

use super::{query, view::ViewState};
use crate::time_range::{Span, TimeRange};

/// What of the page's frame is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kiosk {
    #[default]
    Off,
    /// Everything but the panels.
    Full,
    /// `tv`: the controls stay.
    Tv,
}

/// What a dashboard's address says. Text fields are empty where the address says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DashboardLocation {
    pub uid: String,
    /// Decoration: a wrong one is rewritten.
    pub slug: String,
    /// `/d-solo/`: one panel without frame.
    pub solo: bool,
    /// `/render/…`: a picture.
    pub render: bool,
    /// `var-<name>` in order of first appearance, each with all its values. `[""]` is an explicit empty selection.
    pub variables: Vec<(String, Vec<String>)>,
    /// `from` and `to` as typed; a lone one leaves the other to the dashboard.
    pub from: String,
    pub to: String,
    /// `timezone` or `tz`.
    pub timezone: String,
    /// `Some("")` is off.
    pub refresh: Option<String>,
    pub compare_with: String,
    /// Panel key without the `panel-` in front: `2`, `2-clone-1`, or a path id as it is.
    pub view_panel: String,
    pub edit_panel: String,
    /// `settings`, `variables`, …
    pub editview: String,
    /// Panel whose data are inspected.
    pub inspect: String,
    /// `data`, `stats`, `json`, `query`, `error`.
    pub inspect_tab: String,
    /// `link`, `snapshot`, `embed`, `export`.
    pub share_view: String,
    pub kiosk: Kiosk,
    pub autofitpanels: bool,
    /// `light`, `dark`, `system`, `hc`.
    pub theme: String,
    /// Tab of a dashboard with tabs.
    pub dtab: String,
    /// `_dash.hideTimePicker` and its siblings: read at load, never written.
    pub hide_time_picker: bool,
    pub hide_variables: bool,
    pub hide_links: bool,
    pub view: ViewState,
    /// Everything else, in order.
    pub other: Vec<(String, String)>,
}

/// The time an address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationTime {
    /// Nothing is said.
    Saved,
    Range(TimeRange),
}

impl DashboardLocation {
    /// A dashboard without any parameters.
    pub fn new(uid: &str, slug: &str) -> Self {
        DashboardLocation { uid: uid.to_owned(), slug: slug.to_owned(), ..DashboardLocation::default() }
    }

    /// Reads a path with its query. `None` if it is no dashboard's address.
    pub fn parse(path_and_query: &str) -> Option<Self> {
        let without_hash = path_and_query.split('#').next().unwrap_or_default();
        let (path, query) = without_hash.split_once('?').unwrap_or((without_hash, ""));
        let mut parts = path.trim_matches('/').split('/').map(query::decode_path).peekable();
        let render = parts.next_if(|part| part == "render").is_some();
        let solo = match parts.next()?.as_str() {
            "d" => false,
            "d-solo" => true,
            _ => return None,
        };
        let uid = parts.next().filter(|uid| !uid.is_empty())?;
        let slug = parts.next().unwrap_or_default();
        if parts.next().is_some() {
            return None;
        }
        let mut location = DashboardLocation { uid, slug, solo, render, ..DashboardLocation::default() };
        location.read_query(&query::parse(query));
        Some(location)
    }

    /// Reads parameters over what is there.
    pub fn read_query(&mut self, pairs: &[(String, String)]) {
        let (mut centre, mut window) = (None, None);
        let mut legacy_full_screen = false;
        let mut legacy_panel = String::new();
        for (key, value) in pairs {
            if let Some(name) = key.strip_prefix("var-").filter(|name| !name.is_empty()) {
                match self.variables.iter_mut().find(|(known, _)| known == name) {
                    Some((_, values)) => values.push(value.clone()),
                    None => self.variables.push((name.to_owned(), vec![value.clone()])),
                }
                continue;
            }
            if self.view.read(key, value) {
                continue;
            }
            let present = value.is_empty() || value == "true" || value == "1";
            match key.as_str() {
                "from" => self.from.clone_from(value),
                "to" => self.to.clone_from(value),
                "time" => centre = value.parse::<i64>().ok(),
                "time.window" => window = value.parse::<i64>().ok(),
                "timezone" | "tz" => self.timezone.clone_from(value),
                "refresh" => {
                    self.refresh =
                        Some(if matches!(value.as_str(), "off" | "false") { String::new() } else { value.clone() });
                }
                "compareWith" => self.compare_with.clone_from(value),
                "viewPanel" => self.view_panel = panel_key(value),
                "editPanel" => self.edit_panel = panel_key(value),
                "panelId" => legacy_panel = panel_key(value),
                "fullscreen" => legacy_full_screen = present,
                "editview" => self.editview.clone_from(value),
                "inspect" => self.inspect = panel_key(value),
                "inspectTab" => self.inspect_tab.clone_from(value),
                "shareView" => self.share_view.clone_from(value),
                "kiosk" => {
                    self.kiosk = match value.as_str() {
                        "tv" => Kiosk::Tv,
                        "false" | "0" => Kiosk::Off,
                        _ => Kiosk::Full,
                    };
                }
                "autofitpanels" => self.autofitpanels = present,
                "theme" => self.theme.clone_from(value),
                "dtab" => self.dtab.clone_from(value),
                "_dash.hideTimePicker" => self.hide_time_picker = present,
                "_dash.hideVariables" => self.hide_variables = present,
                "_dash.hideLinks" => self.hide_links = present,
                "_dash.hidePlaylistNav" | "orgId" => {}
                _ => self.other.push((key.clone(), value.clone())),
            }
        }
        if !legacy_panel.is_empty() {
            if self.solo || legacy_full_screen {
                self.view_panel = legacy_panel;
            } else {
                self.other.push(("panelId".to_owned(), legacy_panel));
            }
        }
        if let (Some(centre), Some(window)) = (centre, window)
            && self.from.is_empty()
            && self.to.is_empty()
        {
            let span = Span::around(centre, window);
            (self.from, self.to) = (span.from_ms.to_string(), span.to_ms.to_string());
        }
    }

    /// The parameters in canonical order.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut put = |key: &str, value: &str| {
            if !value.is_empty() {
                pairs.push((key.to_owned(), value.to_owned()));
            }
        };
        put("from", &self.from);
        put("to", &self.to);
        put("timezone", &self.timezone);
        put("compareWith", &self.compare_with);
        if self.solo {
            put("panelId", &self.view_panel);
        }
        for (name, values) in &self.variables {
            for value in values {
                pairs.push((format!("var-{name}"), value.clone()));
            }
        }
        if let Some(refresh) = &self.refresh {
            pairs.push(("refresh".to_owned(), refresh.clone()));
        }
        let mut put = |key: &str, value: &str| {
            if !value.is_empty() {
                pairs.push((key.to_owned(), value.to_owned()));
            }
        };
        if !self.solo {
            put("viewPanel", &self.view_panel);
        }
        put("editPanel", &self.edit_panel);
        put("editview", &self.editview);
        put("inspect", &self.inspect);
        put("inspectTab", &self.inspect_tab);
        put("shareView", &self.share_view);
        match self.kiosk {
            Kiosk::Off => {}
            Kiosk::Full => put("kiosk", "true"),
            Kiosk::Tv => put("kiosk", "tv"),
        }
        if self.autofitpanels {
            put("autofitpanels", "true");
        }
        put("theme", &self.theme);
        put("dtab", &self.dtab);
        self.view.write(&mut pairs);
        pairs.extend(self.other.iter().cloned());
        pairs
    }

    /// The query without `?`, empty if there is nothing to say.
    pub fn query_string(&self) -> String {
        query::format(&self.query_pairs())
    }

    /// Path and query.
    pub fn format(&self) -> String {
        let mut out = String::new();
        if self.render {
            out.push_str("/render");
        }
        out.push_str(if self.solo { "/d-solo/" } else { "/d/" });
        out.push_str(&query::encode_strict(&self.uid));
        if !self.slug.is_empty() {
            out.push('/');
            out.push_str(&query::encode_strict(&self.slug));
        }
        let query = self.query_string();
        if !query.is_empty() {
            out.push('?');
            out.push_str(&query);
        }
        out
    }

    /// Values of a variable, `None` if the address does not name it.
    pub fn variable(&self, name: &str) -> Option<&[String]> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }

    /// Replaces the values of a variable; `None` takes it out of the address.
    pub fn set_variable(&mut self, name: &str, values: Option<Vec<String>>) {
        let at = self.variables.iter().position(|(known, _)| known == name);
        match (at, values) {
            (Some(at), Some(values)) => self.variables[at].1 = values,
            (Some(at), None) => {
                self.variables.remove(at);
            }
            (None, Some(values)) => self.variables.push((name.to_owned(), values)),
            (None, None) => {}
        }
    }

    /// The range asked for; an end that is not named comes from the saved range.
    pub fn time_range(&self, saved: &TimeRange) -> TimeRange {
        let pick = |own: &str, saved: &str| if own.is_empty() { saved.to_owned() } else { own.to_owned() };
        TimeRange { from: pick(&self.from, &saved.from), to: pick(&self.to, &saved.to) }
    }

    pub fn set_time_range(&mut self, range: &TimeRange) {
        self.from.clone_from(&range.from);
        self.to.clone_from(&range.to);
    }
}

/// `panel-2` and `2` are the same.
fn panel_key(value: &str) -> String {
    value.strip_prefix("panel-").unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::{LegendSelection, YZoom};
    use proptest::prelude::*;

    #[test]
    fn grafana_addresses() {
        const CASES: &str = "
/d/abc/my-board?orgId=1&from=now-1h&to=now&var-env=prod&var-env=test&var-x=&refresh=30s => /d/abc/my-board?from=now-1h&to=now&var-env=prod&var-env=test&var-x=&refresh=30s
/d/abc?viewPanel=panel-2&kiosk&foo=b%20r => /d/abc?viewPanel=2&kiosk=true&foo=b+r
/d/abc/x/?fullscreen&panelId=7&edit&tz=UTC%2B02%3A00 => /d/abc/x?timezone=UTC%2B02:00&viewPanel=7&edit=
/d-solo/abc/x?panelId=panel-3&theme=light => /d-solo/abc/x?panelId=3&theme=light
/render/d/abc/x?width=800&refresh=off => /render/d/abc/x?refresh=&width=800
/d/abc?time=1000000&time.window=2000 => /d/abc?from=999000&to=1001000
/d/abc?v.leg.5=!2xx,a\\,b&v.sort.9=p99:d,route:a&v.y.6=0..800&v.rows=-12,-30&v.new=1#frag => /d/abc?v.leg.5=!2xx,a%5C,b&v.sort.9=p99:d,route:a&v.y.6=0..800&v.rows=-12,-30&v.new=1
/d/abc?var-f=job|=|a__gfp__b => /d/abc?var-f=job|%3D|a__gfp__b
/explore => none
/d/ => none
/d/a/b/c => none
";
        for case in CASES.trim().lines() {
            let case = case.replace("\\\\", "\\");
            let (address, expected) = case.split_once(" => ").unwrap();
            let said =
                DashboardLocation::parse(address).map_or_else(|| "none".to_owned(), |location| location.format());
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z0-9_-]{1,8}", "[ -~é€]{1,8}"]
    }

    prop_compose! {
        fn view()(
            legend in prop::collection::vec(("[0-9]{1,3}", any::<bool>(), prop::collection::vec(word(), 1..3)), 0..3),
            sort in prop::collection::vec(("[0-9]{1,3}", prop::collection::vec((word(), any::<bool>()), 1..3)), 0..2),
            filter in prop::collection::vec((word(), prop::sample::select(vec!["=", "!=", "~", ">", "<"]), word()), 0..3),
            y in prop::option::of((-1e6..1e6f64, -1e6..1e6f64)),
            pin in prop::option::of(("[0-9]{1,3}", any::<i64>())),
            rows in prop::collection::vec(0..1000i64, 0..3),
        ) -> ViewState {
            ViewState {
                // `~` and `!` at the front of a name have a meaning of their own.
                legend: legend.into_iter().map(|(id, hide, series)| (id, LegendSelection { hide, series })).collect(),
                table_sort: sort,
                table_filter: if filter.is_empty() { vec![] } else {
                    vec![("4".to_owned(), filter.into_iter().map(|(c, op, v)| (format!("c{c}"), op.to_owned(), format!("v{v}"))).collect())]
                },
                y_zoom: y.into_iter().map(|(low, high)| ("6".to_owned(), YZoom::Range(low, high))).collect(),
                pin,
                toggled_rows: rows,
                ..ViewState::default()
            }
        }
    }

    prop_compose! {
        fn location()(
            uid in "[A-Za-z0-9_-]{1,40}", slug in prop_oneof![Just(String::new()), word()], solo in any::<bool>(),
            variables in prop::collection::btree_map(word(), prop::collection::vec(any::<String>(), 1..4), 0..4),
            from in prop_oneof![Just(String::new()), word()], to in prop_oneof![Just(String::new()), word()],
            refresh in prop::option::of(prop_oneof![Just(String::new()), "[0-9]{1,2}s"]),
            view_panel in prop_oneof![Just(String::new()), "[0-9]{1,3}", "[a-z]\\$panel-[0-9]"],
            kiosk in prop::sample::select(vec![Kiosk::Off, Kiosk::Full, Kiosk::Tv]),
            autofitpanels in any::<bool>(), theme in prop_oneof![Just(String::new()), word()],
            view in view(), other in prop::collection::vec(("x[a-z]{1,5}", any::<String>()), 0..3),
        ) -> DashboardLocation {
            DashboardLocation {
                uid, slug, solo, variables: variables.into_iter().collect(), from, to, refresh, view_panel, kiosk,
                autofitpanels, theme, view, other, ..DashboardLocation::default()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(location in location()) {
            let text = location.format();
            prop_assert_eq!(DashboardLocation::parse(&text), Some(location), "by way of {}", text);
        }

        #[test]
        fn reading_is_stable(query in "[a-z=&%.,!~:@|\\-0-9+]{0,60}") {
            let once = DashboardLocation::parse(&format!("/d/u?{query}")).unwrap();
            let again = DashboardLocation::parse(&once.format()).unwrap();
            prop_assert_eq!(&again.format(), &once.format());
            prop_assert_eq!(again, once);
        }
    }
}
