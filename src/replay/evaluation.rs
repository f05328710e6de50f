//! From predictions and outcomes to figures with intervals: the whole log, its evaluated part, and slices of that.

use std::collections::{BTreeMap, BTreeSet};

use super::bootstrap::{Resamples, Sample, interval};
use super::leaks::{self, Suspect};
use super::player::Played;
use super::predictions::Prediction;
use super::selection::{Scope, Selection};
use super::traits::{Kind, Trait};
use super::waiting::Outcome;
use crate::ids::{GoalCode, Id};
use crate::stats::quality::{Band, Judged, Quality, constant_loss};
use crate::units::Timestamp;

/// Bands of the reliability data.
const BANDS: usize = 10;
/// Values of a name that are shown, those with most opportunities.
const VALUES_SHOWN: usize = 12;
/// Resamples for a slice, at most: there are many slices.
pub const SLICE_RESAMPLES: u32 = 200;
/// With fewer users, an interval would say more than it knows, and none is told.
pub(super) const USERS_MIN: u32 = 10;
/// Milliseconds of a day of 24 hours.
const DAY_MS: u64 = 86_400_000;

/// Figures of some opportunities, with their intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The figures.
    pub quality: Quality,
    /// 95 % intervals by a bootstrap of the users, in the order of [`Quality::figures`]; none with fewer than 10 users.
    pub intervals: [Option<(f64, f64)>; 7],
    /// Different users.
    pub users: u32,
}

/// What is always said by who knows a goal's rate and nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// Its log loss in the evaluated part, in nats.
    pub log_loss: f64,
    /// The rate is that of the whole log, future included: no window had closed when the evaluated part began.
    pub is_of_whole_log: bool,
}

/// Figures of a goal in the evaluated part.
#[derive(Debug, Clone, PartialEq)]
pub struct OfGoal {
    /// The figures, under the names of advertiser and goal.
    pub slice: Slice,
    /// What its bare rate does.
    pub constant: Constant,
}

/// Figures of a slice of the evaluated part.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// What is sliced by: an advertiser, the name of a context entry; empty for segments and days.
    pub name: String,
    /// Which slice: a goal, a value, a segment, a day.
    pub value: String,
    /// Its figures.
    pub part: Part,
}

/// How good the predictions of a replay were.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// First moment of the evaluated part.
    pub from: Timestamp,
    /// Opportunities from there on whose window had closed when the log ended, or counts as closed.
    pub evaluated: Part,
    /// Of the evaluated, those whose window was open when the log ended.
    pub evaluated_open: u64,
    /// Conversions of these that are to be expected behind the log's end.
    pub missing: f64,
    /// All opportunities that were shown, those whose window was open still included.
    pub all: Part,
    /// Of all, those whose window was open when the log ended.
    pub open: u64,
    /// Opportunities of which no impression came.
    pub not_shown: u64,
    /// Opportunities that left before it was known what came of them, because too many waited; in no figure.
    pub given_up: u64,
    /// What always saying the rate of each opportunity's goal does, as it was known when the evaluated part began.
    pub constant: Constant,
    /// By goal.
    pub goals: Vec<OfGoal>,
    /// Members of each segment.
    pub segments: Vec<Slice>,
    /// By value of each context entry, the commonest values.
    pub contexts: Vec<Slice>,
    /// By day, UTC; the value is in milliseconds since 1970 of its start.
    pub days: Vec<(Timestamp, Part)>,
    /// Predicted against observed, in bands of equal size.
    pub reliability: Vec<Band>,
    /// What may give the label away.
    pub suspects: Vec<Suspect>,
    /// The predictions are better than anything that is known at bidding time makes them.
    pub is_too_good: bool,
}

