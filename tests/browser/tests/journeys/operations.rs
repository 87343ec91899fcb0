//! Alerts, silences, rules, targets, probes, Explore, status.

use crate::sites::{SOON, troubled};
use anyhow::{Result, ensure};
use browser::{Browser, DESKTOP};
use harness::until;

const CONTROL: char = '\u{e009}';
const ENTER: char = '\u{e007}';

#[tokio::test]
async fn an_alert_fires_is_silenced_and_comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/")).await?;
    browser.says("[data-t=attention]", "TargetDown").await?;
    let critical = until(SOON, "the alert reaches the Alertmanager", || {
        let alerts = vigie.get("/api/v2/alerts?active=true&silenced=false&filter=severity%3Dcritical")?.json()?;
        let count = alerts.as_array().map_or(0, Vec::len);
        ensure!(count > 0, "{alerts}");
        Ok(count)
    })?;
    browser.says("[data-t=nav-alerts] [data-t=alert-badge]", &critical.to_string()).await?;
    browser.screenshot("home-dark").await?;

    browser.click("[data-t=nav-alerts]").await?;
    browser.says("[data-t=nav-alerts][aria-current=page]", "Alerts").await?;
    browser.says("[data-t=alert-row]", "TargetDown").await?;
    browser.says("[data-t=alert-row]", "critical").await?;
    browser.says("[data-t=alert-row]", "127.0.0.1:1 of gone is down").await?;
    browser.says("[data-t=alert-detail]", "127.0.0.1:1").await?;
    let shape = "return document.querySelector('[data-t=alert-row] svg').innerHTML";
    let firing = browser.eval(shape).await?;
    browser.screenshot("alerts-dark").await?;
    // Matchers stand in the address and choose.
    browser.fill("[data-t=matcher-input]", "severity=\"warning\"\u{e007}").await?;
    browser.address_has("filter=severity").await?;
    browser.gone("[data-t=alert-row]").await?;
    browser.client.back().await?;
    browser.find("[data-t=alert-row]").await?;

    // Silenced from its group: the form knows what, wants a reason, and says how many alerts it covers.
    browser.click("[data-t=silence-group]").await?;
    browser.says("[data-t=silence-matchers]", "gone").await?;
    browser.says("[data-t=silence-count]", "1 alert").await?;
    browser.click("[data-t=silence-send]").await?;
    browser.says("[data-t=silence-form]", "Say why").await?;
    browser.fill("[data-t=silence-comment]", "It is being moved").await?;
    browser.fill("[data-t=silence-author]", "Ada").await?;
    browser.screenshot("silence-form").await?;
    browser.click("[data-t=silence-send]").await?;
    until(SOON, "the silence is kept", || {
        let silences = vigie.get("/api/v2/silences")?.json()?;
        ensure!(silences[0]["status"]["state"] == "active" && silences[0]["createdBy"] == "Ada", "{silences}");
        Ok(())
    })?;
    browser.goto(&vigie.url("/alerts")).await?;
    browser.gone("[data-t=alert-row]").await?;
    browser.gone("[data-t=alert-badge]").await?;
    browser.click("[data-t=toggle-silenced]").await?;
    browser.says("[data-t=alert-row]", "silenced").await?;
    ensure!(browser.eval(shape).await? != firing, "a silenced alert has the shape of a firing one");
    browser.address_has("silenced=true").await?;

    browser.click("[data-t=tab-silences]").await?;
    browser.says("[data-t=silence-row]", "It is being moved").await?;
    browser.says("[data-t=silence-row]", "Ada").await?;
    browser.screenshot("silences").await?;
    browser.click("[data-t=expire]").await?;
    browser.click("[data-t=expire-yes]").await?;
    browser.gone("[data-t=silence-row]").await?;
    browser.click("[data-t=state-expired]").await?;
    browser.says("[data-t=silence-row]", "It is being moved").await?;
    browser.goto(&vigie.url("/alerts")).await?;
    browser.says("[data-t=alert-row]", "critical").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn targets_rules_and_probes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/targets")).await?;
    browser.says("[data-pool=gone] [data-t=pool-up]", "0 of 1 up").await?;
    browser.says("[data-pool=node] [data-t=pool-up]", "2 of 2 up").await?;
    browser.says("[data-pool=gone] [data-t=last-error]", "refused").await?;
    browser.screenshot("targets").await?;
    browser.click("[data-t=health-down]").await?;
    browser.address_has("health=down").await?;
    browser.gone("[data-pool=node]").await?;
    browser.find("[data-pool=gone]").await?;
    browser.goto(&vigie.url("/targets?search=web-2")).await?;
    browser.count_is("[data-t=target]", 1).await?;
    browser.says("[data-t=target]", "web-2").await?;
    browser.choose("[data-t=pool]", "node").await?;
    browser.address_has("pool=node").await?;
    browser.address_has("search=web-2").await?;

    browser.click("[data-t=nav-rules]").await?;
    browser.says("[data-name=TargetDown] [data-t=rule-state]", "iring").await?;
    browser.says("[data-name=TargetDown]", "up{job=\"gone\"} == 0").await?;
    browser.find("[data-name=\"job:up:sum\"]").await?;
    browser.fill("[data-t=search]", "NeverFires").await?;
    browser.address_has("search=NeverFires").await?;
    browser.count_is("[data-t=rule]", 1).await?;
    browser.screenshot("rules").await?;

    browser.click("[data-t=nav-probes]").await?;
    browser.count_is("[data-t=probe]", 2).await?;
    browser.says("[data-t=probe-table]", "/-/healthy").await?;
    browser.screenshot("probes").await?;
    browser.no_errors().await?;
    browser.close().await
}

