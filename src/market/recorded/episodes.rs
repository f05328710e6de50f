//! Recorded auctions played again with other bids.
//!
//! What an auction cost and whether its ad was clicked is known of all of them, so a policy can be told what it would
//! have won. That others would have bid as they did whatever we bid, and people clicked as they did, is assumed.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use super::auctions::Auction;
use super::bidder::{Bidder, Offer, Won};

/// Largest bid of the published figures by episodes.
pub const BID_MAX: u32 = 300;

/// When a bid wins, and how the budget ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Episodes of `length` auctions with a budget each. A bid is at most `bid_max` and what is left of the budget, and
    /// wins where it is at least the market price (Cai et al. 2017).
    Episodes {
        /// Auctions of an episode.
        length: usize,
        /// What may be spent in each.
        budget: u64,
        /// Largest bid.
        bid_max: u32,
    },
    /// One budget for all. A bid wins where it is more than the market price, and bidding stops once the budget is
    /// reached, which the last impression may overrun (benchmark of campaign 1458).
    UntilSpent {
        /// What may be spent.
        budget: u64,
        /// Auctions that are counted together, for intervals.
        block: usize,
    },
}

/// What bids came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Auctions bid in.
    pub auctions: u64,
    /// Auctions won.
    pub impressions: u64,
    /// Ads clicked.
    pub clicks: u64,
    /// Market prices of what was won, in the file's unit: a thousand times what it cost.
    pub cost: u64,
}

/// A file played to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// By episode, or by block of equally many auctions.
    pub episodes: Vec<Tally>,
}

impl Tally {
    fn win(&mut self, won: Won) {
        self.impressions += 1;
        self.clicks += u64::from(won.clicked);
        self.cost += u64::from(won.price);
    }
}

impl Add for Tally {
    type Output = Tally;
    fn add(self, other: Tally) -> Tally {
        Tally {
            auctions: self.auctions + other.auctions,
            impressions: self.impressions + other.impressions,
            clicks: self.clicks + other.clicks,
            cost: self.cost + other.cost,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), Add::add)
    }
}

impl Replayed {
    /// All together.
    pub fn total(&self) -> Tally {
        self.episodes.iter().copied().sum()
    }
}

impl Rule {
    /// Auctions of an episode or block; at least 1.
    pub fn length(&self) -> usize {
        match *self {
            Rule::Episodes { length, .. } => length.max(1),
            Rule::UntilSpent { block, .. } => block.max(1),
        }
    }

    /// What can be spent over so many auctions.
    pub fn budget(&self, auctions: usize) -> u64 {
        match *self {
            Rule::Episodes { budget, .. } => budget.saturating_mul(auctions.div_ceil(self.length()) as u64),
            Rule::UntilSpent { budget, .. } => budget,
        }
    }

    /// Plays all auctions in their order.
    pub fn replay(&self, auctions: &[Auction], bidder: &mut impl Bidder) -> Replayed {
        let mut spent = 0;
        let mut episodes = Vec::with_capacity(auctions.len().div_ceil(self.length()));
        for (number, episode) in auctions.chunks(self.length()).enumerate() {
            let first = (number * self.length()) as u64;
            let tally = match *self {
                Rule::Episodes { budget, bid_max, .. } => play_episode(first, episode, budget, bid_max, bidder),
                Rule::UntilSpent { budget, .. } => play_block(first, episode, budget.saturating_sub(spent), bidder),
            };
            spent += tally.cost;
            episodes.push(tally);
        }
        Replayed { episodes }
    }
}

fn offer(number: u64, auction: &Auction) -> Offer {
    Offer { number, pctr: auction.pctr, slot: auction.slot }
}

fn play_episode(first: u64, auctions: &[Auction], budget: u64, bid_max: u32, bidder: &mut impl Bidder) -> Tally {
    let (mut tally, mut left) = (Tally::default(), budget);
    for (number, auction) in (first..).zip(auctions) {
        let offer = offer(number, auction);
        let bid = u64::from(bidder.bid(&offer).min(bid_max)).min(left);
        let won = (bid >= u64::from(auction.price)).then_some(Won { price: auction.price, clicked: auction.clicked });
        tally.auctions += 1;
        if let Some(won) = won {
            left -= u64::from(won.price);
            tally.win(won);
        }
        bidder.feedback(&offer, won);
    }
    tally
}

