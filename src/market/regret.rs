//! What a policy lost, and why: auctions judged one by one with what could have been known.

use super::prices::Prices;
use super::run::{Held, Tally};
use super::scenario::Scenario;

/// Bins of equal size by which bids are set right.
const BINS: usize = 64;
/// Levels that are tried, as factors on the bids.
const LEVELS: [f64; 13] = [0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25, 1.4, 1.6, 2.0];
/// Days before a change that say how good a policy was.
const BEFORE: u32 = 5;
/// As good as before, with respect to the oracle: at least this share of it.
const AS_GOOD: f64 = 0.95;
/// Days over which expected conversions are summed to be judged.
const JUDGED_OVER: u32 = 2;

/// Surplus lost against the filtering oracle's bids, in units of the currency: an impression is worth what that oracle
/// would pay for one at most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Regret {
    /// By bids above that oracle's: they win what costs more than it is worth, or pay more than they need to.
    pub overbid: f64,
    /// By bids below: they lose what costs less than it is worth.
    pub underbid: f64,
    /// Of both: with bids as a whole too high, too low, or at the wrong time.
    pub allocation: f64,
    /// Of both: with the right order of opportunities at wrong distances.
    pub calibration: f64,
    /// Of both: with opportunities in the wrong order. What remains of the two.
    pub estimation: f64,
    /// What those bids would have gained in all.
    pub surplus: f64,
}

impl Regret {
    /// The means of several.
    pub fn mean(all: &[&Regret]) -> Option<Regret> {
        let count = all.len() as f64;
        let mean = |of: &dyn Fn(&Regret) -> f64| all.iter().map(|regret| of(regret)).sum::<f64>() / count;
        (!all.is_empty()).then(|| Regret {
            overbid: mean(&|regret| regret.overbid),
            underbid: mean(&|regret| regret.underbid),
            allocation: mean(&|regret| regret.allocation),
            calibration: mean(&|regret| regret.calibration),
            estimation: mean(&|regret| regret.estimation),
            surplus: mean(&|regret| regret.surplus),
        })
    }
}

/// What an impression was worth, and what it cost.
#[derive(Clone, Copy)]
struct Judge<'a> {
    auctions: &'a [Held],
    prices: &'a Prices<'a>,
    /// What one expected conversion is worth, in micros per mille, by campaign.
    values: &'a [f64],
}

impl Judge<'_> {
    fn value(&self, held: &Held) -> f64 {
        self.values[usize::from(held.campaign)]
    }

    fn worth(&self, held: &Held) -> f64 {
        self.value(held) * f64::from(held.p)
    }

    /// What a bid gains, in micros per mille.
    fn surplus(&self, held: &Held, bid: i64) -> f64 {
        self.prices.paid(bid, held.price).map_or(0.0, |paid| self.worth(held) - paid as f64)
    }

    fn best(&self, held: &Held) -> i64 {
        self.prices.bid(self.worth(held), held.day)
    }

    /// Surplus lost by some bids: by those above the best, and by those below. In micros per mille.
    fn lost(&self, bid: impl Fn(&Held) -> i64) -> (f64, f64) {
        let mut lost = (0.0, 0.0);
        for held in self.auctions {
            let (bid, best) = (bid(held), self.best(held));
            let missed = self.surplus(held, best) - self.surplus(held, bid);
            match bid > best {
                true => lost.0 += missed,
                false => lost.1 += missed,
            }
        }
        lost
    }

    /// The same of bids that take an opportunity to be this likely to convert.
    fn lost_by(&self, p: impl Fn(&Held) -> f64) -> f64 {
        let (over, under) = self.lost(|held| self.prices.bid(self.value(held) * p(held), held.day));
        over + under
    }
}

/// Splits what was lost. `values` are what one expected conversion is worth to each campaign, in micros per mille.
pub fn split(auctions: &[Held], prices: &Prices<'_>, values: &[f64]) -> Regret {
    // Micros per mille of one impression are nanos.
    let unit = 1e-9;
    let judge = Judge { auctions, prices, values };
    let (overbid, underbid) = judge.lost(|held| held.bid);
    let all = overbid + underbid;
    let worths: f64 = auctions.iter().map(|held| f64::from(held.worth)).sum();
    let believed: f64 = auctions.iter().map(|held| f64::from(held.p)).sum();
    // A level that is right in the mean, and some around it.
    let fair = believed / worths.max(1e-300);
    let levelled = LEVELS.map(|level| judge.lost_by(|held| level * fair * f64::from(held.worth)));
    let levelled = levelled.into_iter().fold(all, f64::min);
    let curve = Curve::new(auctions);
    let calibrated = judge.lost_by(|held| curve.at(held.worth)).min(levelled);
    Regret {
        overbid: overbid * unit,
        underbid: underbid * unit,
        allocation: (all - levelled) * unit,
        calibration: (levelled - calibrated) * unit,
        estimation: calibrated * unit,
        surplus: auctions.iter().map(|held| judge.surplus(held, judge.best(held))).sum::<f64>() * unit,
    }
}

/// Mean of what is known of opportunities, by their worth.
struct Curve {
    /// Least worth of each bin, rising, and the mean of its probabilities.
    bins: Vec<(f32, f64)>,
}