impl Part {
    /// Figures of some predictions, with intervals.
    pub fn of(judged: Vec<Judged>, resamples: Resamples) -> Part {
        let sample = Sample::new(&[judged]);
        let drawn = if sample.users() < USERS_MIN { Vec::new() } else { sample.draw(resamples) };
        let of = |figure: usize| interval(drawn.iter().map(|sets| sets[0].figures()[figure].1).collect());
        Part { quality: sample.rankings()[0].quality(), intervals: std::array::from_fn(of), users: sample.users() }
    }
}

impl Evaluation {
    /// Evaluates a replay.
    pub fn of(played: &Played, scope: impl Into<Scope>, resamples: Resamples) -> Evaluation {
        let selection = Selection::new(played, scope.into());
        let evaluated: Vec<(&Prediction, Judged)> = evaluated_of(&selection).collect();
        let judged = || evaluated.iter().map(|(_, judged)| *judged).collect::<Vec<_>>();
        let all = || played.predictions.iter().filter_map(judge).collect();
        let whole = Part::of(judged(), resamples);
        let few = Resamples { count: resamples.count.min(SLICE_RESAMPLES), ..resamples };
        let count = |is: &dyn Fn(&Prediction) -> bool| played.predictions.iter().filter(|one| is(one)).count() as u64;
        let goals = goals(played, &evaluated, &known_rates(&selection), few);
        Evaluation {
            from: selection.from,
            all: Part::of(all(), resamples),
            evaluated_open: count(&|one| selection.is_evaluated(one) && selection.is_open(one)),
            missing: evaluated.iter().map(|(one, _)| selection.missing(one)).sum(),
            open: count(&|one| selection.is_open(one)),
            not_shown: count(&|one| one.outcome == Outcome::NotShown),
            given_up: count(&|one| one.outcome == Outcome::GivenUp),
            constant: constant(&goals),
            goals,
            segments: slices(played, &evaluated, Kind::Segment, few),
            contexts: slices(played, &evaluated, Kind::Context, few),
            days: days(&evaluated, few),
            reliability: Sample::new(&[judged()]).rankings()[0].bands(BANDS),
            suspects: leaks::suspects(&played.predictions, &played.traits),
            is_too_good: leaks::is_too_good(&whole.quality),
            evaluated: whole,
        }
    }
}

/// A prediction beside its label; `None` where that is not known.
pub(super) fn judge(prediction: &Prediction) -> Option<Judged> {
    let positive = prediction.outcome.label()?;
    Some(Judged { p: prediction.p, positive, user: prediction.user })
}

/// The predictions that a selection evaluates.
pub(super) fn evaluated_of<'a>(selection: &Selection<'a>) -> impl Iterator<Item = (&'a Prediction, Judged)> {
    let evaluated = selection.played.predictions.iter().filter(|prediction| selection.is_evaluated(prediction));
    evaluated.filter_map(|prediction| Some((prediction, judge(prediction)?)))
}

/// Opportunities, and positives among them.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    all: f64,
    positives: f64,
}

impl Rate {
    fn add(&mut self, is_positive: bool) {
        self.all += 1.0;
        self.positives += f64::from(u8::from(is_positive));
    }

    fn share(self) -> Option<f64> {
        (self.all > 0.0).then(|| self.positives / self.all)
    }
}

/// By goal, the rate of positives among the opportunities whose window had closed when the evaluated part began, and
/// that of all.
fn known_rates(selection: &Selection<'_>) -> BTreeMap<GoalCode, [Rate; 2]> {
    let mut rates: BTreeMap<GoalCode, [Rate; 2]> = BTreeMap::new();
    for prediction in &selection.played.predictions {
        if let Outcome::Shown { until, converted_at, .. } = prediction.outcome {
            let [known, whole] = rates.entry(prediction.goal).or_default();
            whole.add(converted_at.is_some());
            if until < selection.from {
                known.add(converted_at.is_some());
            }
        }
    }
    rates
}

