//! Reading chunks of windows for a function: of the columns only those that it asks for, straight into the answer.

use super::{decode, split};
use crate::{
    block::chunk,
    bytes::Reader,
    codec::floats,
    tier::{Mode, window_of},
};
use model::stale::is_stale_nan;
use storage::{Samples, Tier};

/// Room for the columns of one chunk.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Behind the last kept sample of each window.
    ends: Vec<usize>,
    counts: Vec<f64>,
    kept: Vec<f64>,
    totals: Vec<f64>,
}

/// Columns that are not decoded.
struct Columns<'a> {
    counts: &'a [u8],
    min: &'a [u8],
    max: &'a [u8],
    sum: &'a [u8],
    hidden: &'a [u8],
}

impl<'a> Columns<'a> {
    fn new(mut reader: Reader<'a>) -> Option<Self> {
        let mut next = || {
            let length = usize::try_from(reader.uvarint()?).ok()?;
            reader.take(length)
        };
        Some(Columns { counts: next()?, min: next()?, max: next()?, sum: next()?, hidden: next()? })
    }
}

/// What is read, and of which times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) resolution_ms: i64,
    pub(crate) mode: Mode,
    /// Inclusive.
    pub(crate) start_ms: i64,
    /// Inclusive.
    pub(crate) end_ms: i64,
}

/// Appends what [`crate::tier::Windows::read`] gives of a chunk whose kept samples have the times of `column`. `None`, and
/// `into` as before, if it cannot have been written so.
pub(crate) fn read(
    bytes: &[u8],
    column: &[i64],
    wanted: Wanted,
    scratch: &mut Scratch,
    into: &mut Samples,
) -> Option<()> {
    let (own_ms, kept, rest) = split(bytes)?;
    if own_ms != wanted.resolution_ms {
        return None;
    }
    let before = into.len();
    match chunk::plain_floats(kept).filter(|_| into.histograms.is_empty() && into.start_timestamps.is_empty()) {
        Some(kept) => {
            into.tiers.resize(before, Tier::default());
            let appended = floats_into(kept, column, &Columns::new(rest)?, wanted, scratch, into);
            if appended.is_none() {
                into.truncate(before);
                return None;
            }
            trim(into, before, wanted);
        }
        None => {
            let windows = decode(bytes, column, wanted.resolution_ms)?;
            windows.read(wanted.resolution_ms, wanted.mode, wanted.start_ms, wanted.end_ms, into);
        }
    }
    Some(())
}

/// Appends what stands for windows of floats.
fn floats_into(
    kept: &[u8],
    column: &[i64],
    columns: &Columns<'_>,
    wanted: Wanted,
    scratch: &mut Scratch,
    into: &mut Samples,
) -> Option<()> {
    let tier = Tier { resolution_ms: u32::try_from(wanted.resolution_ms).unwrap_or(u32::MAX), count: 0 };
    let totals = match wanted.mode {
        Mode::Kept => None,
        // Nearly always nothing is hidden.
        Mode::Counter => {
            Some(columns.hidden).filter(|hidden| floats::constant(hidden) != Some(0.0) && !hidden.is_empty())
        }
        Mode::Min => Some(columns.min),
        Mode::Max => Some(columns.max),
        Mode::Sum => Some(columns.sum),
    };
    let Some(totals) = totals else {
        floats::decode(kept, column.len(), &mut into.values).ok()?;
        into.timestamps.extend_from_slice(column);
        into.tiers.resize(into.values.len(), tier);
        return Some(());
    };
    scratch.find_ends(column, wanted.resolution_ms)?;
    scratch.counts.clear();
    floats::decode(columns.counts, scratch.ends.len(), &mut scratch.counts).ok()?;
    // Else some windows are told by their kept samples, or not by the last of them.
    if wanted.mode != Mode::Counter && !floats::has_specials(kept) && scratch.counts.iter().all(|count| *count > 0.0) {
        floats::decode(totals, scratch.ends.len(), &mut into.values).ok()?;
        into.timestamps.extend(scratch.ends.iter().map(|end| column[end - 1]));
        if wanted.mode == Mode::Sum {
            // Counts are whole numbers far below the limit.
            into.tiers.extend(scratch.counts.iter().map(|count| Tier { count: *count as u32, ..tier }));
        } else {
            into.tiers.resize(into.values.len(), tier);
        }
        return Some(());
    }
    scratch.kept.clear();
    floats::decode(kept, column.len(), &mut scratch.kept).ok()?;
    scratch.totals.clear();
    let of_floats = scratch.counts.iter().filter(|count| **count > 0.0).count();
    floats::decode(totals, of_floats, &mut scratch.totals).ok()?;
    window_by_window(scratch, column, wanted.mode, tier, into)
}

