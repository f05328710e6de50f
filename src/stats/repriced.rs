//! How much more one group spent than it would have at a factor of 1, told from its bids and those of a control group
//! that bid at 1.
//!
//! Where the winner pays the best other bid, what was won at a cost c with a bid b would have been won by every bid of
//! at least c, for the same cost. So of what treated people were shown at a factor m of at least 1 it is known what 1
//! would have cost: c, or nothing where b ÷ m < c. Of a factor below 1 it is not known, but of what is spent at 1 the
//! same costs tell the share G(m) that would be spent at m. For people with factors below 1 that share is taken to be
//! G(m)·e^(θ ln² m), as others may bid less for them too: if their prices go with m^β, and elasticity falls as bids
//! rise above prices, that is the first term. θ is learned from the control group, of which it is seen whether what was
//! won for people who would have had a factor m cost up to m·b.
//!
//! Nothing is assumed of the form of prices, nor of how people of both groups came to their factors, which differ in
//! time as ads leave traces. The error is that of θ; G is taken to be known, once it is told from enough.

use crate::math;

/// Steps of −ln m, and of the logarithm of a bid ÷ its cost.
const STEP: f64 = 0.0625;
/// Steps from ln 1 to beyond ln 0.01.
const STEPS: usize = 76;
/// Least share of each group's amounts that must have come with a bid.
const TOLD_MIN: f64 = 0.95;
/// Most of the treated amounts that may be the bid itself, but for a share of it as a fee: more tell that the winner
/// pays its own bid.
const NEAR_MAX: f64 = 0.3;
const NEAR: f64 = 0.01;
/// Mean amounts that G is told from before anything is said or learned.
const SIZES_MIN: f64 = 50.0;
/// Standard deviation of θ around 0 before data, and its bounds.
const THETA_DEVIATION: f64 = 0.3;
const THETA_BOUNDS: (f64, f64) = (-1.5, 1.5);
/// Standard deviation of what is told wrong because shares have another form, as a logarithm.
const MISFIT: f64 = 0.005;

/// What both groups spent, and what of it would have been spent at another factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Repriced {
    /// Treated amounts of which bids are known, and others.
    treated: f64,
    treated_untold: f64,
    /// Of the known ones, those that cost about as much as was bid.
    treated_near: f64,
    /// Of those at factors of at least 1: what there would be at 1.
    at_one: f64,
    /// The same of the control group.
    control: f64,
    control_untold: f64,
    /// Sum of the squares of `costs`' amounts.
    squares: f64,
    theta: f64,
    /// What θ was learned from: 1 ÷ its variance, without what is believed before.
    information: f64,
    /// Treated amounts at factors below 1, by factor.
    below: [f64; STEPS],
    /// Amounts known to be spent at 1, of people with factors of at least 1, by bid at 1 ÷ cost.
    costs: [f64; STEPS],
}

impl Default for Repriced {
    fn default() -> Repriced {
        Repriced {
            treated: 0.0,
            treated_untold: 0.0,
            treated_near: 0.0,
            at_one: 0.0,
            control: 0.0,
            control_untold: 0.0,
            squares: 0.0,
            theta: 0.0,
            information: 0.0,
            below: [0.0; STEPS],
            costs: [0.0; STEPS],
        }
    }
}

/// The step at or below the logarithm of a ratio of at least 1, and how far it is to the next: 0 to 1.
fn step(ln_ratio: f64) -> (usize, f64) {
    let steps = (ln_ratio / STEP).min((STEPS - 2) as f64);
    (steps as usize, steps.fract())
}

/// ln² m at a step.
fn square(step: usize) -> f64 {
    let ln = STEP * step as f64;
    ln * ln
}

