//! Runs a decoder on damaged bytes, the same ones on every run: what `fuzz/` does without end, in seconds and with any
//! compiler. A decoder may refuse or accept; it must not panic, take long, or ask for much memory.
//!
//! `VIGIE_FUZZ_ROUNDS=100000` runs more of them, `VIGIE_FUZZ_SEED=7` others; `VIGIE_FUZZ_CORPUS=FOLDER` writes what they
//! begin with to `FOLDER/PROGRAM` and runs nothing. What a program of `fuzz/` once found lies in `fuzz/found/PROGRAM` and
//! is run each time.
#![allow(clippy::print_stderr, clippy::panic, reason = "what failed is told to who runs the tests")]

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    time::{Duration, Instant},
};

/// What one input may add to the address space of the process. Frames and records hold 64 MiB at most.
const MEMORY_BYTES_MAX: u64 = 192 << 20;
/// Far more than any of the inputs takes, on a busy machine too.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Inputs do not grow without end, whatever is doubled.
const INPUT_BYTES_MAX: usize = 256 << 10;

/// The same numbers in every run of a seed.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Noise(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`; 0 for 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % (limit.max(1) as u64)) as usize
    }
}

/// Numbers that decoders are tempted to believe: as one byte, as fixed numbers of both orders, as variable length.
const LIES: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];

fn variable(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A damaged copy of one of `seeds`, perhaps with a piece of another.
pub fn damaged(seeds: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = seeds.get(noise.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=noise.below(4) {
        let at = noise.below(bytes.len() + 1);
        match noise.below(10) {
            // One bit, one byte.
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
            2 if at < bytes.len() => bytes[at] = noise.roll() as u8,
            // A length that lies, in the place of what was there.
            3 | 4 => {
                let lie = LIES[noise.below(LIES.len())];
                let form = match noise.below(6) {
                    0 => vec![lie as u8],
                    1 => (lie as u16).to_be_bytes().to_vec(),
                    2 => (lie as u32).to_le_bytes().to_vec(),
                    3 => (lie as u32).to_be_bytes().to_vec(),
                    4 => lie.to_le_bytes().to_vec(),
                    _ => variable(lie),
                };
                let end = (at + noise.below(form.len() + 1)).min(bytes.len());
                bytes.splice(at..end, form);
            }
            // Cut short at the end, or in the middle.
            5 => bytes.truncate(at),
            6 => drop(bytes.drain(at..(at + 1 + noise.below(8)).min(bytes.len()).max(at))),
            // A piece once more.
            7 => {
                let end = (at + noise.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = noise.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            // The beginning of one and the end of another.
            8 => {
                if let Some(other) = seeds.get(noise.below(seeds.len())) {
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[noise.below(other.len() + 1)..]);
                }
            }
            _ => bytes.insert(at, noise.roll() as u8),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

/// The largest address space the process ever had; nothing where the system does not tell.
fn address_space_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What the program `name` once found, in the order of the files' names.
fn found(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/found").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().filter_map(|file| fs::read(file).ok()).collect()
}

/// # Panics
/// Where the folder cannot be written.
fn write_corpus(folder: &Path, seeds: &[Vec<u8>]) {
    let write = |(number, seed): (usize, &Vec<u8>)| fs::write(folder.join(format!("seed-{number:05}")), seed);
    let written = fs::create_dir_all(folder).and_then(|()| seeds.iter().enumerate().try_for_each(write));
    if let Err(error) = written {
        panic!("{}: {error}; name a folder that can be written in VIGIE_FUZZ_CORPUS", folder.display());
    }
}

/// Runs `decode` on the seeds, on what was found before, and on `rounds` damaged copies of both. `name` is the program's
/// in `fuzz/`.
///
/// # Panics
/// Where `decode` does, or takes too much time or memory; the input is printed as hex.
pub fn run(name: &str, seeds: &[Vec<u8>], rounds: u64, mut decode: impl FnMut(&[u8])) {
    assert!(!seeds.is_empty(), "{name}: nothing to begin with");
    let seeds = &[seeds, &found(name)].concat();
    if let Some(folder) = std::env::var_os("VIGIE_FUZZ_CORPUS") {
        return write_corpus(&Path::new(&folder).join(name), seeds);
    }
    let mut noise = Noise::new(number("VIGIE_FUZZ_SEED", 1));
    let mut peak = address_space_peak();
    let mut one = |bytes: &[u8]| {
        let begin = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| decode(bytes)));
        let took = begin.elapsed();
        let after = address_space_peak();
        let grown = after.zip(peak).map_or(0, |(after, before)| after.saturating_sub(before));
        peak = after;
        let fault = match outcome {
            Err(_) => "panics".to_owned(),
            Ok(()) if took > TIME_MAX => format!("takes {took:?}"),
            Ok(()) if grown > MEMORY_BYTES_MAX => format!("takes {grown} bytes of memory"),
            Ok(()) => return,
        };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} {fault} on {} bytes: {hex}", bytes.len());
    };
    for seed in seeds {
        one(seed);
    }
    for _ in 0..number("VIGIE_FUZZ_ROUNDS", rounds) {
        one(&damaged(seeds, &mut noise));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(decode: impl FnMut(&[u8])) -> bool {
        panic::catch_unwind(AssertUnwindSafe(|| run("own", &[vec![2; 16]], 2_000, decode))).is_err()
    }

    #[test]
    fn a_decoder_that_believes_everything_is_found() {
        assert!(!fails(|bytes| assert!(bytes.len() < 1 << 20)));
        // An index, a length, and an end without care.
        assert!(fails(|bytes| assert_ne!(bytes[0], 255)));
        assert!(fails(|bytes| assert!(bytes.get(usize::from(bytes.first().copied().unwrap_or(0))).is_some())));
        assert!(fails(|bytes| {
            let length = bytes.first_chunk::<4>().map_or(0, |first| u32::from_le_bytes(*first));
            drop(Vec::<u8>::with_capacity((length as usize).min(1 << 30)));
        }));
    }

    #[test]
    fn the_same_seed_damages_the_same() {
        let seeds = [vec![1, 2, 3, 4, 5], vec![9; 40]];
        let all = |seed| {
            let mut noise = Noise::new(seed);
            (0..100).map(|_| damaged(&seeds, &mut noise)).collect::<Vec<_>>()
        };
        assert_eq!(all(3), all(3));
        assert_ne!(all(3), all(4));
        assert!(all(3).iter().filter(|bytes| !seeds.contains(bytes)).count() > 80);
    }
}
