//! A group of rules in time.

use crate::manager::RuleQuery;
use crate::{
    alerting::{self, ActiveAlerts, Found, State, Texts},
    config::{Rule, RuleGroup, RuleKind},
    manager::{RuleManagerOptions, RulesConfig},
    rehearsal::FiringAlert,
};
use api::rules as json;
use go_template::{
    fmt::format_e,
    functions::{PrometheusHost, Sample},
    query_escape,
    time::Time,
};
use model::{FloatHistogram, Labels, Matcher, SampleValue, stale::STALE_NAN};
use promql::{QueryOptions, Value, VectorSample};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use storage::{AppendReport, Layout, Presence, Row, Samples, SelectHints};
use telemetry::Counter;
use tokio::sync::watch;

const DURATION_BOUNDS_SECONDS: [f64; 8] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// What is known of one rule while it runs.
#[derive(Default)]
struct RuleState {
    /// `None` before the first evaluation.
    health: Option<Result<(), String>>,
    evaluation_time: Duration,
    last_evaluation_ms: Option<i64>,
    active: ActiveAlerts,
    /// `ALERTS` and `ALERTS_FOR_STATE` are written only when what was before a restart is known.
    is_restored: bool,
    /// What the last evaluation wrote, and the layout for it.
    written: Vec<Labels>,
    layout: Option<Layout>,
}

struct GroupState {
    rules: Vec<RuleState>,
    evaluation_time: Duration,
    last_evaluation_ms: Option<i64>,
    /// Series of rules that are no more: ended at the next evaluation.
    orphans: Vec<Labels>,
}

pub(crate) struct Group {
    pub(crate) file: String,
    pub(crate) rules: RuleGroup,
    pub(crate) interval_ms: i64,
    query_offset_ms: i64,
    external_labels: Labels,
    options: RuleManagerOptions,
    state: Mutex<GroupState>,
}

/// One series with its value at the time of an evaluation.
struct Written {
    labels: Labels,
    value: SampleValue,
}

