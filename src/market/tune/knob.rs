//! What can be tuned of the settings, in which steps and within which bounds.

use crate::math;
use crate::settings::{MULTIPLIER_BOUNDS, Settings};
use crate::units::Span;

/// Bounds of a tuned weight, exponent and half-life; a configuration may state others.
const WEIGHTS: (f64, f64) = (0.05, 10.0);
const EXPONENTS: (f64, f64) = (0.05, 4.0);
const HALF_LIVES_H: (f64, f64) = (6.0, 24.0 * 365.0);
/// First step of each kind, as a factor.
const WEIGHT_STEP: f64 = 1.3;
const EXPONENT_STEP: f64 = 1.3;
const BOUND_STEP: f64 = 1.6;
const HALF_LIFE_STEP: f64 = 2.0;
const HOUR_MS: f64 = 3_600_000.0;

/// One number of the settings. All are of the first advertiser and its first goal, which is the one that is bid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// Weight of a segment by rule, by its place.
    Rule(usize),
    /// Weight of an external segment, by its place.
    External(usize),
    /// How far the multiplier goes with the probability.
    Exponent,
    /// Smallest multiplier.
    Min,
    /// Largest multiplier.
    Max,
    /// Half-life of what the model has seen, in hours.
    LearnerHalfLife,
    /// Half-life of the goal's statistics, in hours.
    GoalHalfLife,
}

/// Knobs that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of segments.
    Weights,
    /// The exponent.
    Exponent,
    /// The smallest and the largest multiplier.
    Bounds,
    /// What fades how fast.
    HalfLives,
}

/// A step away from a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Move {
    /// The number of a knob, by its place in the space, times this.
    Times(usize, f64),
    /// All weights to this power.
    Strength(f64),
}

/// The settings and what of them is tuned. A point is one number for each knob.
#[derive(Debug, Clone)]
pub struct Space {
    settings: Settings,
    knobs: Vec<Knob>,
    /// Only the weights as a whole are searched; each for itself is found otherwise.
    is_strength_only: bool,
}

impl Knob {
    /// What it belongs to.
    pub fn group(self) -> Group {
        match self {
            Knob::Rule(_) | Knob::External(_) => Group::Weights,
            Knob::Exponent => Group::Exponent,
            Knob::Min | Knob::Max => Group::Bounds,
            Knob::LearnerHalfLife | Knob::GoalHalfLife => Group::HalfLives,
        }
    }

    fn step(self) -> f64 {
        match self.group() {
            Group::Weights => WEIGHT_STEP,
            Group::Exponent => EXPONENT_STEP,
            Group::Bounds => BOUND_STEP,
            Group::HalfLives => HALF_LIFE_STEP,
        }
    }

    /// The nearest number that may be written into a configuration: three digits, or whole hours.
    pub fn allowed(self, number: f64) -> f64 {
        let (least, most) = match self {
            Knob::Rule(_) | Knob::External(_) => WEIGHTS,
            Knob::Exponent => EXPONENTS,
            Knob::Min => (MULTIPLIER_BOUNDS.0, 1.0),
            Knob::Max => (1.0, MULTIPLIER_BOUNDS.1),
            Knob::LearnerHalfLife | Knob::GoalHalfLife => HALF_LIVES_H,
        };
        let number = number.clamp(least, most);
        match self.group() {
            Group::HalfLives => number.round(),
            _ => format!("{number:.2e}").parse().expect("a number was written"),
        }
    }

    fn get(self, settings: &Settings) -> f64 {
        let advertiser = &settings.advertisers[0];
        let goal = &advertiser.goals[0];
        match self {
            Knob::Rule(place) => advertiser.segments[place].weight,
            Knob::External(place) => advertiser.externals[place].weight,
            Knob::Exponent => goal.multiplier.exponent,
            Knob::Min => goal.multiplier.min,
            Knob::Max => goal.multiplier.max,
            Knob::LearnerHalfLife => settings.learner.half_life.0 as f64 / HOUR_MS,
            Knob::GoalHalfLife => goal.half_life.0 as f64 / HOUR_MS,
        }
    }

    fn set(self, settings: &mut Settings, number: f64) {
        let span = || Span((number * HOUR_MS).round() as u64);
        let advertiser = &mut settings.advertisers[0];
        match self {
            Knob::Rule(place) => advertiser.segments[place].weight = number,
            Knob::External(place) => advertiser.externals[place].weight = number,
            Knob::Exponent => advertiser.goals[0].multiplier.exponent = number,
            Knob::Min => advertiser.goals[0].multiplier.min = number,
            Knob::Max => advertiser.goals[0].multiplier.max = number,
            Knob::LearnerHalfLife => settings.learner.half_life = span(),
            Knob::GoalHalfLife => advertiser.goals[0].half_life = span(),
        }
    }

