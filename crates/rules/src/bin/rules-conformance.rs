//! `rules-conformance FOLDER [--list-failures]`: loads the rule files that a folder has verdicts for, and those from the field.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.iter().find(|argument| !argument.starts_with("--")) else {
        eprintln!("usage: rules-conformance FOLDER [--list-failures]");
        return ExitCode::from(2);
    };
    match rules::conformance::run_conformance(Path::new(folder)) {
        Ok((passed, failures)) => {
            if arguments.iter().any(|argument| argument == "--list-failures") {
                failures.iter().for_each(|line| println!("{line}"));
            }
            println!("rules: {passed} passed, {} failed", failures.len());
            if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
