//! Conversions that are kept: for impressions that arrive late, and to be retracted.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::impressions::{Impression, ImpressionId, PursuitKey, forget_id};
use super::parted::PartedMap;
use super::segments::RuleSegments;
use super::statistics::Memberships;
use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::settings::Goal;
use crate::units::Timestamp;

/// Number of a conversion, in the order of arrival.
pub(super) type ConversionId = u64;

/// Hash of an advertiser and the sender's own id of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConversionKey(pub u64);

/// Where a conversion is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CreditedTo {
    /// Not counted yet.
    Nobody,
    /// No impression led to it.
    Organic,
    /// The impressions that share it, in equal parts.
    Impressions,
}

/// One impression's part in the credit for a conversion. Audiences are kept here, because the impression may be let go
/// before the conversion is taken back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    pub impression: ImpressionId,
    pub segments: RuleSegments,
    pub externals: Box<[SegmentCode]>,
}

impl Share {
    /// The audiences it is counted in.
    pub fn memberships(&self) -> Memberships<'_> {
        Memberships { rules: self.segments, externals: &self.externals }
    }
}

/// A goal that was reached.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    pub advertiser: AdvertiserCode,
    pub goal: GoalCode,
    /// Root id, where known.
    pub user: Option<UserKey>,
    /// The only opportunity it may join; `None` lets it join the user's.
    pub opportunity: Option<OpportunityKey>,
    pub occurred_at: Timestamp,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
    /// Value as it was counted, after winsorising, in micros.
    pub value: i64,
    pub key: Option<ConversionKey>,
    /// Impressions it is joined to.
    pub joined: SmallVec<[ImpressionId; 2]>,
    pub credit: CreditedTo,
    /// Who shares the credit; nobody unless it went to impressions.
    pub shares: SmallVec<[Share; 1]>,
    /// When it is let go.
    pub deadline: Timestamp,
}

impl Conversion {
    /// Whether this conversion is one of that impression's: same goal, in its window, and the same opportunity or
    /// else the same user with an item or category that agrees.
    ///
    /// The item decides where both have one, else the category where both have one, else the user alone.
    /// Sooner after the impression than the goal's least delay it is not.
    pub fn matches(&self, impression: &Impression, goal: &Goal) -> bool {
        let is_clicked = impression.clicked_at.is_some_and(|clicked_at| clicked_at <= self.occurred_at);
        let window = if is_clicked { goal.window() } else { goal.view_window };
        let is_within = impression.shown_at < self.occurred_at && self.occurred_at <= impression.shown_at + window;
        is_within && !self.is_too_soon(impression, goal) && self.is_about(impression)
    }

    /// Whether it is about that impression, and came after it sooner than any person's does.
    pub fn came_too_soon(&self, impression: &Impression, goal: &Goal) -> bool {
        impression.shown_at < self.occurred_at && self.is_too_soon(impression, goal) && self.is_about(impression)
    }

    fn is_too_soon(&self, impression: &Impression, goal: &Goal) -> bool {
        self.occurred_at.since(impression.shown_at) < goal.conversion_delay_min
    }

    /// Whether goal and opportunity, or else user and what is advertised, are the same.
    fn is_about(&self, impression: &Impression) -> bool {
        if self.goal != impression.goal {
            return false;
        }
        if let Some(opportunity) = self.opportunity {
            return opportunity == impression.opportunity;
        }
        impression.agrees(self.item, self.category) && self.user.is_some() && self.user == impression.user
    }
}

/// All conversions that are kept.
#[derive(Debug, Default)]
pub(super) struct Conversions {
    kept: PartedMap<ConversionId, Conversion>,
    by_user: PartedMap<PursuitKey, SmallVec<[ConversionId; 2]>>,
    by_opportunity: PartedMap<OpportunityKey, SmallVec<[ConversionId; 2]>>,
    by_key: PartedMap<ConversionKey, ConversionId>,
    deadlines: BTreeSet<(Timestamp, ConversionId)>,
    next: ConversionId,
}

impl Conversions {
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// The number that the next conversion gets.
    pub fn next(&self) -> ConversionId {
        self.next
    }

    pub fn get(&self, id: ConversionId) -> Option<&Conversion> {
        self.kept.get(&id)
    }

    /// For changes that touch no index.
    pub fn get_mut(&mut self, id: ConversionId) -> Option<&mut Conversion> {
        self.kept.get_mut(&id)
    }

    /// The conversion of a sender's id.
    pub fn find(&self, key: ConversionKey) -> Option<ConversionId> {
        self.by_key.get(&key).copied()
    }

