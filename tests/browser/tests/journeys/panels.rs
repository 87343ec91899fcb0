//! One dashboard with every kind of panel: what is drawn, what is said where nothing can be, links, legend, cursor.

use crate::{gallery::gallery, sites::two_environments};
use anyhow::{Context, Result, ensure};
use browser::{Browser, DESKTOP};
use harness::Vigie;
use serde_json::json;
use std::path::Path;

fn start(folder: &Path) -> Result<Vigie> {
    let boards = folder.join("boards");
    std::fs::create_dir_all(&boards)?;
    std::fs::write(boards.join("gallery.json"), gallery().to_string())?;
    two_environments(folder, "", "", &["--dashboards.path=boards"])
}

fn id(panel: u32) -> String {
    format!("[data-panel-id=\"{panel}\"]")
}

#[tokio::test]
async fn every_kind_of_panel_is_drawn_and_says_what_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/gallery/gallery?from=now-2m&to=now")).await?;
    browser.says("[data-t=dashboard-title]", "Gallery").await?;
    // Variables of every kind.
    for (name, says) in [("env", "All"), ("inst", "All"), ("color", "red"), ("every", "5m")] {
        browser.says(&format!("[data-t=var-{name}]"), says).await.with_context(|| name.to_owned())?;
    }
    browser.says("[data-t=var-who] input", "nobody").await?;
    browser.find("[data-t=var-ds]").await?;
    browser.find("[data-t=var-only]").await?;
    browser.gone("[data-t=var-site]").await?;
    for panel in [1, 2] {
        browser.drawn(&id(panel)).await?;
    }
    browser.screenshot("gallery-top-dark").await?;

    // What is below is asked when it is seen, once.
    browser
        .eval(
            "window.__asked = []; const before = window.fetch;
             window.fetch = function (a, b) { const r = new Request(a, b);
               r.clone().text().then(t => window.__asked.push(decodeURIComponent(r.url + ' ' + t)));
               return before.call(this, r); }",
        )
        .await?;
    browser.until("the lowest panel has not asked", "return window.__asked.every(q => !q.includes('4711'))").await?;
    for panel in [3, 4, 5] {
        browser.spot(&id(panel), 0.5, 0.5).await?;
        browser.drawn(&id(panel)).await?;
    }
    for (panel, part, says) in
        [(6, "stat-value", "1.23"), (7, "gauge-value", "40"), (8, "bar", ""), (10, "text", "Hello nobody")]
    {
        browser.spot(&id(panel), 0.5, 0.5).await?;
        browser.says(&format!("{} [data-t={part}]", id(panel)), says).await?;
    }
    browser.says(&id(9), "web-1").await?;
    browser.says(&id(10), "Text of red").await?;
    // HTML of a panel runs nothing.
    browser.until("nothing was run", "return window.__attacked === undefined").await?;
    browser.gone(&format!("{} [onerror], {} script, {} [href^=\"javascript\"]", id(10), id(10), id(10))).await?;
    // A type of the future: its data as a table and a word about it.
    browser.says(&format!("{} [data-t=unknown-type]", id(13)), "candlestick-of-tomorrow").await?;
    browser.says(&id(13), "web-1").await?;
    // A query that is none: the server's message and the place.
    browser.says(&format!("{} [data-t=error-message]", id(14)), "unexpected").await?;
    browser.find(&format!("{} [data-t=error-expression] .squig", id(14))).await?;
    browser.find(&format!("{} [data-t=retry]", id(14))).await?;
    browser.screenshot("gallery-states").await?;
    // Nothing found explains itself.
    browser.spot(&id(15), 0.5, 0.5).await?;
    browser.says(&format!("{} [data-t=panel-empty]", id(15)), "No series match").await?;
    browser.spot(&id(16), 0.5, 0.5).await?;
    browser.drawn(&id(16)).await?;
    browser
        .until("asked once", "const n = window.__asked.filter(q => q.includes('4711')).length; return n === 1 || n")
        .await?;
    // A closed row asks nothing and opens by a press, which the address keeps.
    browser.gone(&id(12)).await?;
    browser.click("[data-t=row-toggle]").await?;
    browser.says(&format!("{} [data-t=stat-value]", id(12)), "77").await?;
    browser.address_has("v.rows=").await?;
    browser.no_errors().await?;

    // The same in light.
    browser.goto(&vigie.url("/d/gallery/gallery?from=now-2m&to=now&theme=light")).await?;
    browser.drawn(&id(1)).await?;
    browser.screenshot("gallery-top-light").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn variables_stand_in_the_address_and_follow_each_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser
        .goto(&vigie.url("/d/gallery/gallery?from=now-2m&to=now&var-env=prod&var-color=blue&var-who=Zo%C3%A9"))
        .await?;
    browser.says("[data-t=var-env]", "prod").await?;
    browser.says("[data-t=var-color]", "blue").await?;
    browser.until("the text field", "return document.querySelector('[data-t=var-who] input')?.value === 'Zoé'").await?;
    browser.count_is(&format!("{} [data-t=legend-item]", id(1)), 1).await?;
    // What depends on it offers only what is left.
    browser.click("[data-t=var-inst]").await?;
    browser.find("[data-t=var-option][title=web-1]").await?;
    browser.gone("[data-t=var-option][title=web-2]").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.click("[data-t=var-env]").await?;
    browser.fill("[data-t=var-filter]", "sta").await?;
    browser.count_is("[data-t=var-option]", 1).await?;
    browser.click("[data-t=var-option][title=stage]").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.address_has("var-env=prod&var-env=stage").await?;
    browser.count_is(&format!("{} [data-t=legend-item]", id(1)), 2).await?;
    // A filter narrows every query until it is taken away.
    browser.fill("[data-t=var-only] input", "instance!=web-1\u{e007}").await?;
    browser.address_has("var-only=").await?;
    browser.count_is(&format!("{} [data-t=legend-item]", id(1)), 1).await?;
    browser.click("[aria-label='Remove filter instance']").await?;
    browser.count_is(&format!("{} [data-t=legend-item]", id(1)), 2).await?;
    // A single choice closes its list.
    browser.click("[data-t=var-color]").await?;
    browser.click("[data-t=var-option][title=green]").await?;
    browser.address_has("var-color=green").await?;
    browser.gone("[data-t=var-option]").await?;
    browser.fill("[data-t=var-who] input", "Ada\u{e007}").await?;
    browser.address_has("var-who=Ada").await?;
    browser.spot(&id(10), 0.5, 0.5).await?;
    browser.says(&format!("{} [data-t=text]", id(10)), "Hello Ada").await?;
    browser.says(&id(10), "Text of green").await?;
    browser.no_errors().await?;
    browser.screenshot("variables").await?;
    browser.close().await
}

