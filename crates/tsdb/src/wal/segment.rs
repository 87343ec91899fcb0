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

/// Reads the records of one segment.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    offset: u64,
}

impl SegmentReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(SegmentReader { file: File::open(path)?, offset: 0 })
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
            let mut magic = [0; MAGIC.len()];
            if end < MAGIC.len() as u64 || read_exact_at(&self.file, &mut magic, 0)?.is_none() {
                return Ok(Next::Damaged { at: 0, reason: "the header is cut short".into(), torn: true });
            }
            if magic != MAGIC {
                let reason = format!("the header is {magic:02x?}, not that of a log segment of version 2");
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
        let mut header = [0; RECORD_HEADER_BYTES as usize];
        if left < RECORD_HEADER_BYTES || read_exact_at(&self.file, &mut header, at)?.is_none() {
            return torn("a record header is cut short");
        }
        let [a, b, c, d, e, f, g, h] = header;
        let (length, expected) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Ok(Next::Damaged { at, reason: format!("a record claims {length} bytes"), torn: false });
        }
        if left - RECORD_HEADER_BYTES < length as u64 {
            return torn("a record is cut short");
        }
        let mut payload = vec![0; length];
        if read_exact_at(&self.file, &mut payload, at + RECORD_HEADER_BYTES)?.is_none() {
            return torn("a record is cut short");
        }
        let found = crc32c::crc32c(&payload);
        if found != expected {
            let reason = format!("checksum {expected:08x}, data gives {found:08x}");
            return Ok(Next::Damaged { at, reason, torn: false });
        }
        self.offset = at + RECORD_HEADER_BYTES + length as u64;
        Ok(Next::Record { at, payload })
    }
}

/// `None` when the file ends before the buffer is full.
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Option<()>> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
