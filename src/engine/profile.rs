//! What one person did with one advertiser.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::action_set::ActionSet;
use super::catalog::ActionInForce;
use super::interest::Interest;
use super::just_converted::LatestByGoal;
use crate::ids::{ActionCode, ItemKey};
use crate::stats::decay::HalfLife;
use crate::units::Tick;

/// A pause of so many seconds ends a session: GA4's half an hour.
pub const SESSION_GAP_S: u32 = 1_800;
/// Latest actions that are remembered in their order.
pub const PATH_LENGTH: usize = 8;
/// Latest occurrences of one action that rules can count.
const OCCURRENCES_MAX: usize = crate::settings::WINDOWED_COUNT_MAX as usize;

/// What one person did with one advertiser. Times are whole seconds; [`Tick`] 0 stands for "never".
///
/// Made to be worked on; how it is kept says `packed.rs`. Lists have room for what most people do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Earliest action.
    pub first_acted: Tick,
    /// Latest action.
    pub last_acted: Tick,
    /// Latest impression.
    pub last_shown: Tick,
    /// Latest own conversion.
    pub last_converted: Tick,
    /// Sessions begun.
    pub sessions: u16,
    /// Actions in the latest session.
    pub session_actions: u16,
    /// Actions in the minute of the latest one, beyond the first.
    pub more_in_minute: u16,
    /// Impressions shown.
    pub shown: u16,
    /// Conversions that stand.
    pub conversions: u16,
    /// Codes of the latest actions, the last one first; 0 for none.
    pub path: [u8; PATH_LENGTH],
    /// Each action ever done, in the order of first occurrence.
    pub actions: SmallVec<[ActionHistory; 8]>,
    /// Items and categories touched; at most `interests_max`.
    pub interests: SmallVec<[Interest; 4]>,
    /// Occurrences of the actions that rules count; none where no rule does.
    pub(super) occurrences: SmallVec<[Occurrences; 4]>,
    /// Latest conversion of each goal that suppresses after one.
    pub(super) latest_by_goal: LatestByGoal,
}

/// How often and when an action was done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionHistory {
    /// Latest time.
    pub last: Tick,
    /// Decayed count as of `last`.
    pub count: f32,
    /// Which action.
    pub action: ActionCode,
}

/// Latest occurrences of one action, the last one first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Occurrences {
    pub action: ActionCode,
    pub ticks: SmallVec<[Tick; OCCURRENCES_MAX]>,
}

/// One act as a profile takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    pub action: ActionCode,
    pub in_force: ActionInForce,
    pub tick: Tick,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
}

/// Given the latest action and how many more there were in its minute, how many those are after one more at a tick;
/// `None` for one of an earlier minute, which does not count.
pub(super) fn more_in_minute((last_acted, more): (Tick, u16), tick: Tick) -> Option<u16> {
    match (tick.0 / 60).cmp(&(last_acted.0 / 60)) {
        _ if last_acted == Tick(0) => Some(0),
        Ordering::Less => None,
        Ordering::Equal => Some(more.saturating_add(1)),
        Ordering::Greater => Some(0),
    }
}

/// The key under which a category stands among the interests.
pub fn category_interest(category: ItemKey) -> ItemKey {
    ItemKey(category.0 ^ 0x9e37_79b9)
}

impl Profile {
    /// Makes it that of somebody who did nothing yet; lists keep their room.
    pub(super) fn clear(&mut self) {
        // Without `..`: what is forgotten here would be told of somebody else.
        let Profile {
            first_acted,
            last_acted,
            last_shown,
            last_converted,
            sessions,
            session_actions,
            more_in_minute,
            shown,
            conversions,
            path,
            actions,
            interests,
            occurrences,
            latest_by_goal,
        } = self;
        [first_acted, last_acted, last_shown, last_converted].into_iter().for_each(|tick| *tick = Tick(0));
        [sessions, session_actions, more_in_minute, shown, conversions].into_iter().for_each(|count| *count = 0);
        *path = [0; PATH_LENGTH];
        actions.clear();
        interests.clear();
        occurrences.clear();
        latest_by_goal.clear();
    }

