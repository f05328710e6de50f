//! What the base bid pays for already, and what the multiplier adds to it.

use inkling::engine::Applied;
use inkling::hash;
use inkling::math;
use inkling::opportunity::{PrivacyMode, ScoreRequest};
use inkling::rejection::Rejection;
use inkling::settings::Baseline;
use inkling::signal::{Neutral, Signal};

use super::shop::*;

/// Users from here on take no part in the training.
const NEWCOMER: u64 = 1_000_000;

fn with_baseline(baseline: Baseline) -> Shop {
    let mut settings = settings();
    let multiplier = &mut settings.advertisers[0].goals[0].multiplier;
    (multiplier.baseline, multiplier.min, multiplier.max) = (baseline, 0.01, 10.0);
    Shop::with(settings)
}

fn asked(shop: &mut Shop, user: u64, place: &str) -> ScoreRequest {
    ScoreRequest { context: vec![(id("place"), id(place))], ..shop.request(user) }
}

fn signal(shop: &mut Shop, user: u64, place: &str) -> Signal {
    let request = asked(shop, user, place);
    shop.answer(&request).signals.remove(0)
}

/// Newcomers convert after 8 % of impressions in a good place, after 2 % in a bad one; those with a cart, one in ten,
/// five times as often.
fn trained(baseline: Baseline) -> (Shop, Vec<Signal>) {
    let mut shop = with_baseline(baseline);
    let chance = |user: u64, what: u64| (hash::mix(user, what) >> 32) as f64 / (1u64 << 32) as f64;
    let mut signals = Vec::new();
    for user in 1..=10_000 {
        let (place, p) = if chance(user, 1) < 0.5 { ("good", 0.08) } else { ("bad", 0.02) };
        let has_cart = chance(user, 2) < 0.1;
        if has_cart {
            shop.act(user, "add_to_cart");
        }
        shop.wait(1_000);
        let request = asked(&mut shop, user, place);
        let mut scored = shop.answer(&request);
        assert_eq!(shop.apply(impression(scored.exposure.unwrap())), Applied::Done);
        signals.push(scored.signals.remove(0));
        shop.wait(1_000);
        if chance(user, 3) < p * if has_cart { 5.0 } else { 1.0 } {
            assert_eq!(shop.apply(conversion(user, None)), Applied::Done);
        }
    }
    (shop, signals)
}

fn show(signals: &[Signal]) -> String {
    let one =
        |signal: &Signal| format!("m {:.3} p {:.4} of {:.4}", signal.multiplier, signal.p_conversion, signal.baseline);
    signals.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn against_the_context_the_multiplier_says_what_the_person_adds() {
    let (mut shop, signals) = trained(Baseline::Context);
    shop.act(NEWCOMER + 1, "add_to_cart");
    shop.wait(1_000);
    let new = ["good", "bad"].map(|place| signal(&mut shop, NEWCOMER, place));
    let cart = ["good", "bad"].map(|place| signal(&mut shop, NEWCOMER + 1, place));
    assert!(new[0].p_conversion > 2.0 * new[1].p_conversion, "{}", show(&new));
    assert!(new.iter().all(|signal| (0.7..1.1).contains(&signal.multiplier)), "{}", show(&new));
    assert!(cart.iter().all(|signal| signal.multiplier > 2.5), "{}", show(&cart));
    let ratio = cart[0].multiplier / cart[1].multiplier;
    assert!((0.8..1.25).contains(&ratio), "{}", show(&cart));
    let late = &signals[signals.len() / 2..];
    let ln = |signal: &Signal| inkling::math::ln(signal.p_conversion / signal.baseline);
    let mean = late.iter().map(ln).sum::<f64>() / late.len() as f64;
    assert!(mean.abs() < 0.1, "{mean}");
}

#[test]
fn of_whom_nothing_is_known_the_context_says_all() {
    let (mut shop, _) = trained(Baseline::Context);
    let request = ScoreRequest { privacy: PrivacyMode::Context, ..asked(&mut shop, 1, "good") };
    let signal = shop.answer(&request).signals.remove(0);
    assert_eq!((signal.multiplier, signal.baseline, signal.neutral), (1.0, signal.p_conversion, None));
}

#[test]
fn against_the_request_the_multiplier_is_the_ratio_as_far_as_the_context_is_known() {
    let (mut shop, _) = trained(Baseline::Request);
    let mut request = asked(&mut shop, NEWCOMER, "good");
    let silent = shop.answer(&request).signals.remove(0);
    assert_eq!((silent.multiplier, silent.neutral), (1.0, Some(Neutral::NoBaseP)));
    assert_eq!(silent.baseline, silent.p_conversion);
    let mut believed = Vec::new();
    for base_p in [0.04, 0.08, 0.3, 1e-9, 0.999_999] {
        request.targets[0].base_p = Some(base_p);
        let signal = shop.answer(&request).signals.remove(0);
        assert_eq!((signal.baseline, signal.neutral), (base_p, None));
        assert!((0.01..=10.0).contains(&signal.multiplier), "{base_p}: {}", show(&[signal]));
        if (0.01..0.5).contains(&base_p) {
            believed.push((math::ln(base_p), math::ln(signal.multiplier)));
        }
    }
    // The more the bidder pays for already, the less is added; the same share of each difference, as the model is no
    // surer of the context for it.
    let slope = |pair: &[(f64, f64)]| (pair[0].1 - pair[1].1) / (pair[1].0 - pair[0].0);
    let shares: Vec<f64> = believed.windows(2).map(slope).collect();
    assert!(shares.len() == 2 && shares.iter().all(|share| (0.2..0.9).contains(share)), "{shares:?}");
    assert!((shares[0] - shares[1]).abs() < 1e-9, "{shares:?}");
    for base_p in [0.0, 1.0, -0.1, f64::NAN] {
        request.targets[0].base_p = Some(base_p);
        let refused = shop.engine.scorer().score(inkling::units::Timestamp(shop.now), &request).remove(0);
        assert!(matches!(refused, Err(Rejection::Invalid { field: "base_p", .. })), "{base_p}: {refused:?}");
    }
}

#[test]
fn a_stated_probability_is_learned_from() {
    let mut shop = with_baseline(Baseline::Goal);
    let answer = |shop: &mut Shop, user: u64, base_p: f64| {
        let mut request = shop.request(user);
        request.targets[0].base_p = Some(base_p);
        shop.answer(&request)
    };
    for user in 1..=600 {
        let is_likely = user % 2 == 0;
        let exposure = answer(&mut shop, user, if is_likely { 0.3 } else { 0.01 }).exposure.unwrap();
        assert_eq!(shop.apply(impression(exposure)), Applied::Done);
        shop.wait(1_000);
        if is_likely && user % 5 == 0 {
            assert_eq!(shop.apply(conversion(user, None)), Applied::Done);
        }
    }
    let [likely, unlikely] = [0.3, 0.01].map(|p| answer(&mut shop, NEWCOMER, p).signals.remove(0).p_conversion);
    // Nothing else tells the two apart.
    assert!(likely > 1.5 * unlikely, "{likely} {unlikely}");
}
