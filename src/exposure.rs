//! What a score must remember until its impression comes back: the content of a token.

use arrayvec::ArrayVec;

use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::units::Timestamp;

/// Most features of one score; what goes beyond is left out, least recent first.
pub const FEATURES_MAX: usize = 64;
/// Most features of one score whose value is not 1.
pub const VALUED_FEATURES_MAX: usize = 12;
/// Most goals of one target whose scores travel in the token, in the order asked. Later ones are not learned from.
pub const EXPOSED_GOALS_MAX: usize = 4;
/// Most external segments of one request that travel in the token.
pub const EXPOSED_SEGMENTS_MAX: usize = 8;
/// Version of the feature definitions. An exposure of another version is counted, never learned from.
pub const FEATURE_SCHEMA: u8 = 3;

/// One opportunity as it was scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// Version of the feature definitions, [`FEATURE_SCHEMA`] when it was made.
    pub schema: u8,
    /// Which opportunity.
    pub opportunity: OpportunityKey,
    /// The person scored; `None` when privacy allowed no user history.
    pub user: Option<UserKey>,
    /// For whom.
    pub advertiser: AdvertiserCode,
    /// 32-bit hash of the line item, for the bidder's reports.
    pub line_item: Option<ItemKey>,
    /// Advertised product.
    pub item: Option<ItemKey>,
    /// Advertised category.
    pub category: Option<ItemKey>,
    /// When it was scored.
    pub scored_at: Timestamp,
    /// The arm the user was in.
    pub arm: Arm,
    /// What was answered, goal by goal.
    pub goals: ArrayVec<GoalScore, EXPOSED_GOALS_MAX>,
    /// External segments of the request that the advertiser knows.
    pub externals: ArrayVec<SegmentCode, EXPOSED_SEGMENTS_MAX>,
    /// Features, sorted by slot; shared by all goals.
    pub features: ArrayVec<Feature, FEATURES_MAX>,
}

/// What was answered for one goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoalScore {
    /// Which goal.
    pub goal: GoalCode,
    /// The model's log-odds before calibration.
    pub logit: f32,
    /// The calibrated probability.
    pub p: f32,
    /// The bid multiplier. In the control arm, where 1 was answered, the one that a treated user would have got. 0
    /// where a campaign's combined factor stood for it and another goal leads that: see [`GoalScore::bid`].
    pub multiplier: f32,
    /// Whether that multiplier was drawn instead of taken at its mean, and answered. Never in another arm than treated.
    pub is_explored: bool,
}

/// [`GoalScore::multiplier`] of a goal that was not bid by.
pub const NOT_BID: f64 = 0.0;

impl GoalScore {
    /// The multiplier that was bid by, or would have been for a treated user; `None` where another goal led what was
    /// bid.
    pub fn bid(&self) -> Option<f64> {
        Some(f64::from(self.multiplier)).filter(|multiplier| *multiplier > NOT_BID)
    }
}

/// Group of an experiment a user belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arm {
    /// Gets the multiplier.
    Treated,
    /// Gets a multiplier of 1: measures what the multiplier does, and anchors spend.
    Control,
    /// Gets no ad at all: measures what the ads do.
    Holdout,
}

/// A feature of a score: 22 bits of its key's hash and a 4-bit code of its value. Ordered by slot, then value code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feature(u32);

/// Bits of a feature's slot.
pub const SLOT_BITS: u32 = 22;

/// The bit of a slot that tells crosses: they fill the upper half of all slots.
const CROSS: u32 = 1 << (SLOT_BITS - 1);
/// The bit of a slot below that, which tells other features of the person from those of the context: these fill the
/// lowest quarter of all slots, so that they come first of sorted features.
const PERSON: u32 = CROSS >> 1;

/// Bits of a feature's value code.
const VALUE_BITS: u32 = 4;

/// The sixteen values a feature can have. Code 0 is the plain "is there".
pub const FEATURE_VALUES: [f32; 16] =
    [1.0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.5625, 0.625, 0.6875, 0.75, 0.8125, 0.875, 0.9375];

impl Feature {
    /// A feature of the context that is there, with value 1. The upper bits of `hash` choose the slot, in the lowest
    /// quarter of all.
    pub fn new(hash: u64) -> Feature {
        Feature((Feature::low(hash) & !PERSON) << VALUE_BITS)
    }

    /// A feature of the person that is there, with value 1: its slot lies in the second quarter of all.
    pub fn of_person(hash: u64) -> Feature {
        Feature((Feature::low(hash) | PERSON) << VALUE_BITS)
    }

    /// A cross of two features, of which one is of the person: its slot lies in the upper half of all, by which
    /// learners tell it.
    pub fn cross(hash: u64) -> Feature {
        Feature((Feature::low(hash) | CROSS) << VALUE_BITS)
    }

    /// All bits of a slot but the one that tells crosses.
    fn low(hash: u64) -> u32 {
        (hash >> (65 - SLOT_BITS)) as u32
    }

    /// Whether this tells of the person, and not of the context alone.
    pub fn tells_of_person(self) -> bool {
        self.slot() >= PERSON
    }

