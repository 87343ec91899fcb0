//! Bringing back the head when a folder is opened: from a checkpoint and the log behind it, or from the whole log.

use super::{
    SegmentInfo, WalPosition,
    reading::{self, Read},
    record::{GroupRecord, Record},
    segment::{segment_numbers, segment_path},
};
use crate::{
    Damage, MetadataMap,
    block::{BlockShared, meta::Cut},
    checkpoint::{self, Begin, Piece},
    files,
    head::{
        Bits, Group, Head, Place, Restored,
        exemplars::{ExemplarVerdict, Exemplars},
        iter_bits, no_bits, set_bit,
        verdict::{Bounds, Verdict},
    },
    postings::Selector,
};
use model::SampleValue;
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

/// What a replay found.
pub(crate) struct Replayed {
    pub(crate) segments: BTreeMap<u64, SegmentInfo>,
    /// Where the checkpoint ends with which it began.
    pub(crate) checkpoint: Option<WalPosition>,
}

/// A replay in work.
struct Replay<'a, 'b> {
    recovery: &'a mut Recovery<'b>,
    replayed: Replayed,
    /// The segment in work.
    segment: u64,
    max_ms: i64,
    groups: Groups,
    /// What the places in records of groups stand for: texts, and their numbers in the head.
    texts: Vec<Arc<str>>,
    symbols: Vec<u32>,
    /// By group of the head: what was logged before is in it.
    known: Vec<WalPosition>,
}

/// Groups of a segment, by their numbers in it.
type Groups = HashMap<u32, Restored, foldhash::fast::RandomState>;

impl Recovery<'_> {
    /// Replays what a folder has; `None` if there is a checkpoint that cannot be used: a new head must try without.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn replay(&mut self, dir: &Path, with_checkpoint: bool) -> Result<Option<Replayed>, StorageError> {
        let wal = dir.join("wal");
        let numbers = segment_numbers(&wal).map_err(files::at(&wal))?;
        let hasher = self.head.index().hasher();
        let mut replay = Replay {
            recovery: self,
            replayed: Replayed { segments: BTreeMap::new(), checkpoint: None },
            segment: 0,
            max_ms: i64::MIN,
            groups: HashMap::default(),
            texts: Vec::new(),
            symbols: Vec::new(),
            known: Vec::new(),
        };
        let mut outcome: Result<bool, StorageError> = Ok(true);
        reading::read(dir, &numbers, with_checkpoint, hasher, |read| {
            outcome = replay.take(dir, numbers.last().copied(), read);
            matches!(outcome, Ok(true))
        });
        outcome.map(|is_done| is_done.then_some(replay.replayed))
    }
}

