//! Bid policies over recorded auctions: they see a probability of a click, and whether they won.
//!
//! Bids are whole numbers in the file's unit per mille, rounded down, as the published figures have it.

use crate::market::draws::{Draws, Purpose};
use crate::math;

/// What can be bid for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Number of the auction in its file, from 0.
    pub number: u64,
    /// Predicted probability of a click, 0 to 1.
    pub pctr: f64,
    /// Time slot, such as the hour.
    pub slot: u16,
}

/// What an impression cost and brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Won {
    /// Market price, in the file's unit per mille.
    pub price: u32,
    /// Whether it was clicked.
    pub clicked: bool,
}

/// A bid policy.
pub trait Bidder {
    /// What it bids, before the budget caps it.
    fn bid(&mut self, offer: &Offer) -> u32;

    /// What came of its bid; `None` where it lost. It learns nothing else.
    fn feedback(&mut self, _offer: &Offer, _won: Option<Won>) {}
}

/// A policy's own draw for an auction.
fn whim(draws: Draws, number: u64) -> f64 {
    draws.uniform(Purpose::Whim, number, 0)
}

/// The same bid for all. A part of a unit is bid as a whole unit in that part of the auctions, by draws of its own.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    /// The bid.
    pub bid: f64,
    /// Chance.
    pub draws: Draws,
}

impl Bidder for Constant {
    fn bid(&mut self, offer: &Offer) -> u32 {
        let whole = self.bid as u32;
        let rest = self.bid - f64::from(whole);
        whole.saturating_add(u32::from(rest > 0.0 && whim(self.draws, offer.number) < rest))
    }
}

/// A bid by chance, uniform from 0 to some number.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// The largest bid.
    pub most: f64,
    /// Chance.
    pub draws: Draws,
}

impl Bidder for Random {
    fn bid(&mut self, offer: &Offer) -> u32 {
        (whim(self.draws, offer.number) * (self.most + 1.0)) as u32
    }
}

/// In proportion to the probability: `bid` at the mean probability (Lin, Perlich 2012).
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// The bid at the mean probability.
    pub bid: f64,
    /// The mean probability.
    pub mean: f64,
}

impl Bidder for Linear {
    fn bid(&mut self, offer: &Offer) -> u32 {
        (offer.pctr * self.bid / self.mean) as u32
    }
}

/// What the impression is worth: probability × value of a click. With the largest affordable cost per click as value
/// that is MCPC.
#[derive(Debug, Clone, Copy)]
pub struct Truthful {
    /// Value of a click, in the file's unit per impression: a thousandth of the unit of bids.
    pub value: f64,
}

impl Bidder for Truthful {
    fn bid(&mut self, offer: &Offer) -> u32 {
        (self.value * 1_000.0 * offer.pctr) as u32
    }
}

/// ORTB (Zhang, Yuan, Wang 2014): √(c·θ·s + c²) − c, for a win rate of b ÷ (c + b). Low probabilities are bid for more
/// than in proportion, high ones less.
#[derive(Debug, Clone, Copy)]
pub struct Ortb {
    /// The bid that wins every second auction.
    pub c: f64,
    /// The scale s: 1 ÷ λ of the paper, in units a click.
    pub scale: f64,
}

impl Ortb {
    /// The curve that bids as a linear bidder does at the mean probability.
    pub fn through(c: f64, at: Linear) -> Ortb {
        Ortb { c, scale: ((at.bid + c) * (at.bid + c) - c * c) / (c * at.mean) }
    }
}

impl Bidder for Ortb {
    fn bid(&mut self, offer: &Offer) -> u32 {
        ((self.c * offer.pctr * self.scale + self.c * self.c).sqrt() - self.c) as u32
    }
}

/// Linear under dual pacing (Balseiro, Gur 2019; mirror form): bid = pctr ÷ λ, and after each auction
/// λ ← λ·e^(step·(cost ÷ pace − 1)).
#[derive(Debug, Clone, Copy)]
pub struct Paced {
    /// What may be spent an auction.
    pace: f64,
    step: f64,
    ln_lambda: f64,
}

