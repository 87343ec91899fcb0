//! `dashboards_conformance [--list-failures] [folder]`: imports every dashboard of a folder and prints
//! `dashboards: N passed, M failed`.

use std::io::Write as _;

fn main() -> std::process::ExitCode {
    let mut list = false;
    let mut folder = std::path::PathBuf::from("../shared/conformance/dashboards");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--list-failures" => list = true,
            path => folder = path.into(),
        }
    }
    let (count, failures) = dashboard::import::check_folder(&folder);
    let mut out = std::io::stdout().lock();
    if list {
        for failure in &failures {
            let _ = writeln!(out, "{failure}");
        }
    }
    let _ = writeln!(out, "dashboards: {} passed, {} failed", count - failures.len(), failures.len());
    if count > 0 && failures.is_empty() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
