//! Exemplars of the series of a block. See `FORMAT.md`, "exemplars".

use super::{
    frame::{self, FrameError},
    pages::{Magic, PagesFile, PagesWriter},
};
use crate::{
    SeriesExemplars,
    bytes::{Reader, put_text, put_uvarint, put_varint},
};
use model::{Exemplar, Labels};
use std::{collections::BTreeMap, io, path::Path};

pub(crate) const EXEMPLARS_FILE: &str = "exemplars";
pub(crate) const EXEMPLARS_MAGIC: Magic = *b"VGEXM\0\0\x02";

/// What is told of a file that belongs to the block.
pub(super) const MISSING: &str = "the file is missing; the exemplars of this block are lost";

/// Exemplars by series.
pub(crate) type BySeries = BTreeMap<Labels, Vec<Exemplar>>;

/// Puts the exemplars of each series in order of time, each once.
pub(crate) fn tidy(all: BySeries) -> Vec<SeriesExemplars> {
    let series = all.into_iter().map(|(labels, mut exemplars)| {
        exemplars.sort_by_key(|exemplar| exemplar.timestamp_ms);
        exemplars.dedup_by(|a, b| {
            a.timestamp_ms == b.timestamp_ms && a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
        });
        SeriesExemplars { labels, exemplars }
    });
    series.collect()
}

fn put_labels(labels: &Labels, out: &mut Vec<u8>) {
    put_uvarint(out, labels.iter().count() as u64);
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}

fn labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.count()?;
    let pairs: Option<Vec<(&str, &str)>> = (0..count).map(|_| Some((reader.text()?, reader.text()?))).collect();
    Labels::checked_sorted(&pairs?)
}

/// Writes the file of a block's folder, if there is anything to write.
pub(crate) fn write(dir: &Path, level: i32, all: &[SeriesExemplars]) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let mut pages = PagesWriter::create(&dir.join(EXEMPLARS_FILE), EXEMPLARS_MAGIC, level)?;
    let (mut raw, mut first) = (Vec::new(), 0_u64);
    for (next, series) in (1_u64..).zip(all) {
        if raw.is_empty() {
            put_uvarint(&mut raw, first);
        }
        put_labels(&series.labels, &mut raw);
        put_uvarint(&mut raw, series.exemplars.len() as u64);
        let mut before_ms = 0_i64;
        for exemplar in &series.exemplars {
            let time = exemplar.timestamp_ms.unwrap_or(0);
            put_varint(&mut raw, time.wrapping_sub(before_ms));
            before_ms = time;
            raw.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
            put_labels(&exemplar.labels, &mut raw);
        }
        if raw.len() >= frame::RAW_BYTES_TARGET {
            pages.push(first, &raw)?;
            raw.clear();
            first = next;
        }
    }
    if !raw.is_empty() {
        pages.push(first, &raw)?;
    }
    pages.finish()
}

pub(super) fn series(reader: &mut Reader<'_>) -> Option<SeriesExemplars> {
    let labels_of_series = labels(reader)?;
    let count = reader.count()?;
    let mut exemplars = Vec::with_capacity(count);
    let mut time = 0_i64;
    for _ in 0..count {
        time = time.wrapping_add(reader.varint()?);
        let value = reader.f64_le()?;
        exemplars.push(Exemplar { labels: labels(reader)?, value, timestamp_ms: Some(time) });
    }
    Some(SeriesExemplars { labels: labels_of_series, exemplars })
}

/// Reads the file of a block's folder; most have none, and `is_expected` tells of those that must. What is damaged is left
/// out and told with its byte.
pub(crate) fn read(dir: &Path, is_expected: bool, mut take: impl FnMut(SeriesExemplars)) -> Vec<(u64, String)> {
    let path = dir.join(EXEMPLARS_FILE);
    if !path.exists() {
        return if is_expected { vec![(0, MISSING.to_owned())] } else { Vec::new() };
    }
    let (file, fault) = PagesFile::open(&path, EXEMPLARS_MAGIC);
    let mut faults: Vec<(u64, String)> = fault.into_iter().map(|reason| (0, reason)).collect();
    for page in file.pages() {
        let raw = match file.read(page.at) {
            Ok(raw) => raw,
            Err(FrameError::Damaged(reason)) => {
                faults.push((page.at, format!("{reason}; its exemplars are left out")));
                continue;
            }
            Err(FrameError::Io(error)) => {
                faults.push((page.at, format!("{error}; its exemplars are left out")));
                continue;
            }
        };
        let mut reader = Reader::new(&raw);
        let mut is_whole = reader.uvarint().is_some();
        while is_whole && !reader.is_empty() {
            match series(&mut reader) {
                Some(found) => take(found),
                None => is_whole = false,
            }
        }
        if !is_whole {
            faults.push((page.at, "the page cannot be decoded; the rest of its exemplars is left out".into()));
        }
    }
    faults
}
