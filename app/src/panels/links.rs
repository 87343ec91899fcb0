//! Where panels lead: their own links, data links of values, Explore, their own address.

use super::{PanelInput, values::Single};
use dashboard::{
    field::DisplayValue,
    frame::{Field, Frame},
    interpolate::{DataScope, Purpose, interpolate, interpolate_url},
    model::DataLink,
    url::{ExploreLocation, ExplorePane, ExploreQuery},
};
use leptos::prelude::*;

/// A link with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub title: String,
    pub href: String,
    pub new_tab: bool,
    pub one_click: bool,
}

/// The value a data link belongs to.
pub struct LinkPlace<'a> {
    pub frame: &'a Frame,
    pub field: usize,
    pub row: Option<usize>,
    pub text: &'a str,
}

/// Links with their variables filled in; those that lead where they must not are left out.
pub fn fill_links(input: PanelInput, links: &[DataLink], place: Option<&LinkPlace<'_>>) -> Vec<Link> {
    if links.is_empty() {
        return Vec::new();
    }
    let panel = input.panel.get_untracked();
    untrack(|| {
        input.board.with_scope(Some(&panel), None, |scope| {
            let mut scope = scope.clone();
            scope.data = place.map(|place| DataScope {
                frame: place.frame,
                field: place.field,
                row: place.row,
                text: place.text,
                calc: "",
            });
            links
                .iter()
                .filter_map(|link| {
                    let href = interpolate_url(&link.url, &scope).ok()?;
                    let title = interpolate(&link.title, &scope, Purpose::Text);
                    let title = if title.is_empty() { href.clone() } else { title };
                    Some(Link { title, href, new_tab: link.target_blank, one_click: link.one_click })
                })
                .collect()
        })
    })
}

/// The panel's own links.
pub fn panel_links(input: PanelInput) -> Vec<Link> {
    let links = input.panel.with_untracked(|panel| panel.links.clone());
    fill_links(input, &links, None)
}

/// Links of a cell: the first is the cell's.
pub fn cell_link(field: &Field, text: &str, row: usize, input: PanelInput) -> Option<Link> {
    if field.config.links.is_empty() {
        return None;
    }
    input.data.with_untracked(|data| {
        let data = data.as_ref()?;
        let (frame, at) = data.frames.iter().find_map(|frame| {
            let at = frame.fields.iter().position(|other| other.name == field.name && other.labels == field.labels)?;
            Some((frame, at))
        })?;
        let place = LinkPlace { frame, field: at, row: Some(row), text };
        fill_links(input, &field.config.links, Some(&place)).into_iter().next()
    })
}

/// The link that lies over a single value.
pub fn value_links(single: &Single, input: PanelInput) -> Option<impl IntoView + use<>> {
    let links = single.links();
    if links.is_empty() {
        return None;
    }
    let frame = Frame { name: single.frame_name.clone(), ref_id: String::new(), fields: vec![single.field.clone()] };
    let text = display_text(&single.display);
    let place = LinkPlace { frame: &frame, field: 0, row: None, text: &text };
    let link = fill_links(input, links, Some(&place)).into_iter().next()?;
    Some(view! {
        <a class="stat-link" href=link.href target=link.new_tab.then_some("_blank") rel="noopener noreferrer" aria-label=link.title></a>
    })
}

fn display_text(display: &DisplayValue) -> String {
    display.text.to_string()
}

/// The queries of the panel in Explore, with the range as it is; tracked.
pub fn explore_address(input: PanelInput) -> String {
    let panel = input.panel.get();
    let range = input.board.range.get();
    let (matchers, _) = input.board.filters();
    let queries = panel
        .targets
        .iter()
        .filter(|target| !target.expr.trim().is_empty())
        .map(|target| {
            let expr =
                input.board.with_scope(Some(&panel), None, |scope| interpolate(&target.expr, scope, Purpose::PromQl));
            let expr = promql_syntax::narrow(&expr, &matchers).unwrap_or(expr);
            ExploreQuery { ref_id: target.ref_id.clone(), expr, range: true, ..ExploreQuery::default() }
        })
        .collect();
    let pane = ExplorePane { id: "a".to_owned(), queries, range, ..ExplorePane::default() };
    let location = ExploreLocation { panes: vec![pane], ..ExploreLocation::default() };
    format!("/explore?{}", location.query_string())
}

/// The address of the panel alone, with everything as it is, for others.
pub fn panel_address(input: PanelInput) -> String {
    let key = input.key.get_value();
    let mut location = input.board.url.peek(Clone::clone);
    location.view_panel = key;
    // What is selected now, even where it comes from a default: the receiver sees the same.
    for (name, values) in input.board.variables.with_untracked(dashboard::variables::VariableSet::to_address) {
        location.set_variable(&name, Some(values));
    }
    let range = input.board.range.get_untracked();
    location.set_time_range(&range);
    crate::router::absolute(&crate::url_state::address(&location))
}
