//! What the records of the log say. See `FORMAT.md`, "Records".

use super::value;
use crate::{
    bytes::{Reader, put_text, put_uvarint, put_varint},
    codec::histograms,
    head::{Bits, Group, Index, count_bits, full_bits, get_bit, iter_bits, merge_pairs, no_bits, set_bit},
};
use model::{Exemplar, Labels, MatchOp, Matcher, Metadata, MetricType, SampleValue};
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
    sync::Arc,
};

const GROUP: u8 = 1;
const ROW: u8 = 2;
const LOOSE: u8 = 3;
const STARTS: u8 = 4;
const EXEMPLAR: u8 = 5;
const METADATA: u8 = 6;
const TOMBSTONE: u8 = 7;

/// Flags of a row: all series have a sample; the changed ones are told by a bitmap rather than by distances.
const ROW_ALL: u8 = 1;
const ROW_BITMAP: u8 = 2;

/// Kinds of loose values.
const FLOAT: u8 = 0;
const HISTOGRAM: u8 = 1;

/// A group larger than this was not written by us.
const SLOTS_MAX: usize = 1 << 16;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

/// What a segment holds already, so that later records may refer to it.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    segment: u64,
    groups: Vec<u64>,
    symbols: Vec<u64>,
    /// Time of the row logged last.
    row_ms: i64,
    /// Room for the row in work.
    changed: Vec<(usize, f64)>,
}

fn mark(bits: &mut Vec<u64>, at: usize) -> bool {
    if bits.len() <= at / 64 {
        bits.resize(at / 64 + 1, 0);
    }
    let known = get_bit(bits, at);
    set_bit(bits, at);
    !known
}

impl Logged {
    /// Forgets what other segments hold.
    pub(crate) fn begin(&mut self, segment: u64) {
        if self.segment != segment {
            *self = Logged { segment, ..Logged::default() };
        }
    }

    /// Nothing of a segment counts: what was to be written may not be there.
    pub(crate) fn reset(&mut self) {
        *self = Logged::default();
    }

    pub(crate) fn has_group(&self, number: u32) -> bool {
        get_bit(&self.groups, number as usize)
    }

