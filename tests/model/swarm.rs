//! What differs from run to run: settings, limits, how often each kind of story is told, how fast time passes.

use inkling::action::ActionKind;
use inkling::expression::READY_MADE;
use inkling::ids::Id;
use inkling::settings::{
    ActionSetting, Advertiser, Arms, Baseline, Campaign, Credit, ExternalSegment, Goal, Guards, Learner, Limits,
    Multiplier, Retention, Rule, RuleSegment, Settings,
};
use inkling::units::{Currency, Micros, Span};

use super::dice::Dice;

/// Actions that stories use; the last is no standard one.
pub const ACTIONS: [&str; 8] =
    ["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase", "video_complete", "sign_up", "spin_wheel"];
pub const ADVERTISERS: [&str; 3] = ["acme", "bolt", "cork"];
pub const EXTERNALS: [&str; 3] = ["p/1", "p/2", "q/1"];

/// Kinds of stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    Browse,
    Advertise,
    AdvertiseByName,
    Convert,
    Retract,
    Link,
    Forget,
    Reconfigure,
    Nuisance,
    Resend,
    Pause,
}

impl Story {
    pub const ALL: [Story; 11] = [
        Story::Browse,
        Story::Advertise,
        Story::AdvertiseByName,
        Story::Convert,
        Story::Retract,
        Story::Link,
        Story::Forget,
        Story::Reconfigure,
        Story::Nuisance,
        Story::Resend,
        Story::Pause,
    ];
    /// How often each is told where it is on and nothing is exaggerated.
    const USUAL: [u64; 11] = [40, 40, 8, 15, 6, 3, 1, 1, 6, 6, 3];
}

pub struct Swarm {
    pub settings: Settings,
    pub weights: [u64; Story::ALL.len()],
    pub users: u64,
    /// Longest time between two stories.
    pub step_ms: u64,
    /// Of a hundred stories, told after the fact.
    pub late: u64,
    /// Of a hundred events, ahead of the clock.
    pub ahead: u64,
    /// Of a hundred events, with an event id.
    pub named: u64,
}

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

impl Swarm {
    pub fn new(dice: &mut Dice) -> Swarm {
        let mut weights = Story::USUAL;
        for weight in &mut weights {
            *weight *= *dice.pick(&[0, 1, 1, 1, 1, 8]);
        }
        weights[0] = weights[0].max(1);
        Swarm {
            settings: settings(dice),
            weights,
            users: if dice.percent(20) { dice.within(60..=200) } else { dice.within(2..=40) },
            step_ms: *dice.pick(&[500, 20_000, 600_000, 7_200_000]),
            late: *dice.pick(&[0, 10, 50]),
            ahead: *dice.pick(&[0, 0, 3]),
            named: *dice.pick(&[0, 20, 90]),
        }
    }
}

/// Other limits and spans of the same shop. What histories and counts are made of stays.
pub fn reconfigured(dice: &mut Dice, settings: &Settings) -> Settings {
    let interests_max = settings.limits.interests_max;
    let mut settings = Settings {
        limits: Limits { interests_max, ..limits(dice) },
        retention: retention(dice),
        arms: arms(dice),
        guards: guards(dice),
        ..settings.clone()
    };
    settings.learner.alpha = *dice.pick(&[0.02, 0.1, 0.5]);
    for goal in settings.advertisers.iter_mut().flat_map(|advertiser| &mut advertiser.goals) {
        goal.multiplier.max = *dice.pick(&[1.0, 3.0, 10.0]);
        goal.multiplier.support = *dice.pick(&[1, 3, 25, 1_000]);
        goal.multiplier.spend_control = dice.percent(90);
    }
    with_room(settings)
}

/// Without the shares of holdout for which the control share leaves no room.
fn with_room(mut settings: Settings) -> Settings {
    let room = 1.0 - settings.arms.control_share;
    for advertiser in &mut settings.advertisers {
        advertiser.holdout_share = advertiser.holdout_share.filter(|share| *share <= room);
    }
    settings
}

fn settings(dice: &mut Dice) -> Settings {
    let count = dice.within(1..=3) as usize;
    let advertisers = ADVERTISERS[..count].iter().map(|name| advertiser(dice, name)).collect();
    let table_bits = dice.within(10..=12) as u8;
    with_room(Settings {
        advertisers,
        learner: Learner { table_bits, ..Learner::default() },
        arms: arms(dice),
        limits: limits(dice),
        retention: retention(dice),
        guards: guards(dice),
    })
}

fn guards(dice: &mut Dice) -> Guards {
    Guards {
        actions_per_minute_max: *dice.pick(&[0, 0, 2, 4, 300]),
        quarantine: *dice.pick(&[Span::minutes(1), Span::minutes(20), Span::days(1)]),
    }
}

fn arms(dice: &mut Dice) -> Arms {
    let control_share = *dice.pick(&[0.0, 0.2, 0.5, 1.0]);
    let holdout_share = if control_share < 1.0 { *dice.pick(&[0.0, 0.0, 0.25]) } else { 0.0 };
    Arms { salt: dice.below(3), control_share, holdout_share }
}

