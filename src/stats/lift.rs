//! How many times as likely: the ratio of two rates with its interval.

use crate::math;

/// Trials and how many of them were positive. Both may have faded to fractions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Group {
    /// How many there were.
    pub trials: f64,
    /// Of those, positive.
    pub positives: f64,
}

/// Trials to which something applied, and all the others.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Contrast {
    /// To which it applied.
    pub with: Group,
    /// To which it did not.
    pub without: Group,
}

/// A ratio of two rates with its 95 % interval: 1 for no difference, 2 for twice as likely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    /// Best estimate, above 0.
    pub ratio: f64,
    /// Lower end, above 0.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Fewer trials, after fading, are none: what is left may be a rounding error of what was there.
const TRIALS_MIN: f64 = 0.5;
/// Positives that the rate of both groups together is worth in each group's own.
const PRIOR_POSITIVES: f64 = 0.5;
/// Quantile of the normal distribution that 2.5 % lie beyond.
const QUANTILE: f64 = 1.96;

impl Group {
    /// Share of positives, 0 to 1; 0 where there were no trials.
    pub fn rate(self) -> f64 {
        if self.trials > 0.0 { (self.positives / self.trials).clamp(0.0, 1.0) } else { 0.0 }
    }
}

impl Contrast {
    /// Part of a whole against the rest of it. Rounding errors below zero are zero.
    pub fn of(part: Group, whole: Group) -> Contrast {
        let rest = |whole: f64, part: f64| (whole - part).max(0.0);
        let without =
            Group { trials: rest(whole.trials, part.trials), positives: rest(whole.positives, part.positives) };
        Contrast { with: part, without }
    }

