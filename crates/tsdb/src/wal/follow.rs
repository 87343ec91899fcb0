//! Reading the log while it is written.

use super::{
    WalPosition,
    record::{Decoder, Record},
    segment::{Next, SegmentReader, segment_numbers, segment_path},
};
use crate::{files, head::iter_bits};
use model::{Exemplar, Labels, Metadata, SampleValue};
use std::{collections::HashMap, path::PathBuf, sync::Arc};
use storage::StorageError;

/// What a follower of the log sees, in the order of writing.
#[derive(Clone, Debug, PartialEq)]
pub enum WalEvent {
    Sample { labels: Labels, timestamp_ms: i64, value: SampleValue },
    Exemplar { labels: Labels, exemplar: Exemplar },
    Metadata { family: String, metadata: Metadata },
}

/// Reads the log while it is written. See [`crate::Tsdb::follow`].
pub struct WalFollower {
    dir: PathBuf,
    /// Tells how far the log is written.
    end: Box<dyn Fn() -> WalPosition + Send>,
    position: WalPosition,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    reader: SegmentReader,
    decoder: Decoder,
    /// Labels by group and slot.
    groups: HashMap<u32, Vec<Option<Labels>>, foldhash::fast::RandomState>,
    texts: Vec<Arc<str>>,
    damaged: bool,
}

impl WalFollower {
    pub(crate) fn new(dir: PathBuf, from: WalPosition, end: Box<dyn Fn() -> WalPosition + Send>) -> Self {
        WalFollower { dir, end, position: from, open: None }
    }

    /// Where the next read begins; give it to [`crate::Tsdb::follow`] to go on from here after a restart.
    pub fn position(&self) -> WalPosition {
        self.position
    }

    /// Events since the last call, about `events_max` of them (a record is never split); empty when there is nothing new.
    /// Damaged or deleted segments are passed over. Blocks on the disk.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&mut self, events_max: usize) -> Result<Vec<WalEvent>, StorageError> {
        let end = (self.end)();
        let mut events = Vec::new();
        while events.len() < events_max {
            if self.open.is_none() && !self.open_segment(end)? {
                break;
            }
            let Some(open) = &mut self.open else { break };
            let path = segment_path(&self.dir, self.position.segment);
            // Only the last segment grows; of the others everything is there.
            let limit = if self.position.segment < end.segment {
                open.reader.file_bytes().map_err(files::at(&path))?
            } else {
                end.offset
            };
            let next = if open.damaged { Next::End } else { open.reader.next(limit).map_err(files::at(&path))? };
            match next {
                Next::Record { at, payload } => {
                    let wanted = at >= self.position.offset;
                    match open.decoder.decode(&payload, at) {
                        Some(record) => open.take(record, wanted, &mut events),
                        None => open.damaged = true,
                    }
                    self.position.offset = self.position.offset.max(open.reader.offset());
                }
                Next::Damaged { .. } => open.damaged = true,
                Next::End if self.position.segment < end.segment => {
                    self.open = None;
                    self.position = WalPosition { segment: self.position.segment + 1, offset: 0 };
                }
                Next::End => break,
            }
        }
        Ok(events)
    }

    /// Opens the segment of the position or, if that is gone, the next one there is. False if there is none yet.
    fn open_segment(&mut self, end: WalPosition) -> Result<bool, StorageError> {
        let numbers = segment_numbers(&self.dir).map_err(files::at(&self.dir))?;
        let Some(&number) = numbers.iter().find(|number| **number >= self.position.segment && **number <= end.segment)
        else {
            return Ok(false);
        };
        if number != self.position.segment {
            self.position = WalPosition { segment: number, offset: 0 };
        }
        let path = segment_path(&self.dir, number);
        let reader = match SegmentReader::open(&path) {
            Ok(reader) => reader,
            // Deleted since it was listed: the next call finds its successor.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(files::at(&path)(error)),
        };
        self.open = Some(OpenSegment {
            reader,
            decoder: Decoder::default(),
            groups: HashMap::default(),
            texts: Vec::new(),
            damaged: false,
        });
        Ok(true)
    }
}

impl OpenSegment {
    /// Notes what later records need and, if the record is behind the position, makes events of it.
    fn take(&mut self, record: Record, wanted: bool, events: &mut Vec<WalEvent>) {
        let labels = |group: u32, slot: u16| self.groups.get(&group)?.get(usize::from(slot))?.clone();
        match record {
            Record::Group(group) => {
                self.texts.extend(group.texts.iter().cloned());
                let series = group.series.iter().map(|series| Some(group.labels(series.as_ref()?, &self.texts)));
                self.groups.insert(group.number, series.collect());
            }
            _ if !wanted => {}
            Record::Row { group, timestamp_ms, present, values } => {
                let Some(series) = self.groups.get(&group) else { return };
                for (slot, value) in iter_bits(&present).zip(values) {
                    if let Some(Some(labels)) = series.get(slot) {
                        let value = SampleValue::Float(value);
                        events.push(WalEvent::Sample { labels: labels.clone(), timestamp_ms, value });
                    }
                }
            }
            Record::Loose { group, slot, timestamp_ms, value } => {
                if let Some(labels) = labels(group, slot) {
                    events.push(WalEvent::Sample { labels, timestamp_ms, value });
                }
            }
            Record::Exemplar { group, slot, exemplar } => {
                if let Some(labels) = labels(group, slot) {
                    events.push(WalEvent::Exemplar { labels, exemplar });
                }
            }
            Record::Metadata(families) => {
                events.extend(families.into_iter().map(|(family, metadata)| WalEvent::Metadata { family, metadata }));
            }
            Record::Start { .. } | Record::Tombstone { .. } | Record::Passed => {}
        }
    }
}
