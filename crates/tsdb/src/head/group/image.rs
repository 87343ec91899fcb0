//! A group as a checkpoint tells it. See `FORMAT.md`, "Checkpoint". Seals and pieces are told apart from the rest, so
//! that no record becomes long.

use super::{Group, ROWS_MAX, Row};
use crate::{
    bytes::{Reader, put_uvarint, put_varint},
    head::{
        bits,
        loose::{Loose, Piece},
        seal::Seal,
    },
    wal::{
        record::{put_bitmap, put_sample, take_bitmap, take_sample},
        value,
    },
};
use std::sync::Arc;

const ABSENT: u8 = 1;
const CHANGED: u8 = 2;

impl Group {
    /// A group without a place in the index, with the newest values of its rows by slot.
    pub(crate) fn unplaced(last: Vec<f64>) -> Group {
        let series: Arc<[u32]> = vec![0; last.len()].into();
        Group { last, ..Group::new(series, 0) }
    }

    /// Takes the place of a new group of as many slots. False if that is another one.
    pub(crate) fn replace(mut self, new: &mut Group) -> bool {
        if self.slots() != new.slots() {
            return false;
        }
        self.series = Arc::clone(&new.series);
        self.target = new.target;
        *new = self;
        true
    }

    /// Everything but the newest values, seals and what is loose.
    pub(crate) fn put_state(&self, out: &mut Vec<u8>) {
        put_varint(out, self.max_ms);
        put_varint(out, self.sealed_ms);
        put_uvarint(out, self.lag.len() as u64);
        for lag in &self.lag {
            put_varint(out, self.sealed_ms.wrapping_sub(*lag));
        }
        put_uvarint(out, self.rows.len() as u64);
        let mut values = self.last.clone();
        for row in self.rows.iter().rev() {
            put_varint(out, row.timestamp_ms);
            let has_changed = bits::count(&row.changed) > 0;
            out.push((u8::from(row.absent.is_some()) * ABSENT) | (u8::from(has_changed) * CHANGED));
            if let Some(absent) = &row.absent {
                put_bitmap(absent, self.slots(), out);
            }
            if has_changed {
                put_bitmap(&row.changed, self.slots(), out);
            }
            for (slot, before) in bits::iter(&row.changed).zip(&row.before) {
                value::put(values[slot], *before, out);
                values[slot] = *before;
            }
        }
        put_uvarint(out, self.starts.len() as u64);
        for (slot, list) in &self.starts {
            put_uvarint(out, u64::from(*slot));
            put_uvarint(out, list.len() as u64);
            for (from_ms, start_ms) in list {
                put_varint(out, *from_ms);
                put_varint(out, *start_ms);
            }
        }
    }

    /// Takes what [`Group::put_state`] wrote; `None` for bytes that it cannot have written.
    pub(crate) fn take_state(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let slots = self.slots();
        self.max_ms = reader.varint()?;
        self.sealed_ms = reader.varint()?;
        let lags = reader.count().filter(|count| *count == 0 || *count == slots)?;
        for _ in 0..lags {
            self.lag.push(self.sealed_ms.wrapping_sub(reader.varint()?));
        }
        let rows = reader.count().filter(|count| *count <= ROWS_MAX)?;
        let mut values = self.last.clone();
        for _ in 0..rows {
            let timestamp_ms = reader.varint()?;
            let flags = reader.u8().filter(|flags| *flags <= (ABSENT | CHANGED))?;
            let absent = if flags & ABSENT != 0 { Some(take_bitmap(slots, reader)?) } else { None };
            let changed = if flags & CHANGED != 0 { take_bitmap(slots, reader)? } else { bits::Bits::default() };
            let mut before = Vec::with_capacity(bits::count(&changed));
            for slot in bits::iter(&changed) {
                let value = &mut values[slot];
                *value = value::take(*value, reader)?;
                before.push(*value);
            }
            self.changed_values += before.len();
            self.rows.push(Arc::new(Row { timestamp_ms, absent, changed, before }));
        }
        self.rows.reverse();
        if !self.rows.is_sorted_by(|a, b| a.timestamp_ms < b.timestamp_ms) {
            return None;
        }
        for _ in 0..reader.count()? {
            let slot = slot_below(slots, reader)?;
            let count = reader.count()?;
            let mut list = Vec::with_capacity(count);
            for _ in 0..count {
                list.push((reader.varint()?, reader.varint()?));
            }
            if !list.is_sorted_by(|a, b| a.0 < b.0) {
                return None;
            }
            self.starts.insert(slot, list);
        }
        Some(())
    }

    pub(crate) fn seals(&self) -> &[Arc<Seal>] {
        &self.seals
    }

    pub(crate) fn add_seal(&mut self, seal: Seal) {
        self.seals.push(Arc::new(seal));
    }

    /// What is loose, by slot.
    pub(crate) fn loose(&self) -> impl Iterator<Item = (u16, &Loose)> {
        self.loose.iter().map(|(slot, loose)| (*slot, &**loose))
    }

    /// The samples of a slot that are not in pieces.
    pub(crate) fn put_loose(slot: u16, loose: &Loose, out: &mut Vec<u8>) {
        put_uvarint(out, u64::from(slot));
        out.push(u8::from(loose.last.is_some()));
        if let Some((time, value)) = &loose.last {
            put_sample(*time, value, out);
        }
        put_uvarint(out, loose.open().len() as u64);
        for (time, value) in loose.open() {
            put_sample(*time, value, out);
        }
    }

    /// Takes what [`Group::put_loose`] wrote.
    pub(crate) fn take_loose(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let slot = slot_below(self.slots(), reader)?;
        let last = match reader.u8()? {
            0 => None,
            1 => Some(take_sample(reader)?),
            _ => return None,
        };
        let count = reader.count()?;
        let mut open = Vec::with_capacity(count);
        for _ in 0..count {
            open.push(take_sample(reader)?);
        }
        if !open.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        self.loose.insert(slot, Arc::new(Loose::of(open, last)));
        Some(())
    }

    /// Takes a piece of a slot that has something loose.
    pub(crate) fn take_piece(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let slot = slot_below(self.slots(), reader)?;
        let piece = Piece::take(reader)?;
        Arc::make_mut(self.loose.get_mut(&slot)?).add_piece(piece);
        Some(())
    }

    /// Drops the samples of some ranges of time, whose ends are exclusive: blocks have them.
    pub(crate) fn drop_within(&mut self, ranges: &[(i64, i64)]) {
        if ranges.is_empty() {
            return;
        }
        let within = |time: i64| ranges.iter().any(|(min, max)| (*min..*max).contains(&time));
        if self.rows.iter().any(|row| within(row.timestamp_ms)) {
            self.seal_rows();
        }
        let every = bits::full(self.slots());
        for seal in std::mem::take(&mut self.seals) {
            let times = seal.timestamps();
            match times.iter().filter(|time| within(**time)).count() {
                0 => self.seals.push(seal),
                count if count == times.len() => {}
                _ => self.seals.extend(seal.retain(&every, |time| !within(time)).map(Arc::new)),
            }
        }
        for loose in self.loose.values_mut() {
            for (min_ms, max_ms) in ranges {
                if loose.extent().is_some_and(|(min, max)| min < *max_ms && *min_ms <= max) {
                    Arc::make_mut(loose).delete(*min_ms, max_ms - 1);
                }
            }
        }
    }
}

fn slot_below(slots: usize, reader: &mut Reader<'_>) -> Option<u16> {
    u16::try_from(reader.uvarint()?).ok().filter(|slot| usize::from(*slot) < slots)
}
