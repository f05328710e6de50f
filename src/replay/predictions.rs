//! What was predicted and what came of it: one entry for each opportunity, and the file that holds them all.

use std::fs::{File, Permissions};
use std::io::{self, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use super::player::Played;
use super::selection::{Scope, Selection};
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
    /// Hash of the opportunity's id.
    pub opportunity: u64,
    /// When it was scored.
    pub time: Timestamp,
    /// Number of the user, from 0.
    pub user: u32,
    /// Towards which goal.
    pub goal: GoalCode,
    /// Predicted probability.
    pub p: f64,
    /// The factor on the bid that was answered; 0 where the answer was not to bid.
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
pub const COLUMNS: [&str; 10] =
    ["line", "time_ms", "id", "user", "advertiser", "goal", "p", "converted", "window_ends_ms", "evaluated"];

/// Predictions as comma-separated values, one opportunity a line in the order of the log.
///
/// `converted` is 1 or 0, and empty where that is not known: no ad was shown, or the window was open when the log ended
/// and does not count as closed. `window_ends_ms` is empty where no ad was shown, or too many waited. `evaluated` is 1
/// for the opportunities that the figures are of, else 0. `p` has as many digits as it takes to read the same number
/// again.
#[derive(Debug)]
pub struct PredictionFile {
    path: PathBuf,
    /// Names of the opportunities, in a file without a name of its own: what is evaluated is known at the end only.
    names: csv::Writer<File>,
}

impl PredictionFile {
    /// Begins a file. Nothing stands under its name until all is written.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn create(path: &Path) -> Result<PredictionFile, ReplayError> {
        let is_directory = || io::Error::from(io::ErrorKind::IsADirectory);
        let names = match path.is_dir() {
            true => Err(is_directory()),
            false => tempfile::tempfile_in(directory(path)),
        };
        match names {
            Ok(names) => Ok(PredictionFile { path: path.to_owned(), names: csv::Writer::from_writer(names) }),
            Err(source) => Err(failed(path, source.into())),
        }
    }

    /// Notes the names of the next opportunity that has a prediction.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub fn enter(&mut self, names: &Names) -> Result<(), ReplayError> {
        self.names.write_record(names.iter().map(Id::as_str)).map_err(|source| failed(&self.path, source))
    }

    /// Writes all predictions of the replay, with what is evaluated; the file is then there, whole, or not at all.
    ///
    /// # Errors
    /// As [`PredictionFile::enter`].
    pub fn write(self, played: &Played, scope: impl Into<Scope>) -> Result<(), ReplayError> {
        let PredictionFile { path, names } = self;
        rows(&path, names, &Selection::new(played, scope.into())).map_err(|source| failed(&path, source))
    }
}

fn failed(path: &Path, source: csv::Error) -> ReplayError {
    ReplayError::Predictions { path: path.to_owned(), source }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn rows(path: &Path, names: csv::Writer<File>, selection: &Selection<'_>) -> Result<(), csv::Error> {
    let mut names = names.into_inner().map_err(csv::IntoInnerError::into_error)?;
    names.rewind()?;
    let mut names = csv::ReaderBuilder::new().has_headers(false).from_reader(names);
    let mut writer = csv::Writer::from_writer(NamedTempFile::with_prefix_in(".inkling-", directory(path))?);
    writer.write_record(COLUMNS)?;
    for (names, prediction) in names.records().zip(&selection.played.predictions) {
        let names = names?;
        let (converted, until) = outcome(prediction, selection);
        let (line, time, p) = (prediction.line.to_string(), prediction.time.0.to_string(), prediction.p.to_string());
        let evaluated = u8::from(selection.is_evaluated(prediction)).to_string();
        let row = [line.as_str(), &time].into_iter().chain(&names).chain([p.as_str(), converted, &until, &evaluated]);
        writer.write_record(row)?;
    }
    let file = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    // Temporary files are for their owner alone; predictions are for others too.
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Whether it converted, as far as that is known, and when its window ends.
fn outcome(prediction: &Prediction, selection: &Selection<'_>) -> (&'static str, String) {
    let Outcome::Shown { until, converted_at, .. } = prediction.outcome else { return ("", String::new()) };
    let converted = match converted_at {
        Some(_) => "1",
        None if selection.is_closed(prediction) => "0",
        None => "",
    };
    (converted, until.0.to_string())
}
