//! What opens beside a button and closes again: by Escape, by a press elsewhere, by leaving it with the keyboard.

use crate::memo::Show;
use leptos::{context::Provider, ev, html, prelude::*};
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, Node};

/// Closes the popover around; in the context of everything inside.
#[derive(Clone, Copy)]
pub struct ClosePopover(RwSignal<bool>);

impl ClosePopover {
    pub fn close(self) {
        self.0.set(false);
    }
}

/// A button, and beside it what it opens. `name` is read to those who listen; `class` is the button's, `pop_class` the
/// opened part's. `role` says what that is (`menu`, `dialog`). A button that is `wordy` is named by what it shows.
#[component]
pub fn Popover(
    #[prop(into)] name: Signal<String>,
    trigger: ViewFn,
    #[prop(default = "btn")] class: &'static str,
    #[prop(default = "pop")] pop_class: &'static str,
    #[prop(default = "dialog")] role: &'static str,
    #[prop(optional, into)] test: MaybeProp<String>,
    #[prop(optional)] wordy: bool,
    #[prop(optional)] open: Option<RwSignal<bool>>,
    children: ChildrenFn,
) -> impl IntoView {
    let open = open.unwrap_or_else(|| RwSignal::new(false));
    let anchor = NodeRef::<html::Span>::new();
    let button = NodeRef::<html::Button>::new();
    let inside = move |event: &web_sys::Event| {
        let target = event.target().and_then(|target| target.dyn_into::<Node>().ok());
        anchor.get_untracked().is_some_and(|anchor| anchor.contains(target.as_ref()))
    };
    let outside_press = window_event_listener(ev::pointerdown, move |event| {
        if open.get_untracked() && !inside(&event) {
            open.set(false);
        }
    });
    on_cleanup(move || outside_press.remove());
    // The first thing that takes input gets the focus, and the button gets it back.
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        if now && before == Some(false) {
            request_animation_frame(move || {
                let first = anchor.get_untracked().and_then(|anchor| {
                    anchor
                        .query_selector(".pop [autofocus], .pop [role=menuitem], .pop input, .pop button, .pop a")
                        .ok()
                        .flatten()
                });
                if let Some(first) = first.and_then(|first| first.dyn_into::<HtmlElement>().ok()) {
                    let _ = first.focus();
                }
            });
        }
        now
    });
    let give_back = move || {
        open.set(false);
        if let Some(button) = button.get_untracked() {
            let _ = button.focus();
        }
    };
    let keys = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Escape" && open.get_untracked() {
            event.stop_propagation();
            event.prevent_default();
            give_back();
        }
    };
    let left = move |event: web_sys::FocusEvent| {
        let to = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
        let stays = anchor.get_untracked().is_some_and(|anchor| anchor.contains(to.as_ref()));
        if to.is_some() && !stays {
            open.set(false);
        }
    };
    let children = StoredValue::new(children);
    view! {
        <span class="menu-anchor" node_ref=anchor on:keydown=keys on:focusout=left>
            <button
                type="button"
                node_ref=button
                class=class
                aria-label=move || (!wordy).then(|| name.get())
                aria-haspopup=role
                aria-expanded=move || open.get().to_string()
                data-t=move || test.get()
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {trigger.run()}
            </button>
            <Show when=move || open.get()>
                // A component has no context of its own: without this, a popover further on would be the one that closes.
                <Provider value=ClosePopover(open)>
                    <div class=pop_class role=role aria-label=name>
                        {children.with_value(|children| children())}
                    </div>
                </Provider>
            </Show>
        </span>
    }
}

/// A popover with items, walked with the arrow keys.
#[component]
pub fn Menu(
    #[prop(into)] name: Signal<String>,
    trigger: ViewFn,
    #[prop(default = "btn")] class: &'static str,
    #[prop(optional)] right: bool,
    #[prop(optional, into)] test: MaybeProp<String>,
    #[prop(optional)] wordy: bool,
    #[prop(optional)] open: Option<RwSignal<bool>>,
    children: ChildrenFn,
) -> impl IntoView {
    let pop_class = if right { "pop menu right" } else { "pop menu" };
    let open = open.unwrap_or_else(|| RwSignal::new(false));
    let children = StoredValue::new(children);
    view! {
        <Popover name trigger class pop_class role="menu" test wordy open>
            <div class="menu-items" role="none" on:keydown=walk>
                {children.with_value(|children| children())}
            </div>
        </Popover>
    }
}

/// Arrow keys, Home and End move the focus through the items of a menu or a list of options.
pub fn walk(event: web_sys::KeyboardEvent) {
    let step: i32 = match event.key().as_str() {
        "ArrowDown" => 1,
        "ArrowUp" => -1,
        "Home" => i32::MIN,
        "End" => i32::MAX,
        _ => return,
    };
    let Some(list) = event.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let Ok(items) = list.query_selector_all("[role=menuitem], [role=option], [role=menuitemradio]") else { return };
    let count = items.length() as i32;
    if count == 0 {
        return;
    }
    event.prevent_default();
    let active = document().active_element();
    let now = (0..count).find(|&i| {
        let item = items.item(i as u32).and_then(|item| item.dyn_into::<web_sys::Element>().ok());
        item.is_some() && item == active
    });
    let next = match (step, now) {
        (i32::MIN, _) | (1, None) => 0,
        (i32::MAX, _) | (_, None) => count - 1,
        (step, Some(now)) => (now + step).rem_euclid(count),
    };
    if let Some(item) = items.item(next as u32).and_then(|item| item.dyn_into::<HtmlElement>().ok()) {
        let _ = item.focus();
    }
}

/// One item of a menu: a button that closes the menu and calls `on_choose`.
#[component]
pub fn MenuItem(
    #[prop(into)] label: Signal<String>,
    #[prop(optional)] icon: Option<super::icon::Icon>,
    #[prop(optional)] key: Option<&'static str>,
    #[prop(optional)] danger: bool,
    #[prop(optional, into)] on: Signal<bool>,
    #[prop(optional, into)] test: MaybeProp<String>,
    on_choose: impl Fn() + 'static,
) -> impl IntoView {
    let close = use_context::<ClosePopover>();
    let class = move || match (danger, on.get()) {
        (true, _) => "menu-item danger",
        (false, true) => "menu-item on",
        (false, false) => "menu-item",
    };
    view! {
        <button
            type="button"
            role="menuitem"
            class=class
            data-t=move || test.get()
            on:click=move |_| {
                if let Some(close) = close {
                    close.close();
                }
                on_choose();
            }
        >
            {icon.map(super::icon::Icon::view)}
            <span>{label}</span>
            {key.map(|key| view! { <kbd>{key}</kbd> })}
        </button>
    }
}

/// One item of a menu that leads somewhere.
#[component]
pub fn MenuLink(
    #[prop(into)] label: String,
    #[prop(into)] href: Signal<String>,
    #[prop(optional)] icon: Option<super::icon::Icon>,
    #[prop(optional)] new_tab: bool,
) -> impl IntoView {
    let close = use_context::<ClosePopover>();
    view! {
        <a
            role="menuitem"
            class="menu-item"
            href=href
            target=new_tab.then_some("_blank")
            rel=new_tab.then_some("noopener noreferrer")
            on:click=move |_| {
                if let Some(close) = close {
                    close.close();
                }
            }
        >
            {icon.map(super::icon::Icon::view)}
            <span>{label}</span>
        </a>
    }
}
