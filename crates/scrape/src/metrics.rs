//! What scraping tells about itself, under Prometheus' names.

use crate::interval_length::IntervalLengths;
use telemetry::{Counter, Gauge, Registry};

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) pools: Counter,
    pub(crate) pool_failures: Counter,
    pub(crate) pool_reloads: Counter,
    pub(crate) pool_reload_failures: Counter,
    pub(crate) exceeded_sample_limit: Counter,
    pub(crate) exceeded_body_size_limit: Counter,
    pub(crate) exceeded_label_limits: Counter,
    pub(crate) exceeded_target_limit: Counter,
    pub(crate) exceeded_bucket_limit: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) duplicate_timestamp: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) cache_flushes: Counter,
    pub(crate) walks_checked: Counter,
    pub(crate) walks_wrong: Counter,
    pub(crate) contradictions: Counter,
    pub(crate) interval_length: IntervalLengths,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(name, help, &[]);
        Metrics {
            pools: counter("prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts."),
            pool_failures: counter(
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            pool_reloads: counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            pool_reload_failures: counter(
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            exceeded_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_body_size_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            exceeded_label_limits: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            exceeded_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            exceeded_bucket_limit: counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
            ),
            out_of_order: counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            duplicate_timestamp: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            cache_flushes: counter(
                "prometheus_target_scrapes_cache_flush_forced_total",
                "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
            ),
            walks_checked: counter(
                "vigie_scrape_difference_checks_total",
                "Scrapes that were read by their difference to the one before and checked by the full parser.",
            ),
            walks_wrong: counter(
                "vigie_scrape_difference_mismatches_total",
                "Checks in which the full parser read something else; such a target is read in full from then on.",
            ),
            contradictions: counter(
                "vigie_scrape_histogram_contradictions_total",
                "Classic histograms that were not stored as native ones, for their buckets contradict each other.",
            ),
            interval_length: IntervalLengths::register(registry),
            registry: registry.clone(),
        }
    }

    pub(crate) fn pool_targets(&self, job: &str) -> Gauge {
        self.registry.gauge(
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            &[("scrape_job", job)],
        )
    }

    pub(crate) fn pool_syncs(&self, job: &str) -> Counter {
        self.registry.counter(
            "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.",
            &[("scrape_job", job)],
        )
    }

    pub(crate) fn pool_gone(&self, job: &str) {
        self.registry.remove("prometheus_target_scrape_pool_targets", &[("scrape_job", job)]);
        self.registry.remove("prometheus_target_scrape_pool_sync_total", &[("scrape_job", job)]);
    }
}
