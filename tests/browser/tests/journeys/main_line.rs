//! From the first start to a shared address.

use crate::sites::two_environments;
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP};
use harness::Vigie;

const CPU: &str = "[data-panel-id=\"8\"]";

#[tokio::test]
async fn a_bare_server_shows_lines() -> Result<()> {
    let vigie = Vigie::start(None, &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/overview?from=now-1m&to=now&refresh=5s&theme=dark")).await?;
    browser.drawn("[data-panel-id=\"11\"]").await?;
    browser.says("[data-panel-id=\"1\"] [data-t=stat-value]", "2").await?;
    browser.drawn(CPU).await?;
    browser.screenshot("first-start-dark").await?;
    browser.goto(&vigie.url("/d/overview?from=now-1m&to=now&refresh=5s&theme=light")).await?;
    browser.drawn(CPU).await?;
    browser.screenshot("first-start-light").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn from_the_overview_to_a_host_and_to_a_colleague() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = two_environments(folder.path(), "", "", &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/overview?from=now-10m&to=now")).await?;
    browser.drawn(CPU).await?;
    let series = format!("{CPU} [data-t=legend-item]");
    browser.count_is(&series, 2).await?;

    // One environment less is one series less, here and in the address.
    browser.click("[data-t=var-env]").await?;
    browser.click("[data-t=var-option][title=prod]").await?;
    browser.keys(&['\u{e00c}']).await?;
    browser.address_has("var-env=prod").await?;
    browser.count_is(&series, 1).await?;
    browser.says(CPU, "web-1").await?;
    browser.screenshot("overview-prod").await?;

    // A press on the series goes to its host with the range as it is.
    let line = browser.on_line(CPU).await?;
    browser.press(line).await?;
    for part in ["/d/host/host?", "var-job=node", "var-instance=web-1", "from=now-10m", "to=now"] {
        browser.address_has(part).await?;
    }
    browser.says("[data-t=dashboard-title]", "Host").await?;
    browser.says("[data-t=var-instance]", "web-1").await?;
    browser.drawn("[data-t=panel]").await?;
    let seen = view(&browser).await?;
    browser.screenshot("host").await?;
    browser.no_errors().await?;

    // A colleague opens the address.
    let colleague = Browser::start(DESKTOP).await?;
    colleague.goto(&browser.address().await?).await?;
    colleague.says("[data-t=var-instance]", "web-1").await?;
    colleague.drawn("[data-t=panel]").await?;
    let theirs = view(&colleague).await?;
    ensure!(theirs == seen, "{theirs:?} is not {seen:?}");
    colleague.no_errors().await?;
    colleague.close().await?;

    browser.client.back().await?;
    browser.address_has("/d/overview").await?;
    browser.address_has("var-env=prod").await?;
    browser.count_is(&series, 1).await?;
    browser.no_errors().await?;
    browser.close().await
}

/// What a person sees of where they are: title, variables, range.
async fn view(browser: &Browser) -> Result<Vec<String>> {
    let mut seen = vec![browser.text("[data-t=dashboard-title]").await?, browser.text("[data-t=time-picker]").await?];
    for name in ["job", "instance", "window"] {
        seen.push(browser.text(&format!("[data-t=var-{name}]")).await?);
    }
    Ok(seen)
}

#[tokio::test]
async fn the_pages_work_below_a_prefix() -> Result<()> {
    let vigie = Vigie::start(None, &["--web.route-prefix=/watch/vigie"])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/")).await?;
    browser.click("[data-t=nav-dashboards]").await?;
    browser.address_has("/watch/vigie/dashboards").await?;
    browser.goto(&vigie.url("/d/overview?from=now-1m&to=now&refresh=1s")).await?;
    browser.drawn(CPU).await?;
    // A new load of the same address, and a link within.
    browser.goto(&browser.address().await?).await?;
    browser.drawn(CPU).await?;
    let line = browser.on_line(CPU).await?;
    browser.press(line).await?;
    browser.address_has("/watch/vigie/d/host/host?").await?;
    browser.drawn("[data-t=panel]").await?;
    browser.goto(&vigie.url("/graph?g0.expr=up")).await?;
    browser.address_has("/watch/vigie/explore?").await?;
    browser.no_errors().await?;
    browser.close().await
}