/// Appends what stands for the windows that `scratch` has all columns of.
fn window_by_window(scratch: &Scratch, column: &[i64], mode: Mode, tier: Tier, into: &mut Samples) -> Option<()> {
    let mut push = |time: i64, value: f64, count: u32| {
        into.timestamps.push(time);
        into.values.push(value);
        into.tiers.push(Tier { count, ..tier });
    };
    let (mut from, mut totals) = (0, scratch.totals.iter());
    for (&to, &count) in scratch.ends.iter().zip(&scratch.counts) {
        let (times, values) = (column.get(from..to)?, scratch.kept.get(from..to)?);
        from = to;
        let total = if count > 0.0 { Some(*totals.next()?) } else { None };
        let real = || times.iter().zip(values).filter(|(_, value)| !is_stale_nan(**value));
        let last_ms = real().next_back().map(|(time, _)| *time);
        match (mode, last_ms, total) {
            (Mode::Counter, Some(last_ms), Some(hidden)) if hidden != 0.0 => {
                for (&time, &value) in times.iter().zip(values) {
                    if time == last_ms {
                        // Up by what is hidden, and down to nothing: both before the last sample, milliseconds away from it.
                        push(time.saturating_sub(2), hidden, 0);
                        push(time.saturating_sub(1), 0.0, 0);
                    }
                    push(time, value, 0);
                }
            }
            (Mode::Counter, ..) | (_, None, _) => {
                times.iter().zip(values).for_each(|(&time, &value)| push(time, value, 0));
            }
            (_, Some(_), None) => real().for_each(|(&time, &value)| push(time, value, 0)),
            (_, Some(last_ms), Some(total)) => push(last_ms, total, if mode == Mode::Sum { count as u32 } else { 0 }),
        }
    }
    Some(())
}

impl Scratch {
    /// Finds where windows end; `None` if they do not ascend.
    fn find_ends(&mut self, column: &[i64], resolution_ms: i64) -> Option<()> {
        self.ends.clear();
        let Some(&first) = column.first() else { return Some(()) };
        let end_of = |time: i64| (window_of(time, resolution_ms) + 1).checked_mul(resolution_ms);
        let mut end_ms = end_of(first)?;
        let mut last = first;
        for (at, &time) in column.iter().enumerate() {
            if time > end_ms {
                self.ends.push(at);
                // Mostly the next window has samples too, and needs no division.
                let next_ms = end_ms.saturating_add(resolution_ms);
                end_ms = if time <= next_ms { next_ms } else { end_of(time)? };
            } else if time < last {
                return None;
            }
            last = time;
        }
        self.ends.push(column.len());
        Some(())
    }
}

/// Takes away what was appended behind `before` and is not wanted.
fn trim(into: &mut Samples, before: usize, wanted: Wanted) {
    let own = into.timestamps.get(before..).unwrap_or_default();
    let from = before + own.partition_point(|time| *time < wanted.start_ms);
    let to = before + own.partition_point(|time| *time <= wanted.end_ms);
    into.truncate(to.max(from));
    if from > before {
        into.timestamps.drain(before..from);
        into.values.drain(before..from);
        into.tiers.drain(before..from);
    }
}