    /// The rate of the one group ÷ the rate of the other; `None` where a group is empty or neither has a positive.
    ///
    /// Each rate is the mean of a Beta distribution, p = (x + a) / (n + a + b), under the prior a = ½,
    /// b = ½ · max(1, (1 − r) / r), r being the rate of both groups together: half a positive at the common rate, so
    /// that few trials say "no difference" (where r > ½, Jeffreys' prior). By the delta method the variance of ln p is
    /// (1 − p) / (p (n + a + b + 1)); the interval is exp(ln(p₁/p₀) ± 1.96 √(v₁ + v₀)), the log method of Katz et al.
    /// (Biometrics 34, 1978) on counts smoothed as by Walter (Biometrika 62, 1975), who adds ½ as well.
    ///
    /// It takes trials for independent of each other, which several impressions to one person are not: then it is too
    /// narrow. Faded counts make it wider than it need be: 1 / Σw stands in for Σw² / (Σw)², weights w being at most 1.
    /// Where both groups may expect 10 positives, it covers the truth in 94 % of cases at least, with 3 in 93 %, with
    /// fewer than 1 in 85 %: computed over all outcomes of a grid of rates and sizes in this file's tests.
    pub fn lift(self) -> Option<Lift> {
        let Contrast { with, without } = self;
        let trials = with.trials + without.trials;
        let positives = with.positives + without.positives;
        if with.trials < TRIALS_MIN || without.trials < TRIALS_MIN || positives <= 0.0 {
            return None;
        }
        let common = (positives / trials).min(1.0);
        let prior = PRIOR_POSITIVES * (1.0 + ((1.0 - common) / common).max(1.0));
        let smoothed = |group: Group| {
            let all = group.trials + prior;
            let p = (group.positives.clamp(0.0, group.trials) + PRIOR_POSITIVES) / all;
            (math::ln(p), (1.0 - p) / (p * (all + 1.0)))
        };
        let ((ln_with, variance_with), (ln_without, variance_without)) = (smoothed(with), smoothed(without));
        let (centre, width) = (ln_with - ln_without, QUANTILE * (variance_with + variance_without).sqrt());
        Some(Lift { ratio: math::exp(centre), low: math::exp(centre - width), high: math::exp(centre + width) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contrast(with: (f64, f64), without: (f64, f64)) -> Contrast {
        let group = |(positives, trials)| Group { trials, positives };
        Contrast { with: group(with), without: group(without) }
    }

    /// Probabilities of 0, 1, 2 … positives in so many trials; those below 10⁻⁹ are left out.
    fn binomial(trials: u32, p: f64) -> Vec<(f64, f64)> {
        let (mut log, odds) = (f64::from(trials) * math::ln(1.0 - p), math::ln(p / (1.0 - p)));
        let mut all = Vec::new();
        for positives in 0..=trials {
            let probability = math::exp(log);
            if probability > 1e-9 {
                all.push((f64::from(positives), probability));
            }
            log += math::ln(f64::from(trials - positives) / f64::from(positives + 1)) + odds;
        }
        all
    }

    /// How often the interval holds the true ratio, over all outcomes that are not without any positive.
    fn coverage((trials_with, p_with): (u32, f64), (trials_without, p_without): (u32, f64)) -> f64 {
        let truth = p_with / p_without;
        let without = binomial(trials_without, p_without);
        let (mut covered, mut all) = (0.0, 0.0);
        for (positives_with, chance_with) in binomial(trials_with, p_with) {
            for (positives_without, chance_without) in &without {
                let with = (positives_with, f64::from(trials_with));
                let lift = contrast(with, (*positives_without, f64::from(trials_without))).lift();
                if let Some(lift) = lift {
                    let chance = chance_with * chance_without;
                    all += chance;
                    covered += if lift.low <= truth && truth <= lift.high { chance } else { 0.0 };
                }
            }
        }
        covered / all
    }

    /// The least coverage over a grid, where both groups are expected to have so many positives.
    fn least_coverage(expected: std::ops::Range<f64>) -> (f64, usize, String) {
        let (mut least, mut place, mut cases) = (1.0, String::new(), 0);
        for p_without in [0.002, 0.01, 0.03, 0.1, 0.3] {
            for p_with in [0.25, 0.5, 1.0, 1.5, 2.0, 3.0].map(|truth| truth * p_without) {
                for trials_with in [20, 60, 200, 600, 2_000, 10_000] {
                    for trials_without in [20, 60, 200, 600, 2_000, 10_000] {
                        let positives = (p_with * f64::from(trials_with)).min(p_without * f64::from(trials_without));
                        if !expected.contains(&positives) || p_with * f64::from(trials_with) > 400.0 {
                            continue;
                        }
                        cases += 1;
                        let covered = coverage((trials_with, p_with), (trials_without, p_without));
                        if covered < least {
                            least = covered;
                            place = format!("{p_with} of {trials_with}, {p_without} of {trials_without}");
                        }
                    }
                }
            }
        }
        (least, cases, place)
    }

    #[test]
    fn the_interval_covers_what_it_says() {
        for (expected, bound) in [(0.0..1.0, 0.85), (1.0..3.0, 0.92), (3.0..10.0, 0.93), (10.0..1e9, 0.94)] {
            let (least, cases, place) = least_coverage(expected.clone());
            println!("{expected:?} positives expected: covers {least:.4} or more in {cases} cases; least at {place}");
            assert!(cases >= 50 && least >= bound, "{expected:?}: {least} at {place}");
        }
    }

    #[test]
    fn few_trials_say_no_difference_and_many_the_ratio() {
        let nothing = contrast((0.0, 20.0), (100.0, 10_000.0)).lift().unwrap();
        assert!((0.5..1.0).contains(&nothing.ratio) && nothing.low < 0.1 && nothing.high > 5.0, "{nothing:?}");
        let twice = contrast((400.0, 10_000.0), (400.0, 20_000.0)).lift().unwrap();
        assert!((twice.ratio - 2.0).abs() < 0.01 && twice.low > 1.7 && twice.high < 2.3, "{twice:?}");
        let same = contrast((7.0, 7.0), (3.0, 3.0)).lift().unwrap();
        assert!(same.low < 1.0 && same.high > 1.0, "{same:?}");
    }

    #[test]
    fn an_empty_group_has_no_lift() {
        for (with, without) in [((0.0, 0.0), (5.0, 90.0)), ((5.0, 90.0), (0.0, 1e-12)), ((0.0, 50.0), (0.0, 50.0))] {
            assert_eq!(contrast(with, without).lift(), None, "{with:?} {without:?}");
        }
        let residue =
            Contrast::of(Group { trials: 3.0, positives: 1.0 }, Group { trials: 3.0 - 1e-15, positives: 1.0 });
        assert_eq!(residue.without, Group::default());
    }

    proptest! {
        #[test]
        fn a_lift_is_a_finite_number_within_its_interval(
            trials in 0.0f64..1e9, positives in -1e-6f64..1e9, others in 0.0f64..1e9, their_positives in -1e-6f64..1e9,
        ) {
            if let Some(lift) = contrast((positives, trials), (their_positives, others)).lift() {
                prop_assert!(lift.low > 0.0 && lift.high.is_finite(), "{lift:?}");
                prop_assert!(lift.low <= lift.ratio && lift.ratio <= lift.high, "{lift:?}");
            }
        }
    }
}
