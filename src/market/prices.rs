//! What auctions cost: the best other bid, what is bid against it, and what is paid.

use super::landscape::Landscape;
use super::scenario::{Auction, Scenario};
use super::shading::Shading;
use crate::math;
use crate::stats::normal;
use crate::units::Span;

/// Prices of equal shares of the auctions that bids are shaded against.
const QUANTILES: u32 = 1_024;

/// The prices of a scenario, which are those of all its seeds.
#[derive(Debug, Clone)]
pub struct Prices<'a> {
    scenario: &'a Scenario,
    landscape: Option<&'a Landscape>,
    /// By day: how bids are shaded. Empty where the winner pays the best other bid.
    shadings: Vec<Shading>,
}

impl<'a> Prices<'a> {
    /// Those of a scenario, or of a landscape at its schedule and floor.
    pub fn new(scenario: &'a Scenario, landscape: Option<&'a Landscape>) -> Prices<'a> {
        let mut prices = Prices { scenario, landscape, shadings: Vec::new() };
        if scenario.prices.auction == Auction::First {
            prices.shadings = (0..=scenario.days).map(|day| prices.shading(day)).collect();
        }
        prices
    }

    fn shading(&self, day: u32) -> Shading {
        let at_ms = Span::days(u64::from(day)).0;
        let score = |place: u32| normal::quantile((f64::from(place) + 0.5) / f64::from(QUANTILES));
        Shading::new((0..QUANTILES).map(|place| self.at(score(place), at_ms)))
    }

    /// The landscape that takes the place of the scenario's log-normal prices.
    pub fn landscape(&self) -> Option<&'a Landscape> {
        self.landscape
    }

    /// The median price, in micros per mille.
    pub fn median(&self) -> f64 {
        match self.landscape {
            Some(landscape) => landscape.per_mille(landscape.quantile(0.5)).0.max(1) as f64,
            None => self.scenario.prices.median_cpm.0 as f64,
        }
    }

    /// What a bid has to reach, in micros per mille, by its normal score.
    pub fn at(&self, score: f64, at_ms: u64) -> i64 {
        let prices = &self.scenario.prices;
        let price = match self.landscape {
            Some(landscape) => landscape.per_mille(landscape.quantile(normal::cumulative(score))).0 as f64,
            None => prices.median_cpm.0 as f64 * math::exp(prices.spread * score),
        };
        ((price * self.scenario.price_factor_at(at_ms)) as i64).max(prices.floor_cpm.0).max(1)
    }

    /// The bid for an impression that is worth so much, in micros per mille: the worth itself where the winner pays the
    /// best other bid, else as much less as brings most on that day. Who bids is taken to know what others bid in the
    /// mean of all auctions, but not what they bid for whom.
    pub fn bid(&self, worth: f64, day: u32) -> i64 {
        match self.shadings.get(day as usize) {
            Some(shading) => shading.bid(worth),
            None => worth as i64,
        }
    }

    /// What the winner pays; `None` for a bid that does not win.
    pub fn paid(&self, bid: i64, price: i64) -> Option<i64> {
        let pays = match self.scenario.prices.auction {
            Auction::Second => price,
            Auction::First => bid,
        };
        (bid >= price).then_some(pays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::scenario::{Change, Changing};
    use crate::units::Micros;

    fn scenario(auction: Auction) -> Scenario {
        let mut scenario = Scenario { days: 9, ..Scenario::default() };
        scenario.prices.auction = auction;
        scenario.changes.push(Change { day: 4, what: Changing::Prices(2.0) });
        scenario
    }

    #[test]
    fn worth_is_bid_and_the_price_paid_in_second_price_auctions() {
        let second = scenario(Auction::Second);
        let prices = Prices::new(&second, None);
        assert_eq!(prices.bid(5_000.7, 0), 5_000);
        assert_eq!((prices.paid(5_000, 3_000), prices.paid(3_000, 3_000)), (Some(3_000), Some(3_000)));
        assert_eq!(prices.paid(2_999, 3_000), None);
    }

    #[test]
    fn bids_of_first_price_auctions_follow_the_prices_of_the_day() {
        let first = scenario(Auction::First);
        let prices = Prices::new(&first, None);
        let worth = 3.0 * prices.median();
        let (before, after) = (prices.bid(worth, 3), prices.bid(2.0 * worth, 4));
        assert!((0.3..0.8).contains(&(before as f64 / worth)), "{before} for {worth}");
        assert!((after - 2 * before).abs() <= 2, "prices and worth twice as high: {before}, {after}");
        assert_eq!(prices.paid(before, 1), Some(before));
    }

    #[test]
    fn no_bid_is_shaded_below_the_floor() {
        let mut first = scenario(Auction::First);
        first.prices.floor_cpm = Micros(first.prices.median_cpm.0 * 2);
        let prices = Prices::new(&first, None);
        let (floor, median) = (first.prices.floor_cpm.0, prices.median());
        assert_eq!(prices.bid(1.9 * median, 0), 0, "worth less than the floor");
        assert_eq!(prices.bid(2.2 * median, 0), floor);
    }
}
