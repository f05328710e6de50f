//! The engine through its public face: records in, scores out.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod baselines;
mod campaigns;
mod effects;
mod even;
mod exploration;
mod guards;
mod holdout;
mod labels;
mod paths;
mod shop;
mod spend;

use inkling::engine::Applied;
use inkling::event::{Action, Click, Event, Impression, Retraction, Shown, Unscored};
use inkling::exposure::Arm;
use inkling::hash;
use inkling::ids::{GoalCode, UserKey};
use inkling::opportunity::PrivacyMode;
use inkling::rejection::Rejection;
use inkling::settings::{Advertiser, Limits, Settings};
use inkling::signal::{Neutral, Readiness};
use inkling::units::{Currency, Micros, Money, Span, Timestamp};

use shop::*;

#[test]
fn learns_from_what_converted_and_says_why() {
    let mut shop = trained();
    for (user, action) in [(1_001, "view_item"), (1_002, "view_item"), (1_002, "add_to_cart")] {
        shop.act(user, action);
    }
    shop.wait(MINUTE);
    let (viewer, abandoner) = (shop.signal(1_001), shop.signal(1_002));
    assert!(viewer.p_conversion < 0.1, "{viewer:?}");
    assert!((0.35..0.65).contains(&abandoner.p_conversion), "{abandoner:?}");
    assert!(viewer.multiplier < 0.6 && abandoner.multiplier > 1.3, "{} {}", viewer.multiplier, abandoner.multiplier);
    assert_eq!(abandoner.readiness, Readiness::Ready);
    let catalog = shop.engine.scorer().catalog();
    let acme = catalog.advertiser("acme").unwrap();
    assert_eq!(catalog.action_name(acme, abandoner.stage.unwrap()).unwrap().as_str(), "add_to_cart");
    let segments: Vec<_> = abandoner.segments.iter().map(|code| catalog.segment_name(acme, *code).unwrap()).collect();
    assert_eq!(segments, [&id("cart_abandoners")]);
    let sum: f64 = abandoner.intercept + abandoner.reasons.iter().map(|reason| reason.contribution).sum::<f64>();
    assert!((sum - abandoner.logit).abs() < 1e-12, "{sum} {}", abandoner.logit);
    assert_eq!(abandoner.p_conversion, inkling::math::sigmoid(abandoner.logit + abandoner.correction));
    assert!(abandoner.interval.0 < abandoner.p_conversion && abandoner.p_conversion < abandoner.interval.1);
}

/// Counts of conversions fade from when they come, those of impressions from when they are shown, a week before.
#[test]
fn a_conversion_that_comes_late_is_worth_no_more() {
    let mut settings = settings();
    let goal = &mut settings.advertisers[0].goals[0];
    (goal.view_window, goal.click_window) = (Span::days(10), Span::days(10));
    goal.value = Micros(40_000_000);
    let mut shop = Shop::with(settings);
    for user in 0..480 {
        shop.act(user, "view_item");
        shop.show(user);
        if user >= 28 && user % 4 == 0 {
            assert_eq!(shop.apply(conversion(user - 28, None)), Applied::Done);
        }
        shop.wait(6 * 60 * MINUTE);
    }
    let signal = shop.signal(1_000);
    let worth = signal.expected_value.0 as f64 / signal.p_conversion / 40e6;
    assert!((0.9..1.1).contains(&worth), "a conversion is taken to be worth {worth} times its value");
}

