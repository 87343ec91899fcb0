//! What the whole program watches: the alerts behind the badge. One poll, however many look at it.

use crate::client::{self, Polled, use_polled};
use api::alerts::GettableAlert;
use leptos::prelude::*;

/// The badge must agree with the API within five seconds.
const ALERTS_INTERVAL_MS: u32 = 5_000;

/// Everything that `/api/v2/alerts` holds, renewed all the time.
#[derive(Clone, Copy)]
pub struct LiveAlerts(Polled<Vec<GettableAlert>>);

/// Starts the poll and hands it to everything below.
pub fn provide_live_alerts() {
    provide_context(LiveAlerts(use_polled(ALERTS_INTERVAL_MS, || client::alertmanager::alerts(&[]))));
}

/// The poll of the alerts.
///
/// # Panics
/// Outside of [`crate::shell::App`].
pub fn use_live_alerts() -> Polled<Vec<GettableAlert>> {
    expect_context::<LiveAlerts>().0
}

/// Alerts that fire and are neither silenced nor inhibited, with a `severity` of `critical`.
pub fn firing_critical(alerts: &[GettableAlert]) -> usize {
    alerts
        .iter()
        .filter(|alert| alert.status.state == "active")
        .filter(|alert| alert.labels.get("severity").is_some_and(|severity| severity == "critical"))
        .count()
}
