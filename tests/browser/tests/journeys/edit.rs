//! Changing dashboards: panels, layout, undo, saving, versions, and two people at once.

use crate::{gallery::gallery, sites::two_environments};
use anyhow::{Context, Result, ensure};
use browser::{Browser, DESKTOP};
use harness::{Vigie, http};
use serde_json::json;
use std::path::Path;

const ESCAPE: char = '\u{e00c}';
const ENTER: char = '\u{e007}';
const SHIFT: char = '\u{e008}';
const CONTROL: char = '\u{e009}';
const RIGHT: char = '\u{e014}';
const DOWN: char = '\u{e015}';

/// A server with a dashboard `team` that may be changed: the first panels of the gallery.
fn start(folder: &Path) -> Result<Vigie> {
    let vigie = two_environments(folder, "", "", &[])?;
    let mut board = gallery();
    board["uid"] = json!("team");
    board["title"] = json!("Team");
    if let Some(panels) = board["panels"].as_array_mut() {
        panels.retain(|panel| [1, 2, 6].contains(&panel["id"].as_u64().unwrap_or(0)));
        for (panel, (y, w)) in panels.iter_mut().zip([(0, 12), (0, 12), (8, 6)]) {
            panel["gridPos"]["y"] = json!(y);
            panel["gridPos"]["w"] = json!(w);
        }
    }
    let body = json!({"dashboard": board, "message": "first", "overwrite": true});
    let answer = http::post(&vigie.url("/api/dashboards/db"), "application/json", body.to_string())?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(vigie)
}

fn stored(vigie: &Vigie) -> Result<serde_json::Value> {
    vigie.get("/api/dashboards/uid/team")?.json()
}

fn id(panel: u32) -> String {
    format!("[data-panel-id=\"{panel}\"]")
}