const DOWN: char = '\u{e015}';

/// Values in the unit that the server infers; what a query costs, its hints, the keyboard, and what is under way.
#[tokio::test]
async fn units_and_explanations() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    browser.goto(&vigie.url("/explore?expr=process_resident_memory_bytes&from=now-5m&to=now")).await?;
    browser.says("[data-t=graph]", "MiB").await?;
    browser.says("[data-t=graph] .course-y", "MiB").await?;
    browser.click("[data-t=tab-table]").await?;
    browser.says("[data-t=table]", "MiB").await?;
    let rates = "/explore?expr=rate(node_network_receive_bytes_total%5B1m%5D)&from=now-5m&to=now";
    browser.goto(&vigie.url(rates)).await?;
    browser.says("[data-t=graph]", "B/s").await?;
    // Two units share no axis.
    let both = "/explore?expr=process_resident_memory_bytes%20or%20process_start_time_seconds&from=now-5m&to=now";
    browser.goto(&vigie.url(both)).await?;
    browser.find("[data-t=legend-item]").await?;
    let axis = browser.eval("return document.querySelector('[data-t=graph] .course-y').innerText").await?;
    ensure!(!axis.to_string().contains("iB"), "{axis}");

    let query = "up{job=\"node\"} / on (job, instance) rate(process_resident_memory_bytes[1m])";
    browser.fill("[data-t=expr-A]", query).await?;
    browser.chord(CONTROL, ENTER).await?;
    browser.click("[data-t=tab-explain]").await?;
    browser.address_has("view=explain").await?;
    browser.count_is("[data-t=explain-row]", 4).await?;
    browser.says("[data-t=explain]", "function · gauge, bytes/second").await?;
    browser.says("[data-t=explain-hint][data-kind=rate-of-gauge]", "rate of a gauge").await?;
    browser.screenshot("explain-dark").await?;
    // The part of a row is marked in the query, by the pointer and by the keyboard.
    let marked = |text: &str| {
        format!(
            "const t = [...document.querySelectorAll('.xp-mark')].map(e => e.textContent).join(''); return t === {text:?} || t"
        )
    };
    browser.focus("[data-t=explain-row]").await?;
    browser.until("all is marked", &marked(query)).await?;
    browser.keys(&[DOWN]).await?;
    browser
        .until(
            "the hint's selector is marked",
            "return document.activeElement.getAttribute('data-t') === 'explain-hint'",
        )
        .await?;
    browser.keys(&[DOWN]).await?;
    browser.until("the left side is marked", &marked("up{job=\"node\"}")).await?;
    // A hint that knows what to write instead, writes it.
    browser.click("[data-t=explain-apply]").await?;
    browser.says("[data-t=expr-A]", "rate(process_resident_memory_bytes{job=\"node\"}[1m])").await?;
    browser.gone("[data-t=explain-apply]").await?;
    browser.click("[data-t=explain-measure]").await?;
    browser.says("[data-t=explain-summary]", "ran in").await?;
    browser.find(".xp-time").await?;
    browser.screenshot("explain-measured").await?;
    // A query that is none says so here, too.
    browser.fill("[data-t=expr-A]", "sum(").await?;
    browser.chord(CONTROL, ENTER).await?;
    browser.says("[data-t=explain-error]", "unclosed left parenthesis").await?;
    browser.click("[data-t=tab-graph]").await?;
    browser.find("[data-t=query-error]").await?;

    // What waits for a flag is not offered.
    browser.fill("[data-t=expr-A]", "mad_over").await?;
    browser.chord(CONTROL, ' ').await?;
    browser.until("nothing is offered", "return document.querySelectorAll('[role=option]').length === 0").await?;
    browser.fill("[data-t=expr-A]", "avg_over").await?;
    browser.says("[role=listbox]", "avg_over_time").await?;

    browser.goto(&vigie.url("/status")).await?;
    browser.find("[data-t=no-queries], [data-t=query-under-way]").await?;
    browser.close().await
}

