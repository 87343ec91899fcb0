//! `chunks/000001` and so on: the samples.

use crate::{DamageList, Error, bytes::Reader, chunk::Encoding, error};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

pub(super) const MAGIC: u32 = 0x85bd_40dd;
pub(super) const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: u64 = 8;
/// What is read at once: series stand in the files one after the other.
const WINDOW_BYTES: usize = 1 << 20;
/// A chunk of 120 samples is a kilobyte, histograms with hundreds of buckets some hundred; this is beyond any doubt.
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// Length of the length before a chunk.
const LENGTH_BYTES_MAX: usize = 5;

struct ChunkFile {
    path: PathBuf,
    file: File,
    length: u64,
}

/// A chunk that was found whole.
pub(super) struct Found<'a> {
    pub(super) encoding: Encoding,
    pub(super) data: &'a [u8],
    pub(super) path: &'a Path,
    /// Place of the data in the file.
    pub(super) at: u64,
}

/// The files of a block, read through one window.
pub(super) struct ChunkFiles {
    files: Vec<ChunkFile>,
    window: Vec<u8>,
    /// File and place of the window.
    window_file: usize,
    window_at: u64,
}

impl ChunkFiles {
    /// # Errors
    /// `Io`; `Damaged` for a file that is none of chunks.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(error::at(dir))? {
            let path = entry.map_err(error::at(dir))?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
            paths.extend(number.map(|number| (number, path)));
        }
        paths.sort_unstable();
        let mut files = Vec::with_capacity(paths.len());
        for (at, (number, path)) in paths.into_iter().enumerate() {
            // A missing file would make all references behind it mean another.
            if number != at as u64 + 1 {
                return Err(error::damaged(&path, 0, format!("file {:06} is missing before it", at + 1)));
            }
            let file = File::open(&path).map_err(error::at(&path))?;
            let length = file.metadata().map_err(error::at(&path))?.len();
            let mut header = [0; HEADER_BYTES as usize];
            file.read_exact_at(&mut header, 0).map_err(error::at(&path))?;
            let mut reader = Reader::new(&header);
            if reader.u32() != Some(MAGIC) || reader.u8() != Some(VERSION) {
                return Err(error::damaged(&path, 0, "these are no chunks of version 1"));
            }
            files.push(ChunkFile { path, file, length });
        }
        Ok(ChunkFiles { files, window: Vec::new(), window_file: usize::MAX, window_at: 0 })
    }

    /// The chunk of a reference. `None`, reported, if it cannot be used.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn read(&mut self, reference: u64, damage: &mut DamageList) -> Result<Option<Found<'_>>, Error> {
        let (number, at) = ((reference >> 32) as usize, reference & 0xffff_ffff);
        let Some(own) = self.files.get(number) else {
            let dir = self.files.first().map(|file| file.path.clone()).unwrap_or_default();
            damage.report(&dir, 0, format!("there is no file {:06} with the chunk at byte {at}", number + 1));
            return Ok(None);
        };
        let (path, length) = (own.path.clone(), own.length);
        let head_bytes = (LENGTH_BYTES_MAX as u64).min(length.saturating_sub(at)) as usize;
        let mut reader = Reader::new(self.bytes(number, at, head_bytes)?);
        let data_bytes = reader.uvarint().and_then(|data| usize::try_from(data).ok());
        let Some(data_bytes) = data_bytes.filter(|bytes| *bytes <= CHUNK_BYTES_MAX) else {
            damage.report(&path, at, "there is no chunk; it is left out");
            return Ok(None);
        };
        let start = at + (head_bytes - reader.remaining()) as u64;
        let whole = 1 + data_bytes + 4;
        if start + whole as u64 > length {
            damage.report(&path, at, "the chunk is cut off; it is left out");
            return Ok(None);
        }
        self.bytes(number, start, whole)?;
        let ChunkFiles { files, window, window_at, .. } = self;
        let Some(path) = files.get(number).map(|file| file.path.as_path()) else { return Ok(None) };
        let from = (start - *window_at) as usize;
        let mut reader = Reader::new(window.get(from..from + whole).unwrap_or_default());
        let (Some(checked), Some(checksum)) = (reader.take(1 + data_bytes), reader.u32()) else { return Ok(None) };
        let own = crc32c::crc32c(checked);
        if own != checksum {
            damage.report(path, at, format!("checksum {checksum:08x}, data gives {own:08x}; the chunk is left out"));
            return Ok(None);
        }
        let Some((&encoding, data)) = checked.split_first() else { return Ok(None) };
        match Encoding::from_byte(encoding) {
            Some(encoding) => Ok(Some(Found { encoding, data, path, at: start + 1 })),
            None => {
                damage.report(path, start, format!("encoding {encoding} is not known; the chunk is left out"));
                Ok(None)
            }
        }
    }

    /// Bytes of a file that are known to be there.
    fn bytes(&mut self, number: usize, at: u64, count: usize) -> Result<&[u8], Error> {
        let inside = self.window_file == number
            && at >= self.window_at
            && at + count as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            let Some(own) = self.files.get(number) else { return Ok(&[]) };
            let length = (own.length.saturating_sub(at)).min(count.max(WINDOW_BYTES) as u64) as usize;
            self.window_file = usize::MAX;
            self.window.resize(length, 0);
            own.file.read_exact_at(&mut self.window, at).map_err(error::at(&own.path))?;
            (self.window_file, self.window_at) = (number, at);
        }
        let from = (at - self.window_at) as usize;
        Ok(self.window.get(from..from + count).unwrap_or_default())
    }
}