#[tokio::test]
async fn a_panel_is_changed_saved_and_restored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/team/team?from=now-2m&to=now")).await?;
    browser.drawn(&id(1)).await?;
    browser.click("[data-t=edit]").await?;
    browser.click(&format!("{} [data-t=panel-menu]", id(1))).await?;
    browser.click("[data-t=menu-edit]").await?;
    browser.find("[data-t=panel-editor]").await?;
    browser.address_has("editPanel=1").await?;
    browser.drawn(&id(1)).await?;

    // A query that is none is marked while it is typed, without being run.
    browser.fill("[data-t=query-text]", "sum(rate(up[1m])").await?;
    browser.find("[data-t=query-fault]").await?;
    browser.find("[data-t=query] .squig").await?;
    browser.screenshot("query-fault").await?;
    browser.fill("[data-t=query-text]", "node_load1").await?;
    browser.gone("[data-t=query-fault]").await?;
    browser.chord(CONTROL, ENTER).await?;
    browser.drawn(&id(1)).await?;

    browser.fill("[data-t=option-search]", "title").await?;
    browser.fill("[data-t=panel-title]", "Load").await?;
    browser.says(&format!("{} header", id(1)), "Load").await?;
    browser.fill("[data-t=option-search]", "unit").await?;
    browser.fill("[data-t=panel-unit]", "percent\t").await?;
    browser.fill("[data-t=option-search]", "threshold").await?;
    browser.click("[data-t=add-threshold]").await?;
    browser.find("[data-t=threshold-value]").await?;
    browser.fill("[data-t=option-search]", " ").await?;
    browser.keys(&['\u{e003}']).await?;
    browser.screenshot("panel-editor").await?;

    // Another type and back keeps the query.
    browser.click("[data-t=type-stat]").await?;
    browser.says(&format!("{} [data-t=stat-value]", id(1)), "%").await?;
    browser.click("[data-t=type-timeseries]").await?;
    browser.drawn(&id(1)).await?;
    browser.says("[data-t=query-text]", "node_load1").await?;

    browser.click("[data-t=back]").await?;
    browser.gone("[data-t=panel-editor]").await?;
    browser.says("[data-t=dirty]", "Unsaved").await?;
    browser.click("[data-t=save]").await?;
    browser.says("[data-t=diff]", "Load").await?;
    browser.fill("[data-t=save-message]", "The load").await?;
    browser.screenshot("save").await?;
    browser.click("[data-t=save-confirm]").await?;
    browser.says("[data-t=notice]", "Saved").await?;
    let now = stored(&vigie)?;
    let panel = &now["dashboard"]["panels"][0];
    ensure!(panel["title"] == "Load" && panel["targets"][0]["expr"] == "node_load1", "{panel}");
    ensure!(panel["fieldConfig"]["defaults"]["unit"] == "percent", "{panel}");
    ensure!(
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().is_some_and(|s| s.len() >= 2),
        "{panel}"
    );

    // Others see it; the history names it; the first version comes back.
    browser.goto(&vigie.url("/d/team/team?from=now-2m&to=now")).await?;
    browser.says(&format!("{} header", id(1)), "Load").await?;
    browser.click("[data-t=board-menu]").await?;
    browser.click("[data-t=menu-versions]").await?;
    browser.says("[data-t=version-list]", "The load").await?;
    browser.count_is("[data-t=version]", 2).await?;
    browser.screenshot("versions").await?;
    browser.click("[data-t=restore]").await?;
    browser.says(&format!("{} header", id(1)), "Lines").await?;
    ensure!(stored(&vigie)?["dashboard"]["panels"][0]["title"] == "Lines");
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn panels_are_added_moved_resized_and_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/d/team/team?from=now-2m&to=now")).await?;
    browser.drawn(&id(1)).await?;
    browser.click("[data-t=edit]").await?;
    browser.find("[data-t=save]").await?;
    // By the keyboard: picked up, moved down, made wider, dropped; each step is said.
    browser.focus(&id(6)).await?;
    browser.keys(&[ENTER]).await?;
    browser.says("[data-t=announce]", "Picked up").await?;
    browser.keys(&[RIGHT, RIGHT]).await?;
    browser.says("[data-t=announce]", "column 3").await?;
    browser.chord(SHIFT, RIGHT).await?;
    browser.says("[data-t=announce]", "7 wide").await?;
    browser.keys(&[ENTER]).await?;
    browser.says("[data-t=announce]", "Dropped").await?;
    browser.says("[data-t=dirty]", "Unsaved").await?;
    // Escape takes back.
    browser.focus(&id(6)).await?;
    browser.keys(&[ENTER, DOWN, ESCAPE]).await?;
    browser.says("[data-t=announce]", "Back at").await?;
    // By the pointer: the first panel to the right; the others make room.
    let before = browser.spot(&id(1), 0.0, 0.0).await?;
    let head = browser.spot(&format!("{} header h2", id(1)), 0.5, 0.5).await?;
    browser.drag(head, head.by(700.0, 10.0)).await?;
    let moved =
        format!("return document.querySelector('{}').getBoundingClientRect().left > {}", id(1), before.x + 300.0);
    browser.until("the panel is at the right", &moved).await?;
    // Resized by its corner.
    let handle = browser.spot(".cell:has([data-panel-id=\"6\"]) [data-resize]", 0.5, 0.5).await?;
    let wide =
        browser.eval(&format!("return document.querySelector('{}').getBoundingClientRect().width", id(6))).await?;
    browser.drag(handle, handle.by(200.0, 40.0)).await?;
    let wider = format!("return document.querySelector('{}').getBoundingClientRect().width > {} + 100", id(6), wide);
    browser.until("it is wider", &wider).await?;
    // Undone and done again, by buttons and keys.
    browser.click("[data-t=undo]").await?;
    browser
        .until(
            "as wide as before",
            &format!(
                "return Math.abs(document.querySelector('{}').getBoundingClientRect().width - {}) < 2",
                id(6),
                wide
            ),
        )
        .await?;
    browser.click("[data-t=redo]").await?;
    browser.until("wider again", &wider).await?;
    // Removed and brought back.
    browser.click(&format!("{} [data-t=panel-menu]", id(2))).await?;
    browser.click("[data-t=menu-remove]").await?;
    browser.gone(&id(2)).await?;
    browser.chord(CONTROL, 'z').await?;
    browser.find(&id(2)).await?;
    browser.click(&format!("{} [data-t=panel-menu]", id(2))).await?;
    browser.click("[data-t=menu-remove]").await?;
    browser.gone(&id(2)).await?;
    // Added.
    browser.click("[data-t=add]").await?;
    browser.click("[data-t=add-stat]").await?;
    browser.find("[data-t=panel-editor]").await?;
    browser.fill("[data-t=query-text]", "vector(42)").await?;
    browser.chord(CONTROL, ENTER).await?;
    browser.says("[data-t=panel] [data-t=stat-value]", "42").await?;
    browser.click("[data-t=back]").await?;
    browser.gone("[data-t=panel-editor]").await?;
    browser.chord(CONTROL, 's').await?;
    browser.fill("[data-t=save-message]", "Other places\u{e007}").await?;
    browser.says("[data-t=notice]", "Saved").await?;
    let now = stored(&vigie)?;
    let panels = now["dashboard"]["panels"].as_array().context("panels")?;
    let find = |id: u64| panels.iter().find(|panel| panel["id"] == id);
    ensure!(find(2).is_none() && panels.len() == 3, "{panels:?}");
    ensure!(find(1).is_some_and(|panel| panel["gridPos"]["x"] == 12), "{panels:?}");
    ensure!(find(6).is_some_and(|panel| panel["gridPos"]["w"].as_u64() > Some(7)), "{panels:?}");
    browser.screenshot("after-editing").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn two_people_save_over_each_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = start(folder.path())?;
    let (ada, bob) = (Browser::start(DESKTOP).await?, Browser::start(DESKTOP).await?);
    for (person, title) in [(&ada, "Adas"), (&bob, "Bobs")] {
        person.goto(&vigie.url("/d/team/team?from=now-2m&to=now&editPanel=1")).await?;
        person.fill("[data-t=panel-title]", title).await?;
        person.says(&format!("{} header", id(1)), title).await?;
    }
    ada.click("[data-t=save]").await?;
    ada.click("[data-t=save-confirm]").await?;
    ada.says("[data-t=notice]", "Saved").await?;
    bob.click("[data-t=save]").await?;
    bob.click("[data-t=save-confirm]").await?;
    // Both changes are shown, nothing is lost.
    bob.says("[data-t=conflict]", "Adas").await?;
    bob.says("[data-t=conflict]", "Bobs").await?;
    bob.screenshot("conflict").await?;
    ensure!(stored(&vigie)?["dashboard"]["panels"][0]["title"] == "Adas");
    bob.click("[data-t=conflict-overwrite]").await?;
    bob.says("[data-t=notice]", "Saved").await?;
    ensure!(stored(&vigie)?["dashboard"]["panels"][0]["title"] == "Bobs");
    // Ada's next save meets Bob's; she takes his.
    ada.fill("[data-t=panel-title]", "Adas again").await?;
    ada.click("[data-t=save]").await?;
    ada.click("[data-t=save-confirm]").await?;
    ada.click("[data-t=conflict-load]").await?;
    ada.says(&format!("{} header", id(1)), "Bobs").await?;
    ensure!(stored(&vigie)?["dashboard"]["panels"][0]["title"] == "Bobs");
    for person in [ada, bob] {
        // The refused save is written to the console by the browser itself, not by the page.
        person.no_errors().await?;
        person.close().await?;
    }
    Ok(())
}
