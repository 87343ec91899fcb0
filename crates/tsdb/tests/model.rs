//! The same operations on the engine and on maps.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, labels, options, read, read_all, text};
use model::{FloatHistogram, MatchOp, Matcher, SampleValue};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use storage::{AppendReport, Ingest, Layout, Presence, Queryable, Row, SelectHints, SeriesSamples};
use tsdb::Tsdb;

const SERIES: usize = 5;
const RANGE_MS: i64 = 100;

#[derive(Clone, Debug)]
enum Operation {
    /// A row of all series, so much later than the newest sample; bits of the second say which are present.
    Row(i64, u8, Vec<SampleValue>),
    /// One sample, so much later than the newest.
    Single(usize, i64, SampleValue),
    /// Samples of the series, so much later than the newest, by the numbers of the series.
    Column(Vec<(usize, i64, i8)>),
    Delete(i64, i64, usize),
    Maintain,
    Reopen,
    Clean,
    /// Begins to read, maintains, then reads what was there at the beginning.
    ReadDuringMaintenance,
    Snapshot,
}

fn value() -> impl Strategy<Value = SampleValue> {
    prop_oneof![
        4 => (-5_i64..5).prop_map(|v| SampleValue::Float(v as f64)),
        1 => Just(SampleValue::Float(model::stale::STALE_NAN)),
        1 => any::<u64>().prop_map(|bits| SampleValue::Float(f64::from_bits(bits))),
        1 => (0_i64..3).prop_map(|count| SampleValue::Histogram(Arc::new(FloatHistogram {
            count: count as f64,
            positive_buckets: vec![count as f64],
            positive_spans: vec![model::histogram::Span { offset: 1, length: 1 }],
            ..FloatHistogram::default()
        }))),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (-20_i64..60, any::<u8>(), proptest::collection::vec(value(), SERIES)).prop_map(|(a, b, c)| Operation::Row(a, b, c)),
        8 => (0..SERIES, -150_i64..60, value()).prop_map(|(a, b, c)| Operation::Single(a, b, c)),
        8 => proptest::collection::vec((0..SERIES, -150_i64..90, -3_i8..3), 1..12).prop_map(Operation::Column),
        2 => (-300_i64..300, 0_i64..200, 0..SERIES).prop_map(|(a, b, c)| Operation::Delete(a, a + b, c)),
        4 => Just(Operation::Maintain),
        2 => Just(Operation::Reopen),
        1 => Just(Operation::Clean),
        2 => Just(Operation::ReadDuringMaintenance),
        1 => Just(Operation::Snapshot),
    ]
}

/// What the engine should hold and take.
#[derive(Default)]
struct Expected {
    content: Content,
    last: BTreeMap<usize, (i64, String)>,
    max_ms: Option<i64>,
    cut_ms: Option<i64>,
}

impl Expected {
    fn min_valid_ms(&self) -> Option<i64> {
        self.cut_ms.max(self.max_ms.map(|max| max - RANGE_MS / 2))
    }

    /// Without an out-of-order window.
    fn append(
        &mut self,
        series: usize,
        time: i64,
        value: &SampleValue,
        min_valid_ms: Option<i64>,
        report: &mut AppendReport,
    ) {
        let value = text(value);
        if min_valid_ms.is_some_and(|min| time < min) {
            report.samples_too_old += 1;
            return;
        }
        match self.last.get(&series) {
            Some((last, old)) if time == *last && *old == value => return,
            Some((last, _)) if time == *last => {
                report.samples_duplicate += 1;
                return;
            }
            Some((last, _)) if time < *last => {
                report.samples_out_of_order += 1;
                return;
            }
            _ => {}
        }
        report.samples_appended += 1;
        self.insert(series, time, value.clone());
        self.last.insert(series, (time, value));
    }

    fn insert(&mut self, series: usize, time: i64, value: String) {
        self.content.entry(labels(series).to_string()).or_default().entry(time).or_insert(value);
        self.max_ms = self.max_ms.max(Some(time));
    }

