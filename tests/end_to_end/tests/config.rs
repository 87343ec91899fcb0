//! Configuration files of the field load as they are.

use anyhow::{Result, ensure};
use harness::vigie::binary;
use harness::{Vigie, shared};
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
