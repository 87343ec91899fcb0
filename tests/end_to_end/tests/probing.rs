//! Probing from outside, by the classic relabelling job with Vigie on both sides.

use anyhow::Result;
use harness::{Vigie, free_port};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_classic_job_probes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: blackbox-http
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['http://127.0.0.1:{port}/-/healthy', 'http://127.0.0.1:1/']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}
  - job_name: blackbox-tcp
    metrics_path: /probe
    params: {{module: [tcp_connect]}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}
"
    );
    let vigie = Vigie::start_on(port, folder.path(), Some(&config), &[])?;
    let healthy = format!("probe_success{{job=\"blackbox-http\",instance=\"http://127.0.0.1:{port}/-/healthy\"}}");
    vigie.wait_value(SOON, &healthy, 1.0)?;
    vigie.wait_value(SOON, "probe_success{instance=\"http://127.0.0.1:1/\"}", 0.0)?;
    vigie.wait_value(SOON, "probe_success{job=\"blackbox-tcp\"}", 1.0)?;
    vigie.wait_value(SOON, "probe_http_status_code{instance=~\".*healthy\"}", 200.0)?;
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        assert_eq!(
            vigie.query(&format!("probe_http_duration_seconds{{phase=\"{phase}\",instance=~\".*healthy\"}}"))?.len(),
            1
        );
    }
    Ok(())
}

#[test]
fn probes_answer_by_themselves() -> Result<()> {
    let vigie = Vigie::start(None, &[])?;
    let own = format!("http://127.0.0.1:{}/-/healthy", vigie.port);
    let answer = vigie.get(&format!("/probe?module=http_2xx&target={}", harness::http::encode(&own)))?.text();
    assert!(answer.contains("probe_success 1"), "{answer}");
    let icmp = vigie.get("/probe?module=icmp&target=127.0.0.1")?.text();
    assert!(icmp.contains("probe_icmp_duration_seconds{phase=\"rtt\"}"), "{icmp}");
    let unknown = vigie.get("/probe?module=nosuch&target=x")?;
    assert_eq!(unknown.status, 400, "{}", unknown.text());
    let missing = vigie.get("/probe?module=http_2xx")?;
    assert_eq!(missing.status, 400, "{}", missing.text());
    let debug = vigie.get(&format!("/probe?module=http_2xx&debug=true&target={}", harness::http::encode(&own)))?.text();
    assert!(debug.contains("Logs for the probe") && debug.contains("Module configuration"), "{debug}");
    Ok(())
}
