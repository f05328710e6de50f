//! Any valid record, for property tests: every event, every field of the settings.

use arrayvec::ArrayVec;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::action::ActionKind;
use crate::event::{
    Action, Click, Conversion, Converter, Event, EventId, Impression, Record, Retraction, Shown, Unscored,
};
use crate::exposure::{Arm, Exposure, Feature, GoalScore};
use crate::ids::{AdvertiserCode, GoalCode, Id, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::settings::*;
use crate::units::{Currency, MICROS_MAX, Micros, Money, Span, TIMESTAMP_MAX, Timestamp};

/// Any valid identifier, mostly short.
pub fn id() -> impl Strategy<Value = Id> + Clone {
    let any_text = prop_oneof![8 => "[a-z_]{1,8}", 1 => "[^\\p{Cc}]{1,32}", 1 => "[a-z/]{128}"];
    any_text.prop_map(|text| Id::new(text).expect("1 to 128 bytes without control characters"))
}

/// Any moment the engine accepts.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0..=TIMESTAMP_MAX.0).prop_map(Timestamp)
}

/// Any amount of money an event may state.
pub fn money() -> impl Strategy<Value = Money> {
    (0..=MICROS_MAX.0, option::of(currency())).prop_map(|(amount, currency)| Money { amount: Micros(amount), currency })
}

/// Any valid record.
pub fn record() -> impl Strategy<Value = Record> {
    (timestamp(), timestamp(), option::of(id()), event()).prop_map(|(at, occurred_at, event_id, event)| Record {
        at,
        occurred_at,
        event_id: event_id.map(EventId::from),
        event,
    })
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        action().prop_map(Event::Action),
        impression().prop_map(Event::Impression),
        exposure().prop_map(|exposure| Event::GhostImpression(Box::new(exposure))),
        click().prop_map(Event::Click),
        conversion().prop_map(Event::Conversion),
        (id(), id())
            .prop_map(|(advertiser, conversion_id)| Event::Retraction(Retraction { advertiser, conversion_id })),
        (user(), user()).prop_map(|(user, other)| Event::Link([user, other])),
        user().prop_map(Event::Forget),
        settings().prop_map(|settings| Event::Configured(Box::new(settings))),
        Just(Event::Tick),
    ]
}

fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code| Currency::parse(&code).expect("three capital letters"))
}

fn user() -> impl Strategy<Value = UserKey> {
    any::<u64>().prop_map(UserKey)
}

fn opportunity() -> impl Strategy<Value = OpportunityKey> {
    any::<u64>().prop_map(OpportunityKey)
}

fn action() -> impl Strategy<Value = Action> {
    (user(), id(), id(), option::of(id()), option::of(id()), option::of(money())).prop_map(
        |(user, advertiser, action, item, category, value)| Action { user, advertiser, action, item, category, value },
    )
}

fn impression() -> impl Strategy<Value = Impression> {
    let of = prop_oneof![
        exposure().prop_map(|exposure| Shown::Scored(Box::new(exposure))),
        unscored().prop_map(|unscored| Shown::Named(Box::new(unscored))),
    ];
    (of, option::of(money()), option::of(money())).prop_map(|(of, cost, bid)| Impression { of, cost, bid })
}

fn unscored() -> impl Strategy<Value = Unscored> {
    (opportunity(), user(), id(), vec(id(), 0..6), option::of(id()), option::of(id())).prop_map(
        |(opportunity, user, advertiser, goals, item, category)| Unscored {
            opportunity,
            user,
            advertiser,
            goals,
            item,
            category,
        },
    )
}

