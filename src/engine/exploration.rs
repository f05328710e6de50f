//! Multipliers off the mean, for a small share of opportunities: so that people of whom too little is thought, because
//! too little is known, are won often enough to be known.
//!
//! Thompson sampling (Chapelle and Li 2011, "An empirical evaluation of Thompson sampling"): what is bid for is a draw
//! from what is believed. ln ρ has a posterior that is nearly normal: its mean is the shrunk ln ρ of [`multiplier`]
//! (super::multiplier), its variance V τ² ÷ (τ² + V). A draw is a hash of the arms' salt, the goal and the opportunity,
//! so that whoever asks again, or replays, draws the same.

use crate::hash;
use crate::ids::{GoalCode, OpportunityKey};
use crate::math;
use crate::signal::Explored;
use crate::stats::normal;

/// Mixed into the salt: arms are dealt by another hash.
const PURPOSE: u64 = 0x0065_7870_6c6f_7265;
/// Steps of a uniform draw: all that an f64 tells apart.
const STEPS: f64 = (1u64 << 53) as f64;

/// How an opportunity is explored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Draw {
    /// The share of opportunities of which this is one.
    pub share: f64,
    /// A standard normal number.
    pub normal: f64,
}

impl Draw {
    /// The draw of an opportunity; `None` where it is not one of the share.
    ///
    /// The lowest hashes are explored, and where among them one lies is as uniform: so it says how far.
    pub fn of(share: f64, salt: u64, goal: GoalCode, opportunity: OpportunityKey) -> Option<Draw> {
        let hashed = hash::mix(hash::mix(salt, PURPOSE ^ u64::from(goal.0)), opportunity.0);
        let uniform = ((hashed >> 11) as f64 + 0.5) / STEPS;
        (uniform < share).then(|| Draw { share, normal: normal::quantile(uniform / share) })
    }

    /// The factor drawn around another whose logarithm has this standard deviation, and what is to be told of it.
    ///
    /// The mean of what may be drawn is the factor itself, so that exploring changes no mean: that of the logarithm
    /// lies half its variance lower.
    pub fn around(self, factor: f64, deviation: f64) -> (f64, Explored) {
        let below = deviation * deviation / 2.0;
        let drawn = factor * math::exp(deviation * self.normal - below);
        let explored = Explored { share: self.share, ln_mean: math::ln(factor) - below, ln_deviation: deviation };
        (drawn, explored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 100_000;

    fn draws(share: f64, salt: u64, goal: u16) -> Vec<Option<Draw>> {
        let of = |number| Draw::of(share, salt, GoalCode(goal), hash::opportunity_key("acme", &format!("o{number}")));
        (0..COUNT).map(of).collect()
    }

    #[test]
    fn the_share_is_met_and_an_opportunity_draws_once() {
        for share in [0.001, 0.01, 0.02] {
            let drawn = draws(share, 0, 0);
            let (found, expected) = (drawn.iter().flatten().count() as f64, share * COUNT as f64);
            // Four standard deviations of the binomial distribution.
            assert!((found - expected).abs() < 4.0 * (expected * (1.0 - share)).sqrt(), "{share}: {found}");
            assert_eq!(drawn, draws(share, 0, 0));
            assert!(drawn.iter().flatten().all(|draw| draw.share == share && draw.normal.is_finite()));
        }
        assert_eq!(draws(0.0, 0, 0).iter().flatten().count(), 0);
        let of = |salt, goal| draws(0.02, salt, goal).iter().map(Option::is_some).collect::<Vec<_>>();
        let both = |other: Vec<bool>| of(0, 0).into_iter().zip(other).filter(|(one, other)| *one && *other).count();
        for (salt, goal) in [(1, 0), (0, 1)] {
            // Were all the same, 2,000; independent, 40.
            assert!((15..70).contains(&both(of(salt, goal))), "{salt} {goal}: {}", both(of(salt, goal)));
        }
    }

    #[test]
    fn factors_are_drawn_as_told_and_their_mean_stays() {
        let (factor, deviation) = (1.7, 0.5);
        let all: Vec<(f64, Explored)> = (0..50)
            .flat_map(|salt| draws(0.02, salt, 3))
            .flatten()
            .map(|draw| draw.around(factor, deviation))
            .collect();
        let count = all.len() as f64;
        let mean = |of: &dyn Fn(f64) -> f64| all.iter().map(|(drawn, _)| of(*drawn)).sum::<f64>() / count;
        let ln_mean = mean(&math::ln);
        let variance = mean(&|drawn| (math::ln(drawn) - ln_mean) * (math::ln(drawn) - ln_mean));
        let told = all[0].1;
        assert_eq!((told.share, told.ln_deviation), (0.02, deviation));
        // Four standard errors each, of 100,000 draws.
        assert!((ln_mean - told.ln_mean).abs() < 4.0 * deviation / count.sqrt(), "{ln_mean}: {told:?}");
        assert!((variance.sqrt() / deviation - 1.0).abs() < 4.0 / (2.0 * count).sqrt(), "{variance}");
        let spread = factor * (math::exp(deviation * deviation) - 1.0).sqrt();
        assert!((mean(&|drawn| drawn) - factor).abs() < 4.0 * spread / count.sqrt(), "{}", mean(&|drawn| drawn));
        assert!(all.iter().all(|(_, explored)| *explored == told), "the same around the same factor");
    }

    /// Answers that were given have to be repeated by a later version.
    #[test]
    fn draws_never_change() {
        let drawn: Vec<u64> = draws(0.02, 7, 1).iter().flatten().take(2).map(|draw| draw.normal.to_bits()).collect();
        assert_eq!(drawn, [4589166133287016633, 13827800913335424241]);
    }
}
