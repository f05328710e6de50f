//! Inkling over recorded auctions: its multiplier on a linear bid, learned from the auctions it won.
//!
//! The engine is driven as in production: each auction is scored with the given probability as `base_p`, what is won
//! comes back as an impression with its cost, a click as the conversion of a goal whose baseline is `request`.
//! The files tell of no person, so each auction is somebody new, and there is nothing to know but the probability and
//! the time slot. They tell no time either: auctions come at a steady rate, clicks a second after the impression.

use std::collections::VecDeque;

use super::bidder::{Bidder, Linear, Offer, Won};
use crate::engine::{Applied, Engine, Scorer, tick_due};
use crate::event::{Conversion, Converter, Event, Impression, Record, Shown};
use crate::exposure::Exposure;
use crate::hash;
use crate::ids::{Id, OpportunityKey, UserKey};
use crate::opportunity::{PrivacyMode, ScoreRequest, Target};
use crate::rejection::Rejection;
use crate::settings::{Advertiser, Baseline, Goal, Settings};
use crate::signal::NEUTRAL;
use crate::units::{Micros, Money, Span, Timestamp};

/// Time between two auctions.
const PAUSE: Span = Span(100);
/// Time from an impression to its click.
const CLICK_AFTER: Span = Span::seconds(1);
/// How long a click counts: the shortest window that can be configured. Labels wait for it.
const WINDOW: Span = Span::minutes(1);
/// Moment of the first auction; any will do.
const START: Timestamp = Timestamp(1_767_225_600_000);
/// What an impression costs at a price of 1 per mille, where that is a hundredth of the currency's unit, as in the
/// published files. Costs are counted, nothing is learned from them.
const MICROS_AN_IMPRESSION: i64 = 10;
/// Probabilities that are said to be in the base bid are kept so far from 0 and 1.
const BASE_P_MARGIN: f64 = 1e-9;

/// The multiplier at work.
pub struct Inkling {
    base: Linear,
    engine: Engine,
    scorer: Scorer,
    /// What the auction that is bid for would be learned with.
    exposure: Option<Box<Exposure>>,
    /// Clicks that are still to come, in the order of time.
    clicks: VecDeque<(Timestamp, OpportunityKey)>,
    /// Auctions, and of them those with a multiplier other than 1.
    offers: u64,
    moved: u64,
}

fn advertiser() -> Id {
    Id::literal("recorded")
}

fn goal() -> Id {
    Id::literal("click")
}

fn moment(number: u64) -> Timestamp {
    START + Span(PAUSE.0.saturating_mul(number))
}

impl Inkling {
    /// An engine that knows nothing yet, on top of a linear bid; clicks are expected at the mean probability. Nobody is
    /// in the control arm: what is measured is the multiplier.
    ///
    /// # Errors
    /// When the engine refuses the settings, as for a mean that is no probability.
    pub fn new(base: Linear) -> Result<Inkling, Rejection> {
        let mut goal = Goal::new(goal());
        (goal.click_window, goal.view_window) = (WINDOW, WINDOW);
        goal.multiplier.baseline = Baseline::Request;
        goal.prior_rate = base.mean.clamp(BASE_P_MARGIN, 1.0 - BASE_P_MARGIN);
        let advertiser = Advertiser { goals: vec![goal], ..Advertiser::new(advertiser()) };
        let mut settings = Settings { advertisers: vec![advertiser], ..Settings::default() };
        settings.arms.control_share = 0.0;
        let mut engine = Engine::new();
        let event = Event::Configured(Box::new(settings));
        let configured = Record { at: START, occurred_at: START, event_id: None, event };
        if let Applied::Rejected(rejection) = engine.apply(&configured) {
            return Err(rejection);
        }
        let scorer = engine.scorer();
        Ok(Inkling { base, engine, scorer, exposure: None, clicks: VecDeque::new(), offers: 0, moved: 0 })
    }

    /// Share of the auctions in which the multiplier was not exactly 1.
    pub fn moved_share(&self) -> f64 {
        self.moved as f64 / self.offers.max(1) as f64
    }

    /// Applies an event, the tick that is due before it first.
    fn apply(&mut self, at: Timestamp, event: Event) {
        let at = at.max(self.engine.now());
        if let Some(second) = tick_due(self.engine.now(), at) {
            self.engine.apply(&Record { at: second, occurred_at: second, event_id: None, event: Event::Tick });
        }
        let applied = self.engine.apply(&Record { at, occurred_at: at, event_id: None, event });
        debug_assert_eq!(applied, Applied::Done, "recorded auctions make no wrong events");
    }

