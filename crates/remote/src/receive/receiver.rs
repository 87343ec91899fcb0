//! Receiving with a memory of the series that came before.

use super::{
    Receipt, ReceiveError, append, checked, decode_bytes, family_of, is_version_2, latest_ms, leave_out_later,
    series_of, settled, uncompressed,
    walk::{Plain, Walked, walk},
};
use crate::proto;
use foldhash::quality::RandomState;
use model::Labels;
use prost::Message;
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use storage::{AppendReport, Ingest, SeriesId, SeriesSamples, StorageError};

/// Series remembered in each of the two generations.
const GENERATION_MAX: usize = 1 << 20;
/// Series that are not sent for so long, at most twice as long, are forgotten.
const GENERATION_AGE: Duration = Duration::from_secs(15 * 60);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Sent as version 2: the answer must carry the headers of the receipt.
    pub version_2: bool,
    pub receipt: Receipt,
}

/// Takes requests for one engine, and knows the series of its senders again by the bytes of their labels. May be
/// shared by threads.
pub struct Receiver {
    known: Mutex<Known>,
    /// Two keyed hashes of 64 bits: nobody outside can make two label sets meet in both.
    keys: [RandomState; 2],
}

/// Numbers of series by hash of their labels' bytes.
struct Known {
    young: Generation,
    old: Generation,
    born: Instant,
}

type Generation = HashMap<u128, SeriesId, foldhash::fast::RandomState>;

impl Default for Receiver {
    fn default() -> Self {
        Receiver {
            known: Mutex::new(Known { young: Generation::default(), old: Generation::default(), born: Instant::now() }),
            keys: [RandomState::default(), RandomState::default()],
        }
    }
}

impl Known {
    fn turn(&mut self) {
        if self.young.len() >= GENERATION_MAX || self.born.elapsed() >= GENERATION_AGE {
            self.old = std::mem::take(&mut self.young);
            self.born = Instant::now();
        }
    }

    fn find(&mut self, hash: u128) -> Option<SeriesId> {
        if let Some(id) = self.young.get(&hash) {
            return Some(*id);
        }
        let id = self.old.remove(&hash)?;
        self.young.insert(hash, id);
        Some(id)
    }
}

impl Receiver {
    /// Takes a request: decodes it and stores what it has. `content_type` and `content_encoding` are the headers'
    /// values, "" if absent. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the request, or why the engine did not take it, or not all of it.
    pub fn receive(
        &self,
        engine: &dyn Ingest,
        content_type: &str,
        content_encoding: &str,
        body: &[u8],
    ) -> Result<Received, ReceiveError> {
        let version_2 = is_version_2(content_type, content_encoding)?;
        let bytes = uncompressed(body)?;
        let latest_ms = latest_ms();
        if !version_2
            && let Some(walked) = walk(&bytes)
            // Samples of the far future are picked out on the ordinary way.
            && walked.timestamps_ms.iter().all(|timestamp_ms| *timestamp_ms <= latest_ms)
            && let Some(receipt) = self.plain(engine, walked)?
        {
            return Ok(Received { version_2, receipt });
        }
        let batch = decode_bytes(version_2, &bytes)?;
        Ok(Received { version_2, receipt: append(engine, batch)? })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, labels: &[u8]) -> u128 {
        let [a, b] = &self.keys;
        let half = |key: &RandomState| {
            let mut hasher = key.build_hasher();
            hasher.write(labels);
            hasher.finish()
        };
        u128::from(half(a)) << 64 | u128::from(half(b))
    }

