//! Retention by selector, over HTTP: years of history in windows, beside what is raw.

use anyhow::{Context, Result, ensure};
use harness::{Vigie, http, until, vigie};
use std::{fmt::Write, fs, process::Command, time::Duration};

const STEP_S: i64 = 60;
const DAY_S: i64 = 86_400;

/// A counter that begins anew every 1000 samples, and a gauge, until two days ago.
fn history(begin_s: i64, end_s: i64) -> String {
    let mut text = String::new();
    for (family, kind, value) in [("kpi_orders", "counter", 1000), ("kpi_load", "gauge", 7)] {
        let suffix = if kind == "counter" { "_total" } else { "" };
        let _ = writeln!(text, "# TYPE {family} {kind}");
        for (number, time) in (begin_s..end_s).step_by(STEP_S as usize).enumerate() {
            let _ = writeln!(text, "{family}{suffix}{{shop=\"a\"}} {} {time}", number as i64 % value);
        }
    }
    text + "# EOF\n"
}

#[test]
fn windows_answer_for_raw_samples() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let now_s = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?;
    let end_s = (now_s / DAY_S - 1) * DAY_S;
    let begin_s = end_s - 6 * DAY_S;
    fs::write(folder.path().join("history.txt"), history(begin_s + 1, end_s))?;
    let output = Command::new(vigie::binary()?)
        .args(["tsdb", "import", "history.txt", "--storage.tsdb.path=data"])
        .current_dir(folder.path())
        .output()?;
    ensure!(output.status.success(), "import: {}", String::from_utf8_lossy(&output.stderr));
    // Raw samples are kept for three days and windows of five minutes for years.
    let config = "global: {scrape_interval: 1s}\nstorage:\n  tsdb: {retention: {time: 3d}}\n  retention_rules:\n  \
                  - {match: '{__name__=~\"kpi_.*\"}', keep: 5y, resolution: 5m}\n  \
                  - {match: '{__name__=~\"kpi_.*\"}', keep: 5y, resolution: 1h}\n\
                  scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:1']}]}]\n";
    let mut vigie = Vigie::start_in(folder.path(), Some(config), &["--web.enable-admin-api"])?;
    until(Duration::from_secs(30), "a scrape", || vigie.value("up"))?;
    until(Duration::from_secs(60), "windows", || {
        let response = http::post(&vigie.url("/api/v1/admin/tsdb/compact"), "", "")?;
        ensure!(response.status == 204, "{}", response.text());
        let infos = ask(&vigie, "count_over_time(kpi_load[1d])", begin_s + DAY_S, end_s, DAY_S)?.1;
        ensure!(infos.iter().any(|info| info.contains("down-sampled to 5m")), "{infos:?}");
        Ok(())
    })?;
    for round in 0..2 {
        let per_day = DAY_S / STEP_S;
        let cases = [
            ("count_over_time(kpi_load[1d])", per_day as f64),
            ("max_over_time(kpi_load[1d])", 6.0),
            ("min_over_time(kpi_load[1d])", 0.0),
            // Every 1000 samples the counter loses nothing but the step from 999 to 0.
            ("increase(kpi_orders_total[1d])", per_day as f64),
            ("rate(kpi_orders_total[1d]) * 60", 1.0),
        ];
        for (query, expected) in cases {
            let (values, _) = ask(&vigie, query, begin_s + DAY_S, end_s, DAY_S)?;
            ensure!(values.len() == 6, "round {round}, {query}: {values:?}");
            for value in values {
                ensure!(
                    (value - expected).abs() <= expected * 0.003,
                    "round {round}, {query}: {value}, not {expected}"
                );
            }
        }
        let (values, infos) = ask(&vigie, "avg_over_time(kpi_load[1d])", begin_s + DAY_S, end_s, DAY_S)?;
        ensure!(values.iter().all(|value| (value - 3.0).abs() < 0.01), "{values:?}");
        ensure!(infos.iter().any(|info| info.contains("down-sampled")), "{infos:?}");
        vigie.value("kpi_load offset 5d").context("plain selectors find windows")?;
        vigie.restart()?;
    }
    Ok(())
}

