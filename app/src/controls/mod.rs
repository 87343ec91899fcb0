//! What two pages or more use.

pub mod dialog;
pub mod icon;
pub mod notice;
pub mod page;
pub mod popover;
pub mod query_editor;
pub mod refresh;
pub mod sparkline;
pub mod time_picker;
pub mod variable_bar;
