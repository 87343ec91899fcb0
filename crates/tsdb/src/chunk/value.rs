//! One float after another, as a code byte and a payload. See `FORMAT.md`, "Values".

use crate::bytes::{Reader, put_varint};

/// The same bits as before.
pub(crate) const CODE_SAME: u8 = 0;
/// A difference of scaled integers follows as a varint.
const CODE_DELTA: u8 = 1;
/// First of the 36 codes for "these bytes of the XOR differ": by length 1…8, then by number of zero bytes below.
const CODE_XOR: u8 = 2;
/// First of the 26 codes that are a difference of scaled integers themselves, -13…12.
const CODE_SMALL: u8 = 38;
const SMALL_MIN: i64 = -13;
const SMALL_MAX: i64 = 12;
/// One more than the largest code: codes fit six bits.
pub(crate) const CODES: u8 = 64;
/// Integers of this magnitude and above are not exact in a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Powers of ten that values may be multiplied with to become integers.
const SCALES: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Largest scale.
pub(crate) const SCALE_MAX: u8 = 9;

fn factor(scale: u8) -> f64 {
    SCALES[usize::from(scale.min(SCALE_MAX))]
}

/// The integer that stands for `value` at `scale`, if it gives back exactly the same bits.
fn scaled(value: f64, scale: u8) -> Option<i64> {
    let product = (value * factor(scale)).round();
    if product.abs() >= EXACT_MAX || product.is_nan() {
        return None;
    }
    let integer = product as i64;
    (unscaled(integer, scale).to_bits() == value.to_bits()).then_some(integer)
}

fn unscaled(integer: i64, scale: u8) -> f64 {
    // Division rounds correctly, multiplication with 0.1 would not.
    integer as f64 / factor(scale)
}

/// The smallest scale at which the most values become integers.
pub(crate) fn best_scale(values: &[f64]) -> u8 {
    let misses = |scale: u8| values.iter().filter(|value| scaled(**value, scale).is_none()).count();
    let mut best = (misses(0), 0);
    for scale in 1..=SCALE_MAX {
        if best.0 == 0 {
            break;
        }
        let missed = misses(scale);
        if missed < best.0 {
            best = (missed, scale);
        }
    }
    best.1
}

/// The code for `value` after `previous`; its payload is appended to `payload`.
pub(crate) fn encode(previous: f64, value: f64, scale: u8, payload: &mut Vec<u8>) -> u8 {
    if previous.to_bits() == value.to_bits() {
        return CODE_SAME;
    }
    if let (Some(from), Some(to)) = (scaled(previous, scale), scaled(value, scale)) {
        let delta = to - from;
        if (SMALL_MIN..=SMALL_MAX).contains(&delta) {
            return CODE_SMALL + (delta - SMALL_MIN) as u8;
        }
        // A varint of up to 7 bytes; beyond that the XOR is never longer.
        if delta.unsigned_abs() < 1 << 48 {
            put_varint(payload, delta);
            return CODE_DELTA;
        }
    }
    let xor = previous.to_bits() ^ value.to_bits();
    let below = (xor.trailing_zeros() / 8) as usize;
    let length = 8 - below - (xor.leading_zeros() / 8) as usize;
    payload.extend_from_slice(&xor.to_le_bytes()[below..below + length]);
    // Lengths 1…8 have 8, 7, … 1 possible places.
    let places_before: usize = (1..length).map(|shorter| 9 - shorter).sum();
    CODE_XOR + (places_before + below) as u8
}

/// The value that `code` and its payload make of `previous`; `None` if they cannot have been written.
pub(crate) fn decode(previous: f64, code: u8, scale: u8, payload: &mut Reader<'_>) -> Option<f64> {
    match code {
        CODE_SAME => Some(previous),
        CODE_DELTA => Some(unscaled(scaled(previous, scale)?.checked_add(payload.varint()?)?, scale)),
        CODE_XOR..CODE_SMALL => {
            let (mut length, mut below) = (1_usize, usize::from(code - CODE_XOR));
            while below > 8 - length {
                below -= 9 - length;
                length += 1;
            }
            let mut bits = [0; 8];
            bits[below..below + length].copy_from_slice(payload.take(length)?);
            Some(f64::from_bits(previous.to_bits() ^ u64::from_le_bytes(bits)))
        }
        CODE_SMALL..CODES => {
            Some(unscaled(scaled(previous, scale)?.checked_add(i64::from(code - CODE_SMALL) + SMALL_MIN)?, scale))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Floats as monitoring has them, and some it should not have.
    pub(crate) fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-1000_i64..1000).prop_map(|v| v as f64),
            (-100_000_i64..100_000).prop_map(|v| v as f64 / 100.0),
            Just(model::stale::STALE_NAN),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(9_007_199_254_740_991.0),
        ]
    }

    proptest! {
        #[test]
        fn values_survive_bit_for_bit(values in proptest::collection::vec(any_value(), 1..50), scale in 0..=SCALE_MAX) {
            let mut payload = Vec::new();
            let mut previous = 0.0;
            let codes: Vec<u8> = values.iter().map(|&value| {
                let code = encode(previous, value, scale, &mut payload);
                previous = value;
                code
            }).collect();
            let mut reader = Reader::new(&payload);
            previous = 0.0;
            for (code, value) in codes.into_iter().zip(&values) {
                prop_assert!(code < CODES);
                previous = decode(previous, code, scale, &mut reader).unwrap();
                prop_assert_eq!(previous.to_bits(), value.to_bits());
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_not(previous in any_value(), code: u8, scale: u8, bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = decode(previous, code, scale, &mut Reader::new(&bytes));
        }
    }

    #[test]
    fn scales() {
        for (values, scale) in [(&[1.0, 2.0][..], 0), (&[0.5, 0.25], 2), (&[0.1, f64::NAN], 1), (&[], 0)] {
            assert_eq!(best_scale(values), scale, "{values:?}");
        }
    }
}
