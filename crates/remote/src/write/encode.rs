//! From what the log says to a request.

use crate::{histogram, proto, snappy};
use model::{Exemplar, Labels, Metadata, SampleValue};
use prost::Message;
use std::collections::HashMap;
use tsdb::MetadataMap;

/// One thing to be sent.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Sample { labels: Labels, timestamp_ms: i64, value: SampleValue },
    Exemplar { labels: Labels, exemplar: Exemplar },
}

impl Item {
    pub(super) fn labels(&self) -> &Labels {
        match self {
            Item::Sample { labels, .. } | Item::Exemplar { labels, .. } => labels,
        }
    }
}

/// A compressed request, version 1: one series an item, as Prometheus sends it, but items of one series that follow
/// each other together.
pub(super) fn version_1(items: &[Item]) -> Result<Vec<u8>, String> {
    let mut request = proto::WriteRequest::default();
    let mut previous: Option<&Labels> = None;
    for item in items {
        if previous != Some(item.labels()) {
            previous = Some(item.labels());
            let labels = proto::labels_to_proto(item.labels());
            request.timeseries.push(proto::TimeSeries { labels, ..proto::TimeSeries::default() });
        }
        let Some(series) = request.timeseries.last_mut() else { continue };
        match item {
            Item::Sample { timestamp_ms, value: SampleValue::Float(value), .. } => {
                series.samples.push(proto::Sample::new(*timestamp_ms, *value));
            }
            Item::Sample { timestamp_ms, value: SampleValue::Histogram(value), .. } => {
                series.histograms.push(histogram::to_proto(value, *timestamp_ms));
            }
            Item::Exemplar { exemplar, .. } => series.exemplars.push(proto::Exemplar {
                labels: proto::labels_to_proto(&exemplar.labels),
                value: exemplar.value,
                timestamp: exemplar.timestamp_ms.unwrap_or(0),
            }),
        }
    }
    snappy::encode(&request.encode_to_vec())
}

/// Numbers of texts; number 0 is "".
#[derive(Default)]
struct Symbols {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn labels(&mut self, labels: &Labels) -> Vec<u32> {
        labels.iter().flat_map(|(name, value)| [self.number(name), self.number(value)]).collect()
    }
}

/// A compressed request, version 2, with the metadata of each series.
pub(super) fn version_2(items: &[Item], metadata: &MetadataMap) -> Result<Vec<u8>, String> {
    let mut symbols = Symbols::default();
    symbols.number("");
    let mut timeseries: Vec<proto::TimeSeries2> = Vec::new();
    let mut previous: Option<&Labels> = None;
    for item in items {
        if previous != Some(item.labels()) {
            previous = Some(item.labels());
            let labels_refs = symbols.labels(item.labels());
            let metadata = metadata_of(item.labels(), metadata).map(|metadata| proto::Metadata2 {
                metric_type: proto::MetricTypeProto::from(metadata.metric_type) as i32,
                help_ref: symbols.number(&metadata.help),
                unit_ref: symbols.number(&metadata.unit),
            });
            timeseries.push(proto::TimeSeries2 { labels_refs, metadata, ..proto::TimeSeries2::default() });
        }
        let Some(series) = timeseries.last_mut() else { continue };
        match item {
            Item::Sample { timestamp_ms, value: SampleValue::Float(value), .. } => {
                series.samples.push(proto::Sample::new(*timestamp_ms, *value));
            }
            Item::Sample { timestamp_ms, value: SampleValue::Histogram(value), .. } => {
                series.histograms.push(histogram::to_proto(value, *timestamp_ms));
            }
            Item::Exemplar { exemplar, .. } => series.exemplars.push(proto::Exemplar2 {
                labels_refs: symbols.labels(&exemplar.labels),
                value: exemplar.value,
                timestamp: exemplar.timestamp_ms.unwrap_or(0),
            }),
        }
    }
    snappy::encode(&proto::WriteRequest2 { symbols: symbols.list, timeseries }.encode_to_vec())
}

/// By the series' own name, or by its family's.
fn metadata_of<'a>(labels: &Labels, metadata: &'a MetadataMap) -> Option<&'a Metadata> {
    let name = labels.metric_name();
    metadata.get(name).or_else(|| {
        let family = ["_bucket", "_sum", "_count", "_total"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
        metadata.get(family)
    })
}

/// A compressed request of metadata alone, version 1.
pub(super) fn metadata_only<'a>(families: impl Iterator<Item = (&'a String, &'a Metadata)>) -> Result<Vec<u8>, String> {
    let metadata = families
        .map(|(family, metadata)| proto::MetricMetadata {
            metric_type: proto::MetricTypeProto::from(metadata.metric_type) as i32,
            metric_family_name: family.clone(),
            help: metadata.help.clone(),
            unit: metadata.unit.clone(),
        })
        .collect();
    snappy::encode(&proto::WriteRequest { timeseries: Vec::new(), metadata }.encode_to_vec())
}
