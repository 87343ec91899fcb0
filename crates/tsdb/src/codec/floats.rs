//! Columns of floats. Most metrics are decimal numbers with few digits: such a column is one of integers and a power
//! of ten. What is not, is told by the nearest decimals and how many representable numbers the values lie beside them
//! (sums of many decimals are like that), by the bits as integers, or by XOR. NaN, the infinities and -0.0 stand apart.

use super::{
    CodecError,
    ints::{self, BLOCK},
};
use crate::bytes::{Reader, put_uvarint, put_varint};
use model::stale::{NORMAL_NAN_BITS, STALE_NAN_BITS};

/// All values have the same bits, which follow.
const CONST_BITS: u8 = 0;
/// All values are `m / 10^e`; `m` follows.
const CONST_DECIMAL: u8 = 1;
/// Values are `m / 10^e`.
const DECIMAL: u8 = 2;
/// Values lie some representable numbers beside `m / 10^e`.
const NEAR_DECIMAL: u8 = 3;
/// Bits as integers in the order of the numbers, without the zeros at the end that all have.
const BITS: u8 = 4;
/// The bytes that differ from those of the value before.
const XOR: u8 = 5;
const FLAG_SPECIALS: u8 = 0x80;

/// Largest power of ten; 10^15 itself has an exact float, and 15 digits are what decimals survive with.
const SCALE_MAX: usize = 15;
const POWERS: [f64; SCALE_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Adding this rounds to an integer, for magnitudes below 2^51, and leaves the integer in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const SCALED_MAX: f64 = 2_251_799_813_685_248.0;
/// Powers of ten that are tried for values near decimals: milli, micro, nano, pico.
const NEAR_SCALES: [usize; 4] = [3, 6, 9, 12];
/// So many values say which representation is best.
const PROBE: usize = 256;

const NEGATIVE_ZERO: u64 = 1 << 63;
/// Bits with a code of their own; any others stand behind the code that comes after these.
const SPECIALS: [u64; 5] =
    [STALE_NAN_BITS, NORMAL_NAN_BITS, f64::INFINITY.to_bits(), f64::NEG_INFINITY.to_bits(), NEGATIVE_ZERO];

fn is_special(value: f64) -> bool {
    !value.is_finite() || value.to_bits() == NEGATIVE_ZERO
}

/// Nearest integer to `value * 10^scale`, if it is small enough to be exact.
fn scaled(value: f64, scale: usize) -> Option<i64> {
    let product = value * POWERS[scale];
    if product.abs() < SCALED_MAX {
        Some((product + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i64)
    } else {
        None
    }
}

fn unscaled(scaled: i64, scale: usize) -> f64 {
    scaled as f64 / POWERS[scale]
}

/// Bits as an integer in the order of the numbers, after a shift to the right. Its own inverse but for the shift.
fn ordered(bits: u64, shift: u32) -> i64 {
    let integer = (bits as i64) >> shift;
    if integer < 0 { integer ^ (i64::MAX >> shift) } else { integer }
}

fn bits_of(ordered: i64, shift: u32) -> u64 {
    let integer = if ordered < 0 { ordered ^ (i64::MAX >> shift) } else { ordered };
    (integer << shift) as u64
}

/// The smallest scale at which all values are decimals, with their integers in `out`.
fn decimals(values: &[f64], out: &mut Vec<i64>) -> Option<usize> {
    out.clear();
    let mut whole = true;
    for &value in values {
        let integer = value as i64;
        whole &= integer as f64 == value && integer.unsigned_abs() <= 1 << 53;
        out.push(integer);
    }
    if whole {
        return Some(0);
    }
    let mut scale = 1;
    for &value in values {
        while scaled(value, scale).is_none_or(|integer| unscaled(integer, scale) != value) {
            scale += 1;
            if scale > SCALE_MAX {
                return None;
            }
        }
    }
    out.clear();
    for &value in values {
        // A larger scale than a value needs may be too large for it.
        let integer = scaled(value, scale)?;
        if unscaled(integer, scale) != value {
            return None;
        }
        out.push(integer);
    }
    Some(scale)
}

/// Integers at `scale`, and how many representable numbers the values lie beside them.
fn near_decimals(values: &[f64], scale: usize, integers: &mut Vec<i64>, errors: &mut Vec<i64>) -> Option<()> {
    integers.clear();
    errors.clear();
    for &value in values {
        let integer = scaled(value, scale)?;
        integers.push(integer);
        errors.push(ordered(value.to_bits(), 0).wrapping_sub(ordered(unscaled(integer, scale).to_bits(), 0)));
    }
    Some(())
}

/// Appends a column. Its length stands elsewhere; of no values there are no bytes.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    let Some(&first) = values.first() else { return };
    if values.iter().fold(0, |differing, value| differing | (value.to_bits() ^ first.to_bits())) == 0 {
        encode_constant(first, 0, out);
        return;
    }
    if values.iter().any(|value| is_special(*value)) {
        let mut plain = values.to_vec();
        let mut last = values.iter().copied().find(|value| !is_special(*value)).unwrap_or(0.0);
        for value in &mut plain {
            if is_special(*value) {
                *value = last;
            }
            last = *value;
        }
        encode_plain(&plain, FLAG_SPECIALS, out);
        encode_specials(values, out);
    } else {
        encode_plain(values, 0, out);
    }
    debug_assert!(
        {
            let mut decoded = Vec::new();
            decode(&out[start..], values.len(), &mut decoded) == Ok(out.len() - start)
                && decoded.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits())
        },
        "a column does not survive: {values:?}"
    );
}