#[tokio::test]
async fn links_carry_variables_and_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/gallery/gallery?from=now-2m&to=now&var-env=prod&var-color=blue")).await?;
    browser.says("[data-t=var-env]", "prod").await?;
    // Data links stand in the pinned tooltip.
    let line = browser.on_line(&id(1)).await?;
    browser.press(line).await?;
    browser.find("[data-t=tooltip].pinned").await?;
    browser.address_has("v.pin=1@").await?;
    let hrefs = browser.eval("return [...document.querySelectorAll('[data-t=data-link]')].map(a => [a.textContent, a.getAttribute('href')])").await?;
    let link = |i: usize, j: usize| hrefs[i][j].as_str().unwrap_or_default().to_owned();
    ensure!(link(0, 0) == "Board of web-1", "{hrefs}");
    for part in ["/d/gallery/gallery?who=x&i=web-1&", "var-env=prod", "var-color=blue", "from=now-2m&to=now"] {
        ensure!(link(0, 1).contains(part), "{part} is not in {hrefs}");
    }
    ensure!(link(1, 1).starts_with("/d/gallery/gallery?") && !link(1, 1).contains("var-color"), "{hrefs}");
    ensure!(link(1, 1).contains("var-env=prod"), "{hrefs}");
    browser.screenshot("tooltip-pinned").await?;
    // Links of the panel stand in its menu, with variables in their titles.
    browser.click(&format!("{} [data-t=panel-menu]", id(1))).await?;
    browser.says(&format!("{} [role=menu]", id(1)), "Hosts of paris").await?;
    browser.until("its address", "return [...document.querySelectorAll('[role=menu] a')].some(a => a.getAttribute('href') === '/d/host/host?from=now-2m&to=now')").await?;
    browser.screenshot("panel-menu").await?;
    browser.keys(&['\u{e00c}']).await?;
    // Those of the dashboard: one by address, one by tag as a menu.
    let targets = browser.eval("return document.querySelector('[data-t=dashboard-link]').getAttribute('href')").await?;
    ensure!(targets == "/targets?from=now-2m&to=now", "{targets}");
    browser.click(".vars button[aria-label=Dashboards]").await?;
    browser.until("host is offered with time and variables",
        "return [...document.querySelectorAll('.vars [role=menu] a')].some(a => { const h = a.getAttribute('href'); return h.startsWith('/d/host') && h.includes('from=now-2m') && h.includes('var-env=prod') })").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn legend_cursor_and_one_panel_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/gallery/gallery?from=now-2m&to=now")).await?;
    let line = browser.on_line(&id(1)).await?;
    browser.drawn(&id(2)).await?;
    // The pointer in one panel moves the line in the others.
    browser.hover(line).await?;
    let crosshair = |panel: u32| {
        format!(
            "const c = document.querySelector('{} canvas.over'); if (!c || !c.width) return false;
             return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0)",
            id(panel)
        )
    };
    browser.until("the crosshair in its own panel", &crosshair(1)).await?;
    browser.until("the crosshair in the other", &crosshair(2)).await?;
    browser.find(&format!("{} [data-t=tooltip]", id(1))).await?;
    browser.screenshot("crosshair").await?;
    // One alone, in the address; a fresh browser shows it; again brings all back.
    let first = format!("{} [data-t=legend-item]", id(1));
    browser.count_is(&first, 2).await?;
    browser.click(&first).await?;
    browser.address_has("v.leg.1=").await?;
    let pressed = format!("{first}[aria-pressed=true]");
    browser.count_is(&pressed, 1).await?;
    let other = Browser::start(DESKTOP).await?;
    other.goto(&browser.address().await?).await?;
    other.count_is(&first, 2).await?;
    other.count_is(&pressed, 1).await?;
    other.no_errors().await?;
    other.close().await?;
    browser.click(&first).await?;
    browser.count_is(&pressed, 2).await?;
    browser.until("the address is plain again", "return !location.search.includes('v.leg')").await?;

    // One panel alone and back; kiosk and back.
    browser.click(&format!("{} [data-t=panel-menu]", id(2))).await?;
    browser.click("[data-t=menu-view]").await?;
    browser.address_has("viewPanel=").await?;
    browser.drawn(&format!("[data-t=view-panel] {}", id(2))).await?;
    browser.screenshot("panel-alone").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.drawn(&id(1)).await?;
    browser.until("viewPanel is gone", "return !location.search.includes('viewPanel')").await?;
    browser.focus(&id(1)).await?;
    browser.keys(&['v']).await?;
    browser.find("[data-t=view-panel]").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.gone("[data-t=view-panel]").await?;
    browser.click("[data-t=board-menu]").await?;
    browser.click("[data-t=menu-kiosk]").await?;
    browser.address_has("kiosk").await?;
    browser.gone("[data-t=top]").await?;
    browser
        .until(
            "no rail",
            "const r = document.querySelector('nav.rail'); return !r || r.getBoundingClientRect().width === 0",
        )
        .await?;
    browser.screenshot("kiosk").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.find("[data-t=top]").await?;
    // The inspector shows what was asked.
    browser.click(&format!("{} [data-t=panel-menu]", id(1))).await?;
    browser.click("[data-t=menu-inspect]").await?;
    browser.until("the queries", "const t = [...document.querySelectorAll('[data-t=inspector] [role=tab]')].find(t => /quer/i.test(t.textContent)); if (!t) return false; t.click(); return true").await?;
    browser.says("[data-t=inspect-query]", "node_memory_MemAvailable_bytes").await?;
    browser.screenshot("inspector").await?;
    browser.no_errors().await?;
    browser.close().await
}

