//! `vigie test rules` beside `promtool test rules`: the same verdict on the same files.

use anyhow::{Context, Result};
use harness::vigie::binary;
use harness::{peer, shared};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options and files below `conformance/config/promtool`, and whether promtool is content with them.
const UPSTREAM: &str = "
unittest.yml => pass
no-test-group-interval.yml => pass
negative-offset-test.yml => pass
failing.yml => fail
bad-input-series.yml => fail
bad-promql.yml => fail
bad-rules-syntax-test.yml => fail
rules_run.yml => fail
--run correct rules_run.yml => pass
--run wrong rules_run.yml => fail
--run correct --run nothing rules_run.yml => pass
--run nothing rules_run.yml => pass
rules_run_extrafields.yml => fail
--ignore-unknown-fields rules_run_extrafields.yml => pass
unittest.yml failing.yml => fail
nosuch.yml => fail
";

fn passes(program: &Path, folder: &Path, args: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(program).args(["test", "rules"]).args(args).current_dir(folder).output()?;
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("ended by a signal")?;
    anyhow::ensure!(code < 2, "{args:?} ended with {code}: {}", String::from_utf8_lossy(&said));
    Ok((code == 0, String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn upstream_files_have_upstream_verdicts() -> Result<()> {
    let Some(folder) = shared("conformance/config/promtool") else { return Ok(()) };
    let promtool = peer("promtool");
    for case in UPSTREAM.trim().lines() {
        let (args, expected) = case.split_once(" => ").context("a case")?;
        let args: Vec<&str> = args.split(' ').collect();
        let (ours, said) = passes(&binary()?, &folder, &args)?;
        assert_eq!(ours, expected == "pass", "in case `{case}`: {said}");
        if let Some(promtool) = &promtool {
            let (theirs, said) = passes(promtool, &folder, &args)?;
            assert_eq!(ours, theirs, "promtool in case `{case}`: {said}");
        }
    }
    Ok(())
}

#[test]
fn our_files_have_promtools_verdict() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../server/testdata/test_rules");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("pass") && !name.starts_with("fail") {
            continue;
        }
        let (ours, our_words) = passes(&binary()?, &folder, &[&name])?;
        let (theirs, their_words) = passes(&promtool, &folder, &[&name])?;
        assert_eq!(ours, theirs, "{name}\n{our_words}\n{their_words}");
        assert_eq!(ours, name.starts_with("pass"), "{name}: {our_words}");
        count += 1;
    }
    assert!(count > 5, "{count} files");
    Ok(())
}
