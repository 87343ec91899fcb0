//! promtool as a client.

use anyhow::{Result, ensure};
use harness::vigie::binary;
use harness::{Vigie, peer, until};
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
