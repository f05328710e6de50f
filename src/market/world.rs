//! One market as it runs: where everybody's intent stands, and what their ads and visits come to.
//!
//! A policy changes who sees an ad, and so who visits and buys; all else, also whether someone would respond, is drawn
//! beforehand (see [`super::draws`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use arrayvec::ArrayVec;

use super::draws::{Draws, Purpose};
use super::scenario::{ACTS_MAX, Intent, Scenario};
use super::shoppers::{Moment, MomentKind, Shopper, Shoppers};
use super::truth::{Opportunity, Truth};
use crate::ids::Id;

/// Most products that are viewed in one visit.
pub const VIEWS_MAX: u32 = 100;
/// A response comes so long after the ad was shown.
const RESPONSE_MS: u64 = 30_000;

/// What is done in one visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acts {
    /// Products viewed.
    pub views: u32,
    /// One bit for each of the scenario's micro actions, see [`World::act_names`].
    pub done: u32,
}

/// What people and ads come to, as a tracker sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Happening {
    /// Someone visits.
    Visit {
        /// Who.
        person: u32,
        /// On which device.
        device: u8,
        /// The ad that was clicked for it.
        by: Option<Ad>,
        /// What is done.
        acts: Acts,
    },
    /// The notice of an impression arrives.
    Notice(Ad),
    /// Someone buys.
    Purchase {
        /// Who.
        person: u32,
        /// On which device.
        device: u8,
        /// Number of the purchase.
        number: u32,
    },
    /// A purchase is taken back.
    Refund {
        /// Number of the purchase.
        number: u32,
    },
    /// Both devices of someone become known as one person's.
    Link {
        /// Who.
        person: u32,
    },
}

/// Names an ad that was shown: the opportunity of this person and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ad {
    /// To whom.
    pub person: u32,
    /// The how manieth of this person.
    pub number: u32,
}

/// What became of an ad that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// It is clicked, in half a minute.
    pub responds: bool,
    /// Its notice arrives, now or late.
    pub is_noticed: bool,
}

/// Something that will come, because of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Coming {
    at_ms: u64,
    /// Order of those of equal time.
    order: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Response(Ad, u8),
    Notice(Ad),
    Purchase { person: u32, device: u8 },
    Refund { number: u32 },
}

/// Where somebody's intent stands.
#[derive(Debug, Clone, Copy)]
struct Mind {
    /// State of the chain: an intent, or the part of the delay that the purchase waits for.
    state: u8,
    linked: bool,
    /// Times that intent was drawn anew.
    draws: u32,
    next_draw_ms: u64,
}

/// A market under way.
pub struct World<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its truths.
    pub truth: &'a Truth,
    /// All chance.
    pub draws: Draws,
    shoppers: &'a Shoppers,
    minds: Vec<Mind>,
    coming: BinaryHeap<Reverse<Coming>>,
    orders: u64,
    purchases: u32,
    next_moment: usize,
    emission: Emission,
}

/// What is next in a market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Something happened, at a time.
    Happened(u64, Happening),
    /// A bid request.
    Asked(Opportunity),
}

/// How likely each act is in each state.
#[derive(Debug, Clone, Default)]
pub struct Emission {
    names: Vec<Id>,
    /// By intent: of each act.
    probabilities: Vec<ArrayVec<f64, ACTS_MAX>>,
    /// By intent: scale of the number of views beyond the first.
    scales: Vec<f64>,
}

impl Emission {
    fn new(intents: &[Intent]) -> Emission {
        let mut names = Vec::new();
        for (name, _) in intents.iter().flat_map(|intent| &intent.acts) {
            if !names.contains(name) && names.len() < ACTS_MAX {
                names.push(name.clone());
            }
        }
        let of = |intent: &Intent, name: &Id| intent.acts.iter().find(|act| act.0 == *name).map_or(0.0, |act| act.1);
        Emission {
            probabilities: intents.iter().map(|intent| names.iter().map(|name| of(intent, name)).collect()).collect(),
            // Rounding down takes half a view of the mean.
            scales: intents.iter().map(|intent| (intent.views - 0.5).max(0.01)).collect(),
            names,
        }
    }

    /// What a visit in this state of intent comes to: a heavy tail of views, each act apart.
    ///
    /// Views beyond the first are at least k with probability (1 + k ÷ scale)^−2, a Lomax distribution of shape 2: the
    /// most engaged twentieth views more than three times the mean.
    fn draw(&self, draws: Draws, person: u64, visit: u64, intent: u8) -> Acts {
        let uniform = draws.uniform(Purpose::Views, person, visit);
        let beyond = self.scales[usize::from(intent)] * (1.0 / uniform.sqrt() - 1.0);
        let mut done = 0;
        for (place, probability) in self.probabilities[usize::from(intent)].iter().enumerate() {
            let happens = draws.happens(Purpose::Act, person, visit * ACTS_MAX as u64 + place as u64, *probability);
            done |= u32::from(happens) << place;
        }
        Acts { views: 1 + (beyond as u32).min(VIEWS_MAX - 1), done }
    }