impl Repriced {
    /// Counts what a treated person was shown at a cost above 0, by a bid of that factor.
    pub fn add_treated(&mut self, cost: f64, bid: f64, ln_factor: f64) {
        if bid < cost {
            self.treated_untold += cost;
            return;
        }
        self.treated += cost;
        self.treated_near += if cost > (1.0 - NEAR) * bid { cost } else { 0.0 };
        if ln_factor < 0.0 {
            let (step, beyond) = step(-ln_factor);
            self.below[step] += cost * (1.0 - beyond);
            self.below[step + 1] += cost * beyond;
            return;
        }
        let ln_ratio = math::ln(bid / cost) - ln_factor;
        if ln_ratio >= 0.0 {
            self.at_one += cost;
            self.add_cost(cost, ln_ratio);
        }
    }

    /// Counts what a person of the control group was shown at a cost above 0, by a bid of 1; a treated one would have
    /// had that factor.
    pub fn add_control(&mut self, cost: f64, bid: f64, ln_factor: f64) {
        if bid < cost {
            self.control_untold += cost;
            return;
        }
        self.control += cost;
        let ln_ratio = math::ln(bid / cost);
        match ln_factor < 0.0 {
            true => self.learn(cost, -ln_factor, ln_ratio >= -ln_factor),
            false => self.add_cost(cost, ln_ratio),
        }
    }

    fn add_cost(&mut self, cost: f64, ln_ratio: f64) {
        self.costs[step(ln_ratio).0] += cost;
        self.squares += cost * cost;
    }

    /// Learns θ from one amount, which would have been spent at a factor below 1, or not: a step of Newton's method on
    /// the likelihood of that.
    fn learn(&mut self, cost: f64, minus_ln_factor: f64, is_kept: bool) {
        let Some(size) = self.size() else { return };
        let (step, beyond) = step(minus_ln_factor);
        let between = |of: &dyn Fn(usize) -> f64| (1.0 - beyond) * of(step) + beyond * of(step + 1);
        let share = math::exp(between(&|step| self.ln_share(step))).min(1.0 - 1e-6);
        let slope = between(&square);
        let weight = cost / size * slope / (1.0 - share);
        self.information += weight * share * slope;
        let kept = if is_kept { 1.0 } else { 0.0 };
        let theta = self.theta + weight * (kept - share) * self.variance();
        self.theta = theta.clamp(THETA_BOUNDS.0, THETA_BOUNDS.1);
    }

    /// The mean amount in what G is told from, by amount; `None` while these are too few.
    fn size(&self) -> Option<f64> {
        (self.sizes() > SIZES_MIN).then(|| self.squares / self.costs.iter().sum::<f64>())
    }

    /// How many amounts of one size would tell as much of G: 0 where there are none.
    pub fn sizes(&self) -> f64 {
        let all: f64 = self.costs.iter().sum();
        if self.squares > 0.0 { all * all / self.squares } else { 0.0 }
    }

    /// Variance of θ.
    fn variance(&self) -> f64 {
        1.0 / (self.information + 1.0 / (THETA_DEVIATION * THETA_DEVIATION))
    }

    /// ln G + θ ln² m at a step.
    fn ln_share(&self, step: usize) -> f64 {
        (self.ln_of_costs(step) + self.theta * square(step)).min(0.0)
    }

    /// ln G at a step; where nothing so cheap was seen, of half of one amount.
    fn ln_of_costs(&self, step: usize) -> f64 {
        let all: f64 = self.costs.iter().sum();
        let cheap: f64 = self.costs[step..].iter().sum();
        math::ln((cheap / all).max(self.squares / (2.0 * all * all)).min(1.0))
    }

    /// Lets all amounts fade to a share, and what is known of θ to another.
    pub fn fade(&mut self, left: f64, left_of_theta: f64) {
        let (theta, information) = (self.theta, self.information);
        self.each_mut(|number| *number *= left);
        (self.theta, self.information) = (theta, information * left_of_theta);
    }

    /// Treated amounts of which bids are known.
    pub fn treated(&self) -> f64 {
        self.treated
    }

