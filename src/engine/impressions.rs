//! Impressions that wait for their label, and those whose conversions can still be retracted.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::thread;

use super::action_set::ActionSet;
use super::bytes::{Bytes, Read, Reader};
use super::climb::CLIMB_WINDOW;
use super::due::Due;
use super::entries::Kind;
use super::index::{Index, Numbers};
use super::lesson::Lesson;
use super::parted::PartedMap;
use super::segments::RuleSegments;
use super::statistics::MULTIPLIER_CLASSES;
use super::table::{Row, Table};
use crate::exposure::{Arm, EXPOSED_SEGMENTS_MAX, FEATURES_MAX, Feature};
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
    /// Its time for the ladder has not come yet.
    pub awaits_climb: bool,
    /// The label window has closed.
    pub is_closed: bool,
    /// It would have been shown, had the person not been held out: it teaches nothing, gets no credit and no click.
    pub is_ghost: bool,
    /// When the label window closes, or, once it has, when the impression is let go.
    pub deadline: Timestamp,
}

/// All impressions that are kept.
#[derive(Debug)]
pub(super) struct Impressions {
    /// Boxed: the map's free places would otherwise cost a whole impression each, and its growth would move them all.
    pub(super) kept: Table<ImpressionId, Box<Impression>>,
    by_user: Index<PursuitKey>,
    by_opportunity: Index<OpportunityKey>,
    deadlines: Due,
    /// When the ladder learns from an impression, where that is before its label window closes.
    climbs: Due,
    open: Open,
    next: ImpressionId,
}

/// Impressions whose label window is open.
#[derive(Debug, Default)]
struct Open {
    /// How many, by goal code.
    by_goal: Vec<usize>,
    /// How many one conversion would join together, by the hash of user, goal and what is advertised.
    crowds: PartedMap<CrowdKey, u32>,
}

impl Default for Impressions {
    fn default() -> Impressions {
        Impressions {
            kept: Table::new(Kind::Impression, 1_024),
            by_user: Index::default(),
            by_opportunity: Index::default(),
            deadlines: Due::default(),
            climbs: Due::default(),
            open: Open::default(),
            next: 0,
        }
    }
}

impl Impressions {
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn get(&self, id: ImpressionId) -> Option<&Impression> {
        self.kept.get(id).map(|impression| &**impression)
    }

    /// For changes that touch neither user, opportunity nor deadline.
    pub fn get_mut(&mut self, id: ImpressionId) -> Option<&mut Impression> {
        self.kept.get_mut(id).map(|impression| &mut **impression)
    }

    /// Impressions of a user and goal, in the order of arrival.
    pub fn of_user(&self, user: UserKey, goal: GoalCode) -> Numbers {
        self.by_user.get(PursuitKey::of(user, goal))
    }

    /// How many those are.
    pub fn count_of_user(&self, user: UserKey, goal: GoalCode) -> usize {
        self.by_user.count(PursuitKey::of(user, goal))
    }

    /// Impressions of an opportunity, one for each goal.
    pub fn of_opportunity(&self, opportunity: OpportunityKey) -> Numbers {
        self.by_opportunity.get(opportunity)
    }

    /// Whether an opportunity was shown.
    pub fn is_shown(&self, opportunity: OpportunityKey) -> bool {
        self.by_opportunity.contains(opportunity)
    }

    /// Takes an impression. The ladder learns from it at its time to climb, or when its window closes before that.
    pub fn insert(&mut self, mut impression: Impression) -> ImpressionId {
        let id = self.next;
        self.next += 1;
        impression.awaits_climb = !impression.is_climbed && impression.climbs_at() < impression.deadline;
        impression.enter_user(id, &mut self.by_user);
        self.by_opportunity.insert(impression.opportunity, id);
        impression.enter_times(id, &mut self.deadlines, &mut self.climbs);
        self.open.enter(&impression);
        self.kept.insert(id, Box::new(impression));
        id
    }

    /// Impressions of an image; `next` is the number that the next one gets.
    pub fn restored(mut all: Vec<(ImpressionId, Box<Impression>)>, next: ImpressionId) -> Impressions {
        // Indexes list impressions in the order of arrival.
        all.sort_unstable_by_key(|(id, _)| *id);
        share_features(&mut all);
        let mut restored = Impressions { next, ..Impressions::default() };
        let Impressions { kept, by_user, by_opportunity, deadlines, climbs, open, .. } = &mut restored;
        let is_helped = thread::scope(|scope| {
            let people = || enter_people(&all, by_user, open);
            let is_helped = thread::Builder::new().spawn_scoped(scope, people).is_ok();
            all.iter().for_each(|(id, impression)| {
                by_opportunity.insert(impression.opportunity, *id);
                impression.enter_times(*id, deadlines, climbs);
            });
            is_helped
        });
        // Where the system gives no thread, this one does the work.
        if !is_helped {
            enter_people(&all, by_user, open);
        }
        all.into_iter().for_each(|(id, impression)| drop(kept.insert(id, impression)));
        restored
    }

