//! Random expressions, asked of Prometheus and of Vigie over the same data: values, order, warnings, infos and errors must
//! be the same. `VIGIE_SEED` chooses other expressions, `VIGIE_CASES` how many.

mod data;
mod generate;
mod mistakes;

use anyhow::{Result, ensure};
use data::{END_MS, START_MS};
use generate::Random;
use harness::{Program, Vigie, free_port, http, peer};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path, process::Command};

/// Largest relative difference of two values that count as equal.
const TOLERANCE: f64 = 1e-12;
/// Differences that are told one by one; the others are counted.
const TOLD_MAX: usize = 100;

/// Notes that Prometheus 3.5 does not know, or of which it tells only the last of a step.
const OTHER_NOTES: [&str; 9] = [
    "sort is ineffective for range queries",
    "mismatched custom buckets were reconciled",
    "has NaN observations",
    "conflicting counter resets",
    "incompatible sample types encountered",
    "incompatible bucket layout encountered",
    "mix of histograms with exponential and custom buckets",
    "this native histogram metric is not a",
    "annotations omitted",
];

/// Differences that are meant: what became otherwise between 3.5 and 3.14, what nobody promises, and faults of 3.5.
fn is_meant(query: &str, theirs: &Value, ours: &Value) -> bool {
    let text = |answer: &Value| answer["error"].as_str().unwrap_or_default().to_owned();
    let (their_error, our_error) = (text(theirs), text(ours));
    let any = |words: &[&str]| words.iter().any(|word| query.contains(word));
    let of_histograms = any(&["native", "custom", "mixed", "gauge_histogram"]);
    // A match is unique even where a comparison leaves it out.
    (our_error.starts_with("multiple matches for labels") && their_error.is_empty())
        // Series that are equal without their names are joined where they do not overlap.
        || (their_error.starts_with("vector cannot contain metrics") && our_error.is_empty())
        // A panic, and the number of a token of its grammar.
        || their_error.contains("unexpected error")
        || their_error.contains("<Item ")
        // Where names go at once, it knows that of a histogram at the first step only.
        || theirs["infos"].to_string().contains(r#"#histogram_quantile) for metric name \"\" ("#)
        // Functions that treat NaN or custom buckets in another way now.
        || any(&["mad_over_time", "histogram_fraction", "histogram_stddev", "histogram_stdvar"])
        // Growth of histograms is not taken below zero; kinds that follow each other do not mix.
        || (of_histograms && any(&["rate(", "increase(", "delta("]))
        // Numbers in texts differ in the last digit; ranges of histograms come with values of other times.
        || (query.contains("count_values") && any(&["log", "ln(", "exp(", "sin", "cos", "tan", "sqrt(", "deg(", "rad("]))
        || (of_histograms && (query.contains("count_values") || theirs["data"]["resultType"] == "matrix" && query.contains('[')))
        // A parameter that changes under an aggregation that does not is read once.
        || (any(&["(time(), "]) && query.contains(" @ "))
        // What comes from `or` without a name is no series with one, whatever came first in the range.
        || (query.contains(" or ") && numbers(theirs) == numbers(ours))
        // Of equal elements any may be chosen.
        || query.contains("limitk")
        || any(&["topk", "bottomk"]) && numbers(theirs) == numbers(ours)
}

/// All values of an answer, in order.
fn numbers(answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for series in answer["data"]["result"].as_array().into_iter().flatten() {
        found.extend(series["value"].as_array().map(|point| point[1].to_string()));
        let points = series["values"].as_array().into_iter().flatten();
        found.extend(points.map(|point| format!("{} {}", point[0], point[1])));
    }
    found.sort();
    found
}

const FLAGS: [&str; 2] = ["--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver"];
const FEATURES: &str = "promql-experimental-functions,promql-per-step-stats,promql-duration-expr,native-histograms";
/// Names go at the end of a query.
const DELAYED: &str = "promql-delayed-name-removal";

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) struct Servers {
    prometheus: String,
    vigie: String,
    _programs: (Program, Vigie),
}

