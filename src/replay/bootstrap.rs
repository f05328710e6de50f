//! How sure figures are: resamples of the users, each drawn with all that is theirs.
//!
//! Opportunities of one user are alike, and within one window they even share their label: drawing them one by one
//! would make every interval too narrow. The users are drawn with replacement, as many as there are (Efron's bootstrap
//! by clusters), and the middle 95 % of the figures are the interval.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::hash::{self, KeyHasher};
use crate::parallel::{all_threads, each_in_order};
use crate::stats::quality::{Judged, Quality, Ranking};

/// How users are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Resamples {
    /// How many times.
    pub count: u32,
    /// Start of the draws: the same seed gives the same intervals.
    pub seed: u64,
}

/// The same users under several sets of predictions, drawn together: so differences can be taken draw by draw.
pub struct Sample {
    rankings: Vec<Ranking>,
    users: u32,
}

/// Share of the resamples in which a figure must exist for its interval to be told.
const SHARE_NEEDED: f64 = 0.95;

impl Sample {
    /// Takes sets of predictions over the same users.
    pub fn new(sets: &[Vec<Judged>]) -> Sample {
        let mut numbers: HashMap<u32, u32, KeyHasher> = HashMap::default();
        let mut numbered = |judged: &Judged| {
            let next = numbers.len() as u32;
            Judged { user: *numbers.entry(judged.user).or_insert(next), ..*judged }
        };
        let rankings: Vec<Ranking> =
            sets.iter().map(|set| Ranking::new(set.iter().map(&mut numbered).collect::<Vec<_>>())).collect();
        Sample { rankings, users: numbers.len() as u32 }
    }

    /// The predictions in their order.
    pub fn rankings(&self) -> &[Ranking] {
        &self.rankings
    }

    /// Different users.
    pub fn users(&self) -> u32 {
        self.users
    }

    /// The figures of each resample, set by set.
    pub fn draw(&self, resamples: Resamples) -> Vec<Vec<Quality>> {
        let once = |number: usize| self.once(resamples.seed, number as u32);
        each_in_order(resamples.count as usize, all_threads(), once)
    }

    fn once(&self, seed: u64, number: u32) -> Vec<Quality> {
        let mut chance = StdRng::seed_from_u64(hash::mix(seed, u64::from(number)));
        let mut times = vec![0; self.users as usize];
        for _ in 0..self.users {
            times[chance.random_range(0..self.users) as usize] += 1;
        }
        self.rankings.iter().map(|ranking| ranking.weighted(|user| times[user as usize])).collect()
    }
}

/// The middle 95 % of some numbers; `None` where too many of them could not be told.
pub fn interval(mut numbers: Vec<f64>) -> Option<(f64, f64)> {
    let drawn = numbers.len();
    numbers.retain(|number| number.is_finite());
    if numbers.is_empty() || (numbers.len() as f64) < SHARE_NEEDED * drawn as f64 {
        return None;
    }
    numbers.sort_by(f64::total_cmp);
    let at = |share: f64| numbers[((numbers.len() - 1) as f64 * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_draws_and_users_stay_together() {
        let set: Vec<Judged> = (0..400)
            .map(|n| Judged { p: f64::from(n % 7) / 10.0 + 0.1, positive: n % 3 == 0, user: 1_000 + n / 4 })
            .collect();
        let sample = Sample::new(&[set.clone(), set]);
        assert_eq!(sample.users(), 100);
        let resamples = Resamples { count: 40, seed: 3 };
        let drawn = sample.draw(resamples);
        assert_eq!((drawn.len(), &drawn), (40, &sample.draw(resamples)));
        assert!(drawn.iter().all(|sets| sets[0] == sets[1]), "the same users are drawn for all sets");
        assert!(drawn.iter().all(|sets| sets[0].opportunities == 400.0), "each user has four");
        assert_ne!(drawn[0], drawn[1]);
        let loss = interval(drawn.iter().map(|sets| sets[0].log_loss).collect()).unwrap();
        let whole = sample.rankings()[0].quality().log_loss;
        assert!(loss.0 < whole && whole < loss.1, "{loss:?} {whole}");
    }

    /// The rate of positives among users with ten opportunities each that share their label: intervals that took the
    /// opportunities for independent would be √10 too narrow and would hold the truth about half of the time.
    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say() {
        let truth = 0.3;
        let mut held = 0;
        for round in 0..200u64 {
            let mut chance = StdRng::seed_from_u64(round);
            let labels: Vec<bool> = (0..150).map(|_| chance.random_bool(truth)).collect();
            let judged = |n: usize| Judged { p: truth, positive: labels[n / 10], user: (n / 10) as u32 };
            let sample = Sample::new(&[(0..1_500).map(judged).collect()]);
            let rates = sample.draw(Resamples { count: 200, seed: round });
            let rates = rates.iter().map(|sets| sets[0].positives / sets[0].opportunities).collect();
            let (low, high) = interval(rates).unwrap();
            held += usize::from(low <= truth && truth <= high);
        }
        assert!((180..=198).contains(&held), "{held} of 200 intervals hold the truth, 190 are meant to");
    }

    #[test]
    fn an_interval_of_what_is_mostly_unknown_is_not_told() {
        assert_eq!(interval(vec![]), None);
        assert_eq!(interval(vec![1.0, f64::NAN]), None);
        assert_eq!(interval((0..=200).map(f64::from).collect()), Some((5.0, 195.0)));
    }
}
