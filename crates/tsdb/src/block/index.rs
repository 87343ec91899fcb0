//! The index of a block: the symbols, pages of series with their labels as symbols and the extents of their chunks,
//! and postings made from them. Pages are decoded when they are asked for. See `FORMAT.md`, "index".

use super::{
    DATA_FILE, INDEX_FILE, SYMBOLS_FILE, TIMES_FILE, frame,
    frame::FrameError,
    pages::{Magic, PageRef, PagesFile, PagesWriter},
};
use crate::{
    Damage,
    bytes::{Reader, put_text, put_uvarint, put_varint},
    postings::{Postings, Selector},
};
use model::Labels;
use std::{collections::HashMap, io, path::Path, sync::Arc};

pub(crate) const DATA_MAGIC: Magic = *b"VGDAT\0\0\x02";
pub(crate) const TIMES_MAGIC: Magic = *b"VGTIM\0\0\x02";
pub(crate) const SYMBOLS_MAGIC: Magic = *b"VGSYM\0\0\x02";
pub(crate) const INDEX_MAGIC: Magic = *b"VGIDX\0\0\x02";
/// Series of a page: a page is decoded as a whole for any one of them.
const PAGE_SERIES_MAX: usize = 2048;

type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Of what times a chunk is. Both ends are samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) count: u32,
}

/// Series one after the other.
#[derive(Debug, Default)]
pub(crate) struct SeriesPage {
    /// Number of the first series in the block.
    pub(crate) first: u32,
    series: Vec<PageSeries>,
    /// Names and values of all series.
    pairs: Vec<(u32, u32)>,
    /// Extents of all chunks, as places in `extents`.
    chunks: Vec<u32>,
    extents: Vec<Extent>,
}

/// Where things of a series begin; they end where those of the next do.
#[derive(Clone, Copy, Debug)]
struct PageSeries {
    pairs: u32,
    chunks: u32,
    /// Number of the first chunk in the block.
    first_chunk: u64,
}

impl SeriesPage {
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.series.len() * size_of::<PageSeries>()
            + self.pairs.len() * 8
            + self.chunks.len() * 4
            + self.extents.len() * size_of::<Extent>()
    }

    /// Place in the page of a series of the block.
    pub(crate) fn place(&self, number: u32) -> Option<usize> {
        let place = number.checked_sub(self.first)? as usize;
        (place < self.series.len()).then_some(place)
    }

    /// Names and values of a series, as symbols.
    pub(crate) fn pairs(&self, place: usize) -> &[(u32, u32)] {
        let begin = self.series.get(place).map_or(self.pairs.len(), |series| series.pairs as usize);
        let end = self.series.get(place + 1).map_or(self.pairs.len(), |series| series.pairs as usize);
        self.pairs.get(begin..end).unwrap_or_default()
    }

    /// Extents of the chunks of a series, ascending.
    pub(crate) fn chunks(&self, place: usize) -> impl Iterator<Item = Extent> {
        let begin = self.series.get(place).map_or(self.chunks.len(), |series| series.chunks as usize);
        let end = self.series.get(place + 1).map_or(self.chunks.len(), |series| series.chunks as usize);
        let chunks = self.chunks.get(begin..end).unwrap_or_default();
        // `decode` has looked that the places are good.
        chunks.iter().filter_map(|&extent| self.extents.get(extent as usize).copied())
    }

    pub(crate) fn first_chunk(&self, place: usize) -> u64 {
        self.series.get(place).map_or(0, |series| series.first_chunk)
    }

    pub(crate) fn overlaps(&self, place: usize, start_ms: i64, end_ms: i64) -> bool {
        self.chunks(place).any(|chunk| chunk.min_ms <= end_ms && start_ms <= chunk.max_ms)
    }

    /// Reads a decompressed page; `None` if it cannot have been written.
    pub(super) fn decode(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let first = u32::try_from(reader.uvarint()?).ok()?;
        let mut first_chunk = reader.uvarint()?;
        let count = reader.count()?;
        let mut extents = Vec::with_capacity(count);
        let mut before_ms = 0_i64;
        for _ in 0..count {
            let min_ms = before_ms.wrapping_add(reader.varint()?);
            let max_ms = min_ms.wrapping_add(reader.varint()?);
            extents.push(Extent { min_ms, max_ms, count: u32::try_from(reader.uvarint()?).ok()? });
            before_ms = max_ms;
        }
        let mut page = SeriesPage { first, extents, ..SeriesPage::default() };
        let mut before = 0..0;
        while !reader.is_empty() {
            let pairs_at = page.pairs.len();
            page.series.push(PageSeries {
                pairs: u32::try_from(pairs_at).ok()?,
                chunks: u32::try_from(page.chunks.len()).ok()?,
                first_chunk,
            });
            let head = reader.uvarint()?;
            let (same, count) = (head & 1 != 0, usize::try_from(head >> 1).ok()?);
            if count > reader.remaining() || same && count != before.len() {
                return None;
            }
            for place in 0..count {
                let old = page.pairs.get(before.start + place).filter(|_| place < before.len()).copied();
                let name = if same { old?.0 } else { u32::try_from(reader.uvarint()?).ok()? };
                let value = i64::from(old.map_or(0, |(_, value)| value)).checked_add(reader.varint()?)?;
                page.pairs.push((name, u32::try_from(value).ok()?));
            }
            before = pairs_at..page.pairs.len();
            for _ in 0..reader.count()? {
                let extent = u32::try_from(reader.uvarint()?).ok()?;
                page.extents.get(extent as usize)?;
                page.chunks.push(extent);
                first_chunk = first_chunk.checked_add(1)?;
            }
        }
        // Pages stay for a while, and grew by doubling.
        page.series.shrink_to_fit();
        page.pairs.shrink_to_fit();
        page.chunks.shrink_to_fit();
        Some(page)
    }
}

