//! Who is in quarantine, and what that keeps from being learned.

use super::outcomes::{Reached, Shown, belongs_to};
use super::reference::Reference;

/// Somebody as one advertiser knows them: the advertiser's place, then the person.
pub type Known = (usize, u64);

impl Reference {
    /// Whether an act is one of somebody in quarantine. Those of an earlier minute than the latest are not counted.
    pub fn is_quarantined_act(&mut self, of: usize, person: u64, tick: u64) -> bool {
        let most = u64::from(self.settings.guards.actions_per_minute_max);
        let history = self.history(of, person);
        let life = history.life();
        let is_counted = life.last_acted > 0 && tick / 60 == life.last_acted / 60;
        if most > 0 && is_counted && life.more_in_minute() + 2 > most {
            self.hold(of, person, tick);
            return true;
        }
        self.is_held(of, person, tick)
    }

    pub fn quarantined_until(&self, of: usize, person: u64, tick: u64) -> Option<u64> {
        self.quarantine.get(&(of, person)).copied().filter(|until| tick <= *until)
    }

    /// Whether somebody is in quarantine at an act, and so longer.
    pub fn is_held(&mut self, of: usize, person: u64, tick: u64) -> bool {
        let is_held = self.quarantined_until(of, person, tick).is_some();
        if is_held {
            self.hold(of, person, tick);
        }
        is_held
    }

    pub fn hold(&mut self, of: usize, person: u64, tick: u64) {
        if self.quarantined_until(of, person, tick).is_none() {
            self.count("quarantined");
        }
        let until = tick + self.settings.guards.quarantine.whole_seconds();
        let known = self.quarantine.entry((of, person)).or_default();
        *known = until.max(*known);
    }

    /// The person of a conversion that came too soon after an impression; 0 where nobody knows who it is.
    pub fn came_too_soon(&self, reached: &Reached) -> Option<u64> {
        let goal = self.goal(reached.advertiser, &reached.goal).unwrap();
        let least = goal.conversion_delay_min.0;
        let is_too_soon = |shown: &&Shown| {
            let is_after = shown.shown_at < reached.at && reached.at < shown.shown_at + least;
            is_after && belongs_to(reached, shown)
        };
        let shown = self.kept().map(|one| &self.impressions[one]).find(is_too_soon)?;
        Some(reached.user.or(shown.user).unwrap_or_default())
    }

    pub fn tick_guards(&mut self) {
        let now = self.now / 1_000;
        if now / 60 != self.looked / 60 {
            self.looked = now;
            self.quarantine.retain(|_, until| *until >= now);
        }
    }

    /// The two are one from now on.
    pub fn link_guards(&mut self, other: u64, root: u64) {
        for of in 0..self.settings.advertisers.len() {
            if let Some(theirs) = self.quarantine.remove(&(of, other)) {
                let ours = self.quarantine.entry((of, root)).or_default();
                *ours = theirs.max(*ours);
            }
        }
    }

    pub fn forget_guards(&mut self, person: u64) {
        self.quarantine.retain(|(_, known), _| *known != person);
    }
}
