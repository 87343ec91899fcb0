//! Runs all `*.test` files of a folder: one line a file, one in total.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let (mut folder, mut list, mut filter) = (None, false, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list-failures" => list = true,
            "--only" => filter = args.next(),
            _ => folder = Some(PathBuf::from(arg)),
        }
    }
    let mut out = std::io::stdout().lock();
    match folder.map(|folder| run(&folder, list, filter.as_deref(), &mut out)) {
        Some(Ok(true)) => ExitCode::SUCCESS,
        Some(Ok(false)) => ExitCode::FAILURE,
        Some(Err(error)) => {
            // Nothing can be done if even this cannot be written.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
        None => {
            let _ = writeln!(std::io::stderr(), "usage: promqltest FOLDER [--list-failures] [--only FILE]");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &PathBuf, list: bool, only: Option<&str>, out: &mut impl std::io::Write) -> std::io::Result<bool> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let report = promqltest::run_file(&name, &std::fs::read_to_string(&path)?);
        writeln!(out, "{name}: {} passed, {} failed", report.passed, report.failed.len())?;
        if list {
            for failure in &report.failed {
                writeln!(out, "  {name}:{}: {}\n      {}", failure.line, failure.query, failure.reason)?;
            }
        }
        passed += report.passed;
        failed += report.failed.len();
    }
    writeln!(out, "promql: {passed} passed, {failed} failed")?;
    Ok(failed == 0)
}
