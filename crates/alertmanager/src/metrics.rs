//! Alertmanager's own metrics, under its names.

use std::time::Duration;
use telemetry::{Counter, Registry};

const LATENCY_BOUNDS_SECONDS: [f64; 5] = [1.0, 5.0, 10.0, 15.0, 20.0];

pub(crate) struct Metrics {
    registry: Registry,
    alerts_firing: Counter,
    alerts_resolved: Counter,
    alerts_invalid: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Metrics {
        let received = |status| {
            registry.counter(
                "alertmanager_alerts_received_total",
                "The total number of received alerts.",
                &[("status", status), ("version", "v2")],
            )
        };
        Metrics {
            alerts_firing: received("firing"),
            alerts_resolved: received("resolved"),
            alerts_invalid: registry.counter(
                "alertmanager_alerts_invalid_total",
                "The total number of received alerts that were invalid.",
                &[("version", "v2")],
            ),
            registry: registry.clone(),
        }
    }

    pub(crate) fn received(&self, resolved: bool) {
        if resolved { self.alerts_resolved.inc() } else { self.alerts_firing.inc() }
    }

    pub(crate) fn invalid(&self) {
        self.alerts_invalid.inc();
    }

    pub(crate) fn suppressed(&self, reason: &str, count: usize) {
        if count > 0 {
            let counter = self.registry.counter(
                "alertmanager_notifications_suppressed_total",
                "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or within muted time intervals.",
                &[("reason", reason)],
            );
            #[expect(clippy::cast_precision_loss, reason = "numbers of alerts are small")]
            counter.add(count as f64);
        }
    }

    pub(crate) fn request(&self, kind: &str, receiver: &str, took: Duration, ok: bool) {
        let labels = [("integration", kind), ("receiver_name", receiver)];
        self.registry
            .counter(
                "alertmanager_notification_requests_total",
                "The total number of attempted notification requests.",
                &labels,
            )
            .inc();
        if !ok {
            self.registry
                .counter(
                    "alertmanager_notification_requests_failed_total",
                    "The total number of failed notification requests.",
                    &labels,
                )
                .inc();
        }
        self.registry
            .histogram(
                "alertmanager_notification_latency_seconds",
                "The latency of notifications in seconds.",
                &labels,
                &LATENCY_BOUNDS_SECONDS,
            )
            .observe(took.as_secs_f64());
    }

    pub(crate) fn notification(&self, kind: &str, receiver: &str, failed: Option<&str>) {
        let labels = [("integration", kind), ("receiver_name", receiver)];
        self.registry
            .counter("alertmanager_notifications_total", "The total number of attempted notifications.", &labels)
            .inc();
        if let Some(reason) = failed {
            self.registry
                .counter(
                    "alertmanager_notifications_failed_total",
                    "The total number of failed notifications.",
                    &[("integration", kind), ("reason", reason), ("receiver_name", receiver)],
                )
                .inc();
        }
    }
}
