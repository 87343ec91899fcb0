//! The rows of the probes table: answers of several queries joined by endpoint, and their small drawings.

use crate::{
    controls::icon::Glyph,
    pages::parts::time_text::{format_full, format_seconds},
};
use api::query::{InstantSample, RangeSeries};
use dashboard::sorting::Order;
use leptos::prelude::*;
use std::collections::BTreeMap;

pub const DAY_MS: i64 = 86_400_000;
/// Half an hour each: as many as a row can hold with a gap between.
pub const TICKS: usize = 48;
/// A certificate with fewer days left needs a person.
const CERTIFICATE_DAYS_MIN: f64 = 21.0;
/// In the order in which they happen; the names of both probers.
const PHASES: [(&str, &str, &str); 6] = [
    ("resolve", "Resolve", "var(--c10)"),
    ("connect", "Connect", "var(--c3)"),
    ("tls", "TLS", "var(--c4)"),
    ("processing", "Wait", "var(--c1)"),
    ("transfer", "Transfer", "var(--c8)"),
    ("rtt", "Round trip", "var(--c1)"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Down,
    /// It answers, but failed within the last half hour, or its certificate ends soon.
    Degraded,
    Up,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Degraded => "degraded",
            State::Up => "up",
        }
    }

    pub fn glyph(self) -> Glyph {
        match self {
            State::Down => Glyph::Critical,
            State::Degraded => Glyph::Warning,
            State::Up => Glyph::Ok,
        }
    }
}

/// Half an hour of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tick {
    /// Share of the probes that went well; `None` without any.
    pub available: Option<f64>,
    /// Seconds.
    pub latency: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub target: String,
    pub job: String,
    pub module: Option<String>,
    pub state: State,
    pub uptime: Option<f64>,
    /// Seconds of the last probe.
    pub duration: Option<f64>,
    pub status: Option<f64>,
    pub certificate_days: Option<f64>,
    /// Share of the whole by phase, and seconds.
    pub phases: Vec<(String, f64)>,
    pub ticks: Vec<Tick>,
    pub start_ms: i64,
    pub step_ms: i64,
}

// A row is the key of its place in the table: it is drawn anew exactly when something in it changed.
impl Eq for Probe {}
impl std::hash::Hash for Probe {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.target, &self.job, self.start_ms).hash(state);
        self.duration.map(f64::to_bits).hash(state);
    }
}

fn identity(metric: &BTreeMap<String, String>) -> (String, String) {
    let get = |name: &str| metric.get(name).cloned().unwrap_or_default();
    (get("instance"), get("job"))
}

fn by_endpoint(samples: &[InstantSample]) -> BTreeMap<(String, String), f64> {
    let value = |sample: &InstantSample| Some((identity(&sample.metric), sample.value?.value));
    samples.iter().filter_map(value).collect()
}