    /// A number is about to mean another group.
    pub(crate) fn forget_group(&mut self, number: u32) {
        if let Some(word) = self.groups.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// A number is about to mean another text.
    pub(crate) fn forget_symbol(&mut self, number: u32) {
        if let Some(word) = self.symbols.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// What a reader must know who goes on from the end of this segment: the time of the last row; `None` if what comes
    /// next is told anew.
    pub(crate) fn row_ms(&self, segment: u64) -> Option<i64> {
        (self.segment == segment).then_some(self.row_ms)
    }

    fn put_symbol(&mut self, symbol: u32, index: &Index, out: &mut Vec<u8>) {
        let new = mark(&mut self.symbols, symbol as usize);
        put_uvarint(out, u64::from(symbol) << 1 | u64::from(new));
        if new {
            put_text(out, index.text(symbol));
        }
    }

    /// The series of a group and the newest values that came in its rows; once in each segment. `is_member` tells
    /// whether a slot's series is still there.
    pub(crate) fn group(
        &mut self,
        number: u32,
        group: &Group,
        index: &Index,
        is_member: impl Fn(usize) -> bool,
        out: &mut Vec<u8>,
    ) {
        mark(&mut self.groups, number as usize);
        out.push(GROUP);
        put_uvarint(out, u64::from(number));
        put_uvarint(out, group.slots() as u64);
        let parts: Vec<_> = (group.series.iter().enumerate())
            .map(|(slot, series)| if is_member(slot) { index.parts(*series) } else { None })
            .collect();
        let target = parts.iter().flatten().next().map_or(&[] as &[u32], |(_, target, _)| target);
        put_uvarint(out, target.len() as u64 / 2);
        for symbol in target {
            self.put_symbol(*symbol, index, out);
        }
        for part in &parts {
            let Some((name, _, rest)) = part else {
                // A series without labels is none.
                put_uvarint(out, 0);
                continue;
            };
            put_uvarint(out, ((rest.len() as u64 / 2) << 2) | u64::from(name.is_some()) << 1 | 1);
            for symbol in name.iter().chain(*rest) {
                self.put_symbol(*symbol, index, out);
            }
        }
        let mut previous = 0.0;
        for last in group.last() {
            value::put(previous, *last, out);
            previous = *last;
        }
    }

    /// A row: the slots that have a sample, and their values in order. `last` are the values the segment knows.
    pub(crate) fn row(
        &mut self,
        number: u32,
        timestamp_ms: i64,
        present: &[u64],
        values: &[f64],
        last: &[f64],
        out: &mut Vec<u8>,
    ) {
        out.push(ROW);
        put_uvarint(out, u64::from(number));
        put_varint(out, timestamp_ms.wrapping_sub(self.row_ms));
        self.row_ms = timestamp_ms;
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        let differs = |slot: usize, value: f64| value.to_bits() != last[slot].to_bits();
        if values.len() == last.len() {
            changed.extend(values.iter().copied().enumerate().filter(|(slot, value)| differs(*slot, *value)));
        } else {
            let pairs = iter_bits(present).zip(values.iter().copied());
            changed.extend(pairs.filter(|(slot, value)| differs(*slot, *value)));
        }
        let count = changed.len();
        let bitmap_bytes = last.len().div_ceil(8);
        let (all, bitmap) = (values.len() == last.len(), count >= bitmap_bytes);
        out.push((u8::from(all) * ROW_ALL) | (u8::from(bitmap) * ROW_BITMAP));
        if !all {
            put_bitmap(present, last.len(), out);
        }
        if bitmap {
            let at = out.len();
            out.resize(at + bitmap_bytes, 0);
            changed.iter().for_each(|(slot, _)| out[at + slot / 8] |= 1 << (slot % 8));
        } else {
            put_uvarint(out, count as u64);
            let mut next = 0;
            for (slot, _) in &changed {
                put_uvarint(out, (slot - next) as u64);
                next = slot + 1;
            }
        }
        for (slot, value) in &changed {
            value::put(last[*slot], *value, out);
        }
        self.changed = changed;
    }
}

pub(crate) fn put_bitmap(bits: &[u64], count: usize, out: &mut Vec<u8>) {
    out.extend(bits.iter().flat_map(|word| word.to_le_bytes()).take(count.div_ceil(8)));
}

pub(crate) fn take_bitmap(count: usize, reader: &mut Reader<'_>) -> Option<Bits> {
    let bytes = reader.take(count.div_ceil(8))?;
    let mut bits = no_bits(count);
    for (at, byte) in bytes.iter().enumerate() {
        bits[at / 8] |= u64::from(*byte) << (at % 8 * 8);
    }
    // Beyond the last slot there is nothing.
    (iter_bits(&bits).last().is_none_or(|last| last < count)).then_some(bits)
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
}

pub(crate) fn take_labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.count()?;
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((reader.text()?, reader.text()?));
    }
    sorted(pairs)
}

/// `None` if a name is there twice or a value is empty.
fn sorted(mut pairs: Vec<(&str, &str)>) -> Option<Labels> {
    pairs.sort_unstable();
    Labels::checked_sorted(&pairs)
}

/// A sample that is in no row.
pub(crate) fn loose(group: u32, slot: u16, timestamp_ms: i64, sample: &SampleValue, out: &mut Vec<u8>) {
    out.push(LOOSE);
    put_place(group, slot, out);
    put_sample(timestamp_ms, sample, out);
}

pub(crate) fn put_sample(timestamp_ms: i64, sample: &SampleValue, out: &mut Vec<u8>) {
    put_varint(out, timestamp_ms);
    match sample {
        SampleValue::Float(float) => {
            out.push(FLOAT);
            value::put(0.0, *float, out);
        }
        SampleValue::Histogram(histogram) => {
            out.push(HISTOGRAM);
            histograms::encode(std::slice::from_ref(histogram), out);
        }
    }
}

pub(crate) fn take_sample(reader: &mut Reader<'_>) -> Option<(i64, SampleValue)> {
    let time = reader.varint()?;
    let sample = match reader.u8()? {
        FLOAT => SampleValue::Float(value::take(0.0, reader)?),
        HISTOGRAM => {
            let mut column = Vec::new();
            let used = histograms::decode(reader.rest(), 1, &mut column).ok()?;
            reader.take(used)?;
            SampleValue::Histogram(column.pop()?)
        }
        _ => return None,
    };
    Some((time, sample))
}

fn put_place(group: u32, slot: u16, out: &mut Vec<u8>) {
    put_uvarint(out, u64::from(group));
    put_uvarint(out, u64::from(slot));
}

/// From a time on, the counter of a series is known to have started at a time.
pub(crate) fn start(group: u32, slot: u16, from_ms: i64, start_ms: i64, out: &mut Vec<u8>) {
    out.push(STARTS);
    put_place(group, slot, out);
    put_varint(out, from_ms);
    put_varint(out, start_ms);
}

