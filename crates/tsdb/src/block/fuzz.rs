//! The blocks' part of [`crate::fuzz`].

use super::{
    Block, DATA_FILE, INDEX_FILE, META_FILE, SYMBOLS_FILE, TIMES_FILE,
    bundle::Bundle,
    chunk as chunks, exemplars as exemplars_file,
    index::{self, SeriesPage, Symbols},
    meta::BlockMeta,
    pages::{self, Magic, PagesFile, PagesWriter},
    tombstones::Tombstones,
    windows as windows_chunk,
};
use crate::{
    bytes::Reader,
    check::verify::open_block,
    fuzz::{real_folder, with_file},
    postings::Selector,
    tier::Mode,
};
use model::Matcher;
use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use storage::Samples;

/// Files of pages that every block has, and one that some have.
const FILES: [(&str, Magic); 5] = [
    (DATA_FILE, index::DATA_MAGIC),
    (TIMES_FILE, index::TIMES_MAGIC),
    (SYMBOLS_FILE, index::SYMBOLS_MAGIC),
    (INDEX_FILE, index::INDEX_MAGIC),
    (exemplars_file::EXEMPLARS_FILE, exemplars_file::EXEMPLARS_MAGIC),
];

/// A page of series.
pub fn series_page(data: &[u8]) {
    let Some(page) = SeriesPage::decode(data) else { return };
    for place in 0..page.len() {
        let _ = (page.pairs(place), page.chunks(place).count(), page.first_chunk(place));
        let _ = page.overlaps(place, i64::MIN, i64::MAX);
    }
}

/// A page of symbols, behind others.
pub fn symbols(data: &[u8]) {
    let mut symbols = Symbols::default();
    for page in [b"\0\x01a\x02bc".as_slice(), data] {
        let _ = symbols.add(page);
    }
    let _ = (0..40).filter_map(|number| symbols.get(number)).count();
}

/// A frame of chunks.
pub fn bundle(data: &[u8]) {
    for with_times in [false, true] {
        let Some(bundle) = Bundle::decode(data.to_vec(), with_times) else { continue };
        for number in 0..40 {
            let _ = (bundle.blob(number), bundle.times(number));
        }
    }
}

/// Length of the column of times, then a chunk.
fn with_column(data: &[u8], read: impl FnOnce(&[i64], &[u8])) {
    let Some((count, bytes)) = data.split_first_chunk::<2>() else { return };
    let column: Vec<i64> = (0..i64::from(u16::from_le_bytes(*count))).map(|at| at * 50).collect();
    read(&column, bytes);
}

/// A chunk of samples.
pub fn chunk(data: &[u8]) {
    with_column(data, |column, bytes| {
        let mut into = Samples::default();
        let read = chunks::decode(bytes, column, 20, 100_000, &mut into);
        assert!(into.len() <= column.len() && into.len() == into.values.len());
        assert!(read.is_some() || into.is_empty(), "a chunk that is refused leaves nothing");
    });
}

/// A chunk of a down-sampled block.
pub fn windows(data: &[u8]) {
    with_column(data, |column, bytes| {
        let Some(windows) = windows_chunk::decode(bytes, column, 200) else { return };
        for mode in [Mode::Kept, Mode::Counter, Mode::Min, Mode::Max, Mode::Sum] {
            windows.read(200, mode, 0, 100_000, &mut Samples::default());
        }
        let _ = windows.without(&[(70, 700)], 200);
    });
}

/// A page of exemplars.
pub fn exemplars(data: &[u8]) {
    let mut reader = Reader::new(data);
    if reader.uvarint().is_some() {
        while !reader.is_empty() && exemplars_file::series(&mut reader).is_some() {}
    }
}

/// What a file's directory of pages says.
pub fn directory(data: &[u8]) {
    let _ = pages::read_directory(data);
}

/// A file of pages as it lies on the disk.
pub fn page_file(data: &[u8]) {
    with_file(data, |path| {
        for (_, magic) in FILES {
            let (file, _) = PagesFile::open(path, magic);
            let _ = file.pages().iter().filter(|page| file.read(page.at).is_ok()).count();
        }
        let _ = pages::verify(path, index::INDEX_MAGIC);
    });
}

/// The list of deletions, without its checksum.
pub fn tombstones(data: &[u8]) {
    let sealed = [data, &crc32c::crc32c(data).to_le_bytes()].concat();
    if let Ok(read) = Tombstones::decode(&sealed) {
        assert_eq!(Tombstones::decode(&read.encode()), Ok(read));
    }
}

/// The description of a block.
pub fn meta(data: &[u8]) {
    if let Ok(meta) = BlockMeta::decode(data) {
        let _ = meta.head_end_ms();
        assert!(meta.encode().is_ok());
    }
}

/// The blocks that inputs of [`folder`] are put into.
fn base() -> &'static [PathBuf] {
    static BASE: OnceLock<(Option<tempfile::TempDir>, Vec<PathBuf>)> = OnceLock::new();
    let (_, blocks) = BASE.get_or_init(|| {
        let Ok(dir) = tempfile::tempdir() else { return (None, Vec::new()) };
        real_folder(dir.path());
        let blocks = block_dirs(dir.path());
        (Some(dir), blocks)
    });
    blocks
}

fn block_dirs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|dir| dir.join(META_FILE).exists()).collect();
    dirs.sort();
    dirs
}

