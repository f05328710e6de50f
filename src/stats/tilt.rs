//! How much more one group spent than it would have at a factor of 1, told from a control group that bid at 1.
//!
//! Two answers are weighed. The *raw* one is the ratio of the groups' amounts: it assumes nothing, but people are few
//! in a control group and some spend a hundred times as much as others. The *tilted* one looks at the shares instead:
//! an impression won at a factor m costs g(m) ÷ g(1) times what the same opportunity costs at 1, so the treated group's
//! amounts by ln m, divided by that, must lie as the control group's do, whose m is what it would have been. With
//! g(m) ÷ g(1) = e^(a ln m + c ln² m) the two numbers a and c are found by maximum likelihood (an exponential tilt: Qin
//! 1998, "Inferences for case-control and semiparametric two-sample density ratio models"), and the treated amounts
//! alone, tilted back, say what would have been spent.

use crate::math;

/// Width of a bin of ln m.
const WIDTH: f64 = 0.125;
/// Bins from ln 0.01 to ln 10.
const BINS: usize = 56;
/// The bin of ln m = 0.
const NEUTRAL_BIN: i64 = 37;
/// People are dealt into so many buckets; how these differ says how much chance there is in the sum.
const BUCKETS: usize = 64;
/// Fewer buckets with any amount say nothing.
const BUCKETS_MIN: usize = 16;

/// What is believed of a and c before data, with standard deviations: a bid that is raised spends more than in
/// proportion, and the more it is raised the less that adds. In second-price auctions with log-normal prices around
/// the bid a = λ(−σ) ÷ σ and c = −λ(−σ) (λ(−σ) − σ) ÷ 2σ², with λ = φ ÷ Φ: 2.3 and −1.5 for σ = 0.5, 1.5 and −0.4 for
/// 1, 1.3 and −0.2 for 1.5. Where prices rise with the value of people, c is nearer to 0.
const TILT: [(f64, f64); 2] = [(1.5, 1.0), (-0.2, 0.4)];
/// Standard deviation of what the tilt gets wrong because g has another form, as a logarithm.
const MISFIT: f64 = 0.02;
/// Steps of Newton's method at most, how often one is halved, and the change of a and c after which none follows.
const STEPS_MAX: usize = 30;
const HALVINGS_MAX: usize = 12;
const STEP_DONE: f64 = 1e-6;

/// What one group spent, by ln m and by people.
#[derive(Debug, Clone, PartialEq)]
pub struct Amounts {
    /// By bin of ln m.
    by_factor: [f64; BINS],
    /// Sum of amount × ln m, by bin.
    weighted: [f64; BINS],
    by_person: [f64; BUCKETS],
}

/// One group against another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Logarithm of what was spent ÷ what would have been spent at a factor of 1.
    pub ln_ratio: f64,
    /// Its standard error.
    pub error: f64,
    /// How much the logarithm of what is spent rises with that of all factors.
    pub elasticity: f64,
}

impl Default for Amounts {
    fn default() -> Amounts {
        Amounts { by_factor: [0.0; BINS], weighted: [0.0; BINS], by_person: [0.0; BUCKETS] }
    }
}

impl Amounts {
    /// Counts an amount, at least 0, spent on a person (any hash) at a factor's logarithm.
    pub fn add(&mut self, amount: f64, ln_factor: f64, person: u64) {
        let bin = (ln_factor / WIDTH + NEUTRAL_BIN as f64 + 0.5).clamp(0.0, (BINS - 1) as f64) as usize;
        self.by_factor[bin] += amount;
        self.weighted[bin] += amount * ln_factor;
        self.by_person[person as usize % BUCKETS] += amount;
    }

    /// Lets all amounts fade to this share.
    pub fn fade(&mut self, left: f64) {
        self.each_mut(|number| *number *= left);
    }

    /// Sum of all amounts.
    pub fn total(&self) -> f64 {
        self.by_factor.iter().sum()
    }

    /// All numbers, in a fixed order.
    pub fn each(&self, mut visit: impl FnMut(f64)) {
        let all = self.by_factor.iter().chain(&self.weighted).chain(&self.by_person);
        all.for_each(|number| visit(*number));
    }

    /// Amounts out of the numbers that [`each`](Amounts::each) visits.
    ///
    /// # Errors
    /// Those of `next`.
    pub fn read<E>(next: impl FnMut() -> Result<f64, E>) -> Result<Amounts, E> {
        let mut amounts = Amounts::default();
        super::fill(next, |visit| amounts.each_mut(visit))?;
        Ok(amounts)
    }

    fn each_mut(&mut self, visit: impl FnMut(&mut f64)) {
        self.by_factor.iter_mut().chain(&mut self.weighted).chain(&mut self.by_person).for_each(visit);
    }

    /// Variance of the sum ÷ its square, with people as the units that chance deals: from the spread between buckets.
    /// `None` where too few have anything.
    fn dispersion(&self) -> Option<f64> {
        let filled = self.by_person.iter().filter(|amount| **amount > 0.0).count();
        if filled < BUCKETS_MIN {
            return None;
        }
        let sum: f64 = self.by_person.iter().sum();
        let mean = sum / BUCKETS as f64;
        let squares: f64 = self.by_person.iter().map(|amount| (amount - mean) * (amount - mean)).sum();
        let buckets = BUCKETS as f64;
        Some(squares * buckets / (buckets - 1.0) / (sum * sum))
    }