pub(crate) fn exemplar(group: u32, slot: u16, exemplar: &Exemplar, timestamp_ms: i64, out: &mut Vec<u8>) {
    out.push(EXEMPLAR);
    put_place(group, slot, out);
    put_varint(out, timestamp_ms);
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    put_labels(out, &exemplar.labels);
}

pub(crate) fn metadata<'a>(families: impl ExactSizeIterator<Item = (&'a String, &'a Metadata)>, out: &mut Vec<u8>) {
    out.push(METADATA);
    put_uvarint(out, families.len() as u64);
    for (family, metadata) in families {
        put_text(out, family);
        out.push(TYPES.iter().position(|known| *known == metadata.metric_type).unwrap_or(0) as u8);
        put_text(out, &metadata.help);
        put_text(out, &metadata.unit);
    }
}

pub(crate) fn tombstone(start_ms: i64, end_ms: i64, matchers: &[Matcher], out: &mut Vec<u8>) {
    out.push(TOMBSTONE);
    put_varint(out, start_ms);
    put_varint(out, end_ms);
    put_uvarint(out, matchers.len() as u64);
    for matcher in matchers {
        out.push(match matcher.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        });
        put_text(out, &matcher.name);
        put_text(out, &matcher.value);
    }
}

/// A record as its readers want it. Numbers of groups mean something within their segment only.
#[derive(Debug)]
pub(crate) enum Record {
    Group(GroupRecord),
    /// Of a group, behind whose state the decoder was set up.
    Passed,
    Row {
        group: u32,
        timestamp_ms: i64,
        present: Bits,
        values: Vec<f64>,
    },
    Loose {
        group: u32,
        slot: u16,
        timestamp_ms: i64,
        value: SampleValue,
    },
    Start {
        group: u32,
        slot: u16,
        from_ms: i64,
        start_ms: i64,
    },
    Exemplar {
        group: u32,
        slot: u16,
        exemplar: Exemplar,
    },
    Metadata(Vec<(String, Metadata)>),
    Tombstone {
        start_ms: i64,
        end_ms: i64,
        matchers: Vec<Matcher>,
    },
}

/// The series of a group. Texts are told by their places in the list of all that the records of a decoder brought, one
/// record behind the other.
#[derive(Debug)]
pub(crate) struct GroupRecord {
    pub(crate) number: u32,
    /// What this record adds to that list.
    pub(crate) texts: Vec<Arc<str>>,
    /// Name, value, name, value … that all series have.
    pub(crate) target: Vec<u32>,
    /// By slot; `None` where the series is not there any more.
    pub(crate) series: Vec<Option<SeriesRecord>>,
    /// Those of all series, one behind the other.
    rest: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesRecord {
    pub(crate) name: Option<u32>,
    rest: (u32, u32),
    /// Of the packed labels; 0 without a hasher.
    pub(crate) hash: u32,
}

impl GroupRecord {
    /// Name, value, name, value … of one series, beside its metric name and what all series have.
    pub(crate) fn rest(&self, series: &SeriesRecord) -> &[u32] {
        self.rest.get(series.rest.0 as usize..series.rest.1 as usize).unwrap_or_default()
    }

    /// The labels of a series, by the list of all texts.
    pub(crate) fn labels(&self, series: &SeriesRecord, texts: &[Arc<str>]) -> Labels {
        Labels::from_sorted(told_pairs(&self.target, self.rest(series), series.name, texts))
    }
}

/// The labels that places of texts stand for, in order of their names.
fn told_pairs<'a>(
    target: &'a [u32],
    rest: &'a [u32],
    name: Option<u32>,
    texts: &'a [Arc<str>],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let text = |at: u32| texts.get(at as usize).map_or("", |text| &**text);
    let pair = move |pair: &'a [u32]| (text(pair[0]), text(pair[1]));
    merge_pairs(target.chunks_exact(2).map(pair), rest.chunks_exact(2).map(pair), name.map(text))
}

/// Decodes the records of one segment, from its beginning or from where a checkpoint was made.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Newest values of the rows, by slot.
    groups: Map<u32, Vec<f64>>,
    /// Places in `texts`.
    symbols: Map<u64, u32>,
    texts: Vec<Arc<str>>,
    row_ms: i64,
    hasher: Option<foldhash::fast::RandomState>,
    /// Until which byte of the segment the records of a group are passed over.
    passed: Map<u32, u64>,
    packed: String,
}

impl Decoder {
    /// With hashes of the labels.
    pub(crate) fn with_hasher(hasher: foldhash::fast::RandomState) -> Self {
        Decoder { hasher: Some(hasher), ..Decoder::default() }
    }

