//! The command line: one file a subcommand.

mod analyze;
mod check;
mod features;
mod metric_lint;
mod output;
mod progress;
mod prometheus_flags;
mod promql;
mod push;
mod query;
mod serve;
mod test_rules;
mod tsdb;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use serve::{ServeFlags, duration_flag, size_flag};

/// Vigie watches over a fleet: it scrapes, stores, queries, alerts, probes and shows.
#[derive(Debug, Parser)]
#[command(name = "vigie", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (also what plain `vigie` does).
    Serve(Box<ServeFlags>),
    /// Check files without running anything.
    #[command(subcommand)]
    Check(check::Check),
    /// Test rules against series made up for it.
    #[command(subcommand)]
    Test(test_rules::TestCommand),
    /// Ask a running server.
    #[command(subcommand)]
    Query(query::Query),
    /// Send something to a running server.
    #[command(subcommand)]
    Push(push::Push),
    /// Work on expressions without a server.
    #[command(subcommand)]
    Promql(promql::Promql),
    /// Work on a data folder without a server on it.
    #[command(subcommand)]
    Tsdb(tsdb::TsdbCommand),
}

/// Runs the program with its arguments, the first being its own name.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(normalize(args)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Command::Serve(flags) => serve::run(*flags),
        Command::Check(check) => check::run(check),
        Command::Test(command) => test_rules::run(command),
        Command::Query(query) => query::run(query),
        Command::Push(push) => push::run(push),
        Command::Promql(command) => promql::run(command),
        Command::Tsdb(command) => tsdb::run(command),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("vigie: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Makes of what service files hold what clap takes: without a subcommand it is `serve`, and Go's
/// single-dash flags (`-config.file=x`) get their second dash.
fn normalize(args: Vec<OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args
        .into_iter()
        .map(|arg| match arg.to_str() {
            Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => {
                OsString::from(format!("-{text}"))
            }
            _ => arg,
        })
        .map(|arg| arg.to_str().and_then(prometheus_flags::without_no).map_or(arg, OsString::from))
        .collect();
    let first = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default();
    let is_flag = first.starts_with('-') && !["--help", "-h", "--version", "-V"].contains(&first);
    if args.len() < 2 || is_flag {
        args.insert(1.min(args.len()), OsString::from("serve"));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &[&str]) -> Vec<String> {
        normalize(args.iter().map(OsString::from).collect())
            .into_iter()
            .map(|arg| arg.into_string().unwrap_or_default())
            .collect()
    }

    #[test]
    fn service_files_stay_as_they_are() {
        assert_eq!(words(&["vigie"]), ["vigie", "serve"]);
        assert_eq!(words(&["vigie", "-config.file=a.yml"]), ["vigie", "serve", "--config.file=a.yml"]);
        assert_eq!(words(&["vigie", "--log.level", "debug"]), ["vigie", "serve", "--log.level", "debug"]);
        assert_eq!(words(&["vigie", "check", "config", "a.yml"]), ["vigie", "check", "config", "a.yml"]);
        assert_eq!(words(&["vigie", "--version"]), ["vigie", "--version"]);
    }

    #[test]
    fn prometheus_flags_are_taken() {
        let cli = Cli::try_parse_from(normalize(
            [
                "vigie",
                "--config.file=/etc/prometheus/prometheus.yml",
                "--storage.tsdb.path=/var/lib/prometheus",
                "--storage.tsdb.retention.time=15d",
                "--web.listen-address=0.0.0.0:9090",
                "--web.external-url=https://example.org/vigie/",
                "--web.enable-remote-write-receiver",
                "--web.enable-lifecycle",
                "--web.enable-admin-api",
                "--log.level=warn",
            ]
            .map(OsString::from)
            .to_vec(),
        ));
        assert!(matches!(cli, Ok(Cli { command: Command::Serve(_) })), "{cli:?}");
    }
}