    /// Stores what was walked through; `None`, with nothing stored, if the ordinary way is the right one.
    fn plain(&self, engine: &dyn Ingest, mut walked: Walked<'_>) -> Result<Option<Receipt>, ReceiveError> {
        // Everything that can be wrong with the request comes before the first sample is stored.
        let mut others: Vec<SeriesSamples> = Vec::with_capacity(walked.others.len());
        let plain = walked.series.len();
        let mut ahead = 0;
        for other in &walked.others {
            let series = proto::TimeSeries::decode(other.message).map_err(super::wrong)?;
            let mut series = series_of(series)?;
            ahead += leave_out_later(&mut series, latest_ms());
            if !series.samples.is_empty() {
                // The order of a series' samples must stay; without a hash nobody can tell whose they are.
                let Some(labels) = other.labels else { return Ok(None) };
                walked.series.push(Plain { labels, samples: 0 });
            }
            others.push(series);
        }
        let mut metadata = Vec::with_capacity(walked.metadata.len());
        for message in &walked.metadata {
            metadata.push(family_of(proto::MetricMetadata::decode(*message).map_err(super::wrong)?));
        }
        let hashes: Vec<u128> = walked.series.iter().map(|series| self.hash(series.labels)).collect();
        let mut report = AppendReport::default();
        if !walked.series.is_empty() {
            let Some(appended) = self.append(engine, &walked, plain, &hashes)? else { return Ok(None) };
            report.add(&appended);
        }
        let mut receipt = Receipt { samples: walked.values.len() as u64, ..Receipt::default() };
        if !others.is_empty() {
            report.add(&engine.append_series(&others)?);
            receipt.add(&others);
        }
        if !metadata.is_empty() {
            engine.append_metadata(&metadata)?;
        }
        receipt.exemplars = report.exemplars_appended;
        settled(report, ahead, receipt).map(Some)
    }

