//! Charts drawn on any plotters backend: scales and ticks, series as pixels, the frame around them, and the value
//! under the pointer.
//!
//! A [`Scene`] says what to draw. [`draw_frame`] draws grid, axes and thresholds and answers the [`Plot`]: where the
//! data lie and how values become pixels. [`geometry()`] turns the series into plain buffers that a canvas strokes in one
//! call; [`draw`] does all of it on one backend, for the server.

mod axis;
mod frame;
mod gauge;
mod geometry;
mod heatmap;
mod hit;
mod scene;
#[cfg(feature = "server")]
pub mod server;
mod ticks;

pub use axis::Scale;
pub use frame::{draw, draw_frame};
pub use gauge::{Arc, arc_polygon, gauge_arcs};
pub use geometry::{Dots, Fill, Geometry, Stroke, geometry, sparkline};
pub use heatmap::{HeatCell, heatmap_cells, heatmap_scale};
pub use hit::{Hit, hits_at, nearest};
pub use scene::{Band, Marker, Plot, Rect, Scene, Series, ThresholdLine, YAxis, build, stack};
pub use ticks::{Tick, TickUnit, tick_unit, time_ticks, value_ticks};