fn encode_constant(value: f64, flags: u8, out: &mut Vec<u8>) {
    let mut integers = Vec::new();
    if !is_special(value)
        && let Some(scale) = decimals(&[value], &mut integers)
    {
        out.push(flags | CONST_DECIMAL << 4 | scale as u8);
        put_varint(out, integers[0]);
        return;
    }
    out.push(flags | CONST_BITS << 4);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Values without specials.
fn encode_plain(values: &[f64], flags: u8, out: &mut Vec<u8>) {
    let first = values[0];
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        encode_constant(first, flags, out);
        return;
    }
    let mut integers = Vec::with_capacity(values.len());
    let decimal = decimals(values, &mut integers);
    if let Some(scale) = decimal
        && scale < 10
    {
        out.push(flags | DECIMAL << 4 | scale as u8);
        ints::encode(&integers, out);
        return;
    }
    // Many digits may also be noise, which other representations tell as shortly.
    let probe = &values[..values.len().min(PROBE)];
    let (mut kind, mut best_scale) = (XOR, 0);
    let mut best = xor_bits(probe);
    let mut consider = |bits: u64, of: u8, scale: usize| {
        if bits < best {
            (best, kind, best_scale) = (bits, of, scale);
        }
    };
    let shift = values.iter().fold(0, |all, value| all | value.to_bits()).trailing_zeros();
    let as_bits = |values: &[f64]| values.iter().map(|value| ordered(value.to_bits(), shift)).collect::<Vec<i64>>();
    consider(ints::estimate_bits(&as_bits(probe)), BITS, 0);
    if let Some(scale) = decimal {
        consider(ints::estimate_bits(&integers[..probe.len()]), DECIMAL, scale);
    }
    let (mut near, mut errors) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
    for scale in NEAR_SCALES {
        if near_decimals(probe, scale, &mut near, &mut errors).is_some() {
            consider(ints::estimate_bits(&near) + ints::estimate_bits(&errors), NEAR_DECIMAL, scale);
        }
    }
    if kind == NEAR_DECIMAL && near_decimals(values, best_scale, &mut near, &mut errors).is_none() {
        kind = BITS;
    }
    match kind {
        DECIMAL => {
            out.push(flags | DECIMAL << 4 | best_scale as u8);
            ints::encode(&integers, out);
        }
        NEAR_DECIMAL => {
            out.push(flags | NEAR_DECIMAL << 4 | best_scale as u8);
            ints::encode(&near, out);
            ints::encode(&errors, out);
        }
        BITS => {
            out.push(flags | BITS << 4);
            out.push(shift as u8);
            ints::encode(&as_bits(values), out);
        }
        _ => {
            out.push(flags | XOR << 4);
            encode_xor(values, out);
        }
    }
}

/// The bytes of a XOR between its zero bytes: how many zero bytes are below, and how many bytes there are.
fn middle(xor: u64) -> (usize, usize) {
    if xor == 0 {
        return (0, 0);
    }
    let below = xor.trailing_zeros() as usize / 8;
    (below, 8 - below - xor.leading_zeros() as usize / 8)
}

fn xor_bits(values: &[f64]) -> u64 {
    let mut previous = 0;
    let mut bits = 0;
    for value in values {
        bits += 8 * (1 + middle(value.to_bits() ^ previous).1 as u64);
        previous = value.to_bits();
    }
    bits
}

/// Codes first, then the bytes: each part is uniform, for the compressor.
fn encode_xor(values: &[f64], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + values.len(), 0);
    let mut previous = 0;
    for (index, value) in values.iter().enumerate() {
        let xor = value.to_bits() ^ previous;
        previous = value.to_bits();
        let (below, length) = middle(xor);
        out[at + index] = (below << 4 | length) as u8;
        out.extend_from_slice(&(xor >> (8 * below)).to_le_bytes()[..length]);
    }
}