impl Curve {
    fn new(auctions: &[Held]) -> Curve {
        let mut sorted: Vec<(f32, f32)> = auctions.iter().map(|held| (held.worth, held.p)).collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let size = sorted.len().div_ceil(BINS).max(1);
        let mean = |bin: &[(f32, f32)]| bin.iter().map(|(_, p)| f64::from(*p)).sum::<f64>() / bin.len() as f64;
        Curve { bins: sorted.chunks(size).map(|bin| (bin[0].0, mean(bin))).collect() }
    }

    fn at(&self, worth: f32) -> f64 {
        let place = self.bins.partition_point(|(least, _)| *least <= worth);
        self.bins.get(place.saturating_sub(1)).map_or(0.0, |(_, mean)| *mean)
    }
}

/// Days from each change until the policy's expected conversions for its money were again what they had been before,
/// relative to the oracle's.
pub fn recovery(scenario: &Scenario, days: &[Tally], oracle: &[Tally]) -> Vec<Option<u32>> {
    let ratio = |from: u32, to: u32| {
        let sum = |tallies: &[Tally]| {
            let part = &tallies[from as usize..to as usize];
            let [expected, spend] =
                [part.iter().map(|tally| tally.expected).sum::<f64>(), part.iter().map(Tally::spend).sum::<f64>()];
            expected / spend.max(1e-12)
        };
        sum(days) / sum(oracle).max(1e-12)
    };
    let of = |day: u32| {
        let before = ratio(day.checked_sub(BEFORE)?, day);
        (day..=scenario.days.saturating_sub(JUDGED_OVER))
            .find(|from| ratio(*from, from + JUDGED_OVER) >= AS_GOOD * before)
            .map(|from| from - day)
    };
    scenario.changes.iter().map(|change| of(change.day)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::scenario::{self, Auction};
    use crate::math;
    use crate::stats::normal;
    use crate::units::Micros;

    /// Worth of so much, and known to be of probability p: prices are a median of 1,000 micros per mille.
    fn auctions(worth: impl Fn(f32) -> f32, bid: impl Fn(f64) -> i64) -> Vec<Held> {
        let held = |number: u32| {
            let p = (1 + number % 40) as f32 / 10_000.0;
            let score = normal::quantile((0.5 + f64::from(number * 7 % 16_400)) / 16_400.0);
            let price = (1e3 * math::exp(score)) as i64;
            Held { price, worth: worth(p), bid: bid(f64::from(worth(p))), p, day: 0, campaign: 0 }
        };
        (0..16_400).map(held).collect()
    }

    fn scenario(auction: Auction) -> Scenario {
        let mut scenario = Scenario::default();
        scenario.prices = scenario::Prices {
            auction,
            median_cpm: Micros(1_000),
            spread: 1.0,
            floor_cpm: Micros(0),
            correlation: 0.0,
        };
        scenario
    }

    /// What is lost by bids for these worths at a level, where a conversion is worth a million.
    fn lost(auction: Auction, worth: impl Fn(f32) -> f32, level: f64) -> Regret {
        let scenario = scenario(auction);
        let prices = Prices::new(&scenario, None);
        split(&auctions(worth, |worth| prices.bid(level * worth, 0)), &prices, &[1e6])
    }

    #[test]
    fn each_mistake_has_its_name() {
        for auction in [Auction::Second, Auction::First] {
            let right = lost(auction, |p| p, 1e6);
            assert!(right.overbid + right.underbid < 1e-3 * right.surplus, "{right:?}");
            let low = lost(auction, |p| p, 5e5);
            assert!(low.overbid == 0.0 && low.underbid > 0.0 && low.allocation > 0.99 * low.underbid, "{low:?}");
            let bent = lost(auction, |p| p * p, 4e8);
            assert!(bent.calibration > 0.7 * (bent.overbid + bent.underbid), "{bent:?}");
            let blind = lost(auction, |_| 1.0, 2e3);
            assert!(blind.estimation > 0.7 * (blind.overbid + blind.underbid), "{blind:?}");
            for regret in [right, low, bent, blind] {
                let parts = regret.allocation + regret.calibration + regret.estimation;
                assert!((parts - regret.overbid - regret.underbid).abs() < 1e-12, "{regret:?}");
            }
        }
    }

    #[test]
    fn who_bids_the_worth_itself_in_first_price_auctions_gains_nothing() {
        let scenario = scenario(Auction::First);
        let prices = Prices::new(&scenario, None);
        let regret = split(&auctions(|p| p, |worth| (1e6 * worth) as i64), &prices, &[1e6]);
        assert!((regret.overbid / regret.surplus - 1.0).abs() < 2e-3 && regret.underbid == 0.0, "{regret:?}");
    }

    #[test]
    fn a_conversion_is_worth_what_its_campaign_pays() {
        let scenario = scenario(Auction::Second);
        let prices = Prices::new(&scenario, None);
        let values = [1e6, 3e6];
        let mut auctions = auctions(|p| p, |_| 0);
        for (number, held) in auctions.iter_mut().enumerate() {
            held.campaign = (number % 2) as u8;
            held.bid = (values[number % 2] * f64::from(held.p)) as i64;
        }
        let right = split(&auctions, &prices, &values);
        assert!(right.overbid + right.underbid < 1e-9 * right.surplus, "{right:?}");
        let alike = split(&auctions, &prices, &[2e6, 2e6]);
        assert!(alike.overbid > 0.005 * alike.surplus && alike.underbid > 0.02 * alike.surplus, "{alike:?}");
    }
}