    /// Tells the engine of the clicks that have come by then.
    fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, opportunity)) = self.clicks.pop_front_if(|(at, _)| *at <= now) {
            let conversion = Conversion {
                by: Converter::Opportunity { opportunity, user: None },
                advertiser: advertiser(),
                goal: goal(),
                item: None,
                category: None,
                value: None,
                conversion_id: None,
            };
            self.apply(at, Event::Conversion(conversion));
        }
    }

    fn ask(&mut self, offer: &Offer) -> f64 {
        let now = moment(offer.number);
        self.catch_up(now);
        self.engine.publish();
        let name = |kind: &str, number: u64| Id::new(format!("{kind}{number}")).expect("a word and a number");
        let target = Target {
            advertiser: advertiser(),
            campaign: None,
            line_item: None,
            creative: None,
            item: None,
            category: None,
            goals: vec![goal()],
            base_p: Some(offer.pctr.clamp(BASE_P_MARGIN, 1.0 - BASE_P_MARGIN)),
        };
        let request = ScoreRequest {
            opportunity: name("a", offer.number),
            users: vec![UserKey(hash::mix(1, offer.number))],
            context: vec![(Id::literal("slot"), name("s", u64::from(offer.slot)))],
            numbers: vec![(Id::literal("pctr"), offer.pctr)],
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: vec![target],
            reasons_max: 0,
        };
        let scored = self.scorer.score(now.max(self.engine.now()), &request).pop().and_then(Result::ok);
        let multiplier = scored.as_ref().and_then(|scored| scored.signals.first()).map(|signal| signal.multiplier);
        self.exposure = scored.and_then(|scored| scored.exposure);
        self.offers += 1;
        self.moved += u64::from(multiplier.is_some_and(|multiplier| multiplier != NEUTRAL));
        multiplier.unwrap_or(NEUTRAL)
    }
}

impl Bidder for Inkling {
    fn bid(&mut self, offer: &Offer) -> u32 {
        let multiplier = self.ask(offer);
        (offer.pctr * self.base.bid / self.base.mean * multiplier) as u32
    }

    fn feedback(&mut self, offer: &Offer, won: Option<Won>) {
        let Some((won, exposure)) = won.zip(self.exposure.take()) else { return };
        let (now, opportunity) = (moment(offer.number), exposure.opportunity);
        let cost = Money { amount: Micros(i64::from(won.price) * MICROS_AN_IMPRESSION), currency: None };
        let impression = Impression { of: Shown::Scored(exposure), cost: Some(cost), bid: None };
        self.apply(now, Event::Impression(impression));
        if won.clicked {
            self.clicks.push_back((now + CLICK_AFTER, opportunity));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::draws::{Draws, Purpose};
    use crate::market::recorded::{Auction, Replayed, Rule, Tally};

    /// Auctions of two slots with equal probabilities as given; in truth one is clicked five times as often.
    fn auctions(count: u64) -> Vec<Auction> {
        let share = |seed, number| Draws(seed).uniform(Purpose::Price, number, 0);
        let auction = |number: u64| {
            let slot = (number % 2) as u16;
            let p = if slot == 1 { 0.10 } else { 0.02 };
            let price = (share(1, number) * 100.0) as u32;
            Auction { pctr: 0.05, price, slot, clicked: share(2, number) < p }
        };
        (0..count).map(auction).collect()
    }

    #[test]
    fn learns_what_the_given_probability_does_not_know() {
        let rule = Rule::Episodes { length: 1_000, budget: u64::MAX / 1_000, bid_max: 300 };
        let (auctions, base) = (auctions(60_000), Linear { bid: 30.0, mean: 0.05 });
        let late = |replayed: Replayed| replayed.episodes[40..].iter().copied().sum::<Tally>();
        let linear = late(rule.replay(&auctions, &mut { base }));
        let mut inkling = Inkling::new(base).unwrap();
        let learned = late(rule.replay(&auctions, &mut inkling));
        let yield_of = |tally: Tally| tally.clicks as f64 / tally.impressions as f64;
        assert!(yield_of(learned) > 1.2 * yield_of(linear), "{learned:?} {linear:?}");
        assert!(inkling.moved_share() > 0.8, "{}", inkling.moved_share());
    }

    /// Who wins nothing learns nothing, and bids as the linear bid does.
    #[test]
    fn learns_only_from_what_it_won() {
        let dear: Vec<Auction> = auctions(3_000).iter().map(|one| Auction { price: 1_000, ..*one }).collect();
        let rule = Rule::Episodes { length: 1_000, budget: 1_000_000, bid_max: 300 };
        let mut inkling = Inkling::new(Linear { bid: 30.0, mean: 0.05 }).unwrap();
        assert_eq!(rule.replay(&dear, &mut inkling).total().impressions, 0);
        assert_eq!(inkling.moved_share(), 0.0);
    }
}
