//! What the people of each external segment are worth beside others: weights estimated at once instead of searched.
//!
//! In each world the rate of a group of people, those in exactly the same segments, is taken as a product of one factor
//! for each segment. The factors are those of the Poisson likelihood (iterative proportional fitting, Deming and
//! Stephan 1940): each segment's members come to what they came to. A factor is the weight at which a bid is in
//! proportion to what is bid for. How sure it is follows from its spread over worlds, which are independent.

use std::collections::BTreeMap;

use crate::market::compare::Estimate;
use crate::market::run::Tally;
use crate::math;

/// Rounds of the fit: factors of overlapping segments come to rest within some ten.
const ROUNDS: usize = 50;
/// Bounds of a factor, so that a segment without any success keeps one.
const FACTORS: (f64, f64) = (0.02, 50.0);

/// What is known of an external segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Audience {
    /// The weight that its people are worth, and its 95 % interval; `None` where nobody of it was met.
    pub weight: Option<(f64, f64, f64)>,
    /// Its share of the spend.
    pub spend: f64,
}

impl Audience {
    /// The weight, where it is known to differ from 1, else 1.
    pub fn sure(&self) -> f64 {
        self.weight.filter(|(_, low, high)| *low > 1.0 || *high < 1.0).map_or(1.0, |(mean, ..)| mean)
    }
}

/// What is known of all external segments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audiences {
    /// In the order of the scenario.
    pub all: Vec<Audience>,
    /// Sets of segments that people are in to whom ads were shown.
    mixes: Vec<u16>,
}

impl Audiences {
    /// The weights of the segments that have one. Where everybody is in the same number of these, all weights times
    /// anything are the same bids once they are paced, and they are given so that their geometric mean, by spend, is 1.
    /// Elsewhere nobody's bid is in proportion to nothing: who is in no segment has weight 1.
    pub fn weights(&self, has_weight: impl Fn(usize) -> bool) -> Vec<f64> {
        let weighted: Vec<usize> = (0..self.all.len()).filter(|segment| has_weight(*segment)).collect();
        let of = |mix: &u16| weighted.iter().filter(|segment| mix >> **segment & 1 == 1).count();
        let each = self.mixes.first().map_or(0, of);
        let is_shared = each > 0 && self.mixes.iter().all(|mix| of(mix) == each);
        let logarithm = |segment: &usize| self.all[*segment].spend * math::ln(self.all[*segment].sure());
        let mean = if is_shared { weighted.iter().map(logarithm).sum::<f64>() / each as f64 } else { 0.0 };
        weighted.iter().map(|segment| self.all[*segment].sure() / math::exp(mean)).collect()
    }
}

/// Estimates the weights of so many segments from what was shown in several worlds under one policy that does not tell
/// people apart.
pub fn audiences(count: usize, worlds: &[&BTreeMap<u16, Tally>]) -> Audiences {
    let mut all: BTreeMap<u16, Tally> = BTreeMap::new();
    for (mix, tally) in worlds.iter().copied().flatten() {
        all.entry(*mix).or_default().add(tally);
    }
    let pooled = fit(count, &all);
    let each: Vec<Vec<Option<f64>>> = worlds.iter().map(|world| fit(count, world)).collect();
    let spend: i64 = all.values().map(|tally| tally.nanos).sum();
    let of = |segment: usize| {
        let logarithms: Option<Vec<f64>> = each.iter().map(|world| world[segment].map(math::ln)).collect();
        let spread = logarithms.filter(|all| all.len() > 1).and_then(|all| Estimate::of(&all));
        let weight = pooled[segment].zip(spread).map(|(mean, spread)| {
            let at = |end: f64| mean * math::exp(end - spread.mean);
            (mean, at(spread.low), at(spread.high))
        });
        let of_segment = all.iter().filter(|(mix, _)| **mix >> segment & 1 == 1);
        let spent: i64 = of_segment.map(|(_, tally)| tally.nanos).sum();
        Audience { weight, spend: spent as f64 / spend.max(1) as f64 }
    };
    let mixes = all.iter().filter(|(_, tally)| tally.wins > 0).map(|(mix, _)| *mix).collect();
    Audiences { all: (0..count).map(of).collect(), mixes }
}

