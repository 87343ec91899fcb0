//! History shipped to a bucket, whatever happens on the way.

use crate::kill_rounds::{put_series, snappy};
use anyhow::{Context, Result, ensure};
use harness::{Program, Vigie, free_port, http, peer, until, vigie};
use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const WINDOW_MS: i64 = 2 * 3_600_000;
const WINDOWS: i64 = 14;
const CONFIG: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {site: test, replica: a}}
storage: {object_storage: {type: FILESYSTEM, config: {directory: bucket}, prefix: history}}
scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:1']}]}]
";

fn run(args: &[&str], folder: &Path) -> Result<String> {
    let output = Command::new(vigie::binary()?).arg("tsdb").args(args).current_dir(folder).output()?;
    ensure!(output.status.success(), "vigie tsdb {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Blocks of the bucket that are complete.
fn blocks(bucket: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(bucket).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.join("meta.json").is_file()).collect()
}

/// Hours of a few series, two windows of which are whole; where the samples are, and how many these windows have.
fn two_windows(folder: &Path) -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let end_ms = (i64::try_from(now.as_millis())? / WINDOW_MS - 2) * WINDOW_MS;
    let mut text = String::new();
    for series in 0..20 {
        for time in (end_ms - 2 * WINDOW_MS..end_ms).step_by(60_000) {
            writeln!(text, "m{{series=\"{series}\"}} {} {}", (time / 1000 + series) % 977, time as f64 / 1000.0)?;
        }
    }
    fs::write(folder.join("history.om"), text + "# EOF\n")?;
    run(&["import", "history.om"], folder)?;
    Ok(2 * 120 * 20)
}

/// Ships to a bucket of `section`, through a kill -9; another server with the same bucket and no state sends nothing; what is
/// imported later follows. `take` puts what is in the bucket into a folder, where everything is as it was stored.
fn ships_to(folder: &Path, section: &str, take: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    two_windows(folder)?;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{site: test}}}}
storage: {{object_storage: {{{section}, prefix: history}}}}
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]
"
    );
    let mut vigie = Vigie::start_in(folder, Some(&config), &["--storage.tsdb.retention.time=100d"])?;
    let state = folder.join("data/thanos.shipper.json");
    let shipped = |vigie: &Vigie| {
        until(Duration::from_secs(60), "two windows are shipped", || {
            let text = fs::read(&state).with_context(|| vigie.program.output())?;
            let state: serde_json::Value = serde_json::from_slice(&text)?;
            let count = state["windows"].as_object().context("no windows")?.len();
            ensure!(count == 2, "{count} of 2: {}", vigie.program.output());
            Ok(())
        })
    };
    until(Duration::from_secs(60), "the first window is shipped", || {
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&state)?)?;
        ensure!(state["uploaded"].as_array().is_some_and(|list| !list.is_empty()), "{}", vigie.program.output());
        Ok(())
    })?;
    vigie.program.kill()?;
    vigie.restart()?;
    shipped(&vigie)?;
    vigie.program.kill()?;
    // The bucket tells what it has.
    fs::remove_file(&state)?;
    vigie.restart()?;
    shipped(&vigie)?;
    let metrics = vigie.get("/metrics")?.text();
    ensure!(metrics.contains("thanos_shipper_uploads_total 0"), "something was sent again");
    vigie.program.kill()?;

    let first: serde_json::Value = serde_json::from_slice(&fs::read(&state)?)?;
    let windows = first["windows"].as_object().context("no windows")?;
    let window: i64 = windows.keys().next().context("no window")?.parse()?;
    let mut text = String::new();
    for time in (0..20).map(|step| window * WINDOW_MS + step * 60_000 + 30_000) {
        writeln!(text, "m{{series=\"7\"}} {} {}", time % 101, time as f64 / 1000.0)?;
    }
    fs::write(folder.join("late.om"), text + "# EOF\n")?;
    run(&["import", "late.om"], folder)?;
    let wanted = run(&["dump", "--match=m"], folder)?;
    assert_eq!(wanted.lines().count(), 2 * 120 * 20 + 20);
    vigie.restart()?;
    until(Duration::from_secs(60), "what came late is shipped", || {
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&state)?)?;
        let count = state["uploaded"].as_array().context("no list")?.len();
        ensure!(count == 3, "{count} of 3: {}", vigie.program.output());
        Ok(())
    })?;
    vigie.program.kill()?;
    take(&folder.join("there"))?;
    run(&["import-prometheus", "there/history", "--storage.tsdb.path=back"], folder)?;
    let found = run(&["dump", "--match=m", "--storage.tsdb.path=back"], folder)?;
    assert!(found == wanted, "{} lines instead of {}", found.lines().count(), wanted.lines().count());
    Ok(())
}

