//! Probes once and writes the answer: `probe blackbox.yml MODULE TARGET [debug]`. To compare with other programs.

use blackbox::{Config, Handler, ProbeParams};
use exposition::format::Served;
use std::{io::Write, path::Path, sync::Arc};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().unwrap_or_default();
    let file = argument();
    let text = std::fs::read_to_string(&file)?;
    let mut config = Config::load(&file, &text).map_err(std::io::Error::other)?;
    config.resolve_paths(Path::new(&file).parent().unwrap_or(Path::new(".")));
    let debug = |word: String| if word.is_empty() { word } else { "true".to_owned() };
    let params =
        ProbeParams { module: argument(), target: argument(), debug: debug(argument()), ..ProbeParams::default() };
    let handler = Handler::new(&telemetry::Registry::new());
    let answer = handler.probe(&Arc::new(config), &params, None, Served::TEXT).await;
    std::io::stdout().write_all(answer.body.as_bytes())
}
