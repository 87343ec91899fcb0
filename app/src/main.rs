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
mod board;
mod client;
mod controls;
mod edit;
mod kept;
mod live;
mod pages;
mod panels;
mod routes;
mod shell;
mod url_state;
mod zone;

fn main() {
    if let Some(boot) = leptos::prelude::document().get_element_by_id("boot") {
        boot.remove();
    }
    leptos::mount::mount_to_body(shell::App);
}
