//! `chunks_head`: full chunks of the head. Their series are numbers of the write-ahead log.

use crate::{
    DamageList, Error,
    bytes::Reader,
    chunk::{self, Encoding},
    error,
};
use std::{fs, path::Path};
use storage::Samples;

const MAGIC: u32 = 0x0130_bc91;
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;
/// Set in the encoding of chunks with late samples.
const LATE: u8 = 0x80;
/// Prometheus closes a file at 128 MiB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Calls `put` with the series' number and the samples of every chunk. A folder that is not there has none. Where a file
/// is damaged its rest is left out and reported: the log has the same samples, unless it is damaged as well.
///
/// # Errors
/// `Io`, and what `put` answers.
pub fn read(
    dir: &Path,
    damage: &mut DamageList,
    mut put: impl FnMut(u64, &Samples) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut paths = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir).map_err(error::at(dir))? {
            let path = entry.map_err(error::at(dir))?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
            paths.extend(number.map(|number| (number, path)));
        }
    }
    paths.sort_unstable();
    let mut samples = Samples::default();
    for (_, path) in paths {
        let length = fs::metadata(&path).map_err(error::at(&path))?.len();
        if length > FILE_BYTES_MAX {
            damage.report(&path, FILE_BYTES_MAX, format!("{length} bytes are too many; the file is left out"));
            continue;
        }
        let bytes = fs::read(&path).map_err(error::at(&path))?;
        let mut reader = Reader::new(&bytes);
        if bytes.is_empty() {
            continue;
        }
        if reader.u32() != Some(MAGIC) || reader.u8() != Some(VERSION) || bytes.len() < HEADER_BYTES {
            damage.report(&path, 0, "these are no chunks of the head; the file is left out");
            continue;
        }
        let mut reader = Reader::new(&bytes[HEADER_BYTES..]);
        while !reader.is_empty() {
            let start = bytes.len() - reader.remaining();
            let rest = &bytes[start..];
            // Files are made longer in advance.
            if rest.iter().all(|byte| *byte == 0) {
                break;
            }
            let Some((series, encoding, data)) = next(&mut reader, rest) else {
                damage.report(&path, start as u64, "a chunk is damaged; the rest of the file is left out");
                break;
            };
            samples.clear();
            let decoded =
                Encoding::from_byte(encoding & !LATE).map(|encoding| chunk::decode(encoding, data, &mut samples));
            match decoded {
                Some(Ok(())) => put(series, &samples)?,
                Some(Err(fault)) => damage.report(&path, start as u64, format!("{fault}; it is left out")),
                None => damage.report(
                    &path,
                    start as u64,
                    format!("encoding {encoding} is not known; the chunk is left out"),
                ),
            }
        }
    }
    Ok(())
}

/// Series, encoding and data of a chunk; `None` if it cannot have been written.
fn next<'a>(reader: &mut Reader<'a>, rest: &[u8]) -> Option<(u64, u8, &'a [u8])> {
    let before = reader.remaining();
    let series = reader.u64()?;
    // First and last time stand in the data as well.
    reader.take(16)?;
    let encoding = reader.u8()?;
    let length = reader.count(1)?;
    let data = reader.take(length)?;
    let checked = rest.get(..before - reader.remaining())?;
    (reader.u32()? == crc32c::crc32c(checked)).then_some((series, encoding, data))
}
