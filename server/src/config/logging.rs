//! Logs to standard error: logfmt-like for people, JSON for collectors.

use anyhow::{Result, bail};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging for the process.
///
/// # Errors
/// An unknown level or format.
pub(crate) fn start(level: &str, format: &str) -> Result<()> {
    let level = match level {
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" => Level::WARN,
        "error" => Level::ERROR,
        other => bail!("--log.level={other}: expected debug, info, warn or error"),
    };
    // Libraries speak only when something is wrong, unless everything is asked for.
    let libraries = if level == Level::DEBUG { Level::INFO } else { level.min(Level::WARN) };
    let filter = Targets::new()
        .with_default(level)
        .with_targets(["hyper", "h2", "rustls", "tokio", "tower", "mail_send"].map(|name| (name, libraries)));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        "logfmt" => registry.with(layer.with_ansi(false).with_target(true)).init(),
        "json" => registry.with(layer.json()).init(),
        other => bail!("--log.format={other}: expected logfmt or json"),
    }
    Ok(())
}
