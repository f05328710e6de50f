//! What one person did with one item or one category.

use super::profile::SESSION_GAP_S;
use crate::ids::{ActionCode, ItemKey};
use crate::units::Tick;

/// Kinds of action that are counted for one interest; further kinds are not.
pub(super) const KINDS_MAX: usize = 6;

/// What one person did with one item or one category. [`Tick`] 0 stands for "never".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interest {
    /// Which one; an item and a category of the same name have different keys.
    pub key: ItemKey,
    /// Latest act.
    pub last: Tick,
    /// Latest impression.
    pub last_shown: Tick,
    /// What was done last.
    pub latest: ActionCode,
    /// Acts without a pause of half an hour, up to 255.
    pub streak: u8,
    /// Impressions since the first act, up to 255.
    pub shown: u8,
    /// Code and count of each kind of action, in the order of first occurrence; code 0 for a free place.
    pub(super) counts: [(u8, u8); KINDS_MAX],
}

impl Interest {
    /// An interest that nothing was done with yet.
    pub(super) fn new(key: ItemKey) -> Interest {
        let never = Tick(0);
        Interest {
            key,
            last: never,
            last_shown: never,
            latest: ActionCode(0),
            streak: 0,
            shown: 0,
            counts: [(0, 0); KINDS_MAX],
        }
    }

    /// How often each kind of action was done, in the order of first occurrence; up to 255 each.
    pub fn counts(&self) -> impl Iterator<Item = (ActionCode, u8)> {
        self.counts.into_iter().take_while(|(code, _)| *code != 0).map(|(code, count)| (ActionCode(code), count))
    }

    /// Takes an act. One that comes late counts, and changes nothing else.
    pub(super) fn act(&mut self, action: ActionCode, tick: Tick) {
        self.count(action, 1);
        if tick < self.last {
            return;
        }
        if tick.since(self.last) > SESSION_GAP_S {
            self.streak = 0;
        }
        self.streak = self.streak.saturating_add(1);
        (self.latest, self.last) = (action, tick);
    }

    /// Notes an impression.
    pub(super) fn show(&mut self, tick: Tick) {
        self.shown = self.shown.saturating_add(1);
        self.last_shown = self.last_shown.max(tick);
    }

    /// Takes over what another id of the same person did.
    pub(super) fn merge(&mut self, theirs: &Interest) {
        if theirs.last > self.last {
            (self.latest, self.streak, self.last) = (theirs.latest, theirs.streak, theirs.last);
        }
        self.shown = self.shown.saturating_add(theirs.shown);
        self.last_shown = self.last_shown.max(theirs.last_shown);
        theirs.counts().for_each(|(action, count)| self.count(action, count));
    }

    fn count(&mut self, action: ActionCode, times: u8) {
        if let Some((code, count)) = self.counts.iter_mut().find(|(code, _)| *code == action.0 || *code == 0) {
            *code = action.0;
            *count = count.saturating_add(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interest_is_small() {
        assert_eq!(size_of::<Interest>(), 28);
    }

    #[test]
    fn acts_count_by_kind_and_streaks_end_with_a_pause() {
        let mut interest = Interest::new(ItemKey(1));
        for (action, tick) in [(5, 10_000), (5, 10_060), (7, 20_000), (5, 20_010), (9, 15_000)] {
            interest.act(ActionCode(action), Tick(tick));
        }
        let counts: Vec<(u8, u8)> = interest.counts().map(|(action, count)| (action.0, count)).collect();
        assert_eq!(counts, [(5, 3), (7, 1), (9, 1)]);
        assert_eq!((interest.latest, interest.streak, interest.last), (ActionCode(5), 2, Tick(20_010)));
        (1..=9).for_each(|action| interest.act(ActionCode(action), Tick(20_020)));
        assert_eq!(interest.counts().count(), KINDS_MAX, "further kinds are not counted");
    }

    #[test]
    fn merging_adds_and_keeps_the_latest() {
        let mut ours = Interest::new(ItemKey(1));
        ours.act(ActionCode(5), Tick(10));
        ours.show(Tick(20));
        let mut theirs = Interest::new(ItemKey(1));
        theirs.act(ActionCode(7), Tick(30));
        theirs.act(ActionCode(5), Tick(31));
        ours.merge(&theirs);
        assert_eq!(ours.counts().collect::<Vec<_>>(), [(ActionCode(5), 2), (ActionCode(7), 1)]);
        assert_eq!((ours.latest, ours.streak, ours.shown, ours.last), (ActionCode(5), 2, 1, Tick(31)));
    }
}