    /// A half-life that a number of hours stands for; `None` for knobs that are none.
    pub fn span(self, number: f64) -> Option<Span> {
        (self.group() == Group::HalfLives).then_some(Span((number * HOUR_MS).round() as u64))
    }
}

impl Space {
    /// The knobs of these groups, of settings whose first advertiser has a goal.
    pub fn new(settings: &Settings, groups: &[Group]) -> Space {
        let advertiser = &settings.advertisers[0];
        let rules = (0..advertiser.segments.len()).map(Knob::Rule);
        let externals = (0..advertiser.externals.len()).map(Knob::External);
        let others = [Knob::Exponent, Knob::Min, Knob::Max, Knob::LearnerHalfLife, Knob::GoalHalfLife];
        let knobs = rules.chain(externals).chain(others).filter(|knob| groups.contains(&knob.group())).collect();
        Space { settings: settings.clone(), knobs, is_strength_only: false }
    }

    /// The weights of these external segments alone, as a whole.
    pub fn weights(settings: &Settings, externals: Vec<usize>) -> Space {
        let knobs = externals.into_iter().map(Knob::External).collect();
        Space { settings: settings.clone(), knobs, is_strength_only: true }
    }

    /// What is tuned.
    pub fn knobs(&self) -> &[Knob] {
        &self.knobs
    }

    /// Where the settings stand.
    pub fn start(&self) -> Vec<f64> {
        self.knobs.iter().map(|knob| knob.get(&self.settings)).collect()
    }

    /// The settings at a point.
    pub fn settings(&self, point: &[f64]) -> Settings {
        let mut settings = self.settings.clone();
        self.knobs.iter().zip(point).for_each(|(knob, number)| knob.set(&mut settings, *number));
        settings
    }

    /// The steps that can be tried; each halving of the step takes the root of its factor.
    pub fn moves(&self, halvings: u32) -> Vec<Move> {
        let root = |factor: f64| (0..halvings).fold(factor, |factor, _| factor.sqrt());
        if self.is_strength_only {
            let power = root(WEIGHT_STEP);
            return vec![Move::Strength(power), Move::Strength(1.0 / power)];
        }
        let both = |(place, knob): (usize, &Knob)| {
            let step = root(knob.step());
            [Move::Times(place, step), Move::Times(place, 1.0 / step)]
        };
        self.knobs.iter().enumerate().flat_map(both).collect()
    }

    /// The point that a step leads to.
    pub fn moved(&self, point: &[f64], step: Move) -> Vec<f64> {
        let number = |place: usize, now: f64| match step {
            Move::Times(of, factor) if of == place => self.knobs[place].allowed(now * factor),
            Move::Strength(power) if self.knobs[place].group() == Group::Weights => {
                self.knobs[place].allowed(math::exp(power * math::ln(now)))
            }
            _ => now,
        };
        point.iter().enumerate().map(|(place, now)| number(place, *now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;
    use crate::settings::{Advertiser, ExternalSegment, Goal};

    fn settings() -> Settings {
        let mut advertiser = Advertiser::new(Id::literal("a"));
        advertiser.goals.push(Goal::new(Id::literal("g")));
        advertiser.externals.push(ExternalSegment { id: Id::literal("p/x"), weight: 1.2 });
        Settings { advertisers: vec![advertiser], ..Settings::default() }
    }

    #[test]
    fn a_point_is_the_settings_it_came_from() {
        let all = [Group::Weights, Group::Exponent, Group::Bounds, Group::HalfLives];
        let space = Space::new(&settings(), &all);
        assert_eq!(space.start(), [1.2, 1.0, 0.3, 3.0, 720.0, 336.0]);
        assert_eq!(space.settings(&space.start()), settings());
        assert_eq!(space.moves(0).len(), 12);
        let moved = space.settings(&space.moved(&space.start(), Move::Times(4, 0.5)));
        assert_eq!(moved.learner.half_life, Span::days(15));
        assert_eq!(Space::new(&settings(), &[Group::Bounds]).knobs(), [Knob::Min, Knob::Max]);
    }

    #[test]
    fn numbers_stay_such_as_may_be_written() {
        assert_eq!(Knob::Exponent.allowed(1.234_56), 1.23);
        assert_eq!(Knob::External(0).allowed(123.0), 10.0);
        assert_eq!((Knob::Min.allowed(1.4), Knob::Max.allowed(0.4)), (1.0, 1.0));
        assert_eq!(Knob::GoalHalfLife.allowed(237.6), 238.0);
        let space = Space::weights(&settings(), vec![0]);
        assert_eq!(space.moved(&[2.0], Move::Strength(0.5)), [1.41]);
        assert_eq!(space.moves(1).len(), 2);
    }
}
