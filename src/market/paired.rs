//! How sure a difference between two policies is: both are resampled together, by what varies together.
//!
//! Groups (episodes of auctions, users of a log) are drawn with replacement, and so are worlds (seeds of the market's
//! draws) where there are several. Both policies met the same groups in the same worlds, so differences are taken draw
//! by draw.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::hash;
use crate::parallel::{all_threads, each_in_order};
use crate::replay::{Resamples, interval};

/// What a policy came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Auctions won.
    pub impressions: f64,
    /// Clicks, impressions that converted, or what these were worth.
    pub hits: f64,
    /// What was spent.
    pub cost: f64,
}

/// What two policies came to with one group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pair {
    /// The policy that is compared with.
    pub base: Sums,
    /// The policy.
    pub policy: Sums,
}

/// A difference of hits, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// Hits of the policy less those of the base, in the mean of the worlds.
    pub hits: f64,
    /// Its middle 95 %.
    pub interval: Option<(f64, f64)>,
    /// Share of the base's hits that this is.
    pub share: f64,
    /// Its middle 95 %.
    pub share_interval: Option<(f64, f64)>,
    /// The least true share that would be found, by a two-sided test at 5 %, four times of five: (1.96 + 0.84) times
    /// the spread of the draws.
    pub detectable: Option<f64>,
}

/// What is said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The interval lies above 0.
    More,
    /// The interval lies below 0.
    Fewer,
    /// The interval holds 0, or there is none: no winner.
    Open,
}

impl Sums {
    /// Adds another so many times.
    pub fn add(&mut self, other: Sums, times: f64) {
        self.impressions += times * other.impressions;
        self.hits += times * other.hits;
        self.cost += times * other.cost;
    }
}

impl Pair {
    fn add(&mut self, other: &Pair, times: f64) {
        self.base.add(other.base, times);
        self.policy.add(other.policy, times);
    }
}

impl Gain {
    /// What can be said of it.
    pub fn verdict(&self) -> Verdict {
        match self.interval {
            Some((low, _)) if low > 0.0 => Verdict::More,
            Some((_, high)) if high < 0.0 => Verdict::Fewer,
            _ => Verdict::Open,
        }
    }

    /// Compares two policies over worlds that hold the same groups in the same order.
    pub fn of(worlds: &[Vec<Pair>], resamples: Resamples) -> Gain {
        let whole = mean(worlds, |_| 1.0, |_| 1.0);
        let drawn = draw(worlds, resamples);
        let hits = |of: &Pair| of.policy.hits - of.base.hits;
        let share = |of: &Pair| of.policy.hits / of.base.hits - 1.0;
        let shares: Vec<f64> = drawn.iter().map(share).collect();
        let share_interval = interval(shares.clone());
        Gain {
            hits: hits(&whole),
            interval: interval(drawn.iter().map(hits).collect()),
            share: share(&whole),
            share_interval,
            detectable: share_interval.map(|_| 2.8 * deviation(&shares)),
        }
    }
}

/// Standard deviation of the finite ones.
fn deviation(numbers: &[f64]) -> f64 {
    let finite: Vec<f64> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
    let count = finite.len().max(1) as f64;
    let mean = finite.iter().sum::<f64>() / count;
    (finite.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / count).sqrt()
}

/// The sum over groups in the mean of the worlds, each so many times.
fn mean(worlds: &[Vec<Pair>], world_times: impl Fn(usize) -> f64, group_times: impl Fn(usize) -> f64) -> Pair {
    let mut sum = Pair::default();
    for (number, world) in worlds.iter().enumerate() {
        let times = world_times(number) / worlds.len() as f64;
        if times > 0.0 {
            let mut of_world = Pair::default();
            world.iter().enumerate().for_each(|(group, pair)| of_world.add(pair, group_times(group)));
            sum.add(&of_world, times);
        }
    }
    sum
}

/// How often each of so many is drawn, when as many are drawn as there are.
fn times(chance: &mut StdRng, count: usize) -> Vec<f64> {
    let mut times = vec![0.0; count];
    (0..count).for_each(|_| times[chance.random_range(0..count)] += 1.0);
    times
}

/// The resamples, each the sum over its groups in the mean of its worlds.
fn draw(worlds: &[Vec<Pair>], resamples: Resamples) -> Vec<Pair> {
    let groups = worlds.first().map_or(0, Vec::len);
    let once = |number: u32| {
        let mut chance = StdRng::seed_from_u64(hash::mix(resamples.seed, u64::from(number)));
        let of_groups = times(&mut chance, groups);
        let of_worlds = times(&mut chance, worlds.len());
        mean(worlds, |world| of_worlds[world], |group| of_groups[group])
    };
    each_in_order(resamples.count as usize, all_threads(), |number| once(number as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(base: f64, policy: f64) -> Pair {
        let sums = |hits| Sums { impressions: 10.0, hits, cost: 1.0 };
        Pair { base: sums(base), policy: sums(policy) }
    }

    fn world(seed: u64, groups: usize, gain: f64) -> Vec<Pair> {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut hit = |p: f64| f64::from(u8::from(chance.random_bool(p)));
        (0..groups).map(|_| pair(hit(0.3), hit(0.3 + gain))).collect()
    }

    #[test]
    fn a_difference_is_told_only_where_it_is_sure() {
        let resamples = Resamples { count: 400, seed: 1 };
        let sure = Gain::of(&[world(1, 2_000, 0.1)], resamples);
        assert_eq!(sure.verdict(), Verdict::More, "{sure:?}");
        assert!((0.15..0.6).contains(&sure.share) && sure.detectable.is_some_and(|least| least < sure.share));
        let worse = Gain::of(&[world(1, 2_000, -0.1)], resamples);
        assert_eq!(worse.verdict(), Verdict::Fewer);
        let same = Gain::of(&[vec![pair(1.0, 1.0); 50]], resamples);
        assert_eq!((same.hits, same.interval, same.verdict()), (0.0, Some((0.0, 0.0)), Verdict::Open));
        let nothing = Gain::of(&[vec![pair(0.0, 0.0); 50]], resamples);
        assert_eq!((nothing.share_interval, nothing.verdict()), (None, Verdict::Open));
    }

    /// Policies that do not differ: a difference may be called in one of twenty.
    #[test]
    fn what_does_not_differ_is_rarely_called_different() {
        let called = |seed: u64| {
            let gain = Gain::of(&[world(seed, 300, 0.0)], Resamples { count: 200, seed });
            usize::from(gain.verdict() != Verdict::Open)
        };
        let called: usize = (0..200).map(called).sum();
        assert!((1..=22).contains(&called), "{called} of 200, 10 are meant to");
    }

    #[test]
    fn several_worlds_count_in_their_mean() {
        let worlds: Vec<Vec<Pair>> = (0..5).map(|seed| world(seed, 400, 0.1)).collect();
        let resamples = Resamples { count: 200, seed: 9 };
        let all = Gain::of(&worlds, resamples);
        let each: Vec<f64> = worlds.iter().map(|one| Gain::of(std::slice::from_ref(one), resamples).hits).collect();
        assert!((all.hits - each.iter().sum::<f64>() / 5.0).abs() < 1e-9);
        assert_eq!(Gain::of(&worlds, resamples), all);
    }
}
