//! The engine with the strangest requests it accepts, and the strangest learner that can be configured.

use inkling::engine::Applied;
use inkling::event::{Event, Retraction};
use inkling::ids::Id;
use inkling::opportunity::{CONTEXT_MAX, EXTERNAL_SEGMENTS_MAX, NUMBERS_MAX, ScoreRequest};
use inkling::settings::Learner as Parameters;
use inkling::signal::{NEUTRAL, Signal};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::battery::parameters;
use super::shop::{self, MINUTE, Shop, conversion, id, impression};

/// What a request brings along.
#[derive(Debug, Clone)]
struct Brought {
    context: Vec<(Id, Id)>,
    numbers: Vec<(Id, f64)>,
    segments: Vec<Id>,
    item: Option<Id>,
}

fn name() -> impl Strategy<Value = Id> {
    let text = prop_oneof!["[a-c]", "[^\\p{C}]{1,20}", Just("x".repeat(128)), Just(" ".to_owned())];
    text.prop_filter_map("a name", |text| Id::new(text).ok())
}

fn number() -> impl Strategy<Value = f64> {
    let edges = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 0.0, -0.0, 1.0, f64::EPSILON, 1e308];
    let any = any::<f64>().prop_filter("requests hold numbers only", |number| number.is_finite());
    prop_oneof![proptest::sample::select(edges.to_vec()), any]
}

/// Lists with nothing, with a few and with as many as are allowed.
fn list<T: std::fmt::Debug>(of: impl Strategy<Value = T> + Clone, most: usize) -> impl Strategy<Value = Vec<T>> {
    use proptest::collection::vec;
    prop_oneof![Just(()).prop_map(|()| Vec::new()), vec(of.clone(), 1..4), vec(of, most)]
}

fn brought() -> impl Strategy<Value = Brought> {
    let name = || name().boxed();
    let context = list((name(), name()).boxed(), CONTEXT_MAX);
    let numbers = list((name(), number()).boxed(), NUMBERS_MAX);
    let segments = list(name(), EXTERNAL_SEGMENTS_MAX);
    let item = proptest::option::of(name());
    (context, numbers, segments, item).prop_map(|(context, numbers, segments, item)| Brought {
        context,
        numbers,
        segments,
        item,
    })
}

fn shop(learner: Parameters) -> Shop {
    let mut settings = shop::settings();
    settings.learner = learner;
    // From the first user on the multiplier is meant.
    settings.advertisers[0].goals[0].multiplier.support = 1;
    Shop::with(settings)
}

/// An answer is a probability, and a factor within the goal's bounds.
fn sound(signal: &Signal) -> TestCaseResult {
    let bounds = shop::settings().advertisers[0].goals[0].multiplier;
    let (p, (low, high)) = (signal.p_conversion, signal.interval);
    prop_assert!(0.0 < low && low <= p && p <= high && high < 1.0, "{signal:?}");
    let meant = (bounds.min..=bounds.max).contains(&signal.multiplier) || signal.multiplier == NEUTRAL;
    prop_assert!(meant && signal.multiplier.is_finite(), "{signal:?}");
    prop_assert!(0.0 < signal.baseline && signal.baseline < 1.0, "{signal:?}");
    prop_assert!(signal.reasons.iter().all(|reason| reason.contribution.is_finite()), "{signal:?}");
    Ok(())
}

fn request(shop: &mut Shop, user: u64, brought: &Brought) -> ScoreRequest {
    let mut request = shop.request(user);
    request.context.clone_from(&brought.context);
    request.numbers.clone_from(&brought.numbers);
    request.segments.clone_from(&brought.segments);
    request.targets[0].item.clone_from(&brought.item);
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_asked_and_learned_the_answer_is_a_probability(
        learner in parameters(),
        rounds in proptest::collection::vec((1u64..4, brought(), any::<[bool; 3]>(), 0u64..3_000_000), 1..20),
    ) {
        let mut shop = shop(learner);
        let mut kept = Vec::new();
        for (number, (user, brought, [shows, converts, retracts], pause)) in rounds.iter().enumerate() {
            shop.act(*user, "view_item");
            shop.wait(MINUTE);
            let request = request(&mut shop, *user, brought);
            let scored = shop.answer(&request);
            sound(&scored.signals[0])?;
            if *shows {
                prop_assert_eq!(shop.apply(impression(scored.exposure.unwrap())), Applied::Done);
                kept.push(request);
            }
            shop.wait(MINUTE);
            let name = format!("conversion {number}");
            if *converts {
                prop_assert_eq!(shop.apply(conversion(*user, Some(&name))), Applied::Done);
            }
            shop.wait(MINUTE + pause);
            if *converts && *retracts {
                let retraction = Retraction { advertiser: id("acme"), conversion_id: id(&name) };
                prop_assert_eq!(shop.apply(Event::Retraction(retraction)), Applied::Done);
            }
            for request in &kept {
                sound(&shop.answer(request).signals[0])?;
            }
        }
    }
}
