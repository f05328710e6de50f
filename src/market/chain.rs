//! The chain of intent: how people come to buy, and how much of it can be known.
//!
//! A person is in one of a few states of intent, or has decided and waits to buy. Intent is forgotten at random times,
//! when it is drawn anew; a visit can lift it by one state or end in the decision to buy; the purchase follows after a
//! delay that is a mixture of exponentials, so each part of the mixture is a state as well. All of it is one Markov
//! chain in continuous time: the probability of a purchase within a window is an exact function of the state, and
//! someone who sees the visits only can still weigh all states exactly (the forward filter of hidden Markov chains).

use super::scenario::{DELAYS_MAX, INTENTS_MAX, Scenario};
use crate::math;

/// Most states: intents and parts of the delay.
pub const STATES_MAX: usize = INTENTS_MAX + DELAYS_MAX;
/// One number for each state.
pub type PerState = [f64; STATES_MAX];

/// Longest step of the equations, in milliseconds; their error is of the second order in it.
const STEP_MS: f64 = 600_000.0;
/// Longest step as a part of the mean time to the next visit or to forgetting: beyond 2 they would not even converge.
const STEP_OF_CHANGE: f64 = 0.25;

/// The chain of one scenario.
#[derive(Debug, Clone)]
pub struct Chain {
    intents: usize,
    shares: PerState,
    rises: PerState,
    buys: PerState,
    pulls: PerState,
    forgets_after_ms: f64,
    /// Share and mean in milliseconds of each part of the delay.
    delays: Vec<(f64, f64)>,
}

/// Probability of a purchase within the window, by state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ahead {
    /// As things stand.
    pub as_is: PerState,
    /// If a visit begins now.
    pub with_visit: PerState,
}

impl Chain {
    /// The chain of a scenario; its shares are taken as parts of their sum.
    pub fn new(scenario: &Scenario) -> Chain {
        let per_state = |of: &dyn Fn(&super::scenario::Intent) -> f64| {
            let mut all = [0.0; STATES_MAX];
            scenario.intents.iter().zip(&mut all).for_each(|(intent, free)| *free = of(intent));
            all
        };
        let intents = scenario.intents.len();
        let all: f64 = scenario.intents.iter().map(|intent| intent.share).sum();
        let mut pulls = per_state(&|intent| intent.pull);
        let keenest = pulls[intents - 1];
        pulls[intents..].fill(keenest);
        let mut rises = per_state(&|intent| intent.rises);
        rises[intents - 1] = 0.0;
        let delayed: f64 = scenario.delays.iter().map(|delay| delay.share).sum();
        Chain {
            intents,
            shares: per_state(&|intent| intent.share / all),
            rises,
            buys: per_state(&|intent| intent.buys),
            pulls,
            forgets_after_ms: scenario.forgets_after.0 as f64,
            delays: scenario.delays.iter().map(|part| (part.share / delayed, part.mean.0 as f64)).collect(),
        }
    }

    /// Number of states of intent.
    pub fn intents(&self) -> usize {
        self.intents
    }

    /// Number of all states.
    pub fn states(&self) -> usize {
        self.intents + self.delays.len()
    }

    /// What a state adds to the log-odds of the response.
    pub fn pull(&self, state: usize) -> f64 {
        self.pulls[state]
    }

    /// Mean time after which intent is drawn anew, in milliseconds.
    pub fn forgets_after_ms(&self) -> f64 {
        self.forgets_after_ms
    }

    /// The intent that a uniform number draws.
    pub fn draw_intent(&self, uniform: f64) -> u8 {
        pick(self.shares[..self.intents].iter().copied(), uniform) as u8
    }

    /// Whether a visit in this state ends with the decision to buy.
    pub fn decides(&self, intent: u8, uniform: f64) -> bool {
        uniform < self.buys[usize::from(intent)]
    }

    /// The state after a visit that did not end in a decision.
    pub fn after_visit(&self, intent: u8, uniform: f64) -> u8 {
        intent + u8::from(uniform < self.rises[usize::from(intent)])
    }

    /// The state of the part of the delay that a uniform number draws.
    pub fn draw_delay(&self, uniform: f64) -> u8 {
        (self.intents + pick(self.delays.iter().map(|(share, _)| *share), uniform)) as u8
    }

    /// Mean delay in milliseconds of a part's state.
    pub fn delay_ms(&self, state: u8) -> f64 {
        self.delays[usize::from(state) - self.intents].1
    }

    /// What lies ahead within a window, for someone who visits so often a day. Ads yet to come are left out.
    ///
    /// With h(t) the probability of a purchase within t: of intents dh/dt = (Σ share·h − h) ÷ forgetting
    /// + visits × (h after a visit − h), of each part of the delay h = 1 − e^(−t ÷ mean); by the midpoint rule.
    pub fn ahead(&self, window_ms: u64, visits_per_day: f64) -> Ahead {
        let window = window_ms as f64;
        let visits = visits_per_day / 86_400_000.0;
        let steps = self.steps(window, visits);
        let step = window / steps;
        let mut h = [0.0; STATES_MAX];
        for number in 0..steps as u64 {
            let start = number as f64 * step;
            let slope = self.slope(&self.with_delays(h, start), visits);
            let mut middle = h;
            (0..self.intents).for_each(|state| middle[state] += 0.5 * step * slope[state]);
            let slope = self.slope(&self.with_delays(middle, start + 0.5 * step), visits);
            (0..self.intents).for_each(|state| h[state] += step * slope[state]);
        }
        let as_is = self.with_delays(h, window);
        Ahead { as_is, with_visit: self.visited(&as_is) }
    }

