//! Credit in equal parts: it sums to the conversions, whatever comes late and whatever is taken back.

use inkling::engine::Applied;
use inkling::event::{Event, Retraction};
use inkling::ids::GoalCode;
use inkling::settings::{Credit, ExternalSegment, Limits, Settings};
use inkling::units::{Micros, Span};

use super::shop::*;

const GOAL: GoalCode = GoalCode(0);

fn shop(limits: Limits) -> Shop {
    let mut settings = Settings { limits, ..settings() };
    let advertiser = &mut settings.advertisers[0];
    advertiser.externals = vec![ExternalSegment { id: id("p/1"), weight: 1.0 }];
    advertiser.goals[0].credit = Credit::Even;
    // Nothing fades noticeably within the hours of a test.
    advertiser.goals[0].half_life = Span::days(3_650);
    Shop::with(settings)
}

/// Shows somebody an ad, as a member of the external segment or not.
fn show(shop: &mut Shop, user: u64, is_member: bool) {
    let mut request = shop.request(user);
    request.segments.extend(is_member.then(|| id("p/1")));
    let exposure = shop.answer(&request).exposure.unwrap();
    assert_eq!(shop.apply(impression(exposure)), Applied::Done);
    shop.wait(MINUTE);
}

/// Conversions and their value in units, of everybody and of the segment.
fn credited(shop: &Shop) -> [(f64, Micros); 2] {
    let catalog = shop.engine.catalog();
    let segment = catalog.external(catalog.advertiser("acme").unwrap(), "p/1");
    [None, segment].map(|segment| {
        let cell = shop.engine.cell(GOAL, segment).unwrap();
        (cell.conversions, cell.value)
    })
}

fn assert_near(shop: &Shop, everybody: f64, members: f64) {
    for ((conversions, value), expected) in credited(shop).into_iter().zip([everybody, members]) {
        assert!((conversions - expected).abs() < 1e-3 * expected + 1e-9, "{conversions}, not {expected}");
        let expected = expected * 40.0;
        assert!((value.units() - expected).abs() < 1e-3 * expected + 1e-5, "{value:?}, not {expected}");
    }
}

fn retract(shop: &mut Shop, name: &str) {
    let retraction = Retraction { advertiser: id("acme"), conversion_id: id(name) };
    assert_eq!(shop.apply(Event::Retraction(retraction)), Applied::Done);
}

#[test]
fn all_impressions_share_and_the_whole_is_the_conversions() {
    let mut shop = shop(Limits::default());
    for is_member in [true, false, false] {
        show(&mut shop, 1, is_member);
    }
    assert_eq!(shop.apply(conversion(1, Some("c1"))), Applied::Done);
    assert_near(&shop, 1.0, 1.0 / 3.0);
    assert_eq!(shop.apply(conversion(1, Some("c2"))), Applied::Done);
    assert_near(&shop, 2.0, 2.0 / 3.0);
    retract(&mut shop, "c1");
    assert_near(&shop, 1.0, 1.0 / 3.0);
    retract(&mut shop, "c2");
    assert_near(&shop, 0.0, 0.0);
    assert_eq!(shop.credited().1, 0.0, "none was organic");
}

#[test]
fn what_comes_late_gets_its_part_and_what_was_let_go_keeps_it() {
    let mut shop = shop(Limits { live_per_user_max: 2, ..Limits::default() });
    show(&mut shop, 1, true);
    show(&mut shop, 1, true);
    assert_eq!(shop.apply(conversion(1, Some("c1"))), Applied::Done);
    assert_near(&shop, 1.0, 1.0);
    // A third impression, shown before the conversion and told of after it: it takes the place of the first one.
    let request = shop.request(1);
    let late = shop.answer(&request).exposure.unwrap();
    let shown_at = shop.now - MINUTE / 2;
    let late = Box::new(inkling::exposure::Exposure { scored_at: inkling::units::Timestamp(shown_at), ..*late });
    assert_eq!(shop.apply_of(shown_at, None, impression(late)), Applied::Done);
    assert_eq!(shop.engine.tally().impressions_evicted, 1);
    assert_near(&shop, 1.0, 2.0 / 3.0);
    retract(&mut shop, "c1");
    assert_near(&shop, 0.0, 0.0);
}