impl Servers {
    /// Both servers with the data in them; `None` where there is no Prometheus. `delayed`: with [`DELAYED`].
    fn start(theirs: &Path, delayed: bool) -> Result<Option<Servers>> {
        let Some(binary) = peer("prometheus") else { return Ok(None) };
        let port = free_port()?;
        let features =
            format!("--enable-feature={FEATURES}{}", if delayed { format!(",{DELAYED}") } else { String::new() });
        std::fs::write(theirs.join("prometheus.yml"), "{}")?;
        let program = Program::start(
            "prometheus",
            Command::new(binary)
                .current_dir(theirs)
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
                .arg(&features)
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(FLAGS),
            theirs,
        )?;
        let ours = Vigie::start(Some("global: {}"), &[FLAGS[0], FLAGS[1], &features])?;
        let servers =
            Servers { prometheus: format!("http://127.0.0.1:{port}"), vigie: ours.url(""), _programs: (program, ours) };
        harness::until(std::time::Duration::from_secs(30), "prometheus is ready", || {
            ensure!(http::get(&format!("{}/-/ready", servers.prometheus))?.status == 200);
            Ok(())
        })?;
        for body in data::requests()? {
            for base in [&servers.prometheus, &servers.vigie] {
                let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
                let answer = http::send("POST", &format!("{base}/api/v1/write"), &headers, &body)?;
                ensure!(answer.status / 100 == 2, "{base}: HTTP {}: {}", answer.status, answer.text());
            }
        }
        Ok(Some(servers))
    }

    /// Both answers to a request: theirs, ours.
    fn ask(&self, path: &str, form: &str) -> Result<(Value, Value)> {
        let ask = |base: &str| http::post(&format!("{base}{path}"), "application/x-www-form-urlencoded", form)?.json();
        Ok((ask(&self.prometheus)?, ask(&self.vigie)?))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn same_number(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    a == b && a.is_sign_negative() == b.is_sign_negative()
        || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) && a != b
}

/// Where two JSON values differ first, numbers within the tolerance; `None` if nowhere.
fn difference(place: &str, theirs: &Value, ours: &Value) -> Option<String> {
    let told = |a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| Some(format!("{place}: {a} / {b}"));
    match (theirs, ours) {
        (Value::Array(a), Value::Array(b)) => {
            let pairs = a.iter().zip(b).enumerate();
            let inner = pairs.filter_map(|(at, (a, b))| difference(&format!("{place}[{at}]"), a, b)).next();
            inner.or_else(|| {
                let rest = |list: &[Value], from: usize| short(&list.iter().skip(from).take(2).cloned().collect());
                (a.len() != b.len()).then(|| told(&rest(a, b.len()), &rest(b, a.len())))?
            })
        }
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => difference(&format!("{place}.{key}"), a, b),
                (a, b) => {
                    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), short);
                    Some(format!("{place}.{key}: {} / {}", show(a), show(b)))
                }
            })
        }
        (a, b) if a == b => None,
        // Labels are texts even where they look like numbers.
        (a, b) if !place.contains("metric") => match (number(a), number(b)) {
            (Some(x), Some(y)) if same_number(x, y) => None,
            _ => told(&short(a), &short(b)),
        },
        (a, b) => told(&short(a), &short(b)),
    }
}

/// Begin of a text for people.
fn short(value: &Value) -> String {
    const LENGTH: usize = 400;
    let text = value.to_string();
    if text.len() > LENGTH { format!("{}…", text.chars().take(LENGTH).collect::<String>()) } else { text }
}

/// Puts in order what has none: the series of a vector, those of equal values in a sorted one, and notes.
fn tidy(answer: &mut Value, ordered: bool) {
    if ordered && let Some(result) = answer["data"]["result"].as_array_mut() {
        for equal in result.chunk_by_mut(|a, b| a["value"] == b["value"]) {
            equal.sort_by_key(|series| series["metric"].to_string());
        }
    }
    if !ordered
        && answer["data"]["resultType"] == "vector"
        && let Some(result) = answer["data"]["result"].as_array_mut()
    {
        result.sort_by_key(|series| series["metric"].to_string());
    }
    for key in ["warnings", "infos"] {
        if let Some(notes) = answer.get_mut(key).and_then(Value::as_array_mut) {
            notes.sort_by_key(Value::to_string);
        }
    }
    if let Some(data) = answer["data"].as_object_mut() {
        data.remove("stats");
    }
}

#[derive(Default)]
struct Report {
    asked: usize,
    failed: usize,
    meant: usize,
    different: Vec<String>,
}

