//! Chance without order: each draw follows from what it is for, and from nothing that was drawn before.
//!
//! Policies are compared on the same people, prices and whims. With one stream of random numbers, a bid more or less
//! would shift all that comes after it; here a draw is a hash of (seed, purpose, entity, number), so that changing one
//! policy changes no draw of another.

use crate::hash;
use crate::math;
use crate::stats::normal;

/// What a draw is for. Each has draws of its own, which follow from its number: another number is another market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Purpose {
    Visit = 2,
    Opportunity = 3,
    Membership = 4,
    Device = 5,
    Intent = 6,
    Views = 7,
    Act = 8,
    Rise = 10,
    Decision = 11,
    Delay = 12,
    Context = 13,
    Effect = 14,
    Price = 15,
    Response = 16,
    Notice = 17,
    Refund = 18,
    Whim = 20,
}

/// All draws of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws(pub u64);

impl Draws {
    /// 64 random bits.
    pub fn bits(self, purpose: Purpose, entity: u64, number: u64) -> u64 {
        hash::mix(hash::mix(self.0, purpose as u64), hash::mix(entity, number))
    }

    /// A number between 0 and 1, both exclusive.
    pub fn uniform(self, purpose: Purpose, entity: u64, number: u64) -> f64 {
        to_uniform(self.bits(purpose, entity, number))
    }

    /// A standard normal number.
    pub fn normal(self, purpose: Purpose, entity: u64, number: u64) -> f64 {
        normal::quantile(self.uniform(purpose, entity, number))
    }

    /// A waiting time with this mean, exponentially distributed.
    pub fn wait(self, purpose: Purpose, entity: u64, number: u64, mean: f64) -> f64 {
        -mean * math::ln(self.uniform(purpose, entity, number))
    }

    /// Whether something of this probability happens.
    pub fn happens(self, purpose: Purpose, entity: u64, number: u64, probability: f64) -> bool {
        self.uniform(purpose, entity, number) < probability
    }
}

/// A number between 0 and 1, both exclusive, of 64 random bits.
pub fn to_uniform(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_apart() {
        let draws = Draws(7);
        let mut counts = [0u32; 10];
        let mut products = 0.0;
        for number in 0..100_000 {
            let one = draws.uniform(Purpose::Visit, 3, number);
            let other = draws.uniform(Purpose::Price, 3, number);
            counts[(one * 10.0) as usize] += 1;
            products += (one - 0.5) * (other - 0.5);
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        // The variance of one product is 1/144, so the mean of 100,000 is within 4 standard errors.
        assert!((products / 100_000.0).abs() < 4.0 / 12.0 / 316.2, "{products}");
    }

    #[test]
    fn waits_have_their_mean() {
        let total: f64 = (0..100_000).map(|number| Draws(1).wait(Purpose::Delay, number, 0, 3.0)).sum();
        assert!((total / 100_000.0 - 3.0).abs() < 0.04, "{total}");
    }
}
