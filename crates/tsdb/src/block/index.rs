//! The index of a block: pages of series with the places of their chunks, and a directory of the pages.
//! A page needs no other, so that damage costs the series of one page. See `FORMAT.md`, "Index".

use super::frame::{self, FrameError, HEADER_BYTES};
use crate::{
    Damage,
    bytes::{Reader, put_uvarint, put_varint},
    postings::{Postings, Selector},
    wal::record::{put_labels, take_labels},
};
use model::Labels;
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// First bytes of the file; the last of them is the version.
pub(crate) const MAGIC: [u8; 8] = *b"VGIDX\0\0\x01";
/// Last bytes of the file.
pub(crate) const END_MAGIC: [u8; 4] = *b"XDGV";
/// Place of the directory, its checksum, [`END_MAGIC`].
pub(crate) const TRAILER_BYTES: u64 = 16;

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// Byte of its frame in the data file.
    pub(crate) frame_at: u64,
    /// Byte in the decompressed frame.
    pub(crate) at: u32,
    pub(crate) count: u32,
    /// Times of first and last sample.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

#[derive(Debug)]
pub(crate) struct IndexSeries {
    /// Place among all series of the block, in order of labels; what tombstones name.
    pub(crate) number: u32,
    pub(crate) labels: Labels,
    /// Ascending in time.
    pub(crate) chunks: Box<[ChunkRef]>,
}

#[derive(Debug, Default)]
pub(crate) struct BlockIndex {
    /// In order of their labels.
    pub(crate) series: Vec<IndexSeries>,
    pub(crate) postings: Postings,
}

impl BlockIndex {
    /// Reads what can be read of an index, and tells what cannot.
    pub(crate) fn load(path: &Path) -> (BlockIndex, Vec<Damage>) {
        let mut damage = Vec::new();
        let mut report = |at: u64, reason: String| damage.push(Damage { path: path.to_owned(), at, reason });
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                report(0, format!("{error}; the block's series are left out"));
                return (BlockIndex::default(), damage);
            }
        };
        let pages = match directory(&file) {
            Ok(pages) => pages,
            Err(reason) => {
                report(0, format!("{reason}; the pages were searched one after the other"));
                walk(&file)
            }
        };
        let mut series: Vec<IndexSeries> = Vec::new();
        for at in pages {
            let page = match frame::read(&file, at) {
                Ok(page) => decode_page(&page).ok_or_else(|| "the page cannot be decoded".to_owned()),
                Err(FrameError::Damaged(reason)) => Err(reason),
                Err(FrameError::Io(error)) => Err(error.to_string()),
            };
            match page {
                Ok(page) => series.extend(page),
                Err(reason) => report(at, format!("{reason}; the series of this page are left out")),
            }
        }
        // Pages are in order; only a walk over a damaged file may find them otherwise.
        if !series.windows(2).all(|pair| pair[0].labels < pair[1].labels) {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            series.dedup_by(|a, b| a.labels == b.labels);
        }
        let mut postings = Postings::default();
        for (place, series) in series.iter().enumerate() {
            postings.add(place as u32, &series.labels);
        }
        (BlockIndex { series, postings }, damage)
    }

    /// Places in `series`, ascending.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<u32> {
        self.postings.select(selector, |place| self.series.get(place as usize).map(|series| &series.labels))
    }
}

/// Places of the pages, from the end of the file.
fn directory(file: &File) -> Result<Vec<u64>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut trailer = [0; TRAILER_BYTES as usize];
    let at = length.checked_sub(TRAILER_BYTES).ok_or("the file is cut short")?;
    file.read_exact_at(&mut trailer, at).map_err(|error| error.to_string())?;
    let mut reader = Reader::new(&trailer);
    let (Some(directory_at), Some(checksum)) = (reader.u64_le(), reader.u32_le()) else {
        return Err("the file is cut short".into());
    };
    if trailer[12..] != END_MAGIC || crc32c::crc32c(&trailer[..8]) != checksum {
        return Err("the end of the file is damaged".into());
    }
    let directory = frame::read(file, directory_at).map_err(|error| match error {
        FrameError::Io(error) => error.to_string(),
        FrameError::Damaged(reason) => format!("the directory is damaged: {reason}"),
    })?;
    let mut reader = Reader::new(&directory);
    let mut pages = Vec::new();
    let mut at = 0;
    while !reader.is_empty() {
        at += reader.uvarint().ok_or("the directory cannot be decoded")?;
        pages.push(at);
    }
    Ok(pages)
}

/// Places of what may be pages, following their lengths from the beginning of the file.
fn walk(file: &File) -> Vec<u64> {
    let mut pages = Vec::new();
    let mut at = MAGIC.len() as u64;
    let mut header = [0; HEADER_BYTES];
    while file.read_exact_at(&mut header, at).is_ok() {
        let Ok((bytes, _)) = frame::frame_bytes(&header) else { break };
        pages.push(at);
        at += bytes as u64;
    }
    // The directory is a frame like the pages, the last one.
    pages
}

/// Collects the series of one page.
#[derive(Debug, Default)]
pub(crate) struct PageBuilder {
    pub(crate) raw: Vec<u8>,
}

impl PageBuilder {
    pub(crate) fn push(&mut self, number: u32, labels: &Labels, chunks: &[ChunkRef]) {
        let out = &mut self.raw;
        put_uvarint(out, u64::from(number));
        put_labels(out, labels);
        put_uvarint(out, chunks.len() as u64);
        let (mut frame_at, mut time) = (0_u64, 0_i64);
        for chunk in chunks {
            put_uvarint(out, chunk.frame_at.wrapping_sub(frame_at));
            put_uvarint(out, u64::from(chunk.at));
            put_uvarint(out, u64::from(chunk.count));
            put_varint(out, chunk.min_ms.wrapping_sub(time));
            put_varint(out, chunk.max_ms.wrapping_sub(chunk.min_ms));
            (frame_at, time) = (chunk.frame_at, chunk.max_ms);
        }
    }
}

fn decode_page(page: &[u8]) -> Option<Vec<IndexSeries>> {
    let mut reader = Reader::new(page);
    let mut list = Vec::new();
    while !reader.is_empty() {
        let number = u32::try_from(reader.uvarint()?).ok()?;
        let labels = take_labels(&mut reader)?;
        let count = reader.count()?;
        let mut chunks = Vec::with_capacity(count);
        let (mut frame_at, mut time) = (0_u64, 0_i64);
        for _ in 0..count {
            frame_at = frame_at.wrapping_add(reader.uvarint()?);
            let (at, count) = (u32::try_from(reader.uvarint()?).ok()?, u32::try_from(reader.uvarint()?).ok()?);
            let min_ms = time.wrapping_add(reader.varint()?);
            time = min_ms.wrapping_add(reader.varint()?);
            chunks.push(ChunkRef { frame_at, at, count, min_ms, max_ms: time });
        }
        list.push(IndexSeries { number, labels, chunks: chunks.into_boxed_slice() });
    }
    Some(list)
}
