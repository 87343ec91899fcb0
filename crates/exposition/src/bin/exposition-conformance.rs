//! `exposition-conformance FOLDER [--list-failures]`: runs the exposition bodies of a folder.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|argument| argument == "--list-failures");
    let Some(folder) = arguments.iter().find(|argument| !argument.starts_with("--")) else {
        eprintln!("usage: exposition-conformance FOLDER [--list-failures]");
        return ExitCode::from(2);
    };
    match exposition::conformance::run_conformance(Path::new(folder)) {
        Ok((passed, failures)) => {
            if list {
                failures.iter().for_each(|line| println!("{line}"));
            }
            println!("exposition: {passed} passed, {} failed", failures.len());
            if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
