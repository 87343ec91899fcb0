//! Metrics from the official clients of Python and Node, installed from their registries into a temporary folder.

use anyhow::{Context, Result, ensure};
use harness::{Program, Vigie, free_port, peers::skip, until};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn watch(port: u16) -> Result<Vigie> {
    Vigie::start(
        Some(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]
"
        )),
        &[],
    )
}

/// Runs an installer; false, with a line that says so, where it cannot.
fn install(what: &str, command: &mut Command) -> bool {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            skip(&format!("{what} cannot be installed: {}", String::from_utf8_lossy(&output.stderr)));
            false
        }
        Err(error) => {
            skip(&format!("{what} cannot be installed: {error}"));
            false
        }
    }
}

fn check(port: u16, folder: &Path) -> Result<()> {
    let vigie = watch(port)?;
    until(SOON, "the app's metrics", || {
        vigie.value("up{job=\"app\"}").and_then(|up| if up > 0.0 { Ok(()) } else { Err(anyhow::anyhow!("down")) })?;
        ensure!(vigie.value("app_requests_total{code=\"200\"}")? == 3.0);
        Ok(())
    })
    .with_context(|| folder.display().to_string())?;
    assert_eq!(vigie.value("app_temperature")?, 21.5);
    assert_eq!(vigie.value("app_latency_seconds_count")?, 2.0);
    assert_eq!(vigie.value("app_latency_seconds_bucket{le=\"0.1\"}")?, 1.0);
    assert_eq!(vigie.value("app_size_bytes_count")?, 1.0);
    let quantile = vigie.value("histogram_quantile(0.5, app_latency_seconds_bucket)")?;
    assert!((0.0..=0.5).contains(&quantile), "{quantile}");
    let metadata = vigie.api("/api/v1/metadata?metric=app_temperature")?;
    assert_eq!(metadata["app_temperature"][0]["type"], "gauge", "{metadata}");
    Ok(())
}

#[test]
fn python() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let packages = folder.path().join("packages");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&packages)
        .arg("prometheus_client");
    if !install("prometheus_client", &mut pip) {
        return Ok(());
    }
    let port = free_port()?;
    let app = format!(
        "import time
from prometheus_client import Counter, Gauge, Histogram, Summary, start_http_server
requests = Counter('app_requests', 'Requests.', ['code'])
requests.labels('200').inc(3)
Gauge('app_temperature', 'Degrees.').set(21.5)
latency = Histogram('app_latency_seconds', 'Latency.', buckets=(0.1, 0.5, 1))
latency.observe(0.05)
latency.observe(0.3)
Summary('app_size_bytes', 'Size.').observe(100)
start_http_server({port}, '127.0.0.1')
time.sleep(600)
"
    );
    std::fs::write(folder.path().join("app.py"), app)?;
    let _app = Program::start(
        "python-app",
        Command::new("python3").arg(folder.path().join("app.py")).env("PYTHONPATH", &packages),
        folder.path(),
    )?;
    check(port, folder.path())
}

#[test]
fn node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "prom-client"]).current_dir(folder.path());
    if !install("prom-client", &mut npm) {
        return Ok(());
    }
    let port = free_port()?;
    let app = format!(
        "const client = require('prom-client');
const requests = new client.Counter({{ name: 'app_requests_total', help: 'Requests.', labelNames: ['code'] }});
requests.inc({{ code: '200' }}, 3);
new client.Gauge({{ name: 'app_temperature', help: 'Degrees.' }}).set(21.5);
const latency = new client.Histogram({{ name: 'app_latency_seconds', help: 'Latency.', buckets: [0.1, 0.5, 1] }});
latency.observe(0.05);
latency.observe(0.3);
new client.Summary({{ name: 'app_size_bytes', help: 'Size.' }}).observe(100);
require('http').createServer(async (_, res) => {{
  res.setHeader('Content-Type', client.register.contentType);
  res.end(await client.register.metrics());
}}).listen({port}, '127.0.0.1');
"
    );
    std::fs::write(folder.path().join("app.js"), app)?;
    let _app =
        Program::start("node-app", Command::new("node").arg("app.js").current_dir(folder.path()), folder.path())?;
    check(port, folder.path())
}