impl Report {
    fn compare(&mut self, servers: &Servers, path: &str, query: &str, times: &str) -> Result<()> {
        let form = format!("query={}&{times}", http::encode(query));
        let (mut theirs, mut ours) = servers.ask(path, &form)?;
        self.asked += 1;
        self.failed += usize::from(theirs["status"] == "error");
        for answer in [&mut theirs, &mut ours] {
            for key in ["warnings", "infos"] {
                let Some(notes) = answer.get_mut(key).and_then(Value::as_array_mut) else { continue };
                notes.retain(|note| !OTHER_NOTES.iter().any(|other| note.to_string().contains(other)));
                if notes.is_empty() {
                    answer.as_object_mut().map(|answer| answer.remove(key));
                }
            }
        }
        // Which series are double depends on the order of series in the middle of a query, which nobody promises.
        let brief = |answer: &Value| {
            let text = answer["error"].as_str().unwrap_or_default();
            text.split_once(" for the match group ").map(|(brief, _)| brief.to_owned())
        };
        if let (Some(a), Some(b)) = (brief(&theirs), brief(&ours))
            && a == b
        {
            return Ok(());
        }
        // More than ten notes are counted, and which ten are told differs.
        if query.contains("(time(), ") {
            for answer in [&mut theirs, &mut ours] {
                answer.as_object_mut().map(|answer| answer.remove("warnings"));
            }
        }
        let ordered = generate::is_ordered(query);
        tidy(&mut theirs, ordered);
        tidy(&mut ours, ordered);
        let told = if theirs["status"] == ours["status"] {
            difference("", &theirs, &ours)
        } else {
            let (a, b) = (short(theirs.get("error").unwrap_or(&theirs)), short(ours.get("error").unwrap_or(&ours)));
            Some(format!("{a} / {b}"))
        };
        match told {
            None => {}
            Some(_) if is_meant(query, &theirs, &ours) => self.meant += 1,
            Some(told) => self.different.push(format!("{query}\n    {times}\n    {told}")),
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "what a comparison of chance saw is worth a line")]
    fn finish(self) -> Result<()> {
        println!(
            "{} requests, {} of them errors, {} answered differently on purpose, {} by mistake",
            self.asked,
            self.failed,
            self.meant,
            self.different.len()
        );
        ensure!(
            self.different.is_empty(),
            "{} of {} differ (theirs / ours):\n{}",
            self.different.len(),
            self.asked,
            self.different.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("\n")
        );
        Ok(())
    }
}

#[test]
fn random_expressions_are_answered_alike() -> Result<()> {
    random_expressions(true, number_from("VIGIE_SEED", 1), number_from("VIGIE_CASES", 400))
}

#[test]
fn random_expressions_whose_names_go_at_once() -> Result<()> {
    random_expressions(false, number_from("VIGIE_SEED", 2), number_from("VIGIE_CASES", 200))
}

/// Expressions in which it matters when names go. `X` and `Y` stand for selectors.
const NAMES: &str = r#"
X
-X
+X
- -X
abs(X)
rate(X[2m])
increase(X[2m]) > 0
last_over_time(X[2m])
max_over_time(X[2m]) * 2
max_over_time((X > 1)[2m:20s])
max_over_time((X + 1)[2m:20s])
max_over_time(rate(X[1m])[2m:20s])
timestamp(X)
timestamp(-X)
hour(X)
round(X, 5) == X
clamp_max(X, 5)
X > 2
X > bool 2
2 < bool X
X * 2
X == bool Y
X == bool on (job, instance) group_left Y
X == bool on (__name__, job, instance) Y
X / on (__name__, job, instance) Y
X > on (job, instance) group_right () Y
X * on (job, instance) group_left (zone) Y
X or Y
X or -Y
-X or -Y
-X or Y
abs(X) or X
X unless -Y
X and -Y
-X unless on (__name__) Y
sum by (__name__) (X)
sum by (__name__) (-X)
sum by (__name__, job) (rate(X[2m]))
sum without (instance) (-X)
avg(abs(X))
count by (__name__) (X > bool 2)
topk(2, -X)
topk by (__name__) (1, -X)
bottomk(1, rate(X[2m]))
limitk(100, -X)
quantile by (__name__) (0.5, -X)
count_values("value", X)
count_values by (__name__) ("value", -X)
count_values("__name__", X)
group by (__name__) (rate(X[2m]))
label_replace(X, "__name__", "other", "", "")
label_replace(-X, "__name__", "other", "", "")
label_replace(rate(X[2m]), "__name__", "${1}_rate", "__name__", "(.+)")
label_replace(rate(X[2m]), "was", "$1", "__name__", "(.+)")
label_replace(-X, "job", "$1", "__name__", "(.*)")
label_join(-X, "was", "-", "__name__", "job")
label_join(-X, "__name__", "-", "job", "instance")
-label_replace(X, "__name__", "other", "", "")
sum by (__name__) (label_replace(-X, "__name__", "other", "", ""))
sort(-X)
sort_by_label(-X, "__name__")
absent(-X)
scalar(-X)
histogram_quantile(0.9, X)
histogram_quantile(0.5, rate(X[2m]))
histogram_count(X)
(X)[2m:30s]
(-X)[2m:30s]
(rate(X[2m]))[2m:30s]
-X @ 1700000600
rate(X[2m] @ end())
gauge{job="\xff"}
gauge{job!="\xff"}
"#;

