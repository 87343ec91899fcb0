//! Inverse functions with the digits that Go's give, which lose some near the ends of their range where the platform's do not,
//! and the other way round.
//!
//! Source: the identities that Go's `math` documents: arc sine and cosine by the arc tangent, inverse hyperbolic functions
//! by `ln(1 + x)`, as in FreeBSD's `e_acosh.c` and `e_atanh.c`.

use std::f64::consts::{FRAC_PI_2, LN_2};

/// From here on squares are so much larger than 1 that adding it changes nothing.
const LARGE: f64 = (1_u64 << 28) as f64;

pub(crate) fn asin(value: f64) -> f64 {
    let x = value.abs();
    if x == 0.0 || x.is_nan() {
        return value;
    }
    if x > 1.0 {
        return f64::NAN;
    }
    let other = (1.0 - x * x).sqrt();
    let angle = if x > 0.7 { FRAC_PI_2 - (other / x).atan() } else { (x / other).atan() };
    angle.copysign(value)
}

pub(crate) fn acos(value: f64) -> f64 {
    FRAC_PI_2 - asin(value)
}

pub(crate) fn asinh(value: f64) -> f64 {
    // Its square would be beyond all numbers; NaN and the infinities are their own.
    if value.is_finite() && value.abs() >= LARGE { (value.abs().ln() + LN_2).copysign(value) } else { value.asinh() }
}

pub(crate) fn acosh(x: f64) -> f64 {
    if x < 1.0 || x.is_nan() {
        f64::NAN
    } else if x == 1.0 {
        0.0
    } else if x >= LARGE {
        x.ln() + LN_2
    } else if x > 2.0 {
        (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln()
    } else {
        let beyond = x - 1.0;
        (beyond + (2.0 * beyond + beyond * beyond).sqrt()).ln_1p()
    }
}

pub(crate) fn atanh(value: f64) -> f64 {
    let x = value.abs();
    let result = if x.is_nan() || x > 1.0 {
        return f64::NAN;
    } else if x < 1.0 / LARGE {
        x
    } else if x < 0.5 {
        let twice = x + x;
        0.5 * (twice + twice * x / (1.0 - x)).ln_1p()
    } else {
        0.5 * ((x + x) / (1.0 - x)).ln_1p()
    };
    result.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_ends_and_beyond() {
        for (function, value, expected) in [
            (asin as fn(f64) -> f64, 0.0, 0.0),
            (asin, 1.0, FRAC_PI_2),
            (asin, -1.0, -FRAC_PI_2),
            (asin, 1.5, f64::NAN),
            (asin, 0.5, std::f64::consts::FRAC_PI_6),
            (acos, 1.0, 0.0),
            (acos, -1.0, std::f64::consts::PI),
            (acos, f64::INFINITY, f64::NAN),
            (acosh, 1.0, 0.0),
            (acosh, 0.5, f64::NAN),
            (acosh, f64::INFINITY, f64::INFINITY),
            (acosh, 1.5, 0.962_423_650_119_206_9),
            (acosh, 3.0, 1.762_747_174_039_086),
            (acosh, 1e300, 691.468_675_078_773_7),
            (asinh, 1.7e308, 710.419_984_073_788_1),
            (asinh, -1.7e308, -710.419_984_073_788_1),
            (asinh, 0.5, 0.481_211_825_059_603_4),
            (asinh, f64::NEG_INFINITY, f64::NEG_INFINITY),
            (atanh, 0.25, 0.255_412_811_882_995_36),
            (atanh, -0.75, -0.972_955_074_527_656_6),
            (atanh, 1.0, f64::INFINITY),
            (atanh, -1.0, f64::NEG_INFINITY),
            (atanh, 1.5, f64::NAN),
            (atanh, 1e-10, 1e-10),
            // The same digits on both sides of zero, however near the end.
            (atanh, -(1.0 - f64::EPSILON), -18.368_400_284_838_55),
            (atanh, 1.0 - f64::EPSILON, 18.368_400_284_838_55),
        ] {
            let got = function(value);
            let same = got == expected || got.is_nan() && expected.is_nan();
            assert!(same || ((got - expected) / expected).abs() < 1e-15, "{value}: {got}, not {expected}");
        }
        assert!(atanh(-0.0).is_sign_negative() && asin(-0.0).is_sign_negative());
    }
}
