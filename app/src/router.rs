//! The address bar as signals, the one way to change it, and links that change pages without loading them.
//!
//! Addresses within the program begin at our own root. Where the server is published below a path (`/vigie` of
//! `--web.external-url`), this module alone adds that prefix and takes it away.

use crate::memo::{Memo, memo};
use leptos::{prelude::*, tachys::dom::window};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{Element, HtmlAnchorElement, MouseEvent};

/// What the address says, in our own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Begins with `/`, percent-encoding as in the address bar.
    path: String,
    /// Without `?`.
    search: String,
}

/// How a page is left for another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// To another page, from its top.
    Visit,
    /// A step that the back button takes back; the page stays where it is.
    Push,
    /// In place of the present entry of the history.
    Replace,
}

/// Parts of the path that a pattern names.
pub type Params = Vec<(&'static str, String)>;

thread_local! {
    static HERE: ArcRwSignal<Place> = ArcRwSignal::new(here());
    static PREFIX: String = document()
        .document_element()
        .and_then(|root| root.get_attribute("data-prefix"))
        .unwrap_or_default();
}

/// The present path; tracked.
pub fn use_path() -> Memo<String> {
    memo(|| HERE.with(|here| here.with(|place| place.path.clone())))
}

/// The present query part, without `?`; tracked.
pub fn use_search() -> Memo<String> {
    memo(|| HERE.with(|here| here.with(|place| place.search.clone())))
}

/// An address of ours as the browser and the server know it; others stay as they are.
pub fn outside(url: &str) -> String {
    PREFIX.with(|prefix| with_prefix(prefix, url))
}

/// The whole address, for people elsewhere.
pub fn absolute(url: &str) -> String {
    window().location().origin().unwrap_or_default() + &outside(url)
}

/// Goes to an address of ours.
pub fn go(url: &str, how: Go) {
    let Ok(history) = window().history() else { return };
    let outside = outside(url);
    let written = match how {
        Go::Replace => history.replace_state_with_url(&JsValue::NULL, "", Some(&outside)),
        Go::Visit | Go::Push => history.push_state_with_url(&JsValue::NULL, "", Some(&outside)),
    };
    // An address that the browser refuses (another origin) is for the browser to open.
    if written.is_err() {
        let _ = window().location().set_href(url);
        return;
    }
    read_address();
    if how == Go::Visit {
        match url.split_once('#').and_then(|(_, id)| document().get_element_by_id(id)) {
            Some(target) => target.scroll_into_view(),
            None => window().scroll_to_with_x_and_y(0.0, 0.0),
        }
    }
}

/// Follows the back button and links; for the life of the program. `known` says which paths are pages.
pub fn listen(known: fn(&str) -> bool) {
    window_event_listener_untyped("popstate", |_| read_address());
    window_event_listener(leptos::ev::click, move |event| follow_link(&event, known));
    if PREFIX.with(|prefix| !prefix.is_empty()) {
        prefix_links();
    }
}

fn here() -> Place {
    let location = window().location();
    let path = location.pathname().unwrap_or_default();
    let search = location.search().unwrap_or_default();
    Place {
        path: PREFIX.with(|prefix| without_prefix(prefix, &path)),
        search: search.strip_prefix('?').unwrap_or(&search).to_owned(),
    }
}

fn read_address() {
    let now = here();
    HERE.with(|here| {
        if here.with_untracked(|before| *before != now) {
            here.set(now);
        }
    });
}

/// A press on a link to a page of ours changes the address only; every other press is the browser's.
fn follow_link(event: &MouseEvent, known: fn(&str) -> bool) {
    let held = event.meta_key() || event.alt_key() || event.ctrl_key() || event.shift_key();
    if event.default_prevented() || event.button() != 0 || held {
        return;
    }
    let pressed = event.composed_path().get(0).dyn_into::<Element>().ok();
    let link = pressed
        .and_then(|pressed| pressed.closest("a[href]").ok().flatten())
        .and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok());
    let Some(link) = link else { return };
    let elsewhere = !matches!(link.target().as_str(), "" | "_self") || link.has_attribute("download");
    let origin = window().location().origin().unwrap_or_default();
    if elsewhere || link.origin() != origin {
        return;
    }
    let place = Place {
        path: PREFIX.with(|prefix| without_prefix(prefix, &link.pathname())),
        search: link.search().trim_start_matches('?').to_owned(),
    };
    let same_page = HERE.with(|here| here.with_untracked(|here| *here == place));
    // A jump within the page moves the focus as well: the browser knows how.
    if !known(&place.path) || (same_page && !link.hash().is_empty()) {
        return;
    }
    event.prevent_default();
    go(&format!("{}{}{}", place.path, link.search(), link.hash()), Go::Visit);
}

