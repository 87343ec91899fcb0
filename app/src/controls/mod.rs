//! What two pages or more use.

pub mod icon;
pub mod page;