/// Texts by number.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    /// Begin and end; nothing for those that a damaged page had.
    places: Vec<Option<(u32, u32)>>,
}

impl Symbols {
    pub(crate) fn get(&self, number: u32) -> Option<&str> {
        let (begin, end) = (*self.places.get(number as usize)?)?;
        self.text.get(begin as usize..end as usize)
    }

    fn load(dir: &Path, report: &mut impl FnMut(&str, u64, String)) -> Self {
        let (file, fault) = PagesFile::open(&dir.join(SYMBOLS_FILE), SYMBOLS_MAGIC);
        if let Some(reason) = fault {
            report(SYMBOLS_FILE, 0, reason);
        }
        let mut symbols = Symbols::default();
        for page in file.pages() {
            let outcome = match file.read(page.at) {
                Ok(raw) => symbols.add(&raw).ok_or_else(|| "the page cannot be decoded".to_owned()),
                Err(FrameError::Damaged(reason)) => Err(reason),
                Err(FrameError::Io(error)) => Err(error.to_string()),
            };
            if let Err(reason) = outcome {
                report(SYMBOLS_FILE, page.at, format!("{reason}; the series with these labels are left out"));
            }
        }
        symbols
    }

    pub(super) fn add(&mut self, raw: &[u8]) -> Option<()> {
        let mut reader = Reader::new(raw);
        let first = usize::try_from(reader.uvarint()?).ok()?;
        // A lost page leaves a gap of no more than a page's texts; a number from nowhere is no gap.
        if first < self.places.len() || first - self.places.len() > 64 * frame::RAW_BYTES_TARGET {
            return None;
        }
        let (mut text, mut places) = (String::new(), Vec::new());
        while !reader.is_empty() {
            let begin = self.text.len() + text.len();
            text.push_str(reader.text()?);
            places.push(Some((u32::try_from(begin).ok()?, u32::try_from(self.text.len() + text.len()).ok()?)));
        }
        self.places.resize(first, None);
        self.places.append(&mut places);
        self.text.push_str(&text);
        Some(())
    }
}

/// What is in memory of an open block while it is read.
#[derive(Debug, Default)]
pub(crate) struct BlockIndex {
    pub(crate) symbols: Symbols,
    pub(crate) postings: Postings,
    series: PagesFile,
    pub(crate) data: PagesFile,
    pub(crate) times: PagesFile,
}

