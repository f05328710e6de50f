//! Rates with their uncertainty: the Beta-binomial posterior under a parent's rate.
//!
//! Levels stand one below the other (everything → advertiser → goal → segment): each level's prior mean is the rate of
//! the level above, worth `strength` trials.

use crate::math;

/// A rate as it is believed after successes in trials: the mean of a Beta distribution and its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Posterior mean, between 0 and 1.
    pub mean: f64,
    /// Trials that stand behind it, the prior's included.
    pub trials: f64,
}

/// Trials a parent's rate is worth where nothing else is known.
pub const STRENGTH: f64 = 200.0;

impl Rate {
    /// A rate that is believed before data, worth so many trials.
    pub fn prior(mean: f64, trials: f64) -> Rate {
        Rate { mean, trials }
    }

    /// The rate one level below: (successes + κ · parent) / (trials + κ), κ = `strength`.
    ///
    /// Counts may have faded to fractions. More successes than trials, as when the trials faded first, count as all.
    pub fn below(self, successes: f64, trials: f64, strength: f64) -> Rate {
        let trials = trials.max(0.0);
        let successes = successes.clamp(0.0, trials);
        Rate { mean: (successes + strength * self.mean) / (trials + strength), trials: trials + strength }
    }

    /// Variance of the Beta distribution: m (1 − m) / (n + 1).
    pub fn variance(self) -> f64 {
        self.mean * (1.0 - self.mean) / (self.trials + 1.0)
    }

    /// 95 % interval, by the normal approximation on the log-odds scale, so that it stays between 0 and 1.
    pub fn interval(self) -> (f64, f64) {
        let spread = self.mean * (1.0 - self.mean);
        if spread <= 0.0 {
            return (self.mean, self.mean);
        }
        let centre = math::logit(self.mean);
        let width = 1.96 * (self.variance() / (spread * spread)).sqrt();
        (math::sigmoid(centre - width), math::sigmoid(centre + width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_outweighs_the_parent_step_by_step() {
        let parent = Rate::prior(0.01, STRENGTH);
        assert_eq!(parent.below(0.0, 0.0, STRENGTH).mean, 0.01);
        assert_eq!(parent.below(20.0, 200.0, STRENGTH).mean, 0.055);
        assert!(parent.below(2_000.0, 20_000.0, STRENGTH).mean > 0.099);
        assert_eq!(parent.below(5.0, 3.0, STRENGTH).mean, (3.0 + 2.0) / 203.0);
    }

    #[test]
    fn intervals_hold_the_mean_and_narrow_with_data() {
        let wide = Rate::prior(0.05, 100.0);
        let narrow = Rate::prior(0.05, 10_000.0);
        let width = |rate: Rate| rate.interval().1 - rate.interval().0;
        assert!(wide.interval().0 < 0.05 && 0.05 < wide.interval().1);
        assert!(width(narrow) < width(wide) / 8.0);
        assert_eq!(Rate::prior(0.0, 10.0).interval(), (0.0, 0.0));
    }
}
