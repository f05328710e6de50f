//! Which predictions of a replay are evaluated: from when on, and which of those whose window was open at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::player::Played;
use super::predictions::Prediction;
use super::waiting::Outcome;
use crate::ids::GoalCode;
use crate::units::Timestamp;

/// Conversions that may be missing where open windows are evaluated, as a share of the positives: by so much, predicted
/// ÷ observed is off.
pub const MISSING_MAX: f64 = 0.01;

/// From where on opportunities are evaluated; what comes before only teaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EvaluateFrom {
    /// From this moment on.
    Moment(Timestamp),
    /// From this share of the time between the first and the last opportunity on, 0 to 1.
    Share(f64),
}

/// Whether opportunities are evaluated whose window was open when the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenWindows {
    /// As the log tells: those of a goal are where all its conversions name their opportunities and hardly a conversion
    /// is missing, so that the log can hold all conversions of the opportunities in it.
    #[default]
    AsTheLogTells,
    /// None is.
    LeftOut,
    /// All are: whoever asks for this knows that the log was cut by its opportunities, with all of their conversions.
    Counted,
}

/// What is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scope {
    /// Where it begins.
    pub from: EvaluateFrom,
    /// Which open windows belong to it.
    pub open: OpenWindows,
}

impl From<EvaluateFrom> for Scope {
    fn from(from: EvaluateFrom) -> Scope {
        Scope { from, open: OpenWindows::default() }
    }
}

/// Which predictions of a replay count where.
pub(super) struct Selection<'a> {
    pub played: &'a Played,
    /// Beginning of the evaluated part.
    pub from: Timestamp,
    /// Goals whose open windows are evaluated.
    counted: BTreeSet<GoalCode>,
    /// What is known of the delays of each goal's conversions.
    delays: BTreeMap<GoalCode, Delays>,
}

/// How soon conversions of a goal come.
#[derive(Debug, Default)]
struct Delays {
    /// Opportunities that were shown.
    shown: f64,
    /// How long before the end of its window each conversion came, in milliseconds, ascending.
    spares: Vec<u64>,
}

impl Delays {
    fn by_goal(predictions: &[Prediction]) -> BTreeMap<GoalCode, Delays> {
        let mut by_goal: BTreeMap<GoalCode, Delays> = BTreeMap::new();
        for prediction in predictions {
            if let Outcome::Shown { until, converted_at, .. } = prediction.outcome {
                let delays = by_goal.entry(prediction.goal).or_default();
                delays.shown += 1.0;
                delays.spares.extend(converted_at.map(|converted_at| until.0.saturating_sub(converted_at.0)));
            }
        }
        by_goal.values_mut().for_each(|delays| delays.spares.sort_unstable());
        by_goal
    }

    /// Conversions that come when less than so many milliseconds of the window are left, for each opportunity.
    fn rate_within(&self, left: u64) -> f64 {
        self.spares.partition_point(|spare| *spare < left) as f64 / self.shown
    }
}

impl<'a> Selection<'a> {
    pub fn new(played: &'a Played, scope: Scope) -> Selection<'a> {
        let first = played.predictions.first().map_or(0, |prediction| prediction.time.0);
        let last = played.predictions.last().map_or(0, |prediction| prediction.time.0);
        let from = match scope.from {
            EvaluateFrom::Moment(moment) => moment,
            EvaluateFrom::Share(share) => Timestamp(first + (share * (last - first) as f64).ceil() as u64),
        };
        let mut selection =
            Selection { played, from, counted: BTreeSet::new(), delays: Delays::by_goal(&played.predictions) };
        selection.counted = match scope.open {
            OpenWindows::AsTheLogTells => selection.hardly_missing(),
            OpenWindows::LeftOut => BTreeSet::new(),
            OpenWindows::Counted => played.predictions.iter().map(|prediction| prediction.goal).collect(),
        };
        selection
    }

    /// Whether what came of an opportunity is known, or taken as known: its window had closed when the log ended, or
    /// its goal's open windows are evaluated.
    pub fn is_closed(&self, prediction: &Prediction) -> bool {
        matches!(prediction.outcome, Outcome::Shown { until, .. }
            if until <= self.played.ended_at || self.counted.contains(&prediction.goal))
    }

    /// Whether an opportunity is evaluated.
    pub fn is_evaluated(&self, prediction: &Prediction) -> bool {
        prediction.time >= self.from && self.is_closed(prediction)
    }

    /// Whether an opportunity's window was open when the log ended.
    pub fn is_open(&self, prediction: &Prediction) -> bool {
        self.left_open(prediction).is_some()
    }

    /// Conversions of an opportunity that are to be expected behind the log's end: 0 where it has one or its window had
    /// closed, else as many as come so late, by the delays of its goal.
    pub fn missing(&self, prediction: &Prediction) -> f64 {
        let left = self.left_open(prediction).filter(|_| prediction.outcome.label() == Some(false));
        left.zip(self.delays.get(&prediction.goal)).map_or(0.0, |(left, delays)| delays.rate_within(left))
    }

    /// For how long the window still was open when the log ended, in milliseconds.
    fn left_open(&self, prediction: &Prediction) -> Option<u64> {
        let Outcome::Shown { until, .. } = prediction.outcome else { return None };
        until.0.checked_sub(self.played.ended_at.0).filter(|left| *left > 0)
    }

    /// Goals whose conversions all name their opportunities, and of whose opportunities in the evaluated part at most
    /// [`MISSING_MAX`] of the conversions are missing. A log that was cut by its opportunities goes on until their
    /// conversions have come; one that was cut by time misses those that come later than it ends.
    fn hardly_missing(&self) -> BTreeSet<GoalCode> {
        let mut counts: BTreeMap<GoalCode, (f64, f64)> = BTreeMap::new();
        for prediction in self.played.predictions.iter().filter(|prediction| prediction.time >= self.from) {
            let (positives, missing) = counts.entry(prediction.goal).or_default();
            *positives += f64::from(u8::from(prediction.outcome.label() == Some(true)));
            *missing += self.missing(prediction);
        }
        let is_counted = |goal: &GoalCode| counts.get(goal).is_some_and(|(all, of)| *of <= MISSING_MAX * all);
        self.played.named_goals.iter().copied().filter(is_counted).collect()
    }
}
