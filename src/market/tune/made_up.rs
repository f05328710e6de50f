//! Tuning in a made-up market: a world is a seed.

use std::convert::Infallible;

use super::arena::{Arena, Difference};
use super::audience::{Audiences, audiences};
use super::knob::Space;
use super::verdict::Verdict;
use crate::market::compare::Estimate;
use crate::market::equal_spend::EQUAL;
use crate::market::policy::Policy;
use crate::market::prices::Prices;
use crate::market::run::{Market, Outcome, Tally};
use crate::market::scenario::Scenario;
use crate::market::truth::Truth;
use crate::parallel::each_in_order;
use crate::settings::Settings;

/// What is to become more, at the spend of the scenario's budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kpi {
    /// Conversions to be expected of what was bought.
    Conversions,
    /// Their value.
    Value,
    /// Conversions that there would not be without the ad.
    Incremental,
}

/// A made-up market in which one policy is tuned.
#[derive(Clone, Copy)]
pub struct MadeUp<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its truths.
    pub truth: &'a Truth,
    /// Its prices.
    pub prices: &'a Prices<'a>,
    /// What is tuned.
    pub space: &'a Space,
    /// Who bids.
    pub policy: Policy,
    /// What is to become more.
    pub kpi: Kpi,
    /// First of the seeds.
    pub seed: u64,
    /// How many there are.
    pub seeds: u32,
}

/// What a play came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    kpi: f64,
    came: f64,
    spend: f64,
}

impl Kpi {
    fn of(self, scenario: &Scenario, tally: &Tally) -> f64 {
        match self {
            // Not what came of them: a search has to see tenths of a per cent in a few markets. Several ads to one
            // person count each, which the conversions as they came, told beside, do not.
            Kpi::Conversions => tally.expected,
            Kpi::Value => tally.expected * scenario.value.units(),
            Kpi::Incremental => tally.added,
        }
    }
}

impl Arena for MadeUp<'_> {
    type Played = Sums;
    type Error = Infallible;

    fn worlds(&self) -> usize {
        self.seeds as usize
    }

    fn play(&self, point: &[f64], world: usize) -> Result<Sums, Infallible> {
        Ok(self.sums(&self.outcome(self.policy, &self.space.settings(point), world)))
    }

    fn compare(&self, base: &[&Sums], other: &[&Sums]) -> Option<Difference> {
        let (gain, spend) = gain(base, other, |sums| sums.kpi);
        // An interval's half is t standard errors; with few worlds t is large, and so is the error that is taken.
        let of = |gain: Estimate| Difference { share: gain.mean, error: (gain.high - gain.mean) / 2.0 };
        gain.filter(|_| (spend - 1.0).abs() <= EQUAL).map(of)
    }
}

/// What one is better by than the other as a share, and its share of the spend.
fn gain(base: &[&Sums], other: &[&Sums], of: impl Fn(&Sums) -> f64) -> (Option<Estimate>, f64) {
    let under: Vec<f64> = base.iter().map(|sums| of(sums)).collect();
    let more: Vec<f64> = base.iter().zip(other).map(|(base, other)| of(other) - of(base)).collect();
    let spend = |all: &[&Sums]| all.iter().map(|sums| sums.spend).sum::<f64>();
    (Estimate::of_ratio(&more, &under), spend(other) / spend(base))
}

impl MadeUp<'_> {
    /// Plays a policy under some settings.
    fn outcome(&self, policy: Policy, settings: &Settings, world: usize) -> Outcome {
        let seed = self.seed.wrapping_add(world as u64);
        Market::new(self.scenario, self.truth, self.prices, settings, seed).play(policy, 1.0, false)
    }

    fn sums(&self, outcome: &Outcome) -> Sums {
        let came = outcome.all.conversions as f64;
        Sums { kpi: self.kpi.of(self.scenario, &outcome.all), came, spend: outcome.all.spend() }
    }

    /// What the people of each external segment of the scenario are worth, by what a flat bid is shown.
    pub fn audiences(&self, threads: usize, progress: &(dyn Fn() + Sync)) -> Audiences {
        let settings = self.space.settings(&self.space.start());
        let played = each_in_order(self.worlds(), threads, |world| {
            let outcome = self.outcome(Policy::Flat, &settings, world);
            progress();
            outcome.mixes
        });
        audiences(self.scenario.segments.len(), &played.iter().collect::<Vec<_>>())
    }

    /// What a point gains over another. In worlds that it was not chosen on, that may be promised. Also what both came
    /// to, by world.
    pub fn judge(
        &self,
        base: &[f64],
        point: &[f64],
        gain_min: f64,
        threads: usize,
        progress: &(dyn Fn() + Sync),
    ) -> (Verdict, [Vec<Outcome>; 2]) {
        let settings = [base, point].map(|point| self.space.settings(point));
        let mut played = each_in_order(2 * self.worlds(), threads, |number| {
            let outcome = self.outcome(self.policy, &settings[number % 2], number / 2);
            progress();
            Some(outcome)
        });
        let mut of = |which: usize| -> Vec<Outcome> {
            played.iter_mut().skip(which).step_by(2).filter_map(Option::take).collect()
        };
        let outcomes = [of(0), of(1)];
        let [base, other] = [0, 1].map(|which| outcomes[which].iter().map(|one| self.sums(one)).collect::<Vec<_>>());
        let [base, other] = [base.iter().collect::<Vec<_>>(), other.iter().collect::<Vec<_>>()];
        let mean = |all: &[&Sums]| all.iter().map(|sums| sums.kpi).sum::<f64>() / all.len() as f64;
        let (found, spend) = gain(&base, &other, |sums| sums.kpi);
        let came = match self.kpi {
            Kpi::Incremental => None,
            Kpi::Conversions | Kpi::Value => gain(&base, &other, |sums| sums.came).0,
        };
        (Verdict { gain: found, came, kpi: (mean(&base), mean(&other)), spend, gain_min }, outcomes)
    }
}
