//! What holds for every exposure and every text that calls itself a token.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::exposure::{
    Arm, EXPOSED_GOALS_MAX, EXPOSED_SEGMENTS_MAX, FEATURE_SCHEMA, FEATURES_MAX, Feature, GoalScore, SLOT_BITS,
};
use crate::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::units::TIMESTAMP_MAX;

const DAY: Span = Span::days(1);
const NOON: Timestamp = Timestamp(1_763_812_800_000);

fn tokens() -> Tokens {
    Tokens::new(TokenKey::new(7, [7; 16]), Vec::new(), 1)
}

/// An exposure of which nothing optional is known.
fn smallest() -> Exposure {
    Exposure {
        schema: FEATURE_SCHEMA,
        opportunity: OpportunityKey(1),
        user: None,
        advertiser: AdvertiserCode(0),
        line_item: None,
        item: None,
        category: None,
        scored_at: NOON,
        arm: Arm::Treated,
        goals: ArrayVec::new(),
        externals: ArrayVec::new(),
        features: ArrayVec::new(),
    }
}

/// An exposure that uses all room there is.
fn largest() -> Exposure {
    let score = GoalScore { goal: GoalCode(u16::MAX >> 1), logit: -30.0, p: 1.0, multiplier: 10.0, is_explored: true };
    let feature = |rank: usize| {
        let code = if rank < VALUED_FEATURES_MAX { 15 } else { 0 };
        Feature::from_parts((1 << SLOT_BITS) - (FEATURES_MAX - rank) as u32, code).unwrap()
    };
    Exposure {
        user: Some(UserKey(u64::MAX)),
        line_item: Some(ItemKey(u32::MAX)),
        item: Some(ItemKey(u32::MAX)),
        category: Some(ItemKey(u32::MAX)),
        arm: Arm::Holdout,
        goals: [score; EXPOSED_GOALS_MAX].into(),
        externals: [SegmentCode(u16::MAX); EXPOSED_SEGMENTS_MAX].into(),
        features: (0..FEATURES_MAX).map(feature).collect(),
        ..smallest()
    }
}

fn scores() -> impl Strategy<Value = Vec<GoalScore>> {
    let score = (0..=u16::MAX >> 1, -1e6f32..1e6, 0.0f32..=1.0, 1e-3f32..=10.0, any::<bool>());
    let score = score.prop_map(|(goal, logit, p, multiplier, is_explored)| GoalScore {
        goal: GoalCode(goal),
        logit,
        p,
        multiplier,
        is_explored,
    });
    vec(score, 0..=EXPOSED_GOALS_MAX)
}

/// Features in slots that are spread or crowded, sorted, few enough of them valued.
fn features() -> impl Strategy<Value = Vec<Feature>> {
    let slot = prop_oneof![0u32..1 << SLOT_BITS, 0u32..40, (1 << SLOT_BITS) - 40..1u32 << SLOT_BITS];
    (vec(slot, 0..=FEATURES_MAX), vec((0..FEATURES_MAX, 1u8..16), 0..=VALUED_FEATURES_MAX)).prop_map(
        |(slots, codes)| {
            let mut features: Vec<Feature> = slots.iter().map(|slot| Feature::from_parts(*slot, 0).unwrap()).collect();
            for (rank, code) in codes {
                if let Some(feature) = features.get_mut(rank) {
                    *feature = feature.with_value_code(code);
                }
            }
            features.sort_unstable_by_key(|feature| (feature.slot(), feature.value_code()));
            features
        },
    )
}

