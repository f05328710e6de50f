//! From predictions and outcomes to figures with intervals: the whole log, its evaluated part, and slices of that.

use std::collections::{BTreeMap, BTreeSet};

use super::bootstrap::{Resamples, Sample, interval};
use super::leaks::{self, Suspect};
use super::player::Played;
use super::predictions::Prediction;
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
const USERS_MIN: u32 = 10;
/// Milliseconds of a day of 24 hours.
const DAY_MS: u64 = 86_400_000;

/// From where on opportunities are evaluated; what comes before only teaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EvaluateFrom {
    /// From this moment on.
    Moment(Timestamp),
    /// From this share of the time between the first and the last opportunity on, 0 to 1.
    Share(f64),
}

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
    /// Opportunities from there on whose window had closed when the log ended.
    pub evaluated: Part,
    /// All opportunities that were shown, those whose window was open still included.
    pub all: Part,
    /// Of all, those whose window was open when the log ended.
    pub open: u64,
    /// Opportunities of which no impression came.
    pub not_shown: u64,
    /// Log loss, in the evaluated part, of always saying the rate that was known when it began.
    pub constant_log_loss: f64,
    /// By goal.
    pub goals: Vec<Slice>,
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

/// One figure of two replays of the same log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Which figure.
    pub figure: &'static str,
    /// The first replay's.
    pub a: f64,
    /// The second replay's.
    pub b: f64,
    /// 95 % interval of b − a, by a bootstrap of the users, paired.
    pub interval: Option<(f64, f64)>,
}

/// Which predictions of a replay count where.
struct Selection<'a> {
    played: &'a Played,
    from: Timestamp,
}

impl<'a> Selection<'a> {
    fn new(played: &'a Played, from: EvaluateFrom) -> Selection<'a> {
        let first = played.predictions.first().map_or(0, |prediction| prediction.time.0);
        let last = played.predictions.last().map_or(0, |prediction| prediction.time.0);
        let from = match from {
            EvaluateFrom::Moment(moment) => moment,
            EvaluateFrom::Share(share) => Timestamp(first + (share * (last - first) as f64).ceil() as u64),
        };
        Selection { played, from }
    }

    /// Whether the window had closed when the log ended. Where all conversions of a goal name their opportunities, all
    /// count as such: the log was cut out of a longer one by its opportunities.
    fn is_closed(&self, goal: GoalCode, until: Timestamp) -> bool {
        until <= self.played.ended_at || self.played.named_goals.contains(&goal)
    }

    fn judged(&self, prediction: &Prediction) -> Option<Judged> {
        let positive = prediction.outcome.label()?;
        Some(Judged { p: prediction.p, positive, user: prediction.user })
    }

    fn all(&self) -> Vec<Judged> {
        self.played.predictions.iter().filter_map(|prediction| self.judged(prediction)).collect()
    }

    /// The evaluated predictions.
    fn evaluated(&self) -> impl Iterator<Item = (&'a Prediction, Judged)> {
        let evaluated = self.played.predictions.iter().filter(|prediction| self.is_evaluated(prediction));
        evaluated.filter_map(|prediction| Some((prediction, self.judged(prediction)?)))
    }

    fn is_evaluated(&self, prediction: &Prediction) -> bool {
        prediction.time >= self.from
            && matches!(prediction.outcome, Outcome::Shown { until, .. } if self.is_closed(prediction.goal, until))
    }

    /// Rate of positives among the opportunities whose window had closed when the evaluated part began; where there
    /// are none, of all.
    fn known_rate(&self) -> f64 {
        let rate = |is_counted: &dyn Fn(Timestamp) -> bool| {
            let (mut all, mut positives) = (0.0, 0.0);
            for prediction in &self.played.predictions {
                if let Outcome::Shown { until, converted_at, .. } = prediction.outcome
                    && is_counted(until)
                {
                    all += 1.0;
                    positives += f64::from(u8::from(converted_at.is_some()));
                }
            }
            (all > 0.0).then(|| positives / all)
        };
        rate(&|until| until < self.from).or_else(|| rate(&|_| true)).unwrap_or(0.0)
    }
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
    pub fn of(played: &Played, from: EvaluateFrom, resamples: Resamples) -> Evaluation {
        let selection = Selection::new(played, from);
        let evaluated: Vec<(&Prediction, Judged)> = selection.evaluated().collect();
        let judged = || evaluated.iter().map(|(_, judged)| *judged).collect::<Vec<_>>();
        let whole = Part::of(judged(), resamples);
        let few = Resamples { count: resamples.count.min(SLICE_RESAMPLES), ..resamples };
        let outcomes = || played.predictions.iter().map(|prediction| prediction.outcome);
        let is_open = |outcome: &Outcome| matches!(outcome, Outcome::Shown { until, .. } if *until > played.ended_at);
        let rate = whole.quality.positives / whole.quality.opportunities;
        Evaluation {
            from: selection.from,
            all: Part::of(selection.all(), resamples),
            open: outcomes().filter(is_open).count() as u64,
            not_shown: outcomes().filter(|outcome| *outcome == Outcome::NotShown).count() as u64,
            constant_log_loss: constant_loss(selection.known_rate(), rate),
            goals: goals(played, &evaluated, few),
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

fn goals(played: &Played, evaluated: &[(&Prediction, Judged)], resamples: Resamples) -> Vec<Slice> {
    let mut by_goal: BTreeMap<_, Vec<Judged>> = BTreeMap::new();
    for (prediction, judged) in evaluated {
        by_goal.entry(prediction.goal).or_default().push(*judged);
    }
    let catalog = played.engine.catalog();
    let text = |id: Option<&Id>| id.map_or_else(String::new, Id::to_string);
    by_goal
        .into_iter()
        .map(|(goal, judged)| Slice {
            name: text(catalog.goals().get(goal.index()).and_then(|goal| catalog.advertiser_name(goal.advertiser))),
            value: text(catalog.goal_name(goal)),
            part: Part::of(judged, resamples),
        })
        .collect()
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
/// log ended.
pub fn evaluated(played: &Played, from: EvaluateFrom) -> impl Iterator<Item = &Prediction> {
    let selection = Selection::new(played, from);
    played.predictions.iter().filter(move |prediction| selection.is_evaluated(prediction))
}

/// Compares two replays of one log, opportunity by opportunity, over what is evaluated in both.
pub fn compare(a: &Played, b: &Played, from: EvaluateFrom, resamples: Resamples) -> Vec<Difference> {
    let of = |played| {
        let selection = Selection::new(played, from);
        selection.evaluated().map(|(prediction, judged)| (prediction.line, judged)).collect::<BTreeMap<_, _>>()
    };
    let (of_a, of_b) = (of(a), of(b));
    let both = || of_a.keys().filter(|line| of_b.contains_key(line));
    // Users are numbered alike in both where both score the same lines; else by the first.
    let in_a: Vec<Judged> = both().map(|line| of_a[line]).collect();
    let in_b: Vec<Judged> = both().map(|line| Judged { user: of_a[line].user, ..of_b[line] }).collect();
    let sample = Sample::new(&[in_a, in_b]);
    let drawn = sample.draw(resamples);
    let [of_a, of_b] = [0, 1].map(|set| sample.rankings()[set].quality().figures());
    let difference = |figure: usize| Difference {
        figure: of_a[figure].0,
        a: of_a[figure].1,
        b: of_b[figure].1,
        interval: interval(
            drawn.iter().map(|sets| sets[1].figures()[figure].1 - sets[0].figures()[figure].1).collect(),
        ),
    };
    (0..of_a.len()).map(difference).collect()
}
