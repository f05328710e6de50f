//! What was predicted and what came of it: one entry for each opportunity, and the file that holds them all.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::traits::Trait;
use super::waiting::Outcome;
use crate::ids::{GoalCode, Id};
use crate::journey::{DiscoveryError, JourneyError, Opportunity};
use crate::rejection::Rejection;
use crate::units::Timestamp;

/// One scored opportunity.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Line of the log.
    pub line: u64,
    /// When it was scored.
    pub time: Timestamp,
    /// Number of the user, from 0.
    pub user: u32,
    /// Towards which goal.
    pub goal: GoalCode,
    /// Predicted probability.
    pub p: f64,
    /// The factor on the bid that was answered.
    pub multiplier: f64,
    /// What came of it.
    pub outcome: Outcome,
    /// What was known of it.
    pub traits: Box<[Trait]>,
}

/// Why a replay ends early.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log cannot be read, or, where that was asked for, has a bad line.
    #[error(transparent)]
    Journey(#[from] JourneyError),
    /// The log names more than one engine can hold.
    #[error("line {line} of the log")]
    TooMuch {
        /// Which line, over all files.
        line: u64,
        /// What is too much.
        source: DiscoveryError,
    },
    /// The log holds more opportunities than one replay evaluates.
    #[error("line {line} of the log: more than the {limit} opportunities that one replay evaluates: split the log")]
    TooManyOpportunities {
        /// Which line, over all files.
        line: u64,
        /// How many there may be.
        limit: usize,
    },
    /// The engine does not take the settings.
    #[error("the engine refuses the settings: {0}")]
    Settings(Rejection),
    /// The file of predictions cannot be written.
    #[error("{}: predictions cannot be written", path.display())]
    Predictions {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: csv::Error,
    },
}

/// Opportunity, user, advertiser and goal, as the log names them.
pub type Names = [Id; 4];

/// The names of an opportunity.
pub fn names_of(opportunity: &Opportunity) -> Names {
    let Opportunity { id, user, advertiser, goal, .. } = opportunity;
    [id, user, advertiser, goal].map(Id::clone)
}

/// The head of the file of predictions.
pub const COLUMNS: [&str; 9] =
    ["line", "time_ms", "id", "user", "advertiser", "goal", "p", "converted", "window_ends_ms"];

/// Predictions as comma-separated values, one opportunity a line in the order of the log.
///
/// `converted` is 1 or 0, and empty where no ad was shown, as is `window_ends_ms` then. `p` has as many digits as it
/// takes to read the same number again.
pub struct PredictionFile {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    /// Names of the opportunities whose outcome is not settled.
    waiting: VecDeque<Names>,
}

impl PredictionFile {
    /// Begins the file beside its place, under a name that ends in `.partial`: what stands there under its own name is
    /// replaced only once all is written.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<PredictionFile, ReplayError> {
        let failed = |source| ReplayError::Predictions { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory).into()));
        }
        let file = File::create(partial(path)).map_err(|source| failed(source.into()))?;
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        writer.write_record(COLUMNS).map_err(failed)?;
        Ok(PredictionFile { path: path.to_owned(), writer, waiting: VecDeque::new() })
    }

    /// Notes an opportunity whose prediction will be settled after those that were noted before.
    pub fn enter(&mut self, names: Names) {
        self.waiting.push_back(names);
    }

    /// Writes the next prediction.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub fn settle(&mut self, prediction: &Prediction) -> Result<(), ReplayError> {
        let Some([id, user, advertiser, goal]) = self.waiting.pop_front() else { return Ok(()) };
        let (converted, until) = match prediction.outcome {
            Outcome::NotShown => (String::new(), String::new()),
            Outcome::Shown { until, converted_at, .. } => {
                (u8::from(converted_at.is_some()).to_string(), until.0.to_string())
            }
        };
        let (line, time, p) = (prediction.line.to_string(), prediction.time.0.to_string(), prediction.p.to_string());
        let names = [id.as_str(), user.as_str(), advertiser.as_str(), goal.as_str()];
        let row = [line.as_str(), &time].into_iter().chain(names).chain([p.as_str(), &converted, &until]);
        self.writer.write_record(row).map_err(|source| self.failed(source))
    }

    /// Writes what is still in memory, and gives the file its name.
    ///
    /// # Errors
    /// As [`PredictionFile::settle`].
    pub fn finish(mut self) -> Result<(), ReplayError> {
        let written = self.writer.flush().and_then(|()| fs::rename(partial(&self.path), &self.path));
        written.map_err(|source| self.failed(source.into()))
    }

    fn failed(&self, source: csv::Error) -> ReplayError {
        ReplayError::Predictions { path: self.path.clone(), source }
    }
}

/// Where a file stands until all of it is written.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}
