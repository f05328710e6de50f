//! A goal's level: what all of its log-odds are off by, learned apart from the features.
//!
//! Where only features carry the level, it stays with those that were seen: of people, items and sites that are new,
//! too little or too much is promised for as long as conversions are few. One number that all examples share comes
//! right within tens of conversions. Each impression, once its label is known, moves it by a Newton step of the
//! logistic regression of labels on nothing but a constant, with the prediction from before it was learned.

use crate::math;

/// How sure it is beforehand that the level is right, as information (1 ÷ variance): five conversions' worth, as the
/// first few must not move all that is predicted.
const INFORMATION_FROM: f64 = 5.0;
/// Information of labels beyond which older ones fade, p (1 − p) each: some five hundred conversions.
const INFORMATION_MAX: f64 = 500.0;
/// Most that is added to log-odds, either way: a factor of 55.
const LEVEL_BOUND: f64 = 4.0;

/// What is added to the log-odds of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    value: f64,
    /// Information of the labels seen.
    information: f64,
}

impl Level {
    /// What to add to log-odds, within ±4.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Takes note of a label, of what stood at these log-odds, the level then included.
    ///
    /// Each label counts whole, also of impressions that are hardly more than one to the weights: the level is that of
    /// the mean impression.
    pub fn learn(&mut self, logit: f64, label: bool) {
        let p = math::sigmoid(logit);
        self.information = (self.information + p * (1.0 - p)).min(INFORMATION_MAX);
        let gradient = p - f64::from(u8::from(label));
        let value = self.value - gradient / (self.information + INFORMATION_FROM);
        self.value = value.clamp(-LEVEL_BOUND, LEVEL_BOUND);
    }

    /// Makes a label that was learned as negative positive (`sign` 1), or takes that back (−1).
    ///
    /// As the level rises by 1 ÷ information, so do all p, and with them the information: by 1. Conversions that come
    /// all at once would otherwise add up as if each were the first.
    pub fn correct(&mut self, sign: f64) {
        self.information = (self.information + sign).clamp(0.0, INFORMATION_MAX);
        let value = self.value + sign / (self.information + INFORMATION_FROM);
        self.value = value.clamp(-LEVEL_BOUND, LEVEL_BOUND);
    }

    /// All that it holds, as numbers.
    pub fn numbers(&self) -> [f64; 2] {
        [self.value, self.information]
    }

    /// The level of the numbers that [`Level::numbers`] told; `None` where no level comes to them.
    pub fn from_numbers([value, information]: [f64; 2]) -> Option<Level> {
        let is_sound = value.abs() <= LEVEL_BOUND && (0.0..=INFORMATION_MAX).contains(&information);
        is_sound.then_some(Level { value, information })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is predicted after so many conversions, where `every`-th impression converts and 1 in 100 was expected.
    fn rate(every: u32, conversions: u32) -> f64 {
        let (first, mut level) = (math::logit(0.01), Level::default());
        for round in 1..=every * conversions {
            level.learn(first + level.value(), round % every == 0);
        }
        math::sigmoid(first + level.value())
    }

    #[test]
    fn it_comes_right_within_tens_of_conversions() {
        for every in [3, 12, 100, 1_000] {
            let ratio = rate(every, 50) * f64::from(every);
            assert!((0.75..1.5).contains(&ratio), "one in {every}: {ratio}");
            let ratio = rate(every, 300) * f64::from(every);
            assert!((0.9..1.11).contains(&ratio), "one in {every}: {ratio}");
        }
    }

    #[test]
    fn late_conversions_count_like_early_ones() {
        // 60 of 3,000 convert, all after the last was shown; 1 in 100 was expected.
        let (first, mut level) = (math::logit(0.01), Level::default());
        (0..3_000).for_each(|_| level.learn(first + level.value(), false));
        (0..60).for_each(|_| level.correct(1.0));
        let p = math::sigmoid(first + level.value());
        assert!((0.01..0.04).contains(&p), "2 % converted: {p}");
        (0..60).for_each(|_| level.correct(-1.0));
        let p = math::sigmoid(first + level.value());
        assert!(p < 0.004, "and all of it is taken back: {p}");
    }

    #[test]
    fn many_labels_hold_it_fast() {
        let mut level = Level::default();
        for round in 0..10_000 {
            level.learn(level.value(), round % 2 == 0);
        }
        let before = level.value();
        level.learn(before, true);
        assert!((level.value() - before).abs() < 0.001_1, "{level:?}");
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            labels in proptest::collection::vec((-60.0f64..60.0, any::<bool>()), 1..200),
        ) {
            let mut level = Level::default();
            for (logit, label) in labels {
                level.learn(logit, label);
                prop_assert!(level.value().abs() <= LEVEL_BOUND && level.numbers().iter().all(|one| one.is_finite()));
                prop_assert_eq!(Level::from_numbers(level.numbers()), Some(level));
            }
        }
    }
}
