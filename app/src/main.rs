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
//! | `not-found` | page of an unknown address |

#![allow(unreachable_pub, reason = "a program, no library: `pub` means used outside of its file")]

mod canvas;
mod client;
mod controls;
mod edit;
mod kept;
mod live;
mod pages;
mod panels;
mod routes;
mod shell;

/// Alertmanager keeps its place behind `#`; links of its kind become ours before the first page is drawn.
fn rewrite_hash_route() {
    let window = leptos::prelude::window();
    let path = window.location().hash().ok().and_then(|hash| pages::alerts::hash_route::rewrite(&hash));
    if let (Some(path), Ok(history)) = (path, window.history()) {
        // Without the right to change the address the link opens the home page, as any unknown hash does.
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&path));
    }
}

fn main() {
    // A panic says nothing in a browser unless somebody writes it down.
    std::panic::set_hook(Box::new(|panic| leptos::logging::error!("{panic}")));
    rewrite_hash_route();
    if let Some(boot) = leptos::prelude::document().get_element_by_id("boot") {
        boot.remove();
    }
    leptos::mount::mount_to_body(shell::App);
}
