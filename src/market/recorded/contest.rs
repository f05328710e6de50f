//! Policies side by side over the same recorded auctions, as they are given and at equal spend.

use super::auctions::Auction;
use super::bidder::{Constant, Linear, Ortb, Paced, Random, Truthful};
use super::episodes::{BID_MAX, Replayed, Rule, Tally};
use super::online::Inkling;
use crate::market::draws::Draws;
use crate::market::equal_spend::{EQUAL, search};
use crate::market::paired::{Gain, Pair, Sums};
use crate::rejection::Rejection;
use crate::replay::Resamples;

/// Plays of one search, of policies that only compute, and of those that drive the engine.
const PLAYS_MAX: usize = 48;
const ENGINE_PLAYS_MAX: usize = 16;

/// A bid policy by name. Each has one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The same bid for all: the bid.
    Constant,
    /// By chance: the largest bid.
    Random,
    /// In proportion to the probability: the bid at the mean probability.
    Linear,
    /// What the impression is worth: the value of a click.
    Truthful,
    /// ORTB's curve: the bid at the mean probability.
    Ortb,
    /// Linear under dual pacing: the spend an auction.
    Paced,
    /// Inkling's multiplier on the linear bid: the linear bid at the mean probability.
    Inkling,
}

/// What was known before the auctions: of earlier ones, or, where there are none, of these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Mean predicted probability.
    pub mean_pctr: f64,
    /// Mean market price.
    pub mean_price: f64,
    /// Median market price.
    pub median_price: u32,
    /// What all impressions cost ÷ clicks, for one impression: the largest affordable cost of a click; else 0.
    pub cost_per_click: f64,
}

/// One policy over all auctions.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which policy.
    pub policy: Policy,
    /// Its parameter.
    pub parameter: f64,
    /// What it came to.
    pub total: Tally,
    /// What it spent ÷ what it was to spend; none where that was not asked for.
    pub ratio: Option<f64>,
    /// Against the linear bid, where both spend the same.
    pub gain: Option<Gain>,
    /// Share of the auctions in which the multiplier was not 1; of Inkling only.
    pub moved: Option<f64>,
}

/// Auctions, the rule they are played by, and what is known.
#[derive(Debug, Clone, Copy)]
pub struct Contest<'a> {
    /// The auctions.
    pub auctions: &'a [Auction],
    /// How they are played.
    pub rule: Rule,
    /// What is known before.
    pub known: Known,
    /// Seed of the policies' draws.
    pub seed: u64,
}

impl Policy {
    /// All of them, in the order of tables.
    pub const ALL: [Policy; 7] = [
        Policy::Constant,
        Policy::Random,
        Policy::Linear,
        Policy::Truthful,
        Policy::Ortb,
        Policy::Paced,
        Policy::Inkling,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Constant => "constant",
            Policy::Random => "random",
            Policy::Linear => "linear",
            Policy::Truthful => "truthful",
            Policy::Ortb => "ortb",
            Policy::Paced => "paced",
            Policy::Inkling => "inkling",
        }
    }

    /// The policy of a name.
    pub fn named(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

impl Known {
    /// What auctions tell; `None` where there are none.
    pub fn of(auctions: &[Auction]) -> Option<Known> {
        let count = auctions.len() as f64;
        let cost: u64 = auctions.iter().map(|auction| u64::from(auction.price)).sum();
        let clicks = auctions.iter().filter(|auction| auction.clicked).count() as f64;
        let mut prices: Vec<u32> = auctions.iter().map(|auction| auction.price).collect();
        let middle = prices.len() / 2;
        let (_, median, _) = (!prices.is_empty()).then(|| prices.select_nth_unstable(middle))?;
        Some(Known {
            mean_pctr: auctions.iter().map(|auction| auction.pctr).sum::<f64>() / count,
            mean_price: cost as f64 / count,
            median_price: *median,
            cost_per_click: if clicks > 0.0 { cost as f64 / clicks / 1_000.0 } else { 0.0 },
        })
    }
}

impl Contest<'_> {
    /// A policy with the parameter as given.
    ///
    /// # Errors
    /// When the engine refuses its settings.
    pub fn as_given(&self, policy: Policy, parameter: f64) -> Result<Entry, Rejection> {
        let (replayed, moved) = self.play(policy, parameter)?;
        Ok(Entry { policy, parameter, total: replayed.total(), ratio: None, gain: None, moved })
    }

    /// All policies, each scaled until it spends as much as was to be spent; but the truthful one, which has no scale.
    ///
    /// # Errors
    /// When the engine refuses its settings.
    pub fn at_equal_spend(&self, target: f64, resamples: Resamples) -> Result<Vec<Entry>, Rejection> {
        let found: Vec<(Entry, Replayed)> =
            Policy::ALL.into_iter().map(|policy| self.scaled(policy, target)).collect::<Result<_, _>>()?;
        let is_equal = |entry: &Entry| entry.ratio.is_some_and(|ratio| (ratio - 1.0).abs() <= EQUAL);
        let linear = found.iter().find(|(entry, _)| entry.policy == Policy::Linear && is_equal(entry));
        let linear = linear.map(|(_, replayed)| replayed.clone());
        let compared = |(mut entry, replayed): (Entry, Replayed)| {
            let base = linear.as_ref().filter(|_| entry.policy != Policy::Linear && is_equal(&entry));
            entry.gain = base.map(|base| Gain::of(&[pairs(base, &replayed)], resamples));
            entry
        };
        Ok(found.into_iter().map(compared).collect())
    }

    fn scaled(&self, policy: Policy, target: f64) -> Result<(Entry, Replayed), Rejection> {
        let price = f64::from(self.known.median_price.max(1));
        let (start, plays) = match policy {
            Policy::Truthful => (self.known.cost_per_click, 1),
            Policy::Paced => (target / self.auctions.len().max(1) as f64, PLAYS_MAX),
            Policy::Random => (2.0 * price, PLAYS_MAX),
            Policy::Constant | Policy::Linear | Policy::Ortb => (price, PLAYS_MAX),
            Policy::Inkling => (price, ENGINE_PLAYS_MAX),
        };
        let play = |parameter| self.play(policy, parameter);
        let spend = |played: &Result<(Replayed, _), _>| match played {
            Ok((replayed, _)) => replayed.total().cost as f64,
            Err(_) => target,
        };
        let found = search(target, start.max(1e-6), plays, play, spend);
        let (replayed, moved) = found.outcome?;
        let total = replayed.total();
        let entry = Entry { policy, parameter: found.scale, total, ratio: Some(found.ratio), gain: None, moved };
        Ok((entry, replayed))
    }

    fn play(&self, policy: Policy, parameter: f64) -> Result<(Replayed, Option<f64>), Rejection> {
        let (rule, auctions, known, draws) = (&self.rule, self.auctions, &self.known, Draws(self.seed));
        let linear = |bid| Linear { bid, mean: known.mean_pctr };
        let replayed = match policy {
            Policy::Constant => rule.replay(auctions, &mut Constant { bid: parameter, draws }),
            Policy::Random => rule.replay(auctions, &mut Random { most: parameter, draws }),
            Policy::Linear => rule.replay(auctions, &mut linear(parameter)),
            Policy::Truthful => rule.replay(auctions, &mut Truthful { value: parameter }),
            Policy::Ortb => {
                let c = f64::from(known.median_price.max(1));
                rule.replay(auctions, &mut Ortb::through(c, linear(parameter)))
            }
            Policy::Paced => {
                let start = linear(f64::from(known.median_price));
                rule.replay(auctions, &mut Paced::new(parameter, start, BID_MAX, rule.length()))
            }
            Policy::Inkling => {
                let mut inkling = Inkling::new(linear(parameter))?;
                let replayed = rule.replay(auctions, &mut inkling);
                return Ok((replayed, Some(inkling.moved_share())));
            }
        };
        Ok((replayed, None))
    }
}

