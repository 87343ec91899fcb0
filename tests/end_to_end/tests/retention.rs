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

/// Values of the one series of a range query, and the infos.
fn ask(vigie: &Vigie, query: &str, start_s: i64, end_s: i64, step_s: i64) -> Result<(Vec<f64>, Vec<String>)> {
    let path = format!("/api/v1/query_range?query={}&start={start_s}&end={end_s}&step={step_s}", http::encode(query));
    let json = vigie.get(&path)?.json()?;
    let points = json["data"]["result"][0]["values"].as_array().with_context(|| format!("no values: {json}"))?;
    let values = points.iter().filter_map(|point| point[1].as_str()?.parse().ok()).collect();
    let infos = json["infos"].as_array().into_iter().flatten().filter_map(|info| Some(info.as_str()?.to_owned()));
    Ok((values, infos.collect()))
}
