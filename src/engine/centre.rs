//! What multipliers are measured from, so that they are 1 in the mean over what could be bid for.
//!
//! Some of what holds for everybody is learned by features that each person has one of (how often an ad was shown, how
//! long ago they came), so that the context's features alone are off. And weights move by the hour while little is
//! known: a mean over weeks would be another model's. So both means follow the latest impressions. These are not a fair
//! sample, as high multipliers win more often: each counts by 1 ÷ the factor that its bid had.

use super::bytes::{Bytes, Read, Reader};
use crate::exposure::{Arm, GoalScore};
use crate::math;

/// Impressions that the means remember.
const MEMORY: f64 = 1_000.0;
/// Impressions that the first belief, that people add nothing, is worth.
const STRENGTH: f64 = 20.0;
/// Most that one impression's probability counts for, as a multiple of its context's.
const RATIO_MAX: f64 = 20.0;
/// Most that people's history adds to log-odds, either way.
const GAP_BOUND: f64 = 4.0;
/// Least and most that an impression counts.
const WEIGHT_BOUNDS: (f64, f64) = (0.2, 5.0);
/// Most that the factor is, as a logarithm, either way: 2.
const LN_FACTOR_BOUND: f64 = std::f64::consts::LN_2;

/// Means over the latest impressions of a goal.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Centre {
    /// What is added to the context's log-odds.
    gap: f64,
    /// Impressions behind it.
    people: f64,
    /// Mean probability.
    p: f64,
    /// Impressions behind that.
    impressions: f64,
    /// Logarithm of the factor that makes multipliers 1 in the mean, where bounds and shrinkage keep them from it.
    ln_factor: f64,
}

impl Centre {
    /// How much an impression counts: as if all had been bid for alike.
    pub fn weight(arm: Arm, answered: Option<GoalScore>) -> f64 {
        match answered.and_then(|answered| answered.bid()) {
            Some(multiplier) if arm == Arm::Treated => (1.0 / multiplier).clamp(WEIGHT_BOUNDS.0, WEIGHT_BOUNDS.1),
            _ => 1.0,
        }
    }

    /// What is added to the context's log-odds, so that probabilities are as high as its own in the mean of the ratio.
    pub fn gap(&self) -> f64 {
        self.gap
    }

    /// The mean probability: what a flat base bid pays for. `None` before the first impression.
    pub fn p(&self) -> Option<f64> {
        (self.impressions > 0.0).then_some(self.p)
    }

    /// Counts an impression by its probability.
    pub fn add(&mut self, p: f64, weight: f64) {
        self.impressions += weight - self.impressions / MEMORY;
        self.p += (p - self.p) * (weight / self.impressions).min(1.0);
    }

    /// Counts an impression of somebody who is known, by its probability and that of its context, the gap included.
    pub fn add_person(&mut self, p: f64, of_context: f64, weight: f64) {
        self.people += weight - self.people / MEMORY;
        let pull = (p - of_context) / (of_context * (1.0 - of_context)).max(f64::MIN_POSITIVE);
        let gap = self.gap + pull.min(RATIO_MAX) * weight / (self.people + STRENGTH);
        self.gap = gap.clamp(-GAP_BOUND, GAP_BOUND);
    }

    /// The factor on multipliers that makes them 1 in the mean, within ½ and 2.
    pub fn factor(&self) -> f64 {
        math::exp(self.ln_factor)
    }

    /// Counts the multiplier of an impression, that factor included.
    pub fn add_multiplier(&mut self, multiplier: f64, weight: f64) {
        let ln_factor = self.ln_factor - (multiplier - 1.0) * weight / MEMORY;
        self.ln_factor = ln_factor.clamp(-LN_FACTOR_BOUND, LN_FACTOR_BOUND);
    }

    /// Multipliers are no longer made 1 in the mean; true where they were moved.
    pub fn forget_factor(&mut self) -> bool {
        std::mem::take(&mut self.ln_factor) != 0.0
    }