    /// Whether this is a cross of two features.
    pub fn is_cross(self) -> bool {
        self.slot() & CROSS != 0
    }

    /// The feature of a slot and a value code, as a token or the journal holds them; `None` when out of range.
    pub fn from_parts(slot: u32, value_code: u8) -> Option<Feature> {
        (slot < 1 << SLOT_BITS && value_code < 16).then(|| Feature(slot << VALUE_BITS | u32::from(value_code)))
    }

    /// The same feature with one of the [`FEATURE_VALUES`].
    pub fn with_value_code(self, code: u8) -> Feature {
        Feature(self.slot() << VALUE_BITS | u32::from(code & 15))
    }

    /// Where in a weight table it lives, 0 to 2^22 − 1; a smaller table takes the low bits.
    pub fn slot(self) -> u32 {
        self.0 >> VALUE_BITS
    }

    /// Index into [`FEATURE_VALUES`].
    pub fn value_code(self) -> u8 {
        (self.0 & 15) as u8
    }

    /// The value, above 0 and at most 1.
    pub fn value(self) -> f32 {
        FEATURE_VALUES[usize::from(self.value_code())]
    }
}

/// Of features sorted by slot, those of the context alone: what is known of an opportunity whoever the person is.
pub fn of_context(features: &[Feature]) -> &[Feature] {
    &features[..features.partition_point(|feature| !feature.tells_of_person())]
}

/// Fills a list with features, sorted by slot and value code: as `sort_unstable` would, in half the time.
///
/// The place of a feature is the number of those that come before it. To compare all with all takes no branch that
/// could be guessed wrong, as with hashes every other one is, and eight comparisons are made at once where 16 bits of
/// a slot decide. About one list in seventy has two that agree in those: it is sorted as any other.
pub fn sort_into(sorted: &mut ArrayVec<Feature, FEATURES_MAX>, features: &[Feature]) {
    sorted.clear();
    sorted.extend(features.iter().copied());
    // Signed, because only such numbers can be compared several at once everywhere.
    let key = |feature: &Feature| (feature.slot() >> (SLOT_BITS - 16)) as u16 ^ 1 << 15;
    let mut keys = [i16::MAX; FEATURES_MAX];
    features.iter().map(key).zip(&mut keys).for_each(|(key, free)| *free = key as i16);
    let compared = &keys[..features.len().next_multiple_of(8)];
    let mut taken = 0u64;
    for (feature, key) in features.iter().zip(&keys) {
        let place: i16 = compared.iter().map(|other| i16::from(other < key)).sum();
        sorted[place as usize] = *feature;
        taken |= 1 << place;
    }
    if taken.count_ones() as usize != features.len() {
        sorted.copy_from_slice(features);
        sorted.sort_unstable();
    }
}

impl Arm {
    /// All arms, in the order of their wire numbers.
    pub const ALL: [Arm; 3] = [Arm::Treated, Arm::Control, Arm::Holdout];

    /// Number on disk and in tokens.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The arm of a number.
    pub fn from_number(number: u8) -> Option<Arm> {
        Arm::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_keep_slot_and_value() {
        let feature = Feature::cross(u64::MAX).with_value_code(8);
        assert_eq!((feature.slot(), feature.value_code(), feature.value()), ((1 << 22) - 1, 8, 0.5));
        assert_eq!(Feature::from_parts(feature.slot(), 8), Some(feature));
        assert_eq!(Feature::from_parts(1 << 22, 0), None);
        assert_eq!(Feature::from_parts(0, 16), None);
    }

    #[test]
    fn features_of_the_context_come_first() {
        for hash in [0, 1 << 62, 1 << 63, u64::MAX] {
            let (context, person, cross) = (Feature::new(hash), Feature::of_person(hash), Feature::cross(hash));
            assert!(context < person && person < cross);
            let kinds = [context, person, cross].map(|feature| (feature.tells_of_person(), feature.is_cross()));
            assert_eq!(kinds, [(false, false), (true, false), (true, true)]);
            assert_eq!(of_context(&[context, context, person, cross]), [context, context]);
            assert_eq!((of_context(&[person]).len(), of_context(&[]).len()), (0, 0));
        }
    }

    proptest::proptest! {
        #[test]
        fn features_sort_as_they_compare(
            raw in proptest::collection::vec((0u32..1 << 22, 0u8..16), 0..=FEATURES_MAX),
            shift in 0u32..22,
        ) {
            let feature = |(slot, code): &(u32, u8)| Feature::from_parts(slot >> shift, *code).unwrap();
            let features: Vec<Feature> = raw.iter().map(feature).collect();
            let mut expected = features.clone();
            expected.sort_unstable();
            let mut sorted = ArrayVec::new();
            sort_into(&mut sorted, &features);
            proptest::prop_assert_eq!(&sorted[..], expected);
        }
    }

    #[test]
    fn arms_keep_their_numbers() {
        for arm in Arm::ALL {
            assert_eq!(Arm::from_number(arm.number()), Some(arm));
        }
        assert_eq!(Arm::from_number(3), None);
    }
}