/// One order of ten thousand, real or mistyped, would else be what every conversion is taken to be worth.
#[test]
fn a_single_conversion_counts_for_no_more_than_twenty_usual_ones() {
    let mut settings = settings();
    settings.advertisers[0].goals[0].value = Micros(40_000_000);
    let mut shop = Shop::with(settings);
    let value = |shop: &Shop| shop.engine.cell(GoalCode(0), None).unwrap().value;
    for (units, counted) in [(10_000, 800), (800, 800), (799, 799)] {
        shop.show(1);
        shop.wait(1_000);
        let Event::Conversion(mut order) = conversion(1, Some("order")) else { unreachable!() };
        order.value = Some(Money { amount: Micros(units * 1_000_000), currency: None });
        assert_eq!(shop.apply(Event::Conversion(order)), Applied::Done);
        assert_eq!(value(&shop), Micros(counted * 1_000_000), "{units}");
        let (advertiser, conversion_id) = (id("acme"), id("order"));
        assert_eq!(shop.apply(Event::Retraction(Retraction { advertiser, conversion_id })), Applied::Done);
        assert_eq!(value(&shop), Micros(0), "what was counted is taken back, not what was stated");
    }
}

#[test]
fn neutral_is_exactly_one_and_says_why() {
    let mut shop = Shop::new();
    assert_eq!((shop.signal(1).multiplier, shop.signal(1).readiness), (1.0, Readiness::Cold));
    shop.act(1, "view_item");
    shop.act(2, "view_item");
    let warming = shop.signal(1);
    assert_eq!(warming.readiness, Readiness::Warming { users: 2, needed: 3 });
    assert_eq!((warming.multiplier, warming.neutral), (1.0, Some(Neutral::Support)));
    shop.act(3, "view_item");
    assert_eq!(shop.signal(1).neutral, None);

    let mut request = shop.request(1);
    request.privacy = PrivacyMode::Neutral;
    let scored = shop.answer(&request);
    assert_eq!((scored.signals[0].multiplier, scored.signals[0].neutral), (1.0, Some(Neutral::NoConsent)));
    assert_eq!(scored.exposure, None);

    let mut control = settings();
    control.arms.control_share = 1.0;
    let mut shop = Shop::with(control);
    (1..=3).for_each(|user| assert_eq!(shop.act(user, "view_item"), Applied::Done));
    let signal = shop.signal(1);
    assert_eq!((signal.multiplier, signal.neutral, signal.arm), (1.0, Some(Neutral::ControlArm), Arm::Control));
}

#[test]
fn context_mode_sees_no_history() {
    let mut shop = trained();
    shop.act(1_002, "add_to_cart");
    let mut request = shop.request(1_002);
    request.privacy = PrivacyMode::Context;
    let scored = shop.answer(&request);
    assert_eq!(scored.exposure.as_ref().unwrap().user, None);
    assert_eq!((scored.signals[0].stage, scored.signals[0].segments.len()), (None, 0));
    request.users = vec![UserKey(9_999)];
    assert_eq!(shop.answer(&request).signals[0].p_conversion, scored.signals[0].p_conversion);
}

#[test]
fn an_impression_is_taken_once() {
    let mut shop = Shop::new();
    let exposure = shop.show(1);
    assert_eq!(shop.apply(impression(exposure)), Applied::Duplicate);
    assert_eq!((shop.engine.tally().impressions, shop.engine.tally().duplicates), (1, 1));
}

#[test]
fn joins_whichever_arrives_first() {
    let outcome = |impression_first: bool| {
        let mut shop = Shop::new();
        let exposure = shop.score(1).exposure.unwrap();
        let shown = shop.now;
        shop.wait(10 * MINUTE);
        let events = [(shown, impression(exposure)), (shown + 5 * MINUTE, conversion(1, Some("c1")))];
        let ordered: Vec<_> =
            if impression_first { events.into_iter().collect() } else { events.into_iter().rev().collect() };
        for (at, event) in ordered {
            assert_eq!(shop.apply_of(at, None, event), Applied::Done);
        }
        assert_eq!(shop.engine.tally().positives, 1);
        (shop.credited(), shop.signal(1).p_conversion)
    };
    let (in_order, reversed) = (outcome(true), outcome(false));
    assert_eq!(in_order.0, (1.0, 0.0));
    assert_eq!(in_order, reversed);
}