    /// Probability of what was done in a visit, in a state of intent.
    pub fn likelihood(&self, acts: Acts, intent: usize) -> f64 {
        let beyond = |k: f64| {
            let share = 1.0 / (1.0 + k / self.scales[intent]);
            share * share
        };
        let k = f64::from(acts.views - 1);
        let views = if acts.views == VIEWS_MAX { beyond(k) } else { beyond(k) - beyond(k + 1.0) };
        let probabilities = self.probabilities[intent].iter().enumerate();
        probabilities.fold(views, |product, (place, probability)| {
            product * if acts.done >> place & 1 == 1 { *probability } else { 1.0 - probability }
        })
    }
}

impl<'a> World<'a> {
    /// The market at its beginning.
    pub fn new(scenario: &'a Scenario, truth: &'a Truth, shoppers: &'a Shoppers, draws: Draws) -> World<'a> {
        let mut world = World {
            scenario,
            truth,
            draws,
            shoppers,
            minds: Vec::with_capacity(shoppers.people.len()),
            coming: BinaryHeap::new(),
            orders: 0,
            purchases: 0,
            next_moment: 0,
            emission: Emission::new(&scenario.intents),
        };
        for person in 0..shoppers.people.len() as u64 {
            let state = truth.chain.draw_intent(draws.uniform(Purpose::Intent, person, 0));
            let next_draw_ms = world.until_next_draw(person, 0);
            world.minds.push(Mind { state, linked: false, draws: 0, next_draw_ms });
        }
        world
    }

    /// The micro actions, in the order of their bits.
    pub fn act_names(&self) -> &[Id] {
        &self.emission.names
    }

    /// How likely what is seen of visits is.
    pub fn emission(&self) -> &Emission {
        &self.emission
    }

    /// Who somebody is.
    pub fn shopper(&self, person: u32) -> &Shopper {
        &self.shoppers.people[person as usize]
    }

    fn until_next_draw(&self, person: u64, number: u64) -> u64 {
        let mean = self.truth.chain.forgets_after_ms();
        self.draws.wait(Purpose::Rise, person, number | 1 << 63, mean) as u64 + 1
    }

    /// What comes next; `None` once all that was caused has come.
    pub fn advance(&mut self) -> Option<Next> {
        loop {
            let moment = self.shoppers.moments.get(self.next_moment).copied();
            let coming = self.coming.peek().map(|Reverse(coming)| *coming);
            let is_coming = match (&moment, &coming) {
                (Some(moment), Some(coming)) => coming.at_ms <= moment.at_ms,
                (None, None) => return None,
                (moment, _) => moment.is_none(),
            };
            if is_coming {
                self.coming.pop();
                let coming = coming.expect("it is what comes first");
                if let Some(happening) = self.come(coming) {
                    return Some(Next::Happened(coming.at_ms, happening));
                }
            } else {
                self.next_moment += 1;
                let moment = moment.expect("it is what comes first");
                if let Some(next) = self.occur(moment) {
                    return Some(next);
                }
            }
        }
    }

    /// A moment that no bid caused.
    fn occur(&mut self, moment: Moment) -> Option<Next> {
        let shopper = *self.shopper(moment.person);
        self.think(moment.person, moment.at_ms);
        match moment.kind {
            MomentKind::Opportunity => {
                Some(Next::Asked(self.truth.opportunity(self.scenario, self.draws, moment, &shopper)))
            }
            MomentKind::Visit => {
                let (person, number) = (u64::from(moment.person), u64::from(moment.number));
                let on_second = self.draws.uniform(Purpose::Device, person, number << 8 | 1) < 0.5;
                let device = u8::from(shopper.has_second && on_second);
                if device == 1 && shopper.links && !self.minds[moment.person as usize].linked {
                    // The login comes with the visit: the same moment is gone through again, for the visit.
                    self.minds[moment.person as usize].linked = true;
                    self.next_moment -= 1;
                    return Some(Next::Happened(moment.at_ms, Happening::Link { person: moment.person }));
                }
                let visit = self.visit(moment.at_ms, (moment.person, device), number << 1, None)?;
                Some(Next::Happened(moment.at_ms, visit))
            }
        }
    }

    fn come(&mut self, coming: Coming) -> Option<Happening> {
        match coming.what {
            What::Response(ad, device) => {
                self.think(ad.person, coming.at_ms);
                self.visit(coming.at_ms, (ad.person, device), u64::from(ad.number) << 1 | 1, Some(ad))
            }
            What::Notice(ad) => Some(Happening::Notice(ad)),
            What::Purchase { person, device } => {
                self.minds[person as usize].state = 0;
                let number = self.purchases;
                self.purchases += 1;
                let refunds = self.scenario.refunds;
                if self.draws.happens(Purpose::Refund, u64::from(person), coming.at_ms, refunds.share) {
                    let after =
                        self.draws.wait(Purpose::Refund, u64::from(person), !coming.at_ms, refunds.after.0 as f64);
                    self.push(coming.at_ms + after as u64 + 1, What::Refund { number });
                }
                Some(Happening::Purchase { person, device, number })
            }
            What::Refund { number } => Some(Happening::Refund { number }),
        }
    }

    /// Intent is drawn anew as often as it was due.
    fn think(&mut self, person: u32, now: u64) {
        while self.minds[person as usize].next_draw_ms <= now {
            let number = self.minds[person as usize].draws + 1;
            let uniform = self.draws.uniform(Purpose::Intent, u64::from(person), u64::from(number));
            let next = self.until_next_draw(u64::from(person), u64::from(number));
            let intent = self.truth.chain.draw_intent(uniform);
            let has_decided = self.has_decided(person);
            let mind = &mut self.minds[person as usize];
            mind.draws = number;
            mind.next_draw_ms += next;
            if !has_decided {
                mind.state = intent;
            }
        }
    }

    /// A visit: what is seen of it, unless nothing is reported just now.
    fn visit(&mut self, now: u64, (person, device): (u32, u8), visit: u64, by: Option<Ad>) -> Option<Happening> {
        let (draws, entity, chain) = (self.draws, u64::from(person), &self.truth.chain);
        let (state, is_bot) = (self.minds[person as usize].state, self.shopper(person).is_bot);
        let keenest = (chain.intents() - 1) as u8;
        let mut acts = self.emission.draw(draws, entity, visit, if is_bot { keenest } else { state.min(keenest) });
        if is_bot {
            acts.views = ((f64::from(acts.views) * self.scenario.bot_factor_at(now)) as u32).max(1);
        } else if !self.has_decided(person) {
            if chain.decides(state, draws.uniform(Purpose::Decision, entity, visit)) {
                let part = chain.draw_delay(draws.uniform(Purpose::Delay, entity, visit << 1));
                self.minds[person as usize].state = part;
                let delay = draws.wait(Purpose::Delay, entity, visit << 1 | 1, chain.delay_ms(part));
                self.push(now + delay as u64 + 1, What::Purchase { person, device });
            } else {
                let uniform = draws.uniform(Purpose::Rise, entity, visit);
                self.minds[person as usize].state = chain.after_visit(state, uniform);
            }
        }
        (!self.scenario.outage_at(now)).then_some(Happening::Visit { person, device, by, acts })
    }

    fn has_decided(&self, person: u32) -> bool {
        usize::from(self.minds[person as usize].state) >= self.truth.chain.intents()
    }

    /// The ad of an opportunity is shown. Its notice, and what comes of it, follow.
    pub fn show(&mut self, opportunity: &Opportunity) -> Shown {
        let (person, number) = (u64::from(opportunity.person), u64::from(opportunity.number));
        let ad = opportunity.ad();
        let responds = self.draws.uniform(Purpose::Response, person, number) < self.response(opportunity);
        if responds {
            self.push(opportunity.at_ms + RESPONSE_MS, What::Response(ad, opportunity.device));
        }
        let notices = self.scenario.notices;
        let fate = self.draws.uniform(Purpose::Notice, person, number << 1);
        if fate >= notices.lost {
            let late = self.draws.wait(Purpose::Notice, person, number << 1 | 1, notices.late_by.0 as f64) as u64 + 1;
            let is_late = fate < notices.lost + notices.late;
            self.push(opportunity.at_ms + if is_late { late } else { 0 }, What::Notice(ad));
        }
        Shown { responds, is_noticed: fate >= notices.lost }
    }

    fn push(&mut self, at_ms: u64, what: What) {
        self.orders += 1;
        self.coming.push(Reverse(Coming { at_ms, order: self.orders, what }));
    }

    /// The state of the chain that somebody is in.
    fn state(&self, person: u32) -> usize {
        usize::from(self.minds[person as usize].state)
    }

    /// Probability that this ad, shown, is responded to.
    pub fn response(&self, opportunity: &Opportunity) -> f64 {
        self.truth.response(opportunity, self.state(opportunity.person))
    }

    /// Probability of a purchase within the window if the ad is shown: the whole truth, which nobody knows.
    pub fn p(&self, opportunity: &Opportunity) -> f64 {
        let shopper = self.shopper(opportunity.person);
        if shopper.is_bot {
            return 0.0;
        }
        self.truth.p(opportunity, shopper.class, self.state(opportunity.person))
    }

    /// Probability of a purchase within the window if the ad is not shown.
    pub fn p_without(&self, opportunity: &Opportunity) -> f64 {
        let shopper = self.shopper(opportunity.person);
        if shopper.is_bot {
            return 0.0;
        }
        self.truth.p_without(opportunity, shopper.class, self.state(opportunity.person))
    }

    /// The normal score of the best other bid.
    pub fn price_score(&self, opportunity: &Opportunity) -> f64 {
        self.truth.price_score(self.scenario, self.draws, opportunity, self.state(opportunity.person))
    }
}
