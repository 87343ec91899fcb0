//! Columns of times of a block, each written once: the series of a target have the same. See `FORMAT.md`, "times".

use super::{
    TIMES_FILE,
    bundle::{BundleBuilder, TimesRef},
    frame,
    index::TIMES_MAGIC,
    pages::PagesWriter,
};
use crate::codec::times;
use std::{collections::HashMap, hash::BuildHasher, io, path::Path};

/// Times that are remembered to be found again, all columns together: 16 MiB.
const REMEMBERED_MAX: usize = 2 << 20;
/// Columns, those used last, that are searched for a part that is wanted.
const RECENT: usize = 8;

#[derive(Debug)]
pub(crate) struct TimesWriter {
    pages: PagesWriter,
    bundle: BundleBuilder,
    hasher: foldhash::fast::RandomState,
    /// Columns by hash.
    columns: HashMap<u64, Vec<Column>, foldhash::fast::RandomState>,
    remembered: usize,
    recent: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    number: u32,
    times: std::sync::Arc<[i64]>,
}

impl TimesWriter {
    pub(crate) fn create(dir: &Path, level: i32) -> io::Result<Self> {
        Ok(TimesWriter {
            pages: PagesWriter::create(&dir.join(TIMES_FILE), TIMES_MAGIC, level)?,
            bundle: BundleBuilder::default(),
            hasher: foldhash::fast::RandomState::default(),
            columns: HashMap::default(),
            remembered: 0,
            recent: Vec::with_capacity(RECENT + 1),
        })
    }

    /// The column with these times, or the part of one; a new one where there is none.
    pub(crate) fn column(&mut self, wanted: &[i64]) -> io::Result<TimesRef> {
        let hash = self.hasher.hash_one(wanted);
        let known = self.columns.get(&hash).and_then(|list| list.iter().find(|column| *column.times == *wanted));
        if let Some(column) = known.cloned() {
            return Ok(self.used(column));
        }
        for column in &self.recent {
            // The first comparison refuses nearly all.
            if let Ok(start) = column.times.binary_search(wanted.first().unwrap_or(&0))
                && column.times.get(start..start + wanted.len()) == Some(wanted)
            {
                let part = Some((start as u32, wanted.len() as u32));
                return Ok(TimesRef { column: column.number, part });
            }
        }
        if self.bundle.blobs.len() >= frame::RAW_BYTES_TARGET {
            self.flush()?;
        }
        let number = u32::try_from(self.bundle.next()).map_err(|_| io::Error::other("more than 2^32 columns"))?;
        let begin = self.bundle.blobs.len();
        times::encode(wanted, &mut self.bundle.blobs);
        self.bundle.close_blob(begin, None);
        if self.remembered + wanted.len() > REMEMBERED_MAX {
            self.columns.clear();
            self.remembered = 0;
        }
        self.remembered += wanted.len();
        let column = Column { number, times: wanted.into() };
        self.columns.entry(hash).or_default().push(column.clone());
        Ok(self.used(column))
    }

    fn used(&mut self, column: Column) -> TimesRef {
        let number = column.number;
        if self.recent.first().is_none_or(|first| first.number != number) {
            self.recent.retain(|own| own.number != number);
            self.recent.insert(0, column);
            self.recent.truncate(RECENT);
        }
        TimesRef { column: number, part: None }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.bundle.is_empty() {
            let first = self.bundle.first();
            let raw = self.bundle.take();
            self.pages.push(first, &raw)?;
        }
        Ok(())
    }

    /// Forces everything to the disk.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.pages.finish()
    }
}
