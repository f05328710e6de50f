//! Who has just reached a goal: for goals that then give the person a rest.

use smallvec::SmallVec;

use super::Engine;
use super::conversions::ConversionId;
use super::profile::Profile;
use super::profiles::ProfileKey;
use crate::ids::{GoalCode, UserKey};
use crate::units::{Span, Tick};

/// Latest conversion of each goal that suppresses; in the order of first occurrence.
pub(super) type LatestByGoal = SmallVec<[(GoalCode, Tick); 1]>;

impl Profile {
    /// Notes a conversion of a goal that suppresses.
    pub(super) fn note_goal(&mut self, goal: GoalCode, tick: Tick) {
        match self.latest_by_goal.iter_mut().find(|(known, _)| *known == goal) {
            Some((_, latest)) => *latest = tick.max(*latest),
            None => self.latest_by_goal.push((goal, tick)),
        }
    }

    /// Puts the latest conversion of a goal right, after one was taken back.
    fn correct_goal(&mut self, goal: GoalCode, latest: Option<Tick>) {
        match latest {
            None => self.latest_by_goal.retain(|(known, _)| *known != goal),
            Some(tick) => {
                let noted = self.latest_by_goal.iter_mut().filter(|(known, _)| *known == goal);
                noted.for_each(|(_, latest)| *latest = tick);
            }
        }
    }

    /// Whether a goal was reached within a time before now, its end included. What lies ahead counts as just now.
    pub(super) fn has_just_reached(&self, goal: GoalCode, within: Span, now: Tick) -> bool {
        let latest = self.latest_by_goal.iter().find(|(known, _)| *known == goal);
        latest.is_some_and(|(_, latest)| u64::from(now.since(*latest)) <= within.whole_seconds())
    }
}

impl Engine {
    /// Notes the conversion in the history of who converted, if its goal suppresses.
    pub(super) fn note_just_converted(&mut self, id: ConversionId) {
        let Some(conversion) = self.conversions.get(id) else { return };
        let (goal, tick) = (conversion.goal, conversion.occurred_at.tick());
        let suppresses = |goal| self.catalog.goal_in_force(goal)?.setting.suppress_after_conversion;
        let Some(root) = conversion.user.filter(|_| suppresses(goal).is_some()) else { return };
        let key = ProfileKey::of(root, conversion.advertiser);
        self.profiles.update_existing(key, |profile| profile.note_goal(goal, tick));
    }

    /// Takes a conversion out of the history of who converted, before it is let go: the latest that is kept besides
    /// takes its place. One that is kept no longer does not come back.
    pub(super) fn correct_just_converted(&mut self, id: ConversionId) {
        let Some(conversion) = self.conversions.get(id) else { return };
        let (goal, advertiser, user) = (conversion.goal, conversion.advertiser, conversion.user);
        let Some(root) = user else { return };
        let latest = self.latest_conversion(root, goal, id);
        self.profiles.update_existing(ProfileKey::of(root, advertiser), |profile| profile.correct_goal(goal, latest));
    }

    /// When a person last reached a goal, as far as conversions are kept, but for one of them.
    fn latest_conversion(&self, root: UserKey, goal: GoalCode, but: ConversionId) -> Option<Tick> {
        let others = self.conversions.of_user(root, goal).into_iter().filter(|id| *id != but);
        others.filter_map(|id| Some(self.conversions.get(id)?.occurred_at.tick())).max()
    }
}