fn play_block(first: u64, auctions: &[Auction], budget: u64, bidder: &mut impl Bidder) -> Tally {
    let mut tally = Tally::default();
    for (number, auction) in (first..).zip(auctions) {
        if tally.cost >= budget {
            break;
        }
        let offer = offer(number, auction);
        let won = bidder.bid(&offer) > auction.price;
        let won = won.then_some(Won { price: auction.price, clicked: auction.clicked });
        tally.auctions += 1;
        if let Some(won) = won {
            tally.win(won);
        }
        bidder.feedback(&offer, won);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::draws::Draws;
    use crate::market::recorded::Constant;
    use proptest::prelude::*;

    fn auction(price: u32, clicked: bool) -> Auction {
        Auction { pctr: 0.5, price, slot: 0, clicked }
    }

    fn totals(rule: Rule, auctions: &[Auction], bid: f64) -> (u64, u64, u64, u64) {
        let total = rule.replay(auctions, &mut Constant { bid, draws: Draws(0) }).total();
        (total.auctions, total.impressions, total.clicks, total.cost)
    }

    #[test]
    fn a_bid_is_capped_by_what_is_left_of_the_episode() {
        let auctions = [(4, true), (5, false), (2, true), (5, true), (6, true)].map(|(p, c)| auction(p, c));
        let rule = |budget| Rule::Episodes { length: 3, budget, bid_max: 5 };
        // 4, then 3 are left: not 5, but 2. The second episode has its own budget; 6 is beyond the largest bid.
        assert_eq!(totals(rule(7), &auctions, 9.0), (5, 3, 3, 11));
        assert_eq!(totals(rule(100), &auctions, 9.0), (5, 4, 3, 16));
        assert_eq!(totals(rule(0), &auctions, 9.0), (5, 0, 0, 0));
        assert_eq!((rule(7).budget(5), rule(7).budget(6), rule(7).budget(7)), (14, 14, 21));
    }

    #[test]
    fn a_budget_for_all_stops_once_it_is_reached() {
        let auctions = [(4, true), (5, false), (2, true), (3, true)].map(|(p, c)| auction(p, c));
        for block in [1, 2, 3, 100] {
            let rule = |budget| Rule::UntilSpent { budget, block };
            assert_eq!(totals(rule(100), &auctions, 5.0), (4, 3, 3, 9), "5 does not win against 5");
            assert_eq!(totals(rule(6), &auctions, 6.0), (2, 2, 1, 9), "the last one overruns it");
            assert_eq!(totals(rule(4), &auctions, 6.0), (1, 1, 1, 4));
            assert_eq!(totals(rule(0), &auctions, 6.0), (0, 0, 0, 0));
        }
    }

    proptest! {
        #[test]
        fn budgets_hold_and_episodes_sum_up(
            prices in proptest::collection::vec((0u32..400, any::<bool>()), 0..80),
            budget in 0u64..2_000, bid in 0.0f64..500.0, length in 1usize..20,
        ) {
            let auctions: Vec<Auction> = prices.iter().map(|(price, clicked)| auction(*price, *clicked)).collect();
            let rule = Rule::Episodes { length, budget, bid_max: BID_MAX };
            let replayed = rule.replay(&auctions, &mut Constant { bid, draws: Draws(3) });
            prop_assert!(replayed.episodes.iter().all(|one| one.cost <= budget && one.clicks <= one.impressions));
            prop_assert_eq!(replayed.total().auctions, auctions.len() as u64);
            let rule = Rule::UntilSpent { budget, block: length };
            let total = rule.replay(&auctions, &mut Constant { bid, draws: Draws(3) }).total();
            prop_assert!(total.cost < budget + 501 && total.auctions <= auctions.len() as u64);
        }
    }
}
