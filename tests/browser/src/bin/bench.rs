//! Timings of the whole, printed and not asserted: they depend on the machine. `cargo xtask bench` runs it.

use anyhow::{Context, Result};
use browser::{Browser, DESKTOP};
use harness::{Vigie, vigie::binary};
use std::time::Instant;

/// A panel of the host dashboard that needs one sample only.
const MEMORY: &str = "[data-panel-id=\"9\"]";
/// Rounds of which the median is printed.
const ROUNDS: usize = 5;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program that prints figures")]
async fn main() -> Result<()> {
    let mut first_chart = Vec::new();
    for _ in 0..ROUNDS {
        let browser = Browser::start(DESKTOP).await?;
        let started = Instant::now();
        let vigie = Vigie::start(None, &[])?;
        browser.goto(&vigie.url("/d/host?from=now-1m&to=now&refresh=1s")).await?;
        browser.drawn(MEMORY).await?;
        first_chart.push(started.elapsed());
        browser.close().await?;
    }
    first_chart.sort();
    println!(
        "start to first chart with data: {:.2} s (median of {ROUNDS}, fresh browser)",
        first_chart[ROUNDS / 2].as_secs_f64()
    );

    let vigie = Vigie::start(None, &[])?;
    // Long enough for a few scrapes of both default targets and their queries.
    std::thread::sleep(std::time::Duration::from_secs(60));
    println!("idle memory after a minute with the default targets: {:.1} MB", resident_mb(vigie.program.id())?);
    println!("binary: {:.1} MB", binary()?.metadata()?.len() as f64 / 1e6);
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/host")).await?;
    browser.drawn(MEMORY).await?;
    let loaded = browser
        .eval(
            "const all = performance.getEntriesByType('resource').filter(e => !e.name.includes('/api/'))
               .concat(performance.getEntriesByType('navigation'));
             return [all.length, all.reduce((sum, e) => sum + e.transferSize, 0)]",
        )
        .await?;
    println!("first load: {} requests, {} bytes before the data", loaded[0], loaded[1]);
    browser.close().await
}

/// Resident memory of a process, in MB.
fn resident_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
