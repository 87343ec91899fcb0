//! Folders looked over and mended while no engine has them open.

#[cfg(test)]
mod killed;
mod repair;
pub(crate) mod verify;

pub(crate) use repair::finish_interrupted;
pub use repair::{Repair, Repaired, repair};
pub(crate) use verify::lock_if_used;
pub use verify::{Verification, verify};