/// What stands for `X` and `Y`: one name, several, of which some are the same without their names.
const SELECTORS: [(&str, &str); 6] = [
    ("gauge", "counter_total"),
    ("{__name__=~\"gauge|counter_total\",job=\"a\"}", "gauge"),
    ("{__name__=~\"dup_.*\"}", "{__name__=~\"gauge|dup_.*\"}"),
    ("{__name__=~\"native|custom\"}", "native"),
    ("{__name__=~\"latency_bucket|native\"}", "latency_bucket"),
    ("{__name__=\"gauge\",instance=~\".+\"}", "edge"),
];

#[test]
fn names_go_when_they_go_in_prometheus() -> Result<()> {
    for delayed in [false, true] {
        let folder = tempfile::tempdir()?;
        let Some(servers) = Servers::start(folder.path(), delayed)? else { return Ok(()) };
        let mut report = Report::default();
        for (x, y) in SELECTORS {
            for case in NAMES.trim().lines() {
                // Ranges stand behind the selectors.
                let query = case.replace('X', x).replace('Y', y);
                for time_ms in [START_MS + 300_000, START_MS + 601_500] {
                    report.compare(&servers, "/api/v1/query", &query, &format!("time={}", time_ms as f64 / 1000.0))?;
                }
                let times = format!("start={}&end={}&step=31", START_MS / 1000 - 60, END_MS / 1000 + 60);
                if !query.ends_with("s]") {
                    report.compare(&servers, "/api/v1/query_range", &query, &times)?;
                }
            }
        }
        report.finish()?;
    }
    Ok(())
}

fn random_expressions(delayed: bool, seed: u64, cases: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(servers) = Servers::start(folder.path(), delayed)? else { return Ok(()) };
    let mut random = Random(seed);
    let mut report = Report::default();
    for _ in 0..cases {
        let query = generate::expression(&mut random);
        let time = START_MS + random.below((END_MS - START_MS) as usize + 120_000) as i64;
        report.compare(&servers, "/api/v1/query", &query, &format!("time={}", time as f64 / 1000.0))?;
        let step = 7 + random.below(90);
        let times = format!("start={}&end={}&step={step}", START_MS / 1000 - 60, END_MS / 1000 + 60);
        report.compare(&servers, "/api/v1/query_range", &query, &times)?;
    }
    report.finish()
}

/// How many samples each step looks at, which tells whether the same windows of the same series are read.
#[test]
fn samples_are_counted_alike() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(servers) = Servers::start(folder.path(), true)? else { return Ok(()) };
    let mut random = Random(number_from("VIGIE_SEED", 1));
    let mut report = Report::default();
    for _ in 0..number_from("VIGIE_CASES", 400) / 4 {
        let query = generate::expression(&mut random);
        for (path, times) in [
            ("/api/v1/query", "time=1700000700".to_owned()),
            ("/api/v1/query_range", format!("start={}&end={}&step=70", START_MS / 1000, END_MS / 1000)),
        ] {
            let form = format!("query={}&{times}&stats=all", http::encode(&query));
            let (theirs, ours) = servers.ask(path, &form)?;
            report.asked += 1;
            // Prometheus reads histograms without their buckets where only their sum or count is wanted, now and then.
            let in_brief = query.contains("histogram_count(") || query.contains("histogram_sum(");
            if theirs["status"] == "error" || ours["status"] == "error" || in_brief {
                report.failed += 1;
                continue;
            }
            let samples = |answer: &Value| {
                let mut samples = answer["data"]["stats"]["samples"].clone();
                if let Some(samples) = samples.as_object_mut() {
                    // What is in memory at once is each engine's own matter.
                    samples.remove("peakSamples");
                }
                samples
            };
            if let Some(difference) = difference("", &samples(&theirs), &samples(&ours)) {
                report.different.push(format!("{query}\n    {times}\n    {difference}"));
            }
        }
    }
    report.finish()
}

#[test]
fn mistakes_are_refused_alike() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(servers) = Servers::start(folder.path(), true)? else { return Ok(()) };
    let mut report = Report::default();
    for line in mistakes::MISTAKES.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('~') {
            None => report.compare(&servers, "/api/v1/query", line, "time=1700000600")?,
            Some(query) => {
                let (theirs, ours) =
                    servers.ask("/api/v1/query", &format!("query={}&time=1700000600", http::encode(query)))?;
                ensure!(theirs["errorType"] == ours["errorType"], "{query}: {theirs} / {ours}");
            }
        }
    }
    report.finish()
}