impl Replay<'_, '_> {
    /// False if the checkpoint cannot be used.
    fn take(&mut self, dir: &Path, last: Option<u64>, read: Read) -> Result<bool, StorageError> {
        let unusable = |at: u64, reason: &str| {
            let path = checkpoint::path(dir);
            self.recovery.shared.report(Damage { path, at, reason: format!("{reason}; the log is read as a whole") });
            Ok(false)
        };
        match read {
            Read::Failed(error) => return Err(error),
            Read::Unusable { at, reason } => return unusable(at, &reason),
            Read::Checkpoint(Begin { block_range_ms, position, segments, .. }) => {
                if block_range_ms != self.recovery.head.block_range_ms {
                    tracing::info!("the block range is another one; the log is read as a whole");
                    return Ok(false);
                }
                self.replayed = Replayed { segments, checkpoint: Some(position) };
            }
            Read::Piece(Piece::Record(record)) => self.apply(record, WalPosition::default()),
            Read::Piece(Piece::State { number, position, group }) => {
                if !self.state(number, position, *group) {
                    return unusable(0, &format!("group {number} is not what its state is of"));
                }
            }
            Read::Piece(Piece::End { max_ms }) => self.recovery.head.note_max_ms(max_ms),
            Read::Segment { number, is_new } => {
                self.segment = number;
                self.max_ms = self.replayed.segments.get(&number).map_or(i64::MIN, |info| info.max_ms);
                if is_new {
                    self.groups.clear();
                    self.texts.clear();
                    self.symbols.clear();
                }
            }
            Read::Record { at, record } => self.apply(record, WalPosition { segment: self.segment, offset: at }),
            Read::Damaged { at, reason, torn } => {
                let path = segment_path(&dir.join("wal"), self.segment);
                if torn && last == Some(self.segment) {
                    let reason = format!("{reason}; the segment is cut here");
                    tracing::warn!(path = %path.display(), byte = at, reason, "the end of the log was not written completely");
                    let file = OpenOptions::new().write(true).open(&path).map_err(files::at(&path))?;
                    file.set_len(at).and_then(|()| files::sync(&file)).map_err(files::at(&path))?;
                } else {
                    let reason = format!("{reason}; the rest of the segment is left out");
                    self.recovery.shared.report(Damage { path, at, reason });
                }
            }
            Read::End { bytes } => {
                let path = segment_path(&dir.join("wal"), self.segment);
                let bytes = std::fs::metadata(&path).map_or(bytes, |meta| meta.len());
                self.replayed.segments.insert(self.segment, SegmentInfo { bytes, max_ms: self.max_ms });
            }
        }
        Ok(true)
    }

    fn apply(&mut self, record: Record, position: WalPosition) {
        match record {
            Record::Passed => {}
            Record::Group(group) => self.group(group),
            Record::Row { group, timestamp_ms, present, values } => {
                if self.counts(timestamp_ms, position)
                    && let Some(group) = self.groups.get(&group)
                {
                    self.row(group, position, timestamp_ms, &present, &values);
                }
            }
            Record::Loose { group, slot, timestamp_ms, value } => {
                if self.counts(timestamp_ms, position)
                    && let Some(place) = self.place(group, slot, position)
                {
                    self.sample(place, timestamp_ms, value);
                }
            }
            Record::Start { group, slot, from_ms, start_ms } => {
                if let Some(place) = self.place(group, slot, position)
                    && let Some(group) = self.recovery.head.store_mut().group_mut(place.group)
                {
                    group.set_start(usize::from(place.slot), from_ms, start_ms);
                }
            }
            Record::Metadata(list) => self.recovery.metadata.extend(list),
            Record::Exemplar { group, slot, exemplar } => {
                let head = self.recovery.head;
                // Those of a checkpoint are newer than the states of its groups: who is there already is told by itself.
                let place = self.groups.get(&group).and_then(|group| group.place(slot));
                let id = place.and_then(|place| head.id_of(place));
                if let (Some(id), Some(time)) = (id, exemplar.timestamp_ms)
                    && self.recovery.exemplars.verdict(id, &exemplar, time) == ExemplarVerdict::New
                    && let Some(labels) = head.labels(id)
                {
                    self.recovery.exemplars.push(id, &labels, exemplar, time);
                }
            }
            Record::Tombstone { start_ms, end_ms, matchers } => {
                // Matchers were run when they were logged.
                if let Ok(selector) = Selector::new(&matchers) {
                    let is_in = |group: u32| !self.is_known(group, position);
                    self.recovery.head.delete_in(&selector, start_ms, end_ms, is_in);
                }
            }
        }
    }

    fn group(&mut self, group: GroupRecord) {
        {
            let mut index = self.recovery.head.index_mut();
            self.symbols.extend(group.texts.iter().map(|text| index.intern(text)));
        }
        self.texts.extend(group.texts.iter().cloned());
        let restored = self.recovery.head.restore_group(&group, &self.texts, &self.symbols);
        self.groups.insert(group.number, restored);
    }