/// Copies a block with one page changed: all checksums are right, and what stands there is not.
fn with_page(block: &Path, to: &Path, file: usize, page: usize, raw: &[u8]) -> io::Result<()> {
    for entry in fs::read_dir(block)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    let (name, magic) = FILES[file % FILES.len()];
    let (own, _) = PagesFile::open(&block.join(name), magic);
    let mut writer = PagesWriter::create(&to.join(name), magic, 1)?;
    for (number, own_page) in own.pages().iter().enumerate() {
        let kept = own.read(own_page.at).unwrap_or_default();
        writer.push(own_page.first, if number == page % own.pages().len() { raw } else { &kept })?;
    }
    writer.finish()
}

/// Which block, which file of it, which page of that, and what this page is to be: the block is read from end to end.
pub fn folder(data: &[u8]) {
    let (Some((&[block, file, page], raw)), blocks) = (data.split_first_chunk::<3>(), base()) else { return };
    let Some(source) = blocks.get(usize::from(block) % blocks.len().max(1)) else { return };
    let Ok(copy) = tempfile::tempdir() else { return };
    if with_page(source, copy.path(), usize::from(file), usize::from(page), raw).is_err() {
        return;
    }
    let Ok(block) = open_block(copy.path()) else { return };
    for matchers in [vec![], vec![Matcher::equal("s", "1")]] {
        let Ok(selector) = Selector::new(&matchers) else { continue };
        let mut found = std::collections::BTreeSet::new();
        block.label_names(&selector, &mut found);
        block.label_values("s", &selector, &mut found);
        for mode in [Mode::Kept, Mode::Counter, Mode::Sum] {
            for series in block.select_as(&selector, i64::MIN, i64::MAX, mode).flatten() {
                let _ = series.read(&mut Samples::default());
            }
        }
        let _ = block.windows(&selector).count();
        block.set_tombstones(block.tombstones_with(50, 90, &selector));
        let _ = block.write_tombstones();
    }
    block.exemplars(drop);
    let _ = block.for_each_readable(|_, _| Ok::<(), Infallible>(()));
    let _ = Block::verify_files(copy.path());
    let _ = BlockMeta::from_index(copy.path(), &block.index());
}

#[cfg(test)]
pub(crate) use tests::seeds;

/// Name, decoder and rounds on every run of the tests.
#[cfg(test)]
type Target = (&'static str, fn(&[u8]), u64);

#[cfg(test)]
#[rustfmt::skip]
pub(crate) const TARGETS: &[Target] = &[
    ("tsdb_series_page", series_page, 5_000),
    ("tsdb_symbols", symbols, 5_000),
    ("tsdb_bundle", bundle, 5_000),
    ("tsdb_chunk", chunk, 5_000),
    ("tsdb_windows", windows, 5_000),
    ("tsdb_exemplars", exemplars, 3_000),
    ("tsdb_directory", directory, 5_000),
    ("tsdb_page_file", page_file, 500),
    ("tsdb_tombstones", tombstones, 5_000),
    ("tsdb_meta", meta, 2_000),
    ("tsdb_folder", folder, 150),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::TOMBSTONES_FILE;
    use std::collections::BTreeMap;

    /// What a real folder has of each kind.
    pub(crate) fn seeds(dir: &Path) -> BTreeMap<&'static str, Vec<Vec<u8>>> {
        let mut seeds: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
        let mut add = |kind: &'static str, bytes: Vec<u8>| seeds.entry(kind).or_default().push(bytes);
        for (number, block) in block_dirs(dir).iter().enumerate() {
            for (file, (name, magic)) in FILES.into_iter().enumerate() {
                let path = block.join(name);
                if !path.exists() {
                    continue;
                }
                add("tsdb_page_file", fs::read(&path).unwrap());
                let (pages, _) = PagesFile::open(&path, magic);
                for (page, at) in pages.pages().iter().enumerate() {
                    let raw = pages.read(at.at).unwrap();
                    let place = [number as u8, file as u8, page as u8];
                    add("tsdb_folder", [&place, raw.as_slice()].concat());
                    let kind =
                        ["tsdb_bundle", "tsdb_bundle", "tsdb_symbols", "tsdb_series_page", "tsdb_exemplars"][file];
                    add(kind, raw);
                }
            }
            add("tsdb_meta", fs::read(block.join(META_FILE)).unwrap());
            if let Ok(bytes) = fs::read(block.join(TOMBSTONES_FILE)) {
                add("tsdb_tombstones", bytes[..bytes.len() - 4].to_vec());
            }
            let (data, times) = (
                PagesFile::open(&block.join(DATA_FILE), index::DATA_MAGIC).0,
                PagesFile::open(&block.join(TIMES_FILE), index::TIMES_MAGIC).0,
            );
            let column = Bundle::decode(times.read(times.pages()[0].at).unwrap(), false).unwrap();
            let mut length = Vec::new();
            crate::codec::times::decode(column.blob(0).unwrap(), &mut length).unwrap();
            let bundle = Bundle::decode(data.read(data.pages()[0].at).unwrap(), true).unwrap();
            for number in 0..8 {
                let Some((blob, times)) = bundle.blob(number).zip(bundle.times(number)) else { break };
                let count = times.part.map_or(length.len(), |(_, count)| count as usize) as u16;
                let kind = if blob[0] == windows_chunk::KIND_WINDOWS { "tsdb_windows" } else { "tsdb_chunk" };
                add(kind, [&count.to_le_bytes(), blob].concat());
            }
        }
        let mut directory = vec![0xff; 9];
        directory.extend_from_slice(&[1, 8, 0, 100, 3, 0x80, 1, 7]);
        add("tsdb_directory", directory);
        seeds
    }
}
