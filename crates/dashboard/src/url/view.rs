//! `v.*`: what the viewer did to the page (legend, sort, zoom, folds), so that a link shows the same.

/// Vertical zoom or scale that the viewer chose.
#[derive(Clone, Debug, PartialEq)]
pub enum YZoom {
    Range(f64, f64),
    /// `linear`, `log2`, `log10`, `symlog`.
    Scale(String),
}

/// Column, operator, value.
pub type ColumnFilter = (String, String, String);
/// Panel, span in ms, bounds of the value.
pub type CompareBox = (String, (i64, i64), (f64, f64));

/// All `v.*` parameters. Panels are named by their key (`6`, `panel-6-clone-1`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewState {
    /// `v.leg.<id>`: series shown, or with `!` before it hidden.
    pub legend: Vec<(String, LegendSelection)>,
    /// `v.sort.<id>`: column, descending.
    pub table_sort: Vec<(String, Vec<(String, bool)>)>,
    /// `v.flt.<id>`: column, operator out of `= != ~ > <`, value.
    pub table_filter: Vec<(String, Vec<ColumnFilter>)>,
    /// `v.y.<id>`.
    pub y_zoom: Vec<(String, YZoom)>,
    /// `v.legs.<id>`: column of the legend's table, descending.
    pub legend_sort: Vec<(String, (String, bool))>,
    /// `v.pin`: panel, time in ms.
    pub pin: Option<(String, i64)>,
    /// `v.hi`: span in ms.
    pub highlight: Option<(i64, i64)>,
    /// `v.rows`: ids of rows whose fold differs from the saved one.
    pub toggled_rows: Vec<i64>,
    /// `v.trail`: uid and panel, newest last.
    pub trail: Vec<(String, String)>,
    pub draft: Option<String>,
    /// `v.tab.<id>`: `table`.
    pub tab: Vec<(String, String)>,
    /// `v.box`: panel, span in ms, bounds of the value.
    pub compare_box: Option<CompareBox>,
    /// `v.` keys that are not known, kept.
    pub other: Vec<(String, String)>,
}

/// Which series a legend shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegendSelection {
    /// The named ones are hidden instead of shown alone.
    pub hide: bool,
    /// Display names; one that begins with `~` is a regular expression.
    pub series: Vec<String>,
}

/// Steps of a drill-down trail that are kept.
const TRAIL_MAX: usize = 5;

impl ViewState {
    /// Takes a parameter if it is one of ours.
    pub(super) fn read(&mut self, key: &str, value: &str) -> bool {
        let Some(key) = key.strip_prefix("v.") else { return false };
        if self.read_known(key, value).is_none() {
            self.other.push((format!("v.{key}"), value.to_owned()));
        }
        true
    }

