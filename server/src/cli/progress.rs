//! How far a long command is: a bar on a terminal, nothing in a file or a pipe.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// Between two drawings.
const EVERY: Duration = Duration::from_millis(100);
/// Characters of the bar itself.
const WIDTH: u64 = 24;

/// One line on standard error that is drawn again and again, and is gone at the end.
pub(crate) struct Progress {
    terminal: bool,
    drawn: Option<Instant>,
    begun: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress { terminal: std::io::stderr().is_terminal(), drawn: None, begun: Instant::now() }
    }

    /// `done` of `all` (0: nobody knows), and what is being done.
    pub(crate) fn tell(&mut self, done: u64, all: u64, what: impl FnOnce() -> String) {
        if !self.terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(done, all, self.begun.elapsed(), &what());
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{line}");
    }

    /// Clears the line, for something else to be written.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(done: u64, all: u64, elapsed: Duration, what: &str) -> String {
    if all == 0 {
        return what.to_owned();
    }
    let done = done.min(all);
    let full = (u128::from(done) * u128::from(WIDTH) / u128::from(all)) as usize;
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH as usize - full));
    let percent = u128::from(done) * 100 / u128::from(all);
    let left = match elapsed.mul_f64((all - done) as f64 / done.max(1) as f64).as_secs() {
        // Too early to tell, or too late to matter.
        _ if elapsed < Duration::from_secs(1) || done == all => String::new(),
        seconds if seconds >= 3600 => format!(", {}h{:02}m left", seconds / 3600, seconds % 3600 / 60),
        seconds if seconds >= 60 => format!(", {}m{:02}s left", seconds / 60, seconds % 60),
        seconds => format!(", {seconds}s left"),
    };
    format!("{bar} {percent:3} %  {what}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = |done, all, seconds| line(done, all, Duration::from_secs(seconds), "reading");
        assert_eq!(line(0, 100, 0), "░░░░░░░░░░░░░░░░░░░░░░░░   0 %  reading");
        assert_eq!(line(50, 100, 10), "████████████░░░░░░░░░░░░  50 %  reading, 10s left");
        assert_eq!(line(1, 100, 10), "░░░░░░░░░░░░░░░░░░░░░░░░   1 %  reading, 16m30s left");
        assert_eq!(line(1, 1001, 10), "░░░░░░░░░░░░░░░░░░░░░░░░   0 %  reading, 2h46m left");
        assert_eq!(line(7, 5, 10), "████████████████████████ 100 %  reading");
        assert_eq!(line(7, 0, 10), "reading");
    }
}
