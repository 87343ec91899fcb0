//! From a rule to a webhook and a mail, with silences by the real amtool.

use anyhow::{Context, Result, ensure};
use harness::sink::{MailSink, WebhookSink};
use harness::{Vigie, peer, until};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

const RULES: &str = r#"
groups:
  - name: targets
    interval: 1s
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up == 0
        for: 1s
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.instance }} of {{ $labels.job }} is down ({{ $value | humanize }})'
      - alert: TargetMissing
        expr: up == 0
        labels: {severity: warning}
"#;

const CONFIG: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: gone
    static_configs: [{targets: ['127.0.0.1:1']}]
";

fn alertmanager_yml(webhook: u16, mail: u16) -> String {
    format!(
        "
global: {{resolve_timeout: 1m, smtp_smarthost: '127.0.0.1:{mail}', smtp_from: vigie@example.org, smtp_require_tls: false}}
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - matchers: [severity=\"critical\"]
      receiver: mail
      continue: true
    - matchers: [severity=~\"critical|warning\"]
      receiver: hook
inhibit_rules:
  - source_matchers: [severity=\"critical\"]
    target_matchers: [severity=\"warning\"]
    equal: [instance]
receivers:
  - name: hook
    webhook_configs: [{{url: 'http://127.0.0.1:{webhook}/hook'}}]
  - name: mail
    email_configs: [{{to: team@example.org}}]
"
    )
}

fn start(webhook: &WebhookSink, mail: &MailSink, folder: &std::path::Path) -> Result<Vigie> {
    std::fs::write(folder.join("rules.yml"), RULES)?;
    std::fs::write(folder.join("alertmanager.yml"), alertmanager_yml(webhook.port, mail.port))?;
    Vigie::start_in(folder, Some(CONFIG), &["--alertmanager.config.file=alertmanager.yml"])
}

#[test]
fn a_rule_fires_and_people_hear_of_it() -> Result<()> {
    let (webhook, mail, folder) = (WebhookSink::start()?, MailSink::start()?, tempfile::tempdir()?);
    let vigie = start(&webhook, &mail, folder.path())?;
    vigie.wait_value(SOON, "job:up:sum{job=\"gone\"}", 0.0)?;
    vigie.wait_value(SOON, "ALERTS{alertname=\"TargetDown\",alertstate=\"firing\"}", 1.0)?;

    let notified = until(SOON, "the webhook hears of it", || {
        let all = webhook.received();
        all.into_iter().find(|body| body["commonLabels"]["alertname"] == "TargetDown").context("nothing yet")
    })?;
    assert_eq!(notified["status"], "firing");
    assert_eq!(notified["version"], "4");
    assert_eq!(notified["alerts"][0]["annotations"]["summary"], "127.0.0.1:1 of gone is down (0)");
    let sent = until(SOON, "the mail arrives", || mail.received().into_iter().next().context("no mail"))?;
    assert!(sent.contains("RCPT TO:<team@example.org>") && sent.contains("TargetDown"), "{sent}");

    let rules = vigie.api("/api/v1/rules?type=alert&rule_name[]=TargetDown")?;
    assert_eq!(rules["groups"][0]["rules"][0]["state"], "firing", "{rules}");
    let alerts = vigie.get("/api/v2/alerts?inhibited=true&active=false&silenced=false")?.json()?;
    assert_eq!(alerts[0]["labels"]["alertname"], "TargetMissing", "the critical one inhibits the warning: {alerts}");
    Ok(())
}

#[test]
fn amtool_silences() -> Result<()> {
    let Some(amtool) = peer("amtool") else { return Ok(()) };
    let (webhook, mail, folder) = (WebhookSink::start()?, MailSink::start()?, tempfile::tempdir()?);
    let mut vigie = start(&webhook, &mail, folder.path())?;
    let url = vigie.url("");
    let run = |args: &[&str]| -> Result<String> {
        let output = Command::new(&amtool).arg(format!("--alertmanager.url={url}")).args(args).output()?;
        ensure!(output.status.success(), "amtool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    until(SOON, "the alert is there", || {
        let shown = run(&["alert", "query", "-o", "simple", "alertname=TargetDown"])?;
        ensure!(shown.contains("TargetDown"), "{shown}");
        Ok(())
    })?;
    let id = run(&[
        "silence",
        "add",
        "--comment=planned",
        "--author=test",
        "--duration=1h",
        "alertname=TargetDown",
        "instance=~.+",
    ])?;
    let shown = run(&["silence", "query", "-o", "extended"])?;
    assert!(shown.contains(&id) && shown.contains("planned"), "{shown}");
    let silenced = || vigie.get("/api/v2/alerts?active=false&inhibited=false")?.json();
    until(SOON, "the alert is silenced", || {
        let alerts = silenced()?;
        ensure!(alerts[0]["status"]["silencedBy"][0] == id.as_str(), "{alerts}");
        Ok(())
    })?;
    assert!(run(&["config", "routes", "test", "severity=critical"])?.contains("mail"));

    vigie.restart()?;
    assert!(run(&["silence", "query"])?.contains("TargetDown"), "the silence did not survive");
    run(&["silence", "expire", &id])?;
    assert!(!run(&["silence", "query"])?.contains("TargetDown"));
    Ok(())
}