    /// Bins that hold anything, as mean ln m and amount.
    fn points(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let bins = self.by_factor.iter().zip(&self.weighted);
        bins.filter(|(amount, _)| **amount > 0.0).map(|(amount, weighted)| (weighted / amount, *amount))
    }
}

/// A tilt that was fitted, and what it says.
struct Tilted {
    ln_ratio: f64,
    variance: f64,
    elasticity: f64,
}

/// What the treated group spent against what the control group, `scale` times as large, says it would have at 1.
/// `None` while too few people of either have spent anything.
pub fn compare(treated: &Amounts, control: &Amounts, scale: f64) -> Option<Comparison> {
    let (of_treated, of_control) = (treated.dispersion()?, control.dispersion()?);
    let raw = math::ln(treated.total()) - math::ln(control.total() * scale);
    let raw_variance = of_treated + of_control;
    let tilted = tilt(treated, control, of_treated, of_control);
    let variance = tilted.variance + MISFIT * MISFIT;
    // The more people the control group has, the less the tilt counts.
    let (of_raw, of_tilted) = (1.0 / raw_variance.max(1e-12), 1.0 / variance);
    let ln_ratio = (raw * of_raw + tilted.ln_ratio * of_tilted) / (of_raw + of_tilted);
    let error = (1.0 / (of_raw + of_tilted)).sqrt();
    Some(Comparison { ln_ratio, error, elasticity: tilted.elasticity })
}

/// Fits a and c by Newton's method on the convex −log likelihood of the control group's shares,
/// ln Σ T e^(−aL − cL²) + a·L̄ + c·L̄² + prior ÷ n, where n is the number of people that the control group is worth.
fn tilt(treated: &Amounts, control: &Amounts, of_treated: f64, of_control: f64) -> Tilted {
    let prior = TILT.map(|(_, deviation)| of_control / (deviation * deviation));
    let total: f64 = control.total();
    let mut target = [0.0; 2];
    for (ln_factor, amount) in control.points() {
        target[0] += amount * ln_factor / total;
        target[1] += amount * ln_factor * ln_factor / total;
    }
    let unlikelihood = |at: [f64; 2], back: &Back| {
        let part = |k: usize| at[k] * target[k] + prior[k] * (at[k] - TILT[k].0) * (at[k] - TILT[k].0) / 2.0;
        math::ln(back.amount) + part(0) + part(1)
    };
    let mut at = TILT.map(|(mean, _)| mean);
    let mut back = Back::of(treated, at);
    for _ in 0..STEPS_MAX {
        let slope: [f64; 2] = std::array::from_fn(|k| target[k] - back.mean[k] + prior[k] * (at[k] - TILT[k].0));
        let step = solve([back.spread[0] + prior[0], back.spread[1], back.spread[2] + prior[1]], slope);
        // So near the answer nothing is told apart any more, and all halvings would be tried in vain.
        if step[0].abs() + step[1].abs() < STEP_DONE {
            break;
        }
        let (is, mut share) = (unlikelihood(at, &back), 1.0);
        // Far from the answer a whole step may lead away from it: then half of it, and so on.
        let next = std::iter::repeat_with(|| {
            let to = [at[0] - share * step[0], at[1] - share * step[1]];
            share /= 2.0;
            (to, Back::of(treated, to))
        });
        let Some(better) = next.take(HALVINGS_MAX).find(|(to, back)| unlikelihood(*to, back) < is) else { break };
        (at, back) = better;
    }
    let curvature = [back.spread[0] + prior[0], back.spread[1], back.spread[2] + prior[1]];
    let moved = solve(curvature, back.mean);
    let of_fit = of_control * (moved[0] * back.mean[0] + moved[1] * back.mean[1]);
    let of_weights = of_treated * back.excess;
    let spent = treated.total();
    let slope = treated.points().map(|(ln_factor, amount)| amount * (at[0] + 2.0 * at[1] * ln_factor)).sum::<f64>();
    Tilted { ln_ratio: math::ln(spent / back.amount), variance: of_fit + of_weights, elasticity: slope / spent }
}

/// The treated amounts, tilted back to a factor of 1.
struct Back {
    amount: f64,
    /// Means of ln m and ln² m.
    mean: [f64; 2],
    /// Variance of ln m, covariance, variance of ln² m.
    spread: [f64; 3],
    /// Variance of the weights ÷ the square of their mean.
    excess: f64,
}

