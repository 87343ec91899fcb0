//! The browser program: everything derives from the address and from what the server answers.
//!
//! Errors of the page are collected in `window.__vigie_errors` (see `index.html`), which the browser tests expect empty.
//! Elements that tests look for carry `data-t`:
//!
//! | `data-t` | what |
//! |---|---|
//! | `nav-<page>` | an item of the rail |
//! | `alert-badge` | number of firing critical alerts in the rail |
//! | `offline` | bar shown while the server does not answer |
//! | `theme` | theme switch |
//! | `not-found` | page of an unknown address, dashboard or panel |
//! | `notice` | line that says what just happened |
//! | `panel` | with `data-panel-id` and `data-state` = loading, ready, stale, error, empty |
//! | `plot`, `plot-hit`, `tooltip`, `legend`, `legend-item` | parts of a chart |
//! | `error-message`, `error-expression`, `retry` | parts of a failed panel |
//! | `stat-value`, `gauge-value`, `bar`, `sort`, `text` | parts of other panels |
//! | `panel-menu`, `menu-view`, `menu-edit`, `menu-inspect`, `menu-csv`, `menu-duplicate`, `menu-remove` | panel menu |
//! | `grid`, `row`, `row-toggle`, `view-panel`, `empty-board`, `add-first-panel`, `announce` | dashboard |
//! | `dashboard-title`, `board-menu`, `menu-kiosk`, `menu-settings`, `menu-versions` | top bar |
//! | `var-<name>`, `var-filter`, `var-option` | variables |
//! | `time-picker`, `time-phrase`, `time-from`, `time-to`, `time-apply`, `time-resolved`, `time-fault` | time range |
//! | `time-back`, `time-forward`, `time-zoom-out`, `refresh`, `refresh-interval` | beside it |
//! | `edit`, `dirty`, `undo`, `redo`, `add`, `add-<type>`, `discard`, `back`, `save` | edit mode |
//! | `panel-editor`, `queries`, `query`, `query-text`, `query-fault`, `suggestions`, `run`, `add-query` | panel editor |
//! | `type-<type>`, `opt-<path>`, `option-search`, `thresholds`, `add-threshold`, `threshold-value` | its options |
//! | `save-dialog`, `save-title`, `save-message`, `save-confirm`, `save-fault`, `diff` | saving |
//! | `conflict`, `overwrite`, `reload-theirs`, `versions`, `version`, `restore`, `inspector` | conflicts, versions |
//! | `dashboard-list`, `dashboard-row`, `dashboard-search`, `import`, `import-json`, `import-report`, `import-confirm` | list |
//! | `home-boards`, `attention`, `count-critical`, `count-warning`, `count-probes`, `count-targets` | home |

#![allow(unreachable_pub, reason = "a program, no library: `pub` means used outside of its file")]

mod board;
mod canvas;
mod client;
mod controls;
mod edit;
mod kept;
mod live;
mod memo;
mod pages;
mod panels;
mod router;
mod routes;
mod shell;
mod url_state;
mod zone;

fn main() {
    // A panic ends the program: its message goes where the browser tests, and people, look.
    std::panic::set_hook(Box::new(|panic| leptos::logging::error!("{panic}")));
    follow_old_hash();
    if let Some(boot) = leptos::prelude::document().get_element_by_id("boot") {
        boot.remove();
    }
    leptos::mount::mount_to_body(shell::App);
}

/// Links of an Alertmanager keep their place behind `#`: they are rewritten before the router reads the address.
fn follow_old_hash() {
    let window = leptos::tachys::dom::window();
    let wanted = window.location().hash().ok().and_then(|hash| pages::alerts::hash_route::rewrite(&hash));
    if let Some(wanted) = wanted {
        router::go(&wanted, router::Go::Replace);
    }
}
