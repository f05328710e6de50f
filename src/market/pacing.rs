//! How high bids are as a whole, so that a budget lasts as long as it shall.
//!
//! The same for all policies: what is compared is whom they bid on. Money is counted in nanos of the currency, which
//! are micros per mille for one impression.

use crate::math;

const HOUR_MS: u64 = 3_600_000;
/// Share of the gap between wanted and recent spend, in logarithms, that one hour's step closes.
const GAIN: f64 = 0.15;
/// Largest step of an hour, in the logarithm.
const STEP_MAX: f64 = 0.1;
/// Share that an hour has in the recent spend.
const RECENT: f64 = 0.1;
/// The level stays within the median price times or through this.
const LEVEL_MAX: f64 = 1_000.0;
/// Step of dual descent, relative to the spend of one auction that the budget allows.
const DUAL_STEP: f64 = 0.002;

/// How the level is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// Moved every hour towards what is left of the budget, over what is left of the time.
    Hourly,
    /// Moved with every auction (dual mirror descent: Balseiro and Gur, *Learning in repeated auctions with budgets*,
    /// 2019).
    Dual,
    /// As it is, until the budget is spent: relative to the median price.
    Fixed(f64),
}

/// The level of one campaign's bids.
#[derive(Debug, Clone)]
pub struct Pacer {
    pacing: Pacing,
    /// Bid for a worth of 1, in micros per mille.
    level: f64,
    /// The median price.
    median: f64,
    /// What may be spent in all, in nanos.
    budget: i64,
    spent: i64,
    end_ms: u64,
    hour: u64,
    spent_before_hour: i64,
    recent: f64,
    recent_weight: f64,
    /// What an auction may cost in the mean, in nanos.
    per_auction: f64,
}

impl Pacer {
    /// For a budget from the start of a market until `end_ms`, over so many auctions of this median price.
    pub fn new(median: f64, pacing: Pacing, budget: i64, end_ms: u64, auctions: f64) -> Pacer {
        Pacer {
            pacing,
            level: if let Pacing::Fixed(level) = pacing { level * median } else { median },
            median,
            budget,
            spent: 0,
            end_ms,
            hour: 0,
            spent_before_hour: 0,
            recent: 0.0,
            recent_weight: 0.0,
            per_auction: budget as f64 / auctions.max(1.0),
        }
    }

    /// A new budget from now on; the level stays where it is.
    pub fn renew(&mut self, budget: i64, end_ms: u64, auctions: f64) {
        (self.budget, self.end_ms, self.spent, self.spent_before_hour) = (budget, end_ms, 0, 0);
        self.per_auction = budget as f64 / auctions.max(1.0);
    }

    /// Bid for a worth of 1 at this time, in micros per mille.
    pub fn level(&mut self, now_ms: u64) -> f64 {
        while self.hour < now_ms / HOUR_MS {
            self.hour += 1;
            if self.pacing == Pacing::Hourly {
                self.step();
            }
        }
        self.level
    }

    fn step(&mut self) {
        self.recent = (1.0 - RECENT) * self.recent + RECENT * (self.spent - self.spent_before_hour) as f64;
        self.recent_weight = (1.0 - RECENT) * self.recent_weight + RECENT;
        self.spent_before_hour = self.spent;
        let hours = (self.end_ms.saturating_sub(self.hour * HOUR_MS) as f64 / HOUR_MS as f64).max(1.0);
        let wanted = (self.budget - self.spent).max(0) as f64 / hours;
        let recent = (self.recent / self.recent_weight).max(1e-3 * wanted).max(1.0);
        self.level *= math::exp((GAIN * math::ln(wanted.max(1.0) / recent)).clamp(-STEP_MAX, STEP_MAX));
        self.level = self.level.clamp(self.median / LEVEL_MAX, self.median * LEVEL_MAX);
    }

    /// The most that may be paid now, in nanos.
    pub fn left(&self) -> i64 {
        self.budget - self.spent
    }

    /// An auction was held, and cost this much; 0 for a lost one.
    pub fn paid(&mut self, nanos: i64) {
        debug_assert!(nanos <= self.left(), "no bid is above what is left");
        self.spent += nanos;
        if self.pacing == Pacing::Dual {
            let step = DUAL_STEP * (1.0 - nanos as f64 / self.per_auction);
            self.level *= math::exp(step.clamp(-STEP_MAX, STEP_MAX));
        }
    }
}