prop_compose! {
    fn exposures()(
        opportunity in any::<u64>(),
        user in option::of(any::<u64>()),
        advertiser in any::<u16>(),
        [line_item, item, category] in [(); 3].map(|()| option::of(any::<u32>())),
        scored_at in 0..=TIMESTAMP_MAX.0,
        arm in 0u8..3,
        goals in scores(),
        externals in vec(any::<u16>(), 0..=EXPOSED_SEGMENTS_MAX),
        features in features(),
    ) -> Exposure {
        Exposure {
            schema: FEATURE_SCHEMA,
            opportunity: OpportunityKey(opportunity),
            user: user.map(UserKey),
            advertiser: AdvertiserCode(advertiser),
            line_item: line_item.map(ItemKey),
            item: item.map(ItemKey),
            category: category.map(ItemKey),
            scored_at: Timestamp(scored_at),
            arm: Arm::from_number(arm).unwrap(),
            goals: goals.into_iter().collect(),
            externals: externals.into_iter().map(SegmentCode).collect(),
            features: features.into_iter().collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_sealed_comes_back(exposure in exposures(), shuffled in any::<bool>()) {
        let tokens = tokens();
        let (mut given, mut expected) = (exposure.clone(), exposure);
        if shuffled {
            given.features.reverse();
            expected.features.reverse();
            expected.features.sort_by_key(|feature| feature.slot());
        }
        let token = tokens.seal(&given).unwrap();
        prop_assert!(token.len() <= TOKEN_CHARACTERS_MAX, "{}", token.len());
        prop_assert_eq!(tokens.open(expected.scored_at, Span::ZERO, &token), Ok(expected));
    }

    /// A payload that was changed by one who holds the key is refused, or is another exposure's only spelling.
    #[test]
    fn each_exposure_has_one_spelling(
        exposure in exposures(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut payload = TokenBytes::new();
        layout::write(&exposure, &mut payload).unwrap();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if let Ok(other) = layout::read(&payload) {
            let mut again = TokenBytes::new();
            layout::write(&other, &mut again).unwrap();
            prop_assert_eq!(again, payload);
        }
    }

    #[test]
    fn no_text_makes_opening_panic(
        text in ".{0,500}",
        alphabet in "[A-Za-z0-9_-]{64,400}",
        payload in vec(any::<u8>(), 0..300),
    ) {
        prop_assert!(tokens().open(NOON, DAY, &text).is_err());
        prop_assert!(tokens().open(NOON, DAY, &alphabet).is_err());
        let _ = layout::read(&payload);
    }
}

#[test]
fn the_longest_token_has_exactly_400_characters() {
    let tokens = tokens();
    let token = tokens.seal(&largest()).unwrap();
    assert_eq!(token.len(), TOKEN_CHARACTERS_MAX);
    assert_eq!(tokens.open(NOON, DAY, &token), Ok(largest()));
    assert_eq!(URL_SAFE_NO_PAD.decode(tokens.seal(&smallest()).unwrap()).unwrap().len(), TOKEN_BYTES_MIN);
}

/// Replicas of two versions open each other's tokens while the service is being upgraded: another layout needs
/// another version.
#[test]
fn the_table_of_bytes_holds() {
    let feature = |slot: u32, code: u8| Feature::from_parts(slot, code).unwrap();
    let exposure = Exposure {
        opportunity: OpportunityKey(0x0807_0605_0403_0201),
        user: Some(UserKey(0x1817_1615_1413_1211)),
        advertiser: AdvertiserCode(0x0a09),
        item: Some(ItemKey(0x2423_2221)),
        scored_at: Timestamp(0x0036_3534_3332),
        arm: Arm::Control,
        goals: [GoalScore { goal: GoalCode(0x4241), logit: -2.0, p: 0.125, multiplier: 1.5, is_explored: false }]
            .into_iter()
            .collect(),
        externals: [SegmentCode(0x5251)].into_iter().collect(),
        features: [feature(0x00_1234, 0), feature(0x01_5678, 9), feature(0x3f_ffff, 0)].into_iter().collect(),
        ..smallest()
    };
    let expected: [&[u8]; 13] = [
        &[FEATURE_SCHEMA, 0b01_0101, 1 << 3 | 1, 3],
        &[0x32, 0x33, 0x34, 0x35, 0x36, 0],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0x09, 0x0a],
        &[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18],
        &[0x21, 0x22, 0x23, 0x24],
        &[0x41, 0x42],
        &[0, 0, 0, 0xc0, 0, 0, 0, 0x3e, 0, 0, 0xc0, 0x3f],
        &[0x51, 0x52],
        &[0x34, 0x12, 0x78, 0x56, 0xff, 0xff],
        // Highs 0, 1 and 63 at ranks 0, 1 and 2 set bits 0, 2 and 65.
        &[0b101, 0, 0, 0, 0, 0, 0, 0, 0b10],
        &[0b010],
        &[9],
    ];
    let mut payload = TokenBytes::new();
    layout::write(&exposure, &mut payload).unwrap();
    assert_eq!(payload.as_slice(), expected.concat());

    let mut explored = exposure;
    explored.goals[0].is_explored = true;
    let place = expected[..6].concat().len() + 1;
    payload[place] |= 0x80;
    assert_eq!(layout::read(&payload), Ok(explored), "one bit more, that older tokens leave at 0");
}

#[test]
fn a_changed_token_is_refused() {
    let tokens = tokens();
    for exposure in [smallest(), largest()] {
        let token = tokens.seal(&exposure).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0 => TokenRefusal::Version,
                1 => TokenRefusal::Foreign,
                _ => TokenRefusal::Forged,
            };
            assert_eq!(tokens.open(NOON, DAY, &URL_SAFE_NO_PAD.encode(&changed)), Err(expected), "bit {bit}");
        }
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = std::str::from_utf8(&changed) {
                assert!(tokens.open(NOON, DAY, changed).is_err(), "bit {bit} of the text");
            }
        }
        for length in 0..token.len() {
            let refusal = tokens.open(NOON, DAY, &token[..length]).unwrap_err();
            assert!(matches!(refusal, TokenRefusal::Malformed | TokenRefusal::Forged), "{length}: {refusal:?}");
        }
        for longer in [format!("{token}A"), format!("{token}AAAA"), format!("{token}="), format!(" {token}")] {
            assert!(tokens.open(NOON, DAY, &longer).is_err(), "{longer}");
        }
    }
}

