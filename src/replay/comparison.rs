//! Two sets of predictions for one log, opportunity by opportunity: of two replays, or of a replay and another model.

use std::collections::BTreeMap;

use super::bootstrap::{Resamples, Sample, interval};
use super::evaluation::{USERS_MIN, evaluated_of};
use super::player::Played;
use super::predictions::Prediction;
use super::rival::Rival;
use super::selection::{Scope, Selection};
use crate::ids::Id;
use crate::stats::quality::{Judged, Quality};

/// One figure of two sets of predictions for the same log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Which figure.
    pub figure: &'static str,
    /// The first's.
    pub a: f64,
    /// The second's.
    pub b: f64,
    /// 95 % interval of b − a, by a bootstrap of the users, paired; none with fewer than 10 users.
    pub interval: Option<(f64, f64)>,
}

/// What two sets of predictions say of the opportunities that both evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Opportunities that both evaluate.
    pub opportunities: u64,
    /// Of these, positive.
    pub positives: u64,
    /// Users they belong to.
    pub users: u32,
    /// Opportunities that only one evaluates: the first, the second.
    pub alone: [u64; 2],
    /// The first of those whose labels differ, by its line in the log, and how many there are. The figures are then
    /// not of the same question.
    pub different: Option<(u64, u64)>,
    /// Figure by figure.
    pub differences: Vec<Difference>,
}

/// Compares two replays of one log over what is evaluated in both.
pub fn compare(a: &Played, b: &Played, scope: impl Into<Scope>, resamples: Resamples) -> Comparison {
    let scope = scope.into();
    let of = |played| {
        let selection = Selection::new(played, scope);
        evaluated_of(&selection).map(|(prediction, judged)| (prediction.line, judged)).collect()
    };
    paired(of(a), of(b), resamples)
}

/// Compares a replay with another model, over what the replay evaluates and the other predicted.
pub fn compare_with_rival(played: &Played, rival: &Rival, scope: impl Into<Scope>, resamples: Resamples) -> Comparison {
    let selection = Selection::new(played, scope.into());
    let catalog = played.engine.catalog();
    let of_rival = |prediction: &Prediction| {
        let goal = catalog.goals().get(prediction.goal.index())?;
        let names = [catalog.advertiser_name(goal.advertiser)?, catalog.goal_name(prediction.goal)?];
        rival.p(prediction.opportunity, names.map(Id::as_str))
    };
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    for (prediction, judged) in evaluated_of(&selection) {
        ours.insert(prediction.line, judged);
        theirs.extend(of_rival(prediction).map(|p| (prediction.line, Judged { p, ..judged })));
    }
    paired(ours, theirs, resamples)
}

/// Compares what two judge, by line of the log, over the lines that both do.
fn paired(of_a: BTreeMap<u64, Judged>, of_b: BTreeMap<u64, Judged>, resamples: Resamples) -> Comparison {
    let both: Vec<u64> = of_a.keys().filter(|line| of_b.contains_key(line)).copied().collect();
    let differs = both.iter().filter(|line| of_a[line].positive != of_b[line].positive);
    // Users are numbered alike in both where both score the same lines; else by the first.
    let in_a: Vec<Judged> = both.iter().map(|line| of_a[line]).collect();
    let in_b: Vec<Judged> = both.iter().map(|line| Judged { user: of_a[line].user, ..of_b[line] }).collect();
    let sample = Sample::new(&[in_a, in_b]);
    let pair = both.len();
    Comparison {
        opportunities: pair as u64,
        positives: sample.rankings()[0].quality().positives as u64,
        users: sample.users(),
        alone: [of_a.len(), of_b.len()].map(|all| (all - pair) as u64),
        different: differs.clone().next().map(|line| (*line, differs.count() as u64)),
        differences: differences(&sample, resamples),
    }
}

fn differences(sample: &Sample, resamples: Resamples) -> Vec<Difference> {
    let drawn = if sample.users() < USERS_MIN { Vec::new() } else { sample.draw(resamples) };
    let [of_a, of_b] = [0, 1].map(|set| sample.rankings()[set].quality().figures());
    let figure = |sets: &[Quality], set: usize, place: usize| sets[set].figures()[place].1;
    let difference = |place: usize| Difference {
        figure: of_a[place].0,
        a: of_a[place].1,
        b: of_b[place].1,
        interval: interval(drawn.iter().map(|sets| figure(sets, 1, place) - figure(sets, 0, place)).collect()),
    };
    (0..of_a.len()).map(difference).collect()
}
