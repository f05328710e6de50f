//! Fixed records for the tests of this folder.

use crate::action::ActionKind;
use crate::event::{Action, Click, Conversion, Converter, Event, Impression, Record, Retraction, Shown, Unscored};
use crate::exposure::{Arm, Exposure, Feature, GoalScore};
use crate::ids::{AdvertiserCode, GoalCode, Id, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::settings::*;
use crate::units::{Currency, Micros, Money, Span, Timestamp};

/// An event with two times.
pub(super) fn record(event: Event) -> Record {
    Record { at: Timestamp(1_700_000_000_000), occurred_at: Timestamp(1_699_999_999_000), event_id: None, event }
}

/// One record of every kind, with every field set in at least one of them.
pub(super) fn one_of_each() -> Vec<Record> {
    let id = Id::literal;
    let money = |amount| Some(Money { amount: Micros(amount), currency: Currency::parse("EUR") });
    let exposure = Exposure {
        schema: 1,
        opportunity: OpportunityKey(0x0102_0304_0506_0708),
        user: Some(UserKey(7)),
        advertiser: AdvertiserCode(2),
        line_item: Some(ItemKey(3)),
        item: Some(ItemKey(4)),
        category: Some(ItemKey(5)),
        scored_at: Timestamp(1_699_999_999_500),
        arm: Arm::Control,
        goals: [GoalScore { goal: GoalCode(1), logit: -0.0, p: 0.25, multiplier: 1.5, is_explored: false }]
            .into_iter()
            .collect(),
        externals: [SegmentCode(64)].into_iter().collect(),
        features: [Feature::from_parts(1, 0), Feature::from_parts((1 << 22) - 1, 8)].into_iter().flatten().collect(),
    };
    let unscored = Unscored {
        opportunity: OpportunityKey(9),
        user: UserKey(7),
        advertiser: id("acme"),
        goals: vec![id("purchase")],
        item: Some(id("sku")),
        category: Some(id("shoes")),
    };
    let action = Action {
        user: UserKey(7),
        advertiser: id("acme"),
        action: id("view_item"),
        item: Some(id("sku")),
        category: Some(id("shoes")),
        value: money(19_900_000),
    };
    let conversion = Conversion {
        by: Converter::Opportunity { opportunity: OpportunityKey(9), user: Some(UserKey(7)) },
        advertiser: id("acme"),
        goal: id("purchase"),
        item: Some(id("sku")),
        category: Some(id("shoes")),
        value: money(40_000_000),
        conversion_id: Some(id("c1")),
    };
    let scored = Shown::Scored(Box::new(exposure.clone()));
    let mut records: Vec<Record> = [
        Event::Action(action),
        Event::Impression(Impression { of: scored, cost: money(1_200), bid: None }),
        Event::Impression(Impression { of: Shown::Named(Box::new(unscored.clone())), cost: None, bid: None }),
        Event::GhostImpression(Box::new(exposure)),
        Event::Click(Click::Opportunity(OpportunityKey(9))),
        Event::Click(Click::User { user: UserKey(7), advertiser: id("acme") }),
        Event::Conversion(conversion.clone()),
        Event::Conversion(Conversion { by: Converter::User(UserKey(7)), ..conversion }),
        Event::Retraction(Retraction { advertiser: id("acme"), conversion_id: id("c1") }),
        Event::Link([UserKey(7), UserKey(8)]),
        Event::Forget(UserKey(7)),
        Event::Configured(Box::new(small_settings())),
        Event::Tick,
        Event::Impression(Impression { of: Shown::Named(Box::new(unscored)), cost: money(1_200), bid: money(2_000) }),
    ]
    .into_iter()
    .map(record)
    .collect();
    records[0].event_id = Some(id("e1").into());
    records
}

/// Settings with something in every list. Nothing comes from a default: new defaults are no new format.
pub(super) fn small_settings() -> Settings {
    Settings {
        advertisers: vec![small_advertiser()],
        learner: Learner { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 2.0, half_life: Span::days(30), table_bits: 18 },
        arms: Arms { salt: 5, control_share: 0.05, holdout_share: 0.01 },
        limits: Limits {
            profiles_max: 1_000_000,
            live_impressions_max: 200_000,
            live_per_user_max: 512,
            conversions_max: 100_000,
            event_ids_max: 300_000,
            linked_ids_max: 16,
            closings_per_tick: 10_000,
            interests_max: 8,
        },
        retention: Retention {
            lateness: Span::hours(72),
            clock_skew: Span::minutes(5),
            retraction: Span::days(30),
            token: Span::hours(24),
            profile: Span::days(90),
        },
        // As in frames that are older than the field.
        guards: Guards::OFF,
    }
}

fn small_advertiser() -> Advertiser {
    let id = Id::literal;
    let milestone = ActionKind::Milestone { position: 50 };
    let rule = Rule::All(vec![
        Rule::Not(Box::new(Rule::Count { action: id("purchase"), window: Span::days(30), at_least: 1 })),
        Rule::Any(vec![Rule::Recency { action: id("view_item"), less_than: Span::days(1) }, Rule::Sessions(3)]),
        Rule::Any(vec![Rule::Stage(id("view_item")), Rule::External(id("p/1"))]),
    ]);
    Advertiser {
        id: id("acme"),
        actions: vec![
            ActionSetting { id: id("view_item"), kind: milestone, half_life: Span::days(7) },
            ActionSetting { id: id("wave"), kind: ActionKind::Secondary, half_life: Span::hours(1) },
        ],
        goals: vec![small_goal()],
        campaigns: vec![Campaign {
            id: id("spring"),
            goals: vec![id("purchase")],
            objective: vec![(id("purchase"), 0.5)],
        }],
        segments: vec![RuleSegment { id: id("warm"), rule, weight: 1.25 }],
        externals: vec![ExternalSegment { id: id("p/1"), weight: 0.75 }],
        holdout_share: None,
    }
}

fn small_goal() -> Goal {
    let id = Id::literal;
    Goal {
        id: id("purchase"),
        converting_action: Some(id("purchase")),
        click_window: Span::days(7),
        view_window: Span::days(1),
        conversion_delay_min: Span::ZERO,
        milestones: vec![id("view_item")],
        value: Micros(5_000_000),
        currency: Currency::USD,
        prior_rate: 0.01,
        half_life: Span::days(14),
        credit: Credit::Even,
        suppress_after_conversion: None,
        multiplier: Multiplier {
            baseline: Baseline::Request,
            exponent: 1.0,
            min: 0.25,
            max: 4.0,
            prior_variance: 1.5,
            support: 25,
            // As in frames that are older than these fields.
            spend_control: false,
            exploration: 0.0,
        },
    }
}
