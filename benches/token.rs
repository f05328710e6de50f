//! What a token costs on the auction's path, beside what of it is encryption and text alone.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use inkling::exposure::{Arm, Exposure, FEATURE_SCHEMA, Feature, GoalScore};
use inkling::hash;
use inkling::identity::Identity;
use inkling::ids::{AdvertiserCode, GoalCode, ItemKey, OpportunityKey, SegmentCode, UserKey};
use inkling::token::{TOKEN_BYTES_MAX, TokenKey, Tokens, draw_replica};
use inkling::units::{Span, Timestamp};

const NOW: Timestamp = Timestamp(1_763_812_800_000);

/// An exposure with so many features, every fifth of them valued up to 12, goals and external segments.
fn exposure(features: u64, goals: u16, externals: u16) -> Exposure {
    let feature = |rank: u64| Feature::new(hash::mix(rank, 1)).with_value_code(if rank % 5 == 4 { 9 } else { 0 });
    let mut features: Vec<Feature> = (0..features).map(feature).collect();
    features.sort_by_key(|feature| feature.slot());
    Exposure {
        schema: FEATURE_SCHEMA,
        opportunity: OpportunityKey(hash::text("opportunity")),
        user: Some(UserKey(hash::text("user"))),
        advertiser: AdvertiserCode(3),
        line_item: Some(ItemKey(1)),
        item: Some(ItemKey(2)),
        category: Some(ItemKey(3)),
        scored_at: NOW,
        arm: Arm::Treated,
        goals: (0..goals)
            .map(|goal| GoalScore { goal: GoalCode(goal), logit: -4.0, p: 0.02, multiplier: 1.4, is_explored: false })
            .collect(),
        externals: (0..externals).map(SegmentCode).collect(),
        features: features.into_iter().collect(),
    }
}

fn token(criterion: &mut Criterion) {
    let tokens = Tokens::new(TokenKey::generate(), Vec::new(), draw_replica());
    for (name, exposure) in [("typical", exposure(30, 1, 2)), ("largest", exposure(64, 4, 8))] {
        let token = tokens.seal(&exposure).expect("the exposure keeps its limits");
        println!("{name}: {} characters", token.len());
        criterion.bench_function(&format!("token/seal/{name}"), |bencher| {
            bencher.iter(|| tokens.seal(black_box(&exposure)));
        });
        criterion.bench_function(&format!("token/open/{name}"), |bencher| {
            bencher.iter(|| tokens.open(NOW, Span::hours(24), black_box(&token)));
        });
    }
    let bytes = [0x5a; TOKEN_BYTES_MAX];
    criterion.bench_function("base64/encode/largest", |bencher| {
        bencher.iter(|| URL_SAFE_NO_PAD.encode(black_box(&bytes)));
    });
}

fn user_key(criterion: &mut Criterion) {
    let identity = Identity::generate();
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    criterion.bench_function("identity/user_key/uuid", |bencher| bencher.iter(|| identity.user_key(black_box(id))));
}

criterion_group!(benches, token, user_key);
criterion_main!(benches);
