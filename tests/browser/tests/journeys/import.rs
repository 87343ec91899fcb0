//! A dashboard that came from elsewhere: pasted, reported, stored, shown.

use crate::sites::two_environments;
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP};
use harness::shared;
use serde_json::json;

#[tokio::test]
async fn a_published_dashboard_is_pasted_and_shown() -> Result<()> {
    let own = json!({
        "__inputs": [{"name": "DS_PROM", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}],
        "__requires": [], "uid": "pasted", "title": "Pasted", "schemaVersion": 16,
        "panels": [
            {"id": 1, "type": "graph", "title": "Old graph", "datasource": "${DS_PROM}", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, "targets": [{"expr": "up", "refId": "A"}]},
            {"id": 2, "type": "panel-of-a-plugin", "title": "Plugin", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8}, "targets": [{"expr": "up", "refId": "A"}]}
        ]
    })
    .to_string();
    let published = shared("conformance/dashboards/oliver006__redis_exporter")
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .and_then(|files| {
            files.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|e| e == "json"))
        })
        .and_then(|path| std::fs::read_to_string(path).ok());
    let folder = tempfile::tempdir()?;
    let vigie = two_environments(folder.path(), "", "", &[])?;
    let browser = Browser::start(DESKTOP).await?;
    for (text, own) in std::iter::once((own, true)).chain(published.map(|text| (text, false))) {
        browser.goto(&vigie.url("/dashboards")).await?;
        browser.click("[data-t=import]").await?;
        browser.fill("[data-t=import-json]", "{").await?;
        browser.find("[data-t=import-fault]").await?;
        let paste = format!(
            "const t = document.querySelector('[data-t=import-json]'); t.value = {}; t.dispatchEvent(new Event('input', {{bubbles: true}}))",
            json!(text)
        );
        browser.eval(&paste).await?;
        browser.says("[data-t=import-report]", "panels").await?;
        if own {
            browser.says("[data-t=import-report]", "DS_PROM").await?;
            browser.says("[data-t=import-report]", "panel-of-a-plugin").await?;
            browser.says("[data-t=import-report]", "Brought up to date").await?;
        }
        browser.screenshot(if own { "import" } else { "import-published" }).await?;
        browser.click("[data-t=import-confirm]").await?;
        browser.address_has("/d/").await?;
        if own {
            ensure!(browser.address().await?.contains("/d/pasted/pasted"), "{}", browser.address().await?);
            browser.goto(&vigie.url("/d/pasted/pasted?from=now-1m&to=now&refresh=5s")).await?;
            browser.drawn("[data-panel-id=\"1\"]").await?;
            browser.find("[data-panel-id=\"2\"] [data-t=unknown-type]").await?;
            ensure!(vigie.get("/api/dashboards/uid/pasted")?.status == 200);
        } else {
            browser.find("[data-t=panel]").await?;
        }
        browser.no_errors().await?;
    }
    browser.close().await
}
