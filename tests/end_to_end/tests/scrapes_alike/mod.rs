//! The same tricky targets scraped by Prometheus and by Vigie: what is stored, what the scrapes say of themselves, what is
//! asked for and what the targets page shows.

mod cases;
mod target;
mod tls;

use anyhow::{Context, Result, ensure};
use cases::{CASES, Case};
use harness::{Program, Vigie, free_port, http, peer, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use target::{Target, read_api};

const PATIENCE: Duration = Duration::from_secs(90);
/// Times after the base up to this are those of scrapes.
const SCRAPES_MS: i64 = 240_000;

/// Where the two differ on purpose: case, what is compared, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "goes_down",
        "alive",
        "Prometheus writes no marker for what stood before the fault of a body; its series seem to live",
    ),
    ("times_old", "scrape_series_added", "series whose only sample is refused are counted as added"),
    ("times_ahead", "scrape_series_added", "as above"),
    ("open_time_digits", "scrape_series_added", "as above"),
    ("nhcb_contradiction", "scrape_series_added", "as above: the histogram that is left out is counted"),
    (
        "times_zero",
        "",
        "negative times are of the format, and Prometheus' parser of bodies takes them; its scraper does not",
    ),
    ("line_time_negative", "", "as above"),
    ("twice_by_relabelling", "scrape_series_added", "two lines of one series are one that is added"),
    ("proto", "scrape_series_added", "a series is known whatever the format that tells of it"),
    ("proto_bucket_limit_hard", "metadata", "a body is not read on behind the histogram that refuses it"),
    ("own_up", "", "what a scrape says of itself counts, whatever the target claims"),
    ("nhcb_open", "", "`_created` of a converted histogram is kept as it is of others"),
    ("proto_bucket_limit_hard", "scrape_s", "a body is not read on behind the histogram that refuses it"),
    ("line_leading_blank", "", "Prometheus takes the blanks for a part of the name"),
    ("line_carriage_return", "", "programs on Windows write it"),
];

fn config(server: &str, port: u16) -> String {
    let mut out = "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n".to_owned();
    if server == "ours" {
        out = out.replace("2s}", "2s, extra_scrape_metrics: true}");
    }
    for case in CASES.iter() {
        let native = case.job.starts_with("NATIVE");
        let job = match server {
            "ours" => case.job.replace("NATIVE", "scrape_native_histograms: true"),
            _ => case.job.replace("NATIVE", ""),
        };
        out.push_str(&format!("- job_name: {}\n  metrics_path: /{0}/{server}\n", case.name));
        if !native && !job.contains("scrape_protocols") {
            // The flag for native histograms would put protobuf first.
            out.push_str("  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]\n");
        }
        let second = if case.job.starts_with("target_limit") { format!(", 'localhost:{port}'") } else { String::new() };
        out.push_str(&format!(
            "  {}\n  static_configs: [{{targets: ['127.0.0.1:{port}'{second}], labels: {{env: prod}}}}]\n",
            job.trim()
        ));
    }
    out.replace("PORT", &port.to_string())
}

/// A time: those that targets give are compared, those of scrapes are each server's own.
fn shown_time(ms: i64, base_ms: i64) -> String {
    let after_ms = ms - base_ms;
    if (1..SCRAPES_MS).contains(&after_ms) { String::new() } else { format!("@{after_ms}") }
}

fn milliseconds(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap_or_default() * 1000.0).round() as i64
}

/// Entries without those that are as the one before: the servers have scraped the last answer more or less often.
fn collapsed(entries: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = entries.collect();
    all.dedup();
    all.join(" ")
}

/// Everything that is compared, by what it is.
fn look(base: &str, server: &str, case: &Case, target: &Target, base_ms: i64) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    let job = if case.name == "honor" { "honor|own" } else { case.name };
    let selector = http::encode(&format!("{{job=~\"{job}\"}}"));
    let late_s = base_ms / 1000 + 660;
    let path = format!("/api/v1/query?query={selector}%5B30m%5D&time={late_s}");
    let stored = read_api(base, &path)?;
    for series in stored["result"].as_array().context("no result")? {
        let name = series["metric"]["__name__"].as_str().unwrap_or_default();
        let mut samples: Vec<(i64, String)> = Vec::new();
        for kind in ["values", "histograms"] {
            for sample in series[kind].as_array().into_iter().flatten() {
                let value = sample[1].as_str().map_or_else(|| sample[1].to_string(), str::to_owned);
                samples.push((milliseconds(&sample[0]), value));
            }
        }
        samples.sort();
        let samples = samples.into_iter().map(|(ms, value)| format!("{value}{}", shown_time(ms, base_ms)));
        let samples = if name == "scrape_duration_seconds" { String::new() } else { collapsed(samples) };
        out.insert(format!("series {}", series["metric"]), samples);
    }
    let now = read_api(base, &format!("/api/v1/query?query={selector}"))?;
    for one in now["result"].as_array().into_iter().flatten() {
        out.insert(format!("alive {}", one["metric"]), "yes".into());
    }
    let exemplars =
        read_api(base, &format!("/api/v1/query_exemplars?query={selector}&start={}&end={late_s}", late_s - 2000))?;
    for series in exemplars.as_array().into_iter().flatten() {
        let entries = series["exemplars"].as_array().into_iter().flatten();
        let entries = entries.map(|one| {
            format!(
                "{}={}{}",
                one["labels"],
                one["value"].as_str().unwrap_or_default(),
                shown_time(milliseconds(&one["timestamp"]), base_ms)
            )
        });
        out.insert(format!("exemplars {}", series["seriesLabels"]), collapsed(entries));
    }
    let metadata = read_api(
        base,
        &format!("/api/v1/targets/metadata?match_target={}", http::encode(&format!("{{job=\"{}\"}}", case.name))),
    )?;
    let metadata: BTreeSet<String> = metadata
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {} {} {}", one["metric"], one["type"], one["help"], one["unit"]))
        .collect();
    out.insert("metadata".into(), metadata.into_iter().collect::<Vec<_>>().join("\n    "));
    let targets = read_api(base, &format!("/api/v1/targets?scrapePool={}", case.name))?;
    for target in targets["activeTargets"].as_array().into_iter().flatten() {
        for key in ["labels", "discoveredLabels", "health", "scrapeInterval", "scrapeTimeout", "scrapeUrl"] {
            let value = target[key].to_string().replace(&format!("/{server}"), "/SERVER");
            out.insert(format!("target {} {key}", target["labels"]["instance"]), value);
        }
        let error = target["lastError"].as_str().unwrap_or_default();
        out.insert(format!("target {} fails", target["labels"]["instance"]), (!error.is_empty()).to_string());
    }
    let asked = target.asked(case.name, server);
    out.insert("request path".into(), asked.path.replace(&format!("/{server}"), "/SERVER"));
    for header in ["accept", "accept-encoding", "authorization", "x-prometheus-scrape-timeout-seconds", "x-own"] {
        // What Vigie takes beyond gzip is its own matter; and in protobuf, too, it asks for names as they are.
        let own = [("zstd, gzip", "gzip"), (";encoding=delimited;escaping=allow-utf-8", ";encoding=delimited")];
        let value = asked.headers.get(header).map_or_else(String::new, |value| {
            own.iter().fold(value.clone(), |value, (own, theirs)| value.replace(own, theirs))
        });
        out.insert(format!("request {header}"), value);
    }
    Ok(out)
}

