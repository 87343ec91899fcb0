//! `vigie promql …`: work on expressions without a server.

use super::features::FeatureFlags;
use super::output::say;
use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Promql {
    /// Print an expression in its usual layout.
    Format {
        /// As `sum(rate(x[5m]))by(a)`; `-` reads standard input.
        expression: String,
        #[command(flatten)]
        features: FeatureFlags,
    },
}

pub(crate) fn run(command: Promql) -> Result<ExitCode> {
    match command {
        Promql::Format { expression, features } => {
            let text = if expression == "-" { std::io::read_to_string(std::io::stdin())? } else { expression };
            let tree = promql_syntax::parse_with(text.trim(), features.language())
                .map_err(|error| anyhow!("{error}{}", error.remedy()))
                .with_context(|| format!("cannot format `{}`", text.trim()))?;
            say(&promql_syntax::format_pretty(&tree));
        }
    }
    Ok(ExitCode::SUCCESS)
}
