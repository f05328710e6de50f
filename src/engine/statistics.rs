//! What audiences do and what it leads to: per advertiser and segment, and per goal and segment.

use std::collections::BTreeMap;

use super::action_set::ActionSet;
use super::segments::RuleSegments;
use crate::exposure::{Arm, GoalScore};
use crate::hash;
use crate::ids::{ActionCode, SegmentCode, UserKey};
use crate::settings::{RULE_SEGMENTS_MAX, SUPPORT_MAX};
use crate::signal::NEUTRAL;
use crate::stats::beta::{Rate, STRENGTH};
use crate::stats::decay::{Decayed, HalfLife};
use crate::stats::hyperloglog::Distinct;
use crate::stats::lift::Group;
use crate::units::{Span, Tick};

/// Half-life of what is counted per advertiser.
const ADVERTISER_HALF_LIFE: Span = Span::days(14);
/// Conversions that a goal's default value is worth in its mean value.
const VALUE_STRENGTH: f64 = 5.0;
/// A conversion's value counts up to so many times the goal's mean value.
const VALUE_CAP: f64 = 20.0;
/// With fewer decayed conversions, the goal's default value stands in for the mean.
const VALUE_CAP_SUPPORT: f64 = 20.0;

/// Mixed into the keys of people who are counted.
const PERSON: u64 = 0x7065_7273_6f6e;

/// Who did or was shown something, as distinct counts take it.
///
/// A hash of the root id, so two ids that are linked afterwards have been counted as two people, and stay so; who is
/// forgotten stays counted.
pub(super) fn person(root: UserKey) -> u64 {
    hash::mix(root.0, PERSON)
}

/// Sessions and actions of one audience.
#[derive(Debug, Clone, Default)]
pub(super) struct Audience {
    pub sessions: Decayed,
    /// By action code − 1.
    pub actions: Vec<Decayed>,
    /// Members who acted.
    pub users: Distinct,
}

/// What the users of one advertiser do.
#[derive(Debug, Clone, Default)]
pub(super) struct AdvertiserStatistics {
    pub everyone: Audience,
    /// By rule segment; grown as segments get members.
    pub segments: Vec<Audience>,
    /// Impressions and positives over all goals: the level between everything and a goal.
    pub outcome: Outcome,
    /// Who did each action, by action code − 1.
    pub users: Vec<Distinct>,
    /// Who did each milestone, by action code − 1.
    pub support: Vec<Support>,
}

/// Impressions and how many of them became positive.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub impressions: Decayed,
    pub positives: Decayed,
}

/// What impressions to one audience led to, by credit.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub impressions: Decayed,
    pub clicks: Decayed,
    pub conversions: Decayed,
    /// In micros.
    pub value: Decayed,
    /// In micros.
    pub cost: Decayed,
    /// Who was shown these impressions, where that is known.
    pub users: Distinct,
    /// Those of the impressions that were learned from and whose person is known.
    pub labels: Outcome,
}

/// Upper bounds of the classes of multipliers, exclusive; the last class has none.
pub const MULTIPLIER_CLASSES: [f64; 9] = [0.35, 0.5, 0.7, 0.9, 1.1, 1.4, 2.0, 2.8, 4.0];

/// The class of a multiplier: its place among [`MULTIPLIER_CLASSES`]. That of 1 where another goal led what was bid.
pub(super) fn multiplier_class(answered: &GoalScore) -> u8 {
    let multiplier = answered.bid().unwrap_or(NEUTRAL);
    MULTIPLIER_CLASSES.partition_point(|bound| *bound <= multiplier) as u8
}

/// Predicted against observed, of one arm or of one class of multipliers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watched {
    pub outcome: Outcome,
    /// Sum of the probabilities that were answered.
    pub predicted: Decayed,
}

/// What happens on the way to one goal.
#[derive(Debug, Clone, Default)]
pub(super) struct GoalStatistics {
    pub everyone: Cell,
    /// By rule segment; grown as segments get impressions.
    pub segments: Vec<Cell>,
    pub externals: BTreeMap<SegmentCode, Cell>,
    /// As [`Cell::labels`], of impressions to people who had done an action before, by action code − 1.
    pub done: Vec<Outcome>,
    /// Impressions that led to a step of the goal's ladder, and those of them that became positive, by action code − 1.
    pub steps: Vec<Outcome>,
    /// Conversions that no impression led to.
    pub organic: Decayed,
    pub outcome: Outcome,
    /// By the arm's number.
    pub arms: [Watched; 3],
    /// Of the treated arm, by the class of the multiplier: a bidder wins most where too much was predicted.
    pub by_multiplier: [Watched; MULTIPLIER_CLASSES.len() + 1],
    /// Who reached the goal.
    pub support: Support,
}