/// Two replays, episode by episode.
fn pairs(base: &Replayed, policy: &Replayed) -> Vec<Pair> {
    let sums = |tally: &Tally| Sums {
        impressions: tally.impressions as f64,
        hits: tally.clicks as f64,
        cost: tally.cost as f64,
    };
    let both = base.episodes.iter().zip(&policy.episodes);
    both.map(|(base, policy)| Pair { base: sums(base), policy: sums(policy) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::draws::Purpose;

    /// Auctions whose probabilities are true, at prices that know nothing of them.
    fn auctions(count: u64) -> Vec<Auction> {
        let share = |seed, number| Draws(seed).uniform(Purpose::Price, number, 0);
        let auction = |number: u64| {
            let pctr = 0.1 * share(3, number);
            let price = 1 + (share(1, number) * 100.0) as u32;
            Auction { pctr, price, slot: 0, clicked: share(2, number) < pctr }
        };
        (0..count).map(auction).collect()
    }

    #[test]
    fn whoever_bids_by_value_gains_at_equal_spend_and_chance_does_not() {
        let auctions = auctions(30_000);
        let known = Known::of(&auctions).unwrap();
        assert!((48..=53).contains(&known.median_price) && (known.mean_pctr - 0.05).abs() < 0.002);
        let rule = Rule::Episodes { length: 1_000, budget: 1_000_000, bid_max: BID_MAX };
        let contest = Contest { auctions: &auctions, rule, known, seed: 1 };
        let entries = contest.at_equal_spend(200_000.0, Resamples { count: 100, seed: 1 }).unwrap();
        for entry in entries.iter().filter(|entry| entry.policy != Policy::Truthful) {
            assert!((entry.ratio.unwrap() - 1.0).abs() <= EQUAL, "{entry:?}");
            let share = entry.gain.map_or(0.0, |gain| gain.share);
            let expected = match entry.policy {
                Policy::Constant | Policy::Random => -0.7..-0.1,
                Policy::Ortb => -0.2..0.05,
                // Probabilities are true: there is nothing to learn, and what is learned from few clicks costs.
                Policy::Inkling => -0.15..0.05,
                _ => -0.03..0.03,
            };
            assert!(expected.contains(&share), "{entry:?}");
        }
        assert_eq!(entries, contest.at_equal_spend(200_000.0, Resamples { count: 100, seed: 1 }).unwrap());
    }

    #[test]
    fn what_cannot_be_spent_is_not_compared() {
        let auctions = auctions(2_000);
        let known = Known::of(&auctions).unwrap();
        let rule = Rule::Episodes { length: 1_000, budget: 1_000, bid_max: BID_MAX };
        let contest = Contest { auctions: &auctions, rule, known, seed: 1 };
        let entries = contest.at_equal_spend(5_000.0, Resamples { count: 20, seed: 1 }).unwrap();
        assert!(entries.iter().all(|entry| entry.gain.is_none() && entry.total.cost <= 2_000), "{entries:?}");
    }
}