/// Any exposure.
pub fn exposure() -> impl Strategy<Value = Exposure> {
    let item = || option::of(any::<u32>().prop_map(ItemKey));
    let score = (any::<u16>(), -40.0f32..40.0, 0.0f32..=1.0, 0.0f32..10.0, any::<bool>());
    let score = score.prop_map(|(goal, logit, p, multiplier, is_explored)| GoalScore {
        goal: GoalCode(goal),
        logit,
        p,
        multiplier,
        is_explored,
    });
    let externals = vec(any::<u16>().prop_map(SegmentCode), 0..=8);
    let features = vec(
        (any::<bool>(), any::<u64>(), 0u8..16).prop_map(|(is_cross, hash, code)| {
            let feature = if is_cross { Feature::cross(hash) } else { Feature::new(hash) };
            feature.with_value_code(code)
        }),
        0..=crate::exposure::FEATURES_MAX,
    );
    let who = (any::<u8>(), opportunity(), option::of(user()), any::<u16>(), 0usize..3, timestamp());
    (who, item(), item(), item(), vec(score, 0..=4), externals, features).prop_map(
        |(who, line_item, item, category, goals, externals, features)| {
            let (schema, opportunity, user, advertiser, arm, scored_at) = who;
            Exposure {
                schema,
                opportunity,
                user,
                advertiser: AdvertiserCode(advertiser),
                line_item,
                item,
                category,
                scored_at,
                arm: Arm::ALL[arm],
                goals: ArrayVec::from_iter(goals),
                externals: ArrayVec::from_iter(externals),
                features: ArrayVec::from_iter(features),
            }
        },
    )
}

fn click() -> impl Strategy<Value = Click> {
    prop_oneof![
        opportunity().prop_map(Click::Opportunity),
        (user(), id()).prop_map(|(user, advertiser)| Click::User { user, advertiser }),
    ]
}

fn conversion() -> impl Strategy<Value = Conversion> {
    let by =
        prop_oneof![
            user().prop_map(Converter::User),
            (opportunity(), option::of(user()))
                .prop_map(|(opportunity, user)| Converter::Opportunity { opportunity, user }),
            (opportunity(), option::of(user()), timestamp())
                .prop_map(|(opportunity, user, scored_at)| Converter::Token { opportunity, user, scored_at }),
        ];
    let of = (id(), id(), option::of(id()), option::of(id()));
    (by, of, option::of(money()), option::of(id())).prop_map(
        |(by, (advertiser, goal, item, category), value, conversion_id)| Conversion {
            by,
            advertiser,
            goal,
            item,
            category,
            value,
            conversion_id,
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    any::<u64>().prop_map(Span)
}

fn factor() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..10.0, 0.0..f64::MAX, Just(1.0)]
}

/// Any settings within all limits; what they name need not exist.
pub fn settings() -> impl Strategy<Value = Settings> {
    (vec(advertiser(), 0..3), learner(), arms(), limits(), retention(), guards()).prop_map(
        |(advertisers, learner, arms, limits, retention, guards)| Settings {
            advertisers,
            learner,
            arms,
            limits,
            retention,
            guards,
        },
    )
}

fn advertiser() -> impl Strategy<Value = Advertiser> {
    let kind =
        prop_oneof![Just(ActionKind::Secondary), (1u8..).prop_map(|position| ActionKind::Milestone { position })];
    let action = (id(), kind, 60_000u64..).prop_map(|(id, kind, half_life)| ActionSetting {
        id,
        kind,
        half_life: Span(half_life),
    });
    let campaign = (id(), vec(id(), 0..3), vec((id(), factor()), 0..3)).prop_map(|(id, goals, objective)| Campaign {
        id,
        goals,
        objective,
    });
    let segment = (id(), rule(), factor()).prop_map(|(id, rule, weight)| RuleSegment { id, rule, weight });
    let external = (id(), factor()).prop_map(|(id, weight)| ExternalSegment { id, weight });
    let lists = (vec(action, 0..4), vec(goal(), 0..3), vec(campaign, 0..2));
    (id(), lists, vec(segment, 0..3), vec(external, 0..3), option::of(0.0..=0.5)).prop_map(
        |(id, (actions, goals, campaigns), segments, externals, holdout_share)| Advertiser {
            id,
            actions,
            goals,
            campaigns,
            segments,
            externals,
            holdout_share,
        },
    )
}