#[test]
fn another_retention_is_followed_after_a_reload() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let now_s = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?;
    // All of it older than what is kept later: blocks go as a whole.
    let end_s = (now_s / DAY_S - 4) * DAY_S;
    let begin_s = end_s - 4 * DAY_S;
    fs::write(folder.path().join("history.txt"), history(begin_s + 1, end_s))?;
    let output = Command::new(vigie::binary()?)
        .args(["tsdb", "import", "history.txt", "--storage.tsdb.path=data"])
        .current_dir(folder.path())
        .output()?;
    ensure!(output.status.success(), "import: {}", String::from_utf8_lossy(&output.stderr));
    let config = |storage: &str| {
        format!(
            "global: {{scrape_interval: 1s}}\nstorage: {{{storage}}}\n\
             scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]\n"
        )
    };
    let vigie = Vigie::start_in(
        folder.path(),
        Some(&config("tsdb: {retention: {time: 90d}}")),
        &["--web.enable-admin-api", "--web.enable-lifecycle"],
    )?;
    until(Duration::from_secs(30), "a scrape", || vigie.value("up"))?;
    let compact = || -> Result<()> {
        let response = http::post(&vigie.url("/api/v1/admin/tsdb/compact"), "", "")?;
        ensure!(response.status == 204, "{}", response.text());
        Ok(())
    };
    let reload = |storage: &str| -> Result<http::Response> {
        fs::write(folder.path().join("prometheus.yml"), config(storage))?;
        http::post(&vigie.url("/-/reload"), "", "")
    };
    compact()?;
    let days = |query: &str| ask(&vigie, query, begin_s + DAY_S, end_s, DAY_S);
    let (values, infos) = days("count_over_time(kpi_load[1d])")?;
    ensure!(values.len() == 4 && infos.is_empty(), "raw samples alone: {values:?} {infos:?}");

    // A rule that cannot be followed changes nothing.
    let kpi = "{match: '{__name__=~\"kpi_.*\"}', keep: 5y, resolution: 5m}";
    let refused =
        reload(&format!("tsdb: {{retention: {{time: 2h}}}}, retention_rules: [{}]", kpi.replace("5m", "7m")))?;
    ensure!(refused.status == 500, "{}", refused.text());
    // Windows for some, and the raw samples go sooner.
    let taken = reload(&format!("tsdb: {{retention: {{time: 2d}}}}, retention_rules: [{kpi}]"))?;
    ensure!(taken.status == 200, "{}", taken.text());
    let limit = vigie.get("/metrics")?.text();
    ensure!(limit.contains("prometheus_tsdb_retention_limit_seconds 172800"), "two days are told");
    until(Duration::from_secs(90), "windows in the place of raw samples", || {
        compact()?;
        let (values, infos) = days("count_over_time(kpi_load[1d])")?;
        ensure!(values.len() == 4, "{values:?}");
        ensure!(infos.iter().any(|info| info.contains("down-sampled to 5m")), "{infos:?}");
        // The blocks that are too old go with the next maintenance.
        let (counts, _) = days("count_over_time(kpi_load[1m])")?;
        ensure!(counts.iter().all(|count| *count == 5.0), "raw samples are still there: {counts:?}");
        Ok(())
    })?;

    // Without the rule, what it kept goes as well.
    let taken = reload("tsdb: {retention: {time: 2d}}")?;
    ensure!(taken.status == 200, "{}", taken.text());
    until(Duration::from_secs(90), "nothing older than the retention", || {
        let path =
            format!("/api/v1/query?query={}&time={}", http::encode("count_over_time(kpi_load[1d])"), begin_s + DAY_S);
        let json = vigie.get(&path)?.json()?;
        ensure!(json["data"]["result"].as_array().is_some_and(Vec::is_empty), "{json}");
        Ok(())
    })
}

/// Values of the one series of a range query, and the infos.
fn ask(vigie: &Vigie, query: &str, start_s: i64, end_s: i64, step_s: i64) -> Result<(Vec<f64>, Vec<String>)> {
    let path = format!("/api/v1/query_range?query={}&start={start_s}&end={end_s}&step={step_s}", http::encode(query));
    let json = vigie.get(&path)?.json()?;
    let points = json["data"]["result"][0]["values"].as_array().with_context(|| format!("no values: {json}"))?;
    let values = points.iter().filter_map(|point| point[1].as_str()?.parse().ok()).collect();
    let infos = json["infos"].as_array().into_iter().flatten().filter_map(|info| Some(info.as_str()?.to_owned()));
    Ok((values, infos.collect()))
}
