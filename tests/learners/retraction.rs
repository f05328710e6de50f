//! What "a conversion takes back what was learned" means to the bit: all of the gradient, not quite all of the step.
//!
//! With λ₁ = 0 one step of FTRL moves a weight by −g ÷ D, D = (β + √n) ÷ α + λ₂ after it (McMahan et al. 2013: z sums
//! up so that the step before cancels out). Learning p and then −p leaves Σ g = 0 and n larger by 2 p²: the way back
//! is shorter than the way there, and −p (1 ÷ D₁ − 1 ÷ D₂) remains. That is at most 1 − 1 ÷ √2 = 0.293 of the first
//! step, where the coordinate has seen nothing before, and vanishes as p² ÷ 2n where it has seen much: there weights
//! stand still within a step, and "exactly at fixed weights" is exact.

use inkling::exposure::Feature;
use inkling::learn::LANES;
use inkling::learn::ftrl::Learner;
use inkling::settings::Learner as Parameters;
use inkling::units::Tick;
use proptest::prelude::*;

const NOW: Tick = Tick(1_700_000_000);
/// Most of a first step that learning its opposite leaves: 1 − 1 ÷ √2.
const LEFT_MAX: f64 = 0.293;
/// Rounding of weights and gradients to f32, over the few operations of a step.
const ROUNDING: f64 = 1e-6;

fn feature(slot: u32, code: u8) -> Feature {
    Feature::from_parts(slot, code).unwrap()
}

fn learn(learner: &mut Learner, features: &[Feature], gradient: f64) {
    learner.learn(features, [gradient; LANES], NOW);
}

/// The log-odds of the head that learns at the full rate.
fn said(learner: &Learner, features: &[Feature]) -> f64 {
    learner.logits(features)[0]
}

/// (β + √n) ÷ α + λ₂.
fn denominator(parameters: &Parameters, n: f64) -> f64 {
    (parameters.beta + n.sqrt()) / parameters.alpha + parameters.l2
}

proptest! {
    #[test]
    fn what_remains_of_a_step_taken_back_is_the_formula(
        alpha in 0.01f64..1.0,
        beta in 0.1f64..10.0,
        l2 in 0.0f64..10.0,
        history in proptest::collection::vec(-1.0f64..=1.0, 0..60),
        p in 0.001f64..1.0,
    ) {
        let parameters = Parameters { alpha, beta, l2, ..Parameters::default() };
        let mut learner = Learner::new(&parameters);
        let features = [feature(5, 0)];
        history.iter().for_each(|gradient| learn(&mut learner, &features, *gradient));
        let n: f64 = history.iter().map(|gradient| gradient * gradient).sum();
        let before = said(&learner, &features);

        learn(&mut learner, &features, p);
        let there = said(&learner, &features);
        let [first, second] = [1.0, 2.0].map(|times| denominator(&parameters, n + times * p * p));
        let rounding = ROUNDING * (1.0 + before.abs());
        prop_assert!((there - before + p / first).abs() <= rounding, "{before} {there} {}", p / first);

        learn(&mut learner, &features, -p);
        let left = said(&learner, &features) - before;
        prop_assert!((left + p * (1.0 / first - 1.0 / second)).abs() <= rounding, "{before} {left}");
        prop_assert!(left.abs() <= LEFT_MAX * (there - before).abs() + rounding, "{left} of {}", there - before);
    }

    /// Of several features, each with a history of its own, the log-odds come back as far as each weight does.
    #[test]
    fn what_an_example_was_told_comes_back(
        history in proptest::collection::vec((0u32..40, 0u8..16, -1.0f64..=1.0), 0..200),
        slots in proptest::collection::btree_set(0u32..40, 1..40),
        p in 0.001f64..1.0,
    ) {
        let mut learner = Learner::new(&Parameters::default());
        history.iter().for_each(|(slot, code, gradient)| learn(&mut learner, &[feature(*slot, *code)], *gradient));
        let features: Vec<Feature> = slots.into_iter().map(|slot| feature(slot, slot as u8 % 16)).collect();
        let before = said(&learner, &features);
        learn(&mut learner, &features, p);
        let step = said(&learner, &features) - before;
        learn(&mut learner, &features, -p);
        let left = said(&learner, &features) - before;
        prop_assert!(step < 0.0 && left <= ROUNDING, "{step} {left}");
        prop_assert!(left >= LEFT_MAX * step - 1e-5, "{left} of {step}");
    }
}

/// Where a coordinate has seen much, a negative whose conversion comes later leaves the weight where the conversion,
/// known at once, would have left it.
#[test]
fn a_late_positive_ends_where_a_prompt_one_does() {
    for (seen, within) in [(10, 0.2), (100, 0.02), (10_000, 0.001)] {
        let features = [feature(5, 0)];
        let after = |gradients: &[f64]| {
            let mut learner = Learner::new(&Parameters::default());
            (0..seen).for_each(|round| learn(&mut learner, &features, if round % 2 == 0 { 1.0 } else { -1.0 }));
            let before = said(&learner, &features);
            gradients.iter().for_each(|gradient| learn(&mut learner, &features, *gradient));
            said(&learner, &features) - before
        };
        let p = 0.3;
        let (late, prompt) = (after(&[p, -1.0]), after(&[p - 1.0]));
        assert!((late - prompt).abs() <= within * prompt, "{late} {prompt} after {seen}");
    }
}