impl Back {
    fn of(treated: &Amounts, [a, c]: [f64; 2]) -> Back {
        let weight = |ln_factor: f64| math::exp(-(a + c * ln_factor) * ln_factor);
        let (mut amount, mut squares, mut sums) = (0.0, 0.0, [0.0; 4]);
        for (ln_factor, spent) in treated.points() {
            let (weight, mut power) = (weight(ln_factor), 1.0);
            amount += spent * weight;
            squares += spent * weight * weight;
            for sum in &mut sums {
                power *= ln_factor;
                *sum += spent * weight * power;
            }
        }
        let [one, two, three, four] = sums.map(|sum| sum / amount);
        Back {
            amount,
            mean: [one, two],
            spread: [(two - one * one).max(0.0), three - one * two, (four - two * two).max(0.0)],
            excess: (squares * treated.total() / (amount * amount) - 1.0).max(0.0),
        }
    }
}

/// The solution of a symmetric system of two equations, given as upper triangle. Its determinant is above 0, as the
/// prior adds to both diagonal entries.
fn solve([xx, xy, yy]: [f64; 3], [x, y]: [f64; 2]) -> [f64; 2] {
    let determinant = xx * yy - xy * xy;
    [(x * yy - y * xy) / determinant, (y * xx - x * xy) / determinant]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// −log likelihood and prior, as in the documentation of [`tilt`], of one a and c.
    fn cost(treated: &Amounts, control: &Amounts, of_control: f64, [a, c]: [f64; 2]) -> f64 {
        let back: f64 = treated.points().map(|(ln, amount)| amount * math::exp(-a * ln - c * ln * ln)).sum();
        let total = control.total();
        let mean = |power: fn(f64) -> f64| control.points().map(|(ln, amount)| amount * power(ln) / total).sum::<f64>();
        let prior = |at: f64, (mean, deviation): (f64, f64)| {
            of_control * (at - mean) * (at - mean) / (2.0 * deviation * deviation)
        };
        math::ln(back) + a * mean(|ln| ln) + c * mean(|ln| ln * ln) + prior(a, TILT[0]) + prior(c, TILT[1])
    }

    /// What is spent at ln m by people who are dealt evenly, and by a control group that bids 1.
    fn groups(people: u64, factor: f64, gain: impl Fn(f64) -> f64) -> (Amounts, Amounts) {
        let (mut treated, mut control) = (Amounts::default(), Amounts::default());
        for person in 0..people {
            let ln = ((person * 37 % 101) as f64 / 100.0 - 0.5) * 2.0 + factor;
            control.add(1.0, ln, person);
            treated.add(gain(ln), ln, person);
        }
        (treated, control)
    }

    #[test]
    fn tells_what_was_spent_more() {
        for factor in [-0.3, 0.0, 0.2] {
            let (treated, control) = groups(10_000, factor, |ln| math::exp(1.4 * ln - 0.3 * ln * ln));
            let truth = math::ln(treated.total() / control.total());
            let told = compare(&treated, &control, 1.0).unwrap();
            assert!((told.ln_ratio - truth).abs() < 0.01 && told.error < 0.02, "{factor}: {told:?}, not {truth}");
        }
    }

    #[test]
    fn says_nothing_of_few_people() {
        let (treated, control) = groups(10_000, 0.0, |_| 1.0);
        let (few_treated, few_control) = groups(15, 0.0, |_| 1.0);
        assert!(compare(&few_treated, &control, 1.0).is_none() && compare(&treated, &few_control, 1.0).is_none());
        assert!(compare(&treated, &Amounts::default(), 1.0).is_none());
    }

    #[test]
    fn one_who_spends_most_makes_the_interval_wide() {
        let (treated, mut control) = groups(3_000, 0.0, |_| 1.0);
        let narrow = compare(&treated, &control, 1.0).unwrap();
        control.add(30_000.0, 0.0, 5);
        let wide = compare(&treated, &control, 1.0).unwrap();
        assert!(wide.error > 3.0 * narrow.error, "{wide:?} {narrow:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn newton_finds_what_a_search_finds(
            spent in proptest::collection::vec((0.01..10.0f64, -3.0..2.0f64, 0u64..64), 60..200),
            slope in -1.0..3.0f64,
        ) {
            let (mut treated, mut control) = (Amounts::default(), Amounts::default());
            for (amount, ln, person) in &spent {
                control.add(*amount, *ln, *person);
                treated.add(amount * math::exp(slope * ln), *ln, person + 1);
            }
            let (Some(of_treated), Some(of_control)) = (treated.dispersion(), control.dispersion()) else {
                return Ok(());
            };
            let at = |of: [f64; 2]| cost(&treated, &control, of_control, of);
            // Compass search: slow and obvious.
            let (mut best, mut step) = (TILT.map(|(mean, _)| mean), 1.0);
            while step > 1e-7 {
                let around = [[step, 0.0], [-step, 0.0], [0.0, step], [0.0, -step]];
                let moved = around.map(|by| [best[0] + by[0], best[1] + by[1]]);
                match moved.into_iter().find(|to| at(*to) < at(best)) {
                    Some(to) => best = to,
                    None => step /= 2.0,
                }
            }
            let expected = math::ln(treated.total() / Back::of(&treated, best).amount);
            let found = tilt(&treated, &control, of_treated, of_control).ln_ratio;
            let is_near = (found - expected).abs() < 1e-3 * (1.0 + expected.abs());
            prop_assert!(is_near, "{found}, not {expected} at {best:?}");
        }
    }
}
