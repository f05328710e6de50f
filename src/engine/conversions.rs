//! Conversions that are kept: for impressions that arrive late, and to be retracted.

use smallvec::SmallVec;

use super::bytes::{Bytes, Read, Reader};
use super::due::Due;
use super::entries::Kind;
use super::impressions::{Impression, ImpressionId, PursuitKey};
use super::index::{Index, Numbers};
use super::parted::PartedMap;
use super::segments::RuleSegments;
use super::statistics::Memberships;
use super::table::{Row, Table};
use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::settings::{Goal, KNOWN_EXTERNALS_MAX};
use crate::units::Timestamp;

/// Number of a conversion, in the order of arrival.
pub(super) type ConversionId = u64;

/// Hash of an advertiser, a goal and the sender's own id of a conversion.
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
#[derive(Debug)]
pub(super) struct Conversions {
    pub(super) kept: Table<ConversionId, Conversion>,
    by_user: Index<PursuitKey>,
    by_opportunity: Index<OpportunityKey>,
    by_key: PartedMap<ConversionKey, ConversionId>,
    deadlines: Due,
    next: ConversionId,
}

impl Default for Conversions {
    fn default() -> Conversions {
        Conversions {
            kept: Table::new(Kind::Conversion, 1_024),
            by_user: Index::default(),
            by_opportunity: Index::default(),
            by_key: PartedMap::default(),
            deadlines: Due::default(),
            next: 0,
        }
    }
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
        self.kept.get(id)
    }

    /// For changes that touch no index.
    pub fn get_mut(&mut self, id: ConversionId) -> Option<&mut Conversion> {
        self.kept.get_mut(id)
    }

    /// The conversion of a sender's id.
    pub fn find(&self, key: ConversionKey) -> Option<ConversionId> {
        self.by_key.get(&key).copied()
    }

    /// Conversions that may join an impression: the user's of that goal, and those of the opportunity.
    pub fn candidates(&self, impression: &Impression) -> Numbers {
        let mut ids = self.by_opportunity.get(impression.opportunity);
        ids.extend(impression.user.into_iter().flat_map(|user| self.of_user(user, impression.goal)));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Conversions of a user and goal.
    pub fn of_user(&self, user: UserKey, goal: GoalCode) -> Numbers {
        self.by_user.get(PursuitKey::of(user, goal))
    }

    pub fn insert(&mut self, conversion: Conversion) -> ConversionId {
        let id = self.next;
        self.next += 1;
        self.file(id, conversion);
        id
    }

    /// Puts conversions of an image back; `next` is the number that the next one gets.
    pub fn restore(&mut self, mut all: Vec<(ConversionId, Conversion)>, next: ConversionId) {
        // Indexes list conversions in the order of arrival.
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().for_each(|(id, conversion)| self.file(id, conversion));
        self.next = next;
    }

    fn file(&mut self, id: ConversionId, conversion: Conversion) {
        if let Some(user) = conversion.user {
            self.by_user.insert(PursuitKey::of(user, conversion.goal), id);
        }
        if let Some(opportunity) = conversion.opportunity {
            self.by_opportunity.insert(opportunity, id);
        }
        if let Some(key) = conversion.key {
            self.by_key.insert(key, id);
        }
        self.deadlines.insert((conversion.deadline, id));
        self.kept.insert(id, conversion);
    }

    pub fn remove(&mut self, id: ConversionId) -> Option<Conversion> {
        let conversion = self.kept.remove(id)?;
        self.deadlines.remove((conversion.deadline, id));
        if let Some(user) = conversion.user {
            self.by_user.remove(PursuitKey::of(user, conversion.goal), id);
        }
        if let Some(opportunity) = conversion.opportunity {
            self.by_opportunity.remove(opportunity, id);
        }
        if let Some(key) = conversion.key {
            self.by_key.remove(&key);
        }
        Some(conversion)
    }

    /// The conversion with the earliest deadline, if that lies before a moment.
    pub fn due(&self, before: Timestamp) -> Option<ConversionId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline < before).map(|(_, id)| id)
    }

    /// Moves all conversions of one id and goal to another.
    pub fn move_user(&mut self, from: UserKey, to: UserKey, goal: GoalCode) {
        for id in self.by_user.rename(PursuitKey::of(from, goal), PursuitKey::of(to, goal)) {
            self.kept.get_mut(id).expect("indexed conversions are kept").user = Some(to);
        }
    }
}

/// Most impressions that one conversion joins, as far as an image is believed.
const JOINED_MAX: usize = 1 << 20;

impl Conversion {
    /// A conversion out of its canonical bytes.
    pub fn read(mut bytes: Reader<'_>) -> Read<Conversion> {
        let bytes = &mut bytes;
        let conversion = Conversion {
            advertiser: AdvertiserCode(bytes.short()?),
            goal: bytes.goal()?,
            user: bytes.option(|bytes| bytes.long().map(UserKey))?,
            opportunity: bytes.option(|bytes| bytes.long().map(OpportunityKey))?,
            occurred_at: bytes.moment()?,
            item: bytes.item()?,
            category: bytes.item()?,
            value: bytes.long()? as i64,
            key: bytes.option(|bytes| bytes.long().map(ConversionKey))?,
            joined: bytes.list(JOINED_MAX, Reader::long)?.into(),
            credit: {
                let fault = bytes.fault("nobody is credited so");
                match bytes.byte()? {
                    0 => CreditedTo::Nobody,
                    1 => CreditedTo::Organic,
                    2 => CreditedTo::Impressions,
                    _ => return Err(fault),
                }
            },
            shares: bytes.list(JOINED_MAX, Share::read)?.into(),
            deadline: bytes.moment()?,
        };
        bytes.end().map(|()| conversion)
    }
}

impl Share {
    fn read(bytes: &mut Reader<'_>) -> Read<Share> {
        Ok(Share {
            impression: bytes.long()?,
            segments: RuleSegments(bytes.long()?),
            externals: bytes.list(KNOWN_EXTERNALS_MAX, Reader::segment)?.into(),
        })
    }
}

impl Row for Conversion {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.short(self.advertiser.0);
        bytes.short(self.goal.0);
        bytes.option(self.user, |bytes, user| bytes.long(user.0));
        bytes.option(self.opportunity, |bytes, opportunity| bytes.long(opportunity.0));
        bytes.long(self.occurred_at.0);
        bytes.item(self.item);
        bytes.item(self.category);
        bytes.long(self.value as u64);
        bytes.option(self.key, |bytes, key| bytes.long(key.0));
        bytes.list(&self.joined, |bytes, id| bytes.long(*id));
        bytes.byte(match self.credit {
            CreditedTo::Nobody => 0,
            CreditedTo::Organic => 1,
            CreditedTo::Impressions => 2,
        });
        bytes.list(&self.shares, |bytes, share| {
            bytes.long(share.impression);
            bytes.long(share.segments.0);
            bytes.list(&share.externals, Bytes::segment);
        });
        bytes.long(self.deadline.0);
    }
}
