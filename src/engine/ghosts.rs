//! Impressions that would have been shown to people who are held out.

use super::Engine;
use super::apply::Refused;
use super::outcomes::{Before, Learned, Notice};
use crate::exposure::{Arm, Exposure};
use crate::rejection::Rejection;
use crate::units::Timestamp;

impl Engine {
    /// Takes the notice of an impression that would have been shown: the person counts as reached, and the would-be
    /// impression joins conversions, as far as the goal's `view_window` goes, so that the arm's rate is known. It
    /// teaches nothing, costs nothing, gets no credit, and the person's history does not know of it.
    pub(super) fn would_show(&mut self, exposure: &Exposure, stated_at: Timestamp) -> Result<(), Refused> {
        if exposure.arm != Arm::Holdout {
            return Err(Rejection::invalid("ghost_impression", "this user was not held out").into());
        }
        let notice = Notice { features: None, is_ghost: true, ..self.notice_of_exposure(exposure)? };
        let shown_at = stated_at.max(exposure.scored_at);
        self.check_time(shown_at, self.retention().token)?;
        if !self.impressions.of_opportunity(notice.opportunity).is_empty() {
            return Err(Refused::Duplicate);
        }
        self.tally.ghost_impressions += 1;
        for (goal, answered) in notice.goals.clone() {
            let half_life = self.catalog.goal_in_force(goal).expect("notices name goals in force").half_life;
            let arm = self.goals[goal.index()].statistics.arm_mut(notice.arm);
            arm.outcome.impressions.add(1.0, shown_at.tick(), half_life);
            arm.predicted.add(answered.map_or(0.0, f64::from), shown_at.tick(), half_life);
            notice.user.iter().for_each(|root| self.reach(goal, *root, shown_at));
            let learned = Learned { is_answered: true, lesson: Default::default() };
            self.keep_impression(&notice, goal, learned, Before::default(), shown_at);
        }
        self.changed();
        Ok(())
    }
}
