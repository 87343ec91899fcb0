//! Grip, handle and buttons over a panel in edit mode.

use leptos::prelude::*;

/// Grip, corner handle and buttons of one panel; draws nothing outside of edit mode. Stands inside the panel's cell.
#[component]
pub fn PanelControls(panel_id: i64, #[prop(into)] title: String) -> impl IntoView {
    let _ = (panel_id, title);
}
