//! Groups of alerts: waiting, flushing, retrying.

use crate::{
    alert::{StoredAlert, group_key, order},
    manager::{Event, Inner},
    notification_log::Entry,
    notify::{Integration, Notification, NotifyError},
    route::Route,
    template::{AlertData, NotificationData, Templates},
    time_interval::TimeInterval,
};
use model::Labels;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// A flush may take so long even where `group_interval` is shorter.
const FLUSH_TIMEOUT_MIN: Duration = Duration::from_secs(10);
/// Pauses between attempts grow from this…
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
/// …by half each time, up to this.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a configuration gives to the groups that run under it.
pub(crate) struct Setup {
    pub(crate) receivers: HashMap<String, Vec<Integration>>,
    pub(crate) templates: Templates,
    pub(crate) time_intervals: BTreeMap<String, Vec<TimeInterval>>,
}

pub(crate) struct Group {
    /// Without its children.
    pub(crate) route: Arc<Route>,
    pub(crate) labels: Labels,
    pub(crate) key: String,
    alerts: Mutex<HashMap<u64, Arc<StoredAlert>>>,
    has_flushed: AtomicBool,
    wake: Notify,
    /// Names of the time intervals that mute it now.
    muted_by: Mutex<Vec<String>>,
}

impl Group {
    pub(crate) fn new(route: Arc<Route>, labels: Labels) -> Group {
        let key = group_key(&route, &labels);
        Group {
            route,
            labels,
            key,
            alerts: Mutex::default(),
            has_flushed: AtomicBool::new(false),
            wake: Notify::new(),
            muted_by: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<StoredAlert>>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an alert; one that has waited its time already is not kept waiting.
    pub(crate) fn insert(&self, alert: Arc<StoredAlert>, now_ms: i64) {
        let wait_ms = i64::try_from(self.route.group_wait.as_millis()).unwrap_or(i64::MAX);
        let waited = alert.starts_at_ms.saturating_add(wait_ms) < now_ms;
        self.lock().insert(alert.fingerprint, alert);
        if waited && !self.has_flushed.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    pub(crate) fn alerts(&self) -> Vec<Arc<StoredAlert>> {
        let mut alerts: Vec<_> = self.lock().values().cloned().collect();
        alerts.sort_by(|a, b| order(&a.labels, &b.labels));
        alerts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn muted_by(&self) -> Vec<String> {
        self.muted_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Flushes until `stop` says true.
    pub(crate) async fn run(self: Arc<Self>, inner: Arc<Inner>, setup: Arc<Setup>, mut stop: watch::Receiver<bool>) {
        let mut next = Instant::now() + self.route.group_wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.wake.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            next = Instant::now() + self.route.group_interval;
            self.has_flushed.store(true, Ordering::SeqCst);
            let timeout = self.route.group_interval.max(FLUSH_TIMEOUT_MIN);
            tokio::select! {
                () = self.flush(&inner, &setup, Instant::now() + timeout) => {}
                // What is under way is given up; the log says what was delivered.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn flush(&self, inner: &Arc<Inner>, setup: &Setup, deadline: Instant) {
        let now_ms = inner.clock().now_ms();
        let alerts = self.alerts();
        if alerts.is_empty() {
            return;
        }
        let resolved: Vec<_> = alerts.iter().filter(|alert| alert.is_resolved_at(now_ms)).cloned().collect();
        if self.pipeline(inner, setup, alerts, now_ms, deadline).await {
            // They were told; what has fired again meanwhile stays.
            let mut own = self.lock();
            for alert in resolved {
                if own.get(&alert.fingerprint).is_some_and(|current| Arc::ptr_eq(current, &alert)) {
                    own.remove(&alert.fingerprint);
                }
            }
        }
    }

    /// Names of the intervals that keep the group from notifying.
    fn muted_now(&self, setup: &Setup, now_ms: i64) -> (Vec<String>, &'static str) {
        let contains = |name: &String| {
            setup
                .time_intervals
                .get(name)
                .is_some_and(|intervals| intervals.iter().any(|interval| interval.contains(now_ms)))
        };
        let active = &self.route.active_time_intervals;
        if !active.is_empty() && !active.iter().any(contains) {
            return (active.clone(), "active_time_interval");
        }
        (self.route.mute_time_intervals.iter().filter(|name| contains(name)).cloned().collect(), "mute_time_interval")
    }

    /// Returns true when nothing remains to be told.
    async fn pipeline(
        &self,
        inner: &Arc<Inner>,
        setup: &Setup,
        mut alerts: Vec<Arc<StoredAlert>>,
        now_ms: i64,
        deadline: Instant,
    ) -> bool {
        let before = alerts.len();
        alerts.retain(|alert| inner.inhibited_by(&alert.labels).is_empty());
        inner.metrics().suppressed("inhibition", before - alerts.len());
        if alerts.is_empty() {
            return true;
        }
        let (muted_by, reason) = self.muted_now(setup, now_ms);
        self.muted_by.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&muted_by);
        if !muted_by.is_empty() {
            inner.metrics().suppressed(reason, alerts.len());
            return true;
        }
        let before = alerts.len();
        alerts.retain(|alert| inner.silences().silenced_by(&alert.labels, inner.clock().now_ms()).is_empty());
        inner.metrics().suppressed("silence", before - alerts.len());
        if alerts.is_empty() {
            return true;
        }
        let alerts: Vec<_> =
            alerts.into_iter().map(|alert| AlertData { resolved: alert.is_resolved_at(now_ms), alert }).collect();
        let integrations = setup.receivers.get(&self.route.receiver).map_or([].as_slice(), Vec::as_slice);
        // All at once: a slow receiver must not hold up the others.
        let mut running: Vec<_> = integrations
            .iter()
            .map(|integration| Box::pin(self.integration(inner, setup, integration, &alerts, now_ms, deadline)))
            .collect();
        let mut done = vec![None; running.len()];
        std::future::poll_fn(|context| {
            for (future, done) in running.iter_mut().zip(&mut done) {
                if done.is_none()
                    && let std::task::Poll::Ready(ok) = future.as_mut().poll(context)
                {
                    *done = Some(ok);
                }
            }
            if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        done.into_iter().all(|ok| ok == Some(true))
    }

    async fn integration(
        &self,
        inner: &Arc<Inner>,
        setup: &Setup,
        integration: &Integration,
        alerts: &[AlertData],
        now_ms: i64,
        deadline: Instant,
    ) -> bool {
        let fingerprints = |resolved: bool| -> BTreeSet<u64> {
            alerts.iter().filter(|alert| alert.resolved == resolved).map(|alert| alert.alert.fingerprint).collect()
        };
        let (firing, resolved) = (fingerprints(false), fingerprints(true));
        let name = format!("{}[{}]", integration.kind, integration.index);
        let log_key = format!("{}\n{}\n{name}", self.key, self.route.receiver);
        let entry = inner.notification_log().get(&log_key);
        let repeat_ms = i64::try_from(self.route.repeat_interval.as_millis()).unwrap_or(i64::MAX);
        let clock_ms = inner.clock().now_ms();
        let Some(reason) = reason(entry.as_ref(), &firing, &resolved, integration.send_resolved, clock_ms, repeat_ms)
        else {
            return true;
        };
        // Where resolved alerts are not told, there may be nothing to say, but the log must forget what fired.
        if integration.send_resolved || !firing.is_empty() {
            let told: Vec<_> =
                alerts.iter().filter(|alert| integration.send_resolved || !alert.resolved).cloned().collect();
            let mut data = NotificationData {
                receiver: self.route.receiver.clone(),
                status: if firing.is_empty() { "resolved" } else { "firing" },
                alerts: told,
                reason,
                group_labels: self.labels.clone(),
                external_url: inner.external_url().to_owned(),
                route_labels: BTreeMap::new(),
            };
            if !self.route.labels.is_empty() {
                data.route_labels = setup.templates.route_labels(&self.route.labels, &data);
            }
            let notification = Notification { data: &data, group_key: &self.key, templates: &setup.templates, now_ms };
            let result = self.attempts(inner, integration, &notification, deadline).await;
            if let Err(error) = &result {
                tracing::error!(
                    receiver = self.route.receiver,
                    integration = name,
                    "notify for alerts failed: {error}"
                );
            }
            inner.event(Event::Notification {
                at_ms: inner.clock().now_ms(),
                receiver: self.route.receiver.clone(),
                integration: name,
                group_key: self.key.clone(),
                alerts_firing: firing.len(),
                alerts_resolved: resolved.len(),
                error: result.as_ref().err().map_or_else(String::new, ToString::to_string),
            });
            if result.is_err() {
                return false;
            }
        }
        let at_ms = inner.clock().now_ms();
        let entry = Entry {
            key: log_key,
            at_ms,
            // Twice the interval, so that the entry outlives the moment when it decides.
            expires_ms: at_ms.saturating_add(inner.retention_ms().min(repeat_ms.saturating_mul(2))),
            firing,
            resolved,
        };
        if let Err(error) = inner.notification_log().log(entry) {
            tracing::error!("notification log: {error}; after a restart this notification may be sent again");
        }
        true
    }

    /// Tries until it is delivered, refused for good, or out of time.
    async fn attempts(
        &self,
        inner: &Arc<Inner>,
        integration: &Integration,
        notification: &Notification<'_>,
        deadline: Instant,
    ) -> Result<(), NotifyError> {
        let metrics = inner.metrics();
        let (kind, receiver) = (integration.kind, self.route.receiver.as_str());
        let mut pause = RETRY_PAUSE_MIN;
        let mut last = None;
        loop {
            let begun = Instant::now();
            let attempt = tokio::time::timeout_at(deadline, integration.notify(notification)).await;
            metrics.request(kind, receiver, begun.elapsed(), matches!(attempt, Ok(Ok(()))));
            match attempt {
                Ok(Ok(())) => {
                    metrics.notification(kind, receiver, None);
                    return Ok(());
                }
                Ok(Err(error)) if !error.retry => {
                    metrics.notification(kind, receiver, Some(error.reason));
                    return Err(error);
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => {
                    let mut error = last.unwrap_or_else(|| NotifyError::temporary("no answer in time"));
                    error.message = format!("gave up at the end of the group interval: {}", error.message);
                    metrics.notification(kind, receiver, Some("contextDeadlineExceeded"));
                    return Err(error);
                }
            }
            // Counted from the attempt's beginning: a slow failure has waited already.
            tokio::time::sleep_until((begun + pause).min(deadline)).await;
            pause = pause.mul_f64(1.5).min(RETRY_PAUSE_MAX);
        }
    }
}

/// Why to notify now; `None`: there is nothing new.
fn reason(
    entry: Option<&Entry>,
    firing: &BTreeSet<u64>,
    resolved: &BTreeSet<u64>,
    send_resolved: bool,
    now_ms: i64,
    repeat_ms: i64,
) -> Option<&'static str> {
    // An entry counts until it is cleaned away, even if its time is over: an alert that fired must be told resolved.
    let Some(entry) = entry else {
        return (!firing.is_empty()).then_some("first notification");
    };
    if !firing.is_subset(&entry.firing) {
        return Some("new alerts added");
    }
    if firing.is_empty() {
        // Alerts that came and went between two notifications are news to nobody.
        return (!entry.firing.is_empty()).then_some("all alerts resolved");
    }
    if send_resolved && !resolved.is_subset(&entry.resolved) {
        return Some("some alerts resolved");
    }
    (entry.at_ms < now_ms.saturating_sub(repeat_ms)).then_some("repeat interval elapsed")
}
