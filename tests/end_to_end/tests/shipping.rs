//! remote_write and remote_read, with InfluxDB and between two servers.

use anyhow::{Result, ensure};
use harness::{Program, Vigie, free_port, http, peer, until};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn influxdb_takes_and_gives_back() -> Result<()> {
    let Some(influxd) = peer("influxd") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let (port, rpc) = (free_port()?, free_port()?);
    let dir = folder.path().display();
    std::fs::write(
        folder.path().join("influxdb.conf"),
        format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{dir}/meta\"\n[data]\ndir = \"{dir}/data\"\nwal-dir = \"{dir}/wal\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\n"
        ),
    )?;
    let _influx = Program::start(
        "influxd",
        Command::new(influxd).arg("-config").arg(folder.path().join("influxdb.conf")).env("HOME", folder.path()),
        folder.path(),
    )?;
    until(SOON, "InfluxDB is up", || {
        let created = http::post(
            &format!("http://127.0.0.1:{port}/query"),
            "application/x-www-form-urlencoded",
            "q=CREATE DATABASE prometheus",
        )?;
        ensure!(created.status == 200, "HTTP {}", created.status);
        Ok(())
    })?;
    let writer = Vigie::start(
        Some(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{region: eu}}}}
scrape_configs: [{{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]
remote_write: [{{url: 'http://127.0.0.1:{port}/api/v1/prom/write?db=prometheus', queue_config: {{batch_send_deadline: 1s}}}}]
"
        )),
        &[],
    )?;
    writer.wait_value(SOON, "up{job=\"gone\"}", 0.0)?;
    let reader = Vigie::start(
        Some(&format!(
            "scrape_configs: []
remote_read: [{{url: 'http://127.0.0.1:{port}/api/v1/prom/read?db=prometheus', read_recent: true}}]
"
        )),
        &[],
    )?;
    reader.wait_value(SOON, "up{job=\"gone\",region=\"eu\"}", 0.0)
}

#[test]
fn vigie_writes_to_vigie_and_loses_nothing_over_an_outage() -> Result<()> {
    let receiver_port = free_port()?;
    let receiver_folder = tempfile::tempdir()?;
    let flags = ["--web.enable-remote-write-receiver"];
    let nothing = Some("scrape_configs: []");
    let mut receiver = Vigie::start_on(receiver_port, receiver_folder.path(), nothing, &flags)?;
    let sender = Vigie::start(
        Some(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]
remote_write: [{{url: 'http://127.0.0.1:{receiver_port}/api/v1/write', queue_config: {{batch_send_deadline: 1s, max_backoff: 1s}}}}]
"
        )),
        &[],
    )?;
    receiver.wait_value(SOON, "up{job=\"gone\"}", 0.0)?;
    receiver.program.kill()?;
    let before = sender.value("count_over_time(up[1h])")?;
    until(SOON, "scrapes while the receiver is away", || {
        let count = sender.value("count_over_time(up[1h])")?;
        ensure!(count >= before + 3.0, "{count}");
        Ok(())
    })?;
    receiver.restart()?;
    let now = sender.value("count_over_time(up[1h])")?;
    until(SOON, "everything has arrived", || {
        let count = receiver.value("count_over_time(up[1h])")?;
        ensure!(count >= now, "{count} of {now}");
        Ok(())
    })
}

#[test]
fn the_receiver_is_off_unless_asked_for() -> Result<()> {
    let vigie = Vigie::start(Some("scrape_configs: []"), &[])?;
    let refused = http::post(&vigie.url("/api/v1/write"), "application/x-protobuf", "x")?;
    assert_eq!(refused.status, 404, "{}", refused.text());
    Ok(())
}
