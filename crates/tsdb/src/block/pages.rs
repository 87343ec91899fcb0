//! Files of frames that are found by number: of a chunk, a column of times, a symbol or a series. See `FORMAT.md`,
//! "Pages".

use super::frame::{self, FrameError, HEADER_BYTES};
use crate::{
    bytes::{Reader, put_uvarint},
    files,
};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
};

/// First bytes of a file: what it is, and the version.
pub(crate) type Magic = [u8; 8];
/// Last bytes of a file.
const END_MAGIC: [u8; 4] = *b"XDGV";
/// Place of the directory, its checksum, [`END_MAGIC`].
const TRAILER_BYTES: u64 = 16;
/// What the directory begins with where pages have a number: nothing has this one.
const DIRECTORY: u64 = u64::MAX;

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRef {
    /// Number of the first thing in it.
    pub(crate) first: u64,
    /// Byte of its frame in the file.
    pub(crate) at: u64,
}

/// An open file of pages.
#[derive(Debug, Default)]
pub(crate) struct PagesFile {
    file: Option<File>,
    pages: Vec<PageRef>,
}

impl PagesFile {
    /// Opens a file and finds its pages; also what is wrong with it. Without a directory the pages are found by
    /// their lengths.
    pub(crate) fn open(path: &Path, magic: Magic) -> (Self, Option<String>) {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return (PagesFile::default(), Some(format!("{error}; the whole file is left out"))),
        };
        let (pages, fault) = match directory(&file, magic) {
            Ok(pages) => (pages, None),
            Err(reason) => (walk(&file), Some(format!("{reason}; the pages were searched one after the other"))),
        };
        (PagesFile { file: Some(file), pages }, fault)
    }

    /// All pages, ascending.
    pub(crate) fn pages(&self) -> &[PageRef] {
        &self.pages
    }

    /// The page that has a thing of this number, if any has.
    pub(crate) fn find(&self, number: u64) -> Option<PageRef> {
        let after = self.pages.partition_point(|page| page.first <= number);
        self.pages.get(after.checked_sub(1)?).copied()
    }

    /// A page, decompressed: the number of the first thing as `uvarint`, then the things.
    pub(crate) fn read(&self, at: u64) -> Result<Vec<u8>, FrameError> {
        let file = self.file.as_ref().ok_or_else(|| FrameError::Damaged("the file is missing".into()))?;
        frame::read(file, at)
    }
}

fn directory(file: &File, magic: Magic) -> Result<Vec<PageRef>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut begin = Magic::default();
    file.read_exact_at(&mut begin, 0).map_err(|error| error.to_string())?;
    if begin != magic {
        return Err("the beginning of the file is damaged".into());
    }
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
    read_directory(&directory).ok_or_else(|| "the directory cannot be decoded".into())
}

/// Reads a decompressed directory; `None` if it cannot have been written.
pub(super) fn read_directory(raw: &[u8]) -> Option<Vec<PageRef>> {
    let mut reader = Reader::new(raw);
    if reader.uvarint() != Some(DIRECTORY) {
        return None;
    }
    let mut pages = Vec::new();
    let mut page = PageRef { first: 0, at: 0 };
    while !reader.is_empty() {
        let at = page.at.checked_add(reader.uvarint()?)?;
        page = PageRef { at, first: page.first.checked_add(reader.uvarint()?)? };
        pages.push(page);
    }
    Some(pages)
}

/// What may be pages, following their lengths from the beginning of the file.
fn walk(file: &File) -> Vec<PageRef> {
    let mut pages: Vec<PageRef> = Vec::new();
    let mut at = size_of::<Magic>() as u64;
    let mut header = [0; HEADER_BYTES];
    while file.read_exact_at(&mut header, at).is_ok() {
        let Ok((bytes, _)) = frame::frame_bytes(&header) else { break };
        if let Ok(raw) = frame::read(file, at)
            && let Some(first) = Reader::new(&raw).uvarint()
            && first != DIRECTORY
            && pages.last().is_none_or(|last| last.first < first)
        {
            pages.push(PageRef { first, at });
        }
        at += bytes as u64;
    }
    pages
}

