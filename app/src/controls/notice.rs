//! A line at the bottom that says what just happened and goes away by itself.

use super::icon::Glyph;
use leptos::prelude::*;
use std::time::Duration;

const SHOWN_FOR: Duration = Duration::from_secs(5);

/// The latest notice.
#[derive(Clone, Copy)]
pub struct Notices(RwSignal<Option<(u64, bool, String)>>);

/// To be called once, by the shell.
pub fn provide_notices() {
    provide_context(Notices(RwSignal::new(None)));
}

/// The way to say something.
///
/// # Panics
/// Outside of the shell.
pub fn use_notices() -> Notices {
    expect_context::<Notices>()
}

impl Notices {
    /// Something went as wished.
    pub fn done(self, text: impl Into<String>) {
        self.say(true, text.into());
    }

    /// Something did not.
    pub fn failed(self, text: impl Into<String>) {
        self.say(false, text.into());
    }

    fn say(self, good: bool, text: String) {
        let number = self.0.with_untracked(|now| now.as_ref().map_or(0, |(number, ..)| *number)) + 1;
        self.0.set(Some((number, good, text)));
        set_timeout(
            move || {
                if self.0.try_with_untracked(|now| now.as_ref().is_some_and(|(now, ..)| *now == number)) == Some(true) {
                    self.0.set(None);
                }
            },
            SHOWN_FOR,
        );
    }
}

/// Where the notice appears.
#[component]
pub fn NoticeLine() -> impl IntoView {
    let notices = use_notices();
    let shown = move || {
        notices.0.get().map(|(_, good, text)| {
            let glyph = if good { Glyph::Ok } else { Glyph::Critical };
            view! { <div class="notice" data-t="notice">{glyph.view()}<span>{text}</span></div> }
        })
    };
    view! { <div role="status" aria-live="polite">{shown}</div> }
}