    /// Conversions that may join an impression: the user's of that goal, and those of the opportunity.
    pub fn candidates(&self, impression: &Impression) -> SmallVec<[ConversionId; 2]> {
        let mut ids: SmallVec<[ConversionId; 2]> = SmallVec::new();
        ids.extend(self.by_opportunity.get(&impression.opportunity).into_iter().flatten().copied());
        let of_user = impression.user.and_then(|user| self.by_user.get(&PursuitKey::of(user, impression.goal)));
        ids.extend(of_user.into_iter().flatten().copied());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Conversions of a user and goal.
    pub fn of_user(&self, user: UserKey, goal: GoalCode) -> SmallVec<[ConversionId; 2]> {
        self.by_user.get(&PursuitKey::of(user, goal)).cloned().unwrap_or_default()
    }

    pub fn insert(&mut self, conversion: Conversion) -> ConversionId {
        let id = self.next;
        self.next += 1;
        if let Some(user) = conversion.user {
            self.by_user.get_or_insert(PursuitKey::of(user, conversion.goal), SmallVec::new()).push(id);
        }
        if let Some(opportunity) = conversion.opportunity {
            self.by_opportunity.get_or_insert(opportunity, SmallVec::new()).push(id);
        }
        if let Some(key) = conversion.key {
            self.by_key.insert(key, id);
        }
        self.deadlines.insert((conversion.deadline, id));
        self.kept.insert(id, conversion);
        id
    }

    pub fn remove(&mut self, id: ConversionId) -> Option<Conversion> {
        let conversion = self.kept.remove(&id)?;
        self.deadlines.remove(&(conversion.deadline, id));
        if let Some(user) = conversion.user {
            forget_id(&mut self.by_user, PursuitKey::of(user, conversion.goal), id);
        }
        if let Some(opportunity) = conversion.opportunity {
            forget_id(&mut self.by_opportunity, opportunity, id);
        }
        if let Some(key) = conversion.key {
            self.by_key.remove(&key);
        }
        Some(conversion)
    }

    /// The conversion with the earliest deadline, if that lies before a moment.
    pub fn due(&self, before: Timestamp) -> Option<ConversionId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline < before).map(|(_, id)| *id)
    }

    /// Moves all conversions of one id and goal to another.
    pub fn move_user(&mut self, from: UserKey, to: UserKey, goal: GoalCode) {
        let Some(ids) = self.by_user.remove(&PursuitKey::of(from, goal)) else { return };
        for id in &ids {
            self.kept.get_mut(id).expect("indexed conversions are kept").user = Some(to);
        }
        let all = self.by_user.get_or_insert(PursuitKey::of(to, goal), SmallVec::new());
        all.extend(ids);
        all.sort_unstable();
    }

    /// The table's canonical entries: number and bytes.
    pub fn image(&self, visit: &mut dyn FnMut(ConversionId, &[u8])) {
        let mut bytes = Vec::new();
        for (id, conversion) in self.kept.iter() {
            bytes.clear();
            conversion.image(&mut bytes);
            visit(*id, &bytes);
        }
        visit(self.next, b"next");
    }
}

impl Conversion {
    fn image(&self, bytes: &mut Vec<u8>) {
        let item = |key: Option<ItemKey>| key.map_or(u64::MAX, |key| u64::from(key.0));
        let words = [
            u64::from(self.advertiser.0) << 16 | u64::from(self.goal.0),
            u64::from(self.user.is_some())
                | u64::from(self.opportunity.is_some()) << 1
                | u64::from(self.key.is_some()) << 2,
            self.user.map_or(0, |user| user.0),
            self.opportunity.map_or(0, |opportunity| opportunity.0),
            self.key.map_or(0, |key| key.0),
            self.occurred_at.0,
            item(self.item),
            item(self.category),
            self.value as u64,
            match self.credit {
                CreditedTo::Nobody => u64::MAX,
                CreditedTo::Organic => u64::MAX - 1,
                CreditedTo::Impressions => self.shares.first().map_or(0, |share| share.impression),
            },
            self.deadline.0,
            self.shares.first().map_or(0, |share| share.segments.0),
            self.joined.len() as u64,
        ];
        words.iter().chain(&self.joined).for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        for (place, share) in self.shares.iter().enumerate() {
            if place > 0 {
                bytes.extend_from_slice(&share.impression.to_le_bytes());
                bytes.extend_from_slice(&share.segments.0.to_le_bytes());
            }
            share.externals.iter().for_each(|segment| bytes.extend_from_slice(&segment.0.to_le_bytes()));
        }
    }
}
