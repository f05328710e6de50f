//! Who bids: what an opportunity is worth, relative to others.
//!
//! The level of bids is [`super::pacing`]'s. So two policies differ in whom they bid on, not in how much they spend.

use super::draws::Purpose;
use super::driven::{BaseBid, Driven};
use super::filter::Filter;
use super::pacing::Pacing;
use super::truth::Opportunity;
use super::world::{Happening, Shown, World};
use crate::ids::Id;
use crate::settings::{Settings, WEIGHT_BOUNDS};
use crate::units::Micros;

/// A policy to be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// Nobody bids: what people buy anyway.
    NoAds,
    /// The same bid for all.
    Flat,
    /// A bid between 0 and twice the mean, by chance.
    Random,
    /// The same bid for all, times the configured weights of the segments.
    Segments,
    /// In proportion to the context's probability of a purchase, at a level found on other seeds.
    Linear,
    /// The same, paced.
    LinearPaced,
    /// The same, paced by dual descent.
    Dual,
    /// Value × the context's probability of a purchase, whatever the budget.
    Truthful,
    /// √(c·λ·p + c²) − c of the context's probability (Zhang 2014), paced.
    Ortb,
    /// Inkling's multiplier on one of three base bids.
    Inkling(BaseBid),
    /// In proportion to the probability that someone comes to who knows the market's rules and saw all that can be
    /// seen.
    Filtering,
    /// In proportion to the true probability.
    Oracle,
}

impl Policy {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Policy::NoAds => "no ads",
            Policy::Flat => "flat",
            Policy::Random => "random",
            Policy::Segments => "segment weights",
            Policy::Linear => "linear",
            Policy::LinearPaced => "linear, paced",
            Policy::Dual => "linear, dual pacing",
            Policy::Truthful => "truthful",
            Policy::Ortb => "ORTB, paced",
            Policy::Inkling(BaseBid::Flat) => "Inkling on flat",
            Policy::Inkling(BaseBid::Context) => "Inkling on context",
            Policy::Inkling(BaseBid::Stated) => "Inkling on base_p",
            Policy::Filtering => "filtering oracle",
            Policy::Oracle => "true-p oracle",
        }
    }

    /// How the level of its bids is found; a fixed level is relative to the median price.
    pub fn pacing(self, value: Micros, median: f64, mean_p: f64, tuned: f64) -> Pacing {
        match self {
            Policy::Linear => Pacing::Fixed(tuned),
            Policy::Truthful => {
                let per_mille = mean_p * value.0 as f64 * 1_000.0;
                Pacing::Fixed(per_mille / median)
            }
            Policy::Dual => Pacing::Dual,
            _ => Pacing::Hourly,
        }
    }

    /// The base bid that this policy stands on, which its gain is told against.
    pub fn base(self) -> Policy {
        match self {
            Policy::Inkling(BaseBid::Context | BaseBid::Stated) => Policy::LinearPaced,
            _ => Policy::Flat,
        }
    }
}

/// What a policy makes of an opportunity: what it is worth, relative to the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Worth {
    /// What is bid for.
    pub bid: f64,
    /// Probability of a purchase, where one is told.
    pub told: Option<f64>,
    /// What would be bid for at a multiplier of 1, where another one counts.
    pub at_one: Option<f64>,
    /// What would be bid for, were the person not held out.
    pub withheld: Option<f64>,
}

/// A policy at work.
pub enum Player {
    /// One that knows no more than the opportunity itself.
    Plain(Policy),
    /// The weights of the scenario's segments.
    Weighted(Vec<f64>),
    /// The engine's.
    Driven(Box<Driven>),
    /// The filter's.
    Filtering(Filter),
}

