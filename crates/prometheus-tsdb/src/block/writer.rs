//! Writing a block: chunks as the series come, the index at the end, all in a temporary folder that gets its name when
//! everything is on the disk.

use super::{
    CHUNKS_DIR, ChunkMeta, Compaction, INDEX_FILE, META_FILE, Meta, Stats, TOMBSTONES_FILE, Thanos, ThanosFile, chunks,
    index, tombstones,
};
use crate::{
    Error,
    bytes::{put_text, put_uvarint, put_varint},
    chunk, error,
};
use model::Labels;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use storage::Samples;

/// A file of chunks is closed before it is larger, as Prometheus does.
const CHUNK_FILE_BYTES_MAX: u64 = 512 << 20;

/// A series of the index: what is known until all symbols are.
struct Entry {
    labels: Labels,
    chunks: Vec<ChunkMeta>,
}

/// A block in work. Dropped without [`BlockWriter::finish`], nothing of it stays.
pub struct BlockWriter {
    parent: PathBuf,
    temporary: PathBuf,
    ulid: String,
    thanos: Option<Thanos>,
    file: BufWriter<File>,
    file_number: u64,
    file_bytes: u64,
    file_bytes_max: u64,
    entries: Vec<Entry>,
    stats: Stats,
    min_ms: i64,
    max_ms: i64,
    done: bool,
}

