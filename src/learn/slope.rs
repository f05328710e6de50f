//! How far log-odds are borne out: the slope at which labels follow them.
//!
//! A logistic regression of labels on what was said before they were known, with a level beside the slope, each label a
//! Newton step (Laplace's approximation). A slope of 1 is what is said in full; at 0 labels have nothing to do with it.

use crate::math;

/// How sure it is beforehand that nothing is off as a whole, as information (1 ÷ variance).
const LEVEL_INFORMATION: f64 = 1.0;
/// Most that log-odds are off by as a whole, either way: a factor of 55.
const LEVEL_BOUND: f64 = 4.0;
/// Information of labels beyond which older ones fade, p (1 − p) each: some five hundred conversions.
const INFORMATION_MAX: f64 = 500.0;

/// What is believed of a slope before any label.
#[derive(Debug, Clone, Copy)]
pub struct Prior {
    /// The slope.
    pub value: f64,
    /// How sure that is: 1 ÷ variance.
    pub information: f64,
    /// Least and most that the slope becomes.
    pub bounds: (f64, f64),
}

/// A slope as labels have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    value: f64,
    level: f64,
    /// Information of slope and level, and what they have in common.
    information: [f64; 3],
}

impl Slope {
    /// Before any label.
    pub const fn new(prior: &Prior) -> Slope {
        Slope { value: prior.value, level: 0.0, information: [prior.information, 0.0, LEVEL_INFORMATION] }
    }

    /// The slope, within its prior's bounds.
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Learns from a label of what stood at `said` on top of an intercept. `share` is how much it counts.
    pub fn learn(&mut self, prior: &Prior, intercept: f64, said: f64, label: bool, share: f64) {
        let p = math::sigmoid(intercept + self.value * said + self.level);
        let (gradient, weight) = ((p - f64::from(u8::from(label))) * share, p * (1.0 - p) * share);
        let [slope, both, level] = &mut self.information;
        *slope += weight * said * said;
        *both += weight * said;
        *level += weight;
        if *level > INFORMATION_MAX {
            let kept = INFORMATION_MAX / *level;
            [slope, both, level].into_iter().for_each(|information| *information *= kept);
        }
        let [slope, both, level] = self.information;
        let determinant = slope * level - both * both;
        if determinant <= 0.0 {
            return;
        }
        let steps = [(level * said - both) * gradient, (slope - both * said) * gradient];
        let (least, most) = prior.bounds;
        self.value = (self.value - steps[0] / determinant).clamp(least, most);
        self.level = (self.level - steps[1] / determinant).clamp(-LEVEL_BOUND, LEVEL_BOUND);
    }

    /// All that it holds, as numbers.
    pub const fn numbers(&self) -> [f64; 5] {
        let [slope, both, level] = self.information;
        [self.value, self.level, slope, both, level]
    }

    /// The slope of the numbers that [`Slope::numbers`] told; `None` where none of this prior comes to them.
    pub fn from_numbers(prior: &Prior, numbers: [f64; 5]) -> Option<Slope> {
        let [value, level, of_slope, both, of_level] = numbers;
        let is_sound = (prior.bounds.0..=prior.bounds.1).contains(&value)
            && level.abs() <= LEVEL_BOUND
            && of_slope >= 0.0
            && of_level >= 0.0
            && numbers.iter().all(|number| number.is_finite());
        is_sound.then_some(Slope { value, level, information: [of_slope, both, of_level] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIOR: Prior = Prior { value: 0.7, information: 4.0, bounds: (0.0, 1.5) };

    fn taught(tells: bool, shift: f64) -> Slope {
        let mut slope = Slope::new(&PRIOR);
        for round in 0..20_000u32 {
            let said = if round % 2 == 0 { 1.0 } else { -1.0 };
            // One in 50 converts; where it tells, e² times as many of the one half as of the other.
            let every = if tells { if said > 0.0 { 28 } else { 208 } } else { 50 };
            slope.learn(&PRIOR, math::logit(0.02) + shift, said, (round / 2) % every == 0, 1.0);
        }
        slope
    }

    #[test]
    fn it_follows_the_labels_also_where_all_is_promised_too_high() {
        for shift in [0.0, 1.0] {
            assert!((taught(true, shift).value() - 1.0).abs() < 0.15, "{:?}", taught(true, shift));
            assert!(taught(false, shift).value() < 0.15, "{:?}", taught(false, shift));
        }
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            labels in proptest::collection::vec((-60.0f64..60.0, -60.0f64..60.0, any::<bool>(), 0.01f64..=1.0), 1..200),
        ) {
            let mut slope = Slope::new(&PRIOR);
            for (intercept, said, label, share) in labels {
                slope.learn(&PRIOR, intercept, said, label, share);
                prop_assert_eq!(Slope::from_numbers(&PRIOR, slope.numbers()), Some(slope));
            }
        }
    }
}
