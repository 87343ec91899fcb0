//! Keys of a dashboard: letters in sequence (`t` then `-`), aimed at the focused panel where they mean one.

use leptos::prelude::*;
use std::time::Duration;
use wasm_bindgen::JsCast as _;
use web_sys::KeyboardEvent;

/// How long a first letter waits for its second.
const SEQUENCE: Duration = Duration::from_millis(1200);

/// The first letter of a sequence, while it waits.
#[derive(Clone, Copy)]
pub struct Keys(RwSignal<Option<char>>);

impl Keys {
    pub(super) fn new() -> Keys {
        Keys(RwSignal::new(None))
    }

    /// Whether a sequence has begun: the next letter is its, not the panel's.
    pub fn pending(self) -> bool {
        self.0.get_untracked().is_some()
    }

    /// Whether a sequence has begun with this letter.
    pub fn is(self, first: char) -> bool {
        self.0.get_untracked() == Some(first)
    }

    /// Begins a sequence.
    pub fn begin(self, first: char) {
        self.0.set(Some(first));
        set_timeout(
            move || {
                self.0.try_set(None);
            },
            SEQUENCE,
        );
    }

    /// Ends it and says with which letter it began.
    pub fn take(self) -> Option<char> {
        let first = self.0.get_untracked();
        if first.is_some() {
            self.0.set(None);
        }
        first
    }
}

/// Whether the event belongs to a field somebody types into.
pub fn is_typing(event: &KeyboardEvent) -> bool {
    let Some(element) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return false;
    };
    matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        || element.closest("dialog, [role=menu]").ok().flatten().is_some()
}
