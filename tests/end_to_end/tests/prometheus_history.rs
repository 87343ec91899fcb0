//! History of a real Prometheus taken over and given back.

use anyhow::{Context, Result, ensure};
use harness::{Program, Vigie, free_port, http, peer, until, vigie};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Itself twice a second with native histograms, once more with classic ones turned into custom buckets, and a target
/// that goes away.
fn config(own: u16, gone: u16) -> String {
    let job = |name: &str, port: u16, protocol: &str, more: &str| {
        format!(
            "- job_name: {name}\n  scrape_protocols: [{protocol}]\n{more}  static_configs:\n  \
             - targets: ['127.0.0.1:{port}']\n"
        )
    };
    let native = job("native", own, "PrometheusProto", "");
    let custom = job("custom", own, "PrometheusText0.0.4", "  convert_classic_histograms_to_nhcb: true\n");
    let gone = job("gone", gone, "OpenMetricsText1.0.0", "");
    format!("global:\n  scrape_interval: 500ms\nscrape_configs:\n{native}{custom}{gone}")
}

/// What promtool sees, sorted.
fn dump(promtool: &Path, dir: &Path) -> Result<Vec<String>> {
    let output = Command::new(promtool).args(["tsdb", "dump"]).arg(dir).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !errors.contains("level=ERROR"), "promtool tsdb dump: {errors}");
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

fn run_vigie(args: &[&str]) -> Result<String> {
    let output = Command::new(vigie::binary()?).arg("tsdb").args(args).output()?;
    ensure!(output.status.success(), "vigie tsdb {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Names, sizes and times of change of all files.
fn state(dir: &Path) -> Result<Vec<String>> {
    let (mut list, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let (path, data) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if data.is_dir() {
                dirs.push(path);
            } else {
                list.push(format!("{} {} {:?}", path.display(), data.len(), data.modified()?));
            }
        }
    }
    list.sort_unstable();
    Ok(list)
}

#[test]
fn prometheus_to_vigie_to_prometheus_is_equal_sample_for_sample() -> Result<()> {
    let (Some(prometheus), Some(promtool)) = (peer("prometheus"), peer("promtool")) else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let port = free_port()?;
    let mut target = Vigie::start(None, &[])?;
    fs::write(at("prometheus.yml"), config(port, target.port))?;
    let mut program = Program::start(
        "prometheus",
        Command::new(prometheus)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--enable-feature=native-histograms,metadata-wal-records"])
            .args(["--web.enable-admin-api", "--config.file=prometheus.yml", "--storage.tsdb.path=source"])
            .current_dir(folder.path()),
        folder.path(),
    )?;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let value = |query: &str| -> Result<f64> {
        let json = http::get(&url(&format!("/api/v1/query?query={}", http::encode(query))))?.json()?;
        let text = json["data"]["result"][0]["value"][1].as_str().context("no value")?;
        Ok(text.parse()?)
    };
    let limit = Duration::from_secs(60);
    until(limit, "ten scrapes", || {
        let least = value("min(count_over_time(up[1h]))")?;
        ensure!(value("count(up)")? >= 3.0 && least >= 10.0, "{least}");
        Ok(())
    })?;
    // A block of what is there by now, and a target that goes away.
    let snapshot = http::post(&url("/api/v1/admin/tsdb/snapshot"), "text/plain", b"")?.json()?;
    let name = snapshot["data"]["name"].as_str().context("no snapshot")?.to_owned();
    target.program.kill()?;
    until(limit, "the target is gone", || {
        ensure!(value("up{job=\"gone\"}")? == 0.0, "still there");
        Ok(())
    })?;
    program.signal("TERM")?;
    program.wait(limit)?;
    let block = at("block");
    fs::rename(at("source/snapshots").join(name), &block)?;
    fs::create_dir_all(block.join("wal"))?;

    for (source, target, back) in [("source", "vigie", "back"), ("block", "vigie-block", "back-block")] {
        let (source, target, back) = (at(source), at(target), at(back));
        let before = state(&source)?;
        let words = |path: &Path| path.to_string_lossy().into_owned();
        let (from, to) = (words(&source), format!("--storage.tsdb.path={}", words(&target)));
        let said = run_vigie(&["import-prometheus", &from, &to])?;
        assert!(said.contains(" 0 were there already"), "{said}");
        let again = run_vigie(&["import-prometheus", &from, &to])?;
        assert!(again.starts_with("0 samples imported"), "{again}");
        assert_eq!(state(&source)?, before, "the source is as it was");
        run_vigie(&["export-prometheus", &words(&back), &to])?;

        let (wanted, found) = (dump(&promtool, &source)?, dump(&promtool, &back)?);
        let own = run_vigie(&["dump", &to])?;
        let mut own: Vec<&str> = own.lines().collect();
        own.sort_unstable();
        // promtool passes over the first histogram of each series, and writes numbers inside histograms in another way.
        let floats = |line: &&str| !line.contains("} {count:");
        let wanted_floats: Vec<&str> = wanted.iter().map(String::as_str).filter(floats).collect();
        let own_floats: Vec<&str> = own.iter().copied().filter(floats).collect();
        for (own, wanted) in own_floats.iter().zip(&wanted_floats) {
            assert_eq!(own, wanted, "vigie tsdb dump");
        }
        assert_eq!(own_floats.len(), wanted_floats.len(), "vigie tsdb dump");
        assert!(own.len() >= wanted.len(), "vigie tsdb dump");
        let kinds = [("{count:", "native histograms"), ("job=\"custom\"} {count:", "custom buckets"), (" NaN ", "NaN")];
        for (text, kind) in kinds {
            ensure!(wanted.iter().any(|line| line.contains(text)), "the source has no {kind}");
        }
        for (wanted, found) in wanted.iter().zip(&found) {
            assert_eq!(found, wanted);
        }
        assert_eq!(found.len(), wanted.len());
        for what in ["list", "analyze"] {
            let output = Command::new(&promtool).args(["tsdb", what]).arg(&back).output()?;
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    // Parts by selector and time.
    let to = format!("--storage.tsdb.path={}", at("vigie").display());
    let part = at("part").to_string_lossy().into_owned();
    run_vigie(&["export-prometheus", &part, "--match=up{job=\"gone\"}", "--match=up{job=\"native\"}", &to])?;
    let wanted: Vec<String> = (dump(&promtool, &at("source"))?.into_iter())
        .filter(|line| line.starts_with("{__name__=\"up\"") && !line.contains("job=\"custom\""))
        .collect();
    assert_eq!(dump(&promtool, &at("part"))?, wanted);
    Ok(())
}
