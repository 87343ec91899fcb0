//! Configuration files of the field load as they are.

use anyhow::{Result, ensure};
use harness::vigie::binary;
use harness::{Vigie, peer, shared, until};
use std::process::Command;

fn check(folder: &std::path::Path, args: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(binary()?).arg("check").args(args).current_dir(folder).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}

#[test]
fn all_faults_at_once_with_their_places() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("prometheus.yml"),
        "global:
  scrape_intervall: 15s
scrape_configs:
  - job_name: a
    scrape_timeout: 1x
  - job_name: a
    metrics_path: [1]
",
    )?;
    let (good, said) = check(folder.path(), &["config", "prometheus.yml"])?;
    assert!(!good);
    for part in ["prometheus.yml:2:3", "scrape_interval", "prometheus.yml:5:", "prometheus.yml:7:"] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    Ok(())
}

/// Flags that name what is not there, or that the harness sets.
const OTHER_FLAGS: [&str; 7] = [
    "help",
    "version",
    "config.file",
    "storage.tsdb.path",
    "web.config.file",
    "web.external-url",
    "web.listen-address",
];

/// A service file of Prometheus works as it is: every flag that the real program lists is taken, switches also as `--no-…`.
#[test]
fn every_flag_of_prometheus_is_taken() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let output = Command::new(prometheus).arg("--help").output()?;
    let help = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let (mut flags, mut switches) = (Vec::new(), Vec::new());
    for line in help.lines() {
        let Some(flag) = line.trim_start().strip_prefix("--").filter(|_| line.starts_with("   ")) else { continue };
        let end = flag.find(|c: char| c.is_whitespace()).unwrap_or(flag.len());
        let (name, value) =
            flag[..end].split_once('=').map_or((&flag[..end], None), |(name, value)| (name, Some(value)));
        if OTHER_FLAGS.contains(&name.trim_start_matches("[no-]")) {
            continue;
        }
        match (name.strip_prefix("[no-]"), value) {
            (Some(name), _) => switches.push(name.to_owned()),
            // No default is shown: it has a form of its own.
            (None, Some(value)) if value.starts_with(['<', 'S']) || value.is_empty() => {
                let sample = match name {
                    _ if name.ends_with("size") => "512MB",
                    _ if name.ends_with("time") || name.ends_with("deadline") => "10s",
                    _ => "/",
                };
                flags.push(format!("--{name}={sample}"));
            }
            (None, Some(value)) => {
                flags.push(format!("--{name}={}", value.trim_matches('"').trim_end_matches("...")));
            }
            // A line of prose.
            (None, None) => {}
        }
    }
    ensure!(flags.len() > 25 && switches.len() > 8, "{flags:?} {switches:?}");
    for form in ["--", "--no-"] {
        let given: Vec<String> =
            flags.iter().cloned().chain(switches.iter().map(|name| format!("{form}{name}"))).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let vigie = Vigie::start(Some("global: {}\n"), &given)?;
        let shown = vigie.api("/api/v1/status/flags")?;
        assert_eq!(shown["web.enable-lifecycle"], if form == "--" { "true" } else { "false" });
        assert_eq!(shown["rules.alert.resend-delay"], "1m");
    }
    Ok(())
}

#[test]
fn a_change_is_read_without_being_told() -> Result<()> {
    const CONFIG: &str = "global: {external_labels: {a: before}}\nrule_files: ['r*.yml']\n";
    let vigie = Vigie::start(Some(CONFIG), &["--config.auto-reload", "--config.auto-reload-interval=1s"])?;
    let holds = |path: &str, part: &str| {
        until(std::time::Duration::from_secs(30), part, || {
            let answer = vigie.api(path)?.to_string();
            ensure!(answer.contains(part), "{answer}");
            Ok(())
        })
    };
    std::fs::write(vigie.folder.join("prometheus.yml"), CONFIG.replace("before", "after"))?;
    holds("/api/v1/status/config", "after")?;
    // A file that was not there, of a pattern that was.
    std::fs::write(vigie.folder.join("r1.yml"), "groups: [{name: g, rules: [{record: one, expr: '1'}]}]\n")?;
    holds("/api/v1/rules", "\"one\"")?;
    // What is no good changes nothing, and is mended by the next change.
    std::fs::write(vigie.folder.join("r1.yml"), "groups: [{name: g, rules: [{record: two, expr: '1+'}]}]\n")?;
    holds("/api/v1/status/runtimeinfo", "\"reloadConfigSuccess\":false")?;
    holds("/api/v1/rules", "\"one\"")?;
    std::fs::write(vigie.folder.join("r1.yml"), "groups: [{name: g, rules: [{record: two, expr: '2'}]}]\n")?;
    holds("/api/v1/rules", "\"two\"")
}

#[test]
fn the_end_to_end_configurations_load() -> Result<()> {
    let Some(folder) = shared("tools/e2e") else { return Ok(()) };
    for file in ["prometheus.yml", "leaf1.yml", "leaf2.yml", "reader.yml", "fixed.yml"] {
        let (good, said) = check(&folder, &["config", file])?;
        assert!(good, "{file}: {said}");
    }
    for file in ["alertmanager.yml", "alertmanager-all.yml"] {
        let (good, said) = check(&folder, &["alertmanager", file])?;
        assert!(good, "{file}: {said}");
    }
    let (good, said) = check(&folder, &["blackbox", "blackbox.yml"])?;
    assert!(good, "{said}");
    Ok(())
}

#[test]
fn what_courses_teach_runs() -> Result<()> {
    let Some(folder) = shared("conformance/config/classic") else { return Ok(()) };
    for (file, pool) in
        [("federation.yml", "leaf-federation"), ("blackbox-job.yml", "blackbox"), ("long-term.yml", "node")]
    {
        // Its own addresses lead nowhere here; the file must load and its jobs must appear.
        let text = std::fs::read_to_string(folder.join(file))?;
        let vigie = Vigie::start(Some(&text), &[])?;
        let pools = vigie.api("/api/v1/scrape_pools")?;
        ensure!(pools["scrapePools"] == serde_json::json!([pool]), "{file}: {pools}");
    }
    let work = tempfile::tempdir()?;
    std::fs::copy(folder.join("alertmanager.yml"), work.path().join("alertmanager.yml"))?;
    let vigie =
        Vigie::start_in(work.path(), Some("scrape_configs: []"), &["--alertmanager.config.file=alertmanager.yml"])?;
    let receivers = vigie.get("/api/v2/receivers")?.json()?;
    ensure!(receivers.as_array().is_some_and(|receivers| receivers.len() == 3), "{receivers}");
    Ok(())
}
