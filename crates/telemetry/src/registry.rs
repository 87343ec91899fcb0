//! The registry and the handles it gives out.

use model::{Labels, MetricType};
use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A value that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Adds `by`, which must not be negative.
    pub fn add(&self, by: f64) {
        add_float(&self.0, by);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A value that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub fn add(&self, by: f64) {
        add_float(&self.0, by);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

fn add_float(cell: &AtomicU64, by: f64) {
    let mut current = cell.load(Ordering::Relaxed);
    loop {
        let next = (f64::from_bits(current) + by).to_bits();
        match cell.compare_exchange_weak(current, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(seen) => current = seen,
        }
    }
}

/// A classic histogram.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramCells>);

#[derive(Debug)]
struct HistogramCells {
    /// Upper bounds, ascending, without +Inf.
    bounds: Vec<f64>,
    /// One more than bounds: the last is +Inf. Not cumulative.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(HistogramCells { bounds: bounds.to_vec(), counts, sum: AtomicU64::new(0) }))
    }

    pub fn observe(&self, value: f64) {
        let at = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        add_float(&self.0.sum, value);
    }

    /// Sum and cumulative counts by upper bound, the last one +Inf.
    fn snapshot(&self) -> Value {
        let mut total = 0;
        let mut buckets = Vec::with_capacity(self.0.counts.len());
        for (i, count) in self.0.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            buckets.push((self.0.bounds.get(i).copied().unwrap_or(f64::INFINITY), total));
        }
        Value::Histogram { sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)), buckets }
    }
}

/// One value of a family at the time of collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    /// Cumulative counts by upper bound, +Inf last.
    Histogram {
        sum: f64,
        buckets: Vec<(f64, u64)>,
    },
    /// Values by quantile.
    Summary {
        sum: f64,
        count: u64,
        quantiles: Vec<(f64, f64)>,
    },
}

/// All series of one name.
#[derive(Clone, Debug)]
pub struct MetricFamily {
    pub name: String,
    pub help: String,
    pub metric_type: MetricType,
    pub series: Vec<(Labels, Value)>,
}

/// What a collector fills while it is asked.
#[derive(Debug, Default)]
pub struct Collected {
    families: BTreeMap<String, MetricFamily>,
}

impl Collected {
    /// Adds one value. The first call for a name fixes help and type.
    pub fn push(&mut self, name: &str, help: &str, metric_type: MetricType, labels: Labels, value: Value) {
        self.families
            .entry(name.to_owned())
            .or_insert_with(|| MetricFamily {
                name: name.to_owned(),
                help: help.to_owned(),
                metric_type,
                series: Vec::new(),
            })
            .series
            .push((labels, value));
    }

    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.push(name, help, MetricType::Gauge, Labels::from_pairs(labels.iter().copied()), Value::Number(value));
    }

    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.push(name, help, MetricType::Counter, Labels::from_pairs(labels.iter().copied()), Value::Number(value));
    }

    /// Families by name.
    pub fn into_families(self) -> Vec<MetricFamily> {
        self.families.into_values().collect()
    }
}

type Collector = Box<dyn Fn(&mut Collected) + Send + Sync>;

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

struct Family {
    help: String,
    metric_type: MetricType,
    series: BTreeMap<Labels, Handle>,
}

#[derive(Default)]
struct Inner {
    families: BTreeMap<String, Family>,
    collectors: Vec<Collector>,
}

/// Where metrics are registered. Clones share the metrics. Asking twice for one name and label set
/// gives the same handle.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Inner>>);

impl Registry {
    pub fn new() -> Self {
        Registry::default()
    }

    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        match self.handle(name, help, MetricType::Counter, labels, || Handle::Counter(Counter::default())) {
            Handle::Counter(counter) => counter,
            // The name was registered with another type: count without being shown rather than panic.
            _ => Counter::default(),
        }
    }

    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.handle(name, help, MetricType::Gauge, labels, || Handle::Gauge(Gauge::default())) {
            Handle::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// `bounds`: upper bounds, ascending, without +Inf.
    pub fn histogram(&self, name: &str, help: &str, labels: &[(&str, &str)], bounds: &[f64]) -> Histogram {
        match self.handle(name, help, MetricType::Histogram, labels, || Handle::Histogram(Histogram::new(bounds))) {
            Handle::Histogram(histogram) => histogram,
            _ => Histogram::new(bounds),
        }
    }

    /// Removes one series, for example of a scrape pool that is gone.
    pub fn remove(&self, name: &str, labels: &[(&str, &str)]) {
        if let Some(family) = self.lock().families.get_mut(name) {
            family.series.remove(&Labels::from_pairs(labels.iter().copied()));
        }
    }

    /// Adds a function that is called at every collection.
    pub fn collector(&self, collect: impl Fn(&mut Collected) + Send + Sync + 'static) {
        self.lock().collectors.push(Box::new(collect));
    }

    /// Everything registered, families by name, series by labels.
    pub fn collect(&self) -> Vec<MetricFamily> {
        let inner = self.lock();
        let mut collected = Collected::default();
        for (name, family) in &inner.families {
            for (labels, handle) in &family.series {
                let value = match handle {
                    Handle::Counter(counter) => Value::Number(counter.get()),
                    Handle::Gauge(gauge) => Value::Number(gauge.get()),
                    Handle::Histogram(histogram) => histogram.snapshot(),
                };
                collected.push(name, &family.help, family.metric_type, labels.clone(), value);
            }
        }
        for collect in &inner.collectors {
            collect(&mut collected);
        }
        collected.into_families()
    }

    fn handle(
        &self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Handle,
    ) -> Handle {
        let mut inner = self.lock();
        let family = inner.families.entry(name.to_owned()).or_insert_with(|| Family {
            help: help.to_owned(),
            metric_type,
            series: BTreeMap::new(),
        });
        family.series.entry(Labels::from_pairs(labels.iter().copied())).or_insert_with(make).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A poisoned registry still holds valid numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_shared_and_collected() {
        let registry = Registry::new();
        registry.counter("a_total", "A.", &[("k", "v")]).inc();
        registry.counter("a_total", "A.", &[("k", "v")]).add(2.0);
        let histogram = registry.histogram("h", "H.", &[], &[1.0, 2.0]);
        histogram.observe(1.0);
        histogram.observe(5.0);
        registry.collector(|out| out.gauge("g", "G.", &[], 7.0));
        let families = registry.collect();
        let names: Vec<_> = families.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a_total", "g", "h"]);
        assert_eq!(families[0].series[0].1, Value::Number(3.0));
        let Value::Histogram { sum, buckets } = &families[2].series[0].1 else { panic!("no histogram") };
        assert_eq!((*sum, buckets.as_slice()), (6.0, [(1.0, 1), (2.0, 1), (f64::INFINITY, 2)].as_slice()));
    }
}