    /// Latest time anything happened.
    pub fn last_seen(&self) -> Tick {
        self.last_acted.max(self.last_shown).max(self.last_converted)
    }

    /// What is known of an action.
    pub fn action(&self, action: ActionCode) -> Option<&ActionHistory> {
        self.actions.iter().find(|history| history.action == action)
    }

    /// Actions whose latest time lies before a tick. One done both before and since is not among them: only its latest
    /// time is known.
    pub(super) fn done_before(&self, tick: Tick) -> ActionSet {
        let mut done = ActionSet::default();
        self.actions.iter().filter(|history| history.last < tick).for_each(|history| done.insert(history.action));
        done
    }

    /// What is known of an item or category key.
    pub fn interest(&self, key: ItemKey) -> Option<&Interest> {
        self.interests.iter().find(|interest| interest.key == key)
    }

    /// The n-th latest occurrence of an action, n from 1; beyond the first only of actions that rules count.
    pub fn occurrence(&self, action: ActionCode, n: u8) -> Option<Tick> {
        if n <= 1 {
            return self.action(action).map(|history| history.last);
        }
        let kept = self.occurrences.iter().find(|kept| kept.action == action)?;
        kept.ticks.get(usize::from(n) - 1).copied()
    }

    /// Takes an act. True when it began a session.
    ///
    /// A late act changes counts and interests, but neither path nor sessions: their order is that of arrival.
    pub(super) fn act(&mut self, act: Act, interests_max: usize) -> bool {
        let is_first = self.actions.is_empty();
        let is_late = !is_first && act.tick < self.last_acted;
        let begins_session = is_first || (!is_late && act.tick.since(self.last_acted) > SESSION_GAP_S);
        if begins_session {
            self.sessions = self.sessions.saturating_add(1);
            self.session_actions = 0;
        }
        if !is_late {
            self.session_actions = self.session_actions.saturating_add(1);
            self.path.rotate_right(1);
            self.path[0] = act.action.0;
        }
        let pace = (self.last_acted, self.more_in_minute);
        self.more_in_minute = more_in_minute(pace, act.tick).unwrap_or(self.more_in_minute);
        self.first_acted = if is_first { act.tick } else { self.first_acted.min(act.tick) };
        self.last_acted = self.last_acted.max(act.tick);
        self.count(act);
        if act.in_force.occurrences > 1 {
            self.note_occurrence(act.action, act.tick, usize::from(act.in_force.occurrences));
        }
        for key in [act.item, act.category.map(category_interest)].into_iter().flatten() {
            self.touch(key, act, interests_max);
        }
        begins_session
    }

    fn count(&mut self, act: Act) {
        match self.actions.iter_mut().find(|history| history.action == act.action) {
            Some(history) => history.add(act.tick, 1.0, act.in_force.half_life),
            None => self.actions.push(ActionHistory { last: act.tick, count: 1.0, action: act.action }),
        }
    }

    fn note_occurrence(&mut self, action: ActionCode, tick: Tick, keep: usize) {
        let all = &mut self.occurrences;
        let place = all.iter().position(|kept| kept.action == action).unwrap_or_else(|| {
            all.push(Occurrences { action, ticks: SmallVec::new() });
            all.len() - 1
        });
        let ticks = &mut all[place].ticks;
        let at = ticks.partition_point(|kept| *kept >= tick);
        ticks.insert(at, tick);
        ticks.truncate(keep.min(OCCURRENCES_MAX));
    }

    fn touch(&mut self, key: ItemKey, act: Act, interests_max: usize) {
        if let Some(interest) = self.interests.iter_mut().find(|interest| interest.key == key) {
            interest.act(act.action, act.tick);
            return;
        }
        let mut interest = Interest::new(key);
        interest.act(act.action, act.tick);
        if self.interests.len() < interests_max {
            self.interests.push(interest);
        } else if let Some(oldest) = self.interests.iter_mut().min_by_key(|interest| (interest.last, interest.key))
            && oldest.last <= interest.last
        {
            *oldest = interest;
        }
    }

