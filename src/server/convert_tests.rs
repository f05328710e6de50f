//! Every number in its own field: all that one message holds are different, so that two that were swapped show.

use super::*;
use crate::engine::Engine;
use crate::event::{Event, Record};
use crate::exposure::Arm;
use crate::ids::SegmentCode;
use crate::insight::{ArmReport, GoalReport, RateReport};
use crate::opportunity::PrivacyMode;
use crate::settings::{Advertiser, ExternalSegment, Goal, Settings};
use crate::signal::About;
use crate::units::{Micros, Timestamp};

/// An advertiser "acme" with the goals "sign_up" and "purchase" and the external segment "p/1".
fn catalog() -> std::sync::Arc<Catalog> {
    let mut acme = Advertiser::new(Id::literal("acme"));
    acme.goals = ["sign_up", "purchase"].map(|name| Goal::new(Id::literal(name))).to_vec();
    acme.externals = vec![ExternalSegment { id: Id::literal("p/1"), weight: 1.0 }];
    let event = Event::Configured(Box::new(Settings { advertisers: vec![acme], ..Settings::default() }));
    let mut engine = Engine::new();
    engine.apply(&Record { at: Timestamp(1), occurred_at: Timestamp(1), event_id: None, event });
    engine.publish();
    engine.scorer().catalog()
}

fn request() -> ScoreRequest {
    ScoreRequest {
        opportunity: Id::literal("o1"),
        users: Vec::new(),
        context: Vec::new(),
        numbers: Vec::new(),
        segments: Vec::new(),
        privacy: PrivacyMode::Full,
        targets: Vec::new(),
        reasons_max: 0,
    }
}

const EXPLORED: Explored = Explored { share: 0.01, ln_mean: 0.02, ln_deviation: 0.03 };
const EXPLORED_ON_WIRE: pb::Exploration =
    pb::Exploration { share: 0.01, ln_multiplier_mean: 0.02, ln_multiplier_deviation: 0.03 };

#[test]
fn a_signal_has_each_number_in_its_field() {
    let catalog = catalog();
    let acme = catalog.advertiser("acme").unwrap();
    let of = Signal {
        goal: catalog.goal(acme, "purchase").unwrap(),
        multiplier: 1.1,
        treated_multiplier: 1.2,
        spend_factor: 1.3,
        explored: Some(EXPLORED),
        suppress: Some(Suppression::JustConverted),
        p_conversion: 0.14,
        interval: (0.15, 0.16),
        baseline: 0.17,
        expected_value: Micros(18),
        stage: catalog.action(acme, "add_to_cart"),
        segments: [SegmentCode(64)].into_iter().collect(),
        readiness: Readiness::Warming { users: 19, needed: 20 },
        neutral: Some(Neutral::Support),
        arm: Arm::Control,
        logit: -2.1,
        correction: -2.2,
        intercept: -2.3,
        reasons: vec![Reason { about: About::Everybody, contribution: 2.4, collided: true }],
    };
    let expected = pb::Signal {
        goal: "purchase".into(),
        multiplier: 1.1,
        suppress: true,
        p_conversion: 0.14,
        p_low: 0.15,
        p_high: 0.16,
        baseline: 0.17,
        expected_value_micros: 18,
        stage: "add_to_cart".into(),
        segments: vec!["p/1".into()],
        readiness: Some(pb::Readiness { state: pb::readiness::State::Warming.into(), users: 19, needed: 20 }),
        neutral: pb::NeutralReason::Support.into(),
        arm: pb::Arm::Control.into(),
        reasons: vec![pb::Reason {
            code: words::code(&catalog, acme, &request(), &About::Everybody),
            contribution: 2.4,
            collided: true,
            words: String::new(),
        }],
        logit: -2.1,
        intercept: -2.3,
        correction: -2.2,
        suppress_reason: pb::SuppressReason::JustConverted.into(),
        spend_factor: 1.3,
        explored: Some(EXPLORED_ON_WIRE),
    };
    assert_eq!(signal(&catalog, &request(), &of, false), expected);
    let in_words = signal(&catalog, &request(), &of, true).reasons.remove(0).words;
    assert_eq!(in_words, words::reason(&catalog, acme, &request(), &of.reasons[0]));
}