    /// The number that the next impression gets.
    pub fn next(&self) -> ImpressionId {
        self.next
    }

    /// Impressions with an open window that a conversion would join together with one of this user and goal: those of
    /// the same item, or, where none is advertised, of the same category.
    pub fn waiting(&self, user: UserKey, goal: GoalCode, item: Option<ItemKey>, category: Option<ItemKey>) -> u32 {
        self.open.crowds.get(&CrowdKey::of(user, goal, item, category)).copied().unwrap_or(0)
    }

    /// Closes an open label window; the impression as it closed, or `None` when it was closed before.
    pub fn close(&mut self, id: ImpressionId) -> Option<&Impression> {
        let impression = self.kept.get_mut(id).filter(|impression| !impression.is_closed)?;
        impression.is_closed = true;
        self.open.leave(impression);
        Some(impression)
    }

    /// Impressions of a goal whose label window is open.
    pub fn open(&self, goal: GoalCode) -> usize {
        self.open.by_goal.get(goal.index()).copied().unwrap_or(0)
    }

    pub fn remove(&mut self, id: ImpressionId) -> Option<Box<Impression>> {
        let impression = self.kept.remove(id)?;
        if !impression.is_closed {
            self.open.leave(&impression);
        }
        self.deadlines.remove((impression.deadline, id));
        self.climbs.remove((impression.climbs_at(), id));
        if let Some(user) = impression.user {
            self.by_user.remove(PursuitKey::of(user, impression.goal), id);
        }
        self.by_opportunity.remove(impression.opportunity, id);
        Some(impression)
    }

    /// The impression with the earliest deadline, if that lies before a moment.
    pub fn due(&self, before: Timestamp) -> Option<ImpressionId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline < before).map(|(_, id)| id)
    }

    /// Takes out the impression that the ladder shall learn from first, if its time lies before a moment.
    pub fn next_climb(&mut self, before: Timestamp) -> Option<ImpressionId> {
        self.climbs.first().filter(|(at, _)| *at < before)?;
        let (_, id) = self.climbs.pop_first()?;
        self.kept.get_mut(id).expect("indexed impressions are kept").awaits_climb = false;
        Some(id)
    }

    pub fn set_deadline(&mut self, id: ImpressionId, deadline: Timestamp) {
        if let Some(impression) = self.kept.get_mut(id) {
            self.deadlines.remove((impression.deadline, id));
            impression.deadline = deadline;
            self.deadlines.insert((deadline, id));
        }
    }

    /// Moves all impressions of one id and goal to another.
    pub fn move_user(&mut self, from: UserKey, to: UserKey, goal: GoalCode) {
        for id in self.by_user.rename(PursuitKey::of(from, goal), PursuitKey::of(to, goal)) {
            let impression = self.kept.get_mut(id).expect("indexed impressions are kept");
            if !impression.is_closed {
                self.open.leave(impression);
            }
            impression.user = Some(to);
            self.open.enter(impression);
        }
    }
}

/// Hash of what one conversion would join together. In halves: an entry of the map takes 12 bytes then, and else 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CrowdKey([u32; 2]);

impl CrowdKey {
    fn of(user: UserKey, goal: GoalCode, item: Option<ItemKey>, category: Option<ItemKey>) -> CrowdKey {
        let of = match (item, category) {
            (Some(item), _) => u64::from(item.0) | 1 << 32,
            (None, Some(category)) => u64::from(category.0) | 2 << 32,
            (None, None) => 0,
        };
        let hash = hash::mix(PursuitKey::of(user, goal).0, of);
        CrowdKey([hash as u32, (hash >> 32) as u32])
    }
}

impl Hash for CrowdKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.0[0]) | u64::from(self.0[1]) << 32);
    }
}

impl Open {
    /// Counts an impression, if its window is open.
    fn enter(&mut self, impression: &Impression) {
        if impression.is_closed {
            return;
        }
        self.by_goal.resize(self.by_goal.len().max(impression.goal.index() + 1), 0);
        self.by_goal[impression.goal.index()] += 1;
        if let Some(crowd) = impression.crowd() {
            *self.crowds.get_or_insert(crowd, 0) += 1;
        }
    }

    /// Counts one less that was counted.
    fn leave(&mut self, impression: &Impression) {
        self.by_goal[impression.goal.index()] -= 1;
        if let Some(crowd) = impression.crowd() {
            self.crowds.change_or_remove(&crowd, |waiting| {
                *waiting -= 1;
                *waiting == 0
            });
        }
    }
}

/// Files impressions by whom they were shown to.
fn enter_people(all: &[(ImpressionId, Box<Impression>)], by_user: &mut Index<PursuitKey>, open: &mut Open) {
    for (id, impression) in all {
        impression.enter_user(*id, by_user);
        open.enter(impression);
    }
}

