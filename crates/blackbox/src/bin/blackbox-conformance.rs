//! `blackbox-conformance FOLDER [--list-failures]`: reads the configurations that `FOLDER/verdicts.tsv` names.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|argument| argument == "--list-failures");
    let Some(folder) = arguments.iter().find(|argument| !argument.starts_with("--")) else {
        eprintln!("usage: blackbox-conformance FOLDER [--list-failures]");
        return ExitCode::from(2);
    };
    match blackbox::conformance::config_verdicts(Path::new(folder)) {
        Ok(verdicts) => {
            if list {
                print!("{}", verdicts.wrong);
            }
            println!("blackbox: {} passed, {} failed", verdicts.right, verdicts.total - verdicts.right);
            if verdicts.right == verdicts.total { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::from(2)
        }
    }
}