fn with_prefix(prefix: &str, url: &str) -> String {
    if url.starts_with('/') && !url.starts_with("//") { format!("{prefix}{url}") } else { url.to_owned() }
}

fn without_prefix(prefix: &str, path: &str) -> String {
    match path.strip_prefix(prefix) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path.to_owned(),
    }
}

/// Writes the prefix into every link that comes into the page, so that "open in a new tab" and "copy link" are right:
/// links of dashboards and of texts name our own paths, as they do in Grafana.
fn prefix_links() {
    let callback = Closure::<dyn Fn(js_sys::Array)>::new(|records: js_sys::Array| {
        for record in records.iter().filter_map(|record| record.dyn_into::<web_sys::MutationRecord>().ok()) {
            let Some(target) = record.target() else { continue };
            if record.type_() == "attributes" {
                if let Some(element) = target.dyn_ref::<Element>() {
                    prefix_link(element);
                }
                continue;
            }
            let added = record.added_nodes();
            for at in 0..added.length() {
                let Some(element) = added.get(at).and_then(|node| node.dyn_into::<Element>().ok()) else { continue };
                prefix_link(&element);
                let Ok(below) = element.query_selector_all("a[href^='/']") else { continue };
                for at in 0..below.length() {
                    if let Some(link) = below.get(at).and_then(|node| node.dyn_into::<Element>().ok()) {
                        prefix_link(&link);
                    }
                }
            }
        }
    });
    let Ok(observer) = web_sys::MutationObserver::new(callback.as_ref().unchecked_ref()) else { return };
    let options = web_sys::MutationObserverInit::new();
    options.set_child_list(true);
    options.set_subtree(true);
    options.set_attribute_filter(&js_sys::Array::of1(&"href".into()));
    if let Some(body) = document().body() {
        let _ = observer.observe_with_options(&body, &options);
    }
    // Both live as long as the page.
    callback.forget();
    std::mem::forget(observer);
}

fn prefix_link(element: &Element) {
    if element.tag_name() != "A" {
        return;
    }
    let Some(href) = element.get_attribute("href").filter(|href| href.starts_with('/')) else { return };
    let path = href.split(['?', '#']).next().unwrap_or_default();
    PREFIX.with(|prefix| {
        if without_prefix(prefix, path) == path {
            let _ = element.set_attribute("href", &with_prefix(prefix, &href));
        }
    });
}

/// The parts that `pattern` names in `path`, if it fits: `/d/:uid/:slug?` has one part that may be missing.
pub fn fits(pattern: &'static str, path: &str) -> Option<Params> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let mut params = Params::new();
    for wanted in pattern.split('/').filter(|wanted| !wanted.is_empty()) {
        let part = parts.next();
        match (wanted.strip_prefix(':'), part) {
            (None, Some(part)) if part == wanted => {}
            (Some(name), Some(part)) => {
                params.push((name.trim_end_matches('?'), dashboard::url::query::decode_path(part)));
            }
            (Some(name), None) if name.ends_with('?') => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: &str = "
/d/:uid/:slug?   /d/host/the-host       uid=host slug=the-host
/d/:uid/:slug?   /d/host                uid=host
/d/:uid/:slug?   /d/host/               uid=host
/d/:uid/:slug?   /d                     none
/d/:uid/:slug?   /d/a/b/c               none
/probes/:id      /probes/http%3A%2F%2Fa id=http://a
/                /                      -
/                /x                     none
/alerts          /alerts                -
/alerts          /alert                 none
";

    #[test]
    fn patterns() {
        for case in PATTERNS.trim().lines() {
            let mut words = case.split_whitespace();
            let (pattern, path) = (words.next().unwrap(), words.next().unwrap());
            let expected = words.collect::<Vec<_>>().join(" ");
            let found = fits(pattern.to_owned().leak(), path).map(|params| {
                let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                if pairs.is_empty() { "-".to_owned() } else { pairs.join(" ") }
            });
            assert_eq!(found.unwrap_or("none".to_owned()), expected, "in case `{case}`");
        }
    }

    #[test]
    fn prefixes() {
        for (prefix, outside, inside) in [
            ("/vigie", "/vigie/d/a?x=1", "/d/a?x=1"),
            ("/vigie", "/vigie/", "/"),
            ("", "/d/a", "/d/a"),
            ("/vigie", "https://else/vigie", "https://else/vigie"),
            ("/vigie", "//else/vigie", "//else/vigie"),
        ] {
            assert_eq!(with_prefix(prefix, inside), outside);
            if outside.starts_with(prefix) {
                assert_eq!(without_prefix(prefix, outside), inside);
            }
        }
        assert_eq!(without_prefix("/vigie", "/vigie"), "/");
        assert_eq!(without_prefix("/vigie", "/vigies/d"), "/vigies/d");
    }
}
