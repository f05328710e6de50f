//! How far a log has been played: one line on a terminal, nothing where output is piped.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::stopwatch::Stopwatch;

/// Time between two updates of the line.
const PAUSE: Duration = Duration::from_millis(200);

/// The line.
pub struct Progress {
    total: u64,
    started: Stopwatch,
    shown: Option<Stopwatch>,
    is_terminal: bool,
}

impl Progress {
    /// Progress towards a total; 0 when that is not known.
    pub fn new(total: u64) -> Progress {
        Progress { total, started: Stopwatch::start(), shown: None, is_terminal: std::io::stderr().is_terminal() }
    }

    /// Shows how much is done, if that was not just shown.
    pub fn show(&mut self, done: u64) {
        if !self.is_terminal || self.total == 0 || self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Stopwatch::start());
        let share = (done as f64 / self.total as f64).clamp(0.001, 1.0);
        let left = self.started.elapsed().as_secs_f64() * (1.0 - share) / share;
        eprint!("\r  {:>3.0} %, {left:.0} s left    ", share * 100.0);
        let _ = std::io::stderr().flush();
    }

    /// Clears the line.
    pub fn done(&self) {
        if self.shown.is_some() {
            eprint!("\r{:40}\r", "");
        }
    }
}
