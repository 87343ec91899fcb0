//! `cargo xtask …`: everything that is automated, in Rust and without tools to install beforehand.

mod bench_charts;
mod bundle;
mod ci;
mod conformance;
mod deps;
mod fuzz;
mod layers;
mod peers;
mod recording;
mod shell;
mod shrink;
mod tools;

use anyhow::{Result, bail};
use std::path::PathBuf;

const HELP: &str = "cargo xtask COMMAND

  run [-- FLAGS]             build everything and start vigie (FLAGS as for `vigie serve`)
  build                      target/release/vigie with the front end inside
  bundle [PROFILE] [--out D] only the front end: wasm-release (default) or wasm-dev, into dist/
  test                       everything: checks, tests, real peers, the browser journeys
  ci                         what CI runs: `test`, and the conformance runs if the folder is there
  check                      formatting, layers, lints, documentation
  unit                       unit and integration tests of the crates
  e2e [FILTER]               the tests against real peers
  browser [FILTER]           the browser journeys; screenshots go to target/screenshots
  conformance [FOLDER] [--list-failures]
                             the suites of a folder like ../shared/conformance
  layers                     which crate may import which
  deps                       licences of the dependencies, and crates that must not be among them
  bench                      timings of the whole: start to first chart, sizes, memory, incremental build
  fuzz [SECONDS] [NAME …]    the programs of fuzz/ in turn, 60 s each (needs the nightly compiler)
  bench-charts [ROUNDS [CASE]]
                             our charts and uPlot in turns in Chromium (npm fetches uPlot once)
  record FOLDER SECONDS NAME=URL …
                             keeps what exporters say, every so many seconds, until it is interrupted
  replay FOLDER URL          sends a recording to a server that takes remote write
  tools                      install what the above need: wasm target, Chromium, peers
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match args.first().map(String::as_str) {
        Some("run") => {
            bundle::build()?;
            let flags: Vec<&str> = rest.iter().copied().skip_while(|arg| *arg == "--").collect();
            shell::run(shell::command(bundle::binary()).args(flags))
        }
        Some("build") => bundle::build(),
        Some("bundle") => {
            let (mut profile, mut out) = ("wasm-release", shell::root().join("dist"));
            let mut words = rest.into_iter();
            while let Some(word) = words.next() {
                match word {
                    "--out" => out = PathBuf::from(words.next().unwrap_or("dist")),
                    name => profile = name,
                }
            }
            bundle::front_end(profile, &out)
        }
        Some("test") => ci::test(),
        Some("ci") => ci::ci(),
        Some("check") => ci::check(),
        Some("unit") => ci::unit(),
        Some("e2e") => ci::e2e(&rest),
        Some("browser") => ci::browser(&rest),
        Some("bench") => ci::bench(),
        Some("fuzz") => fuzz::run_all(&rest),
        Some("bench-charts") => bench_charts::run(&rest),
        Some("conformance") => {
            let list = rest.contains(&"--list-failures");
            let folder = rest.iter().find(|arg| !arg.starts_with("--")).map(PathBuf::from);
            conformance::run(folder, list)
        }
        Some("record") => recording::record(&rest),
        Some("replay") => recording::replay(&rest),
        Some("layers") => layers::check(),
        Some("deps") => deps::check(),
        Some("tools") => {
            tools::wasm_target()?;
            tools::browser()?;
            peers::ensure().map(|_| ())
        }
        Some("help" | "--help" | "-h") | None => {
            shell::say(HELP);
            Ok(())
        }
        Some(other) => bail!("no command `{other}`\n\n{HELP}"),
    }
}