/// Distinct users, up to as many as any rule asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Support {
    /// Root ids, 0 for those that were forgotten since.
    users: Vec<u64>,
}

impl Support {
    /// Notes a user; true when that is a new one.
    pub fn note(&mut self, root: u64, enough: usize) -> bool {
        let is_new = self.users.len() < enough.min(SUPPORT_MAX as usize) && !self.users.contains(&root);
        if is_new {
            self.users.push(root);
        }
        is_new
    }

    /// Distinct users so far.
    pub fn users(&self) -> u32 {
        self.users.len() as u32
    }

    /// Drops a user's id; that there was one stays.
    pub fn forget(&mut self, root: u64) {
        self.users.iter_mut().filter(|user| **user == root).for_each(|user| *user = 0);
    }

    /// Replaces an id by the one it is linked to.
    pub fn rename(&mut self, from: u64, to: u64) {
        if self.users.contains(&to) {
            self.users.retain(|user| *user != from);
        } else {
            self.users.iter_mut().filter(|user| **user == from).for_each(|user| *user = to);
        }
    }

    pub fn ids(&self) -> &[u64] {
        &self.users
    }

    /// The support of these ids.
    pub fn from_ids(users: Vec<u64>) -> Support {
        Support { users }
    }
}

/// Memberships of one impression, one action or one conversion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memberships<'a> {
    pub rules: RuleSegments,
    pub externals: &'a [SegmentCode],
}

impl AdvertiserStatistics {
    /// Half-life of all counts here.
    pub fn half_life() -> HalfLife {
        HalfLife::new(ADVERTISER_HALF_LIFE)
    }

    /// Counts an action of a person, and the session it began, for everyone and for each segment the person was in.
    pub fn act(&mut self, action: ActionCode, begins_session: bool, rules: RuleSegments, tick: Tick, person: u64) {
        if self.users.len() < action.index() {
            self.users.resize_with(action.index(), Distinct::default);
        }
        self.users[action.index() - 1].insert(person);
        self.everyone.act(action, begins_session, tick, person);
        for segment in rules.codes() {
            if self.segments.len() <= segment.index() {
                self.segments.resize_with(segment.index() + 1, Audience::default);
            }
            self.segments[segment.index()].act(action, begins_session, tick, person);
        }
    }

    /// Who did a milestone.
    pub fn support_mut(&mut self, action: ActionCode) -> &mut Support {
        if self.support.len() < action.index() {
            self.support.resize_with(action.index(), Support::default);
        }
        &mut self.support[action.index() - 1]
    }

    /// How many distinct users did an action, up to the support that is asked for.
    pub fn support(&self, action: ActionCode) -> u32 {
        self.support.get(action.index().wrapping_sub(1)).map_or(0, Support::users)
    }
}

impl Audience {
    fn act(&mut self, action: ActionCode, begins_session: bool, tick: Tick, person: u64) {
        self.users.insert(person);
        let half_life = AdvertiserStatistics::half_life();
        if self.actions.len() < action.index() {
            self.actions.resize(action.index(), Decayed::default());
        }
        self.actions[action.index() - 1].add(1.0, tick, half_life);
        if begins_session {
            self.sessions.add(1.0, tick, half_life);
        }
    }
}

impl Outcome {
    /// The rate of positives under a parent's.
    pub fn rate(&self, parent: Rate, tick: Tick, half_life: HalfLife) -> Rate {
        parent.below(self.positives.at(tick, half_life), self.impressions.at(tick, half_life), STRENGTH)
    }

    /// Impressions and positives as seen at a tick.
    pub fn group(&self, tick: Tick, half_life: HalfLife) -> Group {
        Group { trials: self.impressions.at(tick, half_life), positives: self.positives.at(tick, half_life) }
    }
}

impl GoalStatistics {
    /// Changes the cell of everyone and of each segment of an impression.
    pub fn each(&mut self, of: Memberships<'_>, mut change: impl FnMut(&mut Cell)) {
        change(&mut self.everyone);
        for segment in of.rules.codes() {
            if self.segments.len() <= segment.index() {
                self.segments.resize_with(segment.index() + 1, Cell::default);
            }
            change(&mut self.segments[segment.index()]);
        }
        for segment in of.externals {
            change(self.externals.entry(*segment).or_default());
        }
    }

