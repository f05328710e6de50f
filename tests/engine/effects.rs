//! Distinct users, and what having done something tells about converting.

use inkling::engine::Applied;
use inkling::event::Event;
use inkling::ids::{AdvertiserCode, GoalCode, UserKey};
use inkling::insight::{self, ActionEffect, SegmentReport};
use inkling::stats::hyperloglog::STANDARD_ERROR;

use super::shop::*;

const ACME: AdvertiserCode = AdvertiserCode(0);
const PURCHASE: GoalCode = GoalCode(0);

fn effect(shop: &Shop, action: &str) -> ActionEffect {
    let code = shop.engine.catalog().action(ACME, action).unwrap();
    let effects = insight::actions(&shop.engine, PURCHASE);
    effects.into_iter().find(|effect| effect.action.action == code).unwrap()
}

fn segment(shop: &Shop, name: &str) -> SegmentReport {
    let reports = insight::segment_reports(&shop.engine, PURCHASE);
    let is_meant = |report: &&SegmentReport| {
        report.segment.and_then(|code| shop.engine.catalog().segment_name(ACME, code)) == Some(&id(name))
    };
    reports.iter().find(is_meant).unwrap().clone()
}

#[test]
fn tells_who_converts_more_often_and_how_sure_that_is() {
    let shop = trained();
    let (viewed, carts) = (effect(&shop, "view_item"), effect(&shop, "add_to_cart"));
    assert_eq!(viewed.lift, None, "everybody did it: {viewed:?}");
    assert_eq!(carts.action.users, Some(200), "exact while there are few");
    let all = viewed.action.users.unwrap() as f64;
    assert!((all / 400.0 - 1.0).abs() < 4.0 * STANDARD_ERROR, "{all} of 400 users");
    // Counts have faded by some percent.
    assert!((190.0..200.1).contains(&carts.impressions) && (95.0..100.1).contains(&carts.positives), "{carts:?}");
    assert!((carts.rate_with - 0.5).abs() < 0.01 && carts.rate_without == 0.0, "{carts:?}");
    let lift = carts.lift.unwrap();
    assert!(lift.low > 10.0 && lift.low < lift.ratio && lift.ratio < lift.high, "{lift:?}");
    let abandoners = segment(&shop, "cart_abandoners");
    assert_eq!((abandoners.users, abandoners.lift), (200, Some(lift)), "the same people");
    assert_eq!(segment(&shop, "recent_buyers").lift, None, "nobody was shown anything after buying");
}

#[test]
fn what_was_done_after_an_impression_was_shown_does_not_count() {
    let mut shop = Shop::new();
    let (before, since) = (shop.now, shop.now + MINUTE);
    shop.act(1, "view_item");
    shop.act(2, "add_to_cart");
    shop.wait(MINUTE);
    let exposures = [shop.score(1).exposure.unwrap(), shop.score(2).exposure.unwrap()];
    shop.wait(MINUTE);
    shop.act(1, "add_to_cart");
    for exposure in exposures {
        assert_eq!(shop.apply_of(since, None, impression(exposure)), Applied::Done);
    }
    assert_eq!(effect(&shop, "view_item").impressions.round(), 1.0);
    let carts = effect(&shop, "add_to_cart");
    assert_eq!((carts.impressions.round(), carts.action.users), (1.0, Some(2)), "shown between {before} and {since}");
}

#[test]
fn a_label_that_is_taken_back_takes_the_lift_with_it() {
    let mut shop = Shop::new();
    for user in 1..=2 {
        shop.act(user, if user == 1 { "add_to_cart" } else { "view_item" });
        shop.wait(MINUTE);
        shop.show(user);
        shop.wait(MINUTE);
    }
    assert_eq!(effect(&shop, "add_to_cart").lift, None, "nobody has converted");
    assert_eq!(shop.apply(conversion(1, Some("c1"))), Applied::Done);
    let carts = effect(&shop, "add_to_cart");
    let lift = carts.lift.unwrap();
    assert!(lift.ratio > 1.0 && lift.low < 1.0, "one each says little: {lift:?}");
    let retraction = inkling::event::Retraction { advertiser: id("acme"), conversion_id: id("c1") };
    assert_eq!(shop.apply(Event::Retraction(retraction)), Applied::Done);
    let carts = effect(&shop, "add_to_cart");
    assert_eq!((carts.positives, carts.lift), (0.0, None));
}

#[test]
fn two_ids_linked_afterwards_stay_two_and_who_is_forgotten_stays_counted() {
    let mut shop = Shop::new();
    shop.act(1, "view_item");
    shop.act(2, "view_item");
    assert_eq!(shop.apply(Event::Link([1, 2].map(UserKey))), Applied::Done);
    shop.act(1, "view_item");
    shop.act(2, "view_item");
    assert_eq!(effect(&shop, "view_item").action.users, Some(2));
    assert_eq!(shop.apply(Event::Forget(UserKey(1))), Applied::Done);
    assert_eq!(effect(&shop, "view_item").action.users, Some(2));
}
