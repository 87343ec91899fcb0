//! Values of the log, each told against the one before. See `FORMAT.md`, "Values of the log".

use crate::bytes::{Reader, put_uvarint};

/// Powers of ten with which values may become integers: counts, hundredths (CPU time), milli, micro.
const SCALES: [f64; 4] = [1.0, 1e2, 1e3, 1e6];
/// Differences below this, zigzag, are in the tag.
const SMALL: u64 = 51;
/// Tag for a difference that follows.
const DELTA: u8 = 51;
/// First tag for "these bytes of the XOR differ"; with the two low bits, by length 1…8 and then by zero bytes below.
const XOR: u8 = 52;
/// Integers of this magnitude and above are not exact in a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// What the XOR never needs more bytes for.
const DELTA_MAX: u64 = 1 << 48;

/// The integer that stands for `value` at a scale, if it gives back exactly the same bits.
fn scaled(value: f64, scale: usize) -> Option<i64> {
    let product = value * SCALES[scale];
    if product.is_nan() || product.abs() >= EXACT_MAX {
        return None;
    }
    let integer = if scale == 0 { product as i64 } else { product.round_ties_even() as i64 };
    (unscaled(integer, scale).to_bits() == value.to_bits()).then_some(integer)
}

fn unscaled(integer: i64, scale: usize) -> f64 {
    // Division rounds correctly, multiplication with 0.01 would not.
    if scale == 0 { integer as f64 } else { integer as f64 / SCALES[scale] }
}

pub(crate) fn put(previous: f64, value: f64, out: &mut Vec<u8>) {
    for scale in 0..SCALES.len() {
        let Some(to) = scaled(value, scale) else { continue };
        let Some(from) = scaled(previous, scale) else { continue };
        let delta = to - from;
        let zigzag = ((delta << 1) ^ (delta >> 63)) as u64;
        if zigzag < SMALL {
            out.push((zigzag as u8) << 2 | scale as u8);
            return;
        }
        if zigzag < DELTA_MAX {
            out.push(DELTA << 2 | scale as u8);
            put_uvarint(out, zigzag);
            return;
        }
        break;
    }
    let xor = previous.to_bits() ^ value.to_bits();
    if xor == 0 {
        // Equal values that are no integers: the XOR of no bytes is not among the codes.
        out.push(XOR << 2);
        out.push(0);
        return;
    }
    let below = (xor.trailing_zeros() / 8) as usize;
    let length = 8 - below - (xor.leading_zeros() / 8) as usize;
    // Lengths 1…8 have 8, 7, … 1 possible places.
    let places_before: usize = (1..length).map(|shorter| 9 - shorter).sum();
    out.push((XOR << 2) + (places_before + below) as u8);
    out.extend_from_slice(&xor.to_le_bytes()[below..below + length]);
}

/// The value after `previous`; `None` for bytes that [`put`] cannot have written.
pub(crate) fn take(previous: f64, reader: &mut Reader<'_>) -> Option<f64> {
    let tag = reader.u8()?;
    let (high, scale) = (tag >> 2, usize::from(tag & 3));
    if high <= DELTA {
        let zigzag = if high < DELTA { u64::from(high) } else { reader.uvarint()? };
        let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        return Some(unscaled(scaled(previous, scale)?.checked_add(delta)?, scale));
    }
    let (mut length, mut below) = (1_usize, usize::from(tag - (XOR << 2)));
    while below > 8 - length {
        below -= 9 - length;
        length += 1;
        if length > 8 {
            return None;
        }
    }
    let mut bits = [0; 8];
    bits[below..below + length].copy_from_slice(reader.take(length)?);
    Some(f64::from_bits(previous.to_bits() ^ u64::from_le_bytes(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i64>().prop_map(|v| v as f64),
            (-1000_i64..1000).prop_map(|v| v as f64),
            (any::<i32>(), 0..7).prop_map(|(v, e)| f64::from(v) / 10_f64.powi(e)),
            Just(-0.0),
            Just(model::stale::STALE_NAN),
        ]
    }

    proptest! {
        #[test]
        fn values_survive(values in proptest::collection::vec(value(), 0..50)) {
            let (mut out, mut previous) = (Vec::new(), 0.0);
            for value in &values {
                put(previous, *value, &mut out);
                previous = *value;
            }
            let (mut reader, mut previous) = (Reader::new(&out), 0.0);
            for value in &values {
                let got = take(previous, &mut reader);
                prop_assert_eq!(got.map(f64::to_bits), Some(value.to_bits()));
                previous = *value;
            }
            prop_assert!(reader.is_empty() && out.len() <= values.len() * 9);
        }

        #[test]
        fn anything_may_be_taken(bytes in proptest::collection::vec(any::<u8>(), 0..12), previous in value()) {
            take(previous, &mut Reader::new(&bytes));
        }
    }
}
