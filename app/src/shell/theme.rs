//! Dark, light, or what the system says. `index.html` applies the kept choice before the first paint.

use leptos::{prelude::*, tachys::dom::window};

const STORAGE_KEY: &str = "vigie.theme";

/// What the viewer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    System,
    Dark,
    Light,
}

impl Choice {
    /// As stored, and as in `theme=` of an address.
    pub fn word(self) -> &'static str {
        match self {
            Choice::System => "system",
            Choice::Dark => "dark",
            Choice::Light => "light",
        }
    }

    fn parse(word: &str) -> Choice {
        match word {
            "dark" => Choice::Dark,
            "light" => Choice::Light,
            _ => Choice::System,
        }
    }

    /// What a press of the switch chooses next.
    pub fn next(self) -> Choice {
        match self {
            Choice::System => Choice::Dark,
            Choice::Dark => Choice::Light,
            Choice::Light => Choice::System,
        }
    }
}

/// The choice, and whether it comes to dark now.
#[derive(Clone, Copy)]
pub struct Theme {
    pub choice: RwSignal<Choice>,
    /// Charts redraw when this changes.
    pub dark: Signal<bool>,
}

/// Reads the kept choice, follows the system, and keeps the document in step.
pub fn provide_theme() {
    let stored = window().local_storage().ok().flatten();
    let kept = stored.as_ref().and_then(|storage| storage.get_item(STORAGE_KEY).ok().flatten());
    let choice = RwSignal::new(Choice::parse(kept.as_deref().unwrap_or("")));
    let query = window().match_media("(prefers-color-scheme: light)").ok().flatten();
    let system_light = RwSignal::new(query.as_ref().is_some_and(web_sys::MediaQueryList::matches));
    if let Some(query) = query {
        let handler = wasm_bindgen::closure::Closure::<dyn Fn(web_sys::Event)>::new(move |event: web_sys::Event| {
            use wasm_bindgen::JsCast as _;
            if let Some(query) = event.target().and_then(|target| target.dyn_into::<web_sys::MediaQueryList>().ok()) {
                system_light.set(query.matches());
            }
        });
        use wasm_bindgen::JsCast as _;
        let _ = query.add_event_listener_with_callback("change", handler.as_ref().unchecked_ref());
        // Lives as long as the page.
        handler.forget();
    }
    // `theme=` in the address rules this page only and is not kept.
    let forced = window().location().search().ok().and_then(|search| {
        web_sys::UrlSearchParams::new_with_str(&search).ok().and_then(|parameters| parameters.get("theme"))
    });
    let forced = match forced.as_deref() {
        Some("light") => Some(false),
        Some("dark") => Some(true),
        _ => None,
    };
    let first = choice.get_untracked();
    let dark = Signal::derive(move || match (choice.get(), forced) {
        (now, Some(dark)) if now == first => dark,
        (Choice::System, _) => !system_light.get(),
        (Choice::Dark, _) => true,
        (Choice::Light, _) => false,
    });
    Effect::new(move |_| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-theme", if dark.get() { "dark" } else { "light" });
        }
    });
    Effect::new(move |before: Option<Choice>| {
        let now = choice.get();
        if before.is_some_and(|before| before != now)
            && let Ok(Some(storage)) = window().local_storage()
        {
            let _ = storage.set_item(STORAGE_KEY, now.word());
        }
        now
    });
    provide_context(Theme { choice, dark });
}

/// The theme.
///
/// # Panics
/// Outside of [`crate::shell::App`].
pub fn use_theme() -> Theme {
    expect_context::<Theme>()
}
