//! promtool as a client.

use anyhow::{Result, ensure};
use harness::vigie::binary;
use harness::{Vigie, peer, shared, until};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn promtool_queries() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let vigie = Vigie::start(None, &[])?;
    let run = |args: &[&str]| -> Result<String> {
        let output = Command::new(&promtool).args(args).output()?;
        ensure!(output.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let url = vigie.url("");
    until(Duration::from_secs(20), "promtool sees the targets", || {
        let shown = run(&["query", "instant", &url, "count(up)"])?;
        ensure!(shown.contains("=> 2 "), "{shown}");
        Ok(())
    })?;
    assert!(run(&["query", "range", &url, "--step=1s", "vector(1)"])?.contains("1 @["));
    assert!(run(&["query", "series", &url, "--match=up"])?.contains("up"));
    assert!(run(&["query", "labels", &url, "job"])?.contains("vigie"));
    Ok(())
}

#[test]
fn promtool_finds_nothing_wrong_with_our_metrics() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let vigie = Vigie::start(None, &[])?;
    for path in ["/metrics", "/metrics/host"] {
        let metrics = vigie.get(path)?;
        let mut check = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = check.stdin.take() {
            input.write_all(&metrics.body)?;
        }
        let output = check.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        // Exit code 3 means style remarks: some of the field's own names do not follow its own rules.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{path}: {said}");
    }
    Ok(())
}

/// Made by bcrypt for "secret", with few rounds for to be quick.
const HASH: &str = "$2b$05$fH66594sb2NQyt0yfV0zM.xSoBDg5hFdiIP4VHNbn9km5KMFHAxVK";

