//! The address: one codec with its inverse. Every parameter that Grafana writes is read, one canonical form is
//! written, and what nobody knows is kept as long as the page is open.

mod explore;
mod location;
pub mod query;
mod view;

pub use explore::{ExploreLocation, ExplorePane, ExploreQuery};
pub use location::{DashboardLocation, Kiosk, LocationTime};
pub use view::{ColumnFilter, CompareBox, LegendSelection, ViewState, YZoom};
