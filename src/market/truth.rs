//! What is true of an opportunity: what it says, what it costs, and how likely it leads to a purchase.

use super::chain::{Ahead, Chain, PerState, STATES_MAX};
use super::draws::{Draws, Purpose};
use super::scenario::{Attribution, CONTEXTS_MAX, Scenario};
use super::shoppers::{CLASSES, Moment, MomentKind, Shopper, activity_of};
use super::world::Ad;
use crate::math;

/// Draws of what the market itself is like, the same for all seeds: sites do not change their worth from run to run.
const MARKET: Draws = Draws(0x4d41_524b_4554);
/// After so long the states of people have come to rest, as far as a context model needs to know.
const USUAL_AFTER_MS: u64 = 30 * 86_400_000;
/// Opportunities that are drawn to know mean and spread of their log-odds.
const SAMPLED: u32 = 4_096;

/// One opportunity, as everybody may see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opportunity {
    /// When, in milliseconds of the market's time.
    pub at_ms: u64,
    /// Who.
    pub person: u32,
    /// The how manieth of this person.
    pub number: u32,
    /// 0 or 1: on which device.
    pub device: u8,
    /// Whose, by number.
    pub campaign: u8,
    /// One bit for each external segment.
    pub segments: u16,
    /// Value of each kind of context.
    pub contexts: [u32; CONTEXTS_MAX],
    /// Log-odds of the response, without intent.
    pub pull: f64,
    /// What the segments add in it.
    pub segment_pull: f64,
}

/// A scenario's truths, worked out once.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The chain of intent.
    pub chain: Chain,
    attribution: Attribution,
    /// How busy each class of people is, relative to the mean.
    activities: Vec<f64>,
    /// What lies ahead, by class of activity.
    ahead: Vec<Ahead>,
    /// What each value of each kind of context adds.
    effects: Vec<Vec<f64>>,
    /// Over people as bid requests meet them: share × what lies ahead, and the shares.
    mean_ahead: Ahead,
    shares: PerState,
    /// What the segments add in the mean of all people.
    segment_mean: f64,
    /// Mean and spread of the log-odds of the response.
    pull_mean: f64,
    pull_spread: f64,
}

impl Opportunity {
    /// The name of its ad.
    pub fn ad(&self) -> Ad {
        Ad { person: self.person, number: self.number }
    }
}

impl Truth {
    /// The truths of a scenario.
    pub fn new(scenario: &Scenario) -> Truth {
        let chain = Chain::new(scenario);
        let activities: Vec<f64> =
            (0..CLASSES as u8).map(|class| activity_of(class, scenario.activity.spread)).collect();
        let visits = |activity: f64| scenario.activity.visits * activity;
        let ahead: Vec<Ahead> =
            activities.iter().map(|activity| chain.ahead(scenario.window.0, visits(*activity))).collect();
        let mut shares = [0.0; STATES_MAX];
        let mut mean_ahead = Ahead { as_is: [0.0; STATES_MAX], with_visit: [0.0; STATES_MAX] };
        for (activity, ahead) in activities.iter().zip(&ahead) {
            // Bid requests meet the busy more often.
            let usual = chain.usual(USUAL_AFTER_MS, visits(*activity));
            for state in 0..chain.states() {
                let weight = usual[state] * activity / CLASSES as f64;
                shares[state] += weight;
                mean_ahead.as_is[state] += weight * ahead.as_is[state];
                mean_ahead.with_visit[state] += weight * ahead.with_visit[state];
            }
        }
        let effect = |kind: usize, value: u32, spread: f64| {
            spread * MARKET.normal(Purpose::Effect, kind as u64, u64::from(value))
        };
        let effects = scenario.contexts.iter().enumerate();
        let effects = effects
            .map(|(kind, context)| (0..context.values).map(|value| effect(kind, value, context.spread)).collect());
        let mut truth = Truth {
            effects: effects.collect(),
            attribution: scenario.attribution,
            chain,
            activities,
            ahead,
            mean_ahead,
            shares,
            segment_mean: scenario.segments.iter().map(|segment| segment.share * segment.pull).sum(),
            pull_mean: 0.0,
            pull_spread: 1.0,
        };
        truth.measure_pull(scenario);
        truth
    }