    fn delete(&mut self, start_ms: i64, end_ms: i64, series: usize) {
        if let Some(samples) = self.content.get_mut(&labels(series).to_string()) {
            samples.retain(|time, _| !(start_ms..=end_ms).contains(time));
        }
        self.content.retain(|_, samples| !samples.is_empty());
    }

    fn maintained(&mut self) {
        let cut_ms = self.max_ms.map(|max| (max - RANGE_MS / 2).div_euclid(RANGE_MS) * RANGE_MS);
        self.cut_ms = self.cut_ms.max(cut_ms);
    }
}

fn make_layout(engine: &Tsdb) -> Layout {
    let all: Vec<_> = (0..SERIES).map(labels).collect();
    let layout = engine.layout(&all).unwrap();
    assert_eq!(layout.series, engine.layout(&all).unwrap().series, "the same labels are the same series");
    layout
}

fn run(operations: Vec<Operation>, window_ms: i64) {
    let dir = tempfile::tempdir().unwrap();
    let has_checkpoints = operations.len().is_multiple_of(2);
    let open = || {
        let options = tsdb::TsdbOptions {
            out_of_order_window_ms: window_ms,
            checkpoint_log_bytes: if has_checkpoints { 1 } else { u64::MAX },
            ..options(dir.path())
        };
        Tsdb::open(options).unwrap()
    };
    let mut engine = open();
    let mut layout = make_layout(&engine);
    let mut expected = Expected::default();
    for (number, operation) in operations.into_iter().enumerate() {
        let newest = expected.max_ms.unwrap_or(0);
        match operation {
            Operation::Row(later, mask, values) => {
                let time = newest + later;
                let floats: Vec<f64> = values
                    .iter()
                    .map(|value| if let SampleValue::Float(value) = value { *value } else { 0.0 })
                    .collect();
                let histograms: Vec<_> = (values.iter().enumerate())
                    .filter_map(|(at, value)| match value {
                        SampleValue::Histogram(histogram) => Some((at as u32, Arc::clone(histogram))),
                        SampleValue::Float(_) => None,
                    })
                    .collect();
                // The last series brings a time of its own.
                let own = [(SERIES as u32 - 1, time + 1)];
                let row = Row {
                    layout: &layout,
                    timestamp_ms: time,
                    values: &floats,
                    presence: Presence::Bitmap(&[u64::from(mask)]),
                    histograms: &histograms,
                    own_timestamps: &own,
                    start_timestamps: &[],
                    changed: None,
                    exemplars: &[],
                };
                if window_ms > 0 && later <= 0 {
                    continue;
                }
                let report = engine.append_rows(&[row]).unwrap();
                let mut model_report = AppendReport::default();
                let min_valid_ms = expected.min_valid_ms();
                for (at, value) in values.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
                    let time = if at == SERIES - 1 { time + 1 } else { time };
                    expected.append(at, time, value, min_valid_ms, &mut model_report);
                }
                assert_eq!(report, model_report, "row at {time}");
            }
            Operation::Single(series, later, value) => {
                let time = newest + later;
                let one = SeriesSamples {
                    labels: labels(series),
                    samples: vec![(time, value.clone())],
                    exemplars: vec![],
                    start_timestamps: Vec::new(),
                };
                let report = engine.append_series(&[one]).unwrap();
                if window_ms == 0 {
                    let mut model_report = AppendReport::default();
                    expected.append(series, time, &value, expected.min_valid_ms(), &mut model_report);
                    assert_eq!(AppendReport { series_created: 0, ..report }, model_report, "sample at {time}");
                } else if report.samples_appended == 1 {
                    assert!(expected.max_ms.is_none_or(|max| time >= max - window_ms), "{time} is behind the window");
                    expected.insert(series, time, text(&value));
                    if expected.last.get(&series).is_none_or(|(last, _)| *last < time) {
                        expected.last.insert(series, (time, text(&value)));
                    }
                } else if report.samples_too_old == 0 {
                    assert!(expected.last.contains_key(&series), "nothing speaks against {time}");
                }
            }
            Operation::Column(mut list) => {
                let last_ms = |expected: &Expected, series| expected.last.get(&series).map(|(time, _)| *time);
                // With a window, what becomes of the newest itself depends on whether it is in a block already.
                list.retain(|(series, later, _)| window_ms == 0 || last_ms(&expected, *series) != Some(newest + later));
                let ids: Vec<_> = list.iter().map(|(series, ..)| layout.series[*series]).collect();
                let times: Vec<i64> = list.iter().map(|(_, later, _)| newest + later).collect();
                let values: Vec<f64> = list.iter().map(|(.., value)| f64::from(*value)).collect();
                let report = engine.append_samples(&ids, &times, &values).unwrap();
                let (min_valid_ms, max_ms) = (expected.min_valid_ms(), expected.max_ms);
                let mut model_report = AppendReport::default();
                for ((series, ..), (time, value)) in list.iter().zip(times.iter().zip(&values)) {
                    let value = SampleValue::Float(*value);
                    if window_ms == 0 {
                        expected.append(*series, *time, &value, min_valid_ms, &mut model_report);
                        continue;
                    }
                    let last = last_ms(&expected, *series);
                    let in_order = last.is_none_or(|last| last < *time) && min_valid_ms.is_none_or(|min| min <= *time);
                    if in_order || (last != Some(*time) && max_ms.is_none_or(|max| *time >= max - window_ms)) {
                        expected.insert(*series, *time, text(&value));
                        if last.is_none_or(|last| last < *time) {
                            expected.last.insert(*series, (*time, text(&value)));
                        }
                    }
                }
                if window_ms == 0 {
                    assert_eq!(report, model_report, "column at {newest}");
                }
            }
            Operation::Delete(start, end, series) => {
                let (start, end) = (newest + start, newest + end);
                let matcher = Matcher::new("s", MatchOp::Regex, format!("{series}|x"));
                engine.delete_series(start, end, &[matcher]).unwrap();
                expected.delete(start, end, series);
            }
            Operation::Maintain => {
                engine.maintain().unwrap();
                expected.maintained();
            }
            Operation::Reopen => {
                drop(layout);
                drop(engine);
                engine = open();
                layout = make_layout(&engine);
            }
            Operation::Clean => {
                engine.clean_tombstones().unwrap();
                assert!(engine.blocks().iter().all(|block| block.tombstones == 0));
            }
            Operation::ReadDuringMaintenance => {
                let querier = engine.querier(i64::MIN, i64::MAX).unwrap();
                engine.maintain().unwrap();
                expected.maintained();
                let mut samples = 0;
                for series in querier.select(&SelectHints::default(), &[]).unwrap() {
                    let mut into = storage::Samples::default();
                    series.unwrap().read(&mut into).unwrap();
                    samples += into.len();
                }
                assert_eq!(samples, expected.content.values().map(BTreeMap::len).sum::<usize>());
            }
            Operation::Snapshot => {
                let target = tempfile::tempdir().unwrap();
                let target = target.path().join(number.to_string());
                engine.snapshot(&target, false).unwrap();
                let copy = Tsdb::open(options(&target)).unwrap();
                assert_eq!(read_all(&copy), expected.content, "in the snapshot");
                assert_eq!(copy.damage(), []);
            }
        }
        assert_eq!(read_all(&engine), expected.content, "after operation {number}");
        assert_eq!(engine.damage(), []);
    }
    let (from, to) = (expected.max_ms.unwrap_or(0) - 130, expected.max_ms.unwrap_or(0) - 20);
    let mut part = expected.content.clone();
    part.values_mut().for_each(|samples| samples.retain(|time, _| (from..=to).contains(time)));
    part.retain(|series, samples| !samples.is_empty() && series.contains("s=\"1\""));
    assert_eq!(read(&*engine, from, to, &[Matcher::equal("s", "1")]), part);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn in_order(operations in proptest::collection::vec(operation(), 1..60)) {
        run(operations, 0);
    }

    #[test]
    fn out_of_order(operations in proptest::collection::vec(operation(), 1..60)) {
        run(operations, 120);
    }
}
