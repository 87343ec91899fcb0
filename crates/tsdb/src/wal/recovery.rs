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
        Bits, Head, Place,
        exemplars::{ExemplarVerdict, Exemplars},
        iter_bits, no_bits, set_bit,
        verdict::{Bounds, Verdict},
    },
    postings::Selector,
};
use model::{Labels, SampleValue};
use std::{
    collections::{BTreeMap, HashMap},
    fs::OpenOptions,
    path::Path,
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
        let mut groups: Groups = HashMap::default();
        loop {
            match reader.next(bytes).map_err(files::at(&path))? {
                Next::End => break,
                Next::Record { at, payload } => {
                    let Some(record) = decoder.decode(&payload) else {
                        let reason = "a record cannot be decoded; the rest of the segment is left out".to_owned();
                        self.shared.report(Damage { path: path.clone(), at, reason });
                        break;
                    };
                    self.apply(record, WalPosition { segment: number, offset: at }, &mut groups, &mut max_ms);
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

    fn apply(&mut self, record: Record, position: WalPosition, groups: &mut Groups, max_ms: &mut i64) {
        let place = |groups: &Groups, group: u32, slot: u16| {
            let group: &Replayed = groups.get(&group)?;
            group.places.get(usize::from(slot)).copied().flatten()
        };
        match record {
            Record::Group { number, series } => {
                let there: Vec<Labels> = series.iter().flatten().cloned().collect();
                let mut places = self.head.restore_group(&there).into_iter();
                let places: Vec<Option<Place>> =
                    series.iter().map(|labels| labels.as_ref().and_then(|_| places.next().flatten())).collect();
                let whole = self.whole(&places);
                groups.insert(number, Replayed { places, whole });
            }
            Record::Row { group, timestamp_ms, present, values } => {
                if self.counts(timestamp_ms, position, max_ms)
                    && let Some(group) = groups.get(&group)
                {
                    self.row(group, timestamp_ms, &present, &values);
                }
            }
            Record::Loose { group, slot, timestamp_ms, value } => {
                if self.counts(timestamp_ms, position, max_ms)
                    && let Some(place) = place(groups, group, slot)
                {
                    self.sample(place, timestamp_ms, value);
                }
            }
            Record::Start { group, slot, from_ms, start_ms } => {
                if let Some(place) = place(groups, group, slot)
                    && let Some(group) = self.head.store_mut().group_mut(place.group)
                {
                    group.set_start(usize::from(place.slot), from_ms, start_ms);
                }
            }
            Record::Metadata(list) => self.metadata.extend(list),
            Record::Exemplar { group, slot, exemplar } => {
                let id = place(groups, group, slot).and_then(|place| self.head.id_of(place));
                if let (Some(id), Some(time)) = (id, exemplar.timestamp_ms)
                    && self.exemplars.verdict(id, &exemplar, time) == ExemplarVerdict::New
                    && let Some(labels) = self.head.labels(id)
                {
                    self.exemplars.push(id, &labels, exemplar, time);
                }
            }
            Record::Tombstone { start_ms, end_ms, matchers } => {
                // Matchers were run when they were logged.
                if let Ok(selector) = Selector::new(&matchers) {
                    self.head.delete(&selector, start_ms, end_ms);
                }
            }
        }
    }

    /// Notes a time that the log has; false if a block has what is told here.
    fn counts(&self, timestamp_ms: i64, position: WalPosition, max_ms: &mut i64) -> bool {
        *max_ms = timestamp_ms.max(*max_ms);
        self.head.note_max_ms(timestamp_ms);
        !self.cuts.iter().any(|cut| cut.covers(timestamp_ms, position))
    }

    /// The group of the head that has the same series at the same slots.
    fn whole(&self, places: &[Option<Place>]) -> Option<u32> {
        let number = (*places.first()?)?.group;
        let same = |(slot, place): (usize, &Option<Place>)| *place == Some(Place { group: number, slot: slot as u16 });
        let store = self.head.store();
        let slots = store.group(number)?.slots();
        (slots == places.len() && places.iter().enumerate().all(same)).then_some(number)
    }

    fn row(&self, from: &Replayed, timestamp_ms: i64, present: &[u64], values: &[f64]) {
        let mut store = self.head.store_mut();
        if let Some(number) = from.whole
            && let Some(group) = store.group_mut(number)
            && timestamp_ms > group.max_ms
        {
            group.add_row(timestamp_ms, present, values, self.head.block_range_ms);
            return;
        }
        // What goes into a row of each group.
        let mut rows: BTreeMap<u32, (Bits, Vec<(u16, f64)>)> = BTreeMap::new();
        for (slot, value) in iter_bits(present).zip(values) {
            let Some(Some(place)) = from.places.get(slot).copied() else { continue };
            let Some(group) = store.group_mut(place.group) else { continue };
            let verdict =
                group.verdict(usize::from(place.slot), timestamp_ms, &SampleValue::Float(*value), &Bounds::REPLAY);
            if verdict == Verdict::InOrder && group.takes_in_row(timestamp_ms) {
                let row = rows.entry(place.group).or_insert_with(|| (no_bits(group.slots()), Vec::new()));
                set_bit(&mut row.0, usize::from(place.slot));
                row.1.push((place.slot, *value));
            } else if verdict.is_taken() {
                let value = SampleValue::Float(*value);
                group.add_loose(usize::from(place.slot), timestamp_ms, value, self.head.block_range_ms);
            }
        }
        for (number, (present, mut values)) in rows {
            values.sort_unstable_by_key(|(slot, _)| *slot);
            let values: Vec<f64> = values.into_iter().map(|(_, value)| value).collect();
            if let Some(group) = store.group_mut(number) {
                group.add_row(timestamp_ms, &present, &values, self.head.block_range_ms);
            }
        }
    }

    fn sample(&self, place: Place, timestamp_ms: i64, value: SampleValue) {
        let mut store = self.head.store_mut();
        let slot = usize::from(place.slot);
        if let Some(group) = store.group_mut(place.group)
            && group.verdict(slot, timestamp_ms, &value, &Bounds::REPLAY).is_taken()
        {
            group.add_loose(slot, timestamp_ms, value, self.head.block_range_ms);
        }
    }
}

/// Groups of a segment, by their numbers in it.
type Groups = HashMap<u32, Replayed, foldhash::fast::RandomState>;

struct Replayed {
    /// Where the series are in the head now, by slot.
    places: Vec<Option<Place>>,
    /// The group of the head that is the same.
    whole: Option<u32>,
}