impl BlockWriter {
    /// Begins the block `ulid` below `parent`.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(parent: &Path, ulid: String, thanos: Option<Thanos>) -> Result<Self, Error> {
        let temporary = parent.join(format!("{ulid}.tmp-for-creation"));
        // Left by a process that was killed.
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(error::at(&temporary))?;
        }
        let chunks_dir = temporary.join(CHUNKS_DIR);
        fs::create_dir_all(&chunks_dir).map_err(error::at(&chunks_dir))?;
        let file = chunk_file(&chunks_dir, 1).map_err(error::at(&chunks_dir))?;
        Ok(BlockWriter {
            parent: parent.to_owned(),
            temporary,
            ulid,
            thanos,
            file,
            file_number: 1,
            file_bytes: chunks::HEADER_BYTES,
            file_bytes_max: CHUNK_FILE_BYTES_MAX,
            entries: Vec::new(),
            stats: Stats::default(),
            min_ms: i64::MAX,
            max_ms: i64::MIN,
            done: false,
        })
    }

    /// Adds a series, with samples ascending in time. Series come in order of their labels, each once; one without
    /// samples is left out.
    ///
    /// # Errors
    /// `Io`; `TooLarge` when the order is another.
    pub fn add_series(&mut self, labels: &Labels, samples: &Samples) -> Result<(), Error> {
        let (Some(first), Some(last)) = (samples.timestamps.first(), samples.timestamps.last()) else { return Ok(()) };
        if self.entries.last().is_some_and(|last| last.labels >= *labels) {
            return Err(Error::TooLarge(format!("series {labels} does not come in order")));
        }
        let mut chunks = Vec::new();
        let path = self.temporary.join(CHUNKS_DIR);
        chunk::encode(samples, |chunk| {
            let reference = self.put_chunk(&chunk)?;
            chunks.push(ChunkMeta { min_ms: chunk.min_ms, max_ms: chunk.max_ms, reference });
            Ok(())
        })
        .map_err(error::at(&path))?;
        (self.min_ms, self.max_ms) = (self.min_ms.min(*first), self.max_ms.max(*last));
        let histograms = samples.histograms.iter().flatten().count() as u64;
        self.stats.samples += samples.len() as u64;
        self.stats.histogram_samples += histograms;
        self.stats.float_samples += samples.len() as u64 - histograms;
        self.stats.chunks += chunks.len() as u64;
        self.stats.series += 1;
        self.entries.push(Entry { labels: labels.clone(), chunks });
        Ok(())
    }

    fn put_chunk(&mut self, chunk: &chunk::Chunk) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(chunk.data.len() + 10);
        put_uvarint(&mut bytes, chunk.data.len() as u64);
        let checked = bytes.len();
        bytes.push(chunk.encoding.byte());
        bytes.extend_from_slice(&chunk.data);
        let checksum = crc32c::crc32c(&bytes[checked..]);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        if self.file_bytes + bytes.len() as u64 > self.file_bytes_max {
            self.close_file()?;
            self.file_number += 1;
            self.file = chunk_file(&self.temporary.join(CHUNKS_DIR), self.file_number)?;
            self.file_bytes = chunks::HEADER_BYTES;
        }
        let reference = (self.file_number - 1) << 32 | self.file_bytes;
        self.file.write_all(&bytes)?;
        self.file_bytes += bytes.len() as u64;
        Ok(reference)
    }

    fn close_file(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }

    /// Puts the block in place. Its folder and description, or `None`, and no folder, if it has no series.
    ///
    /// # Errors
    /// `Io`; `TooLarge` when the index outgrows what its format can address.
    pub fn finish(mut self) -> Result<Option<(PathBuf, Meta)>, Error> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let temporary = self.temporary.clone();
        self.close_file().map_err(error::at(&temporary))?;
        let index_path = temporary.join(INDEX_FILE);
        write_index(&index_path, &self.entries)?;
        let tombstones_path = temporary.join(TOMBSTONES_FILE);
        write_file(&tombstones_path, &tombstones::none()).map_err(error::at(&tombstones_path))?;
        let mut meta = Meta {
            ulid: self.ulid.clone(),
            min_time_ms: self.min_ms,
            max_time_ms: self.max_ms.saturating_add(1),
            stats: self.stats,
            compaction: Compaction { level: 1, sources: vec![self.ulid.clone()], ..Compaction::default() },
            version: 1,
            thanos: self.thanos.take(),
        };
        if let Some(thanos) = &mut meta.thanos {
            thanos.files = list_files(&temporary).map_err(error::at(&temporary))?;
            let chunks = format!("{CHUNKS_DIR}/");
            thanos.segment_files =
                thanos.files.iter().filter_map(|file| Some(file.rel_path.strip_prefix(&chunks)?.to_owned())).collect();
        }
        let meta_path = temporary.join(META_FILE);
        write_file(&meta_path, &meta.encode()?).map_err(error::at(&meta_path))?;
        for dir in [&temporary.join(CHUNKS_DIR), &temporary] {
            sync_dir(dir).map_err(error::at(dir))?;
        }
        let dir = self.parent.join(&self.ulid);
        fs::rename(&temporary, &dir).map_err(error::at(&dir))?;
        self.done = true;
        sync_dir(&self.parent).map_err(error::at(&dir))?;
        Ok(Some((dir, meta)))
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// The files of a block as Thanos lists them; `meta.json` comes last and without a size.
fn list_files(block: &Path) -> io::Result<Vec<ThanosFile>> {
    let mut files = Vec::new();
    for (prefix, dir) in [(format!("{CHUNKS_DIR}/"), block.join(CHUNKS_DIR)), (String::new(), block.to_owned())] {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_file() && entry.file_name() != TOMBSTONES_FILE {
                let rel_path = format!("{prefix}{}", entry.file_name().to_string_lossy());
                files.push(ThanosFile { rel_path, size_bytes: data.len() });
            }
        }
    }
    files.sort_by(|a, b| a.rel_path.cmp(&b.rel_path));
    files.push(ThanosFile { rel_path: META_FILE.to_owned(), size_bytes: 0 });
    Ok(files)
}

fn chunk_file(dir: &Path, number: u64) -> io::Result<BufWriter<File>> {
    let mut file = BufWriter::with_capacity(1 << 18, File::create(dir.join(format!("{number:06}")))?);
    file.write_all(&chunks::MAGIC.to_be_bytes())?;
    file.write_all(&[chunks::VERSION, 0, 0, 0])?;
    Ok(file)
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The index in work, counting its bytes.
struct IndexFile<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    at: u64,
}

impl IndexFile<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(error::at(self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn align(&mut self, to: u64) -> Result<(), Error> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.put(&[0; 16][..padding as usize])
    }

    /// A section: length, content, checksum. Its place.
    fn section(&mut self, content: &[u8]) -> Result<u64, Error> {
        let at = self.at;
        let Ok(length) = u32::try_from(content.len()) else {
            return Err(Error::TooLarge(format!(
                "{}: a section of {} bytes does not fit into the format; export shorter blocks or fewer series",
                self.path.display(),
                content.len()
            )));
        };
        self.put(&length.to_be_bytes())?;
        self.put(content)?;
        self.put(&crc32c::crc32c(content).to_be_bytes())?;
        Ok(at)
    }
}

