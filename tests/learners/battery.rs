//! What holds for every learner, whatever it is given within its bounds.

use inkling::exposure::{FEATURE_VALUES, FEATURES_MAX, Feature, SLOT_BITS};
use inkling::learn::ftrl::TABLE_BITS_MIN;
use inkling::settings::Learner as Parameters;
use inkling::units::{Span, Tick};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::subjects::{Example, Restored, Subject};

/// Repeats of one example.
const REPEATS: u32 = 1_000_000;

/// Parameters within the bounds of the configuration, mostly at them. The smallest table, so that features collide.
pub fn parameters() -> impl Strategy<Value = Parameters> {
    let alpha = prop_oneof![Just(0.000_1), Just(0.1), Just(10.0), 0.000_1..10.0];
    let beta = prop_oneof![Just(0.000_1), Just(1.0), Just(1_000.0), 0.000_1..1_000.0];
    let penalty = || prop_oneof![3 => Just(0.0), 1 => Just(1.0), 1 => Just(1_000.0), 1 => 0.0..1_000.0];
    let half_life = prop_oneof![Just(Span::minutes(1)), Just(Span::days(30)), Just(Span::days(3_650))];
    (alpha, beta, penalty(), penalty(), half_life).prop_map(|(alpha, beta, l1, l2, half_life)| Parameters {
        alpha,
        beta,
        l1,
        l2,
        half_life,
        table_bits: TABLE_BITS_MIN,
    })
}

fn feature() -> impl Strategy<Value = Feature> {
    let slot = prop_oneof![0..20u32, 0..1u32 << SLOT_BITS, Just((1 << SLOT_BITS) - 1)];
    (slot, 0..FEATURE_VALUES.len() as u8).prop_map(|(slot, code)| Feature::from_parts(slot, code).unwrap())
}

/// Times anywhere, in any order: gaps of decades, and clocks that go back.
fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>(), 1_700_000_000..1_700_100_000u32].prop_map(Tick)
}

fn example() -> impl Strategy<Value = Example> {
    let features = proptest::collection::vec(feature(), 0..=FEATURES_MAX);
    let gradient = prop_oneof![Just(2.0), Just(-2.0), Just(0.0), Just(5e-324), Just(-1e-30), -2.0..=2.0];
    let share = prop_oneof![Just(1.0), Just(0.0), Just(1e-20), 0.0..=1.0];
    (features, gradient, any::<bool>(), share, tick()).prop_map(|(features, gradient, label, share, tick)| Example {
        features,
        gradient,
        label,
        share,
        tick,
    })
}

pub fn examples() -> impl Strategy<Value = Vec<Example>> {
    proptest::collection::vec(example(), 1..60)
}

fn finite(what: &[f64]) -> TestCaseResult {
    prop_assert!(what.iter().all(|number| number.is_finite()), "{what:?}");
    Ok(())
}

/// Answers stay numbers, of what was learned and of what never was.
pub fn stays_finite<S: Subject>(parameters: &Parameters, examples: &[Example]) -> TestCaseResult {
    let mut subject = S::new(parameters);
    let never_seen = Feature::from_parts(77_777, 0).unwrap();
    for example in examples {
        finite(&subject.answer(&example.features))?;
        subject.learn(example);
        finite(&subject.answer(&example.features))?;
    }
    finite(&subject.answer(&[never_seen]))
}

/// The same calls give the same bits.
pub fn repeats_itself<S: Subject>(parameters: &Parameters, examples: &[Example]) -> TestCaseResult {
    let run = || {
        let mut subject = S::new(parameters);
        examples.iter().for_each(|example| subject.learn(example));
        let answers = examples.iter().flat_map(|example| subject.answer(&example.features));
        (answers.map(f64::to_bits).collect::<Vec<_>>(), subject.image())
    };
    prop_assert!(run() == run());
    Ok(())
}

