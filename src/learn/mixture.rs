//! Which of the heads to believe: weights that follow how well each has predicted.
//!
//! Exponentiated gradient (Kivinen and Warmuth, 1997) on the log loss of the mixed log-odds, Σ mₕ zₕ with Σ mₕ = 1: the
//! loss is convex in m, and m is within a logarithm of the number of heads of the best fixed mixture. The best learning
//! rate, and whether crosses help, differ from log to log: this finds both out.

use super::{FROM_LADDER, HEADS};
use crate::math;

/// Step of the weights' logarithms for an error of 1 at log-odds of 1.
const STEP: f64 = 0.03;
/// Smallest weight before all are brought to a sum of 1: a head that was wrong for long must be able to come back.
const WEIGHT_MIN: f64 = 0.01;

/// Weights of the heads: each at least a three hundredth (0.01 ÷ e, the most that a step makes of the sum), summing
/// to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    weights: [f64; HEADS],
}

/// Before anything is known the head that starts from the ladder is believed most: with few conversions the others have
/// little to tell, and where the steps do not tell either, the ladder's slope goes. Of the others the slower are
/// believed more: a fast one follows the latest conversion.
const START: [f64; HEADS] = [0.033, 0.134, 0.033, 0.8];

impl Default for Mixture {
    fn default() -> Mixture {
        Mixture { weights: START }
    }
}

impl Mixture {
    /// The weights.
    pub fn weights(&self) -> &[f64; HEADS] {
        &self.weights
    }

    /// The mean of what the heads say.
    pub fn mean(&self, of_heads: &[f64; HEADS]) -> f64 {
        self.weights.iter().zip(of_heads).map(|(weight, of_head)| weight * of_head).sum()
    }

    /// How far the ladder's lane counts, at a slope.
    pub fn ladder(&self, slope: f64) -> f64 {
        slope * self.mean(&FROM_LADDER)
    }

    /// Moves the weights towards the heads that were right: their log-odds stood on top of an intercept, and the label
    /// is known now. `share` is how much the example counts, 0 to 1.
    pub fn learn(&mut self, intercept: f64, logits: &[f64; HEADS], label: bool, share: f64) {
        let error = math::sigmoid(intercept + self.mean(logits)) - f64::from(u8::from(label));
        for (weight, logit) in self.weights.iter_mut().zip(logits) {
            let step = (-STEP * share * error * logit).clamp(-1.0, 1.0);
            *weight = (*weight * math::exp(step)).max(WEIGHT_MIN);
        }
        let sum: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|weight| *weight /= sum);
    }
}

impl Mixture {
    /// The mixture of weights that [`Mixture::weights`] told, bit by bit; `None` where no mixture comes to them.
    pub fn from_weights(weights: [f64; HEADS]) -> Option<Mixture> {
        let sum: f64 = weights.iter().sum();
        let is_sound = weights.iter().all(|weight| *weight >= WEIGHT_MIN / 3.0) && (sum - 1.0).abs() < 1e-9;
        is_sound.then_some(Mixture { weights })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_that_is_right_wins_and_can_lose_again() {
        let mut mixture = Mixture::default();
        let wrong_and_right = |mixture: &mut Mixture, right: usize| {
            for round in 0..3_000 {
                let label = round % 2 == 0;
                let mut logits = [0.0; HEADS];
                logits[right] = if label { 2.0 } else { -2.0 };
                mixture.learn(0.0, &logits, label, 1.0);
            }
        };
        wrong_and_right(&mut mixture, 2);
        assert!(mixture.weights()[2] > 0.9, "{mixture:?}");
        wrong_and_right(&mut mixture, 0);
        assert!(mixture.weights()[0] > mixture.weights()[2], "{mixture:?}");
    }

    #[test]
    fn weights_that_are_no_mixture_are_refused() {
        for (first, is_sound) in [(0.25, true), (0.2, false), (f64::NAN, false), (f64::INFINITY, false)] {
            let weights = std::array::from_fn(|head| if head == 0 { first } else { 0.75 / (HEADS - 1) as f64 });
            assert_eq!(Mixture::from_weights(weights).is_some(), is_sound, "{first}");
        }
        let mut negative = [1.0 / (HEADS - 1) as f64; HEADS];
        (negative[0], negative[1]) = (-0.1, negative[1] + 0.1);
        assert_eq!(Mixture::from_weights(negative), None);
    }

    proptest! {
        #[test]
        fn weights_stay_a_mixture(
            examples in proptest::collection::vec(
                (-60.0f64..60.0, any::<[f64; HEADS]>(), any::<bool>(), 0.0f64..=1.0),
                1..100,
            ),
        ) {
            let mut mixture = Mixture::default();
            for (intercept, logits, label, share) in examples {
                let logits = logits.map(|logit| if logit.is_finite() { logit.clamp(-1e9, 1e9) } else { 0.0 });
                mixture.learn(intercept, &logits, label, share);
                prop_assert!((mixture.weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(mixture.weights().iter().all(|weight| *weight >= WEIGHT_MIN / 3.0));
            }
        }
    }
}