    /// Notes an impression of an item and a category: those are counted that the person has touched before.
    pub(super) fn show(&mut self, tick: Tick, item: Option<ItemKey>, category: Option<ItemKey>) {
        self.shown = self.shown.saturating_add(1);
        self.last_shown = self.last_shown.max(tick);
        for key in [item, category.map(category_interest)].into_iter().flatten() {
            if let Some(interest) = self.interests.iter_mut().find(|interest| interest.key == key) {
                interest.show(tick);
            }
        }
    }

    /// Notes a conversion.
    pub(super) fn convert(&mut self, tick: Tick) {
        self.conversions = self.conversions.saturating_add(1);
        self.last_converted = self.last_converted.max(tick);
    }

    /// Takes a conversion back. When it happened stays known only as "at the latest".
    pub(super) fn retract(&mut self) {
        self.conversions = self.conversions.saturating_sub(1);
        if self.conversions == 0 {
            self.last_converted = Tick(0);
        }
    }

    /// Takes over what another id of the same person did.
    pub(super) fn merge(
        &mut self,
        other: Profile,
        half_life: impl Fn(ActionCode) -> HalfLife,
        occurrences: impl Fn(ActionCode) -> u8,
        interests_max: usize,
    ) {
        if other.last_acted > self.last_acted {
            self.path = other.path;
            self.session_actions = other.session_actions;
        }
        // Their pace begins anew.
        self.more_in_minute = 0;
        let never = Tick(0);
        if self.first_acted == never || (other.first_acted != never && other.first_acted < self.first_acted) {
            self.first_acted = other.first_acted;
        }
        self.last_acted = self.last_acted.max(other.last_acted);
        self.last_shown = self.last_shown.max(other.last_shown);
        self.last_converted = self.last_converted.max(other.last_converted);
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.shown = self.shown.saturating_add(other.shown);
        self.conversions = self.conversions.saturating_add(other.conversions);
        for theirs in other.actions {
            match self.actions.iter_mut().find(|ours| ours.action == theirs.action) {
                Some(ours) => ours.add(theirs.last, theirs.count, half_life(theirs.action)),
                None => self.actions.push(theirs),
            }
        }
        for theirs in other.occurrences {
            let keep = usize::from(occurrences(theirs.action));
            theirs.ticks.iter().for_each(|tick| self.note_occurrence(theirs.action, *tick, keep));
        }
        other.latest_by_goal.iter().for_each(|(goal, tick)| self.note_goal(*goal, *tick));
        self.merge_interests(other.interests, interests_max);
    }

    fn merge_interests(&mut self, others: SmallVec<[Interest; 4]>, interests_max: usize) {
        for theirs in others {
            match self.interests.iter_mut().find(|ours| ours.key == theirs.key) {
                Some(ours) => ours.merge(&theirs),
                None => self.interests.push(theirs),
            }
        }
        self.interests.sort_unstable_by_key(|interest| (std::cmp::Reverse(interest.last), interest.key));
        self.interests.truncate(interests_max);
    }
}

impl ActionHistory {
    /// Decayed count as seen at a tick.
    pub(super) fn count_at(&self, tick: Tick, half_life: HalfLife) -> f32 {
        self.count * half_life.factor(self.last, tick) as f32
    }