#[test]
fn a_conversion_outside_its_window_is_organic() {
    let mut shop = Shop::new();
    shop.show(1);
    shop.wait(25 * 60 * MINUTE);
    assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
    assert_eq!(shop.credited(), (0.0, 1.0));

    // A click widens the window from a day to a week.
    let exposure = shop.show(2);
    assert_eq!(shop.apply(Event::Click(Click::Opportunity(exposure.opportunity))), Applied::Done);
    assert_eq!(shop.apply(Event::Click(Click::Opportunity(exposure.opportunity))), Applied::Duplicate);
    shop.wait(25 * 60 * MINUTE);
    assert_eq!(shop.apply(conversion(2, None)), Applied::Done);
    assert_eq!(shop.engine.tally().positives, 1);
}

#[test]
fn a_retraction_takes_back_what_nothing_else_holds() {
    let mut shop = Shop::new();
    shop.show(1);
    shop.wait(MINUTE);
    let before = shop.signal(1).p_conversion;
    assert_eq!(shop.apply(conversion(1, Some("c1"))), Applied::Done);
    assert_eq!(shop.apply(conversion(1, Some("c2"))), Applied::Done);
    assert_eq!(shop.apply(conversion(1, Some("c2"))), Applied::Duplicate);
    assert_eq!((shop.credited(), shop.engine.tally().positives), ((2.0, 0.0), 1));
    let raised = shop.signal(1).p_conversion;
    assert!(raised > before);
    let retraction = |name| Event::Retraction(Retraction { advertiser: id("acme"), conversion_id: id(name) });
    assert_eq!(shop.apply(retraction("c1")), Applied::Done);
    assert_eq!(shop.credited(), (1.0, 0.0));
    assert_eq!(shop.signal(1).p_conversion, raised, "the other conversion still stands");
    assert_eq!(shop.apply(retraction("c2")), Applied::Done);
    assert_eq!(shop.credited(), (0.0, 0.0));
    assert!(shop.signal(1).p_conversion < raised);
    assert!(matches!(shop.apply(retraction("c2")), Applied::Rejected(Rejection::NotFound { .. })));
}

/// The notice of an impression without a score comes after the purchase. Had its features been made now, they would
/// hold the purchase, and teach that buyers buy.
#[test]
fn a_late_unscored_notice_learns_nothing() {
    let late = |leaks: bool| {
        let mut shop = Shop::new();
        shop.act(1, "view_item");
        shop.wait(MINUTE);
        let shown = shop.now;
        let unscored = Unscored {
            opportunity: hash::opportunity_key("acme", "late"),
            user: UserKey(1),
            advertiser: id("acme"),
            goals: vec![id("purchase")],
            item: None,
            category: None,
        };
        shop.wait(10_000);
        if leaks {
            shop.act(1, "add_to_cart");
            assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
        }
        let event = Event::Impression(Impression { of: Shown::Named(Box::new(unscored)), cost: None, bid: None });
        let before = shop.signal(1);
        assert_eq!(shop.apply_of(shown, None, event), Applied::Done);
        let weights_moved = shop.signal(1).reasons.iter().any(|reason| reason.contribution != 0.0);
        (before.p_conversion, weights_moved, shop.engine.tally().impressions_unlearned)
    };
    assert_eq!((late(false).1, late(false).2), (true, 0));
    assert_eq!((late(true).1, late(true).2), (false, 1));
}

/// The features of a score taken after a purchase know of it: a notice that dates the impression before the purchase
/// must not make them learn that buyers buy.
#[test]
fn a_backdated_notice_learns_no_purchase_that_was_scored() {
    let mut shop = Shop::new();
    shop.act(1, "view_item");
    let before_purchase = shop.now;
    shop.wait(MINUTE);
    assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
    shop.wait(MINUTE);
    let exposure = shop.score(1).exposure.unwrap();
    assert_eq!(shop.apply_of(before_purchase, None, impression(exposure)), Applied::Done);
    assert_eq!((shop.engine.tally().positives, shop.credited()), (0, (0.0, 1.0)));
}