impl Paced {
    /// Starts from a bid at the mean probability. `most` bounds what one impression costs, `horizon` is the number of
    /// auctions that the pace shall hold over: the step is 1 ÷ √horizon where costs are measured by their bound.
    pub fn new(pace: f64, start: Linear, most: u32, horizon: usize) -> Paced {
        let pace = pace.max(f64::MIN_POSITIVE);
        let step = (pace / (f64::from(most.max(1)) * horizon.max(1) as f64)).sqrt();
        Paced { pace, step, ln_lambda: math::ln(start.mean) - math::ln(start.bid.max(1.0)) }
    }
}

impl Bidder for Paced {
    fn bid(&mut self, offer: &Offer) -> u32 {
        (offer.pctr * math::exp(-self.ln_lambda)) as u32
    }

    fn feedback(&mut self, _: &Offer, won: Option<Won>) {
        let cost = won.map_or(0.0, |won| f64::from(won.price));
        self.ln_lambda += self.step * (cost / self.pace - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(number: u64, pctr: f64) -> Offer {
        Offer { number, pctr, slot: 0 }
    }

    #[test]
    fn bids_are_rounded_down() {
        let mean = 0.002;
        assert_eq!(Linear { bid: 10.0, mean }.bid(&offer(0, 0.0019)), 9);
        assert_eq!(Truthful { value: 18.862 }.bid(&offer(0, 0.000_62)), 11);
        assert_eq!(Ortb { c: 30.0, scale: 1e5 }.bid(&offer(0, 0.001)), (3_900f64.sqrt() - 30.0) as u32);
        let through = Linear { bid: 40.5, mean };
        assert_eq!(Ortb::through(30.0, through).bid(&offer(0, mean)), 40);
        assert_eq!(Linear { bid: 1e300, mean }.bid(&offer(0, 1.0)), u32::MAX);
        assert_eq!(Linear { bid: f64::NAN, mean }.bid(&offer(0, 1.0)), 0);
    }

    #[test]
    fn a_part_of_a_unit_is_bid_in_a_part_of_the_auctions() {
        let mut bidder = Constant { bid: 5.25, draws: Draws(1) };
        let bids: Vec<u32> = (0..10_000).map(|number| bidder.bid(&offer(number, 0.0))).collect();
        let above = bids.iter().filter(|bid| **bid == 6).count();
        assert!(bids.iter().all(|bid| [5, 6].contains(bid)) && (2_300..2_700).contains(&above), "{above}");
        let mut whole = Constant { bid: 5.0, draws: Draws(1) };
        assert!((0..1_000).all(|number| whole.bid(&offer(number, 0.0)) == 5));
        let mut random = Random { most: 3.0, draws: Draws(1) };
        let mut times = [0; 4];
        (0..10_000).for_each(|number| times[random.bid(&offer(number, 0.0)) as usize] += 1);
        assert!(times.iter().all(|times| (2_300..2_700).contains(times)), "{times:?}");
    }

    /// Prices uniform over 0..100 and bids at 10 000 a probability: the pace is met in the long run from either side.
    #[test]
    fn pacing_meets_its_pace() {
        for start in [1.0, 1_000.0] {
            let mut paced = Paced::new(4.0, Linear { bid: start, mean: 0.001 }, 100, 1_000);
            let mut cost = 0.0;
            for number in 0..40_000 {
                let offer = offer(number, 0.002 * whim(Draws(1), number));
                let price = (whim(Draws(2), number) * 100.0) as u32;
                let won = (paced.bid(&offer) >= price).then_some(Won { price, clicked: false });
                paced.feedback(&offer, won);
                cost += won.map_or(0.0, |won| f64::from(won.price));
            }
            assert!((cost / 40_000.0 / 4.0 - 1.0).abs() < 0.05, "{start}: {cost}");
        }
    }
}