    /// Adds a count as of a tick; an earlier tick's has faded already.
    fn add(&mut self, tick: Tick, count: f32, half_life: HalfLife) {
        if tick >= self.last {
            self.count = self.count_at(tick, half_life) + count;
            self.last = tick;
        } else {
            self.count += count * half_life.factor(tick, self.last) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    const DAY: u32 = 86_400;
    const VIEW: ActionCode = ActionCode(5);
    const CART: ActionCode = ActionCode(7);

    fn act(action: ActionCode, tick: u32, item: Option<u32>) -> Act {
        let in_force = ActionInForce {
            half_life: HalfLife::new(Span::days(7)),
            position: Some(action.0),
            occurrences: 3,
            converts: false,
        };
        Act { action, in_force, tick: Tick(tick), item: item.map(ItemKey), category: None }
    }

    fn profile(acts: &[Act]) -> Profile {
        let mut profile = Profile::default();
        acts.iter().for_each(|one| {
            profile.act(*one, 2);
        });
        profile
    }

    #[test]
    fn actions_of_the_latest_minute_are_counted() {
        let mut profile = Profile::default();
        for (at, more) in [(5, 0), (5, 1), (59, 2), (60, 0), (59, 0), (100, 1), (61, 2), (59, 2), (6_000, 0)] {
            profile.act(act(VIEW, at, None), 2);
            assert_eq!(profile.more_in_minute, more, "after that at {at} s");
        }
        (0..70_000).for_each(|_| assert!(!profile.act(act(VIEW, 6_001, None), 2)));
        assert_eq!(profile.more_in_minute, u16::MAX);
    }

    #[test]
    fn sessions_end_after_half_an_hour_and_late_acts_begin_none() {
        let t = 100 * DAY;
        let profile = profile(&[
            act(VIEW, t, None),
            act(VIEW, t + 1_800, None),
            act(CART, t + 3_601, None),
            act(VIEW, t + 60, None),
        ]);
        assert_eq!((profile.sessions, profile.session_actions), (2, 1));
        assert_eq!(profile.path[..4], [7, 5, 5, 0]);
        assert_eq!((profile.first_acted, profile.last_acted), (Tick(t), Tick(t + 3_601)));
    }

    #[test]
    fn counts_fade_and_late_ones_have_faded_already() {
        let t = 100 * DAY;
        let in_order = profile(&[act(VIEW, t, None), act(VIEW, t + 7 * DAY, None)]);
        let late = profile(&[act(VIEW, t + 7 * DAY, None), act(VIEW, t, None)]);
        for profile in [in_order, late] {
            let history = profile.action(VIEW).unwrap();
            assert!((history.count - 1.5).abs() < 0.01, "{history:?}");
            assert_eq!(history.last, Tick(t + 7 * DAY));
        }
    }

    #[test]
    fn the_nth_latest_occurrence_is_known_in_any_order() {
        let profile = profile(&[act(VIEW, 40, None), act(VIEW, 10, None), act(VIEW, 30, None), act(VIEW, 20, None)]);
        let latest: Vec<_> = (1..=4).map(|n| profile.occurrence(VIEW, n).map(|tick| tick.0)).collect();
        assert_eq!(latest, [Some(40), Some(30), Some(20), None]);
    }

    #[test]
    fn the_latest_interests_are_kept() {
        let profile = profile(&[
            act(VIEW, 10, Some(1)),
            act(CART, 20, Some(1)),
            act(VIEW, 30, Some(1)),
            act(VIEW, 40, Some(2)),
            act(VIEW, 50, Some(3)),
        ]);
        assert_eq!(profile.interest(ItemKey(1)), None, "the longest untouched gave way");
        assert_eq!(profile.interest(ItemKey(3)).unwrap().counts().collect::<Vec<_>>(), [(VIEW, 1)]);
        let late = self::profile(&[act(VIEW, 40, Some(2)), act(VIEW, 50, Some(3)), act(VIEW, 10, Some(1))]);
        assert_eq!(late.interest(ItemKey(1)), None, "touched before the others, though told of later");
    }

    #[test]
    fn impressions_count_for_what_was_touched_before() {
        let mut profile = profile(&[act(VIEW, 10, Some(1))]);
        profile.show(Tick(20), Some(ItemKey(1)), Some(ItemKey(1)));
        profile.show(Tick(30), Some(ItemKey(2)), None);
        assert_eq!((profile.shown, profile.interests.len()), (2, 1));
        let interest = profile.interest(ItemKey(1)).unwrap();
        assert_eq!((interest.shown, interest.last_shown), (1, Tick(20)));
    }

    #[test]
    fn merging_adds_up() {
        let mut one = profile(&[act(VIEW, 10, Some(1))]);
        let two = profile(&[act(VIEW, 20, Some(1)), act(CART, 30, Some(2))]);
        one.merge(two, |_| HalfLife::new(Span::days(7)), |_| 3, 8);
        assert_eq!((one.sessions, one.first_acted, one.last_acted), (2, Tick(10), Tick(30)));
        assert_eq!(one.action(VIEW).unwrap().count, 2.0);
        assert_eq!(one.occurrence(VIEW, 2), Some(Tick(10)));
        assert_eq!(one.interest(ItemKey(1)).unwrap().counts().collect::<Vec<_>>(), [(VIEW, 2)]);
    }
}