/// Conversions often come in batches, hours late. They must not add up as if each were news to the same weights.
#[test]
fn a_batch_of_conversions_does_not_run_away() {
    let mut shop = Shop::new();
    for user in 1..=3_000 {
        shop.act(user, "view_item");
        shop.now += 1;
        shop.show(user);
    }
    shop.wait(MINUTE);
    for user in (1..=3_000).step_by(50) {
        assert_eq!(shop.apply(conversion(user, None)), Applied::Done);
    }
    shop.act(9_999, "view_item");
    let p = shop.signal(9_999).p_conversion;
    assert!((0.004..0.15).contains(&p), "60 of 3,000 converted, {p}");
}

#[test]
fn who_was_forgotten_does_not_come_back_with_an_old_token() {
    let mut shop = Shop::new();
    shop.act(1, "view_item");
    let exposure = shop.score(1).exposure.unwrap();
    shop.wait(MINUTE);
    assert_eq!(shop.apply(Event::Forget(UserKey(1))), Applied::Done);
    assert_eq!(shop.apply(impression(exposure)), Applied::Done);
    let acme = shop.engine.catalog().advertiser("acme").unwrap();
    assert_eq!(shop.engine.profile(UserKey(1), acme), None);
    shop.wait(MINUTE);
    shop.show(1);
    assert_eq!(shop.engine.profile(UserKey(1), acme).unwrap().shown, 1, "what is scored afterwards counts");
}

#[test]
fn event_ids_are_an_advertisers_own() {
    let mut settings = settings();
    let mut other = settings.advertisers[0].clone();
    other.id = id("other");
    settings.advertisers.push(other);
    let mut shop = Shop::with(settings);
    let Event::Action(mut theirs) = act(1, "view_item") else { unreachable!() };
    theirs.advertiser = id("other");
    assert_eq!(shop.apply_of(START, Some("1"), act(1, "view_item")), Applied::Done);
    assert_eq!(shop.apply_of(START, Some("1"), Event::Action(theirs)), Applied::Done);
}

#[test]
fn linked_ids_are_one_person() {
    let mut shop = Shop::new();
    shop.act(1, "view_item");
    shop.wait(MINUTE);
    shop.act(2, "add_to_cart");
    shop.show(2);
    shop.wait(MINUTE);
    assert_eq!(shop.apply(Event::Link([UserKey(2), UserKey(1)])), Applied::Done);
    assert_eq!(shop.apply(Event::Link([UserKey(1), UserKey(2)])), Applied::Duplicate);
    assert_eq!(shop.signal(1).stage, shop.signal(2).stage);
    assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
    assert_eq!(shop.credited(), (1.0, 0.0), "the phone's impression, the desktop's purchase");
    for user in 3..17 {
        assert_eq!(shop.apply(Event::Link([UserKey(1), UserKey(user)])), Applied::Done);
    }
    assert_eq!(
        shop.apply(Event::Link([UserKey(1), UserKey(17)])),
        Applied::Rejected(Rejection::LinkFull { limit: 16 })
    );
    assert_eq!(shop.apply(Event::Forget(UserKey(9))), Applied::Done);
    assert_eq!(shop.engine.sizes().map(|(_, size)| size), [0, 0, 0, 0, 16], "16 ids are remembered as forgotten");
    assert_eq!(shop.engine.linked_ids(UserKey(1)), [UserKey(1)]);
}