/// Counters of scrapes that have counted something.
fn counted(base: &str) -> Result<BTreeMap<String, bool>> {
    let metrics = http::get(&format!("{base}/metrics"))?.text();
    // The engine does not tell the scrape of exemplars that it refuses; it counts them itself.
    let lines = metrics.lines().filter(|line| {
        line.starts_with("prometheus_target_scrape") && line.contains("_total ") && !line.contains("exemplar")
    });
    Ok(lines.filter_map(|line| line.split_once(' ')).map(|(name, value)| (name.to_owned(), value != "0")).collect())
}

#[test]
fn targets_are_scraped_alike() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let base_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())? - 1000;
    let target = Target::start(base_ms)?;
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    std::fs::write(folder.path().join("prometheus.yml"), config("theirs", target.port))?;
    let running = Program::start(
        "prometheus",
        Command::new(&prometheus)
            .current_dir(folder.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--enable-feature=native-histograms,exemplar-storage,extra-scrape-metrics")
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        folder.path(),
    )?;
    let vigie = Vigie::start(Some(&config("ours", target.port)), &[])?;
    let (theirs, ours) = (format!("http://127.0.0.1:{port}"), vigie.url(""));
    until(PATIENCE, "Prometheus is ready", || {
        ensure!(http::get(&format!("{theirs}/-/ready"))?.status == 200);
        Ok(())
    })
    .with_context(|| running.output())?;
    // Those are never asked for what they answer.
    let never = ["proxy_gone", "target_limit"];
    for server in ["theirs", "ours"] {
        until(PATIENCE, &format!("all answers scraped by {server}"), || {
            for case in CASES.iter().filter(|case| !never.contains(&case.name)) {
                let times = target.asked(case.name, server).times;
                ensure!(times > case.answers.len(), "{} was asked {times} times", case.name);
            }
            Ok(())
        })?;
    }
    let mut different = Vec::new();
    let mut unused: BTreeSet<&str> = DIFFERENT.iter().map(|(case, ..)| *case).collect();
    let mut compared = 0;
    // The last answer may be on its way into a database.
    std::thread::sleep(Duration::from_secs(3));
    for case in CASES.iter() {
        let theirs = look(&theirs, "theirs", case, &target, base_ms)?;
        let ours = look(&ours, "ours", case, &target, base_ms)?;
        let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        compared += keys.len();
        for key in keys {
            let (theirs, ours) = (theirs.get(key), ours.get(key));
            if theirs == ours {
                continue;
            }
            if let Some((name, ..)) = DIFFERENT.iter().find(|(name, part, _)| *name == case.name && key.contains(part))
            {
                unused.remove(name);
                continue;
            }
            let shown = |value: Option<&String>| value.map_or("-", |value| value).to_owned();
            different.push(format!("{}: {key}\n  theirs {}\n  ours   {}", case.name, shown(theirs), shown(ours)));
        }
    }
    let (their_counters, our_counters) = (counted(&theirs)?, counted(&ours)?);
    for (name, counts) in &their_counters {
        if our_counters.get(name) != Some(counts) {
            different.push(format!("counter {name}: theirs counted: {counts}, ours: {:?}", our_counters.get(name)));
        }
    }
    let logged = |folder: &std::path::Path| -> Result<Vec<String>> {
        let text = std::fs::read_to_string(folder.join("failures.log"))?;
        let first: Value = serde_json::from_str(text.lines().next().context("no line")?)?;
        Ok(first.as_object().context("no object")?.keys().cloned().collect())
    };
    ensure!(
        logged(folder.path())? == logged(&vigie.folder)?,
        "failure logs: {:?} {:?}",
        logged(folder.path())?,
        logged(&vigie.folder)?
    );
    assert!(different.is_empty(), "{} of {compared} differ:\n{}", different.len(), different.join("\n"));
    assert!(unused.is_empty(), "no difference any more: {unused:?}");
    Ok(())
}
