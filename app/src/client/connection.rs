//! Whether the server answers at all. Every request reports here; the shell shows a bar while it does not.

use leptos::prelude::*;

thread_local! {
    static LOST: ArcRwSignal<bool> = ArcRwSignal::new(false);
}

/// True from the first request without any answer until the next one with an answer.
pub fn lost() -> ArcReadSignal<bool> {
    LOST.with(ArcRwSignal::read_only)
}

pub(super) fn report(answered: bool) {
    LOST.with(|lost| {
        if lost.get_untracked() == answered {
            lost.set(!answered);
        }
    });
}
