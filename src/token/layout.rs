//! The payload of a token: an [`Exposure`] as bytes, at most 270 of them.
//!
//! The byte table stands in the [module above](super). Each exposure has one spelling: what differs from it (a bit
//! that stands for nothing, a number out of range, bytes left over) is not read.

use arrayvec::ArrayVec;

use super::{SealError, TOKEN_BYTES_MAX, features};
use crate::exposure::{
    Arm, EXPOSED_GOALS_MAX, EXPOSED_SEGMENTS_MAX, Exposure, FEATURE_SCHEMA, GoalScore, VALUED_FEATURES_MAX,
};
use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::rejection::TokenRefusal;
use crate::settings::{GOALS_MAX, MULTIPLIER_BOUNDS};
use crate::units::{TIMESTAMP_MAX, Timestamp};

/// Fewest bytes of a payload: an exposure of which nothing optional is known.
pub(super) const PAYLOAD_BYTES_MIN: usize = 4 + 6 + 8 + 2;

/// A token under construction.
pub(super) type TokenBytes = ArrayVec<u8, TOKEN_BYTES_MAX>;

/// Appends bytes.
pub(super) fn put(token: &mut TokenBytes, bytes: &[u8]) {
    token.try_extend_from_slice(bytes).expect("the table of bytes proves that every exposure fits");
}

/// Reads bytes from front to back.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next bytes; `None` when fewer are left.
    pub fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes; `None` when fewer are left.
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Places of the presence bits in the second byte, above the two bits of the arm.
const HAS_USER: u8 = 1 << 2;
const HAS_LINE_ITEM: u8 = 1 << 3;
const HAS_ITEM: u8 = 1 << 4;
const HAS_CATEGORY: u8 = 1 << 5;
const FLAGS: u8 = 3 | HAS_USER | HAS_LINE_ITEM | HAS_ITEM | HAS_CATEGORY;
/// Bits of the third byte that count goals; those above count external segments.
const GOALS_BITS: u32 = 3;

/// The bit of a goal's two bytes that says that its multiplier was drawn; those below are its code.
const EXPLORED: u16 = 1 << 15;

// No goal has a code that needs the bit.
const _: () = assert!(GOALS_MAX <= EXPLORED as usize);

/// Appends an exposure, after checking all that [`read`] checks.
pub(super) fn write(exposure: &Exposure, token: &mut TokenBytes) -> Result<(), SealError> {
    check(exposure)?;
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    let flags = exposure.arm.number()
        | flag(exposure.user.is_some(), HAS_USER)
        | flag(exposure.line_item.is_some(), HAS_LINE_ITEM)
        | flag(exposure.item.is_some(), HAS_ITEM)
        | flag(exposure.category.is_some(), HAS_CATEGORY);
    let counts = (exposure.goals.len() | exposure.externals.len() << GOALS_BITS) as u8;
    put(token, &[exposure.schema, flags, counts, exposure.features.len() as u8]);
    put(token, &exposure.scored_at.0.to_le_bytes()[..6]);
    put(token, &exposure.opportunity.0.to_le_bytes());
    put(token, &exposure.advertiser.0.to_le_bytes());
    if let Some(user) = exposure.user {
        put(token, &user.0.to_le_bytes());
    }
    for key in [exposure.line_item, exposure.item, exposure.category].into_iter().flatten() {
        put(token, &key.0.to_le_bytes());
    }
    for score in &exposure.goals {
        put(token, &(score.goal.0 | if score.is_explored { EXPLORED } else { 0 }).to_le_bytes());
        for number in [score.logit, score.p, score.multiplier] {
            put(token, &number.to_le_bytes());
        }
    }
    for segment in &exposure.externals {
        put(token, &segment.0.to_le_bytes());
    }
    if exposure.features.is_sorted_by_key(|feature| feature.slot()) {
        features::write(&exposure.features, token);
    } else {
        let mut sorted = exposure.features.clone();
        sorted.sort_by_key(|feature| feature.slot());
        features::write(&sorted, token);
    }
    Ok(())
}

