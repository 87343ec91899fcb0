//! Chunks: up to a few hundred samples of one series.

mod histogram;
mod start;
mod xor;
mod xor2;

use crate::bits::BitReader;
use model::FloatHistogram;
use std::sync::Arc;
use storage::Samples;

/// Samples of a chunk that we write: as many as Prometheus puts into one.
pub const SAMPLES_MAX: usize = 120;

/// The byte before a chunk's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Xor,
    Histogram,
    FloatHistogram,
    /// Floats with start timestamps, since Prometheus 3.13.
    Xor2,
    /// Histograms with start timestamps.
    HistogramStart,
    FloatHistogramStart,
}

impl Encoding {
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Encoding::Xor,
            2 => Encoding::Histogram,
            3 => Encoding::FloatHistogram,
            4 => Encoding::Xor2,
            5 => Encoding::HistogramStart,
            6 => Encoding::FloatHistogramStart,
            _ => return None,
        })
    }

    pub fn byte(self) -> u8 {
        match self {
            Encoding::Xor => 1,
            Encoding::Histogram => 2,
            Encoding::FloatHistogram => 3,
            Encoding::Xor2 => 4,
            Encoding::HistogramStart => 5,
            Encoding::FloatHistogramStart => 6,
        }
    }
}

/// Where a chunk stops making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("chunk cannot be decoded at byte {at} of its data")]
pub struct ChunkError {
    pub at: usize,
}

/// Appends the samples of a chunk to `into`, ascending in time.
///
/// # Errors
/// The place where the data end or cannot have been written; `into` is then as it was.
pub fn decode(encoding: Encoding, data: &[u8], into: &mut Samples) -> Result<(), ChunkError> {
    let before = into.len();
    let mut reader = BitReader::new(data);
    let done = match encoding {
        Encoding::Xor => xor::decode(&mut reader, into),
        Encoding::Xor2 => xor2::decode(&mut reader, into),
        Encoding::Histogram => histogram::decode(&mut reader, false, false, into),
        Encoding::FloatHistogram => histogram::decode(&mut reader, true, false, into),
        Encoding::HistogramStart => histogram::decode(&mut reader, false, true, into),
        Encoding::FloatHistogramStart => histogram::decode(&mut reader, true, true, into),
    };
    if done.is_none() || into.timestamps[before..].windows(2).any(|pair| pair[0] >= pair[1]) {
        truncate(into, before);
        return Err(ChunkError { at: reader.byte() });
    }
    Ok(())
}

pub(crate) fn truncate(samples: &mut Samples, length: usize) {
    samples.timestamps.truncate(length);
    samples.values.truncate(length);
    samples.histograms.truncate(length);
    samples.start_timestamps.truncate(length);
}

/// A chunk as it is written.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub encoding: Encoding,
    pub data: Vec<u8>,
    pub min_ms: i64,
    pub max_ms: i64,
    pub samples: usize,
}

/// Calls `put` with the chunks that hold `samples`, ascending in time.
///
/// Histograms are written with integer counts if all counts of the series' samples are whole numbers, as those are
/// that targets expose; else with float counts.
///
/// # Errors
/// What `put` answers.
pub fn encode<E>(samples: &Samples, mut put: impl FnMut(Chunk) -> Result<(), E>) -> Result<(), E> {
    let integer = samples.histograms.iter().flatten().all(|histogram| histogram::is_integer(histogram));
    let mut state = histogram::Runs::default();
    let mut start = 0;
    while start < samples.len() {
        let (end, encoding, data) = if samples.histogram(start).is_some() {
            let run: Vec<(i64, &Arc<FloatHistogram>)> = (start..samples.len())
                .take(SAMPLES_MAX)
                .map_while(|at| Some((*samples.timestamps.get(at)?, samples.histogram(at)?)))
                .collect();
            let (length, data) = state.encode(&run, !integer);
            (start + length, if integer { Encoding::Histogram } else { Encoding::FloatHistogram }, data)
        } else {
            state = histogram::Runs::default();
            let end = (start..samples.len())
                .take(SAMPLES_MAX)
                .find(|&at| samples.histogram(at).is_some())
                .unwrap_or(samples.len().min(start + SAMPLES_MAX));
            (end, Encoding::Xor, xor::encode(&samples.timestamps[start..end], &samples.values[start..end]))
        };
        put(Chunk {
            encoding,
            data,
            min_ms: samples.timestamps[start],
            max_ms: samples.timestamps[end - 1],
            samples: end - start,
        })?;
        start = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
