//! Numbers in JSON as Go's encoder writes them: `2` where others write `2.0`.

use serde::Serializer;

/// Largest whole number below which every whole number is a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// For `#[serde(serialize_with = "…")]` on floats.
///
/// # Errors
/// Those of the serializer.
pub fn go_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.trunc() == *value && value.abs() < EXACT_MAX {
        // Within the bounds of an i64 by the check above.
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}
