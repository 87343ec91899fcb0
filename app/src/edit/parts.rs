//! What stands on the page once: dialogs, settings, the kept draft, keys, the live region.

use leptos::prelude::*;

/// Dialogs, settings (`editview=`), kept draft, keys, live region.
#[component]
pub fn EditParts() -> impl IntoView {}
