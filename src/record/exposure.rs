//! Exposures as protocol buffers.

use arrayvec::ArrayVec;

use super::fault::{Fault, narrow, required};
use crate::exposure::{Arm, Exposure, Feature, GoalScore, SLOT_BITS};
use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::pb::journal as pb;
use crate::units::Timestamp;

pub(super) fn write(exposure: &Exposure) -> pb::Exposure {
    pb::Exposure {
        schema: exposure.schema.into(),
        opportunity: exposure.opportunity.0,
        user: exposure.user.map(|user| user.0),
        advertiser: exposure.advertiser.0.into(),
        line_item: exposure.line_item.map(|key| key.0),
        item: exposure.item.map(|key| key.0),
        category: exposure.category.map(|key| key.0),
        scored_at_ms: exposure.scored_at.0,
        arm: exposure.arm.number().into(),
        goals: exposure.goals.iter().map(write_score).collect(),
        externals: exposure.externals.iter().map(|code| code.0.into()).collect(),
        features: exposure.features.iter().map(|feature| write_feature(*feature)).collect(),
    }
}

pub(super) fn read(exposure: pb::Exposure) -> Result<Exposure, Fault> {
    let externals = exposure.externals.into_iter().map(|code| Ok(SegmentCode(narrow("externals", code)?)));
    Ok(Exposure {
        schema: narrow("schema", exposure.schema)?,
        opportunity: OpportunityKey(exposure.opportunity),
        user: exposure.user.map(UserKey),
        advertiser: AdvertiserCode(narrow("advertiser", exposure.advertiser)?),
        line_item: exposure.line_item.map(ItemKey),
        item: exposure.item.map(ItemKey),
        category: exposure.category.map(ItemKey),
        scored_at: Timestamp(exposure.scored_at_ms),
        arm: read_arm(exposure.arm)?,
        goals: bounded("goals", exposure.goals.into_iter().map(read_score))?,
        externals: bounded("externals", externals)?,
        features: bounded("features", exposure.features.into_iter().map(read_feature))?,
    })
}

/// A list that must not be longer than its place.
fn bounded<T, const LIMIT: usize>(
    field: &'static str,
    entries: impl ExactSizeIterator<Item = Result<T, Fault>>,
) -> Result<ArrayVec<T, LIMIT>, Fault> {
    if entries.len() > LIMIT {
        return Err(Fault::TooMany { field, count: entries.len(), limit: LIMIT });
    }
    entries.collect()
}

fn read_arm(number: u32) -> Result<Arm, Fault> {
    let allowed = "0 (treated), 1 (control) or 2 (holdout)";
    let arm = u8::try_from(number).ok().and_then(Arm::from_number);
    arm.ok_or(Fault::OutOfRange { field: "arm", value: number.into(), allowed })
}

fn write_score(score: &GoalScore) -> pb::GoalScore {
    pb::GoalScore {
        goal: score.goal.0.into(),
        logit: Some(score.logit),
        p: Some(score.p),
        multiplier: Some(score.multiplier),
        explored: score.is_explored,
    }
}

fn read_score(score: pb::GoalScore) -> Result<GoalScore, Fault> {
    Ok(GoalScore {
        goal: GoalCode(narrow("goal", score.goal)?),
        logit: required("logit", score.logit)?,
        p: required("p", score.p)?,
        multiplier: required("multiplier", score.multiplier)?,
        is_explored: score.explored,
    })
}

fn write_feature(feature: Feature) -> u32 {
    feature.slot() | u32::from(feature.value_code()) << SLOT_BITS
}

fn read_feature(bits: u32) -> Result<Feature, Fault> {
    let slot = bits & ((1 << SLOT_BITS) - 1);
    let feature = u8::try_from(bits >> SLOT_BITS).ok().and_then(|code| Feature::from_parts(slot, code));
    let allowed = "22 bits of slot and 4 of value";
    feature.ok_or(Fault::OutOfRange { field: "features", value: bits.into(), allowed })
}