    /// Changes the labels of everyone, of each segment of an impression, and of each action its person had done.
    pub fn label(&mut self, of: Memberships<'_>, done: &ActionSet, change: impl Fn(&mut Outcome)) {
        self.each(of, |cell| change(&mut cell.labels));
        for action in done.codes() {
            if self.done.len() < action.index() {
                self.done.resize(action.index(), Outcome::default());
            }
            change(&mut self.done[action.index() - 1]);
        }
    }

    /// What came of impressions that led to a step.
    pub fn step(&self, action: ActionCode) -> Outcome {
        self.steps.get(action.index().wrapping_sub(1)).copied().unwrap_or_default()
    }

    /// What came of impressions that led to a step.
    pub fn step_mut(&mut self, action: ActionCode) -> &mut Outcome {
        if self.steps.len() < action.index() {
            self.steps.resize(action.index(), Outcome::default());
        }
        &mut self.steps[action.index() - 1]
    }

    /// The cell of a segment.
    pub fn cell(&self, segment: SegmentCode) -> Option<&Cell> {
        if segment.index() < RULE_SEGMENTS_MAX {
            self.segments.get(segment.index())
        } else {
            self.externals.get(&segment)
        }
    }

    /// Changes predicted and observed of an arm and, if it is the treated one, of a class of multipliers.
    pub fn watch(&mut self, arm: Arm, class: u8, change: impl Fn(&mut Watched)) {
        change(&mut self.arms[usize::from(arm.number())]);
        if arm == Arm::Treated {
            change(&mut self.by_multiplier[usize::from(class)]);
        }
    }

    /// Mean value of a conversion, in micros, under the goal's default value.
    pub fn mean_value(&self, default: i64, tick: Tick, half_life: HalfLife) -> f64 {
        let conversions = self.everyone.conversions.at(tick, half_life).max(0.0);
        let value = self.everyone.value.at(tick, half_life).max(0.0);
        (value + VALUE_STRENGTH * default as f64) / (conversions + VALUE_STRENGTH)
    }

    /// A value as it is counted: no single conversion counts for more than [`VALUE_CAP`] times the mean, or, before
    /// there are [`VALUE_CAP_SUPPORT`] conversions, the default. Without either, as it is.
    pub fn winsorise(&self, value: i64, default: i64, tick: Tick, half_life: HalfLife) -> i64 {
        let conversions = self.everyone.conversions.at(tick, half_life);
        let typical = if conversions < VALUE_CAP_SUPPORT {
            default as f64
        } else {
            self.everyone.value.at(tick, half_life) / conversions
        };
        if typical > 0.0 { value.min((typical * VALUE_CAP).max(1.0) as i64) } else { value }
    }

    /// Credited conversions for each positive impression: more than 1 where people convert again. Conversions fade from
    /// when they come, impressions from when they are shown: `left` is what that makes of an impression in the mean.
    pub fn credit_per_positive(&self, tick: Tick, half_life: HalfLife, left: f64) -> f64 {
        let conversions = self.everyone.conversions.at(tick, half_life).max(0.0) * left;
        let positives = self.outcome.positives.at(tick, half_life).max(0.0);
        (conversions + STRENGTH) / (positives + STRENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_counts_each_user_once_and_forgets_ids() {
        let mut support = Support::default();
        for user in [7, 8, 7, 9, 10] {
            support.note(user, 3);
        }
        assert_eq!(support.users(), 3);
        support.forget(8);
        support.rename(7, 9);
        assert_eq!(support.ids(), [0, 9]);
    }

    #[test]
    fn one_outlier_does_not_make_the_mean() {
        let half_life = HalfLife::new(Span::days(14));
        let mut goal = GoalStatistics::default();
        assert_eq!(goal.winsorise(1_000_000, 0, Tick(100), half_life), 1_000_000, "nothing is known yet");
        assert_eq!(goal.winsorise(1_000_000, 50, Tick(100), half_life), 1_000, "but what is to be expected");
        goal.everyone.conversions.add(50.0, Tick(100), half_life);
        goal.everyone.value.add(500.0, Tick(100), half_life);
        assert_eq!(goal.winsorise(1_000_000, 50, Tick(100), half_life), 200);
        assert_eq!(goal.winsorise(15, 50, Tick(100), half_life), 15);
    }
}
