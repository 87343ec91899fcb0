//! XOR2: as XOR, but one prefix for time and value, the staleness marker in a few bits, and start timestamps. Only read:
//! what older Prometheus and Thanos cannot read is not written.

use super::start::Starts;
use crate::bits::{BitReader, Xor};
use model::stale::STALE_NAN;
use storage::Samples;

pub(super) fn decode(reader: &mut BitReader, into: &mut Samples) -> Option<()> {
    let count = reader.bits(16)?;
    let mut starts = Starts::new(reader.bits(8)? as u8);
    if count == 0 {
        return Some(());
    }
    let mut time = reader.varint()?;
    let first = reader.f64()?;
    // A staleness marker is no base for what follows.
    let mut value = Xor::new(if model::stale::is_stale_nan(first) { 0.0 } else { first });
    into.push_float(time, first);
    into.set_last_start_timestamp(starts.read(reader, 0, time, time)?);
    let mut step = 0_i64;
    for index in 1..count {
        let previous = time;
        let control = if index == 1 { 0 } else { reader.ones(5)? };
        match (index, control) {
            (1, _) => step = reader.uvarint()?.cast_signed(),
            (_, 2) => step = step.wrapping_add(two_complement(reader, 13)?),
            (_, 3) => step = step.wrapping_add(two_complement(reader, 20)?),
            (_, 4) => step = step.wrapping_add(two_complement(reader, 64)?),
            _ => {}
        }
        time = time.wrapping_add(step);
        let number = match (index, control) {
            (1, _) | (_, 2..=4) => read_value(reader, &mut value)?,
            (_, 0) => value.value(),
            (_, 1) => {
                if reader.bit()? {
                    value.read_new_window(reader)?
                } else {
                    value.read_window(reader)?
                }
                value.value()
            }
            _ => STALE_NAN,
        };
        into.push_float(time, number);
        into.set_last_start_timestamp(starts.read(reader, index, time, previous)?);
    }
    Some(())
}

fn two_complement(reader: &mut BitReader, width: u32) -> Option<i64> {
    let raw = reader.bits(width)?;
    Some((raw << (64 - width)).cast_signed() >> (64 - width))
}

/// `0`: the same value; `10`: the last window; `110`: a new window; `111`: stale.
fn read_value(reader: &mut BitReader, value: &mut Xor) -> Option<f64> {
    match reader.ones(3)? {
        0 => {}
        1 => value.read_window(reader)?,
        2 => value.read_new_window(reader)?,
        _ => return Some(STALE_NAN),
    }
    Some(value.value())
}
