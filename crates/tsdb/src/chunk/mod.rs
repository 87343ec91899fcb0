//! Samples in few bytes. One way of writing values serves the blocks.

pub(crate) mod column;
pub(crate) mod histogram;
pub(crate) mod value;

/// What a chunk holds: never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    Float,
    Histogram,
}
