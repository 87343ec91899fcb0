//! Time ranges: by the picker, by the address, by the pointer; renewing by itself.

use crate::sites::two_environments;
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP};
use harness::Vigie;
use tempfile::TempDir;

const PANEL: &str = "[data-panel-id=\"11\"]";

async fn open(query: &str) -> Result<(Vigie, Browser, TempDir)> {
    let folder = tempfile::tempdir()?;
    let vigie = two_environments(folder.path(), "", "", &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url(&format!("/d/overview?{query}"))).await?;
    Ok((vigie, browser, folder))
}

async fn ends(browser: &Browser) -> Result<(f64, f64)> {
    Ok((browser.parameter("from").await?.parse()?, browser.parameter("to").await?.parse()?))
}

#[tokio::test]
async fn ranges_by_picker_and_address() -> Result<()> {
    let (vigie, browser, _folder) = open("from=now-15m&to=now").await?;
    browser.says("[data-t=time-picker]", "15 minutes").await?;
    browser.click("[data-t=time-picker]").await?;
    browser.screenshot("time-picker").await?;
    browser.fill("[data-t=time-from]", "now-90m").await?;
    browser.find("[data-t=time-resolved]").await?;
    browser.click("[data-t=time-apply]").await?;
    browser.address_has("from=now-90m").await?;
    browser.gone("[data-t=time-apply]").await?;
    // Words are understood, and shown before they apply.
    browser.click("[data-t=time-picker]").await?;
    browser.fill("[data-t=time-phrase]", "yesterday 14:00 for 2h").await?;
    browser.says("[data-t=time-resolved]", "14:00").await?;
    browser.click("[data-t=time-apply]").await?;
    browser.until("absolute", "return /^\\d{13}$/.test(new URL(location.href).searchParams.get('from'))").await?;
    let (from, to) = ends(&browser).await?;
    ensure!((to - from - 7_200_000.0).abs() < 1.0, "{from} to {to}");
    // What makes no sense says why and changes nothing.
    browser.click("[data-t=time-picker]").await?;
    browser.fill("[data-t=time-from]", "now-banana").await?;
    browser.find("[data-t=time-fault]").await?;
    browser.until("Apply is off", "return document.querySelector('[data-t=time-apply]').disabled").await?;
    browser.keys(&['\u{e00c}']).await?;
    ensure!(ends(&browser).await? == (from, to));
    // Absolute addresses in every form come to the same.
    for query in ["from=1795000000000&to=1795003600000", "from=2026-11-18T11:06:40.000Z&to=2026-11-18T12:06:40.000Z"] {
        browser.goto(&vigie.url(&format!("/d/overview?timezone=utc&{query}"))).await?;
        browser.says("[data-t=time-picker]", "11:06:40").await?;
    }
    // The steps beside it move by half, and Back returns.
    browser.goto(&vigie.url("/d/overview?from=1795000000000&to=1795003600000")).await?;
    browser.click("[data-t=time-back]").await?;
    browser.address_has("from=1794998200000").await?;
    browser.client.back().await?;
    browser.address_has("from=1795000000000").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn zoom_by_drag_and_out_again() -> Result<()> {
    let (_vigie, browser, _folder) = open("from=now-5m&to=now").await?;
    browser.drawn(PANEL).await?;
    let left = browser.spot(&format!("{PANEL} [data-t=plot-hit]"), 0.4, 0.5).await?;
    let right = browser.spot(&format!("{PANEL} [data-t=plot-hit]"), 0.8, 0.5).await?;
    browser.drag(left, right).await?;
    browser.until("absolute", "return /^\\d{13}$/.test(new URL(location.href).searchParams.get('from'))").await?;
    let (from, to) = ends(&browser).await?;
    ensure!((60_000.0..200_000.0).contains(&(to - from)), "two fifths of five minutes: {from} to {to}");
    browser.screenshot("zoomed").await?;
    // Out by the button: twice as long.
    browser.click("[data-t=time-zoom-out]").await?;
    let longer = format!(
        "const u = new URL(location.href).searchParams; return u.get('to') - u.get('from') > {}",
        (to - from) * 1.5
    );
    browser.until("twice as long", &longer).await?;
    // And by two presses in the chart.
    let (wide_from, wide_to) = ends(&browser).await?;
    let middle = browser.spot(&format!("{PANEL} [data-t=plot-hit]"), 0.5, 0.5).await?;
    browser.double_press(middle).await?;
    let longer = format!(
        "const u = new URL(location.href).searchParams; return u.get('to') - u.get('from') > {}",
        (wide_to - wide_from) * 1.5
    );
    browser.until("twice as long again", &longer).await?;
    // By keys: t -.
    let (wide_from, wide_to) = ends(&browser).await?;
    browser.focus(PANEL).await?;
    browser.keys(&['t', '-']).await?;
    let longer = format!(
        "const u = new URL(location.href).searchParams; return u.get('to') - u.get('from') > {}",
        (wide_to - wide_from) * 1.5
    );
    browser.until("twice as long by keys", &longer).await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn renewing_by_itself_keeps_what_is_drawn() -> Result<()> {
    let (_vigie, browser, _folder) = open("from=now-5m&to=now").await?;
    browser.drawn(PANEL).await?;
    browser.click("[data-t=refresh-interval]").await?;
    browser.until("intervals", "return document.querySelectorAll('[role=menu] [role^=menuitem]').length > 2").await?;
    browser
        .eval("[...document.querySelectorAll('[role=menu] [role^=menuitem]')].find(i => i.textContent.trim() === '5s').click()")
        .await?;
    browser.address_has("refresh=5s").await?;
    browser.says("[data-t=refresh-interval]", "5s").await?;
    // While new data comes, the old drawing stays: the canvas is never taken away and nothing moves.
    browser
        .eval(&format!(
            "window.__canvas = document.querySelector('{PANEL} canvas'); window.__states = new Set(); window.__shift = 0;
             new MutationObserver(() => window.__states.add(document.querySelector('{PANEL}').dataset.state))
               .observe(document.querySelector('{PANEL}'), {{attributes: true, attributeFilter: ['data-state']}});
             new PerformanceObserver(l => l.getEntries().forEach(e => {{ if (!e.hadRecentInput) window.__shift += e.value }})).observe({{type: 'layout-shift'}})"
        ))
        .await?;
    browser.until("it asked again", "return window.__states.has('stale') && window.__states.has('ready')").await?;
    browser
        .until(
            "never without its drawing",
            &format!(
                "return !window.__states.has('loading') && document.querySelector('{PANEL} canvas') === window.__canvas"
            ),
        )
        .await?;
    let shift = browser.eval("return window.__shift").await?.as_f64().unwrap_or(1.0);
    ensure!(shift < 0.001, "a layout shift of {shift}");
    // An address brings the interval with it.
    browser.goto(&browser.address().await?).await?;
    browser.says("[data-t=refresh-interval]", "5s").await?;
    browser.drawn(PANEL).await?;
    browser.no_errors().await?;
    browser.close().await
}
