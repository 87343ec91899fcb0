//! Logarithms with the digits that Go's give: the platform's differ in the last one now and then.
//!
//! Source: the algorithm of FreeBSD's `e_log.c` (reduction to `2^k * (1 + f)`, then a polynomial in `f / (2 + f)`), which
//! Go's `math` documents as its own; `log2` and `log10` as Go derives them from it.

#![expect(clippy::excessive_precision, reason = "the constants as they are published")]

use std::f64::consts::{LOG2_E, LOG10_2, SQRT_2};

/// ln 2 in two parts, the first with zeros at its end, so that its product with an exponent is exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238_164_90e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
/// Coefficients of the polynomial.
const L1: f64 = 6.666_666_666_666_735_130e-1;
const L2: f64 = 3.999_999_999_940_941_908e-1;
const L3: f64 = 2.857_142_874_366_239_149e-1;
const L4: f64 = 2.222_219_843_214_978_396e-1;
const L5: f64 = 1.818_357_216_161_805_012e-1;
const L6: f64 = 1.531_383_769_920_937_332e-1;
const L7: f64 = 1.479_819_860_511_658_591e-1;

const TWO_TO_52: f64 = (1_u64 << 52) as f64;

/// A finite number, not zero, as a fraction in `[0.5, 1)` with its sign, and an exponent.
fn split(value: f64) -> (f64, i32) {
    let (value, shift) = if value.abs() < f64::MIN_POSITIVE { (value * TWO_TO_52, -52) } else { (value, 0) };
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent + shift)
}

/// Natural logarithm.
pub(crate) fn ln(value: f64) -> f64 {
    if value.is_nan() || value == f64::INFINITY {
        return value;
    }
    if value < 0.0 {
        return f64::NAN;
    }
    if value == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut fraction, mut exponent) = split(value);
    if fraction < SQRT_2 / 2.0 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, f64::from(exponent));
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (L1 + s4 * (L3 + s4 * (L5 + s4 * L7)));
    let even = s4 * (L2 + s4 * (L4 + s4 * L6));
    let half_square = 0.5 * f * f;
    k * LN_2_HIGH - ((half_square - (s * (half_square + (odd + even)) + k * LN_2_LOW)) - f)
}

/// Logarithm to base 2; exact for powers of two.
pub(crate) fn log2(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return ln(value);
    }
    let (fraction, exponent) = split(value);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * LOG2_E + f64::from(exponent)
}

/// Logarithm to base 10.
pub(crate) fn log10(value: f64) -> f64 {
    log2(value) * LOG10_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_and_recorded_answers() {
        for (value, expected) in [(0.0, f64::NEG_INFINITY), (-0.0, f64::NEG_INFINITY), (f64::INFINITY, f64::INFINITY)] {
            for function in [ln, log2, log10] {
                assert_eq!(function(value), expected, "of {value}");
            }
        }
        for value in [-1.0, f64::NEG_INFINITY, f64::NAN] {
            assert!(ln(value).is_nan() && log2(value).is_nan() && log10(value).is_nan(), "of {value}");
        }
        for exponent in [-1074, -1022, -1, 0, 1, 52, 1023] {
            let power = if exponent < -1022 { f64::from_bits(1) } else { 2_f64.powi(exponent) };
            assert_eq!(log2(power), f64::from(exponent));
        }
        // As Prometheus answered.
        assert_eq!(log2(61e6) + log10(61e6), 33.647_635_741_897_82);
        assert_eq!(log2(4e8) + log10(4e8), 37.177_484_750_426_856);
    }

    proptest! {
        #[test]
        fn close_to_the_platforms(bits in 1_u64..0x7ff0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            for (ours, theirs) in [(ln(value), value.ln()), (log2(value), value.log2()), (log10(value), value.log10())] {
                prop_assert!((ours - theirs).abs() <= theirs.abs() * 1e-15 + 1e-16, "of {}: {} and {}", value, ours, theirs);
            }
        }
    }
}
