//! One file of the log: pages of fragments, fragments put together to records.

use crate::{DamageList, Error, bytes::Reader, error};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

const PAGE_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Prometheus writes a record for one scrape or one request; a hundred megabytes are beyond any.
const RECORD_BYTES_MAX: usize = 128 << 20;
/// And so much when it is decompressed.
const RECORD_RAW_BYTES_MAX: u64 = 1 << 30;

/// Snappy's shortest copy has three bytes and gives 64.
const SNAPPY_RATIO_MAX: usize = 32;

const KIND_MASK: u8 = 0b0000_0111;
const SNAPPY: u8 = 0b0000_1000;
const ZSTD: u8 = 0b0001_0000;

const KIND_REST_OF_PAGE: u8 = 0;
const KIND_FULL: u8 = 1;
const KIND_FIRST: u8 = 2;
const KIND_MIDDLE: u8 = 3;
const KIND_LAST: u8 = 4;

pub(super) struct Segment {
    path: PathBuf,
    file: File,
    page: Vec<u8>,
    /// Place of the page in the file.
    page_at: u64,
    /// Place in the page.
    at: usize,
    done: bool,
}

impl Segment {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(error::at(path))?;
        Ok(Segment { path: path.to_owned(), file, page: Vec::new(), page_at: 0, at: 0, done: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn position(&self) -> u64 {
        self.page_at + self.at as u64
    }

    /// The next record, decompressed, and its place; `None` at the end or where the damage begins. A record that is
    /// cut off at the end of the `last` segment was being written when the process ended: it was never acknowledged.
    pub(super) fn next(&mut self, last: bool, damage: &mut DamageList) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let mut record = Vec::new();
        let mut begun: Option<(u64, u8)> = None;
        while !self.done {
            if self.at >= self.page.len() {
                if !self.next_page()? {
                    self.done = true;
                    if let Some((at, _)) = begun.filter(|_| !last) {
                        damage.report(&self.path, at, "the record is cut off; it is left out");
                    }
                    break;
                }
                continue;
            }
            let start = self.position();
            let rest = self.page.get(self.at..).unwrap_or_default();
            let kind = rest.first().copied().unwrap_or(0);
            if kind & KIND_MASK == KIND_REST_OF_PAGE {
                // The rest of a page that ended early is zeros.
                if rest.iter().any(|byte| *byte != 0) {
                    return self.give_up(start, "a page does not end with zeros", damage);
                }
                self.at = self.page.len();
                continue;
            }
            let mut reader = Reader::new(rest);
            let header = (|| {
                reader.u8()?;
                let length = reader.take(2)?;
                Some((usize::from(u16::from_be_bytes(length.try_into().ok()?)), reader.u32()?))
            })();
            let fragment = header.and_then(|(length, checksum)| Some((reader.take(length)?, checksum)));
            let Some((fragment, checksum)) = fragment else {
                // Only where writing stopped is a page shorter.
                if last && self.page.len() < PAGE_BYTES {
                    self.done = true;
                    break;
                }
                return self.give_up(start, "a fragment reaches over its page", damage);
            };
            let own = crc32c::crc32c(fragment);
            if own != checksum {
                return self.give_up(start, &format!("checksum {checksum:08x}, data gives {own:08x}"), damage);
            }
            let fits = match kind & KIND_MASK {
                KIND_FULL | KIND_FIRST => begun.is_none(),
                KIND_MIDDLE | KIND_LAST => begun.is_some(),
                _ => false,
            };
            if !fits {
                return self.give_up(
                    start,
                    &format!("a fragment of kind {} does not belong here", kind & KIND_MASK),
                    damage,
                );
            }
            if record.len() + fragment.len() > RECORD_BYTES_MAX {
                return self.give_up(start, "a record has no end", damage);
            }
            let (at, compression) = *begun.get_or_insert((start, kind & !KIND_MASK));
            record.extend_from_slice(fragment);
            self.at += HEADER_BYTES + fragment.len();
            if matches!(kind & KIND_MASK, KIND_FULL | KIND_LAST) {
                return match decompress(record, compression) {
                    Some(record) => Ok(Some((record, at))),
                    None => self.give_up(at, "a record cannot be decompressed", damage),
                };
            }
        }
        Ok(None)
    }

    fn give_up(&mut self, at: u64, why: &str, damage: &mut DamageList) -> Result<Option<(Vec<u8>, u64)>, Error> {
        self.done = true;
        damage.report(&self.path, at, format!("{why}; the rest of the segment is left out"));
        Ok(None)
    }

    /// False at the end of the file.
    fn next_page(&mut self) -> Result<bool, Error> {
        self.page_at += self.page.len() as u64;
        self.at = 0;
        self.page.clear();
        let mut page = (&mut self.file).take(PAGE_BYTES as u64);
        page.read_to_end(&mut self.page).map_err(error::at(&self.path))?;
        Ok(!self.page.is_empty())
    }
}

fn decompress(record: Vec<u8>, compression: u8) -> Option<Vec<u8>> {
    match compression {
        0 => Some(record),
        SNAPPY => {
            let length = snap::raw::decompress_len(&record).ok()?;
            // What is told first is allocated first.
            let most = (record.len().saturating_mul(SNAPPY_RATIO_MAX) as u64).min(RECORD_RAW_BYTES_MAX);
            (length as u64 <= most).then(|| snap::raw::Decoder::new().decompress_vec(&record).ok())?
        }
        ZSTD => {
            let mut raw = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(io::Cursor::new(record)).ok()?;
            decoder.take(RECORD_RAW_BYTES_MAX).read_to_end(&mut raw).ok()?;
            Some(raw)
        }
        _ => None,
    }
}
