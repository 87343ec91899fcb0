//! The head: what no block has yet. The log (`wal`), the chunks that are full (`chunks_head`), and the log of late samples
//! (`wbl`), together.

use crate::{
    DamageList, Error,
    block::remove,
    bytes::Reader,
    chunk::{self, Encoding},
    error,
    wal::{Record, WalReader},
};
use model::{Exemplar, Labels, Metadata, SampleValue};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};
use storage::Samples;

const MAGIC: u32 = 0x0130_bc91;
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;
/// Set in the encoding of chunks with late samples.
const LATE: u8 = 0x80;
/// Prometheus closes a file at 128 MiB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The head of a data folder, in memory.
#[derive(Debug, Default)]
pub struct Head {
    /// Samples ascending in time; series may have none.
    pub series: BTreeMap<Labels, Samples>,
    /// As they came, by series.
    pub exemplars: BTreeMap<Labels, Vec<Exemplar>>,
    /// Type, help and unit, by name of the metric.
    pub metadata: BTreeMap<String, Metadata>,
    /// Samples, histograms and exemplars of series that the log does not name, for its part that does is lost.
    pub orphans: u64,
}

/// A series in work.
#[derive(Default)]
struct Slot {
    labels: Labels,
    samples: Samples,
    exemplars: Vec<Exemplar>,
    /// Deleted times, both ends inclusive.
    deleted: Vec<(i64, i64)>,
}

/// Series while the logs are read: after a restart or a pause Prometheus gives a series another number.
#[derive(Default)]
struct Loading {
    slots: Vec<Slot>,
    by_number: HashMap<u64, usize, foldhash::fast::RandomState>,
    by_labels: HashMap<Labels, usize, foldhash::fast::RandomState>,
    metadata: BTreeMap<String, Metadata>,
    orphans: u64,
}

impl Loading {
    fn register(&mut self, number: u64, labels: Labels) {
        let slots = &mut self.slots;
        let slot = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            slots.push(Slot { labels: labels.clone(), ..Slot::default() });
            slots.len() - 1
        });
        self.by_number.insert(number, slot);
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let slot = self.by_number.get(&number).and_then(|slot| self.slots.get_mut(*slot));
        self.orphans += u64::from(slot.is_none());
        slot
    }

    fn push(&mut self, number: u64, (timestamp_ms, start_ms): (i64, i64), value: SampleValue) {
        if let Some(slot) = self.slot(number) {
            slot.samples.push(timestamp_ms, value);
            slot.samples.set_last_start_timestamp(start_ms);
        }
    }

    /// Takes in a record; samples before `from_ms` are left out.
    fn take(&mut self, record: Record, from_ms: i64) {
        match record {
            Record::Series(list) => list.into_iter().for_each(|(number, labels)| self.register(number, labels)),
            Record::Samples(list) => {
                for sample in list.into_iter().filter(|sample| sample.timestamp_ms >= from_ms) {
                    let at = (sample.timestamp_ms, sample.start_ms);
                    self.push(sample.series, at, SampleValue::Float(sample.value));
                }
            }
            Record::Histograms(list) => {
                for sample in list.into_iter().filter(|sample| sample.timestamp_ms >= from_ms) {
                    let at = (sample.timestamp_ms, sample.start_ms);
                    self.push(sample.series, at, SampleValue::Histogram(sample.histogram));
                }
            }
            Record::Tombstones(list) => {
                for stone in list {
                    if let Some(slot) = self.by_number.get(&stone.series).and_then(|slot| self.slots.get_mut(*slot)) {
                        slot.deleted.push((stone.min_ms, stone.max_ms));
                    }
                }
            }
            Record::Metadata(list) => {
                for record in list {
                    let slot = self.by_number.get(&record.series).and_then(|slot| self.slots.get(*slot));
                    if let Some(name) = slot.and_then(|slot| slot.labels.get("__name__")) {
                        self.metadata.insert(name.to_owned(), record.metadata);
                    }
                }
            }
            Record::Exemplars(list) => {
                for record in list {
                    if let Some(slot) = self.slot(record.series) {
                        slot.exemplars.push(record.exemplar);
                    }
                }
            }
            Record::MmapMarkers(_) | Record::Unknown(_) => {}
        }
    }

    fn finish(self) -> Head {
        let (mut series, mut exemplars) = (BTreeMap::new(), BTreeMap::new());
        for slot in self.slots {
            if !slot.exemplars.is_empty() {
                exemplars.insert(slot.labels.clone(), slot.exemplars);
            }
            let mut samples = in_order(slot.samples);
            remove(&mut samples, |time| slot.deleted.iter().any(|(min, max)| (*min..=*max).contains(&time)));
            series.insert(slot.labels, samples);
        }
        Head { series, exemplars, metadata: self.metadata, orphans: self.orphans }
    }
}

/// Sorts by time. Of equal times the sample that came first counts: Prometheus refuses the later one.
fn in_order(samples: Samples) -> Samples {
    if samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]) {
        return samples;
    }
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&at| samples.timestamps[at]);
    order.dedup_by_key(|at| samples.timestamps[*at]);
    let mut sorted = Samples::default();
    for at in order {
        sorted.extend_from(&samples, at, at + 1);
    }
    sorted
}

/// Reads the head of the data folder `dir`. What is older than `from_ms` is in blocks and left out, save late samples:
/// of them nobody knows. `told` hears how many bytes of the log are read, and of how many.
///
/// # Errors
/// `Io`. What is damaged is reported and left out.
pub fn load(dir: &Path, from_ms: i64, damage: &mut DamageList, told: &mut dyn FnMut(u64, u64)) -> Result<Head, Error> {
    let mut loading = Loading::default();
    let mut log = WalReader::open(&dir.join("wal"), damage)?;
    while let Some(record) = log.next(damage)? {
        loading.take(record, from_ms);
        told(log.bytes_done(), log.bytes_total());
    }
    read_chunks(&dir.join("chunks_head"), damage, |series, late, samples| {
        let skip = if late { 0 } else { samples.timestamps.partition_point(|time| *time < from_ms) };
        // After an unclean end chunks may be there of series that the log has no more: those are not in the head.
        if let Some(slot) = loading.slot(series) {
            slot.samples.extend_from(samples, skip, samples.len());
        }
    })?;
    let mut late = WalReader::open(&dir.join("wbl"), damage)?;
    while let Some(record) = late.next(damage)? {
        loading.take(record, i64::MIN);
    }
    Ok(loading.finish())
}

/// Calls `put` with the series' number, whether it holds late samples, and the samples of every chunk of a folder
/// `chunks_head`. One that is not there has none. Where a file is damaged its rest is left out and reported: the log has
/// the same samples, unless it is damaged as well.
///
/// # Errors
/// `Io`.
pub fn read_chunks(dir: &Path, damage: &mut DamageList, mut put: impl FnMut(u64, bool, &Samples)) -> Result<(), Error> {
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
                Some(Ok(())) => put(series, encoding & LATE != 0, &samples),
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