    /// What the treated group spent ÷ what it would have at 1, as a logarithm, with its standard error. `None` where
    /// too little is known, bids were not told, or what was paid was mostly the bid: the winner pays its own then.
    pub fn ln_ratio(&self) -> Option<(f64, f64)> {
        let is_told = |told: f64, untold: f64| told >= TOLD_MIN * (told + untold);
        let are_told = is_told(self.treated, self.treated_untold) && is_told(self.control, self.control_untold);
        let is_first_price = self.treated_near > NEAR_MAX * self.treated;
        self.size().filter(|_| are_told && !is_first_price && self.control > 0.0 && self.at_one > 0.0)?;
        let (mut at_one, mut slope) = (self.at_one, 0.0);
        for (step, spent) in self.below.iter().enumerate().filter(|(_, spent)| **spent > 0.0) {
            let would_be = spent * math::exp(-self.ln_share(step));
            at_one += would_be;
            slope += would_be * square(step);
        }
        let moved = slope / at_one;
        Some((math::ln(self.treated / at_one), (self.variance() * moved * moved + MISFIT * MISFIT).sqrt()))
    }

    /// Whether all numbers are what amounts can come to.
    pub fn is_sound(&self) -> bool {
        let mut least = f64::INFINITY;
        Repriced { theta: 0.0, ..self.clone() }.each(|number| least = least.min(number));
        least >= 0.0 && (THETA_BOUNDS.0..=THETA_BOUNDS.1).contains(&self.theta)
    }

    /// All numbers, in a fixed order.
    pub fn each(&self, visit: impl FnMut(f64)) {
        let Repriced { treated, treated_untold, treated_near, at_one, control, control_untold, .. } = self;
        let amounts = [treated, treated_untold, treated_near, at_one, control, control_untold].into_iter();
        let Repriced { squares, theta, information, below, costs, .. } = self;
        amounts.chain([squares, theta, information]).chain(below).chain(costs).copied().for_each(visit);
    }

    /// Amounts out of the numbers that [`each`](Repriced::each) visits.
    ///
    /// # Errors
    /// Those of `next`.
    pub fn read<E>(next: impl FnMut() -> Result<f64, E>) -> Result<Repriced, E> {
        let mut amounts = Repriced::default();
        super::fill(next, |visit| amounts.each_mut(visit))?;
        Ok(amounts)
    }