/// The answers side by side, the worst first.
#[expect(clippy::too_many_arguments, reason = "one answer each, named where they are asked")]
pub fn join(
    success: &[InstantSample],
    duration: &[InstantSample],
    expiry: &[InstantSample],
    status: &[InstantSample],
    phases: &[InstantSample],
    uptime: &[InstantSample],
    availability: &[RangeSeries],
    latency: &[RangeSeries],
    start_ms: i64,
    step_ms: i64,
    now_ms: i64,
) -> Vec<Probe> {
    let (duration, expiry) = (by_endpoint(duration), by_endpoint(expiry));
    let (status, uptime) = (by_endpoint(status), by_endpoint(uptime));
    let mut steps: BTreeMap<(String, String), BTreeMap<String, f64>> = BTreeMap::new();
    for sample in phases {
        if let (Some(phase), Some(point)) = (sample.metric.get("phase"), sample.value) {
            *steps.entry(identity(&sample.metric)).or_default().entry(phase.clone()).or_default() += point.value;
        }
    }
    let course = |series: &[RangeSeries]| {
        let mut found: BTreeMap<(String, String), Vec<Option<f64>>> = BTreeMap::new();
        for series in series {
            let row = found.entry(identity(&series.metric)).or_insert_with(|| vec![None; TICKS]);
            for point in &series.values {
                let at = usize::try_from((point.timestamp_ms - start_ms) / step_ms.max(1));
                if let Some(place) = at.ok().and_then(|at| row.get_mut(at)) {
                    *place = Some(point.value);
                }
            }
        }
        found
    };
    let (availability, latency) = (course(availability), course(latency));
    let mut rows: Vec<Probe> = success
        .iter()
        .filter_map(|sample| {
            let key = identity(&sample.metric);
            let up = sample.value?.value > 0.0;
            let none = vec![None; TICKS];
            let available = availability.get(&key).unwrap_or(&none);
            let latency = latency.get(&key).unwrap_or(&none);
            let ticks: Vec<Tick> =
                available.iter().zip(latency).map(|(&available, &latency)| Tick { available, latency }).collect();
            let certificate_days = expiry.get(&key).map(|seconds| (seconds - now_ms as f64 / 1000.0) / 86_400.0);
            let shaky = ticks.last().and_then(|tick| tick.available).is_some_and(|share| share < 1.0);
            let state = match () {
                () if !up => State::Down,
                () if shaky || certificate_days.is_some_and(|days| days < CERTIFICATE_DAYS_MIN) => State::Degraded,
                () => State::Up,
            };
            let phases = steps.get(&key).cloned().unwrap_or_default();
            let ordered = PHASES.iter().filter_map(|(name, ..)| Some(((*name).to_owned(), *phases.get(*name)?)));
            Some(Probe {
                module: sample.metric.get("module").cloned(),
                state,
                uptime: uptime.get(&key).copied(),
                duration: duration.get(&key).copied(),
                status: status.get(&key).copied().filter(|status| *status > 0.0),
                certificate_days,
                phases: ordered.collect(),
                ticks,
                start_ms,
                step_ms,
                target: key.0,
                job: key.1,
            })
        })
        .collect();
    rows.order_by(|a, b| (a.state, &a.target, &a.job).cmp(&(b.state, &b.target, &b.job)));
    rows
}

/// A share as people compare them: `100%`, `99.98%`, `97.3%`; never rounded up to whole.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p >= 100.0 => "100%".to_owned(),
        p if p > 99.0 => format!("{:.2}%", (p * 100.0).floor() / 100.0),
        p => format!("{p:.1}%"),
    }
}

/// The last day, half an hour a tick: its height is the latency, its colour and fill the availability.
#[component]
pub fn Ticks(row: Probe) -> impl IntoView {
    let tallest = row.ticks.iter().filter_map(|tick| tick.latency).fold(0.0_f64, f64::max);
    let known = row.ticks.iter().filter(|tick| tick.available.is_some()).count();
    let bad = row.ticks.iter().filter(|tick| tick.available.is_some_and(|share| share < 1.0)).count();
    let says = match (known, bad) {
        (0, _) => "No probes in the last 24 hours".to_owned(),
        (_, 0) => format!("No failure in the {known} half hours known of the last 24 h"),
        (_, bad) => format!("Failures in {bad} of the {known} half hours known of the last 24 h"),
    };
    let tick = |(at, tick): (usize, &Tick)| {
        let from_ms = row.start_ms + (at as i64 - 1) * row.step_ms;
        let (class, height, text) = match tick.available {
            None => ("s-no", 100.0, "no data".to_owned()),
            Some(share) => {
                let class = if share >= 1.0 {
                    "s-up"
                } else if share > 0.5 {
                    "s-sl"
                } else {
                    "s-dn"
                };
                let height = match tick.latency {
                    Some(latency) if tallest > 0.0 => 35.0 + latency / tallest * 65.0,
                    _ => 50.0,
                };
                let latency = tick.latency.map(|latency| format!(", {}", format_seconds(latency))).unwrap_or_default();
                // A failure must be seen however quickly it failed.
                (class, if share < 1.0 { 100.0 } else { height }, format!("{} available{latency}", percent(share)))
            }
        };
        let title = format!("{}: {text}", format_full(from_ms));
        view! { <i class=class style=format!("height:{height:.0}%") title=title></i> }
    };
    view! {
        <div class="tk" role="img" aria-label=says>
            {row.ticks.iter().enumerate().map(tick).collect_view()}
        </div>
    }
}