/// Saved anywhere and continued is learned straight through.
pub fn continues_from_its_image<S: Restored>(
    parameters: &Parameters,
    examples: &[Example],
    cut: usize,
) -> TestCaseResult {
    let mut straight = S::new(parameters);
    let (before, after) = examples.split_at(cut % (examples.len() + 1));
    before.iter().for_each(|example| straight.learn(example));
    let mut continued = S::restored(parameters, &straight.image());
    prop_assert!(straight.image() == continued.image());
    for example in after {
        straight.learn(example);
        continued.learn(example);
        let bits = |subject: &S| subject.answer(&example.features).into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(&straight), bits(&continued));
    }
    prop_assert!(straight.image() == continued.image());
    Ok(())
}

/// The order of the features within an example is of no account, as long as no two of them share a slot: of two in one
/// slot the second learns from where the first has left it, which is why exposures are sorted.
pub fn order_is_of_no_account<S: Subject>(
    parameters: &Parameters,
    examples: &[Example],
    turn: usize,
) -> TestCaseResult {
    let mut examples = examples.to_vec();
    for example in &mut examples {
        let mut slots = std::collections::BTreeSet::new();
        example.features.retain(|feature| slots.insert(feature.slot() % (1 << parameters.table_bits)));
    }
    let (mut one, mut other) = (S::new(parameters), S::new(parameters));
    for example in &examples {
        let mut turned = example.clone();
        turned.features.rotate_left(turn % (example.features.len().max(1)));
        turned.features.reverse();
        one.learn(example);
        other.learn(&turned);
        let answers = [one.answer(&example.features), other.answer(&turned.features)];
        for (one, other) in answers[0].iter().zip(&answers[1]) {
            let within = S::ORDER.unwrap_or(1e-12) * one.abs().max(other.abs()).max(1.0);
            prop_assert!((one - other).abs() <= within, "{one} {other}");
        }
    }
    if S::ORDER.is_none() {
        prop_assert!(one.image() == other.image());
    }
    Ok(())
}

/// One example over and over, a second apart.
pub fn bears_repeats<S: Subject>() {
    let corners = [(0.000_1, 0.000_1, 0.0), (10.0, 0.000_1, 0.0), (10.0, 1_000.0, 1_000.0), (0.1, 1.0, 1.0)];
    for ((alpha, beta, l2), half_life) in corners.into_iter().zip([1, 1, 5_256_000, 43_200]) {
        let half_life = Span::minutes(half_life);
        let bits = TABLE_BITS_MIN;
        let mut subject = S::new(&Parameters { alpha, beta, l1: 0.0, l2, half_life, table_bits: bits });
        let features = vec![Feature::from_parts(3, 0).unwrap(), Feature::from_parts(4, 1).unwrap()];
        let mut example = Example { features, gradient: -2.0, label: true, share: 1.0, tick: Tick(1_700_000_000) };
        for _ in 0..REPEATS {
            subject.learn(&example);
            example.tick.0 += 1;
        }
        let answer = subject.answer(&example.features);
        assert!(answer.iter().all(|number| number.is_finite()), "{answer:?}");
    }
}

/// The battery for every learner.
macro_rules! battery {
    ($name:ident, $subject:ty) => {
        mod $name {
            use crate::battery;

            proptest::proptest! {
                #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

                #[test]
                fn stays_finite(parameters in battery::parameters(), examples in battery::examples()) {
                    battery::stays_finite::<$subject>(&parameters, &examples)?;
                }

                #[test]
                fn repeats_itself(parameters in battery::parameters(), examples in battery::examples()) {
                    battery::repeats_itself::<$subject>(&parameters, &examples)?;
                }
            }

            #[test]
            fn bears_repeats() {
                battery::bears_repeats::<$subject>();
            }
        }
    };
}

/// One more test, of the learners that it is for: a function of parameters, examples and any number.
macro_rules! also {
    ($name:ident, $check:ident, $subject:ty) => {
        proptest::proptest! {
            #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

            #[test]
            fn $name(
                parameters in battery::parameters(),
                examples in battery::examples(),
                number in proptest::prelude::any::<usize>(),
            ) {
                battery::$check::<$subject>(&parameters, &examples, number)?;
            }
        }
    };
}

pub(crate) use {also, battery};