fn limits(dice: &mut Dice) -> Limits {
    let mut small = |usual: usize, least: u64, most: u64| {
        if dice.percent(20) { dice.within(least..=most) as usize } else { usual }
    };
    let usual = Limits::default();
    Limits {
        profiles_max: small(usual.profiles_max, 2, 12),
        live_impressions_max: small(usual.live_impressions_max, 2, 30),
        live_per_user_max: small(usual.live_per_user_max, 1, 4),
        conversions_max: small(usual.conversions_max, 1, 10),
        event_ids_max: small(usual.event_ids_max, 1, 20),
        linked_ids_max: small(usual.linked_ids_max, 2, 4),
        closings_per_tick: small(usual.closings_per_tick, 1, 3),
        interests_max: small(usual.interests_max * 2, 1, 4),
    }
}

fn retention(dice: &mut Dice) -> Retention {
    Retention {
        lateness: Span::hours(*dice.pick(&[1, 12, 72])),
        clock_skew: Span::seconds(*dice.pick(&[0, 5, 300])),
        retraction: Span::days(*dice.pick(&[1, 15, 30])),
        token: Span::hours(*dice.pick(&[1, 24])),
        profile: Span::days(*dice.pick(&[1, 5, 90])),
    }
}

fn advertiser(dice: &mut Dice, name: &str) -> Advertiser {
    let mut advertiser = Advertiser::new(id(name));
    let kind = *dice.pick(&[ActionKind::Secondary, ActionKind::Milestone { position: 70 }]);
    advertiser.actions.push(ActionSetting { id: id("spin_wheel"), kind, half_life: Span::days(7) });
    for action in &mut advertiser.actions {
        action.half_life = *dice.pick(&[Span::minutes(1), Span::hours(1), Span::days(1), Span::days(7)]);
    }
    let goals = dice.within(1..=3) as usize;
    advertiser.goals = ["purchase", "sign_up", "visit"][..goals].iter().map(|name| goal(dice, name)).collect();
    let names: Vec<Id> = advertiser.goals.iter().map(|goal| goal.id.clone()).collect();
    let objective = names.iter().map(|name| (name.clone(), *dice.pick(&[0.2, 1.0, 30.0]))).collect();
    advertiser.campaigns = vec![Campaign { id: id("spring"), goals: names, objective }];
    advertiser.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
    for number in 0..dice.below(6) {
        let segment = RuleSegment { id: id(&format!("rule{number}")), rule: rule(dice, 3), weight: 1.5 };
        advertiser.segments.push(segment);
    }
    let externals = dice.below(EXTERNALS.len() as u64 + 1) as usize;
    advertiser.externals =
        EXTERNALS[..externals].iter().map(|name| ExternalSegment { id: id(name), weight: 0.5 }).collect();
    advertiser.holdout_share = *dice.pick(&[None, None, None, Some(0.0), Some(0.4)]);
    advertiser
}

fn goal(dice: &mut Dice, name: &str) -> Goal {
    let window = |dice: &mut Dice| {
        *dice.pick(&[Span::seconds(90), Span::minutes(20), Span::hours(3), Span::days(1), Span::days(7)])
    };
    let converting = match name {
        "purchase" => dice.percent(50).then_some("purchase"),
        "visit" => dice.percent(40).then(|| *dice.pick(&["purchase", "page_view"])),
        _ => None,
    };
    Goal {
        converting_action: converting.map(id),
        click_window: window(dice),
        view_window: window(dice),
        conversion_delay_min: *dice.pick(&[Span::ZERO, Span::ZERO, Span::ZERO, Span::seconds(1), Span::minutes(2)]),
        milestones: ["view_item", "add_to_cart", "begin_checkout"].map(id).to_vec(),
        value: Micros(dice.within(1_000_000..=9_000_000) as i64),
        currency: if dice.percent(80) { Currency::USD } else { Currency::parse("EUR").unwrap() },
        prior_rate: *dice.pick(&[0.001, 0.05]),
        half_life: *dice.pick(&[Span::days(1), Span::days(14)]),
        credit: *dice.pick(&[Credit::LastTouch, Credit::Even]),
        suppress_after_conversion: *dice.pick(&[None, None, Some(Span::hours(1)), Some(Span::days(7))]),
        multiplier: Multiplier {
            baseline: *dice.pick(&[Baseline::Context, Baseline::Goal, Baseline::Request]),
            support: *dice.pick(&[1, 3, 25, 1_000]),
            spend_control: dice.percent(80),
            ..Multiplier::default()
        },
        ..Goal::new(id(name))
    }
}

fn rule(dice: &mut Dice, depth: u64) -> Rule {
    let parts = |dice: &mut Dice| (0..dice.within(1..=3)).map(|_| rule(dice, depth - 1)).collect();
    let action = |dice: &mut Dice| dice.name(&ACTIONS);
    let span = |dice: &mut Dice| *dice.pick(&[Span(1_500), Span::minutes(5), Span::hours(6), Span::days(2)]);
    match if depth == 0 { 3 + dice.below(5) } else { dice.below(8) } {
        0 => Rule::All(parts(dice)),
        1 => Rule::Any(parts(dice)),
        2 => Rule::Not(Box::new(rule(dice, depth - 1))),
        3 | 4 => Rule::Count { action: action(dice), window: span(dice), at_least: dice.within(1..=8) as u8 },
        5 => Rule::Recency { action: action(dice), less_than: span(dice) },
        6 => Rule::Sessions(dice.within(1..=5) as u16),
        _ => match dice.below(2) {
            0 => Rule::Stage(action(dice)),
            _ => Rule::External(dice.name(&EXTERNALS)),
        },
    }
}
