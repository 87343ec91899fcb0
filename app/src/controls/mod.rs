//! What two pages or more use.

pub mod dialog;
pub mod icon;
pub mod notice;
pub mod page;
pub mod popover;
pub mod query_editor;
pub mod sparkline;
