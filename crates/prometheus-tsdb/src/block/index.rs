//! `index`: series with their labels and the places of their chunks. Read from front to back; only the symbols are held.

use crate::{DamageList, Error, bytes::Reader, error};
use model::{Labels, LabelsBuilder};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

pub(super) const MAGIC: u32 = 0xbaaa_d700;
const TOC_BYTES: u64 = 6 * 8 + 4;
/// Series begin at multiples of this in version 2, and are numbered by it.
pub(super) const SERIES_ALIGN: u64 = 16;
/// The field of a section's length has four bytes.
const SECTION_BYTES_MAX: u64 = u32::MAX as u64;
/// An entry has labels by number and some bytes a chunk: a series with a chunk a minute for a month stays below.
const ENTRY_BYTES_MAX: u64 = 64 << 20;
const BUFFER_BYTES: usize = 1 << 20;

/// A chunk as the index knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkMeta {
    pub min_ms: i64,
    /// Inclusive.
    pub max_ms: i64,
    /// Number of the file, from 0, in the upper 32 bits; place in it in the lower ones.
    pub reference: u64,
}

#[derive(Debug, Default)]
pub(super) struct SeriesEntry {
    /// What tombstones call the series.
    pub(super) reference: u64,
    pub(super) chunks: Vec<ChunkMeta>,
}

/// All texts, one after the other.
struct Symbols {
    text: String,
    /// Ends of the texts.
    ends: Vec<usize>,
    /// Version 1 counts in bytes of the file instead.
    by_place: Option<HashMap<u64, usize, foldhash::fast::RandomState>>,
}

impl Symbols {
    fn get(&self, reference: u64) -> Option<&str> {
        let number = match &self.by_place {
            Some(places) => *places.get(&reference)?,
            None => usize::try_from(reference).ok()?,
        };
        let start = if number == 0 { 0 } else { *self.ends.get(number - 1)? };
        self.text.get(start..*self.ends.get(number)?)
    }
}

pub(super) struct IndexReader {
    path: PathBuf,
    file: BufReader<File>,
    version: u8,
    symbols: Symbols,
    /// Place of `file`.
    at: u64,
    series_end: u64,
    builder: LabelsBuilder,
    buffer: Vec<u8>,
}

impl IndexReader {
    /// # Errors
    /// `Io`; `Damaged` when table of contents or symbols are.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(error::at(path))?;
        let length = file.metadata().map_err(error::at(path))?.len();
        if length < 5 + TOC_BYTES {
            return Err(error::damaged(path, length, "the file ends too early"));
        }
        let mut header = [0; 5];
        file.read_exact_at(&mut header, 0).map_err(error::at(path))?;
        let mut reader = Reader::new(&header);
        let (magic, version) = (reader.u32(), reader.u8().unwrap_or(0));
        if magic != Some(MAGIC) || !(1..=2).contains(&version) {
            return Err(error::damaged(path, 0, "this is no index of version 1 or 2"));
        }
        let toc_at = length - TOC_BYTES;
        let mut toc = [0; TOC_BYTES as usize];
        file.read_exact_at(&mut toc, toc_at).map_err(error::at(path))?;
        let mut reader = Reader::new(&toc);
        let mut places = [0_u64; 6];
        for place in &mut places {
            *place = reader.u64().unwrap_or(0);
        }
        if reader.u32() != Some(crc32c::crc32c(&toc[..48])) {
            return Err(error::damaged(path, toc_at, "the checksum of the table of contents is another"));
        }
        let [symbols_at, series_at, ..] = places;
        // The section behind the series: which one it is depends on the version of the writer.
        let series_end = places.iter().copied().filter(|place| *place > series_at).min().unwrap_or(toc_at).min(toc_at);
        if symbols_at >= toc_at || series_at >= toc_at || series_at == 0 {
            return Err(error::damaged(path, toc_at, "the table of contents points behind the file"));
        }
        let symbols = read_symbols(path, &file, symbols_at, toc_at, version)?;
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        file.seek(SeekFrom::Start(series_at)).map_err(error::at(path))?;
        Ok(IndexReader {
            path: path.to_owned(),
            file,
            version,
            symbols,
            at: series_at,
            series_end,
            builder: LabelsBuilder::default(),
            buffer: Vec::new(),
        })
    }

    /// The next series. Damaged ones are reported and passed over.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn next(&mut self, entry: &mut SeriesEntry, damage: &mut DamageList) -> Result<Option<Labels>, Error> {
        loop {
            self.skip_padding()?;
            if self.at >= self.series_end {
                return Ok(None);
            }
            let start = self.at;
            let Some(length) = self.uvarint()? else {
                damage.report(&self.path, start, "a series has no length; the rest of the series is left out");
                self.at = self.series_end;
                return Ok(None);
            };
            if length > ENTRY_BYTES_MAX || self.at + length + 4 > self.series_end {
                damage.report(&self.path, start, "a series is cut off; the rest of the series is left out");
                self.at = self.series_end;
                return Ok(None);
            }
            self.buffer.resize(length as usize + 4, 0);
            self.file.read_exact(&mut self.buffer).map_err(error::at(&self.path))?;
            self.at += length + 4;
            let (content, checksum) = self.buffer.split_at(length as usize);
            let (own, checksum) = (crc32c::crc32c(content), Reader::new(checksum).u32().unwrap_or(0));
            if own != checksum {
                let reason = format!("checksum {checksum:08x}, data gives {own:08x}; a series is left out");
                damage.report(&self.path, start, reason);
                continue;
            }
            entry.chunks.clear();
            entry.reference = if self.version == 1 { start } else { start / SERIES_ALIGN };
            self.builder = LabelsBuilder::default();
            match decode_series(content, &self.symbols, &mut self.builder, &mut entry.chunks) {
                Some(()) => return Ok(Some(self.builder.build())),
                None => damage.report(&self.path, start, "a series cannot be decoded; it is left out"),
            }
        }
    }

    fn skip_padding(&mut self) -> Result<(), Error> {
        if self.version > 1 {
            let padding = self.at.next_multiple_of(SERIES_ALIGN).min(self.series_end) - self.at;
            self.file.seek_relative(padding.cast_signed()).map_err(error::at(&self.path))?;
            self.at += padding;
        }
        // No series has the length 0.
        while self.at < self.series_end {
            let bytes = self.file.fill_buf().map_err(error::at(&self.path))?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let all = zeros == bytes.len() && !bytes.is_empty();
            self.file.consume(zeros);
            self.at += zeros as u64;
            if !all {
                break;
            }
        }
        Ok(())
    }

    fn uvarint(&mut self) -> Result<Option<u64>, Error> {
        let mut bytes = Vec::with_capacity(10);
        for _ in 0..10 {
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(error::at(&self.path))?;
            self.at += 1;
            bytes.push(byte[0]);
            if byte[0] & 0x80 == 0 {
                return Ok(Reader::new(&bytes).uvarint());
            }
        }
        Ok(None)
    }
}

