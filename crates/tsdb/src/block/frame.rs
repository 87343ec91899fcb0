//! Compressed pieces with a checksum: the unit of reading, and of damage. See `FORMAT.md`, "Frames".

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
};
use zstd::bulk::Decompressor;

/// Compressed length, raw length, checksum.
pub(crate) const HEADER_BYTES: usize = 12;
/// Frames are closed when they are larger than this, before compression.
pub(crate) const RAW_BYTES_TARGET: usize = 64 << 10;
/// A frame ends with the series that filled it, which may be a large one.
const RAW_BYTES_MAX: usize = 64 << 20;
/// zstd's level for blocks that will be compacted again.
pub(crate) const LEVEL_FIRST: i32 = 3;
/// zstd's level for what stays: some percent smaller, and several times as long to compress.
pub(crate) const LEVEL_LAST: i32 = 9;

#[derive(Debug)]
pub(crate) enum FrameError {
    Io(io::Error),
    Damaged(String),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::Io(error) => write!(f, "cannot be read: {error}"),
            FrameError::Damaged(reason) => f.write_str(reason),
        }
    }
}

/// Compresses `raw` into a frame.
///
/// # Errors
/// When the compressor fails, which is for lack of memory.
pub(crate) fn encode(raw: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let compressed = zstd::bulk::compress(raw, level)?;
    let mut out = Vec::with_capacity(HEADER_BYTES + compressed.len());
    out.extend_from_slice(&(compressed.len() as u32).to_le_bytes());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&out), &compressed);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&compressed);
    Ok(out)
}

/// Length of the whole frame whose header this is, if it may be one.
pub(crate) fn frame_bytes(header: &[u8; HEADER_BYTES]) -> Result<(usize, usize), FrameError> {
    let [a, b, c, d, e, f, g, h, ..] = *header;
    let (compressed, raw) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
    if compressed > RAW_BYTES_MAX || raw > RAW_BYTES_MAX {
        return Err(FrameError::Damaged(format!("a frame claims {compressed} bytes, {raw} uncompressed")));
    }
    Ok((HEADER_BYTES + compressed, raw))
}

fn checked(
    header: &[u8; HEADER_BYTES],
    compressed: &[u8],
    raw: usize,
    decompressor: &mut Decompressor<'_>,
) -> Result<Vec<u8>, FrameError> {
    let expected = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let found = crc32c::crc32c_append(crc32c::crc32c(&header[..8]), compressed);
    if found != expected {
        return Err(FrameError::Damaged(format!("checksum {expected:08x}, data gives {found:08x}")));
    }
    decompressor.decompress(compressed, raw).map_err(|error| FrameError::Damaged(format!("zstd: {error}")))
}

/// What reads frames.
struct Desk {
    decompressor: Decompressor<'static>,
    /// The frame as it is in the file.
    compressed: Vec<u8>,
}

/// Those at rest: a decompressor takes longer to make than a frame to decompress, and buffers of all lengths, come and gone,
/// leave the allocator with memory of all lengths.
static DESKS: Mutex<Vec<Desk>> = Mutex::new(Vec::new());
/// So many are kept, of some 100 KiB each, and the buffer.
const DESKS_MAX: usize = 4;
const BUFFER_MAX: usize = 2 * RAW_BYTES_TARGET;

impl Desk {
    fn take() -> io::Result<Desk> {
        let found = DESKS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        found.map_or_else(|| Ok(Desk { decompressor: Decompressor::new()?, compressed: Vec::new() }), Ok)
    }

    fn give_back(mut self) {
        if self.compressed.capacity() > BUFFER_MAX {
            self.compressed = Vec::new();
        }
        let mut list = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < DESKS_MAX {
            list.push(self);
        }
    }
}

/// Reads the frame at a place of a file.
pub(crate) fn read(file: &File, at: u64) -> Result<Vec<u8>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(file, &mut header, at)?;
    let (total, raw) = frame_bytes(&header)?;
    let left = file.metadata().map_err(FrameError::Io)?.len().saturating_sub(at);
    if (total as u64) > left {
        return Err(FrameError::Damaged(format!("a frame claims {total} bytes, the file has {left} more")));
    }
    let mut desk = Desk::take().map_err(FrameError::Io)?;
    desk.compressed.resize(total - HEADER_BYTES, 0);
    let outcome = read_exact(file, &mut desk.compressed, at + HEADER_BYTES as u64)
        .and_then(|()| checked(&header, &desk.compressed, raw, &mut desk.decompressor));
    desk.give_back();
    outcome
}

fn read_exact(file: &File, buffer: &mut [u8], at: u64) -> Result<(), FrameError> {
    file.read_exact_at(buffer, at).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            FrameError::Damaged("the file ends inside a frame".into())
        } else {
            FrameError::Io(error)
        }
    })
}
