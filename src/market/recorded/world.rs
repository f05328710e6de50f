//! A recorded log at the prices of one seed: the flat bid, Inkling's multiplier on it, and the same taught by all.

use super::join::{JoinError, Market, Recorded, Shown, Won};
use crate::market::paired::{Pair, Sums};
use crate::parallel::{all_threads, each_in_order};

/// Predicted against observed conversions, of what was won and of all that was evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Levels {
    /// Predicted ÷ observed of what Inkling won.
    pub won: f64,
    /// Predicted ÷ observed of all.
    pub all: f64,
}

/// One seed of the market.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// By evaluated user: the flat bid, and Inkling's multiplier on it at equal spend.
    pub inkling: Vec<Pair>,
    /// The scale on Inkling's bids, and its spend ÷ that of the flat bid.
    pub scale: f64,
    /// The same of its spend.
    pub ratio: f64,
    /// By evaluated user: the flat bid, and the multiplier of an engine that is taught by every outcome, won or not.
    pub taught: Vec<Pair>,
    /// How far Inkling's predictions were right.
    pub levels: Levels,
    /// Mean price of evaluated opportunities that convert ÷ mean price of all.
    pub price_of_hits: f64,
}

impl Recorded {
    /// Plays the log under several seeds of the market, in their order, on as many threads as there are cores.
    ///
    /// # Errors
    /// When the flat bid wins nothing.
    pub fn worlds(&self, market: Market<'_>, seeds: &[u64]) -> Result<Vec<World>, JoinError> {
        let world = |place: usize| self.world(market, seeds[place]);
        each_in_order(seeds.len(), all_threads(), world).into_iter().collect()
    }

    fn world(&self, market: Market<'_>, seed: u64) -> Result<World, JoinError> {
        let prices: Vec<u32> = self.shown.iter().map(|shown| market.price(shown, seed)).collect();
        let bid = f64::from(market.bid);
        let flat = Won::of(&prices, |_| bid);
        let target = self.spend(&flat, &prices);
        if target <= 0.0 {
            return Err(JoinError::NothingSpent);
        }
        let (found, won) = self.scaled(&self.settings, market, &prices, target)?;
        let taught: Vec<f64> = self.shown.iter().map(|shown| shown.taught).collect();
        let taught_scale = self.scale_of(&prices, bid, &taught, target);
        let taught = Won::of(&prices, |place| bid * taught_scale * taught[place]);
        Ok(World {
            seed,
            inkling: self.pairs(&prices, &flat, &won),
            scale: found.scale,
            ratio: found.ratio,
            taught: self.pairs(&prices, &flat, &taught),
            levels: self.levels(&found.outcome.probabilities, &won),
            price_of_hits: self.price_of_hits(&prices),
        })
    }

    fn pairs(&self, prices: &[u32], base: &Won, policy: &Won) -> Vec<Pair> {
        let mut pairs = vec![Pair::default(); self.users];
        for (place, shown) in self.shown.iter().enumerate() {
            let Some(user) = shown.evaluated else { continue };
            let sums =
                Sums { impressions: 1.0, hits: f64::from(u8::from(shown.converts)), cost: f64::from(prices[place]) };
            if base.0[place] {
                pairs[user].base.add(sums, 1.0);
            }
            if policy.0[place] {
                pairs[user].policy.add(sums, 1.0);
            }
        }
        pairs
    }

    fn levels(&self, probabilities: &[f64], won: &Won) -> Levels {
        let level = |counts: &dyn Fn(usize) -> bool| {
            let (mut predicted, mut observed) = (0.0, 0.0);
            for (place, shown) in self.shown.iter().enumerate() {
                if shown.evaluated.is_some() && counts(place) {
                    predicted += probabilities[place];
                    observed += f64::from(u8::from(shown.converts));
                }
            }
            predicted / observed
        };
        Levels { won: level(&|place| won.0[place]), all: level(&|_| true) }
    }

    fn price_of_hits(&self, prices: &[u32]) -> f64 {
        let mean = |counts: &dyn Fn(&Shown) -> bool| {
            let counted =
                || self.shown.iter().zip(prices).filter(|(shown, _)| shown.evaluated.is_some() && counts(shown));
            counted().map(|(_, price)| f64::from(*price)).sum::<f64>() / counted().count() as f64
        };
        mean(&|shown| shown.converts) / mean(&|_| true)
    }
}