/// A factor for each segment; `None` where no ad was shown to anybody in it, or to nobody else.
fn fit(count: usize, mixes: &BTreeMap<u16, Tally>) -> Vec<Option<f64>> {
    let mut factors = vec![1.0; count];
    let rate = |factors: &[f64], mix: u16| {
        factors.iter().enumerate().filter(|(place, _)| mix >> place & 1 == 1).map(|(_, factor)| factor).product::<f64>()
    };
    let sums = |is_member: &dyn Fn(u16) -> bool, factors: &[f64]| {
        let members = mixes.iter().filter(|(mix, _)| is_member(**mix));
        members.fold((0.0, 0.0), |(came, meant), (mix, tally)| {
            (came + tally.expected, meant + tally.wins as f64 * rate(factors, *mix))
        })
    };
    for _ in 0..ROUNDS {
        let (came, meant) = sums(&|_| true, &factors);
        let base = came / meant;
        for segment in 0..count {
            let (came, meant) = sums(&|mix| mix >> segment & 1 == 1, &factors);
            let factor = factors[segment] * came / (meant * base);
            if factor.is_finite() {
                factors[segment] = factor.clamp(FACTORS.0, FACTORS.1);
            }
        }
    }
    let wins = |is_member: &dyn Fn(u16) -> bool| -> u64 {
        mixes.iter().filter(|(mix, _)| is_member(**mix)).map(|(_, tally)| tally.wins).sum()
    };
    let is_met = |segment: usize| wins(&|mix| mix >> segment & 1 == 1) > 0 && wins(&|mix| mix >> segment & 1 == 0) > 0;
    factors.into_iter().enumerate().map(|(segment, factor)| is_met(segment).then_some(factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(noise: f64) -> BTreeMap<u16, Tally> {
        // Two segments of weights 2 and 0.5 that go together more often than not.
        let mixes = [(0u16, 4_000, 1.0), (1, 500, 2.0), (2, 600, 0.5), (3, 900, 1.0)];
        let tally = |wins: u64, rate: f64| Tally {
            wins,
            nanos: wins as i64,
            expected: wins as f64 * rate * 0.003,
            ..Tally::default()
        };
        mixes.into_iter().map(|(mix, wins, rate)| (mix, tally(wins, rate * (1.0 + noise * f64::from(mix))))).collect()
    }

    #[test]
    fn overlapping_segments_are_told_apart() {
        let worlds = [world(0.01), world(-0.01), world(0.0)];
        let all = audiences(3, &worlds.iter().collect::<Vec<_>>());
        let found = &all.all;
        for (audience, weight) in found.iter().zip([2.0, 0.5]) {
            let (mean, low, high) = audience.weight.unwrap();
            assert!((mean / weight - 1.0).abs() < 0.01 && low < weight && weight < high, "{found:?}");
            assert_eq!(audience.sure(), mean);
        }
        assert!((found[0].spend - 1_400.0 / 6_000.0).abs() < 1e-9);
        assert_eq!((found[2].weight, found[2].sure()), (None, 1.0), "nobody is in it");
        assert_eq!(audiences(1, &[&world(0.0)]).all[0].weight, None, "one world has no spread");
        assert_eq!(all.weights(|segment| segment != 1), [found[0].sure(), 1.0], "some are in none");
    }

    #[test]
    fn weights_of_a_partition_have_a_mean_of_1() {
        let tally = |rate: f64| Tally { wins: 1_000, nanos: 1_000, expected: rate, ..Tally::default() };
        let world = |noise: f64| BTreeMap::from([(1u16, tally(2.0 + noise)), (2, tally(8.0))]);
        let worlds = [world(0.001), world(-0.001)];
        let found = audiences(2, &worlds.iter().collect::<Vec<_>>());
        let weights = found.weights(|_| true);
        assert!(
            (weights[0] * weights[1] - 1.0).abs() < 1e-6 && (weights[1] / weights[0] - 4.0).abs() < 0.1,
            "{weights:?}"
        );
    }
}
