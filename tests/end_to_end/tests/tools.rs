//! promtool as a client.

use anyhow::{Result, ensure};
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
