use arrayvec::ArrayVec;

use super::*;
use crate::config::Clock;
use crate::exposure::{Arm, FEATURE_SCHEMA, GoalScore};
use crate::ids::{AdvertiserCode, GoalCode};
use crate::rejection::TokenRefusal;
use crate::token::TokenKey;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const FULL: i32 = pb::PrivacyMode::Full as i32;
const CONTEXT: i32 = pb::PrivacyMode::Context as i32;
const NEUTRAL: i32 = pb::PrivacyMode::Neutral as i32;

/// An edge on the events' clock, which stands at [`NOW`]; its keys are known.
fn edge() -> Edge {
    let clock = Arc::new(ServiceClock::new(Clock::Events));
    clock.publish(NOW);
    Edge {
        identity: Identity::new([7; 32]),
        tokens: Tokens::new(TokenKey::new(1, [1; 16]), Vec::new(), 0),
        token_age_max: Span::hours(24),
        memory: ScoreMemory::new(10, Span::minutes(10)),
        clock,
        counters: Arc::default(),
    }
}

fn exposure(user: Option<UserKey>, scored_at: Timestamp) -> Exposure {
    let goal = GoalScore { goal: GoalCode(0), logit: -2.0, p: 0.1, multiplier: 1.5, is_explored: false };
    Exposure {
        schema: FEATURE_SCHEMA,
        opportunity: opportunity_key("acme", "o1"),
        user,
        advertiser: AdvertiserCode(0),
        line_item: None,
        item: None,
        category: None,
        scored_at,
        arm: Arm::Treated,
        goals: ArrayVec::from_iter([goal]),
        externals: ArrayVec::new(),
        features: ArrayVec::new(),
    }
}

fn event(privacy: i32, body: Body) -> pb::Event {
    pb::Event { occurred_at_ms: NOW.0, event_id: String::new(), privacy, body: Some(body) }
}

fn read(edge: &Edge, privacy: i32, body: Body) -> Result<Event, Rejection> {
    edge.event(&Catalog::default(), event(privacy, body)).map(|occurrence| occurrence.event)
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn action() -> pb::Action {
    pb::Action { user: text("u1"), advertiser: text("acme"), action: text("add_to_cart"), ..Default::default() }
}

fn named() -> pb::OpportunityRef {
    pb::OpportunityRef {
        advertiser: text("acme"),
        opportunity_id: text("o1"),
        user: text("u1"),
        goals: vec![text("purchase")],
        ..Default::default()
    }
}

fn impression(of: impression::Of) -> Body {
    Body::Impression(pb::Impression { of: Some(of), cost: None, bid: None })
}

fn conversion(by: conversion::By, advertiser: &str) -> Body {
    let advertiser = text(advertiser);
    Body::Conversion(pb::Conversion { by: Some(by), advertiser, goal: text("purchase"), ..Default::default() })
}

fn label<T: std::fmt::Debug>(result: Result<T, Rejection>) -> &'static str {
    result.map_or_else(|rejection| rejection.label(), |_| "accepted")
}

#[test]
fn an_action_keeps_what_was_said_and_hides_who() {
    let edge = edge();
    let value = Some(pb::Money { micros: 19_900_000, currency: text("EUR") });
    let wire = pb::Action { item: text("sku"), value, ..action() };
    let Event::Action(read) = read(&edge, 0, Body::Action(wire)).unwrap() else { panic!("an action") };
    assert_eq!(read.user, edge.identity.user_key("u1"));
    assert_eq!(read.item, Some(Id::literal("sku")));
    assert_eq!(read.category, None);
    assert_eq!(read.value, Some(Money { amount: Micros(19_900_000), currency: Currency::parse("EUR") }));
}

