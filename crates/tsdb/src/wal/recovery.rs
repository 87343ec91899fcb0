//! Reading the whole log when a folder is opened.

use super::{
    SegmentInfo, WalPosition,
    record::{Decoder, Record},
    segment::{Next, SegmentReader, segment_numbers, segment_path},
};
use crate::{
    Damage, MetadataMap,
    block::{BlockShared, meta::Cut},
    files,
    head::{
        Head,
        exemplars::{ExemplarVerdict, Exemplars},
        series::{Bounds, MemSeries, Verdict},
    },
    postings::Selector,
};
use std::{
    collections::{BTreeMap, HashMap},
    fs::OpenOptions,
    path::Path,
    sync::Arc,
};
use storage::StorageError;

/// Where the log is replayed into.
pub(crate) struct Recovery<'a> {
    pub(crate) head: &'a Head,
    pub(crate) exemplars: &'a mut Exemplars,
    pub(crate) metadata: &'a mut MetadataMap,
    /// What is in blocks already.
    pub(crate) cuts: &'a [Cut],
    pub(crate) shared: &'a BlockShared,
}

impl Recovery<'_> {
    /// Replays all segments of a folder, and tells what they are.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn replay(&mut self, dir: &Path) -> Result<BTreeMap<u64, SegmentInfo>, StorageError> {
        let numbers = segment_numbers(dir).map_err(files::at(dir))?;
        let mut segments = BTreeMap::new();
        for (place, &number) in numbers.iter().enumerate() {
            let is_last = place + 1 == numbers.len();
            segments.insert(number, self.segment(dir, number, is_last)?);
        }
        Ok(segments)
    }

    fn segment(&mut self, dir: &Path, number: u64, is_last: bool) -> Result<SegmentInfo, StorageError> {
        let path = segment_path(dir, number);
        let mut reader = SegmentReader::open(&path).map_err(files::at(&path))?;
        let mut bytes = reader.file_bytes().map_err(files::at(&path))?;
        let mut max_ms = i64::MIN;
        let mut decoder = Decoder::default();
        let mut series: HashMap<u64, Arc<MemSeries>, foldhash::fast::RandomState> = HashMap::default();
        loop {
            match reader.next(bytes).map_err(files::at(&path))? {
                Next::End => break,
                Next::Record { at, payload } => {
                    let Some(record) = decoder.decode(&payload) else {
                        let reason = "a record cannot be decoded; the rest of the segment is left out".to_owned();
                        self.shared.report(Damage { path: path.clone(), at, reason });
                        break;
                    };
                    self.apply(record, WalPosition { segment: number, offset: at }, &mut series, &mut max_ms);
                }
                Next::Damaged { at, reason, torn } if torn && is_last => {
                    let reason = format!("{reason}; the segment is cut here");
                    tracing::warn!(path = %path.display(), byte = at, reason, "the end of the log was not written completely");
                    let file = OpenOptions::new().write(true).open(&path).map_err(files::at(&path))?;
                    file.set_len(at).and_then(|()| file.sync_all()).map_err(files::at(&path))?;
                    bytes = at;
                    break;
                }
                Next::Damaged { at, reason, .. } => {
                    let reason = format!("{reason}; the rest of the segment is left out");
                    self.shared.report(Damage { path: path.clone(), at, reason });
                    break;
                }
            }
        }
        Ok(SegmentInfo { bytes, max_ms })
    }

    fn apply(
        &mut self,
        record: Record,
        position: WalPosition,
        series: &mut HashMap<u64, Arc<MemSeries>, foldhash::fast::RandomState>,
        max_ms: &mut i64,
    ) {
        let bounds = Bounds::replay(self.head.block_range_ms);
        match record {
            Record::Series(list) => {
                for (id, labels) in list {
                    if let Some((found, _)) = self.head.get_or_create(&labels) {
                        series.insert(id, found);
                    }
                }
            }
            Record::Samples(samples) => {
                for (id, timestamp_ms, value) in samples {
                    *max_ms = timestamp_ms.max(*max_ms);
                    self.head.note_max_ms(timestamp_ms);
                    if self.cuts.iter().any(|cut| cut.covers(timestamp_ms, position)) {
                        continue;
                    }
                    if let Some(series) = series.get(&id) {
                        let verdict = series.append(timestamp_ms, value, &bounds);
                        debug_assert!(verdict != Verdict::OutOfBounds, "a replay takes everything");
                    }
                }
            }
            Record::Metadata(list) => self.metadata.extend(list),
            Record::Exemplar(id, exemplar) => {
                if let (Some(series), Some(time)) = (series.get(&id), exemplar.timestamp_ms)
                    && self.exemplars.verdict(series, &exemplar, time) == ExemplarVerdict::New
                {
                    self.exemplars.push(series, exemplar, time);
                }
            }
            Record::Tombstone { start_ms, end_ms, matchers } => {
                // Matchers were run when they were logged.
                if let Ok(selector) = Selector::new(&matchers) {
                    for series in self.head.select(&selector) {
                        series.delete(start_ms, end_ms, self.head.block_range_ms);
                    }
                }
            }
            Record::Nothing => {}
        }
    }
}
