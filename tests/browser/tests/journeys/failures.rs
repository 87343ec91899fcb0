//! What is not there, and a server that goes away.

use crate::sites::two_environments;
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP};
use harness::Vigie;

#[tokio::test]
async fn what_is_not_there_says_so() -> Result<()> {
    let vigie = Vigie::start(None, &[])?;
    let browser = Browser::start(DESKTOP).await?;
    for (path, says) in
        [("/no/such/page", "There is no page at this address"), ("/d/nosuch/board", "This dashboard does not exist")]
    {
        let status = vigie.get(path)?.status;
        ensure!(status == 404, "{path}: {status}");
        browser.goto(&vigie.url(path)).await?;
        browser.says("[data-t=not-found]", says).await?;
        browser.find("[data-t=not-found] a[href=\"/dashboards\"]").await?;
        browser.screenshot(&format!("not-found{}", path.replace('/', "-"))).await?;
    }
    browser.goto(&vigie.url("/d/overview?viewPanel=4711")).await?;
    browser.says("[data-t=not-found]", "not on the dashboard").await?;
    browser.click("[data-t=not-found] button").await?;
    browser.find("[data-t=grid]").await?;
    browser.close().await
}

#[tokio::test]
async fn a_lost_server_is_told_and_found_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut vigie = two_environments(folder.path(), "", "", &[])?;
    let browser = Browser::start(DESKTOP).await?;
    let panel = "[data-panel-id=\"11\"]";
    browser.goto(&vigie.url("/d/overview?from=now-5m&to=now&refresh=5s")).await?;
    browser.drawn(panel).await?;
    browser.eval("window.__same = true").await?;
    vigie.program.kill()?;
    browser.says("[data-t=offline]", "Not connected").await?;
    // What was drawn is still there.
    browser.drawn(panel).await?;
    browser.screenshot("offline").await?;
    vigie.restart()?;
    browser.gone("[data-t=offline]").await?;
    browser.drawn(panel).await?;
    browser.until("without loading the page again", "return window.__same === true").await?;
    browser.close().await
}
