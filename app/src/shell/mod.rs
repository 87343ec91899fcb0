//! The frame that stays while pages change: rail, phone bar, theme, lost connection.

mod connection_bar;
mod navigation;
pub mod theme;

use crate::{
    controls::notice,
    kept, live, router,
    routes::{self, Pages},
};
use leptos::prelude::*;

/// The whole program.
#[component]
pub fn App() -> impl IntoView {
    router::listen(routes::known);
    theme::provide_theme();
    live::provide_live_alerts();
    notice::provide_notices();
    kept::provide_kept();
    crate::board::provide_sources();
    view! {
        <a class="skip" href="#main" data-t="skip">"Skip to content"</a>
        <div class="app" data-t="app">
            <navigation::Rail/>
            <main class="main" id="main" tabindex="-1">
                <Pages/>
            </main>
            <navigation::PhoneBar/>
        </div>
        <connection_bar::ConnectionBar />
        <notice::NoticeLine />
    }
}