    fn read_known(&mut self, key: &str, value: &str) -> Option<()> {
        if let Some((kind, id)) = key.split_once('.') {
            let id = id.to_owned();
            match kind {
                "leg" => {
                    let (hide, names) = value.strip_prefix('!').map_or((false, value), |names| (true, names));
                    let series: Vec<String> = split_list(names, ',').iter().map(|name| unescape(name)).collect();
                    if series.is_empty() {
                        return None;
                    }
                    self.legend.push((id, LegendSelection { hide, series }));
                }
                "sort" => {
                    self.table_sort.push((id, split_list(value, ',').iter().map(|part| read_order(part)).collect()))
                }
                "flt" => {
                    let filters =
                        split_list(value, ',').iter().map(|part| read_filter(part)).collect::<Option<Vec<_>>>()?;
                    self.table_filter.push((id, filters));
                }
                "y" => {
                    let zoom = match value.split_once("..") {
                        Some((low, high)) => YZoom::Range(finite(low)?, finite(high)?),
                        None if matches!(value, "linear" | "log2" | "log10" | "symlog") => {
                            YZoom::Scale(value.to_owned())
                        }
                        None => return None,
                    };
                    self.y_zoom.push((id, zoom));
                }
                "legs" => self.legend_sort.push((id, read_order(value))),
                "tab" => self.tab.push((id, value.to_owned())),
                _ => return None,
            }
            return Some(());
        }
        match key {
            "pin" => {
                let (panel, ms) = value.rsplit_once('@')?;
                self.pin = Some((panel.to_owned(), ms.parse().ok()?));
            }
            "hi" => {
                let (from, to) = value.split_once("..")?;
                self.highlight = Some((from.parse().ok()?, to.parse().ok()?));
            }
            "rows" => {
                // Written with a minus by the grammar's example, read with and without.
                self.toggled_rows =
                    value.split(',').map(|id| id.trim_start_matches('-').parse().ok()).collect::<Option<Vec<i64>>>()?;
            }
            "trail" => {
                let trail = value
                    .split(',')
                    .map(|step| step.rsplit_once('~').map(|(uid, panel)| (uid.to_owned(), panel.to_owned())));
                self.trail = trail.collect::<Option<Vec<_>>>()?;
            }
            "draft" => self.draft = Some(value.to_owned()),
            "box" => {
                let (panel, rest) = value.split_once('@')?;
                let (times, values) = rest.split_once(',')?;
                let (from, to) = times.split_once("..")?;
                let (low, high) = values.split_once("..")?;
                self.compare_box =
                    Some((panel.to_owned(), (from.parse().ok()?, to.parse().ok()?), (finite(low)?, finite(high)?)));
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn write(&self, out: &mut Vec<(String, String)>) {
        for (id, selection) in &self.legend {
            let names: Vec<String> = selection.series.iter().map(|name| escape(name)).collect();
            out.push((format!("v.leg.{id}"), format!("{}{}", if selection.hide { "!" } else { "" }, names.join(","))));
        }
        for (id, orders) in &self.table_sort {
            let orders: Vec<String> = orders.iter().map(|(column, descending)| order(column, *descending)).collect();
            out.push((format!("v.sort.{id}"), orders.join(",")));
        }
        for (id, filters) in &self.table_filter {
            let filters: Vec<String> =
                filters.iter().map(|(column, op, value)| format!("{}{op}{}", escape(column), escape(value))).collect();
            out.push((format!("v.flt.{id}"), filters.join(",")));
        }
        for (id, zoom) in &self.y_zoom {
            let text = match zoom {
                YZoom::Range(low, high) => format!("{low}..{high}"),
                YZoom::Scale(scale) => scale.clone(),
            };
            out.push((format!("v.y.{id}"), text));
        }
        for (id, (column, descending)) in &self.legend_sort {
            out.push((format!("v.legs.{id}"), order(column, *descending)));
        }
        for (id, tab) in &self.tab {
            out.push((format!("v.tab.{id}"), tab.clone()));
        }
        if let Some((panel, ms)) = &self.pin {
            out.push(("v.pin".to_owned(), format!("{panel}@{ms}")));
        }
        if let Some((from, to)) = self.highlight {
            out.push(("v.hi".to_owned(), format!("{from}..{to}")));
        }
        if !self.toggled_rows.is_empty() {
            let rows: Vec<String> = self.toggled_rows.iter().map(|id| format!("-{id}")).collect();
            out.push(("v.rows".to_owned(), rows.join(",")));
        }
        if !self.trail.is_empty() {
            let newest = &self.trail[self.trail.len().saturating_sub(TRAIL_MAX)..];
            let steps: Vec<String> = newest.iter().map(|(uid, panel)| format!("{uid}~{panel}")).collect();
            out.push(("v.trail".to_owned(), steps.join(",")));
        }
        if let Some(draft) = &self.draft {
            out.push(("v.draft".to_owned(), draft.clone()));
        }
        if let Some((panel, (from, to), (low, high))) = &self.compare_box {
            out.push(("v.box".to_owned(), format!("{panel}@{from}..{to},{low}..{high}")));
        }
        out.extend(self.other.iter().cloned());
    }

    /// What a panel's legend shows.
    pub fn legend_of(&self, panel: &str) -> Option<&LegendSelection> {
        self.legend.iter().find(|(id, _)| id == panel).map(|(_, selection)| selection)
    }

    /// Replaces what a panel's legend shows; `None` is the default.
    pub fn set_legend(&mut self, panel: &str, selection: Option<LegendSelection>) {
        self.legend.retain(|(id, _)| id != panel);
        if let Some(selection) = selection.filter(|selection| !selection.series.is_empty()) {
            self.legend.push((panel.to_owned(), selection));
        }
    }
}

impl LegendSelection {
    /// Whether a series is shown.
    pub fn shows(&self, name: &str) -> bool {
        let named = self.series.iter().any(|wanted| match wanted.strip_prefix('~') {
            Some(pattern) => crate::pattern::Pattern::new(pattern).is_ok_and(|pattern| pattern.is_match(name)),
            None => wanted == name,
        });
        named != self.hide
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn order(column: &str, descending: bool) -> String {
    format!("{}:{}", escape(column), if descending { "d" } else { "a" })
}

fn read_order(part: &str) -> (String, bool) {
    match part.rsplit_once(':') {
        Some((column, "d")) => (unescape(column), true),
        Some((column, "a")) => (unescape(column), false),
        _ => (unescape(part), false),
    }
}

fn read_filter(part: &str) -> Option<(String, String, String)> {
    let mut escaped = false;
    for (at, c) in part.char_indices() {
        if !std::mem::take(&mut escaped) {
            match c {
                '\\' => escaped = true,
                '=' | '~' | '>' | '<' => {
                    return Some((unescape(&part[..at]), c.to_string(), unescape(&part[at + 1..])));
                }
                '!' if part[at..].starts_with("!=") => {
                    return Some((unescape(&part[..at]), "!=".to_owned(), unescape(&part[at + 2..])));
                }
                _ => {}
            }
        }
    }
    None
}

/// Characters with a meaning inside a value get a backslash.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | ':' | '=' | '!' | '~' | '<' | '>') {
            out.push('\\');
        }
        out.push(c);
    }
    // A regular expression keeps its sign.
    match out.strip_prefix("\\~") {
        Some(pattern) => format!("~{pattern}"),
        None => out,
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

/// Splits at a separator that has no backslash before it.
fn split_list(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}
