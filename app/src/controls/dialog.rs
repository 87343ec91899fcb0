//! A window over the page, the browser's own `<dialog>`: it keeps the focus inside and gives it back.

use super::icon::Icon;
use crate::memo::Show;
use leptos::{html, prelude::*};

/// Shown while `open`; Escape, the close button and a press on the backdrop set it to false. Its content is made anew
/// each time it opens.
#[component]
pub fn Dialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] wide: bool,
    #[prop(optional, into)] test: MaybeProp<String>,
    children: ChildrenFn,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    let children = StoredValue::new(children);
    let backdrop = move |event: web_sys::MouseEvent| {
        use wasm_bindgen::JsCast as _;
        let on_backdrop =
            event.target().and_then(|target| target.dyn_into::<web_sys::HtmlDialogElement>().ok()).is_some();
        if on_backdrop {
            open.set(false);
        }
    };
    view! {
        <dialog
            node_ref=dialog
            class=if wide { "dlg wide" } else { "dlg" }
            aria-label=title
            data-t=move || test.get()
            on:close=move |_| open.set(false)
            on:mousedown=backdrop
        >
            <header>
                <h2>{title}</h2>
                <span class="grow"></span>
                <button type="button" class="btn sq" aria-label="Close" on:click=move |_| open.set(false)>
                    {Icon::Close.view()}
                </button>
            </header>
            <Show when=move || open.get()>{children.with_value(|children| children())}</Show>
        </dialog>
    }
}