fn decode_xor(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut bits = 0;
    for &code in reader.take(count)? {
        let (below, length) = (usize::from(code >> 4), usize::from(code & 15));
        if below + length > 8 {
            return None;
        }
        let mut xor = [0; 8];
        xor[below..below + length].copy_from_slice(reader.take(length)?);
        bits ^= u64::from_le_bytes(xor);
        out.push(f64::from_bits(bits));
    }
    Some(())
}

/// Runs of equal specials, each with the number of other values before it.
fn encode_specials(values: &[f64], out: &mut Vec<u8>) {
    let mut runs: Vec<(usize, usize, u64)> = Vec::new();
    let mut end = 0;
    for (place, value) in values.iter().enumerate().filter(|(_, value)| is_special(**value)) {
        let bits = value.to_bits();
        match runs.last_mut() {
            Some((_, length, of)) if end == place && *of == bits => *length += 1,
            _ => runs.push((place - end, 1, bits)),
        }
        end = place + 1;
    }
    put_uvarint(out, runs.len() as u64);
    for (gap, length, bits) in runs {
        put_uvarint(out, gap as u64);
        put_uvarint(out, length as u64);
        match SPECIALS.iter().position(|special| *special == bits) {
            Some(code) => out.push(code as u8),
            None => {
                out.push(SPECIALS.len() as u8);
                out.extend_from_slice(&bits.to_le_bytes());
            }
        }
    }
}

fn decode_specials(reader: &mut Reader<'_>, out: &mut [f64]) -> Option<()> {
    let mut rest = out;
    for _ in 0..reader.count()? {
        let (gap, length) = (usize::try_from(reader.uvarint()?).ok()?, usize::try_from(reader.uvarint()?).ok()?);
        let code = usize::from(reader.u8()?);
        let bits = match SPECIALS.get(code) {
            Some(bits) => *bits,
            None if code == SPECIALS.len() => reader.u64_le()?,
            None => return None,
        };
        let (run, behind) = rest.split_at_mut_checked(gap)?.1.split_at_mut_checked(length)?;
        run.fill(f64::from_bits(bits));
        rest = behind;
    }
    Some(())
}

/// What a column of one value throughout holds; `None` for any other. Readers need no column for it.
pub fn constant(bytes: &[u8]) -> Option<f64> {
    let mut reader = Reader::new(bytes);
    let head = reader.u8()?;
    match (head & FLAG_SPECIALS, head >> 4 & 7) {
        (0, CONST_BITS) => reader.f64_le(),
        (0, CONST_DECIMAL) => Some(unscaled(reader.varint()?, usize::from(head & 15))),
        _ => None,
    }
}

/// False if no value of a column is a NaN (a stale marker, say), an infinity or -0.0. Told by its head, for nothing.
pub fn has_specials(bytes: &[u8]) -> bool {
    match bytes.first() {
        None => false,
        Some(head) if head & FLAG_SPECIALS != 0 => true,
        Some(head) if head >> 4 == CONST_BITS => constant(bytes).is_none_or(is_special),
        Some(_) => false,
    }
}

/// Appends the `count` values of a column to `out` and gives the number of bytes read.
///
/// # Errors
/// When the bytes cannot have been written; `out` may then have more values than before, never more than `count`.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<usize, CodecError> {
    let mut reader = Reader::new(bytes);
    let before = out.len();
    match decode_column(&mut reader, count, out) {
        Some(()) if out.len() - before == count => Ok(bytes.len() - reader.remaining()),
        _ => Err(CodecError::at(bytes, &reader, "values that cannot be decoded")),
    }
}

fn decode_column(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let before = out.len();
    let head = reader.u8()?;
    let scale = usize::from(head & 15);
    match head >> 4 & 7 {
        CONST_BITS => {
            let value = reader.f64_le()?;
            out.resize(before + count, value);
        }
        CONST_DECIMAL => {
            let value = unscaled(reader.varint()?, scale);
            out.resize(before + count, value);
        }
        DECIMAL => decode_decimals(reader, count, scale, out)?,
        NEAR_DECIMAL => {
            decode_decimals(reader, count, scale, out)?;
            let mut at = before;
            in_blocks(reader, count, |errors| {
                for (value, error) in out[at..].iter_mut().zip(errors) {
                    *value = f64::from_bits(bits_of(ordered(value.to_bits(), 0).wrapping_add(*error), 0));
                }
                at += errors.len();
            })?;
        }
        BITS => {
            let shift = u32::from(reader.u8()?);
            if shift > 63 {
                return None;
            }
            in_blocks(reader, count, |block| {
                out.extend(block.iter().map(|&integer| f64::from_bits(bits_of(integer, shift))));
            })?;
        }
        XOR => decode_xor(reader, count, out)?,
        _ => return None,
    }
    if head & FLAG_SPECIALS != 0 {
        decode_specials(reader, &mut out[before..])?;
    }
    Some(())
}

