//! From a probability to a factor on the bid.

use super::exploration::Draw;
use crate::learn::calibration::Curve;
use crate::learn::ftrl::Prediction;
use crate::math;
use crate::settings::{MULTIPLIER_BOUNDS, Multiplier, WEIGHT_BOUNDS};
use crate::signal::{Explored, NEUTRAL};

/// How much wider intervals are than the spread of the weights makes them: that knows of what was seen too rarely, but
/// not of weights that are held back towards 0. How often intervals then hold the truth, on streams of which it is
/// known: README, *How sure the numbers are*, measured by tests/calibration.rs.
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

/// The factors of a multiplier beside ρ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Factors {
    /// The product of the weights of the person's segments.
    pub weight: f64,
    /// What keeps the goal's spend.
    pub spend: f64,
}

/// ln ρ as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LnRatio {
    pub mean: f64,
    pub variance: f64,
}

/// The factor on the value of an impression: ρ^exponent with ρ = p ÷ base, its logarithm shrunk as far as ρ is
/// uncertain, times the segments' weights and the goal's spend factor, within the goal's bounds.
///
/// Shrinkage: ln ρ · τ² / (τ² + Var ln ρ), with τ² = `prior_variance` and Var ln ρ = (1 − p)² Var logit, the posterior
/// mean of ln ρ under a normal prior around 0. The weights are held back towards 0 already, so the default prior is
/// wide: in made-up markets one of variance 1 gave away a third of what can be gained, and 10 costs 0.7 per cent of
/// conversions where there is nothing to gain (docs/market.md).
///
/// With a draw the factor is one around that, as far off as ρ^exponent is uncertain: with exponent² times the posterior
/// variance of ln ρ. `None` beside it where nothing was drawn, because nothing is uncertain.
pub(super) fn multiplier(
    settings: &Multiplier,
    p: f64,
    base: Base,
    factors: Factors,
    draw: Option<Draw>,
) -> (f64, Option<Explored>) {
    let variance = (1.0 - p) * (1.0 - p) * base.variance;
    factor(settings, LnRatio { mean: math::ln(p / base.p) - base.doubted, variance }, factors, draw)
}

/// The same of ln ρ.
pub(super) fn factor(
    settings: &Multiplier,
    ratio: LnRatio,
    factors: Factors,
    draw: Option<Draw>,
) -> (f64, Option<Explored>) {
    let shrink = settings.prior_variance / (settings.prior_variance + ratio.variance);
    let weight = factors.weight.clamp(WEIGHT_BOUNDS.0, WEIGHT_BOUNDS.1);
    let mean = math::exp(settings.exponent * ratio.mean * shrink) * weight * factors.spend;
    let drawn = draw.and_then(|draw| {
        let deviation = settings.exponent * (ratio.variance * shrink).sqrt();
        let drawn = (deviation > 0.0).then(|| draw.around(mean, deviation));
        drawn.filter(|(factor, told)| factor.is_finite() && told.ln_mean.is_finite())
    });
    let factor = drawn.map_or(mean, |(factor, _)| factor);
    let (least, most) = (settings.min.max(MULTIPLIER_BOUNDS.0), settings.max.min(MULTIPLIER_BOUNDS.1));
    if factor.is_finite() && least <= most {
        (factor.clamp(least, most), drawn.map(|(_, explored)| explored))
    } else {
        (NEUTRAL, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bids_in_proportion_where_certain_and_not_at_all_where_not() {
        let settings = Multiplier { prior_variance: 1.0, ..Multiplier::default() };
        let check = |p, variance, weight| {
            multiplier(&settings, p, Base { p: 0.01, variance, doubted: 0.0 }, Factors { weight, spend: 1.0 }, None).0
        };
        assert!((check(0.02, 0.0, 1.0) - 2.0).abs() < 1e-9);
        assert!((check(0.01, 0.0, 1.0) - 1.0).abs() < 1e-9);
        assert!((check(0.02, 1e9, 1.0) - 1.0).abs() < 1e-6);
        assert!((check(0.01, 0.0, 1.5) - 1.5).abs() < 1e-9);
        let sure = Base { p: 0.01, variance: 0.0, doubted: 0.0 };
        let (controlled, _) = multiplier(&settings, 0.02, sure, Factors { weight: 1.0, spend: 0.9 }, None);
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
                for (variance, normal) in [(0.0, None), (1.0, Some(-9.0)), (1e9, Some(9.0)), (f64::NAN, Some(0.0))] {
                    let base = Base { p: baseline, variance, doubted: 0.0 };
                    let draw = normal.map(|normal| Draw { share: 0.01, normal });
                    let factors = Factors { weight: f64::INFINITY, spend: 2.0 };
                    let (factor, explored) = multiplier(&settings, p, base, factors, draw);
                    let is_within = (MULTIPLIER_BOUNDS.0..=MULTIPLIER_BOUNDS.1).contains(&factor);
                    assert!(is_within, "{p} {baseline} {variance} {normal:?}: {factor}");
                    let is_told = |told: &Explored| told.ln_mean.is_finite() && told.ln_deviation.is_finite();
                    assert!(explored.as_ref().is_none_or(is_told), "{explored:?}");
                }
            }
        }
    }

    #[test]
    fn a_draw_is_as_far_off_as_the_posterior_is_wide() {
        let settings = Multiplier { prior_variance: 2.0, exponent: 0.5, ..Multiplier::default() };
        let draw = |normal| Some(Draw { share: 0.01, normal });
        let ratio = |variance| LnRatio { mean: math::ln(2.0), variance };
        let factors = Factors { weight: 1.1, spend: 0.9 };
        let factor = |variance, normal| factor(&settings, ratio(variance), factors, draw(normal));
        let (drawn, told) = factor(2.0, 0.3);
        let told = told.unwrap();
        // Half of ln 2 is believed, and half of the variance is left; of both the exponent takes half, or a quarter.
        let (mean, deviation) = (math::ln(2.0) / 4.0 + math::ln(0.99), 0.5);
        assert!((told.ln_deviation - deviation).abs() < 1e-12 && told.share == 0.01, "{told:?}");
        assert!((told.ln_mean - (mean - 0.125)).abs() < 1e-12, "{told:?}");
        assert!((math::ln(drawn) - (told.ln_mean + 0.3 * deviation)).abs() < 1e-12, "{drawn}");
        assert_eq!(factor(2.0, 9.0), (3.0, Some(told)), "the goal's largest");
        assert_eq!(factor(2.0, -9.0), (0.3, Some(told)), "the goal's smallest");
        let certain = super::factor(&settings, ratio(0.0), factors, None);
        assert_eq!(factor(0.0, 2.0), certain, "nothing is drawn where nothing is uncertain");
    }
}
