//! What to bid where the winner pays its own bid: less than the worth.
//!
//! Of all bids b the one with the largest expected surplus (v − b)·F(b), where F(b) is the share of auctions that b
//! wins. As a function of the worth v each b is a straight line, so the best of all is their upper envelope: equally
//! the lower convex hull of what is spent, b·F(b), over what is won, F(b). Nothing is assumed of F, as single prices
//! may hold a third of all auctions.

/// The best bid for each worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Shading {
    /// From which worth on which bid is best, both rising.
    steps: Vec<(f64, i64)>,
}

/// A bid as a point of the hull.
#[derive(Clone, Copy)]
struct Point {
    bid: i64,
    /// Auctions that it wins, of all that the prices stand for.
    wins: f64,
    /// What they cost.
    spend: f64,
}

impl Point {
    /// The worth from which on the other bid, which wins more, is better.
    fn until(self, other: Point) -> f64 {
        (other.spend - self.spend) / (other.wins - self.wins)
    }
}

impl Shading {
    /// Against best other bids that stand for equally many auctions each, in rising order, all above 0.
    pub fn new(prices: impl IntoIterator<Item = i64>) -> Shading {
        let mut hull = vec![Point { bid: 0, wins: 0.0, spend: 0.0 }];
        for (place, bid) in prices.into_iter().enumerate() {
            let wins = (place + 1) as f64;
            let point = Point { bid, wins, spend: bid as f64 * wins };
            // Of the same bid the last point is the true one: it wins all auctions up to its price.
            hull.pop_if(|last| last.bid == bid);
            while let [.., before, last] = hull[..] {
                if before.until(last) < last.until(point) {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        Shading { steps: hull.windows(2).map(|pair| (pair[0].until(pair[1]), pair[1].bid)).collect() }
    }

    /// The best bid for a worth; 0 where no bid brings more than it costs.
    pub fn bid(&self, worth: f64) -> i64 {
        let above = self.steps.partition_point(|(from, _)| *from <= worth);
        above.checked_sub(1).map_or(0, |place| self.steps[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a bid brings in the mean, for so much worth, times the number of prices.
    fn surplus(prices: &[i64], worth: f64, bid: i64) -> f64 {
        (worth - bid as f64) * prices.iter().filter(|price| **price <= bid).count() as f64
    }

    #[test]
    fn bids_half_the_worth_where_prices_are_uniform() {
        let shading = Shading::new(1..=1_000);
        for worth in [10.0, 500.0, 1_500.0] {
            assert!((shading.bid(worth) as f64 - worth / 2.0).abs() <= 1.0, "{worth}: {}", shading.bid(worth));
        }
        assert_eq!(shading.bid(5_000.0), 1_000, "nothing more is won above the highest price");
        assert_eq!((shading.bid(0.9), shading.bid(0.0), shading.bid(-1.0)), (0, 0, 0));
    }

    #[test]
    fn nobody_to_bid_against_is_bid_nothing() {
        assert_eq!(Shading::new([]).bid(7.0), 0);
    }

    proptest! {
        #[test]
        fn no_bid_brings_more(
            mut prices in proptest::collection::vec(1i64..60, 1..80),
            worth in 0.0..200.0f64,
        ) {
            prices.sort_unstable();
            let shading = Shading::new(prices.iter().copied());
            let ours = surplus(&prices, worth, shading.bid(worth));
            let best = (0..200).map(|bid| surplus(&prices, worth, bid)).fold(0.0, f64::max);
            prop_assert!(ours >= best - 1e-9, "{} brings {ours}, not {best}", shading.bid(worth));
        }
    }
}
