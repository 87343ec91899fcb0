//! Floats: differences of differences of times, differences of bits of values.

use crate::bits::{BitReader, BitWriter, Xor, fits};
use storage::Samples;

/// Widths of a difference of time differences behind 1, 2, 3 ones and a zero; behind four ones it has 64 bits.
const TIME_WIDTHS: [u32; 3] = [14, 17, 20];

pub(super) fn decode(reader: &mut BitReader, into: &mut Samples) -> Option<()> {
    let count = reader.bits(16)?;
    if count == 0 {
        return Some(());
    }
    let mut time = reader.varint()?;
    let mut value = Xor::new(reader.f64()?);
    into.push_float(time, value.value());
    let mut step = 0_i64;
    for index in 1..count {
        if index == 1 {
            step = reader.uvarint()?.cast_signed();
        } else {
            step = step.wrapping_add(match reader.ones(4)? {
                0 => 0,
                4 => reader.signed(64)?,
                ones => reader.signed(TIME_WIDTHS[ones - 1])?,
            });
        }
        time = time.wrapping_add(step);
        into.push_float(time, value.read(reader)?);
    }
    Some(())
}

/// At most 65,535 samples, ascending in time.
pub(super) fn encode(times: &[i64], values: &[f64]) -> Vec<u8> {
    let mut writer = BitWriter::default();
    writer.bits(times.len() as u64, 16);
    let (mut last, mut step) = (0_i64, 0_i64);
    let mut xor = Xor::default();
    for (index, (&time, &value)) in times.iter().zip(values).enumerate() {
        let next = time.wrapping_sub(last);
        match index {
            0 => {
                writer.varint(time);
                writer.f64(value);
                xor = Xor::new(value);
                last = time;
                continue;
            }
            1 => writer.uvarint(next.cast_unsigned()),
            _ => put_time(&mut writer, next.wrapping_sub(step)),
        }
        xor.write(value, &mut writer);
        (last, step) = (time, next);
    }
    writer.into_bytes()
}

fn put_time(writer: &mut BitWriter, difference: i64) {
    if difference == 0 {
        return writer.bit(false);
    }
    for (ones, width) in (1..).zip(TIME_WIDTHS) {
        if fits(difference, width) {
            writer.prefix(ones);
            return writer.bits(difference.cast_unsigned(), width);
        }
    }
    writer.bits(0b1111, 4);
    writer.bits(difference.cast_unsigned(), 64);
}
