//! Impressions that wait for their label, and those whose conversions can still be retracted.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::action_set::ActionSet;
use super::climb::CLIMB_WINDOW;
use super::lesson::Lesson;
use super::parted::PartedMap;
use super::segments::RuleSegments;
use crate::exposure::{Arm, Feature};
use crate::hash;
use crate::ids::{GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::units::Timestamp;

/// Number of an impression, in the order of arrival.
pub(super) type ImpressionId = u64;

/// Hash of a person's root id and a goal. Two of 10 million share one with odds of 1 in 370,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PursuitKey(u64);

impl PursuitKey {
    pub fn of(root: UserKey, goal: GoalCode) -> PursuitKey {
        PursuitKey(hash::mix(root.0, u64::from(goal.0)))
    }
}

/// One opportunity that was shown, for one of its goals.
#[derive(Debug, Clone)]
pub(super) struct Impression {
    pub opportunity: OpportunityKey,
    pub goal: GoalCode,
    /// Root id; `None` when privacy allowed no user history.
    pub user: Option<UserKey>,
    pub shown_at: Timestamp,
    pub clicked_at: Option<Timestamp>,
    pub arm: Arm,
    /// Where the score is known, so that it counts for its arm: the class of its multiplier.
    pub answered: Option<u8>,
    /// What was learned of it.
    pub lesson: Lesson,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
    /// Membership when it was shown.
    pub segments: RuleSegments,
    pub externals: Box<[SegmentCode]>,
    /// Actions that the person had done before it was shown.
    pub done: ActionSet,
    /// What it was learned with; `None` when nothing may be learned from it.
    pub features: Option<Arc<[Feature]>>,
    /// Joined conversions that stand.
    pub standing: u16,
    /// Steps of the goal's ladder that it has led to, a bit each, the first step's lowest.
    pub steps: u32,
    /// The ladder has learned from it, or never will.
    pub is_climbed: bool,
    /// The label window has closed.
    pub is_closed: bool,
    /// It would have been shown, had the person not been held out: it teaches nothing, gets no credit and no click.
    pub is_ghost: bool,
    /// When the label window closes, or, once it has, when the impression is let go.
    pub deadline: Timestamp,
}

/// All impressions that are kept.
#[derive(Debug, Default)]
pub(super) struct Impressions {
    /// Boxed: the map's free places would otherwise cost a whole impression each, and its growth would move them all.
    kept: PartedMap<ImpressionId, Box<Impression>>,
    by_user: PartedMap<PursuitKey, SmallVec<[ImpressionId; 2]>>,
    by_opportunity: PartedMap<OpportunityKey, SmallVec<[ImpressionId; 2]>>,
    deadlines: BTreeSet<(Timestamp, ImpressionId)>,
    /// When the ladder learns from an impression, where that is before its label window closes.
    climbs: BTreeSet<(Timestamp, ImpressionId)>,
    /// Impressions whose label window is open, by goal code.
    open: Vec<usize>,
    /// Of those, how many one conversion would join together, by the hash of user, goal and what is advertised.
    crowds: PartedMap<u64, u32>,
    next: ImpressionId,
}

impl Impressions {
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn get(&self, id: ImpressionId) -> Option<&Impression> {
        self.kept.get(&id).map(|impression| &**impression)
    }

    /// For changes that touch neither user, opportunity nor deadline.
    pub fn get_mut(&mut self, id: ImpressionId) -> Option<&mut Impression> {
        self.kept.get_mut(&id).map(|impression| &mut **impression)
    }

    /// Impressions of a user and goal, in the order of arrival.
    pub fn of_user(&self, user: UserKey, goal: GoalCode) -> SmallVec<[ImpressionId; 2]> {
        self.by_user.get(&PursuitKey::of(user, goal)).cloned().unwrap_or_default()
    }

    /// Impressions of an opportunity, one for each goal.
    pub fn of_opportunity(&self, opportunity: OpportunityKey) -> SmallVec<[ImpressionId; 2]> {
        self.by_opportunity.get(&opportunity).cloned().unwrap_or_default()
    }

    /// Takes an impression. The ladder learns from it at its time to climb, or when its window closes before that.
    pub fn insert(&mut self, impression: Impression) -> ImpressionId {
        let id = self.next;
        self.next += 1;
        if let Some(user) = impression.user {
            self.by_user.get_or_insert(PursuitKey::of(user, impression.goal), SmallVec::new()).push(id);
        }
        self.by_opportunity.get_or_insert(impression.opportunity, SmallVec::new()).push(id);
        self.deadlines.insert((impression.deadline, id));
        if !impression.is_climbed && impression.climbs_at() < impression.deadline {
            self.climbs.insert((impression.climbs_at(), id));
        }
        self.open.resize(self.open.len().max(impression.goal.index() + 1), 0);
        self.open[impression.goal.index()] += 1;
        if let Some(crowd) = impression.crowd() {
            *self.crowds.get_or_insert(crowd, 0) += 1;
        }
        self.kept.insert(id, Box::new(impression));
        id
    }

    /// Impressions with an open window that a conversion would join together with one of this user and goal: those of
    /// the same item, or, where none is advertised, of the same category.
    pub fn waiting(&self, user: UserKey, goal: GoalCode, item: Option<ItemKey>, category: Option<ItemKey>) -> u32 {
        self.crowds.get(&crowd(user, goal, item, category)).copied().unwrap_or(0)
    }

    /// Closes an open label window; the impression as it closed, or `None` when it was closed before.
    pub fn close(&mut self, id: ImpressionId) -> Option<&Impression> {
        let impression = self.kept.get_mut(&id).filter(|impression| !impression.is_closed)?;
        impression.is_closed = true;
        self.open[impression.goal.index()] -= 1;
        leave(&mut self.crowds, impression.crowd());
        Some(impression)
    }

    /// Impressions of a goal whose label window is open.
    pub fn open(&self, goal: GoalCode) -> usize {
        self.open.get(goal.index()).copied().unwrap_or(0)
    }

    pub fn remove(&mut self, id: ImpressionId) -> Option<Box<Impression>> {
        let impression = self.kept.remove(&id)?;
        if !impression.is_closed {
            self.open[impression.goal.index()] -= 1;
            leave(&mut self.crowds, impression.crowd());
        }
        self.deadlines.remove(&(impression.deadline, id));
        self.climbs.remove(&(impression.climbs_at(), id));
        if let Some(user) = impression.user {
            forget_id(&mut self.by_user, PursuitKey::of(user, impression.goal), id);
        }
        forget_id(&mut self.by_opportunity, impression.opportunity, id);
        Some(impression)
    }

    /// The impression with the earliest deadline, if that lies before a moment.
    pub fn due(&self, before: Timestamp) -> Option<ImpressionId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline < before).map(|(_, id)| *id)
    }

    /// Takes out the impression that the ladder shall learn from first, if its time lies before a moment.
    pub fn next_climb(&mut self, before: Timestamp) -> Option<ImpressionId> {
        self.climbs.first().filter(|(at, _)| *at < before)?;
        self.climbs.pop_first().map(|(_, id)| id)
    }

    pub fn set_deadline(&mut self, id: ImpressionId, deadline: Timestamp) {
        if let Some(impression) = self.kept.get_mut(&id) {
            self.deadlines.remove(&(impression.deadline, id));
            impression.deadline = deadline;
            self.deadlines.insert((deadline, id));
        }
    }

    /// Moves all impressions of one id and goal to another.
    pub fn move_user(&mut self, from: UserKey, to: UserKey, goal: GoalCode) {
        let Some(ids) = self.by_user.remove(&PursuitKey::of(from, goal)) else { return };
        for id in &ids {
            let impression = self.kept.get_mut(id).expect("indexed impressions are kept");
            let before = impression.crowd();
            impression.user = Some(to);
            if let Some(crowd) = impression.crowd().filter(|_| !impression.is_closed) {
                leave(&mut self.crowds, before);
                *self.crowds.get_or_insert(crowd, 0) += 1;
            }
        }
        let all = self.by_user.get_or_insert(PursuitKey::of(to, goal), SmallVec::new());
        all.extend(ids);
        all.sort_unstable();
    }

    /// The table's canonical entries: number and bytes.
    pub fn image(&self, visit: &mut dyn FnMut(ImpressionId, &[u8])) {
        let mut bytes = Vec::new();
        for (id, impression) in self.kept.iter() {
            bytes.clear();
            impression.image(&mut bytes);
            visit(*id, &bytes);
        }
        visit(self.next, b"next");
    }
}

