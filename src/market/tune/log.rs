//! Tuning on a recorded log at recorded prices: a world is a seed of the prices.

use super::arena::{Arena, Difference};
use super::knob::Space;
use super::verdict::Verdict;
use crate::market::compare::Estimate;
use crate::market::equal_spend::EQUAL;
use crate::market::paired::{Gain, Pair, Sums};
use crate::market::recorded::{JoinError, Market, Recorded, Rehearsal, Worth};
use crate::parallel::each_in_order;
use crate::replay::Resamples;

/// Standard errors that a middle 95 % and a power of four in five are: 1.96 + 0.84.
const DETECTABLE: f64 = 2.8;

/// Days of a log in which settings are tried.
#[derive(Clone, Copy)]
pub struct Log<'a> {
    /// The log.
    pub recorded: &'a Recorded,
    /// What is tuned.
    pub space: &'a Space,
    /// Prices and the flat bid.
    pub market: Market<'a>,
    /// First of the seeds.
    pub seed: u64,
    /// How many there are.
    pub seeds: u32,
    /// What is to become more.
    pub worth: Worth,
}

/// Spend of some worlds, over all users.
fn spend(worlds: &[&Rehearsal]) -> f64 {
    worlds.iter().flat_map(|world| &world.users).map(|user| user.cost).sum()
}

impl Arena for Log<'_> {
    type Played = Rehearsal;
    type Error = JoinError;

    fn worlds(&self) -> usize {
        self.seeds as usize
    }

    fn play(&self, point: &[f64], world: usize) -> Result<Rehearsal, JoinError> {
        self.recorded.rehearse(
            &self.space.settings(point),
            self.market,
            self.seed.wrapping_add(world as u64),
            self.worth,
        )
    }

    /// Users differ more than prices do, so the error is that over users, of their mean over worlds.
    fn compare(&self, base: &[&Rehearsal], other: &[&Rehearsal]) -> Option<Difference> {
        if (spend(other) / spend(base) - 1.0).abs() > EQUAL {
            return None;
        }
        let users = base.first()?.users.len();
        let sum = |worlds: &[&Rehearsal], user: usize| worlds.iter().map(|world| world.users[user].hits).sum::<f64>();
        let more: Vec<f64> = (0..users).map(|user| sum(other, user) - sum(base, user)).collect();
        let all: f64 = (0..users).map(|user| sum(base, user)).sum();
        let mean = more.iter().sum::<f64>() / users as f64;
        let squares: f64 = more.iter().map(|more| (more - mean) * (more - mean)).sum();
        let share = more.iter().sum::<f64>() / all;
        share.is_finite().then(|| Difference { share, error: squares.sqrt() / all })
    }
}

impl Log<'_> {
    /// What a point gains over another; on days that it was not chosen on, that may be promised. Users and seeds are
    /// resampled.
    ///
    /// # Errors
    /// When one cannot be played.
    pub fn judge(
        &self,
        base: &[f64],
        point: &[f64],
        gain_min: f64,
        resamples: Resamples,
        threads: usize,
        progress: &(dyn Fn() + Sync),
    ) -> Result<Verdict, JoinError> {
        let points = [base, point];
        let played = each_in_order(2 * self.worlds(), threads, |number| {
            let played = self.play(points[number % 2], number / 2);
            progress();
            played
        });
        let played: Vec<Rehearsal> = played.into_iter().collect::<Result<_, _>>()?;
        let pairs = |two: &[Rehearsal]| -> Vec<Pair> {
            let users = two[0].users.iter().zip(&two[1].users);
            users.map(|(base, policy)| Pair { base: *base, policy: *policy }).collect()
        };
        let worlds: Vec<Vec<Pair>> = played.chunks_exact(2).map(pairs).collect();
        let gain = Gain::of(&worlds, resamples);
        let mut sums = Pair::default();
        let add = |of: &mut Sums, other: Sums| of.add(other, 1.0 / f64::from(self.seeds));
        worlds.iter().flatten().for_each(|pair| {
            add(&mut sums.base, pair.base);
            add(&mut sums.policy, pair.policy);
        });
        let estimate = gain.share_interval.map(|(low, high)| {
            let detectable = gain.detectable.unwrap_or(DETECTABLE * (high - low) / (2.0 * 1.96));
            Estimate { mean: gain.share, low, high, detectable }
        });
        let kpi = (sums.base.hits, sums.policy.hits);
        Ok(Verdict { gain: estimate, came: None, kpi, spend: sums.policy.cost / sums.base.cost, gain_min })
    }
}
