//! Columns of times, in Unix milliseconds.

use super::{CodecError, ints};
use crate::bytes::{Reader, put_uvarint};

/// Appends the column with its length, in any order of times.
pub fn encode(times: &[i64], out: &mut Vec<u8>) {
    put_uvarint(out, times.len() as u64);
    ints::encode(times, out);
}

/// Appends the times of a column to `out` and gives the number of bytes read. Whether they ascend is for the caller
/// to check.
///
/// # Errors
/// When the bytes cannot have been written; `out` may then have more times than before.
pub fn decode(bytes: &[u8], out: &mut Vec<i64>) -> Result<usize, CodecError> {
    let mut reader = Reader::new(bytes);
    let fail = |reader: &Reader<'_>| CodecError::at(bytes, reader, "times that cannot be decoded");
    let count = reader.uvarint().and_then(|count| usize::try_from(count).ok());
    // A block takes at least two bytes.
    let Some(count) = count.filter(|count| *count <= bytes.len().saturating_mul(ints::BLOCK)) else {
        return Err(fail(&reader));
    };
    out.reserve(count);
    let mut block = [0; ints::BLOCK];
    let Some(mut decoder) = ints::Decoder::new(&mut reader, count) else {
        return Err(CodecError { at: 0, what: "times that cannot be decoded" });
    };
    loop {
        match decoder.next(&mut block) {
            Some(0) => break,
            Some(count) => out.extend_from_slice(&block[..count]),
            None => return Err(fail(&reader)),
        }
    }
    Ok(bytes.len() - reader.remaining())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_survive(times in proptest::collection::vec(any::<i64>(), 0..300), step in 0_i64..100_000, jitter in 0_i64..5) {
            let regular: Vec<i64> = (0..times.len() as i64)
                .map(|i| 1_700_000_000_000 + i * step + times[i as usize].rem_euclid(jitter + 1))
                .collect();
            for times in [times, regular] {
                let mut bytes = Vec::new();
                encode(&times, &mut bytes);
                let mut got = Vec::new();
                prop_assert_eq!(decode(&bytes, &mut got), Ok(bytes.len()));
                prop_assert_eq!(got, times);
            }
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn a_regular_column_is_small() {
        let times: Vec<i64> = (0..480).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        let mut bytes = Vec::new();
        encode(&times, &mut bytes);
        assert!(bytes.len() <= 24, "{} bytes", bytes.len());
    }
}