#[test]
fn items_refuse_what_they_cannot_be() {
    let mut shop = Shop::new();
    let unknown = Event::Action(Action {
        user: UserKey(1),
        advertiser: id("nobody"),
        action: id("view_item"),
        item: None,
        category: None,
        value: None,
    });
    assert_eq!(shop.apply(unknown), Applied::Rejected(Rejection::UnknownAdvertiser(id("nobody"))));
    assert!(matches!(shop.act(1, "view_itme"), Applied::Rejected(Rejection::UnknownAction { .. })));
    let old = shop.apply_of(START - Span::hours(73).0, None, act(1, "view_item"));
    assert!(matches!(old, Applied::Rejected(Rejection::TooLate { .. })), "{old:?}");
    let ahead = shop.apply_of(START + Span::minutes(6).0, None, act(1, "view_item"));
    assert!(matches!(ahead, Applied::Rejected(Rejection::InTheFuture { .. })), "{ahead:?}");
    let Event::Conversion(mut euros) = conversion(1, None) else { unreachable!() };
    euros.value = Some(Money { amount: Micros(1), currency: Currency::parse("EUR") });
    let refused = shop.apply(Event::Conversion(euros));
    assert!(matches!(refused, Applied::Rejected(Rejection::WrongCurrency { .. })), "{refused:?}");
    assert_eq!(shop.apply_of(START, Some("e1"), act(1, "view_item")), Applied::Done);
    assert_eq!(shop.apply_of(START, Some("e1"), act(1, "view_item")), Applied::Duplicate);
    assert_eq!(shop.engine.tally().rejected, 5);
}

#[test]
fn a_converting_action_is_the_conversion() {
    let mut settings = settings();
    settings.advertisers[0].goals[0].converting_action = Some(id("purchase"));
    let mut shop = Shop::with(settings);
    shop.show(1);
    shop.wait(MINUTE);
    assert_eq!(shop.apply_of(shop.now, Some("order-7"), act(1, "purchase")), Applied::Done);
    assert_eq!(shop.credited(), (1.0, 0.0));
    assert_eq!(shop.apply(conversion(1, Some("order-7"))), Applied::Duplicate, "the same order, uploaded again");
}

#[test]
fn tables_keep_their_bounds() {
    let mut settings = settings();
    settings.limits = Limits { profiles_max: 10, live_impressions_max: 20, live_per_user_max: 3, ..settings.limits };
    let mut shop = Shop::with(settings);
    for round in 0..10 {
        for user in 1..=30 {
            shop.act(user, "view_item");
            shop.show(user);
            shop.wait(1_000 + round);
            let [(_, profiles), (_, impressions), ..] = shop.engine.sizes();
            assert!(profiles <= 10 && impressions <= 20, "{profiles} {impressions}");
        }
    }
    assert_eq!(shop.engine.tally().profiles_evicted, shop.engine.tally().records / 3 - 10);
    shop.wait(Span::days(100).0);
    shop.wait(Span::days(100).0);
    assert_eq!(shop.engine.sizes().map(|(_, size)| size), [0; 5]);
}

#[test]
fn reconfiguring_keeps_what_was_learned() {
    let mut shop = trained();
    let before = shop.signal(2);
    let mut changed = settings();
    changed.advertisers[0].goals[0].multiplier.max = 1.2;
    changed.advertisers.push(Advertiser::new(id("other")));
    changed.learner.alpha = 0.05;
    assert_eq!(shop.apply(Event::Configured(Box::new(changed))), Applied::Done);
    let after = shop.signal(2);
    assert_eq!((after.logit, after.goal), (before.logit, before.goal));
    assert!(after.multiplier <= 1.2);
    let removed = Settings { advertisers: vec![Advertiser::new(id("other"))], ..settings() };
    assert_eq!(shop.apply(Event::Configured(Box::new(removed))), Applied::Done);
    let request = shop.request(2);
    let refused = shop.engine.scorer().score(Timestamp(shop.now), &request).remove(0);
    assert_eq!(refused, Err(Rejection::UnknownAdvertiser(id("acme"))));
    assert_eq!(shop.apply(Event::Configured(Box::new(settings()))), Applied::Done);
    assert_eq!(shop.signal(2).logit, before.logit);
}

#[test]
fn equal_records_give_equal_digests() {
    let (one, other) = (trained(), trained());
    assert_eq!(one.engine.digest(), other.engine.digest());
    let mut third = trained();
    third.act(77, "view_item");
    assert_ne!(one.engine.digest(), third.engine.digest());
}
