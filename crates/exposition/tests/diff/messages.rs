//! Reads a body in protobuf twice, by its difference to another and alone, and compares: also what `fuzz/` calls.

#![allow(clippy::unwrap_used, reason = "tests")]

use exposition::protobuf::{
    Family, Fault, Options, Sample, Visit,
    diff::{self, Base, Places},
    walk,
};
use model::SampleValue;
use std::collections::BTreeMap;
use std::ops::Range;

/// One sample, all of it: labels, value bit for bit, timestamp, start, exemplars.
type Read = (String, String, Option<i64>, Option<i64>, String);

/// Collects what is told. Of known samples it takes the labels from those of the base.
#[derive(Default)]
struct Collected<'a> {
    before: &'a [Read],
    samples: Vec<Read>,
    families: Vec<(String, String)>,
    contradictions: usize,
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) kept: usize,
    pub(crate) known: usize,
    pub(crate) new: usize,
    pub(crate) unsure: bool,
}

impl Visit for Collected<'_> {
    type Error = Fault;

    fn family(&mut self, family: &Family<'_>) -> Result<(), Fault> {
        let words = format!("{} {:?} {:?}", family.metric_type.as_str(), family.help, family.unit);
        self.families.push((family.name.to_owned(), words));
        Ok(())
    }

    fn contradiction(&mut self) {
        self.contradictions += 1;
    }

    fn kept(&mut self, samples: Range<usize>) -> Result<(), Fault> {
        self.told.kept += samples.len();
        self.samples.extend_from_slice(&self.before[samples]);
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
        let labels = match sample.known {
            Some(known) => {
                self.told.known += 1;
                self.before[known].0.clone()
            }
            None => {
                self.told.new += 1;
                let empty = sample.series.has_empty_label("a");
                let labels = sample.series.labels().map_err(|message| Fault::Form { at: 0, message })?;
                format!("{labels} {empty}")
            }
        };
        let value = match &sample.value {
            SampleValue::Float(value) => value.to_bits().to_string(),
            SampleValue::Histogram(histogram) => format!("{histogram:?}"),
        };
        let exemplars: Vec<_> = sample.exemplars.iter().map(|exemplar| exemplar.read()).collect();
        self.samples.push((labels, value, sample.timestamp_ms, sample.start_ms, format!("{exemplars:?}")));
        Ok(())
    }
}

/// What a reader remembers: the body, its samples, and of each family what was told last.
#[derive(Default)]
pub(crate) struct Messages {
    base: Base,
    samples: Vec<Read>,
    families: BTreeMap<String, String>,
    /// A body had two families of one name: who is not told twice of one cannot know which was the last.
    ambiguous: bool,
}

impl Messages {
    /// What is made of `body` by its difference to the body before is what it is alone.
    pub(crate) fn same_from(&mut self, body: &[u8], options: &Options) -> Told {
        let mut alone = Collected::default();
        let expected = walk(body, options, &mut alone);
        let names: BTreeMap<&str, &str> = alone.families.iter().map(|(name, words)| (&**name, &**words)).collect();
        self.ambiguous |= names.len() != alone.families.len();

        let mut places = Places::default();
        let mut read = Collected { before: &self.samples, ..Collected::default() };
        let done = diff::walk(&self.base, body, options, &mut places, &mut read);
        assert_eq!(done, expected, "all values of {body:?}");
        assert_eq!(read.samples, alone.samples, "all values of {body:?}");
        assert_eq!(read.families, alone.families, "all values of {body:?}");
        assert_eq!(read.contradictions, alone.contradictions, "all values of {body:?}");

        let mut quick = Collected { before: &self.samples, ..Collected::default() };
        let mut quick_places = Places::default();
        let done = diff::walk_quick(&self.base, body, options, &mut quick_places, &mut quick);
        assert_eq!(done.is_ok(), expected.is_ok(), "by difference {done:?}, alone {expected:?}: {body:?}");
        let mut told = quick.told;
        told.unsure = done.is_err();
        if done.is_err() {
            return told;
        }
        assert_eq!(quick.samples, alone.samples, "by difference {body:?}");
        assert_eq!(quick.contradictions, alone.contradictions, "by difference {body:?}");
        assert_eq!(format!("{places:?}"), format!("{quick_places:?}"), "places in {body:?}");
        assert_eq!(quick_places.samples(), alone.samples.len());
        self.families.extend(quick.families);
        for (name, words) in names {
            let told = self.families.get(name).map(String::as_str);
            assert!(self.ambiguous || told == Some(words), "{name} is {words}, told was {told:?}");
        }
        let samples = quick.samples;
        self.samples = samples;
        self.base.replace(&mut body.to_vec(), &quick_places, options);
        assert_eq!((self.base.len(), self.base.body()), (self.samples.len(), body));
        told
    }
}