#[test]
fn promtool_behind_tls_and_a_password() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    write("cert.pem", &made.cert.pem())?;
    write("key.pem", &made.signing_key.serialize_pem())?;
    let web = format!(
        "tls_server_config: {{cert_file: cert.pem, key_file: key.pem, min_version: TLS12}}
http_server_config: {{headers: {{X-Frame-Options: deny}}}}
basic_auth_users: {{alice: {HASH}}}
"
    );
    write("web.yml", &web)?;
    for program in [&promtool, &binary()?] {
        let output = Command::new(program).args(["check", "web-config", "web.yml"]).current_dir(&folder).output()?;
        ensure!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let port = harness::free_port()?;
    let mut running = harness::Program::start(
        "vigie",
        Command::new(binary()?)
            .current_dir(&folder)
            .args(["--web.config.file=web.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        folder.path(),
    )?;
    let client = |password: &str| {
        format!("tls_config: {{ca_file: cert.pem}}\nbasic_auth: {{username: alice, password: {password}}}\n")
    };
    write("good.yml", &client("secret"))?;
    write("bad.yml", &client("guess"))?;
    let ask = |client: &str| {
        let url = format!("https://localhost:{port}");
        let args = ["query", "instant", "--http.config.file", client, &url, "vector(1)"];
        Ok::<_, anyhow::Error>(Command::new(&promtool).args(args).current_dir(&folder).output()?)
    };
    until(Duration::from_secs(30), "promtool gets an answer", || {
        running.check()?;
        let output = ask("good.yml")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(String::from_utf8_lossy(&output.stdout).contains("=> 1 @["), "{output:?}");
        Ok(())
    })?;
    let refused = ask("bad.yml")?;
    ensure!(!refused.status.success(), "a wrong password was let in");
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("401"), "{refused:?}");

    // A new certificate and other users count without a restart.
    write("web.yml", &format!("basic_auth_users: {{bob: {HASH}}}\n"))?;
    let url = format!("http://127.0.0.1:{port}/-/healthy");
    until(Duration::from_secs(20), "the new web configuration", || {
        let answer = harness::http::send("GET", &url, &[("Authorization", "Basic Ym9iOnNlY3JldA==")], b"")?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(())
    })?;
    let answer = harness::http::get(&url)?;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic")));
    Ok(())
}

/// Arguments behind `query`; URL stands for the server's address.
const QUERIES: &str = "
instant --time=1735691400 URL up
instant -o json --time=1735691400 URL up
instant --time=1735691400 URL rate(http_requests_total[5m])
range --start=1735691400 --end=1735691520 --step=1m URL up{job=\"db\"}
range --start=1735691400 --end=1735691520 --step=1m --header=X-A=b URL sum(up)
series --match=up --start=1735689600 --end=1735696800 URL
series --match=up{job=\"db\"} --match=build_info --start=1735689600 --end=1735696800 URL
labels --start=1735689600 --end=1735696800 --match=up URL instance
instant URL sum(
";

#[test]
fn questions_are_answered_as_by_promtool() -> Result<()> {
    let (Some(promtool), Some(tools)) = (peer("promtool"), shared("tools/e2e")) else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let seed = Command::new("python3").arg(tools.join("seed.py")).output()?;
    std::fs::write(folder.path().join("seed.om"), seed.stdout)?;
    let imported = Command::new(binary()?).args(["tsdb", "import", "seed.om"]).current_dir(&folder).output()?;
    ensure!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let flags = ["--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver"];
    let vigie = Vigie::start_in(folder.path(), Some("global: {}"), &flags)?;
    for case in QUERIES.trim().lines() {
        let case = case.replace("URL", &vigie.url(""));
        let run = |program: &std::path::Path| {
            let output = Command::new(program).arg("query").args(case.split(' ')).output()?;
            let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            if !case.starts_with("range") {
                // An instant vector has no order.
                lines.sort();
            }
            Ok::<_, anyhow::Error>((output.status.code(), lines))
        };
        let (theirs, ours) = (run(&promtool)?, run(&binary()?)?);
        assert_eq!(ours, theirs, "in case `{case}`");
        assert!(case.contains("sum(") || !ours.1.is_empty(), "nothing in case `{case}`");
    }

    // What is pushed is there.
    std::fs::write(folder.path().join("pushed.prom"), "# HELP pushed Sent.\n# TYPE pushed gauge\npushed{a=\"b\"} 3\n")?;
    let pushed = Command::new(binary()?)
        .args(["push", "metrics", "--label=job=nightly", &vigie.url("/api/v1/write"), "pushed.prom"])
        .current_dir(&folder)
        .output()?;
    ensure!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    vigie.wait_value(Duration::from_secs(10), "pushed{a=\"b\",job=\"nightly\"}", 3.0)?;
    let metadata = vigie.api("/api/v1/metadata?metric=pushed")?;
    assert_eq!(metadata["pushed"][0]["type"], "gauge", "{metadata}");
    for what in ["healthy", "ready"] {
        let asked = Command::new(binary()?).args(["check", what, "--url", &vigie.url("")]).output()?;
        ensure!(asked.status.success(), "{what}: {}", String::from_utf8_lossy(&asked.stderr));
    }
    Ok(())
}

/// What is checked, what is read from standard input, and how promtool ends.
const CHECKS: &[(&str, &str, i32)] = &[
    ("metrics", "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n", 0),
    ("metrics", "# TYPE a_total gauge\na_total 1\n# HELP b B.\nb 2\ncamelCase 3\n", 3),
    ("metrics", "a{ 1\n", 1),
    ("rules", "groups: [{name: g, rules: [{record: a, expr: up}]}]", 0),
    ("rules", "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]", 0),
    ("rules --lint-fatal", "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]", 3),
    ("rules --lint=none --lint-fatal", "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]", 0),
    ("rules", "groups: [{name: g, rules: [{alert: x, record: y, expr: up}]}]", 1),
    ("rules", "groups: [{name: g, owner: me, rules: []}]", 1),
    ("rules --ignore-unknown-fields", "groups: [{name: g, owner: me, rules: []}]", 0),
];

#[test]
fn checks_end_as_promtools() -> Result<()> {
    let promtool = peer("promtool");
    for (args, input, expected) in CHECKS {
        for program in [Some(binary()?), promtool.clone()].into_iter().flatten() {
            let mut check = Command::new(&program)
                .arg("check")
                .args(args.split(' '))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = check.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            let output = check.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(*expected), "{program:?} {args} of {input:?}: {said}");
        }
    }
    Ok(())
}
