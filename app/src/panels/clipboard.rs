//! Text to the clipboard.

use crate::controls::notice::Notices;
use leptos::{tachys::dom::window, task::spawn_local};
use wasm_bindgen_futures::JsFuture;

/// Copies, and says whether it worked: a page that is not served over TLS has no clipboard.
pub fn copy(text: String, notices: Notices) {
    let navigator = window().navigator();
    let present =
        js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|clipboard| !clipboard.is_undefined());
    if !present {
        notices.failed("This browser gives no access to the clipboard here.");
        return;
    }
    let promise = navigator.clipboard().write_text(&text);
    spawn_local(async move {
        match JsFuture::from(promise).await {
            Ok(_) => notices.done("Copied."),
            Err(_) => notices.failed("The browser did not allow copying."),
        }
    });
}
