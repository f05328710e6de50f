//! Multipliers spend what would be spent without them: auctions on the engine, through score and impression.

use inkling::event::{Event, Impression, Shown};
use inkling::exposure::Arm;
use inkling::hash;
use inkling::ids::GoalCode;
use inkling::insight;
use inkling::math;
use inkling::opportunity::ScoreRequest;
use inkling::settings::{Arms, ExternalSegment, Settings};
use inkling::units::{Micros, Money};

use super::shop::{MINUTE, Shop, id, settings};

const PEOPLE: u64 = 4_000;
const AUCTIONS_A_MINUTE: u64 = 30;
/// Segments whose weights are the multipliers, so that these are known.
const SEGMENTS: u64 = 9;

/// Everybody's multiplier is a segment's weight: e^(−1 … 1), more often above 1 than below.
fn weighted(is_controlled: bool) -> Settings {
    let mut settings = settings();
    settings.arms = Arms { control_share: 0.4, ..Arms::default() };
    let advertiser = &mut settings.advertisers[0];
    let segment = |number: u64| {
        let weight = math::exp(1.0 - 0.22 * number as f64);
        ExternalSegment { id: id(&format!("m/{number}")), weight }
    };
    advertiser.externals = (0..SEGMENTS).map(segment).collect();
    let multiplier = &mut advertiser.goals[0].multiplier;
    (multiplier.exponent, multiplier.support, multiplier.spend_control) = (0.0, 1, is_controlled);
    settings
}

fn uniform(purpose: u64, number: u64) -> f64 {
    (hash::mix(purpose, number) >> 11) as f64 / (1u64 << 53) as f64
}

/// A day of auctions: what treated people cost ÷ what they would have with multipliers of 1, in its second half.
fn a_day(shop: &mut Shop, tells_bids: bool) -> f64 {
    shop.act(1, "view_item");
    let (mut spent, mut without) = (0.0, 0.0);
    for minute in 0..1_440 {
        shop.wait(MINUTE);
        for number in minute * AUCTIONS_A_MINUTE..(minute + 1) * AUCTIONS_A_MINUTE {
            let drawn = uniform(1, number);
            let person = (drawn * drawn * PEOPLE as f64) as u64;
            let user = hash::mix(7, person);
            let segment = id(&format!("m/{}", (uniform(2, person) * SEGMENTS as f64) as u64));
            let request = ScoreRequest { segments: vec![segment], ..shop.request(user) };
            let scored = shop.answer(&request);
            let (signal, exposure) = (&scored.signals[0], scored.exposure.unwrap());
            assert_eq!(exposure.goals[0].multiplier, signal.treated_multiplier as f32);
            // Twelve uniform draws make a normal one: log-normal prices around a bid of 1.
            let price = math::exp((3..15).map(|purpose| uniform(purpose, number)).sum::<f64>() - 6.0);
            if signal.multiplier >= price {
                let money = |units: f64| Some(Money { amount: Micros((units * 1e6) as i64), currency: None });
                let (cost, bid) = (money(price), money(signal.multiplier).filter(|_| tells_bids));
                shop.apply(Event::Impression(Impression { of: Shown::Scored(exposure), cost, bid }));
            }
            if signal.arm == Arm::Treated && minute >= 720 {
                spent += if signal.multiplier >= price { price } else { 0.0 };
                without += if price <= 1.0 { price } else { 0.0 };
            }
        }
    }
    spent / without
}

#[test]
fn multipliers_spend_what_would_be_spent_without() {
    let mut uncontrolled = Shop::with(weighted(false));
    let without = a_day(&mut uncontrolled, false);
    let report = insight::goal_report(&uncontrolled.engine, GoalCode(0)).unwrap().spend;
    assert!(without > 1.15 && report.factor == 1.0, "{without}: {report:?}");
    let mut controlled = Shop::with(weighted(true));
    let ratio = a_day(&mut controlled, false);
    let report = insight::goal_report(&controlled.engine, GoalCode(0)).unwrap().spend;
    // As near as 1,600 people in control can tell, some of whom are shown much more than others.
    assert!((0.93..1.07).contains(&ratio) && ratio < 1.0 + (without - 1.0) / 2.0, "{ratio}: {report:?}");
    assert!(report.factor < 0.95 && report.treated > report.control * 0.85, "{report:?}");
    let (low, high) = report.interval.unwrap();
    assert!(low < 1.0 && 1.0 < high && high / low < 1.2, "{report:?}");
}

#[test]
fn told_bids_make_spend_control_exact() {
    let mut controlled = Shop::with(weighted(true));
    let ratio = a_day(&mut controlled, true);
    let report = insight::goal_report(&controlled.engine, GoalCode(0)).unwrap().spend;
    assert!((0.98..1.02).contains(&ratio), "{ratio}: {report:?}");
    let (low, high) = report.interval.unwrap();
    assert!(low < 1.0 && 1.0 < high && high / low < 1.08, "{report:?}");
}