    /// Takes mean and spread of the log-odds of the response over opportunities drawn for it.
    fn measure_pull(&mut self, scenario: &Scenario) {
        let shopper = Shopper { class: 0, is_bot: false, has_second: false, links: false, segments: 0 };
        let of_states: f64 = (0..self.chain.states()).map(|state| self.shares[state] * self.chain.pull(state)).sum();
        let pulls: Vec<f64> = (0..SAMPLED)
            .map(|person| {
                let moment = Moment { at_ms: 0, person, kind: MomentKind::Opportunity, number: 0 };
                self.opportunity(scenario, MARKET, moment, &shopper).pull + of_states
            })
            .collect();
        let mean = pulls.iter().sum::<f64>() / f64::from(SAMPLED);
        let variance = pulls.iter().map(|pull| (pull - mean) * (pull - mean)).sum::<f64>() / f64::from(SAMPLED);
        let between: f64 = (0..self.chain.states())
            .map(|state| {
                let off = self.chain.pull(state) - of_states;
                self.shares[state] * off * off
            })
            .sum();
        self.pull_mean = mean;
        self.pull_spread = (variance + between).sqrt().max(1e-9);
    }

    /// The opportunity of a moment.
    pub fn opportunity(&self, scenario: &Scenario, draws: Draws, moment: Moment, shopper: &Shopper) -> Opportunity {
        let (person, number) = (u64::from(moment.person), u64::from(moment.number));
        let uniform = |purpose, place: u64| draws.uniform(purpose, person, number * 16 + place);
        let campaign = campaign_of(scenario, uniform(Purpose::Context, 15));
        let mut contexts = [0; CONTEXTS_MAX];
        let mut pull = scenario.ad.response + scenario.level_at(moment.at_ms);
        pull += scenario.campaigns[usize::from(campaign)].pull;
        for (kind, context) in scenario.contexts.iter().enumerate() {
            let value = skewed(uniform(Purpose::Context, kind as u64), context.values, context.skew);
            contexts[kind] = value;
            pull += self.effects[kind][value as usize];
        }
        let in_segment = scenario.segments.iter().enumerate().filter(|(place, _)| shopper.segments >> place & 1 == 1);
        let segment_pull = in_segment.map(|(_, segment)| segment.pull).sum();
        let device = u8::from(shopper.has_second && uniform(Purpose::Device, 0) < 0.5);
        Opportunity {
            at_ms: moment.at_ms,
            person: moment.person,
            number: moment.number,
            device,
            campaign,
            segments: shopper.segments,
            contexts,
            pull: pull + segment_pull,
            segment_pull,
        }
    }

    /// Probability of a response in a state.
    pub fn response(&self, opportunity: &Opportunity, state: usize) -> f64 {
        math::sigmoid(opportunity.pull + self.chain.pull(state))
    }

    /// Probability of a purchase within the window if the ad is shown, for someone in this state.
    pub fn p(&self, opportunity: &Opportunity, class: u8, state: usize) -> f64 {
        self.p_given(self.response(opportunity, state), &self.ahead[usize::from(class)], state)
    }

    /// Of what [`Truth::p`] counts, what would be bought without the ad as well.
    pub fn p_without(&self, opportunity: &Opportunity, class: u8, state: usize) -> f64 {
        let as_is = self.ahead[usize::from(class)].as_is[state];
        match self.attribution {
            Attribution::Click => self.response(opportunity, state) * as_is,
            Attribution::View => as_is,
        }
    }

    fn p_given(&self, response: f64, ahead: &Ahead, state: usize) -> f64 {
        let without = match self.attribution {
            Attribution::Click => 0.0,
            Attribution::View => ahead.as_is[state],
        };
        response * ahead.with_visit[state] + (1.0 - response) * without
    }

    /// The same, for someone whose states have these weights, and of whom this lies ahead.
    pub fn p_of(&self, opportunity: &Opportunity, ahead: &Ahead, weights: &PerState) -> f64 {
        let of = |state: usize| self.p_given(self.response(opportunity, state), ahead, state);
        (0..self.chain.states()).map(|state| weights[state] * of(state)).sum()
    }