    /// Steps of equal length that a time is gone through in.
    fn steps(&self, time_ms: f64, visits_per_ms: f64) -> f64 {
        let changes = visits_per_ms + 1.0 / self.forgets_after_ms;
        (time_ms / STEP_MS.min(STEP_OF_CHANGE / changes)).ceil().max(1.0)
    }

    fn with_delays(&self, mut h: PerState, t: f64) -> PerState {
        for (place, (_, mean)) in self.delays.iter().enumerate() {
            h[self.intents + place] = 1.0 - math::exp(-t / mean);
        }
        h
    }

    fn slope(&self, h: &PerState, visits: f64) -> PerState {
        let drawn: f64 = (0..self.intents).map(|state| self.shares[state] * h[state]).sum();
        let visited = self.visited(h);
        let mut slope = [0.0; STATES_MAX];
        for state in 0..self.intents {
            slope[state] = (drawn - h[state]) / self.forgets_after_ms + visits * (visited[state] - h[state]);
        }
        slope
    }

    /// The mean of some quantity after a visit, by the state before it.
    fn visited(&self, of: &PerState) -> PerState {
        let decided: f64 = self.delays.iter().enumerate().map(|(place, part)| part.0 * of[self.intents + place]).sum();
        let mut after = *of;
        for state in 0..self.intents {
            let (rises, buys) = (self.rises[state], self.buys[state]);
            let next = if rises > 0.0 { of[state + 1] } else { 0.0 };
            after[state] = buys * decided + (1.0 - buys) * (rises * next + (1.0 - rises) * of[state]);
        }
        after
    }

    /// The weights of the states of someone of whom nothing is known.
    pub fn unknown(&self) -> PerState {
        self.shares
    }

    /// The weights of the states of people who visit so often a day, after so long.
    pub fn usual(&self, after_ms: u64, visits_per_day: f64) -> PerState {
        let visits = visits_per_day / 86_400_000.0;
        let steps = self.steps(after_ms as f64, visits);
        let step = after_ms as f64 / steps;
        let mut weights = self.shares;
        for _ in 0..steps as u64 {
            let mut visited = weights;
            self.visit(&mut visited);
            let share = visits * step;
            (0..self.states()).for_each(|state| weights[state] += share * (visited[state] - weights[state]));
            let mut bought = 0.0;
            for (place, (_, mean)) in self.delays.iter().enumerate() {
                let weight = &mut weights[self.intents + place];
                let kept = *weight * math::exp(-step / mean);
                bought += *weight - kept;
                *weight = kept;
            }
            weights[0] += bought;
            self.forget(&mut weights, step);
        }
        weights
    }

    fn forget(&self, weights: &mut PerState, gap_ms: f64) {
        let keep = math::exp(-gap_ms / self.forgets_after_ms);
        let intents: f64 = weights[..self.intents].iter().sum();
        for (weight, share) in weights.iter_mut().zip(&self.shares).take(self.intents) {
            *weight = keep * *weight + (1.0 - keep) * share * intents;
        }
    }

    /// Time passes without a purchase: weights of the states, after it.
    pub fn pass(&self, weights: &mut PerState, gap_ms: f64) {
        self.forget(weights, gap_ms);
        for (place, (_, mean)) in self.delays.iter().enumerate() {
            let weight = &mut weights[self.intents + place];
            // Mostly nothing waits there, and the exponential is what costs.
            if *weight > 0.0 {
                *weight *= math::exp(-gap_ms / mean);
            }
        }
        self.normalise(weights);
    }

    /// A visit ends: weights of the states, after it.
    pub fn visit(&self, weights: &mut PerState) {
        let before = *weights;
        weights[..self.intents].fill(0.0);
        for state in 0..self.intents {
            let decided = before[state] * self.buys[state];
            for (place, (share, _)) in self.delays.iter().enumerate() {
                weights[self.intents + place] += share * decided;
            }
            let stays = before[state] - decided;
            let rises = stays * self.rises[state];
            weights[state] += stays - rises;
            if rises > 0.0 {
                weights[state + 1] += rises;
            }
        }
    }

    /// Something was seen that has these probabilities in the states.
    pub fn see(&self, weights: &mut PerState, likelihood: impl Fn(usize) -> f64) {
        (0..self.states()).for_each(|state| weights[state] *= likelihood(state));
        self.normalise(weights);
    }

    /// A purchase was seen: all begins anew.
    pub fn purchase(&self, weights: &mut PerState) {
        *weights = [0.0; STATES_MAX];
        weights[0] = 1.0;
    }

