//! What a policy lost, and why: auctions judged one by one with what could have been known.

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
/// pays for one at the margin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Regret {
    /// By winning what cost more than it was worth.
    pub overbid: f64,
    /// By losing what cost less than it was worth.
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

/// Surplus lost by some bids: where they win too dear, and where they lose too cheap. In micros per mille.
fn lost(auctions: &[Held], value: f64, bid: impl Fn(&Held) -> f64) -> (f64, f64) {
    let mut lost = (0.0, 0.0);
    for held in auctions {
        let gain = value * f64::from(held.p) - f64::from(held.price);
        match bid(held) >= f64::from(held.price) {
            true if gain < 0.0 => lost.0 -= gain,
            false if gain > 0.0 => lost.1 += gain,
            _ => {}
        }
    }
    lost
}

/// Splits what was lost. `value` is what one expected conversion is worth, in micros per mille.
pub fn split(auctions: &[Held], value: f64) -> Regret {
    // Micros per mille of one impression are nanos.
    let unit = 1e-9;
    let (overbid, underbid) = lost(auctions, value, |held| f64::from(held.bid));
    let all = overbid + underbid;
    let sum = |(over, under): (f64, f64)| over + under;
    let worths: f64 = auctions.iter().map(|held| f64::from(held.worth)).sum();
    let believed: f64 = auctions.iter().map(|held| f64::from(held.p)).sum();
    // A level that is right in the mean, and some around it.
    let fair = value * believed / worths.max(1e-300);
    let levelled = LEVELS.map(|level| sum(lost(auctions, value, |held| level * fair * f64::from(held.worth))));
    let levelled = levelled.into_iter().fold(all, f64::min);
    let curve = Curve::new(auctions);
    let calibrated = sum(lost(auctions, value, |held| value * curve.at(held.worth))).min(levelled);
    Regret {
        overbid: overbid * unit,
        underbid: underbid * unit,
        allocation: (all - levelled) * unit,
        calibration: (levelled - calibrated) * unit,
        estimation: calibrated * unit,
        surplus: auctions.iter().map(|held| (value * f64::from(held.p) - f64::from(held.price)).max(0.0)).sum::<f64>()
            * unit,
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

    /// Worth of so much, and known to be of probability p: a price of 1 to 2 against a value of 1,000.
    fn auctions(worth: impl Fn(f32) -> f32, level: f32) -> Vec<Held> {
        let held = |number: u32| {
            let p = (1 + number % 40) as f32 / 10_000.0;
            let price = 0.1 + (number * 7 % 41) as f32 / 10.0;
            Held { price, worth: worth(p), bid: level * worth(p), p }
        };
        (0..16_400).map(held).collect()
    }

    #[test]
    fn each_mistake_has_its_name() {
        let right = split(&auctions(|p| p, 1_000.0), 1_000.0);
        assert!(right.overbid + right.underbid < 1e-3 * right.surplus, "{right:?}");
        let low = split(&auctions(|p| p, 500.0), 1_000.0);
        assert!(low.overbid == 0.0 && low.underbid > 0.0 && low.allocation > 0.99 * low.underbid, "{low:?}");
        let bent = split(&auctions(|p| p * p, 400_000.0), 1_000.0);
        assert!(bent.calibration > 0.7 * (bent.overbid + bent.underbid), "{bent:?}");
        let blind = split(&auctions(|_| 1.0, 2.0), 1_000.0);
        assert!(blind.estimation > 0.7 * (blind.overbid + blind.underbid), "{blind:?}");
        for regret in [right, low, bent, blind] {
            let parts = regret.allocation + regret.calibration + regret.estimation;
            assert!((parts - regret.overbid - regret.underbid).abs() < 1e-12, "{regret:?}");
        }
    }
}
