//! Opens the chart benchmark's page and prints its medians. `cargo xtask bench-charts` makes the page and runs this:
//! `chart_bench FOLDER [ROUNDS [CASE]]`, cases counted from 0.

use anyhow::{Context, Result, bail, ensure};
use browser::{Browser, DESKTOP};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the whole may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(500);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program that prints figures")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().context("chart_bench FOLDER [ROUNDS [CASE]]")?);
    let rounds: u32 = args.next().map_or(Ok(60), |text| text.parse()).context("ROUNDS is a number")?;
    let case: Option<u32> = args.next().map(|text| text.parse()).transpose().context("CASE is a number")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A browser opens connections that it does not use at once.
            std::thread::spawn(move || serve(stream, &folder));
        }
    });
    let browser = Browser::start(DESKTOP).await?;
    let case = case.map_or_else(String::new, |case| format!("&case={case}"));
    browser.goto(&format!("http://{address}/?rounds={rounds}{case}")).await?;
    let result = wait(&browser).await?;
    browser.screenshot("chart_bench").await?;
    browser.close().await?;
    println!(
        "{}×{} CSS px, {} px per CSS px, medians of {rounds} drawings, ms\n{}",
        result["width"],
        result["height"],
        result["pixel_ratio"],
        result["browser"].as_str().unwrap_or_default()
    );
    print!("{}", table(&result)?);
    Ok(())
}

async fn wait(browser: &Browser) -> Result<Value> {
    let started = Instant::now();
    loop {
        let (result, errors) =
            (browser.eval("return window.__bench || null").await?, browser.eval("return window.__bench_errors").await?);
        ensure!(errors.as_array().is_none_or(Vec::is_empty), "the page failed: {errors}");
        if !result.is_null() {
            return Ok(result);
        }
        if started.elapsed() > PATIENCE {
            bail!("the page did not finish within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The medians as a Markdown table; a ratio below 1 is faster than uPlot.
fn table(result: &Value) -> Result<String> {
    let mut out = String::from(
        "| series × points | time | ours | uPlot | ours/uPlot |\n\
         |---|---|---|---|---|\n",
    );
    for case in result["results"].as_array().context("no results")? {
        for (name, key) in [("script", "script_ms"), ("total", "total_ms")] {
            let ms = |who: &str| case[who][key].as_f64().with_context(|| format!("no {key} of {who}"));
            let (ours, uplot) = (ms("ours")?, ms("uplot")?);
            out += &format!(
                "| {} × {} | {name} | {ours:.2} | {uplot:.2} | {:.2} |\n",
                case["series"],
                case["points"],
                ours / uplot
            );
        }
    }
    Ok(out)
}

/// Answers one request with a file of the folder.
fn serve(stream: TcpStream, folder: &Path) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let target = request.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or_default();
    let name = if target == "/" { "index.html" } else { target.trim_start_matches('/') };
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let (status, body) = match std::fs::read(folder.join(name)) {
        Ok(body) if inside => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    let kind = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    // Isolated pages get a clock of 5 µs instead of 100 µs.
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Embedder-Policy: require-corp\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    (&stream).write_all(&body)?;
    Ok(())
}