/// Reads a whole payload.
pub(super) fn read(payload: &[u8]) -> Result<Exposure, TokenRefusal> {
    // Another schema may have another layout: it is told apart before anything is read by this one's.
    if payload.first().is_some_and(|schema| *schema != FEATURE_SCHEMA) {
        return Err(TokenRefusal::Version);
    }
    let mut input = Reader::new(payload);
    let exposure = read_exposure(&mut input).ok_or(TokenRefusal::Malformed)?;
    if !input.is_empty() || check(&exposure).is_err() {
        return Err(TokenRefusal::Malformed);
    }
    Ok(exposure)
}

fn read_exposure(input: &mut Reader) -> Option<Exposure> {
    let [schema, flags, counts, features_count] = input.bytes()?;
    if flags & !FLAGS != 0 {
        return None;
    }
    let (goals_count, externals_count) = (counts & ((1 << GOALS_BITS) - 1), counts >> GOALS_BITS);
    let [a, b, c, d, e, f] = input.bytes()?;
    let scored_at = Timestamp(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]));
    let opportunity = OpportunityKey(u64::from_le_bytes(input.bytes()?));
    let advertiser = AdvertiserCode(u16::from_le_bytes(input.bytes()?));
    let user = if flags & HAS_USER != 0 { Some(UserKey(u64::from_le_bytes(input.bytes()?))) } else { None };
    let mut key = |flag: u8| -> Option<Option<ItemKey>> {
        if flags & flag == 0 { Some(None) } else { Some(Some(ItemKey(u32::from_le_bytes(input.bytes()?)))) }
    };
    let (line_item, item, category) = (key(HAS_LINE_ITEM)?, key(HAS_ITEM)?, key(HAS_CATEGORY)?);
    let mut goals = ArrayVec::<GoalScore, EXPOSED_GOALS_MAX>::new();
    for _ in 0..goals_count {
        goals.try_push(read_score(input)?).ok()?;
    }
    let mut externals = ArrayVec::<SegmentCode, EXPOSED_SEGMENTS_MAX>::new();
    for _ in 0..externals_count {
        externals.try_push(SegmentCode(u16::from_le_bytes(input.bytes()?))).ok()?;
    }
    Some(Exposure {
        schema,
        opportunity,
        user,
        advertiser,
        line_item,
        item,
        category,
        scored_at,
        arm: Arm::from_number(flags & 3)?,
        goals,
        externals,
        features: features::read(usize::from(features_count), input)?,
    })
}

fn read_score(input: &mut Reader) -> Option<GoalScore> {
    let goal = u16::from_le_bytes(input.bytes()?);
    let (goal, is_explored) = (GoalCode(goal & !EXPLORED), goal & EXPLORED != 0);
    let mut number = || Some(f32::from_le_bytes(input.bytes()?));
    Some(GoalScore { goal, logit: number()?, p: number()?, multiplier: number()?, is_explored })
}

/// The limits that the types of an exposure do not hold.
fn check(exposure: &Exposure) -> Result<(), SealError> {
    if exposure.scored_at > TIMESTAMP_MAX {
        return Err(SealError::OutOfRange("scored_at"));
    }
    for score in &exposure.goals {
        if score.goal.0 & EXPLORED != 0 {
            return Err(SealError::OutOfRange("goal"));
        }
        if !score.logit.is_finite() {
            return Err(SealError::OutOfRange("logit"));
        }
        if !(0.0..=1.0).contains(&score.p) {
            return Err(SealError::OutOfRange("p"));
        }
        if !(score.multiplier >= 0.0 && f64::from(score.multiplier) <= MULTIPLIER_BOUNDS.1) {
            return Err(SealError::OutOfRange("multiplier"));
        }
    }
    let valued = exposure.features.iter().filter(|feature| feature.value_code() != 0).count();
    if valued > VALUED_FEATURES_MAX { Err(SealError::TooManyValued { count: valued }) } else { Ok(()) }
}