/// Key of what one conversion would join together.
fn crowd(user: UserKey, goal: GoalCode, item: Option<ItemKey>, category: Option<ItemKey>) -> u64 {
    let of = match (item, category) {
        (Some(item), _) => u64::from(item.0) | 1 << 32,
        (None, Some(category)) => u64::from(category.0) | 2 << 32,
        (None, None) => 0,
    };
    hash::mix(PursuitKey::of(user, goal).0, of)
}

fn leave(crowds: &mut PartedMap<u64, u32>, crowd: Option<u64>) {
    if let Some(crowd) = crowd {
        crowds.change_or_remove(&crowd, |waiting| {
            *waiting -= 1;
            *waiting == 0
        });
    }
}

/// Takes a number out of an index, and the index entry with its last number.
pub(super) fn forget_id<K: std::hash::Hash + Eq, const N: usize>(
    index: &mut PartedMap<K, SmallVec<[u64; N]>>,
    key: K,
    id: u64,
) where
    [u64; N]: smallvec::Array<Item = u64>,
{
    index.change_or_remove(&key, |ids| {
        ids.retain(|kept| *kept != id);
        ids.is_empty()
    });
}

impl Impression {
    /// When the ladder learns from it, unless its label window closes before.
    fn climbs_at(&self) -> Timestamp {
        self.shown_at + CLIMB_WINDOW
    }

