//! Budgets of series over HTTP: what is beyond them is one series, counted, with the label that is to blame.

use anyhow::{Context, Result, ensure};
use harness::{Vigie, http, until, vigie};
use std::{fs, process::Command, time::Duration};

const SOON: Duration = Duration::from_secs(30);

fn config(budget: u64) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\nstorage: {{cardinality: {{metrics: {{requests_total: {budget}}}}}}}\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]\n"
    )
}

/// Sends a counter of each of so many users by remote write.
fn push(vigie: &Vigie, users: usize, value: usize) -> Result<()> {
    let lines: String = (0..users)
        .map(|user| format!("requests_total{{instance=\"a:1\",user=\"user-{user:02}\"}} {value}\n"))
        .collect();
    let file = vigie.folder.join("requests.txt");
    fs::write(&file, format!("# TYPE requests_total counter\n{lines}"))?;
    let output = Command::new(vigie::binary()?)
        .args(["push", "metrics", &vigie.url("/api/v1/write"), "--label=job=web"])
        .arg(&file)
        .output()?;
    ensure!(output.status.success(), "push: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The value of a line of `/metrics`.
fn metric(vigie: &Vigie, name: &str) -> Result<f64> {
    let text = vigie.get("/metrics")?.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no {name}"))?.parse()?)
}

#[test]
fn series_beyond_a_budget_are_one_and_told() -> Result<()> {
    let vigie = Vigie::start(Some(&config(4)), &["--web.enable-remote-write-receiver", "--web.enable-lifecycle"])?;
    push(&vigie, 20, 3)?;
    until(SOON, "the sum of what has no place", || {
        let sum = vigie.value("requests_total{job=\"web\",instance=\"a:1\",overflow=\"true\"}")?;
        ensure!(sum == 16.0 * 3.0, "it is {sum}");
        let all = vigie.value("sum(requests_total)")?;
        ensure!(all == 20.0 * 3.0, "the sum over all is {all}");
        let series = vigie.value("count(requests_total)")?;
        ensure!(series == 5.0, "{series} series");
        Ok(())
    })?;
    let of_budget = "{budget=\"metric\",name=\"requests_total\"}";
    ensure!(metric(&vigie, "vigie_cardinality_folded_samples_total")? == 16.0, "16 samples were added up");
    ensure!(metric(&vigie, &format!("vigie_cardinality_limit_series{of_budget}"))? == 4.0, "the limit");
    ensure!(metric(&vigie, &format!("vigie_cardinality_series{of_budget}"))? == 5.0, "the series");
    let status = vigie.get("/api/v1/status/cardinality")?.json()?;
    let over = &status["data"]["overBudget"][0];
    ensure!(over["budget"] == "metric" && over["name"] == "requests_total", "{status}");
    ensure!(over["limit"] == 4 && over["series"] == 5 && over["folded"] == 16, "{status}");
    ensure!(over["label"] == "user" && over["labelValues"] == 16, "the guilty label: {status}");
    ensure!(over["samples"].as_array().is_some_and(|samples| samples.len() == 5), "{status}");
    let rule = over["rule"].as_str().context("no rule")?;
    ensure!(rule.contains("source_labels: [__name__, user]") && rule.contains("requests_total;.+"), "{rule}");
    // The rule is one that a configuration takes.
    let with_rule = format!(
        "scrape_configs:\n- job_name: web\n  static_configs: [{{targets: ['a:1']}}]\n{}",
        rule.lines().map(|line| format!("  {line}\n")).collect::<String>()
    );
    fs::write(vigie.folder.join("with_rule.yml"), with_rule)?;
    let check = Command::new(vigie::binary()?)
        .args(["check", "config", "with_rule.yml"])
        .current_dir(&vigie.folder)
        .output()?;
    ensure!(
        check.status.success(),
        "{}{}",
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr)
    );

    // More room after a reload: all have places of their own.
    fs::write(vigie.folder.join("prometheus.yml"), config(100))?;
    ensure!(http::post(&vigie.url("/-/reload"), "", "")?.status == 200, "reload");
    push(&vigie, 20, 5)?;
    until(SOON, "places for all", || {
        let series = vigie.value("count(requests_total{user!=\"\"})")?;
        ensure!(series == 20.0, "{series} series");
        Ok(())
    })?;
    let status = vigie.get("/api/v1/status/cardinality")?.json()?;
    ensure!(status["data"]["overBudget"].as_array().is_some_and(Vec::is_empty), "{status}");
    Ok(())
}
