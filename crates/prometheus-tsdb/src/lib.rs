//! Prometheus' own storage format: blocks (index v1 and v2, chunks, tombstones, `meta.json`) read and written, the
//! write-ahead log, its checkpoints and the chunks of the head read. Nothing of what is read is ever changed.
//!
//! Sources: the format descriptions of Prometheus (`tsdb/docs/format`) for blocks, log and chunks; Thanos' documentation
//! for what it adds to `meta.json`. What a damaged file costs is a [`Damage`]: the rest is read on.

mod bits;
pub mod block;
mod bytes;
pub mod chunk;
mod error;
pub mod export;
pub mod head;
pub mod wal;

pub use error::{Damage, DamageList, Error};
