//! Columns of one series as bytes: values, times, histograms. Every float survives with every bit. Decoders take any
//! bytes: they give an error, never a panic, and allocate no more than the count that they were asked for. The bytes
//! are drawn in `FORMAT.md`, "Columns".

pub mod floats;
pub mod histograms;
mod ints;
pub mod times;

use crate::bytes::Reader;

/// Bytes that no encoder can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at} of a column")]
pub struct CodecError {
    /// Where decoding ended, counted from the first byte of the column.
    pub at: usize,
    pub what: &'static str,
}

impl CodecError {
    fn at(bytes: &[u8], reader: &Reader<'_>, what: &'static str) -> Self {
        CodecError { at: bytes.len() - reader.remaining(), what }
    }
}
