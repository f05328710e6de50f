//! From a probability to a factor on the bid.

use crate::learn::calibration::Curve;
use crate::learn::ftrl::Prediction;
use crate::math;
use crate::settings::{MULTIPLIER_BOUNDS, Multiplier, WEIGHT_BOUNDS};
use crate::signal::NEUTRAL;

/// How much wider intervals are than the spread of the weights makes them: that knows of what was seen too rarely, but
/// not of weights that are held back towards 0. Measured on streams of which the truth is known (tests/calibration.rs):
/// without it 70 to 93 % of the intervals hold the truth, with it 89 to 99 %.
const WIDENED: f64 = 1.75;

/// Probability, interval and log-odds of a prediction on top of an intercept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// Before correction.
    pub logit: f64,
    pub correction: f64,
    pub p: f64,
    pub interval: (f64, f64),
    pub variance: f64,
}

impl Estimate {
    pub fn new(intercept: f64, prediction: Prediction, curve: &Curve) -> Estimate {
        let logit = intercept + prediction.logit;
        let correction = curve.shift(logit);
        let corrected = logit + correction;
        let width = 1.96 * WIDENED * prediction.variance.sqrt();
        let (p, interval) = math::sigmoids(corrected, width);
        Estimate { logit, correction, p, interval, variance: prediction.variance }
    }
}

/// What a probability is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Base {
    /// The probability that the base bid pays for.
    pub p: f64,
    /// Spread of the difference between the two log-odds: what both share is not in it.
    pub variance: f64,
    /// Part of ln ρ that is not believed.
    pub doubted: f64,
}

/// The factor on the value of an impression: ρ^exponent with ρ = p ÷ base, its logarithm shrunk as far as ρ is
/// uncertain, times the segments' weights and the goal's spend factor, within the goal's bounds.
///
/// Shrinkage: ln ρ · τ² / (τ² + Var ln ρ), with τ² = `prior_variance` and Var ln ρ = (1 − p)² Var logit, the posterior
/// mean of ln ρ under a normal prior around 0. The weights are held back towards 0 already, so the default prior is
/// wide: in made-up markets one of variance 1 gave away a third of what can be gained, and 10 costs 0.7 per cent of
/// conversions where there is nothing to gain (docs/market.md).
pub(super) fn multiplier(settings: &Multiplier, p: f64, base: Base, weight: f64, spend_factor: f64) -> f64 {
    let spread = (1.0 - p) * (1.0 - p) * base.variance;
    factor(settings, math::ln(p / base.p) - base.doubted, spread, weight, spend_factor)
}

/// The same of a logarithm and its variance.
pub(super) fn factor(settings: &Multiplier, ln_ratio: f64, spread: f64, weight: f64, spend_factor: f64) -> f64 {
    let shrink = settings.prior_variance / (settings.prior_variance + spread);
    let weight = weight.clamp(WEIGHT_BOUNDS.0, WEIGHT_BOUNDS.1);
    let factor = math::exp(settings.exponent * ln_ratio * shrink) * weight * spend_factor;
    let (least, most) = (settings.min.max(MULTIPLIER_BOUNDS.0), settings.max.min(MULTIPLIER_BOUNDS.1));
    if factor.is_finite() && least <= most { factor.clamp(least, most) } else { NEUTRAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bids_in_proportion_where_certain_and_not_at_all_where_not() {
        let settings = Multiplier { prior_variance: 1.0, ..Multiplier::default() };
        let check =
            |p, variance, weight| multiplier(&settings, p, Base { p: 0.01, variance, doubted: 0.0 }, weight, 1.0);
        assert!((check(0.02, 0.0, 1.0) - 2.0).abs() < 1e-9);
        assert!((check(0.01, 0.0, 1.0) - 1.0).abs() < 1e-9);
        assert!((check(0.02, 1e9, 1.0) - 1.0).abs() < 1e-6);
        assert!((check(0.01, 0.0, 1.5) - 1.5).abs() < 1e-9);
        let controlled = multiplier(&settings, 0.02, Base { p: 0.01, variance: 0.0, doubted: 0.0 }, 1.0, 0.9);
        assert!((controlled - 1.8).abs() < 1e-9);
        assert_eq!(check(0.9, 0.0, 1.0), 3.0, "the goal's largest");
        assert_eq!(check(1e-6, 0.0, 1.0), 0.3, "the goal's smallest");
        assert!(check(0.02, 1.0, 1.0) < 1.5 && check(0.02, 1.0, 1.0) > 1.3);
    }

    #[test]
    fn never_leaves_its_bounds() {
        let settings = Multiplier { min: 0.0, max: 100.0, exponent: 1e9, ..Multiplier::default() };
        for p in [1e-300, 0.5, 1.0 - 1e-16, f64::NAN] {
            for baseline in [0.0, 1e-300, 1.0, f64::NAN] {
                let base = Base { p: baseline, variance: 0.0, doubted: 0.0 };
                let factor = multiplier(&settings, p, base, f64::INFINITY, 2.0);
                assert!((MULTIPLIER_BOUNDS.0..=MULTIPLIER_BOUNDS.1).contains(&factor), "{p} {baseline}: {factor}");
            }
        }
    }
}