/// Panels without a unit of their own take the inferred one; a set one goes first.
#[tokio::test]
async fn panels_take_inferred_units() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let boards = folder.path().join("boards");
    std::fs::create_dir_all(&boards)?;
    let panel = |id: u32, kind: &str, exprs: &[&str], unit: &str| {
        let target = |(at, expr): (usize, &&str)| json!({"refId": (b'A' + at as u8) as char, "expr": expr});
        let targets: Vec<_> = exprs.iter().enumerate().map(target).collect();
        json!({"id": id, "type": kind, "title": format!("Panel {id}"), "targets": targets,
            "gridPos": {"x": (id - 1) % 3 * 8, "y": (id - 1) / 3 * 6, "w": 8, "h": 6},
            "options": {"legend": {"displayMode": "table", "calcs": ["max"]}},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}})
    };
    let memory = "sum(process_resident_memory_bytes{job=\"vigie\"})";
    let all = [
        panel(1, "timeseries", &[memory], ""),
        panel(2, "stat", &[memory], ""),
        panel(3, "stat", &[memory], "short"),
        panel(4, "gauge", &["avg(node_memory_MemAvailable_bytes) / avg(node_memory_MemTotal_bytes)"], ""),
        panel(5, "timeseries", &[memory, "avg(up)"], ""),
    ];
    let board = json!({"uid": "units", "title": "Units", "panels": all});
    std::fs::write(boards.join("units.json"), board.to_string())?;
    let vigie = two_environments(folder.path(), "", "", &["--dashboards.path=boards"])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/units/units?from=now-2m&to=now")).await?;
    browser.says(&format!("{} [data-t=stat-value]", id(2)), "MiB").await?;
    browser.says(&format!("{} [data-t=stat-value]", id(3)), "Mil").await?;
    browser.says(&format!("{} [data-t=gauge-value]", id(4)), "%").await?;
    for panel in [1, 5] {
        browser.drawn(&id(panel)).await?;
    }
    browser.says(&id(1), "MiB").await?;
    let mixed = browser.text(&id(5)).await?;
    ensure!(!mixed.contains("iB"), "bytes and shares have no axis in common: {mixed}");
    browser.screenshot("units-dark").await?;
    browser.no_errors().await?;
    browser.close().await
}
