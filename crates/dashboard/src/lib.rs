//! Dashboards as Grafana stores them, and everything about them that needs neither a clock, a network nor a screen:
//! the JSON model and its history of edits, the address (`url`), time ranges, variables, interpolation, units,
//! field options, frames and transformations. The browser and the server share it.

pub mod calendar;
pub mod colors;
pub mod field;
pub mod frame;
pub mod history;
pub mod import;
pub mod interpolate;
pub mod interval;
pub mod layout;
pub mod legend;
pub mod model;
pub mod pattern;
pub mod reducers;
pub mod repeat;
pub mod sorting;
pub mod time_range;
pub mod transform;
pub mod units;
pub mod url;
pub mod variables;