impl Group {
    pub(crate) fn new(file: &str, rules: RuleGroup, config: &RulesConfig, options: &RuleManagerOptions) -> Group {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let state = GroupState {
            rules: rules.rules.iter().map(|_| RuleState::default()).collect(),
            evaluation_time: Duration::ZERO,
            last_evaluation_ms: None,
            orphans: Vec::new(),
        };
        Group {
            file: file.to_owned(),
            interval_ms: rules.interval_ms.unwrap_or_else(|| ms(config.evaluation_interval)).max(1),
            query_offset_ms: rules.query_offset_ms.unwrap_or_else(|| ms(config.query_offset)),
            rules,
            external_labels: config.external_labels.clone(),
            options: options.clone(),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As Prometheus names groups in its metrics.
    pub(crate) fn key(&self) -> String {
        format!("{};{}", self.file, self.rules.name)
    }

    /// True when nothing would change if `other` ran instead.
    pub(crate) fn is_same(&self, other: &Group) -> bool {
        self.file == other.file
            && self.rules == other.rules
            && self.interval_ms == other.interval_ms
            && self.query_offset_ms == other.query_offset_ms
            && self.external_labels == other.external_labels
    }

    /// Takes over the alerts and series of the rules that stayed the same.
    pub(crate) fn take_over(&self, old: &Group) {
        let (mut old_state, mut own) = (old.lock(), self.lock());
        let mut unused: Vec<Option<RuleState>> = std::mem::take(&mut old_state.rules).into_iter().map(Some).collect();
        for (rule, state) in self.rules.rules.iter().zip(&mut own.rules) {
            let same = |other: &Rule| other.name == rule.name && other.labels == rule.labels;
            let at = old.rules.rules.iter().zip(&unused).position(|(other, state)| state.is_some() && same(other));
            if let Some(found) = at.and_then(|at| unused.get_mut(at)).and_then(Option::take) {
                *state = found;
            } else {
                // A rule that is new here has nothing to restore: the server has been running.
                state.is_restored = true;
            }
        }
        own.orphans.append(&mut old_state.orphans);
        own.orphans.extend(unused.into_iter().flatten().flat_map(|state| state.written));
        own.last_evaluation_ms = old_state.last_evaluation_ms;
    }

    /// Nothing is restored: the server has been running before this group was there.
    pub(crate) fn set_restored(&self) {
        self.lock().rules.iter_mut().for_each(|rule| rule.is_restored = true);
    }

    /// Ends the series of a group that is no more. Blocks.
    pub(crate) fn end_series(&self) {
        let series: Vec<_> = {
            let mut state = self.lock();
            let orphans = std::mem::take(&mut state.orphans);
            let written = state.rules.iter_mut().flat_map(|rule| std::mem::take(&mut rule.written));
            orphans.into_iter().chain(written).collect()
        };
        let now_ms = self.options.clock.now_ms() - self.query_offset_ms;
        if let Err(error) = self.append(&series, None, &[], now_ms) {
            tracing::warn!(group = self.key(), "series of removed rules were not ended: {error}");
        }
    }

    /// Milliseconds after each multiple of the interval at which this group is evaluated: groups are spread by name.
    fn offset_ms(&self) -> i64 {
        let hash = self
            .key()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        // The remainder fits, as the interval is positive.
        i64::try_from(hash % self.interval_ms.unsigned_abs()).unwrap_or(0)
    }

    /// The first evaluation time after `now_ms`.
    pub(crate) fn next_time_ms(&self, now_ms: i64) -> i64 {
        let shifted = now_ms - self.offset_ms();
        shifted - shifted.rem_euclid(self.interval_ms) + self.interval_ms + self.offset_ms()
    }

    /// Evaluates on time until `stop` says true.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let key = self.key();
        let labels = [("rule_group", key.as_str())];
        let registry = &self.options.registry;
        let iterations = registry.counter(
            "prometheus_rule_group_iterations_total",
            "The total number of scheduled rule group evaluations, whether executed or missed.",
            &labels,
        );
        let missed = registry.counter(
            "prometheus_rule_group_iterations_missed_total",
            "The total number of rule group evaluations missed due to slow rule group evaluation.",
            &labels,
        );
        let mut next_ms = self.next_time_ms(self.options.clock.now_ms());
        loop {
            let wait_ms = (next_ms - self.options.clock.now_ms()).max(0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            iterations.inc();
            let group = Arc::clone(&self);
            // Queries and the storage block.
            if let Err(error) = tokio::task::spawn_blocking(move || group.evaluate(next_ms)).await {
                tracing::error!(group = key, "the evaluation broke off: {error}");
            }
            next_ms += self.interval_ms;
            let late_ms = self.options.clock.now_ms() - next_ms;
            if late_ms > self.interval_ms {
                let count = late_ms / self.interval_ms;
                #[expect(clippy::cast_precision_loss, reason = "counts are small")]
                missed.add(count as f64);
                #[expect(clippy::cast_precision_loss, reason = "counts are small")]
                iterations.add(count as f64);
                next_ms += count * self.interval_ms;
            }
        }
    }

    /// Evaluates all rules at one time. Blocks.
    pub(crate) fn evaluate(&self, now_ms: i64) {
        let begun = std::time::Instant::now();
        let key = self.key();
        let labels = [("rule_group", key.as_str())];
        let registry = &self.options.registry;
        let evaluations =
            registry.counter("prometheus_rule_evaluations_total", "The total number of rule evaluations.", &labels);
        let failures = registry.counter(
            "prometheus_rule_evaluation_failures_total",
            "The total number of rule evaluation failures.",
            &labels,
        );
        let orphans = std::mem::take(&mut self.lock().orphans);
        if let Err(error) = self.append(&orphans, None, &[], now_ms - self.query_offset_ms) {
            tracing::warn!(group = key, "series of removed rules were not ended: {error}");
        }
        for (index, rule) in self.rules.rules.iter().enumerate() {
            self.evaluate_rule(index, rule, now_ms, &evaluations, &failures);
        }
        self.restore(now_ms);
        let took = begun.elapsed();
        registry
            .histogram(
                "prometheus_rule_group_duration_seconds",
                "The duration of rule group evaluations.",
                &[],
                &DURATION_BOUNDS_SECONDS,
            )
            .observe(took.as_secs_f64());
        let mut state = self.lock();
        state.evaluation_time = took;
        state.last_evaluation_ms = Some(now_ms);
    }

    fn evaluate_rule(&self, index: usize, rule: &Rule, now_ms: i64, evaluations: &Counter, failures: &Counter) {
        let begun = std::time::Instant::now();
        evaluations.inc();
        let query_ms = now_ms - self.query_offset_ms;
        let result = match &rule.kind {
            RuleKind::Recording => self.record(rule, query_ms),
            RuleKind::Alerting { for_ms, keep_firing_for_ms, annotations } => {
                self.alert(index, rule, annotations, now_ms, *for_ms, *keep_firing_for_ms)
            }
        };
        let result = result.and_then(|written| self.write(index, written, query_ms));
        if let Err(error) = &result {
            failures.inc();
            tracing::warn!(
                file = self.file,
                group = self.rules.name,
                rule = rule.name,
                "evaluating rule failed: {error}"
            );
        }
        if let Some(rule) = self.lock().rules.get_mut(index) {
            rule.health = Some(result);
            rule.evaluation_time = begun.elapsed();
            rule.last_evaluation_ms = Some(now_ms);
        }
    }

    fn query(&self, rule: &Rule, time_ms: i64) -> Result<Vec<VectorSample>, String> {
        let output = self
            .options
            .engine
            .instant_expr(self.options.queryable.as_ref(), &rule.expr, &rule.query, time_ms, &QueryOptions::default())
            .map_err(|error| error.to_string());
        if let Some(log) = &self.options.query_log {
            log.ran(&RuleQuery {
                file: &self.file,
                group: &self.rules.name,
                query: &rule.query,
                time_ms,
                stats: output.as_ref().map(|output| output.stats).unwrap_or_default(),
                error: output.as_ref().err().map(String::as_str),
            });
        }
        vector(output?.value, time_ms)
    }

    fn record(&self, rule: &Rule, query_ms: i64) -> Result<Vec<Written>, String> {
        let vector = self.query(rule, query_ms)?;
        if self.rules.limit > 0 && vector.len() > self.rules.limit {
            return Err(format!("exceeded limit of {} with {} series", self.rules.limit, vector.len()));
        }
        let mut seen = HashSet::with_capacity(vector.len());
        let mut written = Vec::with_capacity(vector.len());
        for sample in vector {
            let mut builder = sample.labels.to_builder();
            builder.set(model::labels::METRIC_NAME, &rule.name);
            for (name, value) in &rule.labels {
                builder.set(name, value);
            }
            let labels = builder.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying rule labels".into());
            }
            written.push(Written { labels, value: sample.value });
        }
        Ok(written)
    }

    fn alert(
        &self,
        index: usize,
        rule: &Rule,
        annotations: &BTreeMap<String, String>,
        now_ms: i64,
        for_ms: i64,
        keep_firing_for_ms: i64,
    ) -> Result<Vec<Written>, String> {
        let query_ms = now_ms - self.query_offset_ms;
        let vector = self.query(rule, query_ms)?;
        let texts = Texts::new(
            &rule.name,
            &rule.labels,
            annotations,
            &go_template::functions::prometheus(self.template_host(query_ms)),
            &self.external_labels,
            &self.options.external_url,
        );
        let mut seen = HashSet::with_capacity(vector.len());
        let mut found: Vec<Found> = Vec::with_capacity(vector.len());
        for sample in vector {
            let value = match sample.value {
                SampleValue::Float(value) => value,
                // Histograms have no value of their own; templates see their count.
                SampleValue::Histogram(histogram) => histogram.count,
            };
            let one = texts.expand(&rule.name, &sample.labels, value);
            if !seen.insert(one.labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
            found.push(one);
        }
        let mut state = self.lock();
        let Some(own) = state.rules.get_mut(index) else { return Ok(Vec::new()) };
        alerting::advance(&mut own.active, found, now_ms, for_ms, keep_firing_for_ms, self.rules.limit)?;
        let resend_ms = i64::try_from(self.options.resend_delay.as_millis()).unwrap_or(i64::MAX);
        let generator_url =
            format!("{}/graph?g0.expr={}&g0.tab=1", self.options.external_url, query_escape(&rule.query));
        let sent = alerting::to_send(
            &mut own.active,
            now_ms,
            resend_ms,
            self.interval_ms,
            &self.external_labels,
            &generator_url,
        );
        let written = if own.is_restored || for_ms == 0 { alert_series(&own.active) } else { Vec::new() };
        drop(state);
        if !sent.is_empty() {
            self.options.alerts.send(sent);
        }
        Ok(written)
    }

    fn template_host(&self, query_ms: i64) -> PrometheusHost {
        let (engine, queryable) = (Arc::clone(&self.options.engine), Arc::clone(&self.options.queryable));
        PrometheusHost {
            query: Arc::new(move |text| {
                let output = engine
                    .instant(queryable.as_ref(), text, query_ms, &QueryOptions::default())
                    .map_err(|error| error.to_string())?;
                let samples = vector(output.value, query_ms)?.into_iter().map(|sample| Sample {
                    labels: sample.labels,
                    value: match sample.value {
                        SampleValue::Float(value) => value,
                        SampleValue::Histogram(histogram) => histogram.count,
                    },
                });
                Ok(samples.collect())
            }),
            external_url: self.options.external_url.clone(),
            now_ms: query_ms,
        }
    }

    /// Appends what a rule gave, and ends the series that it gave last time but not now.
    fn write(&self, index: usize, written: Vec<Written>, query_ms: i64) -> Result<(), String> {
        let (before, layout) = match self.lock().rules.get_mut(index) {
            Some(rule) => (std::mem::take(&mut rule.written), rule.layout.take()),
            None => return Ok(()),
        };
        let now: Vec<Labels> = written.iter().map(|one| one.labels.clone()).collect();
        // Queries answer in a stable order, so that mostly the layout can be used again.
        let layout = layout.filter(|_| now == before);
        let present: HashSet<&Labels> = now.iter().collect();
        let gone: Vec<Labels> = before.iter().filter(|labels| !present.contains(labels)).cloned().collect();
        let result = self.append(&gone, layout, &written, query_ms);
        let mut state = self.lock();
        let Some(rule) = state.rules.get_mut(index) else { return Ok(()) };
        match result {
            Ok((layout, report)) => {
                rule.written = now;
                rule.layout = layout;
                drop(state);
                if report.samples_refused() > 0 {
                    tracing::warn!(
                        group = self.key(),
                        "{} samples of a rule were refused as out of order or duplicate",
                        report.samples_refused()
                    );
                }
                Ok(())
            }
            Err(error) => {
                rule.written = before;
                Err(error)
            }
        }
    }

    fn append(
        &self,
        gone: &[Labels],
        layout: Option<Layout>,
        written: &[Written],
        time_ms: i64,
    ) -> Result<(Option<Layout>, AppendReport), String> {
        let ingest = self.options.ingest.as_ref();
        let text = |error: storage::StorageError| error.to_string();
        let layout = match layout {
            Some(layout) => Some(layout),
            None if written.is_empty() => None,
            None => {
                let labels: Vec<_> = written.iter().map(|one| one.labels.clone()).collect();
                Some(ingest.layout(&labels).map_err(text)?)
            }
        };
        let gone_layout = if gone.is_empty() { None } else { Some(ingest.layout(gone).map_err(text)?) };
        let mut values = Vec::with_capacity(written.len());
        let mut histograms: Vec<(u32, Arc<FloatHistogram>)> = Vec::new();
        for (i, one) in written.iter().enumerate() {
            match &one.value {
                SampleValue::Float(value) => values.push(*value),
                SampleValue::Histogram(histogram) => {
                    values.push(0.0);
                    histograms
                        .push((u32::try_from(i).map_err(|_| "more series than a row holds")?, Arc::clone(histogram)));
                }
            }
        }
        let stale = vec![STALE_NAN; gone.len()];
        let row = |layout, values, histograms| Row {
            layout,
            timestamp_ms: time_ms,
            values,
            presence: Presence::All,
            histograms,
            own_timestamps: &[],
            start_timestamps: &[],
            changed: None,
            exemplars: &[],
        };
        let mut rows = Vec::with_capacity(2);
        if let Some(layout) = &layout {
            rows.push(row(layout, values.as_slice(), histograms.as_slice()));
        }
        if let Some(layout) = &gone_layout {
            rows.push(row(layout, stale.as_slice(), [].as_slice()));
        }
        let report = if rows.is_empty() { AppendReport::default() } else { ingest.append_rows(&rows).map_err(text)? };
        Ok((layout, report))
    }

    /// After the first evaluation: since when alerts are active, from what was written before the restart.
    fn restore(&self, now_ms: i64) {
        let tolerance_ms = i64::try_from(self.options.outage_tolerance.as_millis()).unwrap_or(i64::MAX);
        let grace_ms = i64::try_from(self.options.for_grace_period.as_millis()).unwrap_or(i64::MAX);
        for (index, rule) in self.rules.rules.iter().enumerate() {
            let RuleKind::Alerting { for_ms, .. } = rule.kind else { continue };
            let labels: Vec<Labels> = match self.lock().rules.get_mut(index) {
                Some(own) if !own.is_restored => {
                    own.is_restored = true;
                    // A short wait is not worth the trouble.
                    if for_ms < grace_ms { Vec::new() } else { own.active.keys().cloned().collect() }
                }
                _ => continue,
            };
            if labels.is_empty() {
                continue;
            }
            let written = match self.written_states(rule, now_ms - tolerance_ms, now_ms) {
                Ok(written) => written,
                Err(error) => {
                    tracing::warn!(rule = rule.name, "the state before the restart cannot be read: {error}");
                    continue;
                }
            };
            let mut state = self.lock();
            let Some(own) = state.rules.get_mut(index) else { continue };
            for labels in labels {
                let (Some(alert), Some((was_ms, seen_ms))) =
                    (own.active.get_mut(&labels), written.get(labels.as_packed()))
                else {
                    continue;
                };
                alert.active_at_ms = alerting::restored_active_at_ms(*was_ms, *seen_ms, now_ms, for_ms, grace_ms);
            }
        }
    }

    /// Since when alerts were active and when that was written last, by packed labels.
    fn written_states(&self, rule: &Rule, from_ms: i64, to_ms: i64) -> Result<BTreeMap<String, (i64, i64)>, String> {
        let text = |error: storage::StorageError| error.to_string();
        let querier = self.options.queryable.querier(from_ms, to_ms).map_err(text)?;
        let matchers = [
            Matcher::equal(model::labels::METRIC_NAME, "ALERTS_FOR_STATE"),
            Matcher::equal("alertname", rule.name.clone()),
        ];
        let hints = SelectHints { start_ms: from_ms, end_ms: to_ms, ..SelectHints::default() };
        let mut found = BTreeMap::new();
        let mut samples = Samples::default();
        for series in querier.select(&hints, &matchers).map_err(text)? {
            let series = series.map_err(text)?;
            samples.clear();
            series.read(&mut samples).map_err(text)?;
            let last = samples
                .timestamps
                .iter()
                .zip(&samples.values)
                .rev()
                .find(|(time_ms, value)| (from_ms..=to_ms).contains(*time_ms) && value.is_finite());
            if let Some((time_ms, value)) = last {
                #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
                let active_at_ms = (*value * 1000.0) as i64;
                found.insert(series.labels().without_name().as_packed().to_owned(), (active_at_ms, *time_ms));
            }
        }
        Ok(found)
    }

    /// Pending and firing alerts of one rule, as JSON.
    fn rule_alerts(active: &ActiveAlerts) -> Vec<json::RuleAlert> {
        let mut sorted: Vec<_> = active.iter().filter(|(_, alert)| alert.state != State::Inactive).collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        sorted
            .into_iter()
            .map(|(labels, alert)| json::RuleAlert {
                labels: map(labels),
                annotations: map(&alert.annotations),
                state: alert.state.as_str().into(),
                active_at: Some(rfc3339(Some(alert.active_at_ms))),
                keep_firing_since: alert.keep_firing_since_ms.map(|ms| rfc3339(Some(ms))),
                value: format_e(alert.value, None),
                unit: None,
            })
            .collect()
    }

    pub(crate) fn alerts(&self) -> Vec<json::RuleAlert> {
        self.lock().rules.iter().flat_map(|rule| Self::rule_alerts(&rule.active)).collect()
    }

    /// The rules whose last evaluation failed, with the error.
    pub(crate) fn failures(&self) -> Vec<(String, String)> {
        let state = self.lock();
        let rules = self.rules.rules.iter().zip(&state.rules);
        rules
            .filter_map(|(rule, own)| Some((rule.name.clone(), own.health.as_ref()?.as_ref().err()?.clone())))
            .collect()
    }

    /// What fires of the alerting rules with this name.
    pub(crate) fn firing(&self, name: &str) -> Vec<FiringAlert> {
        let state = self.lock();
        let rules = self.rules.rules.iter().zip(&state.rules);
        rules
            .filter(|(rule, _)| rule.name == name)
            .flat_map(|(_, own)| own.active.iter())
            .filter(|(_, alert)| alert.state == State::Firing)
            .map(|(labels, alert)| FiringAlert { labels: labels.clone(), annotations: alert.annotations.clone() })
            .collect()
    }

    /// The group with the rules that `wanted` wants.
    pub(crate) fn to_api(&self, wanted: &dyn Fn(&Rule) -> bool, exclude_alerts: bool) -> json::RuleGroup {
        let state = self.lock();
        let rules = self.rules.rules.iter().zip(&state.rules).filter(|(rule, _)| wanted(rule)).map(|(rule, own)| {
            let (health, last_error) = match &own.health {
                None => ("unknown", String::new()),
                Some(Ok(())) => ("ok", String::new()),
                Some(Err(error)) => ("err", error.clone()),
            };
            let (evaluation_time, last_evaluation) =
                (own.evaluation_time.as_secs_f64(), rfc3339(own.last_evaluation_ms));
            match &rule.kind {
                RuleKind::Recording => json::Rule::Recording {
                    name: rule.name.clone(),
                    query: rule.query.clone(),
                    labels: rule.labels.clone(),
                    health: health.into(),
                    last_error,
                    evaluation_time,
                    last_evaluation,
                },
                RuleKind::Alerting { for_ms, keep_firing_for_ms, annotations } => {
                    let state = match own.active.values().map(|alert| alert.state).max() {
                        Some(state) => state.as_str(),
                        None if own.health.is_none() => "unknown",
                        None => State::Inactive.as_str(),
                    };
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds of 292 years fit")]
                    json::Rule::Alerting {
                        state: state.into(),
                        name: rule.name.clone(),
                        query: rule.query.clone(),
                        duration: *for_ms as f64 / 1000.0,
                        keep_firing_for: *keep_firing_for_ms as f64 / 1000.0,
                        labels: rule.labels.clone(),
                        annotations: annotations.clone(),
                        alerts: (!exclude_alerts).then(|| Self::rule_alerts(&own.active)),
                        health: health.into(),
                        last_error,
                        evaluation_time,
                        last_evaluation,
                    }
                }
            }
        });
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of 292 years fit")]
        json::RuleGroup {
            name: self.rules.name.clone(),
            file: self.file.clone(),
            rules: rules.collect(),
            interval: self.interval_ms as f64 / 1000.0,
            limit: u64::try_from(self.rules.limit).unwrap_or(u64::MAX),
            evaluation_time: state.evaluation_time.as_secs_f64(),
            last_evaluation: rfc3339(state.last_evaluation_ms),
        }
    }

    /// When it was evaluated last, in Unix milliseconds, how long that took, and how many samples it wrote.
    pub(crate) fn figures(&self) -> (Option<i64>, Duration, usize) {
        let state = self.lock();
        (state.last_evaluation_ms, state.evaluation_time, state.rules.iter().map(|rule| rule.written.len()).sum())
    }
}

fn alert_series(active: &ActiveAlerts) -> Vec<Written> {
    let mut sorted: Vec<_> = active.iter().filter(|(_, alert)| alert.state != State::Inactive).collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    let mut written = Vec::with_capacity(sorted.len() * 2);
    for (labels, alert) in sorted {
        let mut builder = labels.to_builder();
        builder.set(model::labels::METRIC_NAME, "ALERTS_FOR_STATE");
        // Whole seconds, as upstream writes them.
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let active_at = alert.active_at_ms.div_euclid(1000) as f64;
        written.push(Written { labels: builder.build(), value: SampleValue::Float(active_at) });
        builder.set(model::labels::METRIC_NAME, "ALERTS").set("alertstate", alert.state.as_str());
        written.push(Written { labels: builder.build(), value: SampleValue::Float(1.0) });
    }
    written
}

fn vector(value: Value, time_ms: i64) -> Result<Vec<VectorSample>, String> {
    match value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar(value) => {
            Ok(vec![VectorSample { labels: Labels::empty(), timestamp_ms: time_ms, value: SampleValue::Float(value) }])
        }
        Value::String(_) | Value::Matrix(_) => Err("rule result is not a vector or scalar".into()),
    }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `None` is Go's zero time.
fn rfc3339(ms: Option<i64>) -> String {
    ms.map_or_else(Time::zero, Time::from_unix_ms).rfc3339_nano()
}