/// Sends samples of minute marks, each `shift_ms` behind its mark, and notes them as they will be dumped once they are
/// acknowledged.
fn send(
    vigie: &Vigie,
    marks: std::ops::Range<i64>,
    shift_ms: i64,
    acknowledged: &mut BTreeSet<(i64, i64)>,
) -> Result<()> {
    let mut body = Vec::new();
    let mut sent = Vec::new();
    for time in marks.map(|mark| mark * 60_000 - shift_ms) {
        for series in 0..10 {
            let labels = [("__name__", "m"), ("series", &*series.to_string())];
            put_series(&mut body, &labels, time, ((time / 1000 + series) % 977) as f64);
            sent.push((time, series));
        }
    }
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let answer = http::send("POST", &vigie.url("/api/v1/write"), &headers, &snappy(&body))?;
    ensure!(answer.status / 100 == 2, "HTTP {}: {}", answer.status, answer.text());
    acknowledged.extend(sent);
    Ok(())
}

#[test]
fn what_is_written_late_reaches_the_bucket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = |window: &str| {
        format!(
            "global: {{external_labels: {{site: test}}}}
storage:
  tsdb: {{out_of_order_time_window: {window}}}
  object_storage: {{type: FILESYSTEM, config: {{directory: bucket}}, prefix: history}}
"
        )
    };
    let flags = ["--storage.tsdb.retention.time=100d", "--web.enable-remote-write-receiver", "--web.enable-admin-api"];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let begin = (i64::try_from(now.as_millis())? / WINDOW_MS - 7) * 120;
    let end = begin + 6 * 120;
    let mut acknowledged = BTreeSet::new();
    let mut vigie = Vigie::start_in(folder.path(), Some(&config("1h")), &flags)?;
    for hour in (begin..end).step_by(60) {
        send(&vigie, hour..hour + 60, 0, &mut acknowledged)?;
        // Within the window for late samples: the last of them as far back as it goes.
        send(&vigie, hour + 5..hour + 60, 30_000, &mut acknowledged)?;
        if hour % 180 == begin % 180 {
            vigie.program.kill()?;
            vigie.restart()?;
        }
    }
    let state = folder.path().join("data/thanos.shipper.json");
    let uploaded = |vigie: &Vigie, least: usize| {
        until(Duration::from_secs(60), "blocks are shipped", || {
            let state: serde_json::Value = serde_json::from_slice(&fs::read(&state)?)?;
            let count = state["uploaded"].as_array().context("no list")?.len();
            ensure!(count >= least, "{count} of {least}: {}", vigie.program.output());
            Ok(state["windows"].as_object().context("no windows")?.len())
        })
    };
    // All but the last, which samples may still come to.
    assert_eq!(uploaded(&vigie, 5)?, 5);

    // The window is made longer, and samples come to what was shipped.
    vigie.program.kill()?;
    fs::write(folder.path().join("prometheus.yml"), config("12h"))?;
    vigie.restart()?;
    for window in [0, 2] {
        send(&vigie, begin + window * 120 + 10..begin + window * 120 + 40, 45_000, &mut acknowledged)?;
    }
    vigie.program.kill()?;
    vigie.restart()?;
    let answer = http::post(&vigie.url("/api/v1/admin/tsdb/compact"), "", "")?;
    ensure!(answer.status / 100 == 2, "HTTP {}: {}", answer.status, answer.text());
    vigie.program.kill()?;
    fs::write(folder.path().join("prometheus.yml"), config("1h"))?;
    vigie.restart()?;
    assert_eq!(uploaded(&vigie, 7)?, 5);
    vigie.program.kill()?;

    let bucket = folder.path().join("bucket/history");
    let mut samples = 0;
    for block in blocks(&bucket) {
        let meta: serde_json::Value = serde_json::from_slice(&fs::read(block.join("meta.json"))?)?;
        samples += meta["stats"]["numSamples"].as_u64().context("no numSamples")?;
    }
    run(&["import-prometheus", "bucket/history", "--storage.tsdb.path=back"], folder.path())?;
    let found: BTreeSet<String> =
        run(&["dump", "--match=m", "--storage.tsdb.path=back"], folder.path())?.lines().map(str::to_owned).collect();
    let last_ms = (begin + 5 * 120) * 60_000;
    let wanted: BTreeSet<String> = (acknowledged.iter())
        .filter(|(time, _)| *time < last_ms)
        .map(|(time, series)| {
            let value = (time / 1000 + series) % 977;
            format!("{{__name__=\"m\", series=\"{series}\"}} {value} {time}")
        })
        .collect();
    assert!(wanted.len() > 5 * 120 * 10 * 2 - 1000, "{} samples", wanted.len());
    let missing = wanted.difference(&found).next();
    let more = found.difference(&wanted).next();
    assert_eq!((missing, more, samples), (None, None, wanted.len() as u64), "not sent, sent and never acknowledged");
    Ok(())
}

