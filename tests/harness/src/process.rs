//! Programs that run beside a test and end with it.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A port on the loopback address that was free a moment ago.
///
/// # Errors
/// No port at all.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running program; killed when dropped. Its output goes to a file, and to the test's output if the test fails.
pub struct Program {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Program {
    /// Starts a program with its output in `folder/NAME.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Program> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name}: {:?}", command.get_program()))?;
        Ok(Program { child, log, name: name.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What its threads do now, a line each: name, state, seconds of processor time, and what they wait for in the system.
    /// Nothing where the system does not tell.
    pub fn threads(&self) -> String {
        let tasks = Path::new("/proc").join(self.child.id().to_string()).join("task");
        let mut lines = String::new();
        for task in std::fs::read_dir(tasks).into_iter().flatten().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let stat = read("stat");
            // Behind the name in parentheses: the state, and the ticks, of which there are a hundred a second.
            let Some((name, rest)) = stat.rsplit_once(')') else { continue };
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let ticks = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
            let name = name.split_once('(').map_or(name, |(_, name)| name);
            let state = fields.first().copied().unwrap_or_default();
            lines.push_str(&format!("{name}: {state}, {:.2} s, {}\n", ticks / 100.0, read("wchan").trim()));
        }
        lines
    }

    /// Sends a signal by name, as `TERM` or `HUP`.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status()?;
        if !status.success() {
            bail!("{}: signal {signal} could not be sent", self.name);
        }
        Ok(())
    }

    /// Kills it as `kill -9` does and waits for its end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended by itself; true if it ended well.
    ///
    /// # Errors
    /// It still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
        crate::until(limit, &format!("{} ends", self.name), || {
            self.child.try_wait()?.map(|status| status.success()).context("still running")
        })
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// It has ended; with what it wrote.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.name, self.output());
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            #[expect(clippy::print_stderr, reason = "the log of a program beside a failed test is what a person needs")]
            {
                eprintln!("--- {} ---\n{}", self.name, tail.join("\n"));
            }
        }
    }
}
