//! Answers of the HTTP API against those of the real Prometheus over the same data, byte for byte.

use anyhow::{Context, Result, ensure};
use harness::{Vigie, http, shared, vigie::binary};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Answers that must at least be equal; raise it when more are, never lower it. Of the 121, three differ for a reason:
/// `histogram_fraction` with a lower bound in the first bucket gives a number since Prometheus 3.8, the recorded 3.5 gave NaN;
/// `sort_desc` in a range query has a warning since then; our import keeps the metadata that theirs drops.
const EQUAL_MIN: usize = 118;

/// A recorded exchange.
struct Recorded {
    method: String,
    path: String,
    form: Option<String>,
    status: u16,
    body: String,
}

fn parse(text: &str) -> Option<Recorded> {
    let (head, body) = text.split_once("\n\n")?;
    let mut recorded =
        Recorded { method: String::new(), path: String::new(), form: None, status: 0, body: body.to_owned() };
    for line in head.lines().filter_map(|line| line.strip_prefix("# ")) {
        if let Some(status) = line.strip_prefix("HTTP ") {
            recorded.status = status.trim().parse().ok()?;
        } else if let Some(form) = line.strip_prefix("body: ") {
            recorded.form = Some(form.to_owned());
        } else if let Some((method @ ("GET" | "POST"), path)) = line.split_once(' ') {
            (recorded.method, recorded.path) = (method.to_owned(), path.to_owned());
        }
    }
    Some(recorded)
}

/// Instant vectors have no order, and timings differ: both are taken out of the comparison.
fn comparable(body: &str) -> Value {
    let Ok(mut json) = serde_json::from_str::<Value>(body) else { return Value::String(body.to_owned()) };
    if json["data"]["resultType"] == "vector"
        && let Some(result) = json["data"]["result"].as_array_mut()
    {
        result.sort_by_key(ToString::to_string);
    }
    if let Some(data) = json["data"].as_object_mut() {
        data.remove("stats");
    }
    json
}

#[test]
fn answers_are_those_of_prometheus() -> Result<()> {
    let (Some(golden), Some(tools)) = (shared("conformance/golden/prometheus"), shared("tools/e2e")) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let seed = Command::new("python3").arg(tools.join("seed.py")).output().context("python3")?;
    ensure!(seed.status.success(), "seed.py: {}", String::from_utf8_lossy(&seed.stderr));
    std::fs::write(folder.path().join("seed.om"), seed.stdout)?;
    let imported = Command::new(binary()?).args(["tsdb", "import", "seed.om"]).current_dir(folder.path()).output()?;
    ensure!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let vigie = Vigie::start_in(
        folder.path(),
        Some("global: {scrape_interval: 15s, external_labels: {replica: fixed}}"),
        &["--storage.tsdb.retention.time=100y"],
    )?;
    let (mut equal, mut different) = (0, Vec::new());
    for suite in ["query", "query_range", "query-params", "metadata-api"] {
        let mut files: Vec<_> = std::fs::read_dir(golden.join(suite))?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            match compare(&vigie, &file)? {
                None => equal += 1,
                Some(difference) => different.push(format!("{suite}/{difference}")),
            }
        }
    }
    let summary = format!("golden: {equal} passed, {} failed", different.len());
    #[expect(clippy::print_stdout, reason = "the count is the result")]
    {
        println!("{summary}\n{}", different.join("\n"));
    }
    assert!(equal >= EQUAL_MIN, "{summary}: fewer than before\n{}", different.join("\n"));
    Ok(())
}

/// `None` if our answer is the recorded one.
fn compare(vigie: &Vigie, file: &Path) -> Result<Option<String>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let recorded = parse(&std::fs::read_to_string(file)?).with_context(|| format!("{name}: no recorded exchange"))?;
    let url = vigie.url(&recorded.path);
    let response = match (recorded.method.as_str(), &recorded.form) {
        ("POST", Some(form)) => http::post(&url, "application/x-www-form-urlencoded", form)?,
        (method, _) => http::send(method, &url, &[], b"")?,
    };
    let ours = response.text();
    // Byte for byte first; else what JSON means, with numbers as they were written.
    if response.status == recorded.status && (ours == recorded.body || comparable(&ours) == comparable(&recorded.body))
    {
        return Ok(None);
    }
    let short = |text: &str| text.chars().take(400).collect::<String>();
    Ok(Some(format!(
        "{name}: HTTP {} for {}\n  theirs {}\n  ours   {}",
        response.status,
        recorded.status,
        short(&recorded.body),
        short(&ours)
    )))
}
