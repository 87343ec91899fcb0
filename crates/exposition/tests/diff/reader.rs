//! Reads a body twice, by its difference to another and alone, and compares: also what `fuzz/` calls.

#![allow(clippy::unwrap_used, reason = "tests")]

use exposition::{
    Entry, Format, Parser, Reading,
    diff::{Base, Step, Walk},
};

/// One sample, all of it: what labels it has, its value bit for bit, its timestamp and its exemplar.
type Read = (String, u64, Option<i64>, String);

fn plain(body: &[u8], format: Format) -> Result<Vec<Read>, String> {
    let mut samples = Vec::new();
    for entry in Parser::new(body, format).map_err(|fault| fault.to_string())? {
        if let Entry::Sample(sample) = entry.map_err(|fault| fault.to_string())? {
            let labels = sample.labels().map_err(|fault| fault.to_string())?.to_string();
            samples.push((labels, sample.value.to_bits(), sample.timestamp_ms, format!("{:?}", sample.exemplar)));
        }
    }
    Ok(samples)
}

/// What a reader of steps remembers: the body, and of each of its samples labels and value.
#[derive(Clone, Default)]
pub(crate) struct Reader {
    base: Base,
    samples: Vec<Read>,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) kept: usize,
    pub(crate) known: usize,
    pub(crate) new: usize,
    pub(crate) unsure: bool,
}

impl Reader {
    /// Reads a body, quickly where that can be done; `Err` is its first fault.
    pub(crate) fn read(&mut self, body: &[u8], format: Format) -> (Result<(), String>, Told) {
        let mut told = Told::default();
        let mut lines = Vec::new();
        let mut read = None;
        if Walk::comparable(&self.base, body, format) {
            read = Self::collect(&self.samples, Walk::quick(&self.base, body, format, &mut lines), &mut told, true);
            told.unsure = read.is_none();
        }
        let read = match read {
            Some(read) => read,
            None => Walk::careful(&self.base, body, format, &mut lines)
                .map_err(|fault| fault.to_string())
                .and_then(|walk| Self::collect(&self.samples, walk, &mut Told::default(), false).unwrap()),
        };
        let done = match read {
            Ok(samples) => {
                self.samples = samples;
                self.base.replace(&mut body.to_vec(), &lines, format);
                assert_eq!(self.base.len(), self.samples.len());
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        (done, told)
    }

    /// The samples; `None` if a quick walk was not sure, or if it met a key that is none: it does not count lines.
    fn collect(before: &[Read], mut walk: Walk<'_>, told: &mut Told, quick: bool) -> Option<Result<Vec<Read>, String>> {
        let mut samples = Vec::new();
        while let Some(step) = walk.next() {
            match step {
                Step::Kept { first, end } => {
                    told.kept += end - first;
                    samples.extend_from_slice(&before[first..end]);
                }
                Step::Known { line, reading: Reading { value, timestamp_ms, exemplar, .. } } => {
                    told.known += 1;
                    samples.push((before[line].0.clone(), value.to_bits(), timestamp_ms, format!("{exemplar:?}")));
                }
                Step::New(sample) => {
                    told.new += 1;
                    let labels = match sample.labels() {
                        Ok(labels) => labels.to_string(),
                        Err(_) if quick => return None,
                        Err(fault) => return Some(Err(fault.to_string())),
                    };
                    samples.push((
                        labels,
                        sample.value.to_bits(),
                        sample.timestamp_ms,
                        format!("{:?}", sample.exemplar),
                    ));
                }
                Step::Entry(_) => {}
                Step::Fault(fault) => return Some(Err(fault.to_string())),
                Step::Unsure => return None,
            }
        }
        Some(Ok(samples))
    }
}

/// What the reader makes of `after` is what the parser reads alone.
pub(crate) fn same_from(reader: &mut Reader, after: &[u8], format: Format) -> Told {
    let (done, told) = reader.read(after, format);
    match (plain(after, format), done) {
        (Ok(expected), Ok(())) => assert_eq!(reader.samples, expected, "in {:?}", String::from_utf8_lossy(after)),
        (Err(expected), Err(fault)) => assert_eq!(fault, expected, "in {:?}", String::from_utf8_lossy(after)),
        (expected, done) => {
            panic!("plain {expected:?}, by difference {done:?}, in {:?}", String::from_utf8_lossy(after))
        }
    }
    told
}