    /// Puts a group in the place of the new one of its series. False if there is none.
    fn state(&mut self, number: u32, position: WalPosition, mut group: Group) -> bool {
        let Some(Restored::Whole(place)) = self.groups.get(&number) else { return false };
        let end = |cut: &Cut| WalPosition { segment: cut.segment, offset: cut.offset };
        let cuts = self.recovery.cuts.iter().filter(|cut| position <= end(cut));
        group.drop_within(&cuts.map(|cut| (cut.min_ms, cut.max_ms)).collect::<Vec<_>>());
        let at = *place as usize;
        if self.known.len() <= at {
            self.known.resize(at + 1, WalPosition::default());
        }
        self.known[at] = position;
        let mut store = self.recovery.head.store_mut();
        store.group_mut(*place).is_some_and(|new| group.replace(new))
    }

    /// True if a checkpoint has what is logged there of a group of the head.
    fn is_known(&self, group: u32, position: WalPosition) -> bool {
        self.known.get(group as usize).is_some_and(|known| position < *known)
    }

    /// Where a record's sample goes, if it is not there already.
    fn place(&self, group: u32, slot: u16, position: WalPosition) -> Option<Place> {
        self.groups.get(&group)?.place(slot).filter(|place| !self.is_known(place.group, position))
    }

    /// Notes a time that the log has; false if a block has what is told here.
    fn counts(&mut self, timestamp_ms: i64, position: WalPosition) -> bool {
        self.max_ms = timestamp_ms.max(self.max_ms);
        self.recovery.head.note_max_ms(timestamp_ms);
        !self.recovery.cuts.iter().any(|cut| cut.covers(timestamp_ms, position))
    }

    fn row(&self, from: &Restored, position: WalPosition, timestamp_ms: i64, present: &[u64], values: &[f64]) {
        let range = self.recovery.head.block_range_ms;
        let mut store = self.recovery.head.store_mut();
        if let Restored::Whole(number) = from {
            if self.is_known(*number, position) {
                return;
            }
            if let Some(group) = store.group_mut(*number)
                && timestamp_ms > group.max_ms
            {
                group.add_row(timestamp_ms, present, values, range);
                return;
            }
        }
        // What goes into a row of each group.
        let mut rows: BTreeMap<u32, (Bits, Vec<(u16, f64)>)> = BTreeMap::new();
        for (slot, value) in iter_bits(present).zip(values) {
            let Some(place) = from.place(slot as u16).filter(|place| !self.is_known(place.group, position)) else {
                continue;
            };
            let Some(group) = store.group_mut(place.group) else { continue };
            let verdict =
                group.verdict(usize::from(place.slot), timestamp_ms, &SampleValue::Float(*value), &Bounds::REPLAY);
            if verdict == Verdict::InOrder && group.takes_in_row(timestamp_ms) {
                let row = rows.entry(place.group).or_insert_with(|| (no_bits(group.slots()), Vec::new()));
                set_bit(&mut row.0, usize::from(place.slot));
                row.1.push((place.slot, *value));
            } else if verdict.is_taken() {
                let value = SampleValue::Float(*value);
                group.add_loose(usize::from(place.slot), timestamp_ms, value, range);
            }
        }
        for (number, (present, mut values)) in rows {
            values.sort_unstable_by_key(|(slot, _)| *slot);
            let values: Vec<f64> = values.into_iter().map(|(_, value)| value).collect();
            if let Some(group) = store.group_mut(number) {
                group.add_row(timestamp_ms, &present, &values, range);
            }
        }
    }

    fn sample(&self, place: Place, timestamp_ms: i64, value: SampleValue) {
        let head = self.recovery.head;
        let mut store = head.store_mut();
        let slot = usize::from(place.slot);
        if let Some(group) = store.group_mut(place.group)
            && group.verdict(slot, timestamp_ms, &value, &Bounds::REPLAY).is_taken()
        {
            group.add_loose(slot, timestamp_ms, value, head.block_range_ms);
        }
    }
}