impl Player {
    /// A policy at the beginning of a market.
    pub fn new(policy: Policy, world: &World<'_>, people: usize, settings: &Settings, mean_p: f64) -> Player {
        match policy {
            Policy::Inkling(base) => Player::Driven(Box::new(Driven::new(world, settings, base, mean_p))),
            Policy::Filtering => Player::Filtering(Filter::new(world, people)),
            Policy::Segments => Player::Weighted(weights_of(world, settings)),
            _ => Player::Plain(policy),
        }
    }

    /// What an opportunity is worth.
    pub fn worth(&mut self, world: &World<'_>, opportunity: &Opportunity, mean_p: f64) -> Worth {
        let told = |p: f64| Worth { bid: p / mean_p, told: Some(p), ..Worth::default() };
        let of = |bid: f64| Worth { bid, ..Worth::default() };
        match self {
            Player::Driven(driven) => driven.worth(world, opportunity),
            Player::Filtering(filter) => told(filter.p(world, opportunity)),
            Player::Weighted(weights) => of(product(weights, opportunity)),
            Player::Plain(policy) => match policy {
                Policy::NoAds => of(0.0),
                Policy::Random => {
                    let (person, number) = (u64::from(opportunity.person), u64::from(opportunity.number));
                    of(2.0 * world.draws.uniform(Purpose::Whim, person, number))
                }
                Policy::Linear | Policy::LinearPaced | Policy::Dual | Policy::Truthful | Policy::Ortb => {
                    told(world.truth.p_of_context(opportunity))
                }
                Policy::Oracle => told(world.p(opportunity)),
                _ => of(1.0),
            },
        }
    }

    /// The bid for a relative worth at a level, in micros per mille, shaded as auctions of that day want it.
    pub fn bid(&self, worth: f64, level: f64, median: f64, shade: impl Fn(f64) -> i64) -> i64 {
        match self {
            // With c the median price, a bid of the median wins half of all; small bids are as those of the others.
            // The formula is made for auctions in which the winner pays its bid, and so is not shaded once more.
            Player::Plain(Policy::Ortb) => (median * ((1.0 + 2.0 * level * worth / median).sqrt() - 1.0)) as i64,
            _ => shade(level * worth),
        }
    }

    /// An ad was shown. What was bid and what was paid for it are nanos of the currency.
    pub fn shown(&mut self, world: &World<'_>, opportunity: &Opportunity, shown: Shown, bid_and_paid: (i64, i64)) {
        match self {
            Player::Driven(driven) if shown.is_noticed => driven.shown(opportunity, bid_and_paid),
            Player::Filtering(filter) => filter.shown(world, opportunity, shown.responds),
            _ => {}
        }
    }

    /// An ad would have been shown, had the person not been held out.
    pub fn withheld(&mut self, opportunity: &Opportunity) {
        if let Player::Driven(driven) = self {
            driven.withheld(opportunity.at_ms);
        }
    }

    /// Something happened.
    pub fn happened(&mut self, world: &World<'_>, now: u64, happening: &Happening) {
        match self {
            Player::Driven(driven) => driven.happened(now, happening),
            Player::Filtering(filter) => filter.happened(world, now, happening),
            Player::Plain(_) | Player::Weighted(_) => {}
        }
    }
}

/// The configured weights of the scenario's segments; 1 where there is none.
fn weights_of(world: &World<'_>, settings: &Settings) -> Vec<f64> {
    let externals = || settings.advertisers.iter().flat_map(|advertiser| &advertiser.externals);
    let weight = |id: &Id| externals().find(|external| external.id == *id).map_or(1.0, |external| external.weight);
    world.scenario.segments.iter().map(|segment| weight(&segment.id)).collect()
}

/// Product of the weights of the segments that a request names, within what a signal allows.
fn product(weights: &[f64], opportunity: &Opportunity) -> f64 {
    let of = weights.iter().enumerate().filter(|(place, _)| opportunity.segments >> place & 1 == 1);
    of.map(|(_, weight)| weight).product::<f64>().clamp(WEIGHT_BOUNDS.0, WEIGHT_BOUNDS.1)
}