fn read_symbols(path: &Path, file: &File, at: u64, limit: u64, version: u8) -> Result<Symbols, Error> {
    let mut head = [0; 4];
    file.read_exact_at(&mut head, at).map_err(error::at(path))?;
    let length = u64::from(u32::from_be_bytes(head));
    if length > SECTION_BYTES_MAX || at + 4 + length + 4 > limit {
        return Err(error::damaged(path, at, "the symbols are cut off"));
    }
    let mut bytes = vec![0; length as usize + 4];
    file.read_exact_at(&mut bytes, at + 4).map_err(error::at(path))?;
    let (content, checksum) = bytes.split_at(length as usize);
    if Reader::new(checksum).u32() != Some(crc32c::crc32c(content)) {
        return Err(error::damaged(path, at, "the checksum of the symbols is another; no series can be read"));
    }
    let mut reader = Reader::new(content);
    let count = reader.u32().map(|count| count as usize).filter(|count| *count <= reader.remaining());
    let Some(count) = count else { return Err(error::damaged(path, at + 4, "there are fewer symbols than promised")) };
    let mut symbols = Symbols { text: String::new(), ends: Vec::with_capacity(count), by_place: None };
    let mut places = HashMap::default();
    for number in 0..count {
        let place = at + 4 + (content.len() - reader.remaining()) as u64;
        let Some(text) = reader.text() else {
            return Err(error::damaged(path, place, format!("symbol {number} is no text")));
        };
        symbols.text.push_str(text);
        symbols.ends.push(symbols.text.len());
        if version == 1 {
            places.insert(place, number);
        }
    }
    symbols.by_place = (version == 1).then_some(places);
    Ok(symbols)
}

fn decode_series(
    content: &[u8],
    symbols: &Symbols,
    builder: &mut LabelsBuilder,
    chunks: &mut Vec<ChunkMeta>,
) -> Option<()> {
    let mut reader = Reader::new(content);
    for _ in 0..reader.count(2)? {
        let (name, value) = (reader.uvarint()?, reader.uvarint()?);
        builder.set(symbols.get(name)?, symbols.get(value)?);
    }
    let count = reader.count(3)?;
    let (mut last_ms, mut reference) = (0_i64, 0_i64);
    for index in 0..count {
        let min_ms = if index == 0 { reader.varint()? } else { last_ms.wrapping_add(reader.uvarint()?.cast_signed()) };
        last_ms = min_ms.wrapping_add(reader.uvarint()?.cast_signed());
        reference = if index == 0 { reader.uvarint()?.cast_signed() } else { reference.wrapping_add(reader.varint()?) };
        chunks.push(ChunkMeta { min_ms, max_ms: last_ms, reference: reference.cast_unsigned() });
    }
    Some(())
}
