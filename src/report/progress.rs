//! How far a log has been played: one line on a terminal, nothing where output is piped.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::stopwatch::Stopwatch;

/// Time between two updates of the line.
const PAUSE: Duration = Duration::from_millis(200);

/// The line.
pub struct Progress {
    total: u64,
    /// It may end before the total.
    is_at_most: bool,
    started: Stopwatch,
    shown: Option<Stopwatch>,
    is_terminal: bool,
}

impl Progress {
    /// Progress towards a total; 0 when that is not known.
    pub fn new(total: u64) -> Progress {
        let (started, is_terminal) = (Stopwatch::start(), std::io::stderr().is_terminal());
        Progress { total, is_at_most: false, started, shown: None, is_terminal }
    }

    /// Progress towards a total that need not be reached.
    pub fn at_most(total: u64) -> Progress {
        Progress { is_at_most: true, ..Progress::new(total) }
    }

    /// Shows how much is done, if that was not just shown.
    pub fn show(&mut self, done: u64) {
        if !self.is_terminal || self.total == 0 || self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Stopwatch::start());
        let share = (done as f64 / self.total as f64).clamp(0.001, 1.0);
        let left = self.started.elapsed().as_secs_f64() * (1.0 - share) / share;
        let at_most = if self.is_at_most { "at most " } else { "" };
        // Some 30 letters, and blanks over what is left of a longer line.
        let mut terminal = std::io::stderr();
        let _ = write!(terminal, "\r  {:>3.0} %, {at_most}{} left    ", share * 100.0, told(left));
        let _ = terminal.flush();
    }

    /// Clears the line.
    pub fn done(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r{:40}\r", "");
        }
    }
}

/// Seconds, in the unit that they are thought of in.
fn told(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_told_in_its_unit() {
        assert_eq!([0.4, 119.4, 120.0, 7_199.0, 9_000.0].map(told), ["0 s", "119 s", "2 min", "120 min", "2 h"]);
    }
}
