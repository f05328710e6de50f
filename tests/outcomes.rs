//! What comes of impressions, where the usual is not the case: tables that overflow, notices that say things twice,
//! moments that coincide. Each case was once counted wrongly, and found by the model test.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use inkling::engine::{Applied, Engine};
use inkling::event::{Action, Click, Conversion, Converter, Event, Impression, Record, Retraction, Shown, Unscored};
use inkling::exposure::{Arm, Exposure, FEATURE_SCHEMA, Feature, GoalScore};
use inkling::hash;
use inkling::ids::{AdvertiserCode, GoalCode, Id, SegmentCode, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::rejection::Rejection;
use inkling::settings::{Advertiser, ExternalSegment, Goal, Learner, Limits, Settings};
use inkling::units::{Span, Timestamp};

const NOW: u64 = 1_700_000_000_000;
const GOAL: GoalCode = GoalCode(0);
const EXTERNAL: SegmentCode = SegmentCode(64);

struct Shop {
    engine: Engine,
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

impl Shop {
    fn new() -> Shop {
        Shop::with(Limits::default())
    }

    fn with(limits: Limits) -> Shop {
        let mut advertiser = Advertiser::new(id("acme"));
        advertiser.goals = vec![Goal { half_life: Span::days(1_000), ..Goal::new(id("purchase")) }];
        advertiser.externals = vec![ExternalSegment { id: id("p/1"), weight: 1.5 }];
        let learner = Learner { table_bits: 10, ..Learner::default() };
        let settings = Settings { advertisers: vec![advertiser], limits, learner, ..Settings::default() };
        let mut shop = Shop { engine: Engine::new() };
        assert_eq!(shop.apply(NOW, Event::Configured(Box::new(settings))), Applied::Done);
        shop
    }

    fn apply(&mut self, occurred_at: u64, event: Event) -> Applied {
        let record = Record { at: Timestamp(NOW), occurred_at: Timestamp(occurred_at), event_id: None, event };
        self.engine.apply(&record)
    }

    /// Applies events that must be taken, each so many seconds ago.
    fn take(&mut self, events: impl IntoIterator<Item = (u64, Event)>) {
        for (ago, event) in events {
            assert_eq!(self.apply(NOW - ago * 1_000, event), Applied::Done);
        }
    }

    /// Credited conversions of everyone and of the external segment, and organic ones.
    fn credited(&self) -> [f64; 3] {
        let conversions = |segment| self.engine.cell(GOAL, segment).unwrap().conversions;
        [conversions(None), conversions(Some(EXTERNAL)), self.engine.organic(GOAL)].map(f64::round)
    }

    fn live(&self) -> usize {
        self.engine.sizes()[1].1
    }
}

fn exposure(opportunity: &str, user: u64) -> Box<Exposure> {
    Box::new(Exposure {
        schema: FEATURE_SCHEMA,
        opportunity: hash::opportunity_key("acme", opportunity),
        user: Some(UserKey(user)),
        advertiser: AdvertiserCode(0),
        line_item: None,
        item: None,
        category: None,
        scored_at: Timestamp(NOW - Span::hours(1).0),
        arm: Arm::Treated,
        goals: [GoalScore { goal: GOAL, logit: -3.0, p: 0.05, multiplier: 1.0, is_explored: false }]
            .into_iter()
            .collect(),
        externals: [EXTERNAL].into_iter().collect(),
        features: [Feature::new(1)].into_iter().collect(),
    })
}

fn impression(exposure: Box<Exposure>) -> Event {
    Event::Impression(Impression { of: Shown::Scored(exposure), cost: None, bid: None })
}

fn unscored(opportunity: &str, goals: Vec<Id>) -> Event {
    let unscored = Unscored {
        opportunity: hash::opportunity_key("acme", opportunity),
        user: UserKey(1),
        advertiser: id("acme"),
        goals,
        item: None,
        category: None,
    };
    Event::Impression(Impression { of: Shown::Named(Box::new(unscored)), cost: None, bid: None })
}

fn conversion(user: u64, name: &str) -> Event {
    Event::Conversion(Conversion {
        by: Converter::User(UserKey(user)),
        advertiser: id("acme"),
        goal: id("purchase"),
        item: None,
        category: None,
        value: None,
        conversion_id: Some(id(name)),
    })
}

fn retraction(name: &str) -> Event {
    Event::Retraction(Retraction { advertiser: id("acme"), conversion_id: id(name) })
}

#[test]
fn what_a_notice_says_twice_counts_once() {
    let mut shop = Shop::new();
    let mut twice = exposure("o1", 1);
    twice.goals = [twice.goals[0]; 2].into_iter().collect();
    twice.externals = [EXTERNAL; 2].into_iter().collect();
    let named = unscored("o2", vec![id("purchase"); 2]);
    shop.take([(20, impression(twice)), (10, named), (5, conversion(1, "c1"))]);
    let impressions = |segment| shop.engine.cell(GOAL, segment).unwrap().impressions.round();
    assert_eq!((impressions(None), impressions(Some(EXTERNAL)), shop.live()), (2.0, 1.0, 2));
    assert_eq!(shop.engine.tally().positives, 2);
}

/// A notice by name may leave the goals to the settings, and is idempotent like any other.
#[test]
fn a_notice_without_goals_is_of_all_goals() {
    let mut shop = Shop::new();
    let named = unscored("o1", Vec::new());
    shop.take([(10, named.clone())]);
    assert_eq!(shop.apply(NOW, named), Applied::Duplicate);
    assert_eq!((shop.engine.cell(GOAL, None).unwrap().impressions.round(), shop.live()), (1.0, 1));
}

#[test]
fn events_of_different_kinds_may_have_the_same_id() {
    let mut shop = Shop::new();
    let mut named = |event: Event| {
        let (at, occurred_at) = (Timestamp(NOW), Timestamp(NOW - 10_000));
        shop.engine.apply(&Record { at, occurred_at, event_id: Some(id("auction-1").into()), event })
    };
    let shown = exposure("o1", 1);
    let click = Event::Click(Click::Opportunity(shown.opportunity));
    assert_eq!(named(impression(shown.clone())), Applied::Done);
    assert_eq!(named(click), Applied::Done, "not taken for its impression");
    assert_eq!(named(impression(exposure("o2", 2))), Applied::Duplicate, "one kind, one id");
    assert_eq!(named(conversion(1, "c1")), Applied::Done);
    let retraction = Retraction { advertiser: id("acme"), conversion_id: id("c1") };
    assert_eq!(named(Event::Retraction(retraction)), Applied::Done);
    assert_eq!(named(conversion(2, "c2")), Applied::Duplicate);
}

#[test]
fn a_segment_named_twice_in_a_request_weighs_once() {
    let mut shop = Shop::new();
    shop.engine.publish();
    let target = Target {
        advertiser: id("acme"),
        campaign: None,
        line_item: None,
        creative: None,
        item: None,
        category: None,
        goals: Vec::new(),
        base_p: None,
    };
    let request = ScoreRequest {
        opportunity: id("o1"),
        users: vec![UserKey(1)],
        context: Vec::new(),
        numbers: Vec::new(),
        segments: vec![id("p/1"); 2],
        privacy: PrivacyMode::Full,
        targets: vec![target],
        reasons_max: 64,
    };
    let scored = shop.engine.scorer().score(Timestamp(NOW), &request).remove(0).unwrap();
    assert_eq!(scored.signals[0].segments.as_slice(), [EXTERNAL]);
    assert_eq!(scored.exposure.unwrap().externals.as_slice(), [EXTERNAL]);
}

/// An arm's positives are among its impressions, and those are the ones whose score is known.
#[test]
fn an_impression_without_a_score_is_in_no_arm() {
    let mut shop = Shop::new();
    let named = unscored("o1", vec![id("purchase")]);
    shop.take([(20, named), (5, conversion(1, "c1"))]);
    assert_eq!((shop.engine.tally().positives, shop.engine.tally().impressions_unlearned), (1, 0));
    assert!(shop.engine.arms(GOAL).iter().all(|arm| (arm.impressions, arm.positives) == (0.0, 0.0)));
}

/// The credited impression is given up for lack of room; then another one comes that the conversion is not of.
#[test]
fn credit_outlives_its_impression() {
    let mut shop = Shop::with(Limits { live_per_user_max: 1, ..Limits::default() });
    shop.take([(30, impression(exposure("o1", 1))), (20, conversion(1, "c1")), (10, impression(exposure("o2", 1)))]);
    assert_eq!((shop.credited(), shop.live()), ([1.0, 1.0, 0.0], 1));
    shop.take([(5, impression(exposure("o3", 1)))]);
    assert_eq!(shop.credited(), [1.0, 1.0, 0.0], "the purchase was not organic, whatever is shown later");
    shop.take([(0, retraction("c1"))]);
    assert_eq!(shop.credited(), [0.0, 0.0, 0.0], "taken back in each of the audiences it was counted in");
}

#[test]
fn beyond_the_limit_the_one_shown_first_gives_way() {
    let mut shop = Shop::with(Limits { live_per_user_max: 1, ..Limits::default() });
    shop.take([(10, impression(exposure("o1", 1))), (30, impression(exposure("o2", 1)))]);
    let click = |name| Event::Click(Click::Opportunity(hash::opportunity_key("acme", name)));
    assert!(matches!(shop.apply(NOW, click("o2")), Applied::Rejected(Rejection::NotFound { .. })));
    shop.take([(0, click("o1"))]);
    assert_eq!(shop.engine.tally().impressions_evicted, 1);
}

#[test]
fn a_person_of_two_ids_has_room_for_one() {
    let mut shop = Shop::with(Limits { live_per_user_max: 2, ..Limits::default() });
    let shown = [("o1", 1), ("o2", 1), ("o3", 2), ("o4", 2)];
    shop.take(shown.map(|(name, user)| (10, impression(exposure(name, user)))));
    assert_eq!(shop.live(), 4);
    shop.take([(0, Event::Link([UserKey(1), UserKey(2)]))]);
    assert_eq!(shop.live(), 2);
}

#[test]
fn links_come_late_like_actions() {
    let mut shop = Shop::new();
    let link = |other| Event::Link([UserKey(1), UserKey(other)]);
    let refused = shop.apply(NOW - Span::hours(73).0, link(2));
    assert!(matches!(refused, Applied::Rejected(Rejection::TooLate { .. })), "{refused:?}");
    let refused = shop.apply(NOW + Span::hours(1).0, link(2));
    assert!(matches!(refused, Applied::Rejected(Rejection::InTheFuture { .. })), "{refused:?}");
    assert_eq!(shop.apply(NOW - Span::hours(71).0, link(2)), Applied::Done);
}

#[test]
fn what_is_exactly_as_late_as_may_be_is_taken() {
    let lateness = Span::hours(72).0;
    let act = || {
        let (user, advertiser, action) = (UserKey(1), id("acme"), id("view_item"));
        Event::Action(Action { user, advertiser, action, item: None, category: None, value: None })
    };
    let mut shop = Shop::new();
    assert_eq!(shop.apply(NOW - lateness, act()), Applied::Done);
    let refused = shop.apply(NOW - lateness - 1, act());
    assert_eq!(refused, Applied::Rejected(Rejection::TooLate { age: Span(lateness + 1), limit: Span(lateness) }));
    let skew = Span::minutes(5).0;
    assert_eq!(shop.apply(NOW + skew, act()), Applied::Done);
    let refused = shop.apply(NOW + skew + 1, act());
    assert_eq!(refused, Applied::Rejected(Rejection::InTheFuture { ahead: Span(skew + 1), limit: Span(skew) }));
}

/// Later, what the person has done since could stand in the features.
#[test]
fn an_impression_without_a_score_is_learned_up_to_a_minute_after() {
    for (age, unlearned) in [(60_000, 0), (60_001, 1)] {
        let mut shop = Shop::new();
        assert_eq!(shop.apply(NOW - age, unscored("o1", vec![id("purchase")])), Applied::Done);
        let tally = shop.engine.tally();
        assert_eq!((tally.impressions, tally.impressions_unlearned), (1, unlearned), "{age} ms");
    }
}

#[test]
fn of_two_last_touches_neither_wins_by_arriving_later() {
    let credited = |order: [&str; 2]| {
        let mut shop = Shop::new();
        for name in order {
            let mut shown = exposure(name, 1);
            if name == "o1" {
                shown.externals.clear();
            }
            shop.take([(10, impression(shown))]);
        }
        shop.take([(5, conversion(1, "c1"))]);
        shop.credited()
    };
    assert_eq!(credited(["o1", "o2"]), credited(["o2", "o1"]));
}