fn decode_decimals(reader: &mut Reader<'_>, count: usize, scale: usize, out: &mut Vec<f64>) -> Option<()> {
    out.reserve(count.min(reader.remaining().saturating_mul(BLOCK)));
    let power = POWERS[scale];
    if scale == 0 {
        return in_blocks(reader, count, |block| out.extend(block.iter().map(|&integer| integer as f64)));
    }
    in_blocks(reader, count, |block| {
        // The reverse of the rounding trick: exact below 2^51, which all scaled integers are.
        let float = |integer: i64| f64::from_bits((integer as u64).wrapping_add(ROUNDER.to_bits())) - ROUNDER;
        out.extend(block.iter().map(|&integer| float(integer) / power));
    })
}

fn in_blocks(reader: &mut Reader<'_>, count: usize, mut take: impl FnMut(&[i64])) -> Option<()> {
    let mut decoder = ints::Decoder::new(reader, count)?;
    let mut block = [0; BLOCK];
    loop {
        match decoder.next(&mut block)? {
            0 => return Some(()),
            count => take(&block[..count]),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let mut bytes = vec![1, 2, 3];
        encode(values, &mut bytes);
        let mut got = vec![0.5];
        assert_eq!(decode(&bytes[3..], values.len(), &mut got), Ok(bytes.len() - 3), "{values:?}");
        assert_eq!(got.len(), values.len() + 1);
        for (got, expected) in got[1..].iter().zip(values) {
            assert_eq!(got.to_bits(), expected.to_bits(), "in {values:?}");
        }
        bytes.split_off(3)
    }

    /// Values as metrics have them, and any bits at all.
    pub(crate) fn any_column() -> impl Strategy<Value = Vec<f64>> {
        let bits = prop_oneof![
            8 => any::<u64>(),
            1 => Just(STALE_NAN_BITS),
            1 => Just(NORMAL_NAN_BITS),
            1 => Just(NEGATIVE_ZERO),
            1 => Just(f64::INFINITY.to_bits()),
        ];
        let element = (0_usize..8, -1000_i64..1000, bits);
        (proptest::collection::vec(element, 0..300), 0_usize..8, 0_usize..17).prop_map(|(list, rare, scale)| {
            let mut sum = 0.0;
            list.into_iter()
                .map(|(which, small, bits)| {
                    let decimal = small as f64 / 10_f64.powi(scale as i32);
                    sum += decimal;
                    match (which, rare) {
                        (0, 0) => f64::from_bits(bits),
                        (_, 1) => f64::from_bits(bits),
                        (_, 2) => sum,
                        (_, 3) => f64::from((decimal * 0.37) as f32),
                        (_, 4) => (small * 4096) as f64,
                        (1, 5) => 0.1 + 0.2,
                        (_, 6) => small as f64 * 1e12,
                        _ => decimal,
                    }
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn columns_survive_bit_for_bit(values in any_column()) {
            encoded(&values);
            if values.len() > 1 {
                prop_assert_eq!(constant(&encoded(&values)).map(f64::to_bits),
                    values.iter().all(|value| value.to_bits() == values[0].to_bits()).then(|| values[0].to_bits()));
            }
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..100), count in 0_usize..600, kind: u8) {
            let _ = decode(&bytes, count, &mut Vec::new());
            let mut bytes = bytes;
            if let Some(head) = bytes.first_mut() {
                *head = kind;
            }
            let mut out = Vec::new();
            let _ = decode(&bytes, count, &mut out);
            prop_assert!(out.len() <= count);
        }

        #[test]
        fn damaged_columns_decode_or_not(values in any_column(), place: usize, bit in 0_u8..8, cut: usize) {
            let mut bytes = encoded(&values);
            if !bytes.is_empty() {
                let place = place % bytes.len();
                bytes[place] ^= 1 << bit;
                let _ = decode(&bytes, values.len(), &mut Vec::new());
                bytes.truncate(cut % bytes.len());
                let _ = decode(&bytes, values.len(), &mut Vec::new());
            }
        }
    }

    #[test]
    fn columns_are_small() {
        let of = |value: &dyn Fn(i64) -> f64| encoded(&(0..480).map(value).collect::<Vec<_>>()).len();
        assert!(of(&|_| 42.0) <= 2);
        assert!(of(&|_| 0.1 + 0.2) <= 9);
        assert!(of(&|i| i as f64) <= 20, "{}", of(&|i| i as f64));
        assert!(of(&|i| (i * i % 7) as f64 / 100.0) <= 480 * 4 / 8 + 20);
        // A page count in bytes costs what the count costs.
        assert!(of(&|i| (i * i % 7 * 4096) as f64) <= 480 * 4 / 8 + 20);
        // One restart of a counter.
        assert!(of(&|i| if i < 200 { 1e9 + i as f64 } else { (i - 200) as f64 }) <= 60);
    }
}