    /// The newest values of the rows of a group that was told.
    pub(crate) fn last(&self, number: u32) -> Option<&[f64]> {
        self.groups.get(&number).map(Vec::as_slice)
    }

    /// After the groups of a checkpoint were decoded: what comes next is the rest of a segment behind a row of this time.
    pub(crate) fn go_on(&mut self, row_ms: i64, passed: Vec<(u32, u64)>) {
        self.row_ms = row_ms;
        self.passed = passed.into_iter().collect();
    }

    /// `None` if the payload cannot have been written by this version. `at` is its place in the segment.
    pub(crate) fn decode(&mut self, payload: &[u8], at: u64) -> Option<Record> {
        let mut reader = Reader::new(payload);
        if !self.passed.is_empty() && self.is_passed(&mut reader.clone(), at)? {
            return Some(Record::Passed);
        }
        let reader = &mut reader;
        let record = match reader.u8()? {
            GROUP => self.group(reader, at)?,
            ROW => self.row(reader)?,
            LOOSE => {
                let (group, slot) = self.place(reader)?;
                let (timestamp_ms, value) = take_sample(reader)?;
                Record::Loose { group, slot, timestamp_ms, value }
            }
            STARTS => {
                let (group, slot) = self.place(reader)?;
                Record::Start { group, slot, from_ms: reader.varint()?, start_ms: reader.varint()? }
            }
            EXEMPLAR => {
                let (group, slot) = self.place(reader)?;
                let (time, value) = (reader.varint()?, reader.f64_le()?);
                let exemplar = Exemplar { labels: take_labels(reader)?, value, timestamp_ms: Some(time) };
                Record::Exemplar { group, slot, exemplar }
            }
            METADATA => {
                let count = reader.count()?;
                let mut families = Vec::with_capacity(count);
                for _ in 0..count {
                    let family = reader.text()?.to_owned();
                    let metric_type = *TYPES.get(usize::from(reader.u8()?))?;
                    let help = reader.text()?.to_owned();
                    families.push((family, Metadata { metric_type, help, unit: reader.text()?.to_owned() }));
                }
                Record::Metadata(families)
            }
            TOMBSTONE => {
                let (start_ms, end_ms, count) = (reader.varint()?, reader.varint()?, reader.count()?);
                let mut matchers = Vec::with_capacity(count);
                for _ in 0..count {
                    let op = match reader.u8()? {
                        0 => MatchOp::Equal,
                        1 => MatchOp::NotEqual,
                        2 => MatchOp::Regex,
                        3 => MatchOp::NotRegex,
                        _ => return None,
                    };
                    matchers.push(Matcher::new(reader.text()?, op, reader.text()?));
                }
                Record::Tombstone { start_ms, end_ms, matchers }
            }
            _ => return None,
        };
        reader.is_empty().then_some(record)
    }

    /// True for a record that what is known of its group has in it already.
    fn is_passed(&mut self, reader: &mut Reader<'_>, at: u64) -> Option<bool> {
        let kind = reader.u8()?;
        if !matches!(kind, ROW | LOOSE | STARTS | EXEMPLAR) {
            return Some(false);
        }
        let number = u32::try_from(reader.uvarint()?).ok()?;
        let passed = self.passed.get(&number).is_some_and(|until| at < *until);
        if passed && kind == ROW {
            self.row_ms = self.row_ms.wrapping_add(reader.varint()?);
        }
        Some(passed)
    }

    fn known_group(&mut self, reader: &mut Reader<'_>) -> Option<(u32, &mut Vec<f64>)> {
        let number = u32::try_from(reader.uvarint()?).ok()?;
        Some((number, self.groups.get_mut(&number)?))
    }

    fn place(&mut self, reader: &mut Reader<'_>) -> Option<(u32, u16)> {
        let (group, last) = self.known_group(reader)?;
        let slot = u16::try_from(reader.uvarint()?).ok()?;
        (usize::from(slot) < last.len()).then_some((group, slot))
    }

    fn symbol(&mut self, reader: &mut Reader<'_>, new: &mut Vec<Arc<str>>) -> Option<u32> {
        let number = reader.uvarint()?;
        if number & 1 == 1 {
            let text: Arc<str> = reader.text()?.into();
            let place = self.texts.len() as u32;
            self.texts.push(Arc::clone(&text));
            new.push(text);
            self.symbols.insert(number >> 1, place);
            return Some(place);
        }
        self.symbols.get(&(number >> 1)).copied()
    }