fn write_index(path: &Path, entries: &[Entry]) -> Result<(), Error> {
    let file = BufWriter::with_capacity(1 << 18, File::create(path).map_err(error::at(path))?);
    let mut out = IndexFile { path, file, at: 0 };
    out.put(&index::MAGIC.to_be_bytes())?;
    out.put(&[2])?;
    let sorted: BTreeSet<&str> =
        entries.iter().flat_map(|entry| entry.labels.iter()).flat_map(|(name, value)| [name, value]).collect();
    let symbols: HashMap<&str, u32, foldhash::fast::RandomState> = sorted.iter().copied().zip(0..).collect();
    let mut section = (symbols.len() as u32).to_be_bytes().to_vec();
    sorted.iter().for_each(|text| put_text(&mut section, text));
    let symbols_at = out.section(&section)?;

    // Series by label, as numbers of symbols, so that names and values come in order.
    let mut postings: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    let mut all: Vec<u32> = Vec::with_capacity(entries.len());
    out.align(index::SERIES_ALIGN)?;
    let series_at = out.at;
    let mut content = Vec::new();
    let mut framed = Vec::new();
    for entry in entries {
        out.align(index::SERIES_ALIGN)?;
        let Ok(reference) = u32::try_from(out.at / index::SERIES_ALIGN) else {
            let reason = "the index outgrows 64 GiB; export shorter blocks or fewer series";
            return Err(Error::TooLarge(format!("{}: {reason}", path.display())));
        };
        all.push(reference);
        content.clear();
        put_uvarint(&mut content, entry.labels.len() as u64);
        for (name, value) in &entry.labels {
            let pair = (symbols.get(name).copied().unwrap_or(0), symbols.get(value).copied().unwrap_or(0));
            put_uvarint(&mut content, u64::from(pair.0));
            put_uvarint(&mut content, u64::from(pair.1));
            postings.entry(pair).or_default().push(reference);
        }
        put_chunks(&mut content, &entry.chunks);
        framed.clear();
        put_uvarint(&mut framed, content.len() as u64);
        framed.extend_from_slice(&content);
        framed.extend_from_slice(&crc32c::crc32c(&content).to_be_bytes());
        out.put(&framed)?;
    }

    let label_indices_at = out.at;
    let mut table = Vec::new();
    table.extend_from_slice(&(postings.len() as u32 + 1).to_be_bytes());
    out.align(4)?;
    let postings_at = out.at;
    let names: Vec<&str> = sorted.into_iter().collect();
    let text = |number: u32| names.get(number as usize).copied().unwrap_or_default();
    // Under the empty name stand all series.
    let lists = std::iter::once(("", "", &all))
        .chain(postings.iter().map(|((name, value), list)| (text(*name), text(*value), list)));
    for (name, value, list) in lists {
        out.align(4)?;
        content.clear();
        content.extend_from_slice(&(list.len() as u32).to_be_bytes());
        list.iter().for_each(|reference| content.extend_from_slice(&reference.to_be_bytes()));
        let at = out.section(&content)?;
        table.push(2);
        put_text(&mut table, name);
        put_text(&mut table, value);
        put_uvarint(&mut table, at);
    }
    // Readers since 2018 do without label indices; the table of none keeps the places of the older ones right.
    let label_table_at = out.section(&0_u32.to_be_bytes())?;
    let postings_table_at = out.section(&table)?;
    let mut toc = Vec::new();
    for place in [symbols_at, series_at, label_indices_at, label_table_at, postings_at, postings_table_at] {
        toc.extend_from_slice(&place.to_be_bytes());
    }
    let checksum = crc32c::crc32c(&toc);
    toc.extend_from_slice(&checksum.to_be_bytes());
    out.put(&toc)?;
    out.file.flush().map_err(error::at(path))?;
    out.file.get_ref().sync_all().map_err(error::at(path))
}

fn put_chunks(content: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(content, chunks.len() as u64);
    let mut last: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match last {
            None => put_varint(content, chunk.min_ms),
            Some(last) => put_uvarint(content, chunk.min_ms.wrapping_sub(last.max_ms).cast_unsigned()),
        }
        put_uvarint(content, chunk.max_ms.wrapping_sub(chunk.min_ms).cast_unsigned());
        match last {
            None => put_uvarint(content, chunk.reference),
            Some(last) => put_varint(content, chunk.reference.wrapping_sub(last.reference).cast_signed()),
        }
        last = Some(chunk);
    }
}