fn goal() -> impl Strategy<Value = Goal> {
    let names = (id(), option::of(id()), vec(id(), 0..4));
    let credit = prop_oneof![Just(Credit::LastTouch), Just(Credit::Even)];
    let suppress = option::of((0..=SUPPRESS_MAX.0).prop_map(Span));
    let spans = [span(), span(), span(), span()];
    (names, spans, money(), currency(), 0.001..0.999, (credit, suppress), multiplier()).prop_map(
        |((id, converting_action, milestones), spans, value, currency, prior_rate, (credit, suppress), multiplier)| {
            let [click_window, view_window, half_life, conversion_delay_min] = spans;
            Goal {
                id,
                converting_action,
                click_window,
                view_window,
                conversion_delay_min,
                milestones,
                value: value.amount,
                currency,
                prior_rate,
                half_life,
                credit,
                suppress_after_conversion: suppress,
                multiplier,
            }
        },
    )
}

fn multiplier() -> impl Strategy<Value = Multiplier> {
    let baseline = prop_oneof![Just(Baseline::Context), Just(Baseline::Goal), Just(Baseline::Request)];
    (baseline, factor(), 0.01..1.0, 1.0..10.0, factor(), any::<u32>(), any::<bool>(), 0.0..=EXPLORATION_MAX).prop_map(
        |(baseline, exponent, min, max, prior_variance, support, spend_control, exploration)| Multiplier {
            baseline,
            exponent,
            min,
            max,
            prior_variance,
            support,
            spend_control,
            exploration,
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    let leaf = prop_oneof![
        (id(), span(), 1..=WINDOWED_COUNT_MAX).prop_map(|(action, window, at_least)| Rule::Count {
            action,
            window,
            at_least
        }),
        (id(), span()).prop_map(|(action, less_than)| Rule::Recency { action, less_than }),
        id().prop_map(Rule::Stage),
        any::<u16>().prop_map(Rule::Sessions),
        id().prop_map(Rule::External),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Rule::All),
            vec(inner.clone(), 0..3).prop_map(Rule::Any),
            inner.prop_map(|part| Rule::Not(Box::new(part))),
        ]
    })
}

fn learner() -> impl Strategy<Value = Learner> {
    let between = |(low, high): (f64, f64)| low..=high;
    let numbers = (between(ALPHA_BOUNDS), between(BETA_BOUNDS), between(PENALTY_BOUNDS), between(PENALTY_BOUNDS));
    (numbers, span(), 10u8..=22).prop_map(|((alpha, beta, l1, l2), half_life, table_bits)| Learner {
        alpha,
        beta,
        l1,
        l2,
        half_life,
        table_bits,
    })
}

fn arms() -> impl Strategy<Value = Arms> {
    (any::<u64>(), 0.0..0.5, 0.0..=0.5).prop_map(|(salt, control_share, holdout_share)| Arms {
        salt,
        control_share,
        holdout_share,
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<[u32; 8]>().prop_map(|limits| {
        let [profiles, live, live_per_user, conversions, event_ids, linked_ids, closings, interests] =
            limits.map(|limit| limit as usize);
        Limits {
            profiles_max: profiles,
            live_impressions_max: live,
            live_per_user_max: live_per_user,
            conversions_max: conversions,
            event_ids_max: event_ids,
            linked_ids_max: linked_ids,
            closings_per_tick: closings,
            interests_max: interests,
        }
    })
}

fn guards() -> impl Strategy<Value = Guards> {
    (any::<u32>(), span())
        .prop_map(|(actions_per_minute_max, quarantine)| Guards { actions_per_minute_max, quarantine })
}

fn retention() -> impl Strategy<Value = Retention> {
    [span(), span(), span(), span(), span()].prop_map(|[lateness, clock_skew, retraction, token, profile]| Retention {
        lateness,
        clock_skew,
        retraction,
        token,
        profile,
    })
}