#[test]
fn keys_are_told_apart() {
    let token = tokens().seal(&smallest()).unwrap();
    let key = |id: u8, byte: u8| TokenKey::new(id, [byte; 16]);
    let many = |last: TokenKey| (0..4).map(|id| key(id, 0)).chain([last]).collect();
    let cases = [
        ("another id", Tokens::new(key(8, 7), vec![], 1), Err(TokenRefusal::Foreign)),
        ("another secret of that id", Tokens::new(key(7, 8), vec![], 1), Err(TokenRefusal::Forged)),
        ("a former key", Tokens::new(key(8, 8), vec![key(9, 9), key(7, 7)], 1), Ok(smallest())),
        ("a former key of the same id", Tokens::new(key(7, 8), vec![key(7, 7)], 1), Ok(smallest())),
        ("the fifth former key", Tokens::new(key(8, 8), many(key(7, 7)), 1), Err(TokenRefusal::Foreign)),
        ("another replica", Tokens::new(key(7, 7), vec![], 2), Ok(smallest())),
        (
            "a generated key",
            Tokens::new(TokenKey { id: 7, ..TokenKey::generate() }, vec![], 2),
            Err(TokenRefusal::Forged),
        ),
    ];
    for (name, tokens, expected) in cases {
        assert_eq!(tokens.open(NOON, DAY, &token), expected, "{name}");
    }
}

#[test]
fn age_is_limited_both_ways() {
    let tokens = tokens();
    let token = tokens.seal(&smallest()).unwrap();
    let expired = Err(TokenRefusal::Expired);
    let cases = [
        (NOON, Ok(smallest())),
        (NOON + DAY, Ok(smallest())),
        (NOON + DAY + Span(1), expired.clone()),
        (NOON - CLOCK_SKEW_MAX, Ok(smallest())),
        (NOON - CLOCK_SKEW_MAX - Span(1), expired.clone()),
        (Timestamp(0), expired.clone()),
        (Timestamp(u64::MAX), expired),
    ];
    for (now, expected) in cases {
        assert_eq!(tokens.open(now, DAY, &token), expected, "{now:?}");
    }
    assert_eq!(tokens.open(Timestamp(u64::MAX), Span(u64::MAX), &token), Ok(smallest()));
}

