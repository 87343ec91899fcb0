//! Changing a dashboard: the draft, the layout, the panel editor, settings, saving, versions.
//!
//! What the dashboard's page does with it:
//!
//! ```text
//! let session = EditSession::new(full.dashboard, full.meta);   // once per loaded dashboard
//! provide_context(session);
//! session.shown()                          // Signal<Dashboard>: what to draw, always (the loaded one, the draft, a move in progress)
//! session.editing                          // RwSignal<bool>
//! <EditActions/>                           // in the top bar: the Edit button, or in edit mode add, undo, redo, …, save
//! <div class="cell">… <PanelControls panel_id title/></div>   // inside each positioned cell that is no copy: grip, handle, buttons
//! <EditParts/>                             // once on the page: dialogs, settings (`editview=`), kept draft, keys, live region
//! // with `editPanel=<id>` in the address, instead of the grid:
//! <PanelEditor panel_id preview/>          // `preview` draws that panel out of `session.shown()`, filling its box
//! ```
//!
//! `session.open_panel_editor()` (from a panel's menu) puts `editPanel` into the address. A page without a stored dashboard
//! (`/dashboard/new`) makes its session by [`EditSession::new_dashboard`].

mod address;
mod layer;
mod panel_editor;
mod parts;
mod session;
mod toolbar;

pub use layer::PanelControls;
pub use panel_editor::PanelEditor;
pub use parts::EditParts;
pub use session::EditSession;
pub use toolbar::EditActions;
