//! Impressions that would have been shown to people who are held out.

use super::Engine;
use super::apply::Refused;
use super::outcomes::{Before, Learned, Notice};
use super::profiles::ProfileKey;
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
        if self.impressions.is_shown(notice.opportunity) {
            return Err(Refused::Duplicate);
        }
        let key = notice.user.map(|user| ProfileKey::of(user, notice.advertiser));
        if key.is_some_and(|key| self.guards.quarantine().holds(key, shown_at.tick()).is_some()) {
            self.tally.impressions_quarantined += 1;
            return Ok(());
        }
        self.tally.ghost_impressions += 1;
        for &(goal, answered) in &notice.goals {
            let half_life = self.catalog.goal_in_force(goal).expect("notices name goals in force").half_life;
            let predicted = answered.map_or(0.0, |answered| f64::from(answered.p));
            self.goals[goal.index()].statistics.watch(notice.arm, 0, |watched| {
                watched.outcome.impressions.add(1.0, shown_at.tick(), half_life);
                watched.predicted.add(predicted, shown_at.tick(), half_life);
            });
            notice.user.iter().for_each(|root| self.reach(goal, *root, shown_at));
            let learned = Learned { answered: None, lesson: Default::default() };
            self.keep_impression(&notice, goal, learned, &Before::default(), shown_at);
        }
        self.changed();
        Ok(())
    }
}