impl BlockIndex {
    /// Reads what can be read of an index, and tells what cannot.
    pub(crate) fn load(dir: &Path) -> (BlockIndex, Vec<Damage>) {
        let mut damage = Vec::new();
        let mut report = |name: &str, at: u64, reason: String| damage.push(Damage { path: dir.join(name), at, reason });
        let mut open = |name: &str, magic: Magic| {
            let (file, fault) = PagesFile::open(&dir.join(name), magic);
            if let Some(reason) = fault {
                report(name, 0, reason);
            }
            file
        };
        let (data, times, series) =
            (open(DATA_FILE, DATA_MAGIC), open(TIMES_FILE, TIMES_MAGIC), open(INDEX_FILE, INDEX_MAGIC));
        let symbols = Symbols::load(dir, &mut report);
        let mut lists: FastMap<(u32, u32), Vec<u32>> = FastMap::default();
        let mut all = Vec::new();
        for page in series.pages() {
            let decoded = match series.read(page.at) {
                Ok(raw) => SeriesPage::decode(&raw).ok_or_else(|| "the page cannot be decoded".to_owned()),
                Err(FrameError::Damaged(reason)) => Err(reason),
                Err(FrameError::Io(error)) => Err(error.to_string()),
            };
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(reason) => {
                    report(INDEX_FILE, page.at, format!("{reason}; the series of this page are left out"));
                    continue;
                }
            };
            for (place, number) in (0..decoded.len()).zip(decoded.first..) {
                let pairs = decoded.pairs(place);
                let known = |symbol: u32| symbols.get(symbol).is_some();
                if all.last().is_some_and(|last| *last >= number)
                    || !pairs.iter().all(|(name, value)| known(*name) && known(*value))
                {
                    continue;
                }
                all.push(number);
                for pair in pairs {
                    lists.entry(*pair).or_default().push(number);
                }
            }
        }
        let texts = lists.into_iter().filter_map(|((name, value), mut list)| {
            list.shrink_to_fit();
            Some((symbols.get(name)?, symbols.get(value)?, list))
        });
        let postings = Postings::from_lists(texts, all);
        (BlockIndex { symbols, postings, series, data, times }, damage)
    }

    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let pages: usize = [&self.series, &self.data, &self.times].iter().map(|file| file.pages().len()).sum();
        self.symbols.text.len()
            + self.symbols.places.len() * size_of::<Option<(u32, u32)>>()
            + self.postings.bytes()
            + pages * size_of::<PageRef>()
    }

    /// Where the page of a series is.
    pub(crate) fn page_at(&self, number: u32) -> Option<u64> {
        self.series.find(u64::from(number)).map(|page| page.at)
    }

    /// A page of series; `None` for one that is damaged, which was reported when the index was loaded.
    pub(crate) fn read_page(&self, at: u64) -> Option<Arc<SeriesPage>> {
        SeriesPage::decode(&self.series.read(at).ok()?).map(Arc::new)
    }

    /// Where the pages of series are, ascending.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> {
        self.series.pages().iter().map(|page| page.at)
    }

    /// Calls `take` for the pages that can be read.
    pub(crate) fn for_each_page(&self, take: impl FnMut(Arc<SeriesPage>)) {
        self.series.pages().iter().filter_map(|page| self.read_page(page.at)).for_each(take);
    }

    /// Labels of a series of a page; `None` if a symbol is lost or they are no label set.
    pub(crate) fn labels(&self, page: &SeriesPage, place: usize) -> Option<Labels> {
        let pairs = page.pairs(place);
        let texts = pairs.iter().map(|(name, value)| Some((self.symbols.get(*name)?, self.symbols.get(*value)?)));
        Labels::checked_sorted(&texts.collect::<Option<Vec<_>>>()?)
    }

    /// The value of a label of a series, empty without one.
    pub(crate) fn value(&self, page: &SeriesPage, place: usize, name: &str) -> &str {
        let mut pairs = page.pairs(place).iter();
        let found = pairs.find(|(own, _)| self.symbols.get(*own) == Some(name));
        found.and_then(|(_, value)| self.symbols.get(*value)).unwrap_or("")
    }

    /// Numbers of series, ascending; `page_of` gives the page of a series.
    pub(crate) fn select(&self, selector: &Selector, page_of: impl Fn(u32) -> Option<Arc<SeriesPage>>) -> Vec<u32> {
        self.postings.select(selector, |number, matcher| {
            let Some(page) = page_of(number) else { return false };
            let Some(place) = page.place(number) else { return false };
            matcher.matches(self.value(&page, place, matcher.name()))
        })
    }
}

/// Writes symbols and pages of series.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    symbols: PagesWriter,
    numbers: FastMap<Box<str>, u32>,
    /// Symbols of the page in work.
    symbols_raw: Vec<u8>,
    symbols_first: u32,
    pages: PagesWriter,
    /// Series of the page in work.
    raw: Vec<u8>,
    count: usize,
    first: u32,
    first_chunk: u64,
    /// Number of the next chunk.
    next_chunk: u64,
    extents: Vec<Extent>,
    places: FastMap<Extent, u32>,
    before: Vec<(u32, u32)>,
    pairs: Vec<(u32, u32)>,
}