#[test]
fn what_is_malformed_is_refused_with_its_field() {
    let edge = edge();
    let money = |micros, currency: &str| Some(pb::Money { micros, currency: text(currency) });
    let cases = [
        (pb::Action { user: text(""), ..action() }, "user: "),
        (pb::Action { user: "é".repeat(100), ..action() }, "user: "),
        (pb::Action { advertiser: text(""), ..action() }, "advertiser: "),
        (pb::Action { action: text("a\nb"), ..action() }, "action: "),
        (pb::Action { item: "i".repeat(129), ..action() }, "item: "),
        (pb::Action { value: money(-1, ""), ..action() }, "value: -1 micros"),
        (pb::Action { value: money(i64::MAX, ""), ..action() }, "value: "),
        (pb::Action { value: money(1, "euro"), ..action() }, "value: 'euro'"),
    ];
    for (wire, expected) in cases {
        let rejection = read(&edge, FULL, Body::Action(wire.clone())).unwrap_err();
        assert_eq!(rejection.label(), "invalid");
        assert!(rejection.to_string().starts_with(expected), "{wire:?}: {rejection}");
        assert!(!rejection.to_string().contains("éé"), "a raw user id is told: {rejection}");
    }
    for (cost, bid, expected) in [
        (money(1_200, ""), money(1, ""), "bid: 1 micros are less than half a cost of 1200"),
        (money(1_200, "EUR"), money(1_500, "USD"), "bid: its currency is another than that of cost"),
        (money(1_200, ""), money(-1, ""), "bid: -1 micros"),
    ] {
        let of = Some(impression::Of::Opportunity(named()));
        let rejection = read(&edge, FULL, Body::Impression(pb::Impression { of, cost, bid })).unwrap_err();
        assert!(rejection.label() == "invalid" && rejection.to_string().starts_with(expected), "{rejection}");
    }
    let wrong = pb::Event { body: None, ..event(FULL, Body::Action(action())) };
    assert!(edge.event(&Catalog::default(), wrong).unwrap_err().to_string().starts_with("body: "));
    let wrong = pb::Event { occurred_at_ms: u64::MAX, ..event(FULL, Body::Action(action())) };
    assert!(edge.event(&Catalog::default(), wrong).unwrap_err().to_string().starts_with("occurred_at_ms: "));
    let wrong = event(9, Body::Action(action()));
    assert!(edge.event(&Catalog::default(), wrong).unwrap_err().to_string().starts_with("privacy: 9"));
}

#[test]
fn privacy_decides_what_is_kept() {
    let edge = edge();
    let seal = |user| edge.tokens.seal(&exposure(user, NOW)).unwrap();
    let (known, nobody) = (seal(Some(UserKey(1))), seal(None));
    let user = pb::UserRef { user: text("u1"), advertiser: text("acme") };
    let link = pb::Link { user: text("u1"), other: text("u2") };
    let retraction = pb::Retraction { advertiser: text("acme"), conversion_id: text("c1") };
    let click = |of| Body::Click(pb::Click { of: Some(of) });
    let cases = [
        (Body::Action(action()), "privacy"),
        (Body::Link(link), "privacy"),
        (click(click::Of::User(user)), "privacy"),
        (click(click::Of::Token(known.clone())), "privacy"),
        (click(click::Of::Token(nobody.clone())), "accepted"),
        (click(click::Of::Opportunity(named())), "privacy"),
        (conversion(conversion::By::User(text("u1")), "acme"), "privacy"),
        (conversion(conversion::By::Token(known.clone()), "acme"), "privacy"),
        (conversion(conversion::By::Token(nobody.clone()), "acme"), "accepted"),
        (conversion(conversion::By::Opportunity(named()), "acme"), "privacy"),
        (impression(impression::Of::Token(known)), "privacy"),
        (impression(impression::Of::Token(nobody)), "accepted"),
        (impression(impression::Of::Opportunity(named())), "privacy"),
        (Body::Retraction(retraction), "accepted"),
    ];
    for (body, in_context) in cases {
        assert_eq!(label(read(&edge, FULL, body.clone())), "accepted", "{body:?}");
        assert_eq!(label(read(&edge, CONTEXT, body.clone())), in_context, "{body:?}");
        assert_eq!(label(read(&edge, NEUTRAL, body.clone())), "privacy", "{body:?}");
    }
}

/// A remembered score stands for a token: the same is refused of it as of one.
#[test]
fn privacy_decides_about_remembered_scores() {
    let named = || pb::OpportunityRef { goals: Vec::new(), user: text(""), ..named() };
    let bodies = || {
        let ghost = pb::GhostImpression { of: Some(ghost_impression::Of::Opportunity(named())) };
        [impression(impression::Of::Opportunity(named())), Body::GhostImpression(ghost)]
    };
    for (user, in_context) in [(Some(UserKey(1)), "privacy"), (None, "accepted")] {
        let edge = edge();
        edge.memory.remember(Box::new(exposure(user, NOW)));
        for body in bodies() {
            assert_eq!(label(read(&edge, FULL, body.clone())), "accepted", "{body:?}");
            assert_eq!(label(read(&edge, CONTEXT, body.clone())), in_context, "{body:?}");
            assert_eq!(label(read(&edge, NEUTRAL, body.clone())), "privacy", "{body:?}");
        }
    }
}

