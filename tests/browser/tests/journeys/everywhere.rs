//! What holds for every page: headings, skip link, accessibility, width, size of the first load.

use crate::sites::troubled;
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP, PHONE, Window, violations};
use std::io::Write as _;

/// Pages, and what is there once they are.
const PAGES: [(&str, &str, &str); 14] = [
    ("home", "/", "[data-t=attention-row]"),
    ("dashboards", "/dashboards", "[data-t=dashboard-row]"),
    ("overview", "/d/overview?from=now-5m&to=now", "[data-panel-id=\"1\"] [data-t=stat-value]"),
    ("host", "/d/host?from=now-5m&to=now", "[data-t=plot]"),
    ("explore", "/explore?expr=up&from=now-5m&to=now", "[data-t=legend-item]"),
    (
        "explain",
        "/explore?expr=sum(rate(process_resident_memory_bytes%5B1m%5D))&from=now-5m&to=now&view=explain",
        "[data-t=explain-hint]",
    ),
    ("alerts", "/alerts", "[data-t=alert-row]"),
    ("silence", "/alerts/silences/new?filter=job%3D%22gone%22", "[data-t=silence-form]"),
    ("silences", "/alerts/silences", "[data-t=empty]"),
    ("rules", "/rules", "[data-t=rule]"),
    ("probes", "/probes", "[data-t=probe]"),
    ("targets", "/targets", "[data-t=target]"),
    ("federation", "/federation", "main h1"),
    ("status", "/status", "[data-t=build]"),
];

async fn every_page(window: Window, theme: &str, size: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(window).await?;
    let mut wrong = Vec::new();
    for (name, path, there) in PAGES {
        let join = if path.contains('?') { '&' } else { '?' };
        browser.goto(&vigie.url(&format!("{path}{join}theme={theme}"))).await?;
        browser.find(there).await?;
        browser.until("nothing is loading", "return !document.querySelector('[data-t=loading], .skel') || document.querySelector('[data-t=panel]') !== null").await?;
        browser.screenshot(&format!("{name}-{size}-{theme}")).await?;
        if let Err(error) = browser.fits().await {
            wrong.push(format!("{name}: {error}"));
        }
        let headings = browser
            .eval("return document.querySelectorAll('h1').length + '/' + document.querySelectorAll('main').length")
            .await?;
        if headings != "1/1" {
            wrong.push(format!("{name}: h1/main {headings}"));
        }
        let first = browser
            .eval("const f = [...document.querySelectorAll('a[href], button, input, [tabindex=\"0\"]')][0]; return f && f.dataset.t")
            .await?;
        if first != "skip" {
            wrong.push(format!("{name}: the first focus stop is {first}"));
        }
        for violation in violations(&browser).await?.unwrap_or_default() {
            wrong.push(format!("{name}: {violation}"));
        }
        if let Err(error) = browser.no_errors().await {
            wrong.push(format!("{name}: {error}"));
        }
    }
    ensure!(wrong.is_empty(), "{size} {theme}:\n{}", wrong.join("\n"));
    browser.close().await
}

#[tokio::test]
async fn every_page_on_a_desktop_dark() -> Result<()> {
    every_page(DESKTOP, "dark", "desktop").await
}

#[tokio::test]
async fn every_page_on_a_desktop_light() -> Result<()> {
    every_page(DESKTOP, "light", "desktop").await
}

#[tokio::test]
async fn every_page_on_a_phone_dark() -> Result<()> {
    every_page(PHONE, "dark", "phone").await
}

#[tokio::test]
async fn every_page_on_a_phone_light() -> Result<()> {
    every_page(PHONE, "light", "phone").await
}

#[tokio::test]
async fn the_first_tab_skips_to_the_content() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/")).await?;
    browser.find("[data-t=attention-row]").await?;
    browser.keys(&['\u{e004}']).await?;
    browser.until("the skip link has the focus", "return document.activeElement.dataset.t === 'skip'").await?;
    // The focus is seen.
    browser
        .until("an outline", "const s = getComputedStyle(document.activeElement); return (parseFloat(s.outlineWidth) >= 2 && s.outlineStyle !== 'none') || s.boxShadow !== 'none'")
        .await?;
    browser.keys(&['\u{e007}']).await?;
    browser
        .until(
            "within the content",
            "return document.querySelector('main').contains(document.activeElement) || location.hash.length > 1",
        )
        .await?;
    browser.no_errors().await?;
    browser.close().await
}

/// A debug build's pages are not what users load: sizes are asserted where the pages are inside of the binary.
#[tokio::test]
async fn the_first_load_is_small() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/host?from=now-5m&to=now")).await?;
    browser.drawn("[data-t=panel]").await?;
    let loaded = browser
        .eval(
            "const all = performance.getEntriesByType('resource').filter(e => !e.name.includes('/api/'))
               .concat(performance.getEntriesByType('navigation'));
             const css = all.filter(e => e.name.endsWith('.css')), wasm = all.filter(e => e.name.endsWith('.wasm'));
             const sum = (list, what) => list.reduce((total, e) => total + e[what], 0);
             return [all.length, sum(all, 'transferSize'), sum(css, 'transferSize'), sum(wasm, 'decodedBodySize'),
                     all.filter(e => /\\.(woff2?|ttf|otf)/.test(e.name)).length]",
        )
        .await?;
    let figure = |at: usize| loaded[at].as_u64().unwrap_or(u64::MAX);
    let (requests, bytes, css, wasm, fonts) = (figure(0), figure(1), figure(2), figure(3), figure(4));
    // Written past the test runner, which keeps what passing tests print.
    writeln!(std::io::stdout(), "first load: {requests} requests, {bytes} bytes, of them CSS {css}; WASM raw {wasm}")?;
    ensure!(requests <= 8, "{requests} requests before the data");
    ensure!(fonts == 0, "{fonts} fonts");
    if std::env::var_os("VIGIE_FRONT_END").is_none() {
        ensure!(bytes <= 900_000 && css <= 25_000, "{bytes} bytes, CSS {css}");
        ensure!(wasm <= 3_000_000, "WASM {wasm}");
    }
    browser.no_errors().await?;
    browser.close().await
}
