//! History on its way to object storage: windows of two hours, once nothing can come to them any more, as blocks in
//! Prometheus' format with Thanos' fields in `meta.json`.
//!
//! Every window is sent once, and what comes to it later as a block of its own. A block is written to `shipping/` in the data
//! folder, sent file by file (what is there already with the right size is not sent again) with `meta.json` last, noted in
//! `thanos.shipper.json`, and deleted locally. A process killed in between goes on with the files that are in `shipping/`.
//! Sources: Thanos' documentation of `meta.json`, of its shipper and of its object storage configuration.

mod config;
mod connect;
mod ship;
mod state;
mod window;

pub use config::ObjectStorageConfig;
pub use ship::{ShipError, Shipper, ShipperOptions};
