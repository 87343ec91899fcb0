//! Protobuf and native histograms, from the real Prometheus as a target and between leaf and central.

use anyhow::{Result, ensure};
use harness::{Program, Vigie, free_port, http, peer, until};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);
const DURATION: &str = "prometheus_http_request_duration_seconds";

/// A Prometheus whose own metrics have native histograms beside the classic ones.
fn start_prometheus(binary: &Path, folder: &Path, port: u16, config: &str) -> Result<Program> {
    std::fs::write(folder.join("prometheus.yml"), config)?;
    Program::start(
        "prometheus",
        Command::new(binary).current_dir(folder).args([
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=tsdb".to_owned(),
            "--enable-feature=native-histograms".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]),
        folder,
    )
}

fn job(name: &str, port: u16, more: &str) -> String {
    format!(
        "  - job_name: {name}
    static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{env: prod}}}}]
{more}"
    )
}

fn config(jobs: &[String]) -> String {
    format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}", jobs.concat())
}

#[test]
fn prometheus_is_scraped_in_protobuf() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let _target = start_prometheus(&prometheus, folder.path(), port, "")?;
    let vigie = Vigie::start(
        Some(&config(&[
            job("native", port, "    scrape_native_histograms: true\n"),
            job("both", port, "    scrape_native_histograms: true\n    always_scrape_classic_histograms: true\n"),
            job("coarse", port, "    scrape_native_histograms: true\n    native_histogram_min_bucket_factor: 2\n"),
            job("classic", port, "    scrape_protocols: [PrometheusProto]\n"),
            job("text", port, ""),
        ])),
        &["--enable-feature=promql-experimental-functions,promql-delayed-name-removal"],
    )?;
    // The scrapes are requests to the target, so that its histograms of them grow.
    until(SOON, "a quantile of a native histogram", || {
        let quantile = vigie.value(&format!(
            "histogram_quantile(0.9, sum(rate({DURATION}{{job=\"native\",handler=\"/metrics\"}}[5s])))"
        ))?;
        ensure!(quantile > 0.0 && quantile < 10.0, "it is {quantile}");
        Ok(())
    })?;
    let count = |expression: &str| -> Result<f64> { vigie.value(&format!("count({expression}) or vector(0)")) };
    for (name, native, classic) in [
        ("native", true, false),
        ("both", true, true),
        ("coarse", true, false),
        ("classic", false, true),
        ("text", false, true),
    ] {
        until(SOON, name, || {
            let natives = count(&format!("histogram_count({DURATION}{{job=\"{name}\",env=\"prod\"}})"))?;
            ensure!((natives > 0.0) == native, "{natives} native histograms");
            let buckets = count(&format!("{DURATION}_bucket{{job=\"{name}\"}}"))?;
            ensure!((buckets > 0.0) == classic, "{buckets} classic buckets");
            Ok(())
        })?;
    }
    // Classic series have the same labels by text and by protobuf.
    let series = |job: &str| -> Result<Vec<String>> {
        let of_job = format!("{{job=\"{job}\",__name__!~\"scrape_.*|prometheus_http_.*|up\"}}");
        let names =
            vigie.query(&format!("sort_by_label(count by (__name__, le, quantile) ({of_job}), \"__name__\")"))?;
        Ok(names.iter().map(|one| format!("{} {}", one["metric"], one["value"][1])).collect())
    };
    until(SOON, "text and protobuf give the same series", || {
        let (text, protobuf) = (series("text")?, series("classic")?);
        ensure!(text.len() > 100 && text == protobuf, "{} and {} series", text.len(), protobuf.len());
        Ok(())
    })?;
    let metadata = vigie.api(&format!("/api/v1/metadata?metric={DURATION}"))?;
    assert_eq!(metadata[DURATION][0]["type"], "histogram", "{metadata}");
    // The counters of the Go client say when they started.
    let starts = vigie.value("count(start_timestamp({job=\"native\",__name__=~\"prometheus_.*_total\"}) > 0)");
    ensure!(starts? > 10.0, "counters without a start");
    Ok(())
}

#[test]
fn native_histograms_go_from_leaf_to_central() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let target = start_prometheus(&prometheus, folder.path(), port, "")?;
    let leaf = Vigie::start(Some(&config(&[job("app", port, "    scrape_native_histograms: true\n")])), &[])?;
    let more = "    scrape_native_histograms: true
    honor_labels: true
    metrics_path: /federate
    params: {'match[]': ['{job=\"app\"}', 'sum by (job) (rate(prometheus_http_request_duration_seconds[5s]))']}
";
    let federate = config(&[job("federate", leaf.port, more)]);
    let central = Vigie::start(Some(&federate), &[])?;
    let (central_folder, central_port) = (tempfile::tempdir()?, free_port()?);
    let _other = start_prometheus(
        &prometheus,
        central_folder.path(),
        central_port,
        // This version takes the option as a flag.
        &federate.replace("    scrape_native_histograms: true\n", ""),
    )?;
    let quantile = format!("histogram_quantile(0.9, sum(rate({DURATION}{{job=\"app\",handler=\"/metrics\"}}[10s])))");
    until(SOON, "the central has them", || {
        let value = central.value(&quantile)?;
        ensure!(value > 0.0, "it is {value}");
        let summed = central.value("histogram_count({job=\"app\",__name__=~\"job:prometheus_http_request.*\"})")?;
        ensure!(summed > 0.0, "the sum has {summed}");
        Ok(())
    })?;
    until(SOON, "Prometheus as the central has them", || {
        let url = format!("http://127.0.0.1:{central_port}/api/v1/query?query={}", http::encode(&quantile));
        let answer = http::get(&url)?.json()?;
        let value: f64 = answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").parse()?;
        ensure!(value > 0.0, "{answer}");
        Ok(())
    })?;
    drop(target);
    Ok(())
}