#[test]
fn a_combined_signal_has_each_number_in_its_field() {
    let catalog = catalog();
    let [sign_up, purchase] =
        ["sign_up", "purchase"].map(|name| catalog.goal(catalog.advertiser("acme").unwrap(), name).unwrap());
    let of = Combined {
        multiplier: 1.1,
        treated_multiplier: 1.2,
        lead: sign_up,
        explored: Some(EXPLORED),
        suppress: Some(Suppression::Holdout),
        expected: 0.13,
        interval: (0.14, 0.15),
        baseline: 0.16,
        neutral: Some(Neutral::NoBaseP),
        arm: Arm::Holdout,
        parts: vec![Part { goal: purchase, weight: 1.7, gain: 0.18 }, Part { goal: sign_up, weight: 1.9, gain: 0.2 }],
    };
    let expected = pb::Combined {
        multiplier: 1.1,
        suppress: true,
        suppress_reason: pb::SuppressReason::Holdout.into(),
        expected: 0.13,
        low: 0.14,
        high: 0.15,
        baseline: 0.16,
        neutral: pb::NeutralReason::NoBaseP.into(),
        arm: pb::Arm::Holdout.into(),
        parts: vec![
            pb::CombinedPart { goal: "purchase".into(), weight: 1.7, gain: 0.18 },
            pb::CombinedPart { goal: "sign_up".into(), weight: 1.9, gain: 0.2 },
        ],
        explored: Some(EXPLORED_ON_WIRE),
    };
    assert_eq!(combined(&catalog, &of), expected);
}

const fn people(from: u64) -> ArmPeople {
    ArmPeople { converters: from, reached: from + 1, reached_converters: from + 2 }
}

fn people_on_wire(from: u64) -> Option<pb::ArmPeople> {
    Some(pb::ArmPeople { converters: from, reached: from + 1, reached_converters: from + 2 })
}

const EXPERIMENT: Incrementality = Incrementality {
    since: Timestamp(26),
    treated: people(100),
    control: people(200),
    holdout: people(300),
    treated_share: 0.27,
    holdout_share: 0.28,
    everybody: Some(Lift { ratio: 29.0, low: 30.0, high: 31.0 }),
    reached: Some(Lift { ratio: 32.0, low: 33.0, high: 34.0 }),
};

fn experiment_on_wire() -> pb::Incrementality {
    pb::Incrementality {
        since_ms: 26,
        treated: people_on_wire(100),
        control: people_on_wire(200),
        holdout: people_on_wire(300),
        treated_share: 0.27,
        holdout_share: 0.28,
        everybody: Some(pb::Lift { ratio: 29.0, low: 30.0, high: 31.0 }),
        reached: Some(pb::Lift { ratio: 32.0, low: 33.0, high: 34.0 }),
    }
}

#[test]
fn a_goal_has_each_number_in_its_field() {
    let of = GoalReport {
        impressions: 1.0,
        clicks: 2.0,
        conversions: 3.0,
        organic_conversions: 4.0,
        value: Micros(5),
        cost: Micros(6),
        currency: Currency::parse("EUR").unwrap(),
        rate: RateReport { mean: 0.7, low: 0.8, high: 0.9 },
        baseline: 0.1,
        readiness: Readiness::Warming { users: 11, needed: 12 },
        arms: vec![ArmReport { arm: Arm::Holdout, impressions: 13.0, positives: 14.0, predicted: 15.0 }],
        by_multiplier: vec![
            ClassCounts { from: 16.0, below: Some(17.0), impressions: 18.0, positives: 19.0, predicted: 20.0 },
            ClassCounts { from: 21.0, below: None, impressions: 22.0, positives: 23.0, predicted: 24.0 },
        ],
        live_impressions: 25,
        incrementality: Some(EXPERIMENT),
        spend: SpendReport {
            treated: 35.0,
            control: 36.0,
            ratio: Some(37.0),
            interval: Some((38.0, 39.0)),
            factor: 40.0,
        },
    };
    let class = |from, below, impressions, positives, predicted| pb::MultiplierReport {
        from,
        below,
        impressions,
        positives,
        predicted,
    };
    let expected = pb::GoalReport {
        impressions: 1.0,
        clicks: 2.0,
        conversions: 3.0,
        organic_conversions: 4.0,
        value_micros: 5,
        cost_micros: 6,
        currency: "EUR".into(),
        rate: Some(pb::Rate { mean: 0.7, low: 0.8, high: 0.9 }),
        baseline: 0.1,
        readiness: Some(pb::Readiness { state: pb::readiness::State::Warming.into(), users: 11, needed: 12 }),
        arms: vec![pb::ArmReport { arm: pb::Arm::Holdout.into(), impressions: 13.0, positives: 14.0, predicted: 15.0 }],
        live_impressions: 25,
        incrementality: Some(experiment_on_wire()),
        spend: Some(pb::SpendReport {
            treated_micros: 35,
            control_micros: 36,
            ratio: Some(37.0),
            ratio_low: Some(38.0),
            ratio_high: Some(39.0),
            factor: 40.0,
        }),
        by_multiplier: vec![class(16.0, Some(17.0), 18.0, 19.0, 20.0), class(21.0, None, 22.0, 23.0, 24.0)],
    };
    assert_eq!(goal_report(&of), expected);
}