/// Where the time of the last probe went.
#[component]
pub fn Phases(phases: Vec<(String, f64)>) -> impl IntoView {
    let whole: f64 = phases.iter().map(|(_, seconds)| seconds).sum();
    if whole <= 0.0 {
        return ().into_any();
    }
    let word = |name: &str| PHASES.iter().find(|(phase, ..)| *phase == name).copied();
    let says: Vec<_> = phases
        .iter()
        .filter_map(|(name, seconds)| Some(format!("{} {}", word(name)?.1, format_seconds(*seconds))))
        .collect();
    let says = says.join(", ");
    let bars = phases.iter().filter_map(|(name, seconds)| {
        let (_, _, color) = word(name)?;
        Some(view! { <i style=format!("width:{:.1}%;background:{color}", seconds / whole * 100.0)></i> })
    });
    view! { <div class="ph" role="img" aria-label=says.clone() title=says.clone()>{bars.collect_view()}</div> }
        .into_any()
}

/// Names the colours of the phases.
#[component]
pub fn PhaseLegend() -> impl IntoView {
    let item = |(_, word, color): &(&str, &'static str, &str)| {
        view! { <span><i style=format!("background:{color}")></i>{*word}</span> }
    };
    view! { <span class="ph-legend only-l small mut">{PHASES.iter().take(5).map(item).collect_view()}</span> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::query::Point;

    fn sample(instance: &str, extra: &[(&str, &str)], value: f64) -> InstantSample {
        let mut metric =
            BTreeMap::from([("instance".to_owned(), instance.to_owned()), ("job".to_owned(), "b".to_owned())]);
        metric.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        InstantSample { metric, value: Some(Point { timestamp_ms: 0, value }), histogram: None }
    }

    #[test]
    fn answers_join_by_endpoint() {
        let day = DAY_MS as f64 / 1000.0;
        let series = |instance: &str, value: f64| RangeSeries {
            metric: sample(instance, &[], 0.0).metric,
            values: vec![Point { timestamp_ms: 47 * 1000, value }, Point { timestamp_ms: 99_000, value }],
            histograms: Vec::new(),
        };
        let rows = join(
            &[sample("up", &[], 1.0), sample("down", &[], 0.0), sample("cert", &[], 1.0), sample("shaky", &[], 1.0)],
            &[sample("up", &[], 0.25)],
            &[sample("cert", &[], 10.0 * day), sample("up", &[], 90.0 * day)],
            &[sample("up", &[], 200.0), sample("down", &[], 0.0)],
            &[sample("up", &[("phase", "tls")], 0.1), sample("up", &[("phase", "resolve")], 0.2)],
            &[sample("up", &[], 0.999)],
            &[series("up", 1.0), series("shaky", 0.5)],
            &[series("up", 0.3)],
            0,
            1000,
            0,
        );
        let said: Vec<_> = rows.iter().map(|row| format!("{} {}", row.target, row.state.word())).collect();
        assert_eq!(said, ["down down", "cert degraded", "shaky degraded", "up up"]);
        let up = rows.last().unwrap();
        assert_eq!((up.duration, up.status, up.certificate_days), (Some(0.25), Some(200.0), Some(90.0)));
        assert_eq!(up.phases, [("resolve".to_owned(), 0.2), ("tls".to_owned(), 0.1)]);
        assert_eq!(up.ticks.last(), Some(&Tick { available: Some(1.0), latency: Some(0.3) }));
        assert_eq!(rows.first().unwrap().status, None);
    }

    #[test]
    fn shares() {
        for (share, expected) in [(1.0, "100%"), (0.99999, "99.99%"), (0.9998, "99.98%"), (0.5, "50.0%"), (0.0, "0.0%")]
        {
            assert_eq!(percent(share), expected);
        }
    }
}