#[tokio::test]
async fn explore_and_status() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let vigie = troubled(folder.path(), &[])?;
    let browser = Browser::start(DESKTOP).await?;
    // Longer than a step of the graph: every job stands at its last point.
    vigie.wait_value(SOON, "count(count_over_time(up[1m]) >= 16)", 6.0)?;
    browser.goto(&vigie.url("/explore")).await?;
    browser.fill("[data-t=expr-A]", "sum by (job) (up)").await?;
    browser.chord(CONTROL, ENTER).await?;
    browser.find("[data-t=graph]").await?;
    browser.count_is("[data-t=legend-item]", 4).await?;
    browser.address_has("panes=").await?;
    browser.screenshot("explore-dark").await?;
    let colleague = Browser::start(DESKTOP).await?;
    colleague.goto(&browser.address().await?).await?;
    colleague.says("[data-t=expr-A]", "sum by (job) (up)").await?;
    colleague.count_is("[data-t=legend-item]", 4).await?;
    // The address that Prometheus would have used.
    colleague.goto(&vigie.url("/graph?g0.expr=up%7Bjob%3D%22gone%22%7D&g0.tab=0&g0.range_input=5m")).await?;
    colleague.says("[data-t=expr-A]", "up{job=\"gone\"}").await?;
    colleague.count_is("[data-t=legend-item]", 1).await?;
    colleague.no_errors().await?;
    colleague.close().await?;
    browser.click("[data-t=tab-table]").await?;
    browser.says("[data-t=table]", "gone").await?;
    browser.fill("[data-t=expr-A]", "sum(up").await?;
    browser.find("[data-t=query-fault]").await?;

    browser.goto(&vigie.url("/status")).await?;
    browser.find("[data-t=runtime] dd, [data-t=runtime] td").await?;
    browser.screenshot("status").await?;
    browser.goto(&vigie.url("/flags")).await?;
    browser.find("[data-t=flag]").await?;
    browser.goto(&vigie.url("/config")).await?;
    browser.says("main", "job_name: gone").await?;
    browser.goto(&vigie.url("/tsdb-status")).await?;
    browser.find("[data-t=head-stats]").await?;
    browser.no_errors().await?;
    browser.close().await
}
