//! Bots and fraud are counted, and nothing is learned from them.

use inkling::engine::Applied;
use inkling::event::{Click, Event};
use inkling::ids::{AdvertiserCode, GoalCode, UserKey};
use inkling::insight;
use inkling::settings::{Guards, Settings};
use inkling::signal::Neutral;
use inkling::units::Span;

use super::shop::*;

const ACME: AdvertiserCode = AdvertiserCode(0);

fn guarded() -> Settings {
    let mut settings = settings();
    settings.guards = Guards { actions_per_minute_max: 5, quarantine: Span::minutes(10) };
    settings.advertisers[0].goals[0].conversion_delay_min = Span::seconds(10);
    settings
}

/// A shop whose goal is ready, and user 9 in quarantine.
fn with_a_bot() -> Shop {
    let mut shop = Shop::with(guarded());
    (1..=3).for_each(|user| assert_eq!(shop.act(user, "view_item"), Applied::Done));
    (0..8).for_each(|_| assert_eq!(shop.act(9, "view_item"), Applied::Done));
    shop
}

#[test]
fn who_acts_as_no_person_does_is_counted_and_not_learned_from() {
    let mut shop = with_a_bot();
    let tally = shop.engine.tally();
    assert_eq!((tally.actions, tally.actions_quarantined, tally.quarantined), (3 + 5, 3, 1));
    let report = insight::user_report(&shop.engine, ACME, UserKey(9)).unwrap();
    assert_eq!(report.actions[0].count, 5.0, "what was done before stays");
    let ends = Span(START + Span::minutes(10).0).whole_seconds();
    assert_eq!(report.quarantined_until.map(|until| u64::from(until.0)), Some(ends));
    let before = insight::goal_report(&shop.engine, GoalCode(0)).unwrap();
    let signal = shop.signal(9);
    assert_eq!((signal.multiplier, signal.neutral), (1.0, Some(Neutral::Quarantined)));
    assert_eq!(shop.signal(1).neutral, None);

    let exposure = shop.show(9);
    assert_eq!(shop.apply(conversion(9, None)), Applied::Done);
    let missing = shop.apply(Event::Click(Click::Opportunity(exposure.opportunity)));
    assert!(matches!(missing, Applied::Rejected(_)), "the impression is not kept: {missing:?}");
    assert_eq!(insight::goal_report(&shop.engine, GoalCode(0)).unwrap(), before);
    let tally = shop.engine.tally();
    assert_eq!((tally.impressions_quarantined, tally.conversions_quarantined), (1, 1));
    assert_eq!((tally.impressions, tally.conversions), (0, 0));
}

#[test]
fn quarantine_ends_with_quiet_and_not_before() {
    let mut shop = with_a_bot();
    shop.wait(9 * MINUTE);
    shop.act(9, "view_item");
    shop.wait(9 * MINUTE);
    assert_eq!(shop.signal(9).neutral, Some(Neutral::Quarantined), "one act was enough to stay");
    shop.wait(2 * MINUTE);
    assert_eq!((shop.signal(9).neutral, shop.engine.quarantined_until(UserKey(9), ACME)), (None, None));
    shop.act(9, "view_item");
    assert_eq!(shop.engine.tally().actions_quarantined, 4);
    assert_eq!(shop.engine.tally().quarantined, 1);
}

#[test]
fn a_conversion_that_comes_too_soon_joins_nothing() {
    let mut shop = Shop::with(guarded());
    (1..=3).for_each(|user| assert_eq!(shop.act(user, "view_item"), Applied::Done));
    shop.show(4);
    shop.show(5);
    shop.wait(9_999);
    assert_eq!(shop.apply(conversion(4, None)), Applied::Done);
    assert_eq!((shop.credited(), shop.engine.tally().conversions_quarantined), ((0.0, 0.0), 1));
    assert_eq!(shop.signal(4).neutral, Some(Neutral::Quarantined));
    shop.wait(1);
    assert_eq!(shop.apply(conversion(5, None)), Applied::Done);
    assert_eq!((shop.credited(), shop.engine.tally().conversions_quarantined), ((1.0, 0.0), 1));
}

#[test]
fn who_is_linked_to_a_bot_is_one_and_who_is_forgotten_is_none() {
    let mut shop = with_a_bot();
    assert_eq!(shop.apply(Event::Link([UserKey(1), UserKey(9)])), Applied::Done);
    assert_eq!(shop.signal(1).neutral, Some(Neutral::Quarantined));
    assert_eq!(shop.apply(Event::Forget(UserKey(1))), Applied::Done);
    assert_eq!((shop.signal(1).neutral, shop.signal(9).neutral), (None, None));
}

#[test]
fn what_too_much_was_predicted_for_shows_by_multiplier() {
    let mut shop = trained();
    (0..50).for_each(|user| {
        shop.show(user);
    });
    let classes = shop.engine.by_multiplier(GoalCode(0));
    let treated = &shop.engine.arms(GoalCode(0))[0];
    let sum = |of: fn(&inkling::engine::ClassCounts) -> f64| classes.iter().map(of).sum::<f64>();
    assert!((sum(|class| class.impressions) - treated.impressions).abs() < 1e-6, "{classes:?}");
    assert!((sum(|class| class.positives) - treated.positives).abs() < 1e-6, "{classes:?}");
    assert!((sum(|class| class.predicted) - treated.predicted).abs() < 1e-6, "{classes:?}");
    let mean = |class: &inkling::engine::ClassCounts| class.predicted / class.impressions;
    let used: Vec<_> = classes.iter().filter(|class| class.impressions > 5.0).collect();
    assert!(used.len() > 1 && mean(used[0]) < 0.5 * mean(used[used.len() - 1]), "{classes:?}");
}
