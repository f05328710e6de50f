//! Who knows the market's rules and has seen all that can be seen, but nobody's mind: the best that any learner can
//! come to.
//!
//! It knows which ids are one person's, who is a program, and of each ad at once whether it is responded to; that is a
//! little more than a bidder knows.

use super::chain::{Ahead, PerState};
use super::truth::Opportunity;
use super::world::{Happening, World};
use crate::units::Span;

/// What is to be believed of everybody's state.
#[derive(Debug, Clone)]
pub struct Filter {
    beliefs: Vec<Belief>,
}

#[derive(Debug, Clone, Copy)]
struct Belief {
    weights: PerState,
    at_ms: u64,
    /// Visits that no ad led to.
    visits: u32,
}

impl Filter {
    /// Nothing is known of so many people.
    pub fn new(world: &World<'_>, people: usize) -> Filter {
        Filter { beliefs: vec![Belief { weights: world.truth.chain.unknown(), at_ms: 0, visits: 0 }; people] }
    }

    fn at(&mut self, world: &World<'_>, person: u32, now: u64) -> &mut PerState {
        let belief = &mut self.beliefs[person as usize];
        if now > belief.at_ms {
            world.truth.chain.pass(&mut belief.weights, (now - belief.at_ms) as f64);
            belief.at_ms = now;
        }
        &mut belief.weights
    }

    /// Probability of a purchase within the window if the ad is shown.
    pub fn p(&mut self, world: &World<'_>, opportunity: &Opportunity) -> f64 {
        if world.shopper(opportunity.person).is_bot {
            return 0.0;
        }
        let weights = *self.at(world, opportunity.person, opportunity.at_ms);
        let ahead = self.ahead(world, opportunity);
        world.truth.p_of(opportunity, &ahead, &weights)
    }

    /// What lies ahead of somebody, as busy as their visits and bid requests say.
    fn ahead(&self, world: &World<'_>, opportunity: &Opportunity) -> Ahead {
        let met = self.beliefs[opportunity.person as usize].visits + opportunity.number + 1;
        let activity = &world.scenario.activity;
        let days = opportunity.at_ms as f64 / Span::days(1).0 as f64;
        world.truth.ahead_of(met, (activity.visits + activity.ads) * days)
    }

    /// The ad was shown, and is responded to or not.
    pub fn shown(&mut self, world: &World<'_>, opportunity: &Opportunity, responds: bool) {
        let weights = self.at(world, opportunity.person, opportunity.at_ms);
        world.truth.chain.see(weights, |state| {
            let a = world.truth.response(opportunity, state);
            if responds { a } else { 1.0 - a }
        });
    }

    /// Something was seen.
    pub fn happened(&mut self, world: &World<'_>, now: u64, happening: &Happening) {
        match *happening {
            Happening::Visit { person, acts, by, .. } => {
                self.beliefs[person as usize].visits += u32::from(by.is_none());
                let weights = self.at(world, person, now);
                let keenest = world.truth.chain.intents() - 1;
                world.truth.chain.see(weights, |state| world.emission().likelihood(acts, state.min(keenest)));
                world.truth.chain.visit(weights);
            }
            Happening::Purchase { person, .. } => {
                let weights = self.at(world, person, now);
                world.truth.chain.purchase(weights);
            }
            Happening::Notice(_) | Happening::Refund { .. } | Happening::Link { .. } => {}
        }
    }
}