#[test]
fn another_feature_schema_is_another_version() {
    let tokens = tokens();
    let token = tokens.seal(&Exposure { schema: FEATURE_SCHEMA + 1, ..largest() }).unwrap();
    assert_eq!(tokens.open(NOON, DAY, &token), Err(TokenRefusal::Version));
}

#[test]
fn what_could_not_be_opened_is_not_sealed() {
    let scored = |change: fn(&mut GoalScore)| {
        let mut exposure = largest();
        change(&mut exposure.goals[3]);
        exposure
    };
    let mut valued = largest();
    valued.features[VALUED_FEATURES_MAX] = valued.features[VALUED_FEATURES_MAX].with_value_code(1);
    let cases = [
        (valued, SealError::TooManyValued { count: VALUED_FEATURES_MAX + 1 }),
        (Exposure { scored_at: TIMESTAMP_MAX + Span(1), ..largest() }, SealError::OutOfRange("scored_at")),
        (scored(|score| score.goal = GoalCode(1 << 15)), SealError::OutOfRange("goal")),
        (scored(|score| score.logit = f32::INFINITY), SealError::OutOfRange("logit")),
        (scored(|score| score.p = f32::NAN), SealError::OutOfRange("p")),
        (scored(|score| score.p = 1.01), SealError::OutOfRange("p")),
        (scored(|score| score.multiplier = -0.1), SealError::OutOfRange("multiplier")),
        (scored(|score| score.multiplier = f32::NAN), SealError::OutOfRange("multiplier")),
        (scored(|score| score.multiplier = 10.1), SealError::OutOfRange("multiplier")),
    ];
    for (exposure, expected) in cases {
        assert_eq!(tokens().seal(&exposure), Err(expected));
    }
}

#[test]
fn no_nonce_comes_twice() {
    let tokens = tokens();
    let seal_many = || (0..2_000).map(|_| tokens.seal(&smallest()).unwrap()).collect::<Vec<_>>();
    let sealed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(seal_many)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let nonce = |token: &String| URL_SAFE_NO_PAD.decode(token).unwrap()[HEAD_BYTES..PAYLOAD_START].to_vec();
    assert_eq!(sealed.iter().map(nonce).collect::<BTreeSet<_>>().len(), sealed.len());
    assert_eq!(sealed.iter().collect::<BTreeSet<_>>().len(), sealed.len());
}

/// Should two starts draw the same replica id, their counters still keep their nonces apart.
#[test]
fn two_starts_count_from_different_places() {
    let first = |tokens: Tokens| URL_SAFE_NO_PAD.decode(tokens.seal(&smallest()).unwrap()).unwrap();
    let [one, other] = [tokens(), tokens()].map(|tokens| first(tokens)[HEAD_BYTES..PAYLOAD_START].to_vec());
    assert_eq!(one[..4], other[..4], "the replica, which is an argument");
    assert_ne!(one[4..], other[4..]);
}

#[test]
fn a_used_up_counter_refuses() {
    let tokens = tokens();
    tokens.counter.store(u64::MAX - 1, Ordering::Relaxed);
    assert!(tokens.seal(&smallest()).is_ok());
    for _ in 0..3 {
        assert_eq!(tokens.seal(&smallest()), Err(SealError::NoncesUsedUp));
    }
}

#[test]
fn secrets_are_not_shown() {
    let key = TokenKey::new(7, [0xab; 16]);
    assert_eq!(format!("{key:?}"), "TokenKey { id: 7, .. }");
    assert_eq!(format!("{:?}", Tokens::new(key, vec![], 9)), "Tokens { key: 7, replica: 9, .. }");
}