    fn normalise(&self, weights: &mut PerState) {
        let sum: f64 = weights[..self.states()].iter().sum();
        match sum > 0.0 {
            true => weights.iter_mut().for_each(|weight| *weight /= sum),
            false => *weights = self.shares,
        }
    }
}

/// The place of some shares, which sum to 1, that a uniform number falls into.
fn pick(shares: impl ExactSizeIterator<Item = f64>, uniform: f64) -> usize {
    let last = shares.len() - 1;
    let mut sum = 0.0;
    let up_to = |share: f64| {
        sum += share;
        uniform < sum
    };
    shares.map(up_to).position(|found| found).unwrap_or(last).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::draws::{Draws, Purpose};
    use crate::market::scenario::{Delay, Intent};
    use crate::units::Span;

    fn intent(share: f64, rises: f64, buys: f64, pull: f64) -> Intent {
        Intent { name: String::new(), share, rises, buys, views: 2.0, pull, acts: Vec::new() }
    }

    fn scenario() -> Scenario {
        Scenario {
            intents: vec![intent(0.8, 0.2, 0.01, 0.0), intent(0.15, 0.3, 0.05, 0.5), intent(0.05, 0.0, 0.3, 1.0)],
            forgets_after: Span::days(6),
            delays: vec![Delay { share: 0.5, mean: Span::hours(1) }, Delay { share: 0.5, mean: Span::days(4) }],
            ..Scenario::default()
        }
    }

    /// One life, step by step: whether it buys within the window.
    fn lives(chain: &Chain, number: u64, mut state: u8, visits: f64, window: f64) -> bool {
        let draws = Draws(5);
        let day = 86_400_000.0;
        let mut now = 0.0;
        for step in 0.. {
            let gap = draws.wait(Purpose::Visit, number, step, 1.0 / (visits / day + 1.0 / chain.forgets_after_ms));
            now += gap;
            if now > window {
                return false;
            }
            let is_visit = draws.uniform(Purpose::Intent, number, step)
                < visits * chain.forgets_after_ms / day / (1.0 + visits * chain.forgets_after_ms / day);
            let uniform = |purpose| draws.uniform(purpose, number, step);
            if !is_visit {
                state = chain.draw_intent(uniform(Purpose::Membership));
            } else if chain.decides(state, uniform(Purpose::Decision)) {
                let mean = chain.delay_ms(chain.draw_delay(uniform(Purpose::Delay)));
                return now + draws.wait(Purpose::Notice, number, step, mean) <= window;
            } else {
                state = chain.after_visit(state, uniform(Purpose::Rise));
            }
        }
        false
    }

    #[test]
    fn what_lies_ahead_is_what_lives_come_to() {
        let chain = Chain::new(&scenario());
        let (window, visits) = (Span::days(7).0, 0.8);
        let ahead = chain.ahead(window, visits);
        for state in 0..3u8 {
            let count = 40_000u64;
            let buy =
                (0..count).filter(|life| lives(&chain, u64::from(state) * count + life, state, visits, window as f64));
            let share = buy.count() as f64 / count as f64;
            let expected = ahead.as_is[usize::from(state)];
            let error = (expected * (1.0 - expected) / count as f64).sqrt();
            assert!((share - expected).abs() < 4.0 * error, "state {state}: {share} of {expected} ± {error}");
        }
        assert!((ahead.as_is[3] - 1.0).abs() < 1e-6 && (ahead.as_is[4] - 0.826).abs() < 1e-3, "{ahead:?}");
        assert!((0..3).all(|state| ahead.with_visit[state] > ahead.as_is[state]));
    }

    #[test]
    fn however_soon_intent_is_forgotten_probabilities_stay_probabilities() {
        let chain = Chain::new(&Scenario { forgets_after: Span::minutes(10), ..scenario() });
        for visits in [0.0, 0.5, 100.0, 700.0] {
            let ahead = chain.ahead(Span::days(7).0, visits);
            let all = ahead.as_is.iter().chain(&ahead.with_visit);
            assert!(all.clone().all(|p| (-1e-9..=1.0 + 1e-9).contains(p)), "{visits} visits a day: {ahead:?}");
            let usual = chain.usual(Span::days(30).0, visits);
            assert!(usual.iter().all(|weight| (-1e-9..=1.0 + 1e-9).contains(weight)), "{visits}: {usual:?}");
            assert!((usual.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{visits}: {usual:?}");
        }
    }

    #[test]
    fn weights_stay_weights() {
        let chain = Chain::new(&scenario());
        let mut weights = chain.unknown();
        let is_one = |weights: &PerState| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12;
        for gap in [0.0, 1e3, 1e7, 1e9] {
            chain.pass(&mut weights, gap);
            chain.see(&mut weights, |state| 0.1 + 0.2 * state as f64);
            assert!(is_one(&weights));
            chain.visit(&mut weights);
            assert!(is_one(&weights), "{weights:?}");
        }
        chain.see(&mut weights, |_| 0.0);
        assert!(is_one(&weights), "what cannot be is taken for not known");
        chain.purchase(&mut weights);
        assert_eq!((weights[0], weights.iter().sum()), (1.0, 1.0));
        assert!(is_one(&chain.usual(Span::days(30).0, 0.5)));
    }
}