#[test]
fn no_user_id_is_looked_at_without_leave() {
    let edge = edge();
    let malformed = || vec![text(""), "x".repeat(1_000)];
    assert_eq!(label(edge.users(PrivacyMode::Full, malformed())), "invalid");
    assert_eq!(edge.users(PrivacyMode::Context, malformed()), Ok(Vec::new()));
    assert_eq!(edge.users(PrivacyMode::Neutral, malformed()), Ok(Vec::new()));
    assert_eq!(label(edge.users(PrivacyMode::Full, vec![text("u"); 17])), "too_many");
    let keys = edge.users(PrivacyMode::Full, vec![text("u1"), text("u2")]).unwrap();
    assert_eq!(keys, [edge.identity.user_key("u1"), edge.identity.user_key("u2")]);
}

#[test]
fn tokens_are_refused_by_cause() {
    let edge = edge();
    let good = edge.tokens.seal(&exposure(Some(UserKey(1)), NOW)).unwrap();
    let old = edge.tokens.seal(&exposure(Some(UserKey(1)), NOW - Span::hours(25))).unwrap();
    let foreign = Tokens::new(TokenKey::new(2, [2; 16]), Vec::new(), 0);
    let forger = Tokens::new(TokenKey::new(1, [3; 16]), Vec::new(), 0);
    let cases = [
        (good[..20].to_owned(), TokenRefusal::Malformed),
        (text("no token"), TokenRefusal::Malformed),
        (text(""), TokenRefusal::Malformed),
        (foreign.seal(&exposure(None, NOW)).unwrap(), TokenRefusal::Foreign),
        (forger.seal(&exposure(None, NOW)).unwrap(), TokenRefusal::Forged),
        (old, TokenRefusal::Expired),
    ];
    for (token, refusal) in cases {
        let refused = read(&edge, FULL, impression(impression::Of::Token(token.clone())));
        assert_eq!(refused, Err(Rejection::Token(refusal)), "{token}");
        let ghost = pb::GhostImpression { of: Some(ghost_impression::Of::Token(token)) };
        assert_eq!(read(&edge, FULL, Body::GhostImpression(ghost)), Err(Rejection::Token(refusal)));
    }
    let accepted = read(&edge, FULL, impression(impression::Of::Token(good))).unwrap();
    let exposure = Box::new(exposure(Some(UserKey(1)), NOW));
    assert_eq!(accepted, Event::Impression(Impression { of: Shown::Scored(exposure), cost: None, bid: None }));
}

#[test]
fn a_remembered_score_stands_in_for_a_token() {
    let edge = edge();
    let lost = read(&edge, FULL, impression(impression::Of::Opportunity(named()))).unwrap();
    let Event::Impression(Impression { of: Shown::Named(unscored), .. }) = lost else { panic!("named: {lost:?}") };
    assert_eq!(unscored.opportunity, opportunity_key("acme", "o1"));
    assert_eq!(unscored.user, edge.identity.user_key("u1"));
    let ghost = Body::GhostImpression(pb::GhostImpression { of: Some(ghost_impression::Of::Opportunity(named())) });
    assert_eq!(label(read(&edge, FULL, ghost.clone())), "not_found");

    let remembered = Box::new(exposure(Some(UserKey(1)), NOW));
    edge.memory.remember(remembered.clone());
    let found = read(&edge, FULL, impression(impression::Of::Opportunity(named()))).unwrap();
    assert_eq!(found, Event::Impression(Impression { of: Shown::Scored(remembered.clone()), cost: None, bid: None }));
    assert_eq!(read(&edge, FULL, ghost), Ok(Event::GhostImpression(remembered)));
}

/// Goals of an impression are written into its record, whoever looks at how many they are later.
#[test]
fn an_impression_names_only_so_many_goals() {
    let edge = edge();
    let of = |count| {
        impression(impression::Of::Opportunity(pb::OpportunityRef { goals: vec![text("purchase"); count], ..named() }))
    };
    assert_eq!(label(read(&edge, FULL, of(GOALS_PER_TARGET_MAX))), "accepted");
    assert_eq!(label(read(&edge, FULL, of(GOALS_PER_TARGET_MAX + 1))), "too_many");
}

#[test]
fn a_conversion_has_one_advertiser() {
    let edge = edge();
    let by = conversion::By::Opportunity(named());
    let Event::Conversion(read_one) = read(&edge, FULL, conversion(by.clone(), "")).unwrap() else { panic!() };
    assert_eq!(read_one.advertiser, Id::literal("acme"));
    let opportunity = opportunity_key("acme", "o1");
    let user = Some(edge.identity.user_key("u1"));
    assert_eq!(read_one.by, Converter::Opportunity { opportunity, user });
    assert_eq!(label(read(&edge, FULL, conversion(by, "other"))), "invalid");
    assert_eq!(label(read(&edge, FULL, conversion(conversion::By::User(text("u1")), ""))), "invalid");
}