    /// Key of those with which it shares its conversions; `None` where nobody is known, and where it shares none.
    fn crowd(&self) -> Option<u64> {
        self.user.filter(|_| !self.is_ghost).map(|user| crowd(user, self.goal, self.item, self.category))
    }

    fn image(&self, bytes: &mut Vec<u8>) {
        let item = |key: Option<ItemKey>| key.map_or(u64::MAX, |key| u64::from(key.0));
        let words = [
            self.opportunity.0,
            u64::from(self.goal.0),
            self.user.map_or(0, |user| user.0),
            u64::from(self.user.is_some()),
            self.shown_at.0,
            self.clicked_at.map_or(u64::MAX, |at| at.0),
            u64::from(self.arm.number()),
            item(self.item),
            item(self.category),
            self.segments.0,
            u64::from(self.standing) | u64::from(self.steps) << 32,
            u64::from(self.is_closed)
                | self.answered.map_or(0, |class| u64::from(class) + 1) << 8
                | u64::from(self.is_climbed) << 2
                | u64::from(self.is_ghost) << 3,
            self.deadline.0,
            self.externals.len() as u64,
            self.features.as_ref().map_or(u64::MAX, |features| features.len() as u64),
        ];
        words.iter().chain(&self.done.words()).for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        self.lesson.image(bytes);
        self.externals.iter().for_each(|segment| bytes.extend_from_slice(&segment.0.to_le_bytes()));
        for feature in self.features.iter().flat_map(|features| features.iter()) {
            bytes.extend_from_slice(&(feature.slot() << 4 | u32::from(feature.value_code())).to_le_bytes());
        }
    }
}