/// All goals together: each opportunity is told the rate of its own goal.
fn constant(goals: &[OfGoal]) -> Constant {
    let weight = |goal: &OfGoal| goal.slice.part.quality.opportunities;
    let total: f64 = goals.iter().map(weight).sum();
    Constant {
        log_loss: goals.iter().map(|goal| weight(goal) * goal.constant.log_loss).sum::<f64>() / total,
        is_of_whole_log: goals.iter().any(|goal| goal.constant.is_of_whole_log),
    }
}

fn goals(
    played: &Played,
    evaluated: &[(&Prediction, Judged)],
    rates: &BTreeMap<GoalCode, [Rate; 2]>,
    resamples: Resamples,
) -> Vec<OfGoal> {
    let mut by_goal: BTreeMap<_, Vec<Judged>> = BTreeMap::new();
    for (prediction, judged) in evaluated {
        by_goal.entry(prediction.goal).or_default().push(*judged);
    }
    let catalog = played.engine.catalog();
    let text = |id: Option<&Id>| id.map_or_else(String::new, Id::to_string);
    let of_goal = |(goal, judged): (GoalCode, Vec<Judged>)| {
        let part = Part::of(judged, resamples);
        let [known, whole] = rates.get(&goal).copied().unwrap_or_default();
        let rate = known.share().or(whole.share()).unwrap_or(0.0);
        let log_loss = constant_loss(rate, part.quality.positives / part.quality.opportunities);
        let constant = Constant { log_loss, is_of_whole_log: known.share().is_none() };
        let name = text(catalog.goals().get(goal.index()).and_then(|goal| catalog.advertiser_name(goal.advertiser)));
        OfGoal { slice: Slice { name, value: text(catalog.goal_name(goal)), part }, constant }
    };
    by_goal.into_iter().map(of_goal).collect()
}

/// The commonest values of all names of a kind.
fn slices(played: &Played, evaluated: &[(&Prediction, Judged)], kind: Kind, resamples: Resamples) -> Vec<Slice> {
    let mut by_trait: BTreeMap<Trait, Vec<Judged>> = BTreeMap::new();
    for (prediction, judged) in evaluated {
        for of in &prediction.traits {
            if played.traits.names()[played.traits.name_of(*of)].kind == kind {
                by_trait.entry(*of).or_default().push(*judged);
            }
        }
    }
    let mut shown = Vec::new();
    let names: BTreeSet<usize> = by_trait.keys().map(|of| played.traits.name_of(*of)).collect();
    for name in names {
        let of_name = by_trait.iter().filter(|(of, _)| played.traits.name_of(**of) == name);
        let mut values: Vec<(&Trait, &Vec<Judged>)> = of_name.collect();
        values.sort_by_key(|(of, judged)| (std::cmp::Reverse(judged.len()), **of));
        for (of, judged) in values.into_iter().take(VALUES_SHOWN) {
            let name = &played.traits.names()[name].name;
            let (name, value) = match kind {
                Kind::Segment => (String::new(), name.clone()),
                _ => (name.clone(), played.traits.value(*of).to_owned()),
            };
            shown.push(Slice { name, value, part: Part::of(judged.clone(), resamples) });
        }
    }
    shown
}

fn days(evaluated: &[(&Prediction, Judged)], resamples: Resamples) -> Vec<(Timestamp, Part)> {
    let mut by_day: BTreeMap<u64, Vec<Judged>> = BTreeMap::new();
    for (prediction, judged) in evaluated {
        by_day.entry(prediction.time.0 / DAY_MS).or_default().push(*judged);
    }
    by_day.into_iter().map(|(day, judged)| (Timestamp(day * DAY_MS), Part::of(judged, resamples))).collect()
}

/// The predictions of a replay that are evaluated: of opportunities from a moment on whose window had closed when the
/// log ended, or counts as closed.
pub fn evaluated(played: &Played, scope: impl Into<Scope>) -> impl Iterator<Item = &Prediction> {
    let selection = Selection::new(played, scope.into());
    played.predictions.iter().filter(move |prediction| selection.is_evaluated(prediction))
}
