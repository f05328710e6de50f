//! Steps on the way to a goal that impressions lead to, and what the goal's ladder learns from them.

use std::sync::Arc;

use super::Engine;
use super::catalog::{Catalog, GoalInForce};
use super::impressions::ImpressionId;
use super::profile::Act;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, UserKey};
use crate::learn::ftrl::probability;
use crate::learn::ladder::{Step, worths};
use crate::learn::{HEADS, LADDER, lanes};
use crate::settings::MILESTONES_MAX;
use crate::units::{Span, Timestamp};

/// A step counts for an impression shown at most this long ago: what comes of an ad before a purchase comes soon.
pub(super) const CLIMB_WINDOW: Span = Span::hours(24);

/// Those of a goal's milestones whose bits are set.
pub(super) fn steps_of(steps: u32, milestones: &[ActionCode]) -> impl Iterator<Item = ActionCode> + '_ {
    milestones
        .iter()
        .copied()
        .take(MILESTONES_MAX)
        .enumerate()
        .filter(move |(place, _)| steps >> place & 1 == 1)
        .map(|(_, step)| step)
}

/// The same steps as bits of other milestones: those that are none of them any more are let go.
fn moved(steps: u32, before: &[ActionCode], milestones: &[ActionCode]) -> u32 {
    let place = |step| milestones.iter().take(MILESTONES_MAX).position(|milestone| *milestone == step);
    steps_of(steps, before).filter_map(place).fold(0, |steps, place| steps | 1 << place)
}

/// A goal's milestones; none while it is not in force.
fn milestones(catalog: &Catalog, goal: GoalCode) -> &[ActionCode] {
    catalog.goal_in_force(goal).map_or(&[], |in_force| &in_force.milestones)
}

impl Engine {
    /// Takes note of an act that may be a step of some goal's ladder: for the person's impressions that wait for it.
    ///
    /// Items and categories have to agree as for conversions. A step after the goal itself tells nothing more.
    pub(super) fn step(&mut self, advertiser: AdvertiserCode, root: UserKey, act: &Act, occurred_at: Timestamp) {
        let catalog = Arc::clone(&self.catalog);
        for goal in catalog.in_force(advertiser).iter().flat_map(|in_force| in_force.goals.iter().copied()) {
            let Some(in_force) = catalog.goal_in_force(goal) else { continue };
            let mut steps = in_force.milestones.iter().take(MILESTONES_MAX);
            let Some(place) = steps.position(|step| *step == act.action) else { continue };
            let half_life = in_force.half_life;
            for id in self.impressions.of_user(root, goal) {
                let Some(impression) = self.impressions.get_mut(id) else { continue };
                let is_awaited = !impression.is_climbed
                    && impression.standing == 0
                    && impression.shown_at < occurred_at
                    && occurred_at <= impression.shown_at + CLIMB_WINDOW
                    && occurred_at <= impression.deadline
                    && impression.steps >> place & 1 == 0
                    && impression.agrees(act.item, act.category);
                if !is_awaited {
                    continue;
                }
                let (is_first, share) = (impression.steps == 0, impression.lesson.share);
                impression.steps |= 1 << place;
                let (shown, state) = (impression.shown_at.tick(), &mut self.goals[goal.index()]);
                state.statistics.step_mut(act.action).impressions.add(1.0, shown, half_life);
                if is_first {
                    state.ladder.climb(share.into());
                    self.changed();
                }
            }
        }
    }

    /// Lets steps stand for the same acts as before the settings changed: a bit is a place among the milestones in
    /// force, and these may have come, gone or changed places.
    pub(super) fn move_steps(&mut self, before: &Catalog) {
        let catalog = Arc::clone(&self.catalog);
        let has_moved = |goal: GoalCode| milestones(before, goal) != milestones(&catalog, goal);
        if !(0..before.goals().len()).any(|number| has_moved(GoalCode(number as u16))) {
            return;
        }
        let climbing = self.impressions.kept.iter().filter(|(_, one)| one.steps != 0 && has_moved(one.goal));
        for id in climbing.map(|(id, _)| id).collect::<Vec<_>>() {
            let Some(impression) = self.impressions.get_mut(id) else { continue };
            let goal = impression.goal;
            impression.steps = moved(impression.steps, milestones(before, goal), milestones(&catalog, goal));
        }
    }

    /// Lets the ladder's lane learn what an impression has led to so far, once.
    pub(super) fn climb(&mut self, id: ImpressionId) {
        let now = self.now.tick();
        let Some(impression) = self.impressions.get_mut(id).filter(|impression| !impression.is_climbed) else { return };
        impression.is_climbed = true;
        let (Some(features), goal) = (impression.features.clone(), impression.goal) else { return };
        let (is_positive, steps, share) = (impression.standing > 0, impression.steps, impression.lesson.share);
        let Some(in_force) = self.catalog.goal_in_force(goal) else { return };
        let label = match steps {
            _ if is_positive => 1.0,
            0 => 0.0,
            steps => self.worth_of(goal, in_force, steps),
        };
        let state = &mut self.goals[goal.index()];
        let logit = state.learner.logits(&features)[LADDER];
        let gradient = probability(state.intercept.unwrap_or_default(), logit) - label;
        state.learner.learn(&features, lanes([0.0; HEADS], gradient * f64::from(share)), now);
        self.changed();
    }

    /// What the best of some steps is worth as a label of a goal.
    fn worth_of(&self, goal: GoalCode, in_force: &GoalInForce, steps: u32) -> f64 {
        let now = self.now.tick();
        let statistics = &self.goals[goal.index()].statistics;
        let rate = statistics.outcome.rate(self.parent_rate(goal, now), now, in_force.half_life).mean;
        let step = |action: &ActionCode| {
            let group = statistics.step(*action).group(now, in_force.half_life);
            Step { reached: group.trials, positive: group.positives }
        };
        let known: Vec<Step> = in_force.milestones.iter().map(step).collect();
        let worth = worths(rate, &known).enumerate().filter(|(place, _)| steps >> place & 1 == 1);
        worth.map(|(_, worth)| worth).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_for_the_same_acts_under_other_milestones() {
        let codes = |codes: &[u8]| codes.iter().map(|code| ActionCode(*code)).collect::<Vec<_>>();
        let (before, after) = (codes(&[3, 5, 7]), codes(&[9, 7, 3]));
        assert_eq!(moved(0b101, &before, &after), 0b110, "3 and 7 have changed places");
        assert_eq!(moved(0b010, &before, &after), 0, "5 is no milestone any more");
        assert_eq!(moved(0b111, &before, &[]), 0);
        let many = codes(&(1..=40).collect::<Vec<_>>());
        assert_eq!(moved(1, &before, &many[1..]), 0b10);
        assert_eq!(moved(1, &codes(&[35]), &many), 0, "places beyond the last bit count for nothing");
    }
}