/// Lets goals of one opportunity share their features, as they did when they arrived, one after the other.
fn share_features(all: &mut [(ImpressionId, Box<Impression>)]) {
    let mut before: Option<(OpportunityKey, Arc<[Feature]>)> = None;
    for (_, impression) in all {
        let Some(features) = &mut impression.features else { continue };
        match &before {
            Some((opportunity, shared)) if *opportunity == impression.opportunity && shared == features => {
                *features = Arc::clone(shared);
            }
            _ => before = Some((impression.opportunity, Arc::clone(features))),
        }
    }
}

impl Impression {
    fn enter_user(&self, id: ImpressionId, by_user: &mut Index<PursuitKey>) {
        if let Some(user) = self.user {
            by_user.insert(PursuitKey::of(user, self.goal), id);
        }
    }

    fn enter_times(&self, id: ImpressionId, deadlines: &mut Due, climbs: &mut Due) {
        deadlines.insert((self.deadline, id));
        if self.awaits_climb {
            climbs.insert((self.climbs_at(), id));
        }
    }

    /// When the ladder learns from it, unless its label window closes before.
    fn climbs_at(&self) -> Timestamp {
        self.shown_at + CLIMB_WINDOW
    }

    /// Key of those with which it shares its conversions; `None` where nobody is known, and where it shares none.
    fn crowd(&self) -> Option<CrowdKey> {
        self.user.filter(|_| !self.is_ghost).map(|user| CrowdKey::of(user, self.goal, self.item, self.category))
    }

    /// An impression out of its canonical bytes.
    pub fn read(mut bytes: Reader<'_>) -> Read<Impression> {
        let bytes = &mut bytes;
        let mut impression = Impression {
            opportunity: OpportunityKey(bytes.long()?),
            goal: bytes.goal()?,
            user: bytes.option(|bytes| bytes.long().map(UserKey))?,
            shown_at: bytes.moment()?,
            clicked_at: bytes.option(Reader::moment)?,
            arm: {
                let fault = bytes.fault("there is no such arm");
                Arm::from_number(bytes.byte()?).ok_or(fault)?
            },
            answered: {
                let fault = bytes.fault("there is no such class of multipliers");
                let answered = bytes.option(Reader::byte)?;
                let is_sound = answered.is_none_or(|class| usize::from(class) <= MULTIPLIER_CLASSES.len());
                if is_sound { answered } else { return Err(fault) }
            },
            lesson: Lesson::read(bytes)?,
            item: bytes.item()?,
            category: bytes.item()?,
            segments: RuleSegments(bytes.long()?),
            externals: bytes.list(EXPOSED_SEGMENTS_MAX, Reader::segment)?.into(),
            done: ActionSet::from_words([bytes.long()?, bytes.long()?, bytes.long()?, bytes.long()?]),
            features: bytes.option(|bytes| bytes.list(FEATURES_MAX, read_feature))?.map(Arc::from),
            standing: bytes.short()?,
            steps: bytes.word()?,
            is_climbed: bytes.flag()?,
            awaits_climb: bytes.flag()?,
            is_closed: bytes.flag()?,
            is_ghost: bytes.flag()?,
            deadline: bytes.moment()?,
        };
        impression.lesson.read_end(bytes)?;
        bytes.end().map(|()| impression)
    }
}

fn read_feature(bytes: &mut Reader<'_>) -> Read<Feature> {
    let fault = bytes.fault("there is no such feature");
    let word = bytes.word()?;
    Feature::from_parts(word >> 4, (word & 15) as u8).ok_or(fault)
}

impl Row for Box<Impression> {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.long(self.opportunity.0);
        bytes.short(self.goal.0);
        bytes.option(self.user, |bytes, user| bytes.long(user.0));
        bytes.long(self.shown_at.0);
        bytes.option(self.clicked_at, |bytes, at| bytes.long(at.0));
        bytes.byte(self.arm.number());
        bytes.option(self.answered, Bytes::byte);
        self.lesson.write(bytes);
        bytes.item(self.item);
        bytes.item(self.category);
        bytes.long(self.segments.0);
        bytes.list(&self.externals, Bytes::segment);
        self.done.words().iter().for_each(|word| bytes.long(*word));
        bytes.option(self.features.as_deref(), |bytes, features| {
            bytes.list(features, |bytes, feature| bytes.word(feature.slot() << 4 | u32::from(feature.value_code())));
        });
        bytes.short(self.standing);
        bytes.word(self.steps);
        [self.is_climbed, self.awaits_climb, self.is_closed, self.is_ghost]
            .into_iter()
            .for_each(|flag| bytes.flag(flag));
        bytes.long(self.deadline.0);
        self.lesson.write_end(bytes);
    }
}