    fn group(&mut self, reader: &mut Reader<'_>, at: u64) -> Option<Record> {
        let number = u32::try_from(reader.uvarint()?).ok()?;
        let slots = reader.count().filter(|slots| *slots <= SLOTS_MAX)?;
        let mut texts = Vec::new();
        let count = reader.count()?;
        let mut target = Vec::with_capacity(count * 2);
        for _ in 0..count * 2 {
            target.push(self.symbol(reader, &mut texts)?);
        }
        let mut series = Vec::with_capacity(slots);
        let mut rest = Vec::new();
        for _ in 0..slots {
            let head = reader.uvarint()?;
            if head == 0 {
                series.push(None);
                continue;
            }
            let name = if head & 2 == 2 { Some(self.symbol(reader, &mut texts)?) } else { None };
            let count = usize::try_from(head >> 2).ok().filter(|count| *count <= reader.remaining())?;
            let start = rest.len();
            for _ in 0..count * 2 {
                rest.push(self.symbol(reader, &mut texts)?);
            }
            let is_empty = target.is_empty() && count == 0 && name.is_none();
            let hash = self.checked(&target, &rest[start..], name)?;
            // A series without labels is none.
            let own = SeriesRecord { name, rest: (start as u32, rest.len() as u32), hash };
            series.push((!is_empty).then_some(own));
        }
        let mut last = Vec::with_capacity(slots);
        let mut previous = 0.0;
        for _ in 0..slots {
            previous = value::take(previous, reader)?;
            last.push(previous);
        }
        match self.groups.entry(number) {
            // What is known is newer.
            Entry::Occupied(_) if self.passed.get(&number).is_some_and(|until| at < *until) => {}
            Entry::Occupied(mut entry) => drop(entry.insert(last)),
            Entry::Vacant(entry) => drop(entry.insert(last)),
        }
        Some(Record::Group(GroupRecord { number, texts, target, series, rest }))
    }

    /// The hash of labels; `None` if a name is there twice or a value is empty.
    fn checked(&mut self, target: &[u32], rest: &[u32], name: Option<u32>) -> Option<u32> {
        self.packed.clear();
        let mut before: Option<&str> = None;
        for (name, value) in told_pairs(target, rest, name, &self.texts) {
            if value.is_empty() || before.is_some_and(|before| before >= name) {
                return None;
            }
            before = Some(name);
            if self.hasher.is_some() {
                Labels::pack([(name, value)], &mut self.packed);
            }
        }
        Some(self.hasher.as_ref().map_or(0, |hasher| hasher.hash_one(self.packed.as_str()) as u32))
    }

    fn row(&mut self, reader: &mut Reader<'_>) -> Option<Record> {
        let number = u32::try_from(reader.uvarint()?).ok()?;
        self.row_ms = self.row_ms.wrapping_add(reader.varint()?);
        let last = self.groups.get_mut(&number)?;
        let slots = last.len();
        let flags = reader.u8()?;
        let present = if flags & ROW_ALL == ROW_ALL { full_bits(slots) } else { take_bitmap(slots, reader)? };
        if flags & ROW_BITMAP == ROW_BITMAP {
            for slot in iter_bits(&take_bitmap(slots, reader)?) {
                last[slot] = value::take(last[slot], reader)?;
            }
        } else {
            let count = reader.count()?;
            let mut changed = Vec::with_capacity(count);
            let mut next = 0;
            for _ in 0..count {
                let slot = usize::try_from(reader.uvarint()?).ok()?.checked_add(next).filter(|slot| *slot < slots)?;
                changed.push(slot);
                next = slot + 1;
            }
            for slot in changed {
                last[slot] = value::take(last[slot], reader)?;
            }
        }
        let mut values = Vec::with_capacity(count_bits(&present));
        values.extend(iter_bits(&present).map(|slot| last[slot]));
        Some(Record::Row { group: number, timestamp_ms: self.row_ms, present, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn anything_may_be_decoded(records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let mut decoder = Decoder::default();
            // A group, so that others can refer to it: number 1, one series without labels but a name.
            decoder.decode(&[GROUP, 1, 1, 0, 3, 1, 1, b'm', 0], 0);
            for (at, mut record) in records.into_iter().enumerate() {
                if let Some(first) = record.first_mut() {
                    *first = [GROUP, ROW, LOOSE, STARTS, EXEMPLAR, METADATA, TOMBSTONE][at % 7];
                }
                if let Some(second) = record.get_mut(1) {
                    *second %= 3;
                }
                decoder.decode(&record, 0);
            }
        }
    }
}