    /// Appends the plain series, so many of those walked through; `None`, with nothing stored, if the engine does not
    /// know its own numbers or others have samples of the same series.
    fn append(
        &self,
        engine: &dyn Ingest,
        walked: &Walked<'_>,
        plain: usize,
        hashes: &[u128],
    ) -> Result<Option<AppendReport>, ReceiveError> {
        for _attempt in 0..2 {
            let ids = self.numbers(engine, &walked.series, hashes)?;
            let (own, other) = ids.split_at(plain.min(ids.len()));
            if !other.is_empty() {
                let other: HashSet<&SeriesId> = other.iter().collect();
                if own.iter().any(|id| other.contains(id)) {
                    return Ok(None);
                }
            }
            let samples = walked.series.iter().zip(&ids);
            let column: Vec<SeriesId> =
                samples.flat_map(|(series, id)| std::iter::repeat_n(*id, series.samples)).collect();
            match engine.append_samples(&column, &walked.timestamps_ms, &walked.values) {
                Ok(report) => return Ok(Some(report)),
                // The engine has forgotten series that were not sent for long.
                Err(StorageError::UnknownSeries) => {
                    let mut known = self.known();
                    (known.young, known.old) = (Generation::default(), Generation::default());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// The engine's numbers of series.
    fn numbers(
        &self,
        engine: &dyn Ingest,
        series: &[Plain<'_>],
        hashes: &[u128],
    ) -> Result<Vec<SeriesId>, ReceiveError> {
        let mut ids: Vec<Option<SeriesId>> = {
            let mut known = self.known();
            known.turn();
            hashes.iter().map(|hash| known.find(*hash)).collect()
        };
        let mut places: HashMap<u128, usize> = HashMap::new();
        let mut new: Vec<Labels> = Vec::new();
        for ((series, hash), _) in series.iter().zip(hashes).zip(&ids).filter(|(_, id)| id.is_none()) {
            if let std::collections::hash_map::Entry::Vacant(entry) = places.entry(*hash) {
                let message = proto::TimeSeries::decode(series.labels).map_err(super::wrong)?;
                new.push(checked(message.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())))?);
                entry.insert(new.len() - 1);
            }
        }
        if !new.is_empty() {
            let layout = engine.layout(&new)?;
            let mut known = self.known();
            for (id, hash) in ids.iter_mut().zip(hashes).filter(|(id, _)| id.is_none()) {
                *id = places.get(hash).and_then(|place| layout.series.get(*place)).copied();
                if let Some(id) = id {
                    known.young.insert(*hash, *id);
                }
            }
        }
        // An engine that gives no number is asked for none of them again.
        Ok(ids.into_iter().map(|id| id.unwrap_or(SeriesId(u64::MAX))).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests {
    use super::*;
    use crate::snappy;
    use model::SampleValue;
    use proptest::prelude::*;
    use storage::{Queryable, Samples, SelectHints};
    use tsdb::{Tsdb, TsdbOptions};

    type Content = Vec<(String, Vec<(i64, String)>)>;

    fn content(engine: &Tsdb) -> Content {
        let querier = engine.querier(i64::MIN, i64::MAX).unwrap();
        let series = querier.select(&SelectHints::default(), &[]).unwrap().map(|series| {
            let series = series.unwrap();
            let mut samples = Samples::default();
            series.read(&mut samples).unwrap();
            let text = |at: usize| match samples.value(at) {
                SampleValue::Float(value) => format!("{:x}", value.to_bits()),
                SampleValue::Histogram(histogram) => format!("{histogram:?}"),
            };
            (series.labels().to_string(), (0..samples.len()).map(|at| (samples.timestamps[at], text(at))).collect())
        });
        series.collect()
    }

    fn series() -> impl Strategy<Value = proto::TimeSeries> {
        let label = |name: &str, value: &str| proto::Label { name: name.into(), value: value.into() };
        let samples = proptest::collection::vec((0_i64..40, 0_i64..4), 0..4);
        (0_usize..6, samples, 0_u8..12, 0_i64..40).prop_map(move |(number, samples, extra, time)| {
            let mut labels = vec![label("__name__", "m"), label("n", ["a", "b", "c"][number / 2])];
            if number % 2 == 1 {
                // The same series in other bytes.
                labels.reverse();
            }
            let samples =
                samples.into_iter().map(|(timestamp, value)| proto::Sample::new(timestamp, value as f64)).collect();
            let mut series = proto::TimeSeries { labels, samples, ..proto::TimeSeries::default() };
            match extra {
                0 => series.histograms.push(proto::Histogram { timestamp: time, ..proto::Histogram::default() }),
                1 => series.exemplars.push(proto::Exemplar { timestamp: time, ..proto::Exemplar::default() }),
                2 if time == 0 => series.labels.clear(),
                3 if time == 0 => series.labels.push(label("n", "twice")),
                _ => {}
            }
            series
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// What is remembered changes nothing: the same answers, the same samples.
        #[test]
        fn it_is_decoding_and_appending(requests in proptest::collection::vec((proptest::collection::vec(series(), 0..8), any::<bool>()), 1..8)) {
            let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let [ordinary, quick] = [0, 1].map(|at| Tsdb::open(TsdbOptions::new(dirs[at].path())).unwrap());
            let receiver = Receiver::default();
            for (timeseries, metadata) in requests {
                let metadata = if metadata {
                    vec![proto::MetricMetadata { metric_family_name: "m".into(), help: "h".into(), ..proto::MetricMetadata::default() }]
                } else {
                    Vec::new()
                };
                let request = proto::WriteRequest { timeseries, metadata };
                let body = snappy::encode(&request.encode_to_vec()).unwrap();
                let decoded = super::super::decode("", "snappy", &body);
                let expected = decoded.and_then(|batch| append(&*ordinary, batch));
                let got = receiver.receive(&*quick, "", "snappy", &body);
                match (&expected, &got) {
                    (Ok(receipt), Ok(received)) => prop_assert_eq!(receipt, &received.receipt),
                    (Err(expected), Err(got)) => {
                        prop_assert_eq!(expected.to_string(), got.to_string());
                        prop_assert_eq!(expected.status(), got.status());
                    }
                    _ => prop_assert!(false, "{expected:?} and {got:?}"),
                }
                prop_assert_eq!(content(&ordinary), content(&quick));
            }
            prop_assert_eq!(ordinary.metadata(), quick.metadata());
        }

        #[test]
        fn anything_may_come(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(walked) = walk(&body) {
                let samples: usize = walked.series.iter().map(|series| series.samples).sum();
                prop_assert_eq!((samples, samples), (walked.values.len(), walked.timestamps_ms.len()));
            }
        }
    }

    fn now_ms() -> i64 {
        latest_ms() - super::super::AHEAD_MS_MAX
    }

    /// One sample far ahead would make the engine take all others for too old, for ever.
    #[test]
    fn samples_of_the_far_future_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, receiver) = (Tsdb::open(TsdbOptions::new(dir.path())).unwrap(), Receiver::default());
        let label = |name: &str, value: &str| proto::Label { name: name.into(), value: value.into() };
        let send = |name: &str, times_ms: &[i64], histogram_ms: Option<i64>| {
            let timeseries = vec![proto::TimeSeries {
                labels: vec![label("__name__", name)],
                samples: times_ms.iter().map(|&timestamp| proto::Sample::new(timestamp, 1.0)).collect(),
                histograms: (histogram_ms.iter())
                    .map(|&timestamp| proto::Histogram { timestamp, ..proto::Histogram::default() })
                    .collect(),
                ..proto::TimeSeries::default()
            }];
            let request = proto::WriteRequest { timeseries, metadata: Vec::new() };
            receiver.receive(&*engine, "", "snappy", &snappy::encode(&request.encode_to_vec()).unwrap())
        };
        let (now, year) = (now_ms(), 365 * 24 * 3_600_000);
        send("a", &[now], None).unwrap();
        for (times_ms, histogram_ms) in [(vec![now + 1, now + year], None), (vec![], Some(now + year))] {
            let error = send("bad", &times_ms, histogram_ms).unwrap_err();
            assert!(error.to_string().ends_with(" 0 too old, 1 too far in the future"), "{error}");
            assert_eq!(error.status(), 400);
        }
        // What is a little ahead is taken, and the honest ones go on.
        send("a", &[now + 1000, now + 9 * 60_000], None).unwrap();
        send("b", &[now + 2000], None).unwrap();
        let names: Vec<String> =
            content(&engine).into_iter().map(|(labels, samples)| format!("{labels} {}", samples.len())).collect();
        assert_eq!(names, ["{__name__=\"a\"} 3", "{__name__=\"b\"} 1", "{__name__=\"bad\"} 1"]);
    }

    /// Where a counter started: said sample by sample, or once for all by older senders.
    #[test]
    fn version_2_brings_start_timestamps_and_counts_by_kind() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, receiver) = (Tsdb::open(TsdbOptions::new(dir.path())).unwrap(), Receiver::default());
        let now = now_ms();
        let sample = |behind_ms: i64, start_timestamp: i64| proto::Sample {
            value: 1.0,
            timestamp: now - behind_ms,
            start_timestamp,
        };
        let histogram = |behind_ms: i64, start_timestamp: i64| proto::Histogram {
            timestamp: now - behind_ms,
            start_timestamp,
            ..proto::Histogram::default()
        };
        let series = |name: u32, samples, histograms, created_timestamp| proto::TimeSeries2 {
            labels_refs: vec![1, name],
            samples,
            histograms,
            created_timestamp,
            ..proto::TimeSeries2::default()
        };
        let send = |timeseries| {
            let symbols = ["", "__name__", "a", "b", "h"].map(str::to_owned).to_vec();
            let body = proto::WriteRequest2 { symbols, timeseries }.encode_to_vec();
            let content_type = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
            receiver.receive(&*engine, content_type, "snappy", &snappy::encode(&body).unwrap())
        };
        let received = send(vec![
            series(2, vec![sample(20, 6), sample(10, 7)], vec![], 0),
            series(3, vec![sample(20, 0), sample(10, 8)], vec![], 5),
            series(4, vec![], vec![histogram(20, 9), histogram(10, 9)], 0),
        ]);
        let receipt = Receipt { samples: 4, histograms: 2, exemplars: 0 };
        assert_eq!(received.unwrap(), Received { version_2: true, receipt });
        let querier = engine.querier(i64::MIN, i64::MAX).unwrap();
        let starts = querier.select(&SelectHints::default(), &[]).unwrap().map(|series| {
            let mut samples = Samples::default();
            series.unwrap().read(&mut samples).unwrap();
            samples.start_timestamps
        });
        assert_eq!(starts.collect::<Vec<_>>(), [[6, 7], [5, 8], [9, 9]]);
        // A part is refused: the sender learns how many of either kind were taken.
        let late = send(vec![
            series(2, vec![sample(15, 0), sample(5, 0)], vec![], 0),
            series(4, vec![], vec![histogram(15, 0)], 0),
        ]);
        let ReceiveError::Refused { receipt, .. } = late.unwrap_err() else { panic!("nothing was refused") };
        assert_eq!(receipt, Receipt { samples: 1, histograms: 0, exemplars: 0 });
    }
}