/// What is in a bucket of Google's is known for what it is: nothing of it is sent again. The server that stands for Google's does
/// not take objects the way that is used here (the XML API), so that they are there when it starts.
#[test]
fn a_bucket_of_google() -> Result<()> {
    let Some(program) = peer("fake-gcs-server") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    two_windows(folder.path())?;
    let config = |section: &str| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{site: test}}}}
storage: {{object_storage: {{{section}, prefix: history}}}}
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]
"
        )
    };
    let state = folder.path().join("data/thanos.shipper.json");
    let args = ["--storage.tsdb.retention.time=100d"];
    let shipped = |vigie: &Vigie| {
        until(Duration::from_secs(60), "two windows are in the bucket", || {
            let text = fs::read(&state).with_context(|| vigie.program.output())?;
            let state: serde_json::Value = serde_json::from_slice(&text)?;
            let windows = state["windows"].as_object().context("no windows")?;
            ensure!(windows.len() == 2, "{} of 2: {}", windows.len(), vigie.program.output());
            Ok(windows.clone())
        })
    };
    let mut vigie =
        Vigie::start_in(folder.path(), Some(&config("type: FILESYSTEM, config: {directory: google/vigie}")), &args)?;
    let before = shipped(&vigie)?;
    vigie.program.kill()?;
    fs::remove_file(&state)?;

    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let _google = Program::start(
        "fake-gcs-server",
        Command::new(program)
            .args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string(), "-backend", "memory"])
            .args(["-public-host", &address, "-data"])
            .arg(folder.path().join("google")),
        folder.path(),
    )?;
    let key = serde_json::json!({
        "gcs_base_url": format!("http://{address}"), "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    let section = format!("type: GCS, config: {{bucket: vigie, service_account: '{key}'}}");
    let vigie = Vigie::start_in(folder.path(), Some(&config(&section)), &args)?;
    assert_eq!(shipped(&vigie)?, before, "the names of the blocks");
    until(Duration::from_secs(30), "a round without a fault", || {
        let metrics = vigie.get("/metrics")?.text();
        ensure!(!metrics.contains("thanos_shipper_dir_syncs_total 0"), "no round yet");
        for name in ["thanos_shipper_uploads_total", "thanos_shipper_dir_sync_failures_total"] {
            ensure!(metrics.contains(&format!("{name} 0\n")), "{name} is not 0: {}", vigie.program.output());
        }
        Ok(())
    })
}

/// Azurite, from npm: `npm install azurite`, and the program's path in `VIGIE_AZURITE`. Not looked for otherwise, for it takes
/// half a minute to install.
#[test]
fn a_container_of_azure() -> Result<()> {
    // Known to everybody: Azurite's documentation.
    const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let Some(program) = std::env::var_os("VIGIE_AZURITE") else {
        harness::peers::skip("VIGIE_AZURITE names no program");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let _azure = Program::start(
        "azurite",
        Command::new(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--skipApiVersionCheck", "--location"])
            .arg(folder.path().join("azure")),
        folder.path(),
    )?;
    let connection = format!(
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    );
    until(Duration::from_secs(30), "a container", || {
        let made = Command::new("python3")
            .arg("-c")
            .arg(CONTAINER)
            .arg(format!("http://127.0.0.1:{port}"))
            .arg(KEY)
            .output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    })?;
    ships_to(
        folder.path(),
        &format!("type: AZURE, config: {{container: vigie, storage_connection_string: '{connection}'}}"),
        |there| {
            let address = format!("http://127.0.0.1:{port}/devstoreaccount1/vigie");
            let taken = Command::new("python3").arg("-c").arg(TAKE).arg(address).arg(there).output()?;
            ensure!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
            Ok(())
        },
    )
}

/// Puts all that is in a container which everybody may read into a folder.
const TAKE: &str = r#"
import sys, pathlib, urllib.request, xml.etree.ElementTree as tree
url, folder = sys.argv[1:]
names = [name.text for name in tree.fromstring(urllib.request.urlopen(f"{url}?restype=container&comp=list").read()).iter("Name")]
for name in names:
    path = pathlib.Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(urllib.request.urlopen(f"{url}/{name}").read())
"#;

/// Makes the container `vigie`, signed as Azure wants it, for everybody to read.
const CONTAINER: &str = r#"
import sys, hmac, hashlib, base64, urllib.request, email.utils
url, key = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
account = "devstoreaccount1"
signed = "PUT\n" + "\n" * 11 + f"x-ms-blob-public-access:container\nx-ms-date:{date}\nx-ms-version:2021-12-02\n/{account}/{account}/vigie\nrestype:container"
mac = base64.b64encode(hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()).decode()
request = urllib.request.Request(f"{url}/{account}/vigie?restype=container", method="PUT", data=b"")
for name, value in [("x-ms-blob-public-access", "container"), ("x-ms-date", date), ("x-ms-version", "2021-12-02"), ("Authorization", f"SharedKey {account}:{mac}")]:
    request.add_header(name, value)
request.add_header("Content-Type", "")
urllib.request.urlopen(request)
"#;

/// Samples to three windows that are in the bucket, between those that are there and of a new series.
fn what_is_imported_later_follows(folder: &Path, mut vigie: Vigie, begin_ms: i64) -> Result<()> {
    let bucket = folder.join("bucket/history");
    let before = blocks(&bucket).len();
    let mut text = String::new();
    for (series, window) in [("7", 1), ("9", 4), ("late", 4), ("late", 9)] {
        for time in (0..20).map(|step| begin_ms + window * WINDOW_MS + step * 60_000 + 30_000) {
            writeln!(text, "m{{series=\"{series}\"}} {} {}", time % 101, time as f64 / 1000.0)?;
        }
    }
    fs::write(folder.join("late.om"), text + "# EOF\n")?;
    run(&["import", "late.om"], folder)?;
    let wanted = run(&["dump", "--match=m"], folder)?;
    vigie.restart()?;
    until(Duration::from_secs(90), "a block of what came late", || {
        ensure!(blocks(&bucket).len() > before, "{} blocks", blocks(&bucket).len());
        Ok(())
    })?;
    vigie.program.kill()?;
    vigie.restart()?;
    until(Duration::from_secs(90), "the blocks of what came late", || {
        ensure!(blocks(&bucket).len() == before + 3, "{} blocks", blocks(&bucket).len());
        Ok(())
    })?;
    vigie.program.kill()?;
    let mut samples = 0;
    for block in blocks(&bucket) {
        let meta: serde_json::Value = serde_json::from_slice(&fs::read(block.join("meta.json"))?)?;
        samples += meta["stats"]["numSamples"].as_i64().context("no numSamples")?;
    }
    assert_eq!(samples, i64::try_from(wanted.lines().count())?, "nothing is sent twice");
    let from = bucket.to_string_lossy().into_owned();
    run(&["import-prometheus", &from, "--storage.tsdb.path=back-later"], folder)?;
    let found = run(&["dump", "--match=m", "--storage.tsdb.path=back-later"], folder)?;
    assert!(found == wanted, "{} lines instead of {}", found.lines().count(), wanted.lines().count());
    Ok(())
}

#[test]
fn history_reaches_the_bucket_once_through_kill_9() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Whole windows of yesterday and before.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let end_ms = (i64::try_from(now.as_millis())? / WINDOW_MS - 2) * WINDOW_MS;
    let begin_ms = end_ms - WINDOWS * WINDOW_MS;
    let mut text = String::new();
    for series in 0..60 {
        for time in (begin_ms..end_ms).step_by(60_000) {
            writeln!(text, "m{{series=\"{series}\"}} {} {}", (time / 1000 + series) % 977, time as f64 / 1000.0)?;
        }
    }
    fs::write(folder.path().join("history.om"), text + "# EOF\n")?;
    run(&["import", "history.om"], folder.path())?;
    let wanted = run(&["dump", "--match=m"], folder.path())?;
    assert_eq!(i64::try_from(wanted.lines().count())?, WINDOWS * 120 * 60);

    let mut vigie = Vigie::start_in(folder.path(), Some(CONFIG), &["--storage.tsdb.retention.time=100d"])?;
    let bucket = folder.path().join("bucket/history");
    let limit = Duration::from_secs(90);
    for least in [1, 5, 9] {
        until(limit, "blocks arrive", || {
            ensure!(blocks(&bucket).len() >= least, "{} blocks", blocks(&bucket).len());
            Ok(())
        })?;
        vigie.restart()?;
    }
    let state = folder.path().join("data/thanos.shipper.json");
    until(limit, "everything is shipped", || {
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&state)?)?;
        let count = state["uploaded"].as_array().context("no list")?.len();
        ensure!(count as i64 >= WINDOWS, "{count} of {WINDOWS}");
        Ok(())
    })?;
    let metrics = vigie.get("/metrics")?.text();
    assert!(metrics.contains("thanos_shipper_uploads_total"), "{metrics}");
    vigie.program.kill()?;

    let blocks = blocks(&bucket);
    let mut windows = BTreeSet::new();
    for block in &blocks {
        let meta: serde_json::Value = serde_json::from_slice(&fs::read(block.join("meta.json"))?)?;
        let window = meta["minTime"].as_i64().context("no minTime")? / WINDOW_MS;
        assert!(windows.insert(window), "window {window} was sent twice");
        assert_eq!(meta["thanos"]["labels"], serde_json::json!({"replica": "a", "site": "test"}));
        assert_eq!(meta["thanos"]["downsample"]["resolution"], 0);
    }
    assert_eq!(blocks.len(), fs::read_dir(&bucket)?.count(), "nothing is left half sent");
    // Sample for sample, as any reader of Prometheus' format has it.
    let from = bucket.to_string_lossy().into_owned();
    run(&["import-prometheus", &from, "--storage.tsdb.path=back"], folder.path())?;
    let found = run(&["dump", "--match=m", "--storage.tsdb.path=back"], folder.path())?;
    assert!(found == wanted, "{} lines instead of {}", found.lines().count(), wanted.lines().count());
    what_is_imported_later_follows(folder.path(), vigie, begin_ms)?;
    if let Some(promtool) = peer("promtool") {
        let output = Command::new(promtool).args(["tsdb", "list"]).arg(&bucket).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), blocks.len() + 3 + 1);
    }
    Ok(())
}
