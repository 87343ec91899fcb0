//! Snappy's block format, with a limit before anything is allocated.

/// The shortest copy has three bytes and gives 64.
const RATIO_MAX: usize = 32;

/// Compresses.
///
/// # Errors
/// For more than 4 GiB.
pub(crate) fn encode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    snap::raw::Encoder::new().compress_vec(bytes).map_err(|error| error.to_string())
}

/// Decompresses to at most `limit` bytes.
///
/// # Errors
/// What is wrong with the bytes, or that they are too many.
pub(crate) fn decode(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let length = snap::raw::decompress_len(bytes).map_err(|error| error.to_string())?;
    if length > limit {
        return Err(format!("{length} bytes after decompression exceed the limit of {limit}; send smaller batches"));
    }
    // What is told first is allocated first.
    if length > bytes.len().saturating_mul(RATIO_MAX) {
        return Err(format!("{} bytes cannot become {length}; the length at the beginning is wrong", bytes.len()));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| error.to_string())
}
