//! Commands that promtool has, too, beside the real one: what is printed and how it ends.

use anyhow::{Context, Result, ensure};
use harness::vigie::binary;
use harness::{Vigie, peer, shared};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// Files by name, for [`CHECKS`].
const FILES: &[(&str, &str)] = &[
    (
        "good.yml",
        "rule_files: [rules.yml, 'more*.yml']\nscrape_configs: [{job_name: a, static_configs: [{targets: [x]}]}]\n",
    ),
    ("rules.yml", "groups: [{name: g, rules: [{record: a, expr: up}, {alert: B, expr: up == 0}]}]\n"),
    (
        "twice.yml",
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}, {alert: B, expr: up, labels: {s: p}}, {alert: B, expr: up == 0, labels: {s: p}}]}]\n",
    ),
    ("wrong.yml", "groups: [{name: g, rules: [{record: a, expr: 'up('}]}]\n"),
    ("owned.yml", "groups: [{name: g, owner: me, rules: [{record: a, expr: up, team: t}]}]\n"),
    (
        "names-twice.yml",
        "global: {scrape_interval: 10m}\nrule_files: [twice.yml]\nscrape_configs: [{job_name: a, static_configs: [{targets: [x]}]}]\n",
    ),
    ("names-wrong.yml", "rule_files: [wrong.yml]\n"),
    ("names-nothing.yml", "rule_files: [gone.yml]\n"),
    ("unknown.yml", "nonsense: 1\n"),
    ("targets.yml", "scrape_configs: [{job_name: a, file_sd_configs: [{files: [gone.json, targets.json]}]}]\n"),
    ("targets.json", r#"[{"targets": ["q:1"], "labels": {"m": "n"}}]"#),
    ("bad-targets.yml", "scrape_configs: [{job_name: a, file_sd_configs: [{files: [bad.json]}]}]\n"),
    ("bad.json", r#"{"targets": "q:1"}"#),
    (
        "discovery.yml",
        "
scrape_configs:
- job_name: static
  params: {module: [m]}
  relabel_configs:
  - {source_labels: [__address__], regex: 'x.*', action: drop}
  - {source_labels: [a], target_label: z}
  static_configs: [{targets: ['x:1', 'y:1', 'y:1'], labels: {a: b}}]
- {job_name: files, file_sd_configs: [{files: [targets.json]}]}
",
    ),
    (
        "agent.yml",
        "scrape_configs: [{job_name: a, static_configs: [{targets: [x]}]}]\nremote_write: [{url: http://a/w}]\n",
    ),
    ("reads.yml", "remote_read: [{url: http://a/r}]\nrule_files: [rules.yml]\n"),
    (
        "alerts.yml",
        "alerting: {alertmanagers: [{static_configs: [{targets: [x]}]}]}\nremote_read: [{url: http://a/r}]\n",
    ),
    ("web.yml", "basic_auth_users: {}\n"),
    ("bad-web.yml", "tls_server_config: {cert_file: x}\n"),
];

/// How much is compared: `=` what is printed on standard output, `c` the code alone, for faults have words of our own.
const CHECKS: &str = "
= check config good.yml
= check config --agent agent.yml
= check config --agent good.yml
= check config --agent reads.yml alerts.yml
= check config --syntax-only names-wrong.yml names-nothing.yml
= check config names-twice.yml
= check config --lint=none names-twice.yml
= check config --lint=all --lint-fatal names-twice.yml
= check config --lint=too-long-scrape-interval names-twice.yml
= check config --lint-fatal good.yml
= check config names-wrong.yml
= check config names-nothing.yml
= check config targets.yml
= check config bad-targets.yml
= check config unknown.yml good.yml
c check config gone.yml
= check rules rules.yml twice.yml
= check rules --lint-fatal twice.yml
= check rules --lint=none twice.yml
= check rules wrong.yml rules.yml
= check rules owned.yml
= check rules --ignore-unknown-fields owned.yml
c check rules gone.yml
= check web-config web.yml
= check web-config bad-web.yml
= check service-discovery --timeout=1s discovery.yml static
= check service-discovery --timeout=1s discovery.yml files
= check service-discovery --timeout=1s discovery.yml gone
c check healthy --url=http://127.0.0.1:1
c check ready --url=http://127.0.0.1:1
";

fn run(program: &Path, args: &[&str], folder: &Path) -> Result<Output> {
    Command::new(program).args(args).current_dir(folder).output().with_context(|| format!("{}", program.display()))
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn checks_print_what_promtool_prints() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text)?;
    }
    let mut different = Vec::new();
    for case in CHECKS.trim().lines() {
        let (how, args) = case.split_once(' ').context("a case")?;
        let args: Vec<&str> = args.split(' ').collect();
        let (theirs, ours) = (run(&promtool, &args, folder.path())?, run(&binary()?, &args, folder.path())?);
        if theirs.status.code() != ours.status.code()
            || (how == "=" && theirs.stdout.trim_ascii_end() != ours.stdout.trim_ascii_end())
        {
            different.push(format!(
                "{case}\n theirs {:?} {}\n ours {:?} {}",
                theirs.status.code(),
                said(&theirs),
                ours.status.code(),
                said(&ours)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

/// Buckets that fill, that never do, that come late, and too few of them.
const HISTOGRAMS: &str = r#"# TYPE h histogram
h_bucket{x="a",le="1"} 0 1735689600
h_bucket{x="a",le="2"} 0 1735689600
h_bucket{x="a",le="+Inf"} 3 1735689600
h_bucket{x="a",le="1"} 1 1735689660
h_bucket{x="a",le="2"} 2 1735689660
h_bucket{x="a",le="+Inf"} 7 1735689660
h_bucket{x="b",le="1"} 1 1735689600
h_bucket{x="b",le="+Inf"} 3 1735689600
h_bucket{x="c",le="1"} 0 1735689600
h_bucket{x="c",le="2"} 0 1735689600
h_bucket{x="c",le="+Inf"} 3 1735689600
h_bucket{x="c",le="1"} 1 1735689660
h_bucket{x="c",le="+Inf"} 7 1735689660
h_bucket{x="d",le="+Inf"} 7 1735689660
h_bucket{x="d",le="+Inf"} 7 1735689720
# TYPE g gauge
g 1 1735689660
# EOF
"#;

const RULES: &str = "
groups:
- {name: g, interval: 30s, rules: [{record: 'job:up:sum', expr: sum by (job) (up), labels: {k: v}}]}
- {name: h, rules: [{record: one, expr: vector(1)}, {record: none, expr: nosuch}]}
";

/// The values of each series, in order of time.
fn dumped(program: &Path, folder: &Path, args: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
    let output = run(program, args, folder)?;
    ensure!(output.status.success(), "{}", said(&output));
    let mut series: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut parts = line.rsplitn(3, ' ');
        let (time, value, labels) = (parts.next(), parts.next(), parts.next());
        let (Some(time), Some(value), Some(labels)) = (time, value, labels) else { continue };
        series.entry(labels.to_owned()).or_default().push((time.parse()?, value.to_owned()));
    }
    let in_order = |mut samples: Vec<(i64, String)>| {
        samples.sort();
        samples.into_iter().map(|(_, value)| value).collect()
    };
    Ok(series.into_iter().map(|(labels, samples)| (labels, in_order(samples))).collect())
}

#[test]
fn histograms_are_analyzed_and_rules_filled_in_as_by_promtool() -> Result<()> {
    let (Some(promtool), Some(tools)) = (peer("promtool"), shared("tools/e2e")) else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let seed = Command::new("python3").arg(tools.join("seed.py")).output()?;
    for (name, text) in
        [("seed.om", seed.stdout.as_slice()), ("h.om", HISTOGRAMS.as_bytes()), ("r.yml", RULES.as_bytes())]
    {
        std::fs::write(folder.path().join(name), text)?;
    }
    for name in ["seed.om", "h.om"] {
        let made = run(&binary()?, &["tsdb", "create-blocks-from", "openmetrics", name, "data"], folder.path())?;
        ensure!(made.status.success(), "{}", said(&made));
    }
    let vigie = Vigie::start_in(folder.path(), Some("global: {}"), &["--storage.tsdb.retention.time=100y"])?;
    let url = vigie.url("");
    let server = format!("--server={url}");
    let analyze = ["query", "analyze", &server, "--type=histogram", "--time=1735689720", "--duration=1h"];
    for matches in
        [&["--match=h_bucket"][..], &["--match=g", "--match={__name__=~\".+\"}"], &["--match=nosuch"], &["--match=h("]]
    {
        let args: Vec<&str> = analyze.iter().chain(matches).copied().collect();
        let (theirs, ours) = (run(&promtool, &args, folder.path())?, run(&binary()?, &args, folder.path())?);
        // promtool has no order of series.
        let sorted = |output: &Output| {
            let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(ours.status.code(), theirs.status.code(), "{matches:?}: {}", said(&ours));
        if theirs.status.success() {
            assert_eq!(sorted(&ours), sorted(&theirs), "{matches:?}");
        }
    }

    let url = format!("--url={url}");
    let fill = |start: &str, to: &str| -> Result<Vec<Output>> {
        let (start, to) = (format!("--start={start}"), format!("--output-dir={to}"));
        let mut outputs = Vec::new();
        for program in [&promtool, &binary()?] {
            let to = if program == &promtool { format!("{to}-theirs") } else { to.clone() };
            let args = ["tsdb", "create-blocks-from", "rules", &url, &start, "--end=1735696800", &to, "r.yml"];
            outputs.push(run(program, &args, folder.path())?);
        }
        Ok(outputs)
    };
    for output in fill("1735689600", "filled")? {
        ensure!(output.status.success(), "{}", said(&output));
    }
    // promtool's dump wants a log to be there.
    std::fs::create_dir_all(folder.path().join("filled-theirs/wal"))?;
    let theirs = dumped(&promtool, folder.path(), &["tsdb", "dump", "filled-theirs"])?;
    let ours = dumped(&binary()?, folder.path(), &["tsdb", "dump", "--storage.tsdb.path=filled"])?;
    // Ours are at multiples of the interval, theirs at times that the name of the group decides.
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (labels, values) in &ours {
        let difference = values.len().abs_diff(theirs[labels].len());
        ensure!(difference <= 1 && values.len() >= 120, "{labels}: {} and {}", values.len(), theirs[labels].len());
    }
    assert_eq!(ours["{__name__=\"one\"}"][..120], theirs["{__name__=\"one\"}"][..120]);
    for wrong in ["1735696800", "x"] {
        for output in fill(wrong, "wrong")? {
            assert_eq!(output.status.code(), Some(1), "{wrong}: {}", said(&output));
        }
    }
    Ok(())
}