    /// Appends its canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let Centre { gap, people, p, impressions, ln_factor } = *self;
        [gap, people, p, impressions, ln_factor].into_iter().for_each(|number| bytes.number(number));
    }

    /// A centre out of its canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<Centre> {
        let [gap, people, p, impressions, ln_factor] = bytes.numbers()?;
        Ok(Centre { gap, people, p, impressions, ln_factor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn probabilities_are_as_high_as_the_context_s_in_the_mean() {
        // One in four is three times as likely as the context's 1 in 100 says, the others a third as likely.
        let mut centre = Centre::default();
        for round in 0..20_000 {
            let p = if round % 4 == 0 { 0.03 } else { 0.01 / 3.0 };
            centre.add_person(p, math::sigmoid(math::logit(0.01) + centre.gap()), 1.0);
            centre.add(p, 1.0);
        }
        assert!((centre.p().unwrap() - 0.01).abs() < 3e-4, "{centre:?}");
        assert!(centre.gap().abs() < 0.05, "{centre:?}");
    }

    #[test]
    fn what_was_bid_for_more_counts_less() {
        let answered = |multiplier| {
            let goal = crate::ids::GoalCode(0);
            Some(GoalScore { goal, logit: 0.0, p: 0.0, multiplier, is_explored: false })
        };
        assert_eq!(Centre::weight(Arm::Treated, answered(2.0)), 0.5);
        assert_eq!(Centre::weight(Arm::Control, answered(2.0)), 1.0, "bid for at 1");
        assert_eq!(Centre::weight(Arm::Treated, None), 1.0);
        assert_eq!(Centre::weight(Arm::Treated, answered(f32::MIN_POSITIVE)), 5.0);
        // Of two kinds, equally frequent, one is won twice as often.
        let mut centre = Centre::default();
        for round in 0..30_000 {
            let (p, multiplier) = if round % 3 < 2 { (0.04, 2.0) } else { (0.02, 1.0) };
            centre.add(p, Centre::weight(Arm::Treated, answered(multiplier)));
        }
        assert!((centre.p().unwrap() - 0.03).abs() < 5e-4, "{centre:?}");
    }

    #[test]
    fn multipliers_are_1_in_the_mean() {
        // What the model asks for, cut at 3: 0.5 for nine in ten, 6 for the tenth. Won by twice the chance at twice
        // the bid.
        let mut centre = Centre::default();
        for round in 0..60_000 {
            let wanted = if round % 10 == 0 { 6.0 } else { 0.5 };
            let multiplier: f64 = (centre.factor() * wanted).min(3.0);
            let wins = (round / 10 * 7 % 10) as f64 / 10.0 < multiplier / 3.0;
            if wins {
                centre.add_multiplier(multiplier, 1.0 / multiplier);
            }
        }
        // 0.9 · 0.5 f + 0.1 · 3 = 1.
        assert!((centre.factor() - 0.7 / 0.45).abs() < 0.05, "{}", centre.factor());
    }

    #[test]
    fn a_new_level_is_soon_the_mean() {
        let mut centre = Centre::default();
        assert_eq!((centre.p(), centre.gap()), (None, 0.0));
        (0..5_000).for_each(|_| centre.add(0.01, 1.0));
        (0..3_000).for_each(|_| centre.add(0.03, 1.0));
        assert!((centre.p().unwrap() - 0.03).abs() < 2e-3, "{centre:?}");
    }

    proptest! {
        #[test]
        fn it_stays_finite(
            seen in proptest::collection::vec((0.0f64..=1.0, 0.0f64..=1.0, 0.2f64..5.0), 1..300),
        ) {
            let mut centre = Centre::default();
            for (p, of_context, weight) in seen {
                centre.add(p, weight);
                centre.add_person(p, of_context, weight);
                centre.add_multiplier(2.0 * weight, weight);
                prop_assert!((0.499..=2.001).contains(&centre.factor()));
                prop_assert!(centre.gap().abs() <= GAP_BOUND && (0.0..=1.0).contains(&centre.p().unwrap()));
            }
        }
    }
}
