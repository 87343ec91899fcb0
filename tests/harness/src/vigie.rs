//! A vigie of one's own: port, folder and configuration for one test.

use crate::http::{self, Response};
use crate::{Program, free_port, until};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// The program under test: `VIGIE_BIN`, else the newest of the release and the debug build.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("VIGIE_BIN") {
        return Ok(PathBuf::from(path));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join("vigie"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .context("no vigie to test: run `cargo xtask build`, or name one in VIGIE_BIN")
}

/// A running server.
pub struct Vigie {
    pub program: Program,
    pub port: u16,
    /// Working directory: configuration files and data.
    pub folder: PathBuf,
    args: Vec<String>,
    // Removes the folder at the end.
    _own: Option<tempfile::TempDir>,
}

impl Vigie {
    /// Starts one with the given `prometheus.yml` (none: the built-in configuration) and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready; with what it wrote.
    pub fn start(config: Option<&str>, flags: &[&str]) -> Result<Vigie> {
        let own = tempfile::Builder::new().prefix("vigie-").tempdir()?;
        let mut vigie = Vigie::start_in(own.path(), config, flags)?;
        vigie._own = Some(own);
        Ok(vigie)
    }

    /// As [`Vigie::start`], with a configuration that is made for its port.
    ///
    /// # Errors
    /// As [`Vigie::start`].
    pub fn start_with_port(config: impl FnOnce(u16) -> String, flags: &[&str]) -> Result<Vigie> {
        let own = tempfile::Builder::new().prefix("vigie-").tempdir()?;
        let port = free_port()?;
        let mut vigie = Vigie::start_on(port, own.path(), Some(&config(port)), flags)?;
        vigie._own = Some(own);
        Ok(vigie)
    }

    /// As [`Vigie::start`], in a folder that stays.
    ///
    /// # Errors
    /// As [`Vigie::start`].
    pub fn start_in(folder: &Path, config: Option<&str>, flags: &[&str]) -> Result<Vigie> {
        Vigie::start_on(free_port()?, folder, config, flags)
    }

    /// As [`Vigie::start_in`], on a given port.
    ///
    /// # Errors
    /// As [`Vigie::start`].
    pub fn start_on(port: u16, folder: &Path, config: Option<&str>, flags: &[&str]) -> Result<Vigie> {
        let mut args = vec![format!("--web.listen-address=127.0.0.1:{port}"), "--storage.tsdb.path=data".to_owned()];
        if let Some(config) = config {
            std::fs::write(folder.join("prometheus.yml"), config)?;
            args.push("--config.file=prometheus.yml".to_owned());
        }
        // A debug build has no pages inside: this names a folder with them.
        if let Ok(folder) = std::env::var("VIGIE_FRONT_END") {
            args.push(format!("--web.front-end={folder}"));
        }
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let program = Vigie::spawn(folder, &args)?;
        let mut vigie = Vigie { program, port, folder: folder.to_owned(), args, _own: None };
        vigie.wait_ready()?;
        Ok(vigie)
    }

    fn spawn(folder: &Path, args: &[String]) -> Result<Program> {
        Program::start("vigie", Command::new(binary()?).args(args).current_dir(folder), folder)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let url = self.url("/-/ready");
        until(START, "vigie becomes ready", || {
            self.program.check()?;
            let status = http::get(&url)?.status;
            if status == 200 { Ok(()) } else { bail!("HTTP {status}") }
        })
        // Starved by others, waiting for the disk, or waiting for itself: that shows who is to blame.
        .with_context(|| format!("its threads:\n{}", self.program.threads()))
    }

    /// Starts again after [`Program::kill`] or a clean end, with the same folder, port and flags.
    ///
    /// # Errors
    /// As [`Vigie::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.program.kill()?;
        self.program = Vigie::spawn(&self.folder, &self.args)?;
        self.wait_ready()
    }

    pub fn url(&self, path: &str) -> String {
        let prefix = self.args.iter().find_map(|arg| arg.strip_prefix("--web.route-prefix=")).unwrap_or_default();
        format!("http://127.0.0.1:{}{}{path}", self.port, prefix.trim_end_matches('/'))
    }

    /// # Errors
    /// No answer.
    pub fn get(&self, path: &str) -> Result<Response> {
        http::get(&self.url(path))
    }

    /// `data` of an answer of `/api/v1`.
    ///
    /// # Errors
    /// An answer that is no success; with its text.
    pub fn api(&self, path: &str) -> Result<Value> {
        let response = self.get(path)?;
        let mut json = response.json()?;
        if json["status"] != "success" {
            bail!("GET {path}: HTTP {}: {json}", response.status);
        }
        Ok(json["data"].take())
    }

    /// The result of an instant query.
    ///
    /// # Errors
    /// As [`Vigie::api`].
    pub fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let mut data = self.api(&format!("/api/v1/query?query={}", http::encode(expression)))?;
        match data["result"].take() {
            Value::Array(result) => Ok(result),
            other => bail!("{expression}: {other}"),
        }
    }

    /// The value of an instant query that gives exactly one series.
    ///
    /// # Errors
    /// Another number of series; as [`Vigie::api`].
    pub fn value(&self, expression: &str) -> Result<f64> {
        let result = self.query(expression)?;
        let [one] = result.as_slice() else { bail!("{expression}: {} series: {result:?}", result.len()) };
        let text = one["value"][1].as_str().context("no value")?;
        text.parse().with_context(|| format!("{expression}: {text}"))
    }

    /// Waits until a query gives one series with this value.
    ///
    /// # Errors
    /// It does not within `limit`.
    pub fn wait_value(&self, limit: Duration, expression: &str, expected: f64) -> Result<()> {
        until(limit, &format!("{expression} becomes {expected}"), || {
            let value = self.value(expression)?;
            if (value - expected).abs() < 1e-9 { Ok(()) } else { bail!("it is {value}") }
        })
    }
}