/// Every place of a file that is not as it was written: its byte, and what is wrong there.
///
/// Each byte is under some checksum, or has one right value; so no flipped bit goes unseen.
pub(crate) fn verify(path: &Path, magic: Magic) -> Vec<(u64, String)> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![(0, error.to_string())],
    };
    let mut faults = Vec::new();
    let mut begin = Magic::default();
    match file.read_exact_at(&mut begin, 0) {
        Ok(()) if begin == magic => {}
        Ok(()) => {
            let at = begin.iter().zip(&magic).position(|(own, wanted)| own != wanted).unwrap_or(0);
            faults.push((at as u64, "the beginning of the file is damaged".to_owned()));
        }
        Err(_) => return vec![(length, "the file is cut short".into())],
    }
    let trailer_at = length.saturating_sub(TRAILER_BYTES);
    // Without a directory, what stands there is told by walking from frame to frame.
    let (pages, end, no_directory) = match directory(&file, magic) {
        Ok(pages) => {
            let mut place = [0; 8];
            let read = file.read_exact_at(&mut place, trailer_at);
            (Some(pages), read.map_or(trailer_at, |()| u64::from_le_bytes(place)), None)
        }
        Err(reason) => (None, trailer_at, Some(reason)),
    };
    let mut at = magic.len() as u64;
    let mut number = 0;
    let mut header = [0; HEADER_BYTES];
    while at < end {
        let found = file.read_exact_at(&mut header, at).map_err(FrameError::Io);
        let frame_end = match found.and_then(|()| frame::frame_bytes(&header)) {
            Ok((bytes, _)) => at + bytes as u64,
            Err(error) => {
                faults.push((at, error.to_string()));
                break;
            }
        };
        let own = pages.as_ref().map(|pages| pages.get(number).copied());
        let fault = match frame::read(&file, at) {
            Err(error) => Some(error.to_string()),
            Ok(raw) => {
                let first = Reader::new(&raw).uvarint();
                let told = own.is_none_or(|own| own.map(|own| (own.at, Some(own.first))) == Some((at, first)));
                (!told).then(|| "the directory tells of another page".to_owned())
            }
        };
        faults.extend(fault.map(|reason| (at, reason)));
        number += 1;
        // A damaged length leads nowhere; the directory knows the way.
        at = match &pages {
            Some(pages) => pages.get(number).map_or(end, |next| next.at).max(at + 1),
            None => frame_end,
        };
    }
    if pages.is_some_and(|pages| pages.len() != number) {
        faults.push((end, "the directory tells of pages that are not there".into()));
    }
    // Else the walk told the place.
    if faults.is_empty() {
        faults.extend(no_directory.map(|reason| (trailer_at.max(magic.len() as u64), reason)));
    }
    faults.sort();
    faults
}

/// Writes such a file.
#[derive(Debug)]
pub(crate) struct PagesWriter {
    file: BufWriter<File>,
    bytes: u64,
    pages: Vec<PageRef>,
    level: i32,
}

impl PagesWriter {
    /// Creates the file; `level` is zstd's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn create(path: &Path, magic: Magic, level: i32) -> io::Result<Self> {
        let mut file = BufWriter::new(files::create(path)?);
        file.write_all(&magic)?;
        Ok(PagesWriter { file, bytes: magic.len() as u64, pages: Vec::new(), level })
    }

    /// Appends a page, which begins with the number of its first thing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn push(&mut self, first: u64, raw: &[u8]) -> io::Result<()> {
        let frame = frame::encode(raw, self.level)?;
        self.pages.push(PageRef { first, at: self.bytes });
        self.file.write_all(&frame)?;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Appends the directory and forces the file to the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let mut directory = Vec::new();
        put_uvarint(&mut directory, DIRECTORY);
        let mut before = PageRef { first: 0, at: 0 };
        for &page in &self.pages {
            put_uvarint(&mut directory, page.at - before.at);
            put_uvarint(&mut directory, page.first - before.first);
            before = page;
        }
        let place = self.bytes.to_le_bytes();
        self.file.write_all(&frame::encode(&directory, self.level)?)?;
        self.file.write_all(&place)?;
        self.file.write_all(&crc32c::crc32c(&place).to_le_bytes())?;
        self.file.write_all(&END_MAGIC)?;
        self.file.flush()?;
        files::sync(self.file.get_ref())
    }
}