    fn each_mut(&mut self, visit: impl FnMut(&mut f64)) {
        let Repriced { treated, treated_untold, treated_near, at_one, control, control_untold, .. } = self;
        let amounts = [treated, treated_untold, treated_near, at_one, control, control_untold].into_iter();
        let Repriced { squares, theta, information, below, costs, .. } = self;
        amounts.chain([squares, theta, information]).chain(below).chain(costs).for_each(visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    /// A uniform number above 0 and below 1 for each purpose and number.
    fn uniform(purpose: u64, number: u64) -> f64 {
        ((hash::mix(purpose, number) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Many auctions with bids around 1 and prices up to 3, dearer for people of high factors: what is told of them,
    /// and the logarithm of what treated people spent ÷ what they would have at 1. `lower`: by how much treated people
    /// have lower factors than control.
    fn played(auctions: u64, lower: f64) -> (Repriced, f64) {
        let (mut repriced, mut spent, mut at_one) = (Repriced::default(), 0.0, 0.0);
        for number in 0..auctions {
            let is_control = number % 20 == 0;
            let ln_factor = 2.0 * uniform(1, number) - 1.2 - if is_control { 0.0 } else { lower };
            let base = 0.5 + uniform(2, number);
            let price = 3.0 * uniform(3, number) * math::exp(0.3 * ln_factor);
            let cost = |bid: f64| if bid >= price { price } else { 0.0 };
            let treated_bid = base * math::exp(ln_factor);
            match is_control {
                true if base >= price => repriced.add_control(price, base, ln_factor),
                false => {
                    spent += cost(treated_bid);
                    at_one += cost(base);
                    if treated_bid >= price {
                        repriced.add_treated(price, treated_bid, ln_factor);
                    }
                }
                true => {}
            }
        }
        (repriced, math::ln(spent / at_one))
    }

    #[test]
    fn tells_what_was_spent_more_however_factors_differ() {
        for lower in [0.0, 0.3, -0.3] {
            let (repriced, truth) = played(400_000, lower);
            let (told, error) = repriced.ln_ratio().unwrap();
            assert!((told - truth).abs() < 2.0 * error && error < 0.05, "{lower}: {told} ± {error}: {truth}");
        }
    }

    #[test]
    fn is_as_sure_as_it_says() {
        // Of 60 markets whose control group wins some hundred auctions, the 95 % interval misses about three.
        let missed = (0..60u64).filter(|market| {
            let (mut repriced, mut spent, mut at_one) = (Repriced::default(), 0.0, 0.0);
            for number in market * 6_000..(market + 1) * 6_000 {
                let (is_control, ln_factor) = (number % 20 == 0, 2.0 * uniform(1, number) - 1.2);
                let (bid, price) = (math::exp(ln_factor), 2.0 * uniform(3, number));
                if is_control && price <= 1.0 {
                    repriced.add_control(price, 1.0, ln_factor);
                }
                if !is_control {
                    at_one += if price <= 1.0 { price } else { 0.0 };
                    if price <= bid {
                        spent += price;
                        repriced.add_treated(price, bid, ln_factor);
                    }
                }
            }
            let (told, error) = repriced.ln_ratio().unwrap();
            (told - math::ln(spent / at_one)).abs() > 1.96 * error
        });
        let missed = missed.count();
        assert!(missed <= 8, "{missed} of 60");
    }

    #[test]
    fn says_nothing_where_the_winner_pays_its_bid_or_bids_are_not_told() {
        assert_eq!(Repriced::default().ln_ratio(), None);
        let (mut repriced, _) = played(20_000, 0.0);
        let (told, of_control) = (repriced.treated, repriced.control);
        assert!(repriced.ln_ratio().is_some());
        let mut untold = repriced.clone();
        untold.add_treated(told / 30.0, 0.0, 0.1);
        assert!(untold.ln_ratio().is_some(), "nearly all");
        untold.add_control(of_control / 10.0, 0.0, -0.1);
        assert_eq!(untold.ln_ratio(), None, "a tenth of one group is not told");
        repriced.add_treated(told, 1.005 * told, 0.1);
        assert_eq!(repriced.ln_ratio(), None, "half of it cost what was bid, but for a fee");
    }

    #[test]
    fn where_control_has_nothing_the_interval_is_wide() {
        let (mut repriced, _) = played(40_000, 0.0);
        let sure = repriced.ln_ratio().unwrap().1;
        repriced.information = 0.0;
        let unsure = repriced.ln_ratio().unwrap().1;
        assert!(unsure > 1.5 * sure, "{sure} {unsure}");
    }

    #[test]
    fn what_is_old_counts_less() {
        let (mut repriced, _) = played(40_000, 0.0);
        let (was, information) = (repriced.ln_ratio().unwrap(), repriced.information);
        let size = repriced.size().unwrap();
        repriced.fade(0.5, 0.9);
        let faded = repriced.ln_ratio().unwrap();
        assert!((faded.0 - was.0).abs() < 1e-3 && faded.1 > was.1, "{was:?} {faded:?}");
        assert!((repriced.size().unwrap() - size).abs() < 1e-9 * size, "a mean amount does not fade");
        assert!((repriced.information / information - 0.9).abs() < 1e-9);
    }

    #[test]
    fn what_has_nearly_faded_says_nothing_and_breaks_nothing() {
        let (mut repriced, _) = played(40_000, 0.0);
        for left in [1e-3, 1e-150, 1e-150, 0.0] {
            repriced.fade(left, left);
            repriced.add_control(0.5, 1.0, -0.3);
            repriced.add_treated(0.5, 1.0, -0.3);
            assert!(repriced.is_sound() && repriced.theta.is_finite() && repriced.information.is_finite());
            let told = repriced.ln_ratio();
            assert!(told.is_none_or(|(ln_ratio, error)| ln_ratio.is_finite() && error.is_finite()), "{told:?}");
        }
        assert_eq!(repriced.ln_ratio(), None);
        assert!(!Repriced { information: -1.0, ..repriced.clone() }.is_sound());
        assert!(!Repriced { theta: 9.0, ..repriced }.is_sound());
    }
}
