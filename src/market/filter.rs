//! Who knows the market's rules and has seen all that can be seen, but nobody's mind: the best that any learner can
//! come to.
//!
//! It knows which ids are one person's, how busy each person is, who is a program, and of each ad at once whether it is
//! responded to; all of that is a little more than a bidder knows.

use super::chain::PerState;
use super::truth::Opportunity;
use super::world::{Happening, World};

/// What is to be believed of everybody's state.
#[derive(Debug, Clone)]
pub struct Filter {
    beliefs: Vec<Belief>,
}

#[derive(Debug, Clone, Copy)]
struct Belief {
    weights: PerState,
    at_ms: u64,
}

impl Filter {
    /// Nothing is known of so many people.
    pub fn new(world: &World<'_>, people: usize) -> Filter {
        Filter { beliefs: vec![Belief { weights: world.truth.chain.unknown(), at_ms: 0 }; people] }
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
        let shopper = world.shopper(opportunity.person);
        if shopper.is_bot {
            return 0.0;
        }
        let weights = *self.at(world, opportunity.person, opportunity.at_ms);
        world.truth.p_of(opportunity, shopper.class, &weights)
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
            Happening::Visit { person, acts, .. } => {
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