    /// What lies ahead, in the mean, of people who were met so often where the mean of all people would have been met
    /// `usual` times. Meetings are a Poisson process whose rate is in proportion to a class's activity, whatever its
    /// people's intent: so Bayes' rule over the classes, all of them equally frequent.
    pub fn ahead_of(&self, met: u32, usual: f64) -> Ahead {
        let ln_weights: [f64; CLASSES] = std::array::from_fn(|class| {
            let activity = self.activities[class];
            f64::from(met) * math::ln(activity) - activity * usual
        });
        let most = ln_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = ln_weights.map(|ln_weight| math::exp(ln_weight - most));
        let all: f64 = weights.iter().sum();
        let mut mean = Ahead { as_is: [0.0; STATES_MAX], with_visit: [0.0; STATES_MAX] };
        for (weight, ahead) in weights.iter().zip(&self.ahead) {
            for state in 0..self.chain.states() {
                mean.as_is[state] += weight / all * ahead.as_is[state];
                mean.with_visit[state] += weight / all * ahead.with_visit[state];
            }
        }
        mean
    }

    /// The same, for someone of whom nothing is known: what a perfect model of the context says.
    pub fn p_of_context(&self, opportunity: &Opportunity) -> f64 {
        let pull = opportunity.pull - opportunity.segment_pull + self.segment_mean;
        let of = |state: usize| {
            let a = math::sigmoid(pull + self.chain.pull(state));
            self.p_given(a, &self.mean_ahead, state)
        };
        (0..self.chain.states()).map(of).sum()
    }

    /// The normal score of the best other bid: that of its rank.
    pub fn price_score(&self, scenario: &Scenario, draws: Draws, opportunity: &Opportunity, state: usize) -> f64 {
        let own = draws.normal(Purpose::Price, u64::from(opportunity.person), u64::from(opportunity.number));
        let correlation = scenario.prices.correlation;
        let worth = (opportunity.pull + self.chain.pull(state) - self.pull_mean) / self.pull_spread;
        correlation * worth + (1.0 - correlation * correlation).sqrt() * own
    }
}

fn campaign_of(scenario: &Scenario, uniform: f64) -> u8 {
    let all: f64 = scenario.campaigns.iter().map(|campaign| campaign.share).sum();
    let mut sum = 0.0;
    let found = scenario.campaigns.iter().position(|campaign| {
        sum += campaign.share / all;
        uniform < sum
    });
    found.unwrap_or(scenario.campaigns.len() - 1) as u8
}

/// A number below another; the larger the skew, the more often a small one.
fn skewed(uniform: f64, below: u32, skew: f64) -> u32 {
    let x = if skew == 1.0 { uniform } else { math::exp(skew * math::ln(uniform)) };
    ((x * f64::from(below)) as u32).min(below - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_prices_follow_the_worth_alone_their_scores_are_standard() {
        let mut scenario = Scenario::parse("rich.toml", include_str!("../../simulations/rich.toml")).unwrap();
        scenario.prices.correlation = 1.0;
        let truth = Truth::new(&scenario);
        assert!(!scenario.delays.is_empty(), "who has decided and waits is asked for too");
        let shopper = Shopper { class: 0, is_bot: false, has_second: false, links: false, segments: 0 };
        let (mut mean, mut square) = (0.0, 0.0);
        for person in 0..SAMPLED {
            let moment = Moment { at_ms: 0, person, kind: MomentKind::Opportunity, number: 0 };
            let opportunity = truth.opportunity(&scenario, MARKET, moment, &shopper);
            for state in 0..truth.chain.states() {
                let weight = truth.shares[state] / f64::from(SAMPLED);
                let score = truth.price_score(&scenario, MARKET, &opportunity, state);
                mean += weight * score;
                square += weight * score * score;
            }
        }
        assert!(mean.abs() < 1e-3 && (square - 1.0).abs() < 1e-3, "mean {mean}, mean square {square}");
    }
}
