//! One file of the log: a header, then records with their length and checksum. See `FORMAT.md`, "Log".

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// First bytes of a segment; the last of them is the version.
pub(crate) const MAGIC: [u8; 8] = *b"VGWAL\0\0\x02";
/// Length and CRC32C before every record.
pub(crate) const RECORD_HEADER_BYTES: u64 = 8;
/// Longer records are not written, so a longer length is damage.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;

pub(crate) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

/// Numbers of the segments in a folder, ascending; other files are left alone.
pub(crate) fn segment_numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.len() == 8
            && let Ok(number) = name.parse()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends one record, with its header, to a buffer that will be written as a whole. `write` appends what it says.
pub(crate) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER_BYTES as usize]);
    write(out);
    let payload = &out[at + RECORD_HEADER_BYTES as usize..];
    let (length, checksum) = (payload.len() as u32, crc32c::crc32c(payload));
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    out[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// What stands at a place of a segment.
#[derive(Debug)]
pub(crate) enum Next {
    /// A record that starts at `at`; the reader now stands behind it.
    Record { at: u64, payload: Vec<u8> },
    /// Nothing more up to the given end.
    End,
    /// The rest of the segment cannot be used.
    Damaged { at: u64, reason: String, torn: bool },
}

/// So much is read at a time.
const BUFFER_BYTES: u64 = 256 << 10;

/// Reads the records of one segment, or of another file of such records.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    magic: [u8; 8],
    offset: u64,
    /// What was read from the file at a byte.
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl SegmentReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        SegmentReader::open_as(path, MAGIC)
    }

    pub(crate) fn open_as(path: &Path, magic: [u8; 8]) -> io::Result<Self> {
        Ok(SegmentReader { file: File::open(path)?, magic, offset: 0, buffer: Vec::new(), buffer_at: 0 })
    }

    /// Goes on at a record that begins there.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Bytes of the file, which has them all before `end`; `None` if it does not.
    fn bytes(&mut self, at: u64, count: usize, end: u64) -> io::Result<Option<&[u8]>> {
        let is_there = |reader: &Self| {
            at >= reader.buffer_at && at + count as u64 <= reader.buffer_at + reader.buffer.len() as u64
        };
        if !is_there(self) {
            self.buffer_at = at;
            self.buffer.resize((end.saturating_sub(at)).min(BUFFER_BYTES.max(count as u64)) as usize, 0);
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, at) {
                self.buffer.clear();
                return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
            }
        }
        let start = at.saturating_sub(self.buffer_at) as usize;
        Ok(self.buffer.get(start..start + count))
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The next record that ends at or before `end`.
    pub(crate) fn next(&mut self, end: u64) -> io::Result<Next> {
        if self.offset == 0 {
            if end == 0 {
                return Ok(Next::End);
            }
            let expected = self.magic;
            let magic = if end < MAGIC.len() as u64 { None } else { self.bytes(0, MAGIC.len(), end)? };
            let Some(magic) = magic else {
                return Ok(Next::Damaged { at: 0, reason: "the header is cut short".into(), torn: true });
            };
            if magic != expected {
                let reason = format!("the header is {magic:02x?}, not {expected:02x?} of this version");
                return Ok(Next::Damaged { at: 0, reason, torn: false });
            }
            self.offset = MAGIC.len() as u64;
        }
        let at = self.offset;
        let left = end.saturating_sub(at);
        if left == 0 {
            return Ok(Next::End);
        }
        let torn = |reason: &str| Ok(Next::Damaged { at, reason: reason.into(), torn: true });
        let header = if left < RECORD_HEADER_BYTES { None } else { self.bytes(at, RECORD_HEADER_BYTES as usize, end)? };
        let Some(&[a, b, c, d, e, f, g, h]) = header else {
            return torn("a record header is cut short");
        };
        let (length, expected) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Ok(Next::Damaged { at, reason: format!("a record claims {length} bytes"), torn: false });
        }
        if left - RECORD_HEADER_BYTES < length as u64 {
            return torn("a record is cut short");
        }
        let Some(payload) = self.bytes(at + RECORD_HEADER_BYTES, length, end)? else {
            return torn("a record is cut short");
        };
        let found = crc32c::crc32c(payload);
        if found != expected {
            let reason = format!("checksum {expected:08x}, data gives {found:08x}");
            return Ok(Next::Damaged { at, reason, torn: false });
        }
        let payload = payload.to_vec();
        self.offset = at + RECORD_HEADER_BYTES + length as u64;
        Ok(Next::Record { at, payload })
    }
}
