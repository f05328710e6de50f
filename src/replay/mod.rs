//! The third driver: a recorded journey log through the same engine, in order, and how good its predictions were.
//!
//! *Progressive validation*: each opportunity is scored before anything later is applied, and its impression and
//! conversion are learned from when the log tells of them, as in production (Dawid's prequential principle). The
//! prediction that counts is the one that a bidder would have had.
//!
//! *Invariants.* Knows files and the engine, no sockets and no wire format. What an opportunity became is found out by
//! its own reading of the log, not by the engine's. Reads the log in one pass, or two where the settings are to be
//! taken from it.

mod bootstrap;
mod comparison;
mod evaluation;
mod joins;
mod leaks;
mod lines;
mod player;
mod predictions;
mod rival;
mod selection;
mod source;
mod traits;
mod unused;
mod waiting;

pub use bootstrap::{Resamples, Sample, interval};
pub use comparison::{Comparison, Difference, compare, compare_with_rival};
pub use evaluation::{Constant, Evaluation, OfGoal, Part, SLICE_RESAMPLES, Slice, evaluated};
pub use joins::{Joined, Joins};
pub use leaks::{POSITIVES_MIN, SUSPECT_SHARE, Suspect};
pub use lines::{Ahead, Faults, LineCounts};
pub use player::{Played, Player};
pub use predictions::{COLUMNS, Prediction, PredictionFile, ReplayError};
pub use rival::{Rival, RivalError};
pub use selection::{EvaluateFrom, MISSING_MAX, OpenWindows, Scope};
pub use source::bytes_total;
pub use traits::{Kind, Name, Trait, Traits};
pub use unused::Unused;
pub use waiting::Outcome;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::journey::{Discovery, JourneyError, Line};
use crate::settings::Settings;
use crate::stopwatch::Stopwatch;
use crate::units::Span;
use source::Source;

/// What is done with a line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLines {
    /// It is counted, and given to whoever shows it.
    Counted,
    /// It ends the replay.
    Refused,
}

/// Time that a replay took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// From the first line to the last.
    pub whole: Duration,
    /// The parser's share, on a thread of its own.
    pub parsing: Duration,
}

/// Follows a replay while it goes on.
pub trait Watcher {
    /// So many bytes of the log are read.
    fn read(&mut self, bytes: u64);
    /// A line could not be read.
    fn bad_line(&mut self, error: &JourneyError);
}

/// Takes advertisers, goals, actions and their ladder from a log, with one label window for all goals.
///
/// # Errors
/// When the log cannot be read, has a bad line that is refused, or names more than one engine can hold.
pub fn discover(
    paths: &[PathBuf],
    window: Span,
    bad_lines: BadLines,
    watcher: &mut dyn Watcher,
) -> Result<Settings, ReplayError> {
    let mut discovery = Discovery::default();
    each_line(
        paths,
        |bytes| watcher.read(bytes),
        |line, read| match read {
            Ok(read) => discovery.see(&read).map_err(|source| ReplayError::TooMuch { line, source }),
            Err(error @ JourneyError::Line { .. }) if bad_lines == BadLines::Counted => {
                // It is told when the log is played.
                drop(error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        },
    )?;
    Ok(discovery.settings(window))
}

/// Plays a log to its end.
///
/// # Errors
/// When the log cannot be read, has a bad line that is refused, or holds too many opportunities.
pub fn play(
    paths: &[PathBuf],
    settings: Settings,
    file: Option<PredictionFile>,
    bad_lines: BadLines,
    watcher: &mut dyn Watcher,
) -> Result<(Played, Times), ReplayError> {
    let mut player = Player::new(settings, file)?;
    let started = Stopwatch::start();
    let watcher = std::cell::RefCell::new(watcher);
    let parsing = each_line(
        paths,
        |bytes| watcher.borrow_mut().read(bytes),
        |number, read| match read {
            Ok(line) => player.play(number, line),
            Err(error @ JourneyError::Line { .. }) if bad_lines == BadLines::Counted => {
                if let JourneyError::Line { fault, .. } = &error {
                    player.note_bad_line(fault);
                }
                watcher.borrow_mut().bad_line(&error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        },
    )?;
    let whole = started.elapsed();
    Ok((player.finish(), Times { whole, parsing }))
}

/// Visits all lines in their order; how long the parser was busy.
fn each_line(
    paths: &[PathBuf],
    mut read: impl FnMut(u64),
    mut visit: impl FnMut(u64, Result<Line, JourneyError>) -> Result<(), ReplayError>,
) -> Result<Duration, ReplayError> {
    thread::scope(|scope| {
        let mut source = Source::start(scope, paths);
        while let Some(batch) = source.next() {
            read(batch.bytes_read);
            batch.lines.into_iter().try_for_each(|(number, line)| visit(number, line))?;
        }
        Ok(source.finish())
    })
}