impl IndexWriter {
    pub(crate) fn create(dir: &Path, level: i32) -> io::Result<Self> {
        Ok(IndexWriter {
            symbols: PagesWriter::create(&dir.join(SYMBOLS_FILE), SYMBOLS_MAGIC, level)?,
            numbers: FastMap::default(),
            symbols_raw: Vec::new(),
            symbols_first: 0,
            pages: PagesWriter::create(&dir.join(INDEX_FILE), INDEX_MAGIC, level)?,
            raw: Vec::new(),
            count: 0,
            first: 0,
            first_chunk: 0,
            next_chunk: 0,
            extents: Vec::new(),
            places: FastMap::default(),
            before: Vec::new(),
            pairs: Vec::new(),
        })
    }

    fn symbol(&mut self, text: &str) -> io::Result<u32> {
        if let Some(&number) = self.numbers.get(text) {
            return Ok(number);
        }
        let number = u32::try_from(self.numbers.len()).map_err(|_| io::Error::other("more than 2^32 symbols"))?;
        self.numbers.insert(text.into(), number);
        put_text(&mut self.symbols_raw, text);
        if self.symbols_raw.len() >= frame::RAW_BYTES_TARGET {
            self.flush_symbols()?;
        }
        Ok(number)
    }

    /// Adds a series with the extents of its chunks, which are the next ones.
    pub(crate) fn push(&mut self, labels: &Labels, chunks: &[Extent]) -> io::Result<()> {
        self.pairs.clear();
        for (name, value) in labels {
            let pair = (self.symbol(name)?, self.symbol(value)?);
            self.pairs.push(pair);
        }
        let same = self.count > 0
            && self.pairs.len() == self.before.len()
            && self.pairs.iter().zip(&self.before).all(|(own, before)| own.0 == before.0);
        put_uvarint(&mut self.raw, (self.pairs.len() as u64) << 1 | u64::from(same));
        for (place, (name, value)) in self.pairs.iter().enumerate() {
            if !same {
                put_uvarint(&mut self.raw, u64::from(*name));
            }
            let before = self.before.get(place).map_or(0, |(_, value)| *value);
            put_varint(&mut self.raw, i64::from(*value) - i64::from(before));
        }
        std::mem::swap(&mut self.pairs, &mut self.before);
        put_uvarint(&mut self.raw, chunks.len() as u64);
        for extent in chunks {
            let next = self.extents.len() as u32;
            let place = *self.places.entry(*extent).or_insert(next);
            if place == next {
                self.extents.push(*extent);
            }
            put_uvarint(&mut self.raw, u64::from(place));
        }
        self.next_chunk += chunks.len() as u64;
        self.count += 1;
        if self.count >= PAGE_SERIES_MAX || self.raw.len() >= frame::RAW_BYTES_TARGET {
            self.flush_page()?;
        }
        Ok(())
    }

    fn flush_symbols(&mut self) -> io::Result<()> {
        if !self.symbols_raw.is_empty() {
            let mut raw = Vec::with_capacity(self.symbols_raw.len() + 8);
            put_uvarint(&mut raw, u64::from(self.symbols_first));
            raw.append(&mut self.symbols_raw);
            self.symbols.push(u64::from(self.symbols_first), &raw)?;
            self.symbols_first = self.numbers.len() as u32;
        }
        Ok(())
    }

    fn flush_page(&mut self) -> io::Result<()> {
        if self.count > 0 {
            let mut raw = Vec::with_capacity(self.raw.len() + 64);
            put_uvarint(&mut raw, u64::from(self.first));
            put_uvarint(&mut raw, self.first_chunk);
            put_uvarint(&mut raw, self.extents.len() as u64);
            let mut before_ms = 0_i64;
            for extent in self.extents.drain(..) {
                put_varint(&mut raw, extent.min_ms.wrapping_sub(before_ms));
                put_varint(&mut raw, extent.max_ms.wrapping_sub(extent.min_ms));
                put_uvarint(&mut raw, u64::from(extent.count));
                before_ms = extent.max_ms;
            }
            raw.append(&mut self.raw);
            self.pages.push(u64::from(self.first), &raw)?;
            self.first += self.count as u32;
            self.first_chunk = self.next_chunk;
            self.count = 0;
            self.places.clear();
            self.before.clear();
        }
        Ok(())
    }

    /// Forces everything to the disk.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush_symbols()?;
        self.flush_page()?;
        self.symbols.finish()?;
        self.pages.finish()
    }
}
