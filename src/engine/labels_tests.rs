//! Labels from inside: what is taken back is what was counted.

use super::*;
use crate::event::{Conversion, Converter, Event, Impression, Record, Retraction, Shown, Unscored};
use crate::ids::{Id, OpportunityKey};
use crate::settings::{Advertiser, Goal, Settings};

const DAY: u64 = 86_400_000;
const START: u64 = 20_000 * DAY;
const USER: UserKey = UserKey(1);

fn id(name: &str) -> Id {
    Id::new(name).unwrap()
}

fn apply(engine: &mut Engine, day: u64, event: Event) {
    let at = Timestamp(START + day * DAY);
    let record = Record { at, occurred_at: at, event_id: None, event };
    assert_eq!(engine.apply(&record), crate::engine::Applied::Done);
}

fn conversion(name: &str) -> Event {
    Event::Conversion(Conversion {
        by: Converter::User(USER),
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

/// An engine whose only user was shown an ad on the first day.
fn shown() -> Engine {
    let mut acme = Advertiser::new(id("acme"));
    acme.goals.push(Goal::new(id("purchase")));
    (acme.goals[0].view_window, acme.goals[0].click_window) = (Span::days(32), Span::days(32));
    let settings = Settings { advertisers: vec![acme], ..Settings::default() };
    let mut engine = Engine::new();
    apply(&mut engine, 0, Event::Configured(Box::new(settings)));
    let unscored = Unscored {
        opportunity: OpportunityKey(1),
        user: USER,
        advertiser: id("acme"),
        goals: Vec::new(),
        item: None,
        category: None,
    };
    let shown = Shown::Named(Box::new(unscored));
    apply(&mut engine, 0, Event::Impression(Impression { of: shown, cost: None, bid: None }));
    engine
}

fn calibrated(engine: &Engine) -> Vec<f64> {
    let mut numbers = Vec::new();
    engine.goals[0].calibrator.numbers(&mut |number| numbers.push(number));
    numbers
}

#[test]
fn a_label_is_taken_back_at_the_delay_it_was_counted_at() {
    let mut engine = shown();
    let before = calibrated(&engine);
    apply(&mut engine, 5, conversion("first"));
    let counted = calibrated(&engine);
    assert_ne!(counted, before);
    apply(&mut engine, 9, conversion("second"));
    apply(&mut engine, 9, retraction("first"));
    assert_eq!(calibrated(&engine), counted, "the other one stands");
    apply(&mut engine, 9, retraction("second"));
    assert_eq!(calibrated(&engine), before);
}
