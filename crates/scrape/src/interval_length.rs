//! `prometheus_target_interval_length_seconds`: how even the scrapes are, as quantiles over the last ones.

use model::{Labels, MetricType};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use telemetry::{Registry, Value};

/// Lengths that the quantiles are over, for each interval.
const KEPT_MAX: usize = 1000;
/// The quantiles that Prometheus tells.
const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];

#[derive(Default)]
struct Window {
    last: VecDeque<f64>,
    sum: f64,
    count: u64,
}

/// Collects lengths; clones share them.
#[derive(Clone, Default)]
pub(crate) struct IntervalLengths(Arc<Mutex<BTreeMap<String, Window>>>);

impl IntervalLengths {
    /// Makes the metric part of `registry`.
    pub(crate) fn register(registry: &Registry) -> Self {
        let lengths = IntervalLengths::default();
        let shared = lengths.clone();
        registry.collector(move |out| {
            for (interval, window) in shared.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let (name, help) = ("prometheus_target_interval_length_seconds", "Actual intervals between scrapes.");
                let labels = Labels::from_pairs([("interval", interval)]);
                out.push(name, help, MetricType::Summary, labels, window.value());
            }
        });
        lengths
    }

    /// Notes that `seconds` went by between two scrapes of a target whose interval is `interval`.
    pub(crate) fn observe(&self, interval: &str, seconds: f64) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(interval) {
            windows.insert(interval.to_owned(), Window::default());
        }
        let Some(window) = windows.get_mut(interval) else { return };
        if window.last.len() == KEPT_MAX {
            window.last.pop_front();
        }
        window.last.push_back(seconds);
        window.sum += seconds;
        window.count += 1;
    }
}

impl Window {
    fn value(&self) -> Value {
        let mut sorted: Vec<f64> = self.last.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quantile: f64| {
            let rank = (quantile * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        let quantiles = QUANTILES.iter().map(|quantile| (*quantile, at(*quantile))).collect();
        Value::Summary { sum: self.sum, count: self.count, quantiles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_last_lengths() {
        let registry = Registry::new();
        let lengths = IntervalLengths::register(&registry);
        for i in 0..1100 {
            lengths.observe("15s", f64::from(i));
        }
        let families = registry.collect();
        let Value::Summary { count, quantiles, .. } = &families[0].series[0].1 else { panic!("no summary") };
        assert_eq!(*count, 1100);
        assert_eq!(quantiles[2], (0.5, 599.0), "the first hundred are forgotten");
    }
}
